"""The step size of a normalised filter: the learning rate over the squared norm of what is multiplied."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...learner.rtl.multiply import ChainTerm, add_in_chains, count_chains
from ...learner.rtl.pipeline_registers import name_signal
from ...numeric.fixed import UQ, FixedValue, narrow
from ..lms_spec import RECIPROCAL_BITS, RECIPROCAL_ROWS, LmsSpec


class StepSize(wiring.Component):  # type: ignore[misc]
    """Learning rate / E, with E = 1 + sum_k f_k^2, by a power of two or a table of reciprocals (:class:`.LmsSpec`).

    Parameters
    ----------
    spec
        A normalised filter.

    Members
    -------
    features : In, ``n_features`` features
    rate : In
        The learning rate.
    size : Out
        The step size, :attr:`latency` cycles after ``features``.
    """

    def __init__(self, spec: LmsSpec) -> None:
        self._spec = spec
        super().__init__(
            {
                "features": In(data.ArrayLayout(spec.feature_format, spec.n_features)),
                "rate": In(spec.rate_register.format),
                "size": Out(spec.step_size_format),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from features to the step size: as many as from features to gradients."""
        return self._spec.ends("sum", "error")

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec = self._spec
        format = spec.energy_format
        squares = [(feature * feature).raw for feature in self.features]
        fraction = 2 * spec.feature_format.f
        norm = add_in_chains(m, squares, format.i + fraction).as_unsigned()
        # One more, in gates: a chain for these few bits would take longer.
        whole = norm[fraction:]
        more = [bit ^ whole[:place].all() for place, bit in enumerate(whole) if place]
        exact = Cat(norm[fraction - format.f : fraction], ~whole[0], *more)
        energy = name_signal(m, exact[: format.width], "energy", registered=bool(spec.ends("sum")))
        # 2^power <= E < 2^(power + 1), as a choice of one.
        powers = Signal(format.i)
        for power in range(format.i):
            m.d.comb += powers[power].eq(energy[format.f + power] & ~energy[format.f + power + 1 :].any())
        exact_rate = self._divide(m, energy, powers)
        size = narrow(exact_rate, exact_rate.format.f, spec.step_size_format, spec.rounding).result
        m.d.comb += self.size.eq(name_signal(m, size, "step_size", registered=bool(spec.ends("error"))))
        return m

    def _divide(self, m: Module, energy: Value, powers: Signal) -> FixedValue:
        """The learning rate over E, all its bits."""
        spec, rate, most = self._spec, self.rate, len(powers) - 1
        fraction = most + 1
        if spec.normalisation == "table":
            bits = RECIPROCAL_ROWS.bit_length() - 1
            row, reciprocal = Signal(bits), UQ(0, RECIPROCAL_BITS)(Signal(RECIPROCAL_BITS, name="reciprocal"))
            for power in range(len(powers)):
                with m.If(powers[power]):
                    m.d.comb += row.eq(energy[spec.energy_format.f + power - bits :])
            with m.Switch(row):
                for index, code in enumerate(spec.reciprocals.tolist()):
                    with m.Case(index):
                        m.d.comb += reciprocal.raw.eq(code)
            rate, fraction = rate * reciprocal, most
        shifted = UQ(rate.format.i, rate.format.f + fraction)
        result = shifted(Signal(shifted.width, name="divided"))
        for power in range(len(powers)):
            with m.If(powers[power]):
                # Learning rate times 2^-power, or where it is the power of two, 2^-(power + 1).
                m.d.comb += result.raw.eq(rate.raw << (most - power))
        return result


def count_step_size(parts: Parts, spec: LmsSpec) -> None:
    """Count what :class:`StepSize` has."""
    feature, energy, rate = spec.feature_format, spec.energy_format, spec.rate_register.format
    parts.product(feature, feature, in_logic=False, times=spec.n_features)
    square = ChainTerm(2 * feature.width)
    count_chains(parts, [square] * spec.n_features, energy.i + 2 * feature.f)
    parts.choice(energy.i)
    if spec.normalisation == "table":
        parts.choice(RECIPROCAL_ROWS.bit_length() - 1, energy.i)
        parts.counts["truth table"] += RECIPROCAL_ROWS * RECIPROCAL_BITS // 16
        parts.product(rate, UQ(0, RECIPROCAL_BITS), in_logic=False)
        rate = UQ(rate.i, rate.f + RECIPROCAL_BITS)
    parts.choice(rate.width, energy.i)
    divided = UQ(rate.i, rate.f + energy.i)
    parts.narrowed(divided, spec.step_size_format, spec.rounding, saturates=True)
    parts.register(energy.width * spec.ends("sum") + spec.step_size_format.width * spec.ends("error"), moved=False)
