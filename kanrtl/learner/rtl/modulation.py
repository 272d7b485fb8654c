"""Edges whose curves are multiplied by a further input: forwards in the nodes, and backwards in what teaches them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Format
from ..plan import LayerPlan
from .coefficients import window_layout
from .multiply import add_in_chains, add_pairs, carry_chain_barrier, multiply, multiply_window
from .narrowing import Narrowing, count_narrowing, cut_guard_bits, flag_layout, resize
from .node import count_pairs
from .pipeline_registers import Stages, count_meeting


def factors_layout(plan: LayerPlan) -> data.Layout:
    """What curves are multiplied by: one number for each ``[input]``, or with complex edges two."""
    layer = plan.layer
    return data.ArrayLayout(data.ArrayLayout(layer.formats.input, layer.modulation), layer.n_in)


def _modulate(
    m: Module, stages: Stages, plan: LayerPlan, pair: list[FixedValue], factors: Any, sign: int, where: tuple[str, str]
) -> list[tuple[Value, bool]]:
    """The products of a node's value with what multiplies it, each with whether it is subtracted.

    ``pair`` has the value and, with complex edges, that of the node's other part; for its real part ``sign`` is that of
    the second product. ``where`` is the stage that the products leave, and their name.
    """
    stage, name = where
    products = [
        stages.end(stage, multiply(m, value, factor, in_logic=plan.in_logic), f"{name}_{part}").raw
        for part, (value, factor) in enumerate(zip(pair, factors, strict=True))
    ]
    return [(product, part == 1 and sign < 0) for part, product in enumerate(products)]


def _add(terms: list[tuple[Value, bool]], width: int) -> Value:
    """One term, or the sum or difference of two, as a signed value of ``width`` bits."""
    total = terms[0][0]
    for term, subtracted in terms[1:]:
        total = total - term if subtracted else total + term
    return total[:width].as_signed() if len(total) > width else total


class ModulatedNodes(wiring.Component):  # type: ignore[misc]
    """The nodes of a layer whose edges multiply an input by their curve: ``y = sum u f(z)``.

    A curve is an edge's sum, rounded to the format of factors: the bases sum to one, so that it fits. With complex
    edges nodes come in pairs, real part first, and so do the curves of every input:
    ``Re y = sum Re u Re f - Im u Im f``, ``Im y = sum Re u Im f + Im u Re f``.

    Parameters
    ----------
    plan
        How the layer is built; the times below are those of :class:`.LayerTimes`.

    Members
    -------
    coefficients : In, for each ``[node][input][bank]``, at time ``read``
    basis : In, for each ``[input][bank]``, at time ``read``
    factors : In, for each ``[input]`` what multiplies its curves, at time 1
    total : Out, exact sums of the nodes, at time ``summed``
    y : Out, activations, at time ``summed``
    saturated : Out, which of them saturate, at time ``summed``
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        super().__init__(
            {
                "coefficients": In(window_layout(layer, formats.coefficient)),
                "basis": In(data.ArrayLayout(data.ArrayLayout(formats.basis, layer.banks), layer.n_in)),
                "factors": In(factors_layout(plan)),
                "total": Out(data.ArrayLayout(layer.node_sum, layer.n_out)),
                "y": Out(data.ArrayLayout(formats.output, layer.n_out)),
                "saturated": Out(flag_layout(plan.saturating, activation=layer.n_out)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``coefficients`` and ``basis`` to ``total`` and ``y``."""
        return self._plan.times.summed - self._plan.times.read

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer, formats = self._plan, self._plan.layer, self._plan.layer.formats
        stages, narrowing = Stages(m, plan.schedule, plan.index), Narrowing(plan.rounding, plan.saturating)
        curves = [
            [self._give_curve(m, stages, node, source) for source in range(layer.n_in)] for node in range(layer.n_out)
        ]
        factors = [
            [stages.meet(u, 1, plan.times.curved, f"factor{source}_{part}") for part, u in enumerate(own)]
            for source, own in enumerate(self.factors)
        ]
        width = layer.node_sum.width
        for node in range(layer.n_out):
            terms = [
                term
                for source in range(layer.n_in)
                for term in _modulate(
                    m,
                    stages,
                    plan,
                    pair_of(plan, [curves[other][source] for other in range(layer.n_out)], node),
                    factors[source],
                    1 if node % 2 else -1,
                    ("multiply", f"modulated{node}_{source}"),
                )
            ]
            pairs = [
                stages.end("add", _add(terms[first : first + 2], width), f"modulated{node}_pair{first}")
                for first in range(0, len(terms), 2)
            ]
            exact = add_in_chains(m, [carry_chain_barrier(m, pair, width) for pair in pairs], width)
            total = stages.end("sum", resize(exact, layer.node_sum), f"sum{node}")
            y = narrowing.narrow("activation", total, formats.output)
            m.d.comb += [self.total[node].eq(total), self.y[node].eq(y)]
        narrowing.report(m, self.saturated)
        return m

    def _give_curve(self, m: Module, stages: Stages, node: int, source: int) -> FixedValue:
        """The value of a curve, as it leaves the stage ``sum``."""
        plan, layer, edge = self._plan, self._plan.layer, f"{node}_{source}"
        products = multiply_window(
            m,
            stages,
            [cut_guard_bits(value, layer.formats.factor) for value in self.coefficients[node][source]],
            list(self.basis[source]),
            in_logic=plan.in_logic,
            name=f"product{edge}",
        )
        width = plan.factor.width + layer.formats.basis.width
        pairs = add_pairs(stages, products, width, f"pair{edge}")
        exact = add_in_chains(m, [carry_chain_barrier(m, pair, width) for pair in pairs], width)
        # Of no kind: it cannot saturate.
        curve = Narrowing(plan.rounding, frozenset()).narrow(
            "curve", stages.wire(resize(exact, layer.edge_sum), f"edge{edge}"), layer.formats.factor
        )
        return stages.end("sum", curve, f"curve{edge}")  # type: ignore[no-any-return]


def pair_of(plan: LayerPlan, values: Any, node: int) -> list[FixedValue]:
    """A node's value, and with complex edges that of the other part of its pair."""
    return [values[other] for other in (node, node ^ 1)[: plan.layer.modulation]]


class TurnedGradients(wiring.Component):  # type: ignore[misc]
    """What the curves of modulated edges are taught by: ``g u``, or with complex edges ``g conj(u)``, narrowed once.

    Parameters
    ----------
    plan
        How the layer is built; the times below are those of :class:`.LayerTimes`.

    Members
    -------
    gradient : In, for each node, at time ``gradient``
    factors : In, for each ``[input]`` what multiplies its curves, at time 1
    turned : Out, gradient for each ``[node][input]``, at time ``turned``
    saturated : Out, which of them saturate, at :attr:`seen`
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, gradient = plan.layer, plan.layer.formats.gradient
        super().__init__(
            {
                "gradient": In(data.ArrayLayout(gradient, layer.n_out)),
                "factors": In(factors_layout(plan)),
                "turned": Out(data.ArrayLayout(data.ArrayLayout(gradient, layer.n_in), layer.n_out)),
                "saturated": Out(flag_layout(plan.saturating, gradient=layer.n_out * layer.n_in)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``gradient`` to ``turned``."""
        return self._plan.times.turned - self._plan.times.gradient

    @property
    def seen(self) -> int:
        """The time at which they are seen to saturate: before the register that they end in."""
        return self._plan.times.turned - self._plan.ends("error")

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer, formats = self._plan, self._plan.layer, self._plan.layer.formats
        stages, narrowing = Stages(m, plan.schedule, plan.index), Narrowing(plan.rounding, plan.saturating)
        for source, own in enumerate(self.factors):
            factors = [stages.meet(u, 1, plan.times.gradient, f"factor{source}_{part}") for part, u in enumerate(own)]
            for node in range(layer.n_out):
                name = f"turned{node}_{source}"
                pair = pair_of(plan, self.gradient, node)
                terms = _modulate(m, stages, plan, pair, factors, -1 if node % 2 else 1, ("product", f"{name}_product"))
                exact = stages.wire(resize(_add(terms, layer.turned_sum.width), layer.turned_sum), f"{name}_exact")
                if plan.streaming:
                    exact = stages.end("sum", exact, f"{name}_sum")
                turned = narrowing.narrow("gradient", exact, formats.gradient)
                m.d.comb += self.turned[node][source].eq(stages.end("error", turned, name))
        narrowing.report(m, self.saturated)
        return m


def count_modulated_nodes(parts: Parts, plan: LayerPlan, *, predicts: bool) -> None:
    """Count what :class:`ModulatedNodes` have; ``predicts``: whether anything looks at y."""
    layer, formats = plan.layer, plan.layer.formats
    edges = layer.n_in * layer.n_out
    parts.product(plan.factor, formats.basis, in_logic=plan.in_logic, times=edges * layer.banks)
    width = plan.factor.width + formats.basis.width
    pairs = count_pairs(parts, plan, layer.banks, width, width, edges)
    parts.adder(width, (pairs - 1) * edges)
    count_narrowing(parts, plan, "curve", layer.edge_sum, formats.factor, edges)
    if plan.ends("sum"):
        parts.register((formats.factor.width * edges) + layer.node_sum.width * layer.n_out, moved=False)
    _count_factors(parts, plan, 1, plan.times.curved)
    parts.product(formats.factor, formats.input, in_logic=plan.in_logic, times=layer.terms * layer.n_out)
    product = Format(True, formats.factor.width + formats.input.width, 0).width
    pairs = count_pairs(parts, plan, layer.terms, product, layer.node_sum.width, layer.n_out)
    parts.adder(layer.node_sum.width, (pairs - 1) * layer.n_out)
    if predicts:
        count_narrowing(parts, plan, "activation", layer.node_sum, formats.output, layer.n_out)


def _count_factors(parts: Parts, plan: LayerPlan, since: int, now: int) -> None:
    layer = plan.layer
    bits = layer.formats.input.width * layer.n_in * layer.modulation
    count_meeting(parts, plan, bits, since, now)


def count_turned_gradients(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`TurnedGradients` have, and the register that holds what multiplies."""
    layer, formats = plan.layer, plan.layer.formats
    edges = layer.n_in * layer.n_out
    parts.register(formats.input.width * layer.n_in * layer.modulation)
    # On their way to the nodes they pass the registers that those have.
    _count_factors(parts, plan, plan.times.curved, plan.times.gradient)
    parts.product(formats.gradient, formats.input, in_logic=plan.in_logic, times=edges * layer.modulation)
    if plan.ends("product") and plan.in_logic:
        parts.register((formats.gradient.width + formats.input.width) * edges * layer.modulation, moved=False)
    parts.adder(layer.turned_sum.width, edges * (layer.modulation - 1))
    if plan.streaming and plan.ends("sum"):
        parts.register(layer.turned_sum.width * edges, moved=False)
    count_narrowing(parts, plan, "gradient", layer.turned_sum, formats.gradient, edges)
    if plan.ends("error"):
        parts.register(formats.gradient.width * edges, moved=False)
