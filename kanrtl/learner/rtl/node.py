"""What edges add up to: forwards in the nodes, and backwards in the gradient for the layer before."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.bits import bits_for, clog2
from ...numeric.fixed import FixedValue, Format, Rounding, rounding_constant
from ..plan import LayerPlan
from .coefficients import window_layout
from .linear import add_products, count_products
from .multiply import (
    Offset,
    add_in_chains,
    add_offsets,
    add_pairs,
    add_shifted,
    add_tree,
    carry_chain_barrier,
    count_offsets,
    multiply,
    multiply_window,
    shift_up,
)
from .narrowing import Narrowing, count_limit, count_narrowing, flag_layout, resize
from .pipeline_registers import Stages, count_meeting


class Node(wiring.Component):  # type: ignore[misc]
    """Multiplies the factors of a node's edges with the bases, and gives what becomes of the sum.

    With ``forms_error`` the target is subtracted in the adder tree, with what rounds the error, and y is made of that.

    Parameters
    ----------
    plan
        How the layer is built; the times below are those of :class:`.LayerTimes`.

    Members
    -------
    factors : In, for each ``[input][bank]``, without bank 0 where they are differences; at time ``read``
    firsts : In, the coefficient in bank 0 for each input, at time ``read``; only with ``differences``
    basis : In, for each ``[input][bank]``, at time ``read``
    weights, x : In, factor w of each input's edge and that input, at time ``read``; only with linear paths
    target : In, activation, from time 1; only with ``forms_error``
    total : Out, exact sum with what ``next_located`` adds to it, at time ``summed``; not with ``forms_error``
    error : Out, gradient, at time ``summed``; only with ``forms_error``
    y : Out, activation, at time ``summed``
    saturated : Out, whether error and y saturate, at time ``summed``; where they can
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        # y may be rounded up beyond node_sum, or what rounds it be beyond that: one bit more.
        self._wide = Format(True, max(layer.node_sum.i, -formats.output.f) + 1, layer.node_sum.f)
        # Of that, what y is made of: where it cannot saturate, no more than its bits and those below them.
        seen = layer.node_sum.f + (self._wide.i if "activation" in plan.saturating else formats.output.i)
        self._seen = min(seen, self._wide.width)
        members: dict[str, Any] = {
            "factors": In(data.ArrayLayout(data.ArrayLayout(plan.factor, plan.factors), layer.n_in)),
            "basis": In(data.ArrayLayout(data.ArrayLayout(formats.basis, layer.banks), layer.n_in)),
            "y": Out(formats.output),
            "saturated": Out(flag_layout(plan.saturating, gradient=int(plan.forms_error), activation=1)),
        }
        if plan.differences:
            members["firsts"] = In(data.ArrayLayout(formats.factor, layer.n_in))
        if layer.linear:
            members |= {
                "weights": In(data.ArrayLayout(formats.factor, layer.n_in)),
                "x": In(data.ArrayLayout(layer.linear.input, layer.n_in)),
            }
        if plan.forms_error:
            members |= {"target": In(formats.output), "error": Out(formats.gradient)}
        else:
            members["total"] = Out(plan.next_located.format if plan.next_located else layer.node_sum)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``factors`` and ``basis`` to ``y`` and what comes with it."""
        return self._plan.times.summed - self._plan.times.read

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer = self._plan, self._plan.layer
        stages = Stages(m, plan.schedule, plan.index)
        narrowing = Narrowing(plan.rounding, plan.saturating)
        terms = self._give_terms(m, stages)
        firsts: Value | None = None
        if plan.differences:
            width = layer.formats.factor.width + clog2(layer.n_in)
            firsts = stages.wire(add_in_chains(m, [first.raw for first in self.firsts], width), "firsts_sum")

        linear = add_products(m, stages, plan, self.weights, self.x) if layer.linear else None

        def add_terms(offsets: list[Offset], *widths: int) -> list[Value]:
            """The sum of the terms and each of ``offsets``, in so many bits; see :func:`.add_offsets`.

            ``offsets`` are there at time ``read`` where coefficients are added, otherwise at ``added``.
            """
            summed = terms
            if firsts is not None:
                times, below = plan.times, layer.node_sum.f - layer.formats.factor.f
                early = [
                    carry_chain_barrier(m, add_shifted(m, offset.value, firsts, below), width)
                    for offset, width in zip(offsets, widths, strict=True)
                ]
                offsets = [
                    Offset(stages.meet(stages.wire(total, "offset"), times.read, times.added, "offset"))
                    for total in early
                ]
                summed = [carry_chain_barrier(m, term, max(widths)) for term in terms]
            if linear is not None:  # there before the splines are, as the offsets are
                offsets = [
                    Offset(stages.wire(carry_chain_barrier(m, linear + offset.value, width), "linear_offset"))
                    for offset, width in zip(offsets, widths, strict=True)
                ]
            return add_offsets(m, summed, offsets, widths=widths)

        (self._give_error if plan.forms_error else self._give_total)(m, stages, narrowing, add_terms)
        narrowing.report(m, self.saturated)
        return m

    def _give_terms(self, m: Module, stages: Stages) -> list[Value]:
        """What adds up to the splines' sum: products in pairs, or where there are several edges, those; at time
        ``added``, in codes of ``node_sum``."""
        layer = self._plan.layer
        up = layer.node_sum.f - layer.formats.factor.f - layer.formats.basis.f
        return [shift_up(term, up) for term in self._add_splines(m, stages)]

    def _add_splines(self, m: Module, stages: Stages) -> list[Value]:
        """The same in codes of products."""
        plan, layer = self._plan, self._plan.layer
        # The bases sum to one: whatever of them is added, a sum is no wider than a product.
        width = plan.factor.width + layer.formats.basis.width
        edges = [
            multiply_window(m, stages, list(factors), list(basis), in_logic=plan.in_logic, name=f"product{source}")
            for source, (factors, basis) in enumerate(zip(self.factors, self.basis, strict=True))
        ]
        if plan.differences:
            return add_pairs(stages, [product for edge in edges for product in edge], width + 1, "pair")
        pairs_of_edges = [add_pairs(stages, edge, width, f"pair{source}") for source, edge in enumerate(edges)]
        if layer.n_in == 1:
            return pairs_of_edges[0]
        totals = [
            add_in_chains(m, [carry_chain_barrier(m, pair, width) for pair in pairs], width) for pairs in pairs_of_edges
        ]
        return [stages.wire(total, f"edge{source}") for source, total in enumerate(totals)]

    def _give_total(self, m: Module, stages: Stages, narrowing: Narrowing, add_terms: Any) -> None:
        """The exact sum, and y."""
        plan, layer, located = self._plan, self._plan.layer, self._plan.next_located
        rounding: str = plan.rounding
        if located is None:
            # The bases sum to one: the sum fits node_sum, whatever its single products could reach together.
            [total] = add_terms([Offset.of(0)], layer.node_sum.width)
            rounded = total = stages.end("sum", resize(total, layer.node_sum), "sum")
        else:
            rounds = rounding_constant(rounding, located.dropped) or 0
            width = located.format.width
            sums = add_terms([Offset.of(located.added), Offset.of(rounds)], width, min(width, self._seen))
            total = stages.end("sum", resize(sums[0], located.format), "sum")
            rounded = stages.end("sum", resize(sums[1], self._wide), "rounded_sum")
            rounding = Rounding.FLOOR
        y = narrowing.narrow("activation", rounded, layer.formats.output, rounding)
        m.d.comb += [self.total.eq(total), self.y.eq(y)]

    def _give_error(self, m: Module, stages: Stages, narrowing: Narrowing, add_terms: Any) -> None:
        """The error, in the adder tree with what rounds it; and y, which is the error and the target. Where the tree
        ends in a register, and another follows the error, they are formed one after the other."""
        plan, times, layer, formats = self._plan, self._plan.times, self._plan.layer, self._plan.layer.formats
        shift = layer.error_sum.f - formats.output.f
        target = Cat(Const(0, shift), self.target.raw).as_signed()
        rounds = rounding_constant(plan.rounding, layer.error_sum.f - formats.gradient.f)
        rounds_y = rounding_constant(plan.rounding, shift)
        rounding: str = plan.rounding
        if rounds is None or rounds_y is None:
            rounds = rounds_y = 0
        else:
            rounding = Rounding.FLOOR
        width = max(bits_for(layer.error_bounds[1] + rounds), layer.error_sum.width - 1) + 1
        narrow_sum, rounding_y = Format(True, width - layer.error_sum.f, layer.error_sum.f), rounding
        # Apart from the tree: known early, and needed again for y.
        now = times.read if plan.differences else times.added
        offset = stages.meet(stages.wire(rounds - target, "offset"), 1, now, "offset")
        if stages.ends("sum") and stages.ends("error"):
            # Where a product's highest bit has no use, yosys does not take its register into an iCE40's multiplier.
            [plain] = add_terms([Offset.of(0)], self._wide.width)
            total = stages.end("sum", resize(plain, self._wide), "sum")
            offset = stages.meet(offset, now, times.summed, "offset_of_sum")
            error, rounding_y = resize(stages.wire(total.raw + offset, "error_sum"), narrow_sum), plan.rounding
        else:
            zeros = min(shift, Offset.of(rounds).zeros) if rounds else shift
            # In a tree of its own where this one is long enough.
            beside = layer.n_in > 1 and not stages.ends("sum")
            offsets = [Offset(offset, zeros), *([Offset.of(rounds_y)] if beside else [])]
            rounded, *totals = add_terms(offsets, *[width, min(width, self._seen)][: len(offsets)])
            error = stages.end("sum", resize(rounded, narrow_sum), "error_sum")
            if not beside:
                late = stages.meet(self.target, 1, times.summed, "target").raw
                totals = [error.raw + Cat(Const(0, shift), late).as_signed() + (rounds_y - rounds)]
            total = stages.wire(resize(totals[0], self._wide), "sum")
        m.d.comb += [
            self.error.eq(narrowing.narrow("gradient", error, formats.gradient, rounding, limit=layer.gradient_limit)),
            self.y.eq(narrowing.narrow("activation", total, formats.output, rounding_y)),
        ]


def count_tree(parts: Parts, plan: LayerPlan, terms: int, bits: int, product: int, times: int, extra: int = 0) -> None:
    """Count sums of products of ``product`` bits, which are added in pairs first, and of ``extra``, the high bits of a
    third summand then."""
    pairs = count_pairs(parts, plan, terms, product, product, times)
    if extra and pairs == 2:
        parts.adder(bits, times)
        parts.counts["compressor"] += extra * times
    else:
        parts.sum(pairs + bool(extra), bits, times)
    if plan.ends("sum"):
        parts.register(bits * times, moved=False)


def count_pairs(parts: Parts, plan: LayerPlan, terms: int, product: int, pair: int, times: int) -> int:
    """Count the sums of two products each, of ``pair`` bits; give how many there are."""
    pairs = (terms + 1) // 2
    if plan.ends("multiply") and plan.in_logic:
        parts.register(product * terms * times, moved=False)
    parts.adder(pair, terms // 2 * times)
    if plan.ends("add"):
        parts.register(pair * pairs * times, moved=False)
    return pairs


def count_nodes(parts: Parts, plan: LayerPlan, *, predicts: bool) -> None:
    """Count what the :class:`Node` of a layer have; ``predicts``: whether anything looks at y."""
    layer, formats, times, n_out = plan.layer, plan.layer.formats, plan.times, plan.layer.n_out
    terms, output = layer.n_in * plan.factors, formats.output
    if layer.linear:
        count_products(parts, plan, n_out)
    parts.product(plan.factor, formats.basis, in_logic=plan.in_logic, times=terms * n_out)
    product = plan.factor.width + formats.basis.width
    bits = layer.error_sum.width if plan.forms_error else layer.node_sum.width
    apart = plan.ends("sum") and plan.ends("error")
    if plan.differences:
        # What the others are added to comes twice where y is rounded otherwise than the sum that goes on.
        copies = 1 + (bool(plan.next_located) or (plan.forms_error and layer.n_in > 1 and not plan.ends("sum")))
        parts.sum(layer.n_in, formats.factor.width + clog2(layer.n_in), n_out)
        parts.adder(bits - formats.basis.f, copies * n_out)
        count_meeting(parts, plan, bits * copies * n_out, times.read, times.added)
        pairs = count_pairs(parts, plan, terms, product, product + 1, n_out)
        parts.adder(bits, count_offsets(pairs, copies) * n_out)
        if plan.ends("sum"):
            parts.register(bits * (copies if plan.next_located else 1) * n_out, moved=False)
    else:
        extra = output.width + 2 if plan.forms_error and not apart else 0
        count_tree(parts, plan, terms, bits, product, n_out, extra)
        parts.adder(bits, n_out if plan.next_located else 0)
    if plan.next_located:
        # Of y it is only looked at whether it saturates.
        parts.counts["detection"] += max(0, layer.node_sum.i - output.i) * n_out
    elif not plan.forms_error and predicts:
        count_narrowing(parts, plan, "activation", layer.node_sum, output, n_out)
    if not plan.forms_error:
        return
    rounds = rounding_constant(plan.rounding, layer.error_sum.f - formats.gradient.f)
    parts.adder(output.width + 1, n_out)
    count_narrowing(parts, plan, "gradient", layer.error_sum, formats.gradient, n_out, rounds=rounds is None)
    count_limit(parts, layer)
    if predicts:
        late = rounds is None or apart
        count_narrowing(parts, plan, "activation", layer.node_sum, output, n_out, rounds=late)
    if plan.differences:
        if apart or (predicts and (layer.n_in == 1 or plan.ends("sum"))):
            parts.adder(layer.node_sum.width, n_out)
        return
    if predicts:
        parts.sum(2 if apart else 3, layer.node_sum.width, n_out)
    count_meeting(parts, plan, (output.width + 2) * n_out, 1, times.summed if apart else times.added)
    if not apart and predicts:
        count_meeting(parts, plan, output.width * n_out, 1, times.summed)


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
    weights : In, for each ``[node][input]`` its factor w, at time ``read``; only with linear paths
    gradient : In, for each node, at time ``gradient``
    downstream : Out, gradient for each input, ``latency`` cycles after ``gradient``
    saturated : Out, which slopes saturate, at time ``summed``, and which gradients, at :attr:`seen`
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        weights = data.ArrayLayout(data.ArrayLayout(formats.factor, layer.n_in), layer.n_out)
        super().__init__(
            {
                **({"weights": In(weights)} if layer.linear else {}),
                "factors": In(window_layout(layer, plan.factor, differences=plan.differences)),
                "derivative": In(data.ArrayLayout(data.ArrayLayout(layer.derivative, layer.banks), layer.n_in)),
                "gradient": In(data.ArrayLayout(formats.gradient, layer.n_out)),
                "downstream": Out(data.ArrayLayout(formats.downstream, layer.n_in)),
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
        rounds = rounding_constant(rounding, layer.downstream_sum.f - formats.downstream.f)
        if rounds is not None:
            rounding = Rounding.FLOOR
        for source in range(layer.n_in):
            total = stages.wire(resize(add_tree(terms[source]), layer.downstream_sum), f"downstream_sum{source}")
            # A product of lowest values is only half of what its bits can hold: there is room for what rounds it,
            # unless that is more than all the sum can be.
            wide = Format(True, max(layer.downstream_sum.i, 2 - formats.downstream.f), layer.downstream_sum.f)
            rounded = stages.wire(resize(total.raw + (rounds or 0), wide), f"rounded_sum{source}")
            gradient = narrowing.narrow("gradient", rounded, formats.downstream, rounding)
            m.d.comb += self.downstream[source].eq(below.end("error", gradient, f"gradient{source}"))
        narrowing.report(m, self.saturated)
        return m

    def _give_slope(self, m: Module, stages: Stages, narrowing: Narrowing, node: int, source: int) -> FixedValue:
        """The slope of an edge, where it meets the gradient."""
        plan, layer, edge = self._plan, self._plan.layer, f"{node}_{source}"
        factors, values = list(self.factors[node][source]), list(self.derivative[source])
        products = multiply_window(m, stages, factors, values, in_logic=plan.in_logic, name=f"rise{edge}")
        pairs = add_pairs(stages, products, max(len(products[0]), layer.slope_sum.width), f"rise{edge}_pair")
        added = add_tree([carry_chain_barrier(m, pair, layer.slope_sum.width) for pair in pairs])
        if layer.linear:
            weight = stages.meet(self.weights[node][source], plan.times.read, plan.times.added, f"weight{edge}")
            added = carry_chain_barrier(m, added, layer.slope_sum.width) + shift_up(weight.raw, layer.slope_shift)
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
    count_narrowing(parts, plan, "gradient", layer.downstream_sum, formats.downstream, layer.n_in)
    if plan.ends("error", below=1):
        parts.register(formats.downstream.width * layer.n_in, moved=False)
