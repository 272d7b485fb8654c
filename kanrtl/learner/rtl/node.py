"""A node: what its edges add up to."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import rounding_constant
from ...numeric.widths import clog2
from ..plan import LayerPlan
from .multiply import add_in_chains, add_pairs, carry_chain_barrier, count_offsets, multiply_window
from .narrowing import count_narrowing
from .node_sums import NodeError, NodeTotal
from .pipeline_registers import Stages, count_meeting

__all__ = ["Node", "count_nodes", "count_tree"]


class Node(wiring.Component):  # type: ignore[misc]
    """Multiplies the factors of a node's edges with the bases, and adds up what it gives.

    Parameters
    ----------
    plan
        How the layer is built; the times below are those of :class:`.LayerTimes`.

    Members
    -------
    factors : In, for each ``[input][bank]``, without bank 0 where they are differences; at time ``read``
    firsts : In, the coefficient in bank 0 for each input, at time ``read``; only with ``differences``
    basis : In, for each ``[input][bank]``, at time ``read``
    target : In, activation, from time 1; only with ``forms_error``
    total : Out, exact sum with what ``next_located`` adds to it, at time ``summed``; not with ``forms_error``
    error : Out, gradient, at time ``summed``; only with ``forms_error``
    y : Out, activation, at time ``summed``
    saturated : Out, whether error and y saturate, at time ``summed``; where they can
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        self._sum = NodeError(plan) if plan.forms_error else NodeTotal(plan)
        members: dict[str, Any] = {
            "factors": In(data.ArrayLayout(data.ArrayLayout(plan.factor, plan.factors), layer.n_in)),
            "basis": In(data.ArrayLayout(data.ArrayLayout(formats.basis, layer.banks), layer.n_in)),
            "y": Out(formats.activation),
            "saturated": Out(self._sum.saturated.shape()),
        }
        if plan.differences:
            members["firsts"] = In(data.ArrayLayout(formats.coefficient, layer.n_in))
        if plan.forms_error:
            members |= {"target": In(formats.activation), "error": Out(formats.gradient)}
        else:
            members["total"] = Out(self._sum.total.shape())
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``factors`` and ``basis`` to ``y`` and what comes with it."""
        return self._plan.ends("multiply") + self._plan.ends("add") + self._sum.latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan = self._plan
        stages = Stages(m, plan.schedule, plan.index)
        m.submodules.sum = result = self._sum
        for term, value in zip(result.terms, self._give_terms(m, stages), strict=True):
            m.d.comb += term.eq(value)
        if plan.differences:
            firsts = [first.raw for first in self.firsts]
            m.d.comb += result.firsts.eq(add_in_chains(m, firsts, len(result.firsts)))
        if plan.forms_error:
            m.d.comb += [result.target.eq(self.target), self.error.eq(result.error)]
        else:
            m.d.comb += self.total.eq(result.total)
        m.d.comb += [self.y.eq(result.y), self.saturated.eq(result.saturated)]
        return m

    def _give_terms(self, m: Module, stages: Stages) -> list[Value]:
        """See :func:`.term_layout`."""
        plan, layer = self._plan, self._plan.layer
        width = plan.factor.width + layer.formats.basis.width
        edges = [
            multiply_window(m, stages, list(factors), list(basis), in_logic=plan.in_logic, name=f"product{source}")
            for source, (factors, basis) in enumerate(zip(self.factors, self.basis, strict=True))
        ]
        if plan.differences:
            pairs = add_pairs(stages, [product for edge in edges for product in edge], width + 1, "pair")
            return [carry_chain_barrier(m, pair) for pair in pairs]
        pairs_of_edges = [add_pairs(stages, edge, width, f"pair{source}") for source, edge in enumerate(edges)]
        if layer.n_in == 1:
            return pairs_of_edges[0]
        return [add_in_chains(m, [carry_chain_barrier(m, pair) for pair in pairs], width) for pairs in pairs_of_edges]


def count_tree(parts: Parts, plan: LayerPlan, terms: int, bits: int, product: int, times: int, extra: int = 0) -> None:
    """Count sums of products of ``product`` bits, which are added in pairs first, and of ``extra``, the high bits of a
    third summand then."""
    if plan.ends("multiply") and plan.in_logic:
        parts.register(product * terms * times, moved=False)
    pairs = terms // plan.layer.banks * (plan.layer.banks // 2)
    parts.adder(product, pairs * times)
    if plan.ends("add"):
        parts.register(product * pairs * times, moved=False)
    if extra and pairs == 2:
        parts.adder(bits, times)
        parts.counts["compressor"] += extra * times
    else:
        parts.sum(pairs + bool(extra), bits, times)
    if plan.ends("sum"):
        parts.register(bits * times, moved=False)


def count_nodes(parts: Parts, plan: LayerPlan, *, predicts: bool) -> None:
    """Count what the :class:`Node` of a layer have; ``predicts``: whether anything looks at y."""
    if plan.differences:
        _count_differences(parts, plan, predicts=predicts)
        return
    layer, formats = plan.layer, plan.layer.formats
    terms, activation = layer.n_in * layer.banks, formats.activation
    parts.product(formats.coefficient, formats.basis, in_logic=plan.in_logic, times=terms * layer.n_out)
    product = formats.coefficient.width + formats.basis.width
    if not plan.forms_error:
        count_tree(parts, plan, terms, layer.node_sum.width, product, layer.n_out)
        if plan.next_located:
            parts.adder(layer.node_sum.width, layer.n_out)
        _count_prediction(parts, plan, predicts=predicts)
        return
    rounds = rounding_constant(plan.rounding, layer.error_sum.f - formats.gradient.f)
    apart = plan.ends("sum") and plan.ends("error")
    parts.adder(activation.width + 1, layer.n_out)
    extra = 0 if apart else activation.width + 2
    count_tree(parts, plan, terms, layer.error_sum.width, product, layer.n_out, extra=extra)
    count_narrowing(parts, plan, "gradient", layer.error_sum, formats.gradient, layer.n_out, rounds=rounds is None)
    if predicts:
        parts.sum(2 if apart else 3, layer.node_sum.width, layer.n_out)
        late = rounds is None or apart
        count_narrowing(parts, plan, "activation", layer.node_sum, activation, layer.n_out, rounds=late)
    times = plan.times
    count_meeting(parts, plan, (activation.width + 2) * layer.n_out, 1, times.summed if apart else times.added)
    if not apart and predicts:
        count_meeting(parts, plan, activation.width * layer.n_out, 1, times.summed)


def _count_differences(parts: Parts, plan: LayerPlan, *, predicts: bool) -> None:
    """Count nodes whose edges are sums of differences."""
    layer, formats = plan.layer, plan.layer.formats
    terms = layer.n_in * plan.factors
    product = plan.factor.width + formats.basis.width
    parts.product(plan.factor, formats.basis, in_logic=plan.in_logic, times=terms * layer.n_out)
    if plan.ends("multiply") and plan.in_logic:
        parts.register(product * terms * layer.n_out, moved=False)
    pairs = (terms + 1) // 2
    parts.adder(product + 1, terms // 2 * layer.n_out)
    if plan.ends("add"):
        parts.register((product + 1) * pairs * layer.n_out, moved=False)
    bits = layer.error_sum.width if plan.forms_error else layer.node_sum.width
    # What the others are added to comes twice where y is rounded otherwise than the sum that goes on.
    twice = bool(plan.next_located) or (plan.forms_error and layer.n_in > 1 and not plan.ends("sum"))
    parts.sum(layer.n_in, formats.coefficient.width + clog2(layer.n_in), layer.n_out)
    parts.adder(bits - formats.basis.f, (1 + twice) * layer.n_out)
    count_meeting(parts, plan, bits * (1 + twice) * layer.n_out, plan.times.read, plan.times.added)
    parts.adder(bits, count_offsets(pairs, 1 + twice) * layer.n_out)
    if plan.ends("sum"):
        parts.register(bits * (2 if plan.next_located else 1) * layer.n_out, moved=False)
    if not plan.forms_error:
        _count_prediction(parts, plan, predicts=predicts)
        return
    apart = plan.ends("sum") and plan.ends("error")
    rounds = rounding_constant(plan.rounding, layer.error_sum.f - formats.gradient.f)
    parts.adder(formats.activation.width + 1, layer.n_out)
    count_narrowing(parts, plan, "gradient", layer.error_sum, formats.gradient, layer.n_out, rounds=rounds is None)
    if apart or (predicts and (layer.n_in == 1 or plan.ends("sum"))):
        parts.adder(layer.node_sum.width, layer.n_out)
    if predicts:
        late = rounds is None or apart
        count_narrowing(parts, plan, "activation", layer.node_sum, formats.activation, layer.n_out, rounds=late)


def _count_prediction(parts: Parts, plan: LayerPlan, *, predicts: bool) -> None:
    """Count what makes y of a sum that is given away."""
    layer, activation = plan.layer, plan.layer.formats.activation
    if plan.next_located:
        # Of y it is only looked at whether it saturates.
        parts.counts["detection"] += max(0, layer.node_sum.i - activation.i) * layer.n_out
    elif predicts:
        count_narrowing(parts, plan, "activation", layer.node_sum, activation, layer.n_out)
