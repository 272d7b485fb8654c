"""The multipliers of a lane's edges."""

from __future__ import annotations

from typing import Any, NamedTuple

from amaranth.hdl import Cat, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue
from ..plan import LayerPlan
from .multiply import add_tree
from .narrowing import Narrowing, count_narrowing, flag_layout, resize
from .pass_sequencer import StepTimes
from .shared_multiplier import SharedMultiplier, count_shared_multiplier, product_format
from .step_flow import StepFlow, count_delay

__all__ = ["EdgeLane", "count_edge_lanes"]


class _Use(NamedTuple):
    """What a pass multiplies, from offset ``offset``, for use at ``end``."""

    a: FixedValue
    b: FixedValue
    offset: int
    end: int


class EdgeLane(wiring.Component):  # type: ignore[misc]
    """All products of an edge, which is another one in each step: forwards, backwards, and for its update.

    One multiplier for each bank and pass, or where they are shared for each bank; beside them that of the gradient
    which goes down to the edge's input. Serial ones begin when the step is at their operands.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    coefficient, basis : In, by bank, at offset ``read``
    derivative : In, as those; not in the first layer
    move : In, learning rate times basis by bank, at ``stepped``
    gradient : In, dL/dy of the edge's node, at ``stepped``
    slope_gradient : In, the same at ``sloped``; not in the first layer
    times : In, see :class:`.StepTimes`
    product : Out, coefficient times basis by bank, at ``multiplied``
    change : Out, gradient times move by bank, at ``written``
    downstream : Out, gradient times slope, at ``gathered``; not in the first layer
    saturated : Out, a bit for the slope
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        members: dict[str, Any] = {
            "coefficient": In(data.ArrayLayout(formats.coefficient, layer.banks)),
            "basis": In(data.ArrayLayout(formats.basis, layer.banks)),
            "move": In(data.ArrayLayout(formats.step, layer.banks)),
            "gradient": In(formats.gradient),
            "times": In(StepTimes(plan)),
            "product": Out(data.ArrayLayout(product_format(formats.coefficient, formats.basis), layer.banks)),
            "change": Out(data.ArrayLayout(layer.update_product, layer.banks)),
            "saturated": Out(flag_layout(plan.saturating, slope=int(plan.hidden))),
        }
        if plan.hidden:
            members |= {
                "derivative": In(data.ArrayLayout(layer.derivative, layer.banks)),
                "slope_gradient": In(formats.gradient),
                "downstream": Out(product_format(formats.gradient, formats.slope)),
            }
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from a coefficient to its product."""
        return self._plan.passes.multiplied - self._plan.passes.read

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes = self._plan.layer, self._plan.passes
        flow = StepFlow(m, passes, self.times.step)
        rises = []
        for bank in range(layer.banks):
            uses = {
                "forward": _Use(self.coefficient[bank], self.basis[bank], passes.read, passes.multiplied),
                "update": _Use(self.gradient, self.move[bank], passes.stepped, passes.written),
            }
            if passes.hidden:
                rise = _Use(self.coefficient[bank], self.derivative[bank], passes.read, passes.multiplied)
                uses["slopes"] = rise
            shares = [uses] if passes.shared else [{name: use} for name, use in uses.items()]
            products: dict[str, FixedValue] = {}
            for share in shares:
                products |= self._multiply(m, flow, share, f"{bank}")
            m.d.comb += [self.product[bank].eq(products["forward"]), self.change[bank].eq(products["update"])]
            rises += [products["slopes"].raw] if passes.hidden else []
        if passes.hidden:
            narrowing = Narrowing(self._plan.rounding, self._plan.saturating)
            total = flow.delay(resize(add_tree(rises), layer.slope_sum), passes.multiplied, passes.sloped, "slope_sum")
            slope = narrowing.narrow("slope", total, layer.formats.slope, when=self.times.slopes[passes.sloped])
            use = _Use(self.slope_gradient, slope, passes.sloped, passes.gathered)
            m.d.comb += self.downstream.eq(self._multiply(m, flow, {"slopes": use}, "downstream")["slopes"])
            narrowing.report(m, self.saturated)
        return m

    def _multiply(self, m: Module, flow: StepFlow, uses: dict[str, _Use], name: str) -> dict[str, FixedValue]:
        """The products of passes that share a multiplier, each as it is wanted."""
        operands = {each: (use.a.format, use.b.format) for each, use in uses.items()}
        m.submodules[f"{'_'.join(uses)}{name}"] = multiplier = SharedMultiplier(operands, self._plan)
        last = self._plan.passes.step_cycles - 1
        starts = [(getattr(self.times, each), use.offset) for each, use in uses.items()]
        m.d.comb += [
            multiplier.start.eq(Cat(began[offset] for began, offset in starts).any()),
            multiplier.last.eq(Cat(began[offset + last] for began, offset in starts).any()),
            *(multiplier.a[each].eq(use.a) for each, use in uses.items()),
            *(multiplier.b[each].eq(use.b) for each, use in uses.items()),
            *(multiplier.chosen[each].eq(self.times.multiplies[each]) for each in list(uses)[1:]),
        ]
        return {
            each: flow.delay(multiplier.product[each], use.offset + multiplier.latency, use.end, f"{each}{name}")
            for each, use in uses.items()
        }


def count_edge_lanes(parts: Parts, plan: LayerPlan) -> None:
    """Count what all :class:`EdgeLane` of a layer have."""
    layer, passes, formats = plan.layer, plan.passes, plan.layer.formats
    edges = passes.input_lanes * passes.node_lanes
    uses = [(formats.coefficient, formats.basis), (formats.gradient, formats.step)]
    if passes.hidden:
        uses.append((formats.coefficient, layer.derivative))
    for share in [uses] if passes.shared else [[use] for use in uses]:
        count_shared_multiplier(parts, plan, share, edges * layer.banks)
    if passes.hidden:
        count_shared_multiplier(parts, plan, [(formats.gradient, formats.slope)], edges)
        parts.sum(layer.banks, layer.slope_sum.width, edges)
        count_delay(parts, passes, layer.slope_sum.width * edges, passes.multiplied, passes.sloped)
        count_narrowing(parts, plan, "slope", layer.slope_sum, formats.slope, edges)
