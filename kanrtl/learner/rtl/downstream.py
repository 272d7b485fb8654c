"""The gradient that a layer gives to the one before it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Rounding, rounding_constant
from ..plan import LayerPlan
from .coefficients import window_layout
from .multiply import add_pairs, add_tree, carry_chain_barrier, multiply, multiply_window
from .narrowing import Narrowing, count_narrowing, flag_layout, resize
from .node import count_tree
from .pipeline_registers import Stages, count_meeting

__all__ = ["Downstream", "count_downstream"]


class Downstream(wiring.Component):  # type: ignore[misc]
    """The slopes of all edges, and dL/dx: what they and the nodes' gradients add up to.

    Parameters
    ----------
    plan
        How the layer is built; the times below are those of :class:`.LayerTimes`.

    Members
    -------
    factors : In, for each ``[node][input][bank]``, without bank 0 where they are differences; at time ``read``
    derivative : In, for each ``[input][bank]``, at time ``read``
    gradient : In, for each node, at time ``gradient``
    downstream : Out, gradient for each input, ``latency`` cycles after ``gradient``
    saturated : Out, which slopes saturate, at time ``summed``, and which gradients, at :attr:`seen`
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        super().__init__(
            {
                "factors": In(window_layout(layer, plan.factor, differences=plan.differences)),
                "derivative": In(data.ArrayLayout(data.ArrayLayout(layer.derivative, layer.banks), layer.n_in)),
                "gradient": In(data.ArrayLayout(formats.gradient, layer.n_out)),
                "downstream": Out(data.ArrayLayout(formats.gradient, layer.n_in)),
                "saturated": Out(flag_layout(plan.saturating, slope=layer.n_out * layer.n_in, gradient=layer.n_in)),
            }
        )

    @property
    def seen(self) -> int:
        """The time at which gradients are seen to saturate: before the register in which they arrive."""
        return self._plan.times.gradient + self._plan.ends("downstream")

    @property
    def latency(self) -> int:
        """Cycles from ``gradient`` to ``downstream``."""
        return self._plan.ends("downstream") + self._plan.ends("error", below=1)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer, formats = self._plan, self._plan.layer, self._plan.layer.formats
        stages, below = (Stages(m, plan.schedule, index) for index in (plan.index, plan.index - 1))
        narrowing = Narrowing(plan.rounding, plan.saturating)
        terms: list[list[Value]] = [[] for _ in range(layer.n_in)]
        for node in range(layer.n_out):
            for source in range(layer.n_in):
                slope = self._give_slope(m, stages, narrowing, node, source)
                product = multiply(m, self.gradient[node], slope, in_logic=plan.in_logic)
                terms[source].append(stages.end("downstream", product, f"downstream{node}_{source}").raw)
        rounding: str = plan.rounding
        rounds = rounding_constant(rounding, layer.downstream_sum.f - formats.gradient.f)
        if rounds is not None:
            rounding = Rounding.FLOOR
        for source in range(layer.n_in):
            total = stages.wire(resize(add_tree(terms[source]), layer.downstream_sum), f"downstream_sum{source}")
            # A product of lowest values is only half of what its bits can hold: there is room for what rounds it.
            rounded = stages.wire(resize(total.raw + (rounds or 0), layer.downstream_sum), f"rounded_sum{source}")
            gradient = narrowing.narrow("gradient", rounded, formats.gradient, rounding)
            m.d.comb += self.downstream[source].eq(below.end("error", gradient, f"gradient{source}"))
        narrowing.report(m, self.saturated)
        return m

    def _give_slope(self, m: Module, stages: Stages, narrowing: Narrowing, node: int, source: int) -> FixedValue:
        """The slope of an edge, where it meets the gradient."""
        plan, layer, edge = self._plan, self._plan.layer, f"{node}_{source}"
        factors, values = list(self.factors[node][source]), list(self.derivative[source])
        products = multiply_window(m, stages, factors, values, in_logic=plan.in_logic, name=f"rise{edge}")
        pairs = add_pairs(stages, products, max(len(products[0]), layer.slope_sum.width), f"rise{edge}_pair")
        added = add_tree([carry_chain_barrier(m, pair) for pair in pairs])
        total = stages.end("sum", resize(added, layer.slope_sum), f"slope_sum{edge}")
        slope = stages.end("error", narrowing.narrow("slope", total, layer.formats.slope), f"slope{edge}")
        since = plan.times.summed + stages.ends("error")
        return stages.meet(slope, since, plan.times.gradient, f"slope{edge}")  # type: ignore[no-any-return]


def count_downstream(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`Downstream` has."""
    layer, formats, times = plan.layer, plan.layer.formats, plan.times
    edges, terms, factor = layer.n_in * layer.n_out, plan.factors, plan.factor
    parts.product(factor, layer.derivative, in_logic=plan.in_logic, times=edges * terms)
    product = factor.width + layer.derivative.width
    count_tree(parts, plan, terms, layer.slope_sum.width, product, edges)
    count_narrowing(parts, plan, "slope", layer.slope_sum, formats.slope, edges)
    if plan.ends("error"):
        parts.register(formats.slope.width * edges, moved=False)
    count_meeting(parts, plan, formats.slope.width * edges, times.summed + plan.ends("error"), times.gradient)
    parts.product(formats.gradient, formats.slope, in_logic=plan.in_logic, times=edges)
    if plan.ends("downstream") and plan.in_logic:
        parts.register(layer.downstream_sum.width * edges, moved=False)
    parts.sum(layer.n_out, layer.downstream_sum.width, layer.n_in)
    count_narrowing(parts, plan, "gradient", layer.downstream_sum, formats.gradient, layer.n_in)
    if plan.ends("error", below=1):
        parts.register(formats.gradient.width * layer.n_in, moved=False)
