"""``narrow`` equals its definition, for every number, in every rounding and overflow."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from kanrtl import SQ, UQ, Format
from kanrtl.numeric.fixed import Rounding, narrow
from proofs.engine import Contract

WIDTH, FRACTION = 9, 6
"""Of the number that is narrowed: one of 9 bits, of which 6 are behind the point."""

FORMATS = (SQ(2, 3), SQ(1, 5), UQ(2, 2), SQ(4, 6))


class Narrows(wiring.Component):
    """One number beside what defines its narrowing to a format."""

    def __init__(self, format: Format, rounding: Rounding, fault: bool) -> None:
        self._format, self._rounding, self._fault = format, rounding, fault
        super().__init__({"value": In(signed(WIDTH)), "noise": In(max(1, FRACTION - format.f))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        format, rounding, dropped = self._format, self._rounding, FRACTION - self._format.f
        noise = self.noise[:dropped] if rounding is Rounding.STOCHASTIC and dropped else None
        found, saturated = narrow(self.value, FRACTION, format, rounding, noise=noise)
        # The definition: the multiple of the unit that the rounding names.
        unit = 1 << dropped
        rest, floor = Signal(WIDTH), Signal(signed(WIDTH + 2))
        rounded, near = Signal(signed(WIDTH + 2)), Signal(signed(WIDTH + 2))
        m.d.comb += [floor.eq(self.value >> dropped), rest.eq(self.value & unit - 1)]
        up: Any = 0
        match rounding:
            case Rounding.HALF_UP:
                up = 2 * rest >= unit if dropped else 0
            case Rounding.HALF_EVEN:
                up = (2 * rest > unit) | ((2 * rest == unit) & floor[0]) if dropped else 0
            case Rounding.STOCHASTIC:
                up = rest + self.noise >= unit if dropped else 0
        if self._fault:
            up = ~up if isinstance(up, int) and up else rest[:1] if dropped else 1
        m.d.comb += rounded.eq(floor + up)
        low, high = format.minimum, format.maximum
        m.d.comb += near.eq(Mux(rounded < low, low, Mux(rounded > high, high, rounded)))
        m.d.comb += [Assert(found.raw == near), Assert(saturated == (rounded != near))]
        return m


class EveryNarrowing(wiring.Component):
    """All formats in one rounding."""

    def __init__(self, rounding: Rounding, fault: bool) -> None:
        self._rounding, self._fault = rounding, fault
        super().__init__({"value": In(signed(WIDTH)), "noise": In(FRACTION)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for number, format in enumerate(FORMATS):
            m.submodules[f"narrows{number}"] = one = Narrows(format, self._rounding, self._fault)
            m.d.comb += [one.value.eq(self.value), one.noise.eq(self.noise)]
        return m


CONTRACTS = [
    Contract(
        f"narrow, {rounding.value}",
        f"{rounding.value} gives the code that it is defined to give, saturated at both ends, and says so",
        lambda fault, rounding=rounding: EveryNarrowing(rounding, fault),
        depth=None,
        unbounded=True,
    )
    for rounding in Rounding
]
