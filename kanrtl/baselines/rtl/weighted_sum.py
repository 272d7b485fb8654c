"""Weights, their sums, and their updates: one layer of a baseline, fully parallel."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...learner.rtl.multiply import ChainTerm, add_in_chains, count_chains
from ...learner.rtl.narrowing import cut_guard_bits, resize, rounding_bits
from ...numeric.fixed import SQ, Codes, FixedValue, Format, Rounding, rounding_constant
from ..sum_arithmetic import SumArithmetic
from .limits import Unlimited


class WeightedSum(wiring.Component):  # type: ignore[misc]
    """The sums of :class:`.SumArithmetic`, and what is learned; every weight is a register.

    Parameters
    ----------
    layer
        Sizes and formats.
    initial : array (n_out, n_in + 1)
        What the weights begin with; the last column holds the biases.
    rounding
        As in :class:`.BaselineSpec`.
    offset
        What is added to every sum, in the bits below a bias (:func:`rounding_offset`).

    Members
    -------
    features : In, ``n_in`` features
    totals : Out, ``n_out`` exact sums with ``offset``, :attr:`latency` cycles later
    factors : Out, for each ``[sum][feature]`` what is multiplied of its weight
    steps : In, h for each of the ``n_out`` sums, in the cycle before the weights change
    update : In(1)
        The weights change at the clock edge.
    saturated : Out(1)
        Any weight would not fit, whether ``update`` is high or not.
    selected : In
        The number of a weight, row by row, to be read or written.
    read : Out
        The code of that weight.
    write : In(1)
        It becomes ``written`` at the clock edge.
    written : In
    """

    def __init__(self, layer: SumArithmetic, initial: Codes, rounding: str, offset: int = 0) -> None:
        self._layer = layer
        self._initial = initial
        self._rounding = rounding
        self._offset = offset
        super().__init__(
            {
                "features": In(data.ArrayLayout(layer.feature, layer.n_in)),
                "totals": Out(data.ArrayLayout(layer.total, layer.n_out)),
                "factors": Out(data.ArrayLayout(data.ArrayLayout(layer.factor, layer.n_in), layer.n_out)),
                "steps": In(data.ArrayLayout(layer.step, layer.n_out)),
                "update": In(1),
                "saturated": Out(1),
                "selected": In(range(layer.weights)),
                "read": Out(layer.coefficient.as_shape()),
                "write": In(1),
                "written": In(layer.coefficient.as_shape()),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from features to sums: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer = self._layer
        weights: list[Value] = []
        outside: list[Value] = []
        written = self.written & self.write.replicate(len(self.written))
        for node in range(layer.n_out):
            terms, step = [], self.steps[node]
            for source in range(layer.n_in + 1):
                weight = self._hold(int(self._initial[node, source]), f"weight{node}_{source}")
                factor, bias = cut_guard_bits(weight, layer.factor), source == layer.n_in
                if bias:
                    terms.append(bias_term(factor, layer, self._offset))
                else:
                    m.d.comb += self.factors[node][source].eq(factor)
                    terms.append((factor * self.features[source]).raw)
                changed = change_weight(weight, step if bias else step * self.features[source], self._rounding)
                outside.append(changed.outside)
                chosen = self.write & (self.selected == len(weights))
                with m.If(self.update | chosen):
                    m.d.sync += weight.eq(changed.limit(m, ~self.write, f"changed{node}_{source}", written))
                weights.append(weight.raw)
            total = add_in_chains(m, terms, layer.total.width)
            m.d.comb += self.totals[node].eq(resize(total, layer.total))
        saturates = Signal(len(outside))
        m.d.comb += [
            *(saturates[index].eq(flag) for index, flag in enumerate(outside)),
            self.saturated.eq(saturates.any()),
            self.read.eq(Array(weights)[self.selected]),
        ]
        return m

    def _hold(self, code: int, name: str) -> FixedValue:
        format = self._layer.coefficient
        return format(Signal(format.as_shape(), init=code, name=name))


def rounding_offset(layer: SumArithmetic, format: Format, rounding: str) -> int:
    """What rounds the sums of a layer to ``format``, where that is a constant and stands in the bits below a bias, for
    nothing; zero elsewhere."""
    constant = rounding_constant(rounding, layer.total.f - format.f) or 0
    return constant if constant < 1 << layer.feature.f else 0


def bias_term(factor: FixedValue, layer: SumArithmetic, offset: int) -> Value:
    """What of a bias is added to a sum, with ``offset`` below it."""
    return Cat(Const(offset, layer.feature.f), factor.raw).as_signed()


def change_weight(weight: FixedValue, change: FixedValue, rounding: str) -> Unlimited:
    """A weight less its change, rounded once, and still to be limited to the format of the weight."""
    format, minuend = weight.format, weight
    low = rounding_bits(rounding, change.format.f - format.f, Const(0, 0))
    if low is not None:
        minuend, rounding = FixedValue(SQ(format.i, change.format.f), Cat(low, weight.raw)), Rounding.FLOOR
    return Unlimited.of(minuend - change, format, rounding)


def count_weighted_sum(parts: Parts, layer: SumArithmetic, rounding: str) -> None:
    """Count what :class:`WeightedSum` has."""
    n_in, n_out, weight = layer.n_in, layer.n_out, layer.coefficient
    parts.product(layer.factor, layer.feature, in_logic=False, times=n_in * n_out)
    count_chains(parts, sum_terms(layer), layer.total.width, n_out)
    parts.product(layer.step, layer.feature, in_logic=False, times=n_in * n_out)
    count_changed_weights(parts, layer, rounding, n_in * n_out)
    count_changed_biases(parts, layer, rounding, n_out)
    parts.register(weight.width * layer.weights, moved=False)
    # What is written from outside comes in at the LUTs that limit a weight, and is zero elsewhere.
    parts.choice(weight.width)
    parts.choice(2, times=layer.weights)
    parts.choice(weight.width, layer.weights)


def sum_terms(layer: SumArithmetic) -> list[ChainTerm]:
    """The terms of a sum: those of features, and a bias."""
    products = [ChainTerm(layer.factor.width + layer.feature.width)] * layer.n_in
    return [*products, ChainTerm(layer.factor.width + layer.feature.f, layer.feature.f)]


def count_changed_weights(parts: Parts, layer: SumArithmetic, rounding: str, weights: int) -> None:
    """Count what :func:`change_weight` takes for so many weights of a layer that are changed by products."""
    step, feature = layer.step, layer.feature
    _count_changed(parts, layer, SQ(step.i + feature.i, step.f + feature.f), rounding, weights)


def count_changed_biases(parts: Parts, layer: SumArithmetic, rounding: str, biases: int) -> None:
    """Count what :func:`change_weight` takes for so many biases of a layer, which are changed by its steps alone."""
    _count_changed(parts, layer, layer.step, rounding, biases)


def _count_changed(parts: Parts, layer: SumArithmetic, change: Format, rounding: str, weights: int) -> None:
    weight = layer.coefficient
    exact = SQ(max(weight.i, change.i) + 1, max(weight.f, change.f))
    # Bits of a weight below those of its change stay as they are.
    parts.adder(exact.width - max(0, weight.f - change.f), weights)
    # A constant that rounds stands below the weight.
    stands = rounding_constant(rounding, change.f - weight.f) is not None
    parts.narrowed(exact, weight, rounding, saturates=True, times=weights, rounds=not stands)
