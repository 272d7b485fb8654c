"""The arithmetic of a sum of weighted features: one layer of a baseline, its formats, and what the model does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from ..learner.formats import MULTIPLIER_WIDTH, exponent
from ..numeric.bits import clog2
from ..numeric.fixed import SQ, Format, Rounding


def reach_of(bounds: tuple[float, float]) -> int:
    """The least integer ``e`` such that the bounds lie within -2^e and 2^e."""
    return exponent(max(abs(bound) for bound in bounds))


def fill_width(i: int, width: int = MULTIPLIER_WIDTH) -> Format:
    """The signed format with ``i`` integer bits that has ``width`` bits, or where it needs more, no fraction."""
    return SQ(i, max(0, width - i))


Narrowing = Callable[[int], tuple[int, bool]]
"""Rounds and saturates a code; gives the new one, and whether it did not fit."""


@cache
def find_narrowing(dropped: int, format: Format, rounding: str) -> Narrowing:
    """What :func:`kanrtl.numeric.fixed.narrow` does to one code with ``format.f + dropped`` fraction bits.

    In plain integers, as arrays of a few numbers take twenty times as long.
    """
    low, high, left, right = format.minimum, format.maximum, max(0, -dropped), max(0, dropped)
    even = right and rounding == Rounding.HALF_EVEN
    term = ((1 << right - 1) - (1 if even else 0)) if right and rounding != Rounding.FLOOR else 0

    def narrow_code(code: int) -> tuple[int, bool]:
        code <<= left
        code = (code + term + (code >> right & 1 if even else 0)) >> right
        if low <= code <= high:
            return code, False
        return (low if code < low else high), True

    return narrow_code


Rows = list[list[int]]
"""Codes of weights: for each sum those of its features, and then its bias."""


@dataclass(frozen=True)
class SumArithmetic:
    """A layer y_o = b_o + sum_k w[o,k] f_k, and its steps w[o,k] <- w[o,k] - h_o f_k and b_o <- b_o - h_o.

    The sum is exact. A weight is narrowed once, as it is written; what is multiplied are its high bits, the factor.

    Attributes
    ----------
    n_in, n_out
        Features and sums.
    feature, factor, coefficient, step
        The formats of f, of what is multiplied of a weight, of a weight, and of h.
    """

    n_in: int
    n_out: int
    feature: Format
    factor: Format
    coefficient: Format
    step: Format

    @property
    def total(self) -> Format:
        """The format of the exact sums."""
        i = self.factor.i + self.feature.i + clog2(self.n_in + 1)
        return SQ(i, self.factor.f + self.feature.f)

    @property
    def guard_bits(self) -> int:
        """Bits of a weight below its factor."""
        return self.coefficient.f - self.factor.f

    @property
    def weights(self) -> int:
        """How many weights there are, biases included."""
        return self.n_out * (self.n_in + 1)

    @property
    def update_fraction(self) -> int:
        """Fraction bits of a weight less what it is changed by, before it is narrowed."""
        return max(self.coefficient.f, self.step.f + self.feature.f)

    def add(self, weights: Rows, features: Sequence[int]) -> list[int]:
        """The exact sums, of weights and of features."""
        guard, bias = self.guard_bits, self.feature.f
        return [
            sum([(weight >> guard) * feature for weight, feature in zip(row, features, strict=False)])
            + (row[-1] >> guard << bias)
            for row in weights
        ]

    def change(self, weights: Rows, features: Sequence[int], steps: Sequence[int], rounding: str) -> tuple[Rows, bool]:
        """The weights after a step, and whether any saturates."""
        fraction = self.update_fraction
        up, down = fraction - self.coefficient.f, fraction - self.step.f - self.feature.f
        narrow_code = find_narrowing(up, self.coefficient, rounding)
        factors = [feature << down for feature in (*features, 1 << self.feature.f)]
        saturates, changed = False, []
        for row, step in zip(weights, steps, strict=True):
            found = [narrow_code((weight << up) - step * factor) for weight, factor in zip(row, factors, strict=True)]
            saturates |= any(outside for _, outside in found)
            changed.append([code for code, _ in found])
        return changed, saturates
