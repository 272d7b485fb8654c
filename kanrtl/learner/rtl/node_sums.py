"""What becomes of the sum of a node: the exact sum and y, or the error and y."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Shape, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...numeric.fixed import Format, Rounding, rounding_constant
from ...numeric.widths import bits_for, clog2
from ..plan import LayerPlan
from .multiply import Offset, add_offsets, add_shifted, carry_chain_barrier
from .narrowing import Narrowing, flag_layout, resize
from .pipeline_registers import Stages

__all__ = ["NodeError", "NodeTotal", "term_layout", "term_members"]


def term_layout(plan: LayerPlan) -> data.ArrayLayout:
    """What adds up to the sum of a node: products in pairs, or where there are several edges, those."""
    layer = plan.layer
    # The bases sum to one: whatever of them is added, a sum is no wider than a product.
    width = plan.factor.width + layer.formats.basis.width
    if plan.differences:
        return data.ArrayLayout(Shape(width + 1, signed=True), (layer.n_in * plan.factors + 1) // 2)
    return data.ArrayLayout(Shape(width, signed=True), layer.banks // 2 if layer.n_in == 1 else layer.n_in)


def term_members(plan: LayerPlan) -> dict[str, Any]:
    """The inputs that add up to the sum of a node: ``terms``, from time ``added``, and where edges are sums of
    differences ``firsts``, the sum of their first coefficients, from time ``read``."""
    layer = plan.layer
    members: dict[str, Any] = {"terms": In(term_layout(plan))}
    if plan.differences:
        members["firsts"] = In(Shape(layer.formats.coefficient.width + clog2(layer.n_in), signed=True))
    return members


def rounded_sum(plan: LayerPlan) -> Format:
    """One bit more than node_sum: y may be rounded up beyond it."""
    return Format(True, plan.layer.node_sum.i + 1, plan.layer.node_sum.f)


def add_terms(
    m: Module, stages: Stages, plan: LayerPlan, component: Any, offsets: list[Offset], width: int
) -> list[Value]:
    """The sum of the component's :func:`term_members` and each of ``offsets``, modulo ``2**width``; see
    :func:`.add_offsets`.

    ``offsets`` are there at time ``read`` where coefficients are added, otherwise at ``added``.
    """
    if plan.differences:
        times, below = plan.times, plan.layer.formats.basis.f
        early = [carry_chain_barrier(m, add_shifted(m, offset.value, component.firsts, below)) for offset in offsets]
        offsets = [
            Offset(stages.meet(stages.wire(total, "offset"), times.read, times.added, "offset")) for total in early
        ]
    return add_offsets(m, list(component.terms), offsets, width=width)


class NodeTotal(wiring.Component):  # type: ignore[misc]
    """The exact sum of a node, and y.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    terms, firsts : In, see :func:`term_members`
    total : Out, exact sum with what ``next_located`` adds to it, ``latency`` cycles after ``terms``
    y : Out, activation, with ``total``
    saturated : Out, whether y saturates, where it can
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        total = plan.next_located.format if plan.next_located else plan.layer.node_sum
        super().__init__(
            term_members(plan)
            | {
                "total": Out(total),
                "y": Out(plan.layer.formats.activation),
                "saturated": Out(flag_layout(plan.saturating, activation=1)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``terms`` to ``total`` and ``y``."""
        return int(self._plan.ends("sum"))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer, located = self._plan, self._plan.layer, self._plan.next_located
        stages = Stages(m, plan.schedule, plan.index)
        narrowing = Narrowing(plan.rounding, plan.saturating)
        if located is None:
            # The bases sum to one: the sum fits node_sum, whatever its single products could reach together.
            [total] = add_terms(m, stages, plan, self, [Offset.of(0)], layer.node_sum.width)
            rounded = total = stages.end("sum", resize(total, layer.node_sum), "sum")
            y = narrowing.narrow("activation", rounded, layer.formats.activation)
        else:
            offsets = [Offset.of(located.added), Offset.of(rounding_constant(plan.rounding, located.dropped) or 0)]
            sums = add_terms(m, stages, plan, self, offsets, located.format.width)
            total = stages.end("sum", resize(sums[0], located.format), "sum")
            rounded = stages.end("sum", resize(sums[1], rounded_sum(plan)), "rounded_sum")
            y = narrowing.narrow("activation", rounded, layer.formats.activation, Rounding.FLOOR)
        m.d.comb += [self.total.eq(total), self.y.eq(y)]
        narrowing.report(m, self.saturated)
        return m


class NodeError(wiring.Component):  # type: ignore[misc]
    """The error of a node, formed in its adder tree with what rounds it; and y, which is the error and the target.

    Where the tree ends in a register, and another follows the error, they are formed one after the other.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    terms, firsts : In, see :func:`term_members`
    target : In, activation, from time 1
    error : Out, gradient, ``latency`` cycles after ``terms``
    y : Out, activation, with ``error``
    saturated : Out, whether either saturates, where it can
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        formats = plan.layer.formats
        super().__init__(
            term_members(plan)
            | {
                "target": In(formats.activation),
                "error": Out(formats.gradient),
                "y": Out(formats.activation),
                "saturated": Out(flag_layout(plan.saturating, gradient=1, activation=1)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``terms`` to ``error`` and ``y``."""
        return int(self._plan.ends("sum"))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer, formats = self._plan, self._plan.layer, self._plan.layer.formats
        stages, times = Stages(m, plan.schedule, plan.index), plan.times
        narrowing = Narrowing(plan.rounding, plan.saturating)
        shift = layer.error_sum.f - formats.activation.f
        target = Cat(Const(0, shift), self.target.raw).as_signed()
        rounds = rounding_constant(plan.rounding, layer.error_sum.f - formats.gradient.f)
        rounds_y = rounding_constant(plan.rounding, shift)
        rounding: str = plan.rounding
        if rounds is None or rounds_y is None:
            rounds = rounds_y = 0
        else:
            rounding = Rounding.FLOOR
        width = max(bits_for(layer.error_bounds[1] + rounds), layer.error_sum.width - 1) + 1
        narrow_sum, wide_sum = Format(True, width - layer.error_sum.f, layer.error_sum.f), rounded_sum(plan)
        # Apart from the tree: known early, and needed again for y.
        now = times.read if plan.differences else times.added
        offset = stages.meet(stages.wire(rounds - target, "offset"), 1, now, "offset")
        rounding_y = rounding
        if stages.ends("sum") and stages.ends("error"):
            # Where a product's highest bit has no use, yosys does not take its register into an iCE40's multiplier.
            [plain] = add_terms(m, stages, plan, self, [Offset.of(0)], wide_sum.width)
            total = stages.end("sum", resize(plain, wide_sum), "sum")
            offset = stages.meet(offset, now, times.summed, "offset_of_sum")
            error = resize(stages.wire(total.raw + offset, "error_sum"), narrow_sum)
            rounding_y = plan.rounding
        else:
            zeros = min(shift, Offset.of(rounds).zeros) if rounds else shift
            # In a tree of its own where this one is long enough.
            beside = layer.n_in > 1 and not stages.ends("sum")
            offsets = [Offset(offset, zeros), *([Offset.of(rounds_y)] if beside else [])]
            rounded, *totals = add_terms(m, stages, plan, self, offsets, width)
            error = stages.end("sum", resize(rounded, narrow_sum), "error_sum")
            if beside:
                total = resize(totals[0], wide_sum)
            else:
                target = stages.meet(self.target, 1, times.summed, "target").raw
                target = Cat(Const(0, shift), target).as_signed()
                total = resize(error.raw + target + (rounds_y - rounds), wide_sum)
            total = stages.wire(total, "sum")
        m.d.comb += [
            self.error.eq(narrowing.narrow("gradient", error, formats.gradient, rounding)),
            self.y.eq(narrowing.narrow("activation", total, formats.activation, rounding_y)),
        ]
        narrowing.report(m, self.saturated)
        return m
