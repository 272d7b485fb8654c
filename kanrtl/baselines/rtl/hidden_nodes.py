"""The hidden nodes of a perceptron: what their sums become, and what their weights are changed by."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...learner.rtl.multiply import ChainTerm, add_in_chains, count_chains
from ...learner.rtl.narrowing import resize
from ...learner.rtl.pipeline_registers import name_signal
from ...numeric.bits import clog2
from ...numeric.fixed import SQ, Format, Rounding, narrow
from ..mlp_spec import RELU, MlpSpec
from .limits import Unlimited
from .weighted_sum import rounding_offset


class HiddenActivation(wiring.Component):  # type: ignore[misc]
    """a = f(z) of hidden nodes, narrowed once, and whether f has a derivative there.

    Parameters
    ----------
    spec
        The perceptron.
    nodes
        How many of its hidden nodes there are at a time.

    Members
    -------
    totals : In, the exact sums z with :func:`hidden_offset`
    activations : Out, a, :attr:`latency` cycles later
    open : Out, a bit for each node: f'(z) is one, not zero; with ``activations``
    saturates : Out(1)
        Any a would not fit its format; with ``activations``.
    """

    def __init__(self, spec: MlpSpec, nodes: int) -> None:
        self._spec = spec
        self._nodes = nodes
        super().__init__(
            {
                "totals": In(data.ArrayLayout(spec.sums[0].total, nodes)),
                "activations": Out(data.ArrayLayout(spec.activation_format, nodes)),
                "open": Out(nodes),
                "saturates": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from sums to activations."""
        return self._spec.ends("hidden")

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec, format = self._spec, self._spec.activation_format
        registered, offset = bool(self.latency), hidden_offset(spec)
        rounding = Rounding.FLOOR if offset else spec.rounding
        inside, unfit = [], []
        for node in range(self._nodes):
            total = self.totals[node]
            raw, below, above = total.raw, total.raw[: total.format.f], total.raw[total.format.f :]
            rounded = narrow(total, total.format.f, format, rounding)
            if spec.activation == RELU:
                # Zero for what is below it, and then nothing saturates.
                within = ~raw[-1] & _exceeds(raw, offset)
                result = Mux(raw[-1], 0, rounded.result.raw)
                saturates = rounded.saturated & ~raw[-1]
                within &= ~saturates
            else:
                # As comparisons they would take a carry chain each.
                high = ~raw[-1] & (above[1:].any() | (above[0] & _reaches(below, offset)))
                low = raw[-1] & ~(above.all() & _exceeds(below, offset))
                knee = 1 << format.f
                within = ~(low | high)
                result = Mux(low, -knee, Mux(high, knee, rounded.result.raw))
                saturates = Const(0)
            code = Signal(format.as_shape(), name=f"code{node}")
            m.d.comb += code.eq(result)
            a = name_signal(m, format(code), f"activation{node}", registered=registered)
            m.d.comb += self.activations[node].eq(a)
            inside.append(name_signal(m, _bit(m, within, f"within{node}"), f"open{node}", registered=registered))
            unfit.append(saturates)
        flags = name_signal(m, _bit(m, Cat(unfit).any(), "unfit"), "saturates_here", registered=registered)
        m.d.comb += [self.open.eq(Cat(inside)), self.saturates.eq(flags)]
        return m


def hidden_offset(spec: MlpSpec) -> int:
    """What rounds the sums of hidden nodes, which they are given with."""
    return rounding_offset(spec.sums[0], spec.activation_format, spec.rounding)


def _exceeds(value: Value, bound: int) -> Value:
    """Whether bits that are no negative number are more than zero, or than a power of two."""
    place = bound.bit_length()
    if place < 2:
        return value[place:].any()
    return value[place:].any() | (value[place - 1] & value[: place - 1].any())


def _reaches(value: Value, bound: int) -> Value:
    """Whether bits that are no negative number are as much as zero, or as a power of two."""
    return value[bound.bit_length() - 1 :].any() if bound else Const(1)


class HiddenStep(wiring.Component):  # type: ignore[misc]
    """d_h = f'(z_h) 2^-s sum_o h_o w_oh of hidden nodes, narrowed once.

    Parameters
    ----------
    spec
        The perceptron.
    nodes
        How many of its hidden nodes there are at a time.

    Members
    -------
    terms : In, for each ``[node][output]`` h_o w_oh
    open : In, a bit for each node
    downstream : Out, d for each node, :attr:`latency` cycles after ``terms``
    saturates : Out(1)
        Any d would not fit; with ``downstream``.
    """

    def __init__(self, spec: MlpSpec, nodes: int) -> None:
        self._spec = spec
        self._nodes = nodes
        terms = data.ArrayLayout(data.ArrayLayout(spec.downstream_product, spec.n_out), nodes)
        super().__init__(
            {
                "terms": In(terms),
                "open": In(nodes),
                "downstream": Out(data.ArrayLayout(spec.hidden_step_format, nodes)),
                "saturates": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from products to what goes down."""
        return self._spec.ends("downstream")

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec = self._spec
        registered, unfit = bool(self.latency), []
        exact = _exact_downstream(spec)
        for node in range(self._nodes):
            terms = [self.terms[node][output].raw for output in range(spec.n_out)]
            total = resize(add_in_chains(m, terms, exact.width), exact)
            found = Unlimited.of(total, spec.hidden_step_format, spec.rounding)
            limited = found.limit(m, self.open[node], f"down{node}")
            step = name_signal(m, limited, f"down{node}", registered=registered)
            m.d.comb += self.downstream[node].eq(step)
            unfit.append(found.outside & self.open[node])
        flags = name_signal(m, _bit(m, Cat(unfit).any(), "unfit"), "saturates_here", registered=registered)
        m.d.comb += self.saturates.eq(flags)
        return m


def _bit(m: Module, value: Any, name: str) -> Signal:
    bit = Signal(name=name)
    m.d.comb += bit.eq(value)
    return bit


def _exact_downstream(spec: MlpSpec) -> Format:
    """The format of d before it is narrowed; the shift moves its point."""
    width = spec.downstream_product.width + clog2(spec.n_out)
    return SQ(width - spec.downstream_fraction, spec.downstream_fraction)


def count_hidden_nodes(parts: Parts, spec: MlpSpec, nodes: int) -> None:
    """Count what :class:`HiddenActivation` and :class:`HiddenStep` of so many nodes have."""
    total, rounds = spec.sums[0].total, not hidden_offset(spec)
    parts.narrowed(total, spec.activation_format, spec.rounding, saturates=True, times=nodes, rounds=rounds)
    # All bits below tell what is more than zero; or what is more than -1, and what is less than one.
    parts.counts["detection"] += total.f * nodes * (1 if spec.activation == RELU else 2)
    parts.register((spec.activation_format.width + 1) * nodes * spec.ends("hidden"), moved=False)
    exact = _exact_downstream(spec)
    count_chains(parts, [ChainTerm(spec.downstream_product.width)] * spec.n_out, exact.width, nodes)
    # The LUTs that limit it make it zero too.
    parts.narrowed(exact, spec.hidden_step_format, spec.rounding, saturates=True, times=nodes)
    parts.register(spec.hidden_step_format.width * nodes * spec.ends("downstream"), moved=False)
