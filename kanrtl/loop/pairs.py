"""What a modulated or a periodic edge wants to know of a complex number: its power, or its phase."""

from __future__ import annotations

from math import atan, ceil, log2, tau
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In, Out

from ..errors import InputError, cut
from ..fabric.parts import Parts
from ..learner.address_map import COUNTER_WIDTH
from ..numeric.bits import bits_for, clog2
from ..numeric.fixed import SQ, Codes, FixedValue, Format, narrow
from .loop_part import LoopPart
from .vectors import (
    as_codes,
    as_signed_format,
    check_count,
    check_exact,
    check_rounding,
    count_events,
    count_events_parts,
    count_narrowed_sum,
    narrow_codes,
    narrow_numbers,
    register_stage,
    vector_stream,
)

__all__ = ["Pairs", "PairsModel"]


class Pairs(LoopPart):
    """Gives for every complex number u = I + jQ what a complex modulated edge u f(z) takes: ``I, Q, z``.

    z is the power I^2 + Q^2, rounded once and saturated, as in memory polynomials of radio amplifiers (Ding and others,
    IEEE Transactions on Communications 52, 2004); or the phase of u, for a periodic grid.

    The phase is found by CORDIC in vectoring mode (Volder, IRE Transactions on Electronic Computers, 1959): u is turned
    to the right half plane, and in every cycle by an angle atan(2^-k) towards the real axis, which costs two shifts and
    three additions and no multiplier. It counts in codes from -turn/2 to turn/2, and is within one code of the angle;
    that of u = 0 is 0.

    Parameters
    ----------
    format
        That of I, Q and z.
    pairs
        Complex numbers in a word.
    second
        ``"power"`` or ``"phase"``.
    turn
        The number that stands for a whole turn: the range of the periodic grid, from -turn/2 to turn/2. A power of two.
    rounding
        Of the power: ``floor``, ``half_up`` or ``half_even``.

    Members
    -------
    i : In, stream of I and Q of each pair
    o : Out, stream of I, Q and z of each pair
    saturations : Out(16)
        Words of which any power has saturated; stops at its highest value.
    clear : In(1)
        Sets that to zero.
    """

    def __init__(
        self,
        format: Format | str,
        *,
        pairs: int = 1,
        second: str = "power",
        turn: float = 1.0,
        rounding: str = "half_up",
    ) -> None:
        if not isinstance(second, str) or second not in ("power", "phase"):
            raise InputError(f"second = {cut(second)}: must be power or phase")
        self.format = format = as_signed_format("format", format, "I and Q")
        self.pairs = pairs = check_count("pairs", pairs, 3 * format.width)
        self.second = second
        self.rounding = check_rounding(rounding)
        self._power = (_number(format) * _number(format) + _number(format) * _number(format)).format
        self._phase = _PhaseSteps(format, turn) if second == "phase" else None
        check_exact(self._phase.z if self._phase else self._power, "Pairs", ("format",))
        super().__init__(
            {
                "i": In(vector_stream(format, 2 * pairs)),
                "o": Out(vector_stream(format, 3 * pairs)),
                "saturations": Out(COUNTER_WIDTH),
                "clear": In(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the one in which a word is taken to the one in which its result is offered."""
        return self._phase.steps + 1 if self._phase else 1

    @property
    def interval(self) -> int:
        """Clock cycles from word to word, while nothing waits: a phase is found before the next word is taken."""
        return self.latency

    def model(self) -> PairsModel:
        """The same in integers."""
        return PairsModel(self, self._phase)

    def elaborate(self, platform: Any) -> Module:
        return self._find_phases(self._phase) if self._phase else self._find_powers()

    def _find_powers(self) -> Module:
        m = Module()
        pairs = [(self.i.payload[2 * pair], self.i.payload[2 * pair + 1]) for pair in range(self.pairs)]
        powers, saturates = narrow_numbers(m, [i * i + q * q for i, q in pairs], self.format, self.rounding, "power")
        load = register_stage(m, (self.i.valid, self.i.ready), (self.o.valid, self.o.ready))
        with m.If(load):
            for pair, numbers in enumerate(zip(*zip(*pairs, strict=True), powers, strict=True)):
                m.d.sync += [self.o.payload[3 * pair + index].eq(number) for index, number in enumerate(numbers)]
        count_events(m, load & saturates.any(), self.clear, self.saturations)
        return m

    def _find_phases(self, phase: _PhaseSteps) -> Module:
        m = Module()
        step, busy = Signal(range(phase.steps)), Signal()
        take, last = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(~busy & (~self.o.valid | self.o.ready)),
            take.eq(self.i.valid & self.i.ready),
            last.eq(busy & (step == phase.steps - 1)),
        ]
        with m.If(take):
            m.d.sync += [busy.eq(1), step.eq(0)]
        with m.Elif(busy):
            m.d.sync += [step.eq(step + 1), busy.eq(~last)]
        with m.If(last):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        angle = Signal(phase.z.as_shape())
        m.d.comb += angle.eq(phase.angle(step))
        for pair in range(self.pairs):
            u = [self.i.payload[2 * pair + index] for index in range(2)]
            x, y, z = (Signal(shape, name=f"{name}{pair}", reset_less=True) for name, shape in phase.registers)
            something = Signal(name=f"something{pair}", reset_less=True)
            i, q, found = (self.o.payload[3 * pair + index] for index in range(3))
            turned = [Mux(u[0].raw < 0, -part.raw, part.raw) << phase.guard for part in u]
            with m.If(take):
                m.d.sync += [i.eq(u[0]), q.eq(u[1]), x.eq(turned[0]), y.eq(turned[1])]
                m.d.sync += [z.eq(Mux(u[0].raw < 0, phase.half, 0)), something.eq(u[0].raw.any() | u[1].raw.any())]
            with m.If(busy):
                m.d.sync += x.eq(Mux(y < 0, x - (y >> step), x + (y >> step)))
                m.d.sync += y.eq(Mux(y < 0, y + (x >> step), y - (x >> step)))
                m.d.sync += z.eq(Mux(y < 0, z - angle, z + angle))
            rounded = narrow(z, phase.spare, phase.code, "half_up", "wrap").result
            code = Signal(self.format.as_shape(), name=f"phase{pair}")
            m.d.comb += [code.eq(Mux(something, rounded.raw, 0)), found.raw.eq(code)]
        m.d.comb += self.saturations.eq(0)
        return m

    def count(self, parts: Parts) -> None:
        width, phase = self.format.width, self._phase
        parts.register(2 * width * self.pairs)
        if phase is None:
            parts.register(width * self.pairs + 1, moved=False)
            parts.product(self.format, self.format, in_logic=False, times=2 * self.pairs)
            parts.adder(self._power.width, self.pairs)
            count_narrowed_sum(parts, self._power, self.format, self.rounding, self.pairs)
            count_events_parts(parts)
            return
        bits = sum(shape.width for _, shape in phase.registers)
        parts.register(self.pairs * (bits + 1) + bits_for(phase.steps - 1) + 2, moved=False)
        # Negated as they come in; then one that adds and one that subtracts, and a choice of what is taken.
        parts.adder(width + 1, 2 * self.pairs)
        parts.choice(width + 1, 2, 2 * 2 * self.pairs)
        for _, shape in phase.registers:
            parts.adder(shape.width, 2 * self.pairs)
            parts.choice(shape.width, 2, self.pairs)
        # x and y are shifted by a choice for every bit of the number of the step, which also looks up the angle.
        parts.choice(phase.registers[0][1].width, 2, 2 * clog2(phase.steps) * self.pairs)
        parts.counts["truth table"] += ceil(phase.z.width * (1 << clog2(phase.steps)) / 16)
        parts.choice(width, 2, self.pairs)  # zero has the phase zero
        parts.narrowed(phase.z, phase.code, "half_up", saturates=False, times=self.pairs)


def _number(format: Format) -> FixedValue:
    return FixedValue(format, Signal(format.as_shape()))


class _PhaseSteps:
    """The sizes of a CORDIC for phases in codes of ``turn``, and its angles."""

    def __init__(self, format: Format, turn: float) -> None:
        fits = isinstance(turn, Real) and 0 < turn <= 2.0**format.i
        codes = float(turn) * 2.0**format.f if fits else 0.0
        bits = round(log2(codes)) if codes >= 8 else 0
        if bits < 3 or codes != 2.0**bits:
            raise InputError(
                f"turn = {cut(turn)}: must be a power of two, with 8 codes of {format} or more, and fit it"
            )
        self.steps = bits + 2
        """A step for every bit of the phase, and two."""
        self.spare = clog2(self.steps) + 1
        """Bits of the angle below a code: the rounded angles of all steps together err by less than half a code."""
        self.code = SQ(bits, 0)
        self.z = SQ(bits, self.spare)
        self.half = 1 << (bits + self.spare - 1)
        self.guard = bits + clog2(self.steps)
        """Bits of x and y below those of u: what all steps cut off turns the smallest u by less than half a code."""
        # u is at most the square root of two times its largest part, and grows by a factor of 1.647.
        length = signed(format.width + self.guard + 2)
        self.registers = [("x", length), ("y", length), ("z", self.z.as_shape())]
        self.angles = [round(atan(2.0**-step) / tau * 2 ** (bits + self.spare)) for step in range(self.steps)]

    def angle(self, step: Value) -> Value:
        """The angle of a step, in codes of ``z``."""
        found: Value = Const(0, self.z.width)
        for number, angle in enumerate(self.angles):
            found = Mux(step == number, Const(angle, self.z.width), found)
        return found

    def phase(self, i: int, q: int) -> int:
        """The code of the phase of a complex number of codes."""
        if i == q == 0:
            return 0
        x, y, z = (-i, -q, self.half) if i < 0 else (i, q, 0)
        x, y = x << self.guard, y << self.guard
        for step, angle in enumerate(self.angles):
            if y < 0:
                x, y, z = x - (y >> step), y + (x >> step), z - angle
            else:
                x, y, z = x + (y >> step), y - (x >> step), z + angle
        return int(narrow(np.int64(z), self.spare, self.code, "half_up", "wrap").result)


class PairsModel:
    """A :class:`Pairs` in integer codes.

    Attributes
    ----------
    saturations : int
        Words of which any power has saturated, up to the counter's highest value.
    """

    def __init__(self, pairs: Pairs, phase: _PhaseSteps | None) -> None:
        self._pairs, self._phase = pairs, phase
        self.saturations = 0

    def step(self, codes: npt.ArrayLike) -> Codes:
        """I, Q and z of every pair, ``(3 * pairs,)``, for I and Q of every pair, ``(2 * pairs,)``."""
        pairs = self._pairs
        u = as_codes("codes", codes, pairs.format, 2 * pairs.pairs).reshape(-1, 2)
        if self._phase:
            z = np.array([self._phase.phase(int(i), int(q)) for i, q in u])
        else:
            z, saturated = narrow_codes((u * u).sum(axis=1), 2 * pairs.format.f, pairs.format, pairs.rounding)
            self.saturations = min(self.saturations + saturated, (1 << COUNTER_WIDTH) - 1)
        return np.column_stack([u, z]).ravel()
