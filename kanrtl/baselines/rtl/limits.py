"""Numbers that are limited to a format as late as they can be: where something else is chosen beside them."""

from __future__ import annotations

from typing import NamedTuple

from amaranth.hdl import Cat, Module, Signal, Value

from ...numeric.fixed import FixedValue, Format, Overflow, narrow


class Unlimited(NamedTuple):
    """A number that is rounded and not yet limited.

    Attributes
    ----------
    format
        What it is to be limited to.
    low
        Its low bits, as many as the format has.
    outside
        Whether it is outside of the format.
    negative
        Whether it is less than zero.
    """

    format: Format
    low: Value
    outside: Value
    negative: Value

    @classmethod
    def of(cls, exact: FixedValue, format: Format, rounding: str) -> Unlimited:
        """An exact number, rounded to the bits of ``format``."""
        wide = Format(True, max(exact.format.i, format.i) + 1, format.f)  # rounding may carry
        rounded = narrow(exact, exact.format.f, wide, rounding, Overflow.WRAP).result.raw
        above, negative = rounded[format.width - 1 :], rounded[-1]
        return cls(format, rounded[: format.width], above != negative.replicate(len(above)), negative)

    def limit(self, m: Module, when: Value, name: str, other: Value | None = None) -> FixedValue:
        """The number within its format where ``when`` is high, and elsewhere ``other``, which is zero where that is
        high; or zero. A LUT4 for each bit.

        Of a choice of the two ABC makes two LUTs for each bit of most numbers, and so it does where these signals are
        not kept.
        """
        bits = self.format.width - 1
        zeros, ones = (Signal(name=f"{name}_{part}", attrs={"keep": 1}) for part in ("zeros", "ones"))
        m.d.comb += [
            zeros.eq(~when | (self.outside & self.negative)),
            ones.eq(when & self.outside & ~self.negative),
        ]
        magnitude = (self.low[:-1] & ~zeros.replicate(bits)) | ones.replicate(bits)
        limited = Cat(magnitude, self.negative & when)
        return FixedValue(self.format, (limited if other is None else limited | other[: bits + 1]).as_signed())
