"""Fixed point: formats, rounding and overflow, with one meaning in numpy and in Amaranth.

A :class:`Format` says how an integer (the *code*) stands for a real number: ``value = code * 2**-f``.
``SQ(i, f)`` is signed with ``i`` integer bits, sign included, and ``UQ(i, f)`` unsigned, as in Amaranth
RFC 41; both are ``i + f`` bits wide. A format is a shape: Amaranth signals, ports, layouts and memories
take it as it is, and give it back as a :class:`FixedValue`, whose ``+``, ``-`` and ``*`` keep full precision.

Precision is lost in :func:`narrow` alone. It takes numpy codes or an Amaranth value, rounds
once, then saturates or wraps, and tells what did not fit::

    narrow(codes, fraction, SQ(6, 10), rounding="half_up")       -> codes, which saturated
    narrow(value, fraction, SQ(6, 10), rounding="half_up")       -> value, whether it saturated
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import cached_property
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Cat, Const, Mux, Shape, ShapeCastable, Value, ValueCastable

from ..arrays import find_masked

Codes = npt.NDArray[np.int64]

MOST_ROUNDED = 1 / 32
"""A setting, such as a learning rate or a gain, that changes by more than this share of itself as its register takes it
is warned of. Numbers with five significant bits, as the default format has for the smallest rate of a spec, are within
that."""


class Rounding(enum.StrEnum):
    """Roundings: what happens as the bits below the last kept one are dropped."""

    FLOOR = "floor"
    """The number goes towards minus infinity: the bits are cut off."""
    HALF_UP = "half_up"
    """The number goes to the nearest code; a tie goes towards plus infinity."""
    HALF_EVEN = "half_even"
    """The number goes to the nearest code; a tie goes to the even one."""
    STOCHASTIC = "stochastic"
    """The number goes up with a probability equal to the dropped part: noise is added, then the bits are cut off."""


class Overflow(enum.StrEnum):
    """Overflows: what happens to a value outside the format."""

    SATURATE = "saturate"
    """It becomes the lowest or the highest code."""
    WRAP = "wrap"
    """It keeps its low bits."""


@dataclass(frozen=True)
class Format(ShapeCastable):  # type: ignore[misc]  # amaranth has no type information
    """A fixed-point format of ``i + f`` bits; use :func:`SQ` and :func:`UQ` to make one.

    As an Amaranth shape it takes real numbers as initial values, and reads as real numbers in a testbench;
    the integer code of a signal is its :attr:`FixedValue.raw`.
    """

    signed: bool
    i: int
    f: int

    def __post_init__(self) -> None:
        for name, bits in (("i", self.i), ("f", self.f)):
            if type(bits) is not int:
                if isinstance(bits, bool) or not isinstance(bits, Integral):
                    raise ValueError(f"{name} = {bits!r}: a format has whole bits; give an integer")
                object.__setattr__(self, name, int(bits))
        if self.f < 0 or self.i + self.f < 1:
            raise ValueError(f"{self!r}: fraction bits must be at least 0, and with the integer bits at least 1")

    @classmethod
    def parse(cls, text: str) -> Format:
        """Read ``"SQ(6, 10)"`` or ``"UQ(1, 8)"``; raise :exc:`ValueError` on anything else."""
        match = re.fullmatch(r"\s*([SU])Q\(\s*(-?\d{1,4})\s*,\s*(\d{1,4})\s*\)\s*", text)
        if not match:
            raise ValueError(f"{text!r} is not a format; write SQ(i, f) for signed or UQ(i, f) for unsigned")
        return cls(match[1] == "S", int(match[2]), int(match[3]))

    def __repr__(self) -> str:
        return f"{'S' if self.signed else 'U'}Q({self.i}, {self.f})"

    __str__ = __repr__

    @property
    def width(self) -> int:
        """The bits of a code."""
        return self.i + self.f

    @property
    def minimum(self) -> int:
        """The lowest code."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """The highest code."""
        return (1 << (self.width - self.signed)) - 1

    @property
    def lsb(self) -> float:
        """The real value of one code step."""
        return 2.0**-self.f

    def holds(self, real: float | Fraction) -> bool:
        """Whether a real number lies between the format's lowest and highest values."""
        return self.minimum <= Fraction(real) * (1 << self.f) <= self.maximum

    def quantise(self, real: npt.ArrayLike, period: float | None = None) -> Codes:
        """The codes nearest to real numbers, saturated, in the shape of ``real``; ties go to the even code.

        ``period`` as for :meth:`nearest`. Raises :exc:`ValueError` where a number is NaN, masked or complex.
        """
        if find_masked(real) is not None:
            raise ValueError(f"a masked number cannot be given in {self}")
        if np.iscomplexobj(real):
            raise ValueError(f"a complex number cannot be given in {self}; give its parts")
        nearest = self.nearest(real, period)
        if np.isnan(nearest).any():
            raise ValueError(f"not a number (NaN) cannot be given in {self}")
        # Of wide formats the highest code is no float64, but the number after it is.
        return np.minimum(np.clip(nearest, self.minimum, self._end).astype(np.int64), self.maximum)

    @property
    def _end(self) -> float:
        """The lowest whole number above all codes, which is a float64."""
        return 2.0 ** (self.width - self.signed)

    def is_beyond(self, nearest: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which whole numbers of LSBs, as :meth:`nearest` gives them, the format does not hold."""
        return (nearest < self.minimum) | (nearest >= self._end)

    def count_beyond(self, reals: npt.NDArray[np.float64], period: float | None = None) -> int:
        """How many real numbers have their nearest code beyond the format, after ``period`` as for :meth:`nearest`."""
        # Quicker, for what is within the format nearly always; halves of an LSB beyond it are counted by the other way.
        if not reals.size or (reals.min() >= self.minimum * self.lsb and reals.max() < self.maximum * self.lsb):
            return 0
        return int(self.is_beyond(self.nearest(reals, period)).sum())

    def nearest(self, real: npt.ArrayLike, period: float | None = None) -> npt.NDArray[np.float64]:
        """The whole numbers of LSBs nearest to real numbers, also beyond the format; ties go to the even one.

        With a ``period``, in LSBs, those beyond come back by whole periods, as far as float64 can tell.
        """
        with np.errstate(over="ignore"):
            nearest: npt.NDArray[np.float64] = np.rint(np.asarray(real, dtype=np.float64) * 2.0**self.f)
            if period is None:
                return nearest
            beyond = self.is_beyond(nearest)
            finite = np.where(np.isfinite(nearest), nearest, 0)
            below, above = np.maximum(self.minimum - finite, 0), np.maximum(finite - self.maximum, 0)
            moved = np.rint(finite + period * np.ceil(below / period) - period * np.ceil(above / period))
            return np.where(beyond & np.isfinite(nearest), moved, nearest)

    def to_float(self, codes: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The real values of codes, in the shape of ``codes``."""
        return np.asarray(codes, dtype=np.float64) * self.lsb

    def as_shape(self) -> Shape:
        """The Amaranth shape of a code."""
        return Shape(self.width, self.signed)

    def const(self, init: float | Fraction | None) -> FixedValue:
        """A constant from a real number; raises :exc:`ValueError` where the format does not represent it exactly."""
        try:
            code = Fraction(0 if init is None else init) * (1 << self.f)
        except (ValueError, OverflowError):  # NaN, infinity
            code = Fraction(1, 2)
        if code.denominator != 1 or not self.minimum <= code <= self.maximum:
            raise ValueError(
                f"{init!r} has no exact code in {self}; round it: format.to_float(format.quantise(number))"
            )
        return FixedValue(self, Const(int(code), self.as_shape()))

    def from_bits(self, raw: int) -> float | Fraction:
        """The real number that a code stands for; a fraction where a float would not be exact."""
        if self.signed and raw > self.maximum:  # memories give bits, the simulator signed integers
            raw -= 1 << self.width
        value = Fraction(raw, 1 << self.f)
        return float(value) if self.width <= 53 else value

    def __call__(self, target: Any) -> FixedValue:
        return FixedValue(self, target)


def SQ(i: int, f: int) -> Format:
    """The signed format of ``i`` integer bits, sign included, and ``f`` fraction bits.

    It holds numbers from ``-2**(i-1)`` to ``2**(i-1) - 2**-f``. Where all of them are small ``i`` may be negative.
    """
    return Format(True, i, f)


def UQ(i: int, f: int) -> Format:
    """The unsigned format of ``i`` integer and ``f`` fraction bits; it holds numbers from 0 to ``2**i - 2**-f``, and
    ``i`` may be negative."""
    return Format(False, i, f)


class FixedValue(ValueCastable):  # type: ignore[misc]
    """An Amaranth value with its fixed-point format. Arithmetic is exact: results widen as they need."""

    def __init__(self, format: Format, target: Any) -> None:
        value = Value.cast(target)
        if len(value) != format.width:
            raise TypeError(f"{format} is {format.width} bits wide, the value {len(value)}")
        self._format = format
        if value.shape().signed != format.signed:
            value = value.as_signed() if format.signed else value.as_unsigned()
        self._value = value

    def shape(self) -> Format:
        """The format, which is the shape that Amaranth sees."""
        return self._format

    def as_value(self) -> Value:
        """The integer code, as a plain Amaranth value."""
        return self._value

    @property
    def format(self) -> Format:
        """The fixed-point format."""
        return self._format

    @property
    def raw(self) -> Value:
        """The integer code, as a plain Amaranth value."""
        return self._value

    def eq(self, other: FixedValue | float) -> Any:
        """An assignment from the same format, or from a real constant that the format represents.

        Raises :exc:`TypeError` for another format or a plain value, :exc:`ValueError` for another constant.
        """
        if isinstance(other, (Value, ValueCastable)) and not isinstance(other, FixedValue):
            raise TypeError(f"not a fixed-point value: {other!r}; assign a code of {self._format} to .raw")
        if not isinstance(other, FixedValue):
            other = self._format.const(other)
        if other.format != self._format:
            raise TypeError(f"cannot assign {other.format} to {self._format}: narrow it first")
        return self._value.eq(other.raw)

    def extend(self, format: Format) -> FixedValue:
        """The same number in a format that holds every number of this one.

        Raises :exc:`TypeError` where it does not.
        """
        own = self._format
        room = format.i - own.i - (format.signed and not own.signed)
        if format.f < own.f or room < 0 or (own.signed and not format.signed):
            raise TypeError(f"{format} does not hold every value of {own}")
        return FixedValue(format, _resize(_shift_left(self._value, format.f - own.f), format))

    def wrap(self, format: Format) -> FixedValue:
        """The low bits in a format with the same fraction, for sums that are proven to fit.

        Raises :exc:`TypeError` where the fractions differ.
        """
        if format.f != self._format.f:
            raise TypeError(f"{format} and {self._format} differ in fraction bits")
        return FixedValue(format, _resize(self._value, format))

    def __add__(self, other: FixedValue) -> FixedValue:
        return _sum(self, other, lambda a, b: a + b)

    def __sub__(self, other: FixedValue) -> FixedValue:
        return _sum(self, other, lambda a, b: a - b, signed=True)

    def __mul__(self, other: FixedValue) -> FixedValue:
        a, b = self._format, other.format
        # An unsigned operand gets no sign bit of its own: n by m bits always give n + m.
        product = Format(a.signed or b.signed, a.i + b.i, a.f + b.f)
        return FixedValue(product, _resize(self._value * other.raw, product))

    def __repr__(self) -> str:
        return f"(fixed {self._format} {self._value!r})"


def _resize(value: Value, format: Format) -> Value:
    """``value`` in exactly ``format.width`` bits: sign or zero extend by its own sign, or cut."""
    missing = format.width - len(value)
    if missing <= 0:
        return value[: format.width]
    fill = value[-1].replicate(missing) if value.shape().signed else Const(0, missing)
    return Cat(value, fill)


def _shift_left(value: Value, bits: int) -> Value:
    """``value`` with ``bits`` zeros below it, signed as before."""
    shifted = Cat(Const(0, bits), value)
    return shifted.as_signed() if value.shape().signed else shifted


def _sum(a: FixedValue, b: FixedValue, operation: Any, signed: bool = False) -> FixedValue:
    mixed = a.format.signed != b.format.signed
    i = max(fixed.format.i + (mixed and not fixed.format.signed) for fixed in (a, b)) + 1
    result = Format(signed or a.format.signed or b.format.signed, i, max(a.format.f, b.format.f))
    operands = [_shift_left(fixed.raw, result.f - fixed.format.f) for fixed in (a, b)]
    return FixedValue(result, _resize(operation(*operands), result))


class Narrowed(NamedTuple):
    """What :func:`narrow` gives: the result, and where it did not fit."""

    result: Any
    saturated: Any


def narrow(
    value: Codes | Value | ValueCastable,
    fraction: int,
    format: Format,
    rounding: str,
    overflow: str = "saturate",
    noise: Any = None,
) -> Narrowed:
    """Bring a number with ``fraction`` fraction bits into ``format``, rounding once.

    ``value`` is a numpy integer array (or int) of codes, or an Amaranth value; the result is of the same kind: codes,
    or a :class:`FixedValue`. ``rounding`` and ``overflow`` are :class:`Rounding` and :class:`Overflow`
    or their names. For ``"stochastic"``, ``noise`` holds uniform integers of ``fraction - format.f`` bits.

    The second result says (elementwise, or as one bit) whether the rounded number was outside the format. Raises
    :exc:`ValueError` where noise is wanted and not given.
    """
    rounding, overflow = Rounding(rounding), Overflow(overflow)
    dropped = fraction - format.f
    if rounding is Rounding.STOCHASTIC and dropped > 0 and noise is None:
        raise ValueError("stochastic rounding needs noise")
    if isinstance(value, (Value, ValueCastable)):
        return _narrow_amaranth(Value.cast(value), dropped, format, rounding, overflow, noise)
    return _narrow_numpy(np.asarray(value, dtype=np.int64), dropped, format, rounding, overflow, noise)


def fits(low: int, high: int, fraction: int, format: Format, rounding: str) -> bool:
    """Whether no number from ``low`` to ``high`` (codes with ``fraction`` fraction bits) is outside ``format`` once
    rounded."""
    most = (1 << max(0, fraction - format.f)) - 1  # what stochastic rounding adds; the least is nothing
    bounds, noise = np.array([low, high]), np.array([0, most])
    return not narrow(bounds, fraction, format, rounding, noise=noise).saturated.any()


def rounding_constant(rounding: str, dropped: int) -> int | None:
    """What to add before ``dropped`` bits are cut off, where that is a constant: not for half_even and stochastic."""
    rounding = Rounding(rounding)
    if rounding is Rounding.FLOOR or dropped <= 0:
        return 0
    return 1 << (dropped - 1) if rounding is Rounding.HALF_UP else None


@dataclass(frozen=True)
class CodeNarrowing:
    """What :func:`narrow` does to numpy codes, prepared: for one format, or for one per index of the last axis.

    Rounding and saturating are two steps, so that what was outside can be looked at later, for many values at once.
    """

    left: Codes
    """The bits to shift to the left, where the format has more fraction bits than the value."""
    right: Codes
    """The bits that are dropped."""
    term: Codes
    """What is always added before they are dropped."""
    even: Codes
    """1 where the last kept bit is added too."""
    minimum: Codes
    maximum: Codes

    @classmethod
    def of(cls, dropped: int, format: Format, rounding: str) -> CodeNarrowing:
        """The narrowing of codes with ``format.f + dropped`` fraction bits to ``format``."""
        rounding, cut = Rounding(rounding), dropped > 0
        constants = (
            max(0, -dropped),
            max(0, dropped),
            _rounding_term(rounding, dropped, 0, 0) if cut else 0,
            cut and rounding is Rounding.HALF_EVEN,
            format.minimum,
            format.maximum,
        )
        return cls(*(np.array(constant, dtype=np.int64) for constant in constants))

    @classmethod
    def stack(cls, narrowings: Sequence[CodeNarrowing]) -> CodeNarrowing:
        """The narrowing that does each of ``narrowings`` to one index of the last axis."""
        return cls(*(np.array([getattr(one, field.name) for one in narrowings]) for field in fields(cls)))

    @cached_property
    def _needed(self) -> tuple[bool, bool, bool, bool]:
        return bool(self.left.any()), bool(self.even.any()), bool(self.term.any()), bool(self.right.any())

    def round(self, codes: Codes, noise: Codes | None = None, out: Codes | None = None) -> Codes:
        """Codes with the fraction bits of the format, not yet saturated, written to ``out`` if that is given.

        ``noise`` holds uniform integers of ``right`` bits where rounding is stochastic, and zeros elsewhere.
        """
        left, even, term, right = self._needed
        if left:
            codes = np.left_shift(codes, self.left)
        rounded = codes
        if even:
            rounded = np.add(rounded, (codes >> self.right) & self.even)
        if term:
            rounded = np.add(rounded, self.term)
        if noise is not None:
            rounded = np.add(rounded, noise)
        if right:
            return np.right_shift(rounded, self.right, out=out)
        if out is None:
            return rounded
        out[...] = rounded
        return out

    def saturate(self, rounded: Codes) -> Codes:
        """Rounded codes within the limits of the format."""
        return np.minimum(np.maximum(rounded, self.minimum), self.maximum)

    def outside(self, rounded: Codes) -> npt.NDArray[np.bool_]:
        """Which of the rounded codes are beyond the limits of the format."""
        return (rounded < self.minimum) | (rounded > self.maximum)


def _narrow_numpy(
    codes: Codes, dropped: int, format: Format, rounding: Rounding, overflow: Overflow, noise: Any
) -> Narrowed:
    narrowing = CodeNarrowing.of(dropped, format, rounding)
    rounded = narrowing.round(codes, noise if rounding is Rounding.STOCHASTIC and dropped > 0 else None)
    outside = narrowing.outside(rounded)
    if overflow is Overflow.SATURATE:
        return Narrowed(narrowing.saturate(rounded), outside)
    low = rounded & ((1 << format.width) - 1)
    negative = (low >> (format.width - 1)) & 1 if format.signed else 0
    return Narrowed(low - (negative << format.width), outside)


def _narrow_amaranth(
    value: Value, dropped: int, format: Format, rounding: Rounding, overflow: Overflow, noise: Any
) -> Narrowed:
    if dropped <= 0:
        rounded = _shift_left(value, -dropped)
    else:
        even = value[dropped] if dropped < len(value) else (value[-1] if value.shape().signed else Const(0, 1))
        rounded = value if rounding is Rounding.FLOOR else value + _rounding_term(rounding, dropped, even, noise)
        rounded = rounded >> dropped
    bits = format.width
    low = rounded[:bits] if len(rounded) >= bits else _resize(rounded, format)
    # Outside where the bits above the format are not all copies of its sign (or, unsigned, not all zero).
    negative = rounded[-1] if rounded.shape().signed else Const(0, 1)
    above = rounded[bits - format.signed :]
    outside = (above != negative.replicate(len(above))) | (negative & (not format.signed))
    if overflow is Overflow.WRAP:
        return Narrowed(FixedValue(format, low), outside)
    limit = Mux(negative, Const(format.minimum & ((1 << bits) - 1), bits), Const(format.maximum, bits))
    return Narrowed(FixedValue(format, Mux(outside, limit, low)), outside)


def _rounding_term(rounding: Rounding, dropped: int, even: Any, noise: Any) -> Any:
    """What is added before the dropped bits are cut off; ``even`` is the last kept bit."""
    if rounding is Rounding.FLOOR:
        return 0
    if rounding is Rounding.HALF_UP:
        return 1 << (dropped - 1)
    if rounding is Rounding.HALF_EVEN:
        return even + ((1 << (dropped - 1)) - 1)
    return noise
