"""The arithmetic of a sum of weighted features: one layer of a baseline, its formats, and what the model does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from ..learner.formats import MULTIPLIER_WIDTH, exponent
from ..numeric.bits import clog2
from ..numeric.fixed import SQ, CodeNarrowing, Codes, Format, Narrowed


def reach_of(bounds: tuple[float, float]) -> int:
    """The least integer ``e`` such that the bounds lie within -2^e and 2^e."""
    return exponent(max(abs(bound) for bound in bounds))


def fill_width(i: int, width: int = MULTIPLIER_WIDTH) -> Format:
    """The signed format with ``i`` integer bits that has ``width`` bits, or where it needs more, no fraction."""
    return SQ(i, max(0, width - i))


def align(codes: Codes, fraction: int, wanted: int) -> Codes:
    """Codes with ``fraction`` fraction bits as codes of the same numbers with ``wanted``, which are not fewer."""
    return codes << (wanted - fraction)


_find_narrowing = cache(CodeNarrowing.of)


def narrow_codes(codes: Codes | np.int64, fraction: int, format: Format, rounding: str) -> Narrowed:
    """As :func:`kanrtl.numeric.fixed.narrow`, of codes, saturating; what it does is worked out once."""
    narrowing = _find_narrowing(fraction - format.f, format, rounding)
    rounded = narrowing.round(np.asarray(codes))
    return Narrowed(narrowing.saturate(rounded), narrowing.outside(rounded))


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

    def factors(self, weights: Codes) -> Codes:
        """What is multiplied of weights ``(n_out, n_in + 1)``."""
        return weights >> self.guard_bits

    def add(self, weights: Codes, features: Codes) -> Codes:
        """The exact sums ``(n_out,)``, of weights ``(n_out, n_in + 1)``, whose last are the biases, and of features
        ``(n_in,)``."""
        factors = self.factors(weights)
        return factors[:, :-1] @ features + (factors[:, -1] << self.feature.f)

    def change(self, weights: Codes, features: Codes, steps: Codes, rounding: str) -> Narrowed:
        """The weights after a step ``(n_out,)``, and which of them saturate."""
        fraction = self.update_fraction
        ones = np.append(features, 1 << self.feature.f)
        change = align(np.multiply.outer(steps, ones), self.step.f + self.feature.f, fraction)
        exact = align(weights, self.coefficient.f, fraction) - change
        return narrow_codes(exact, fraction, self.coefficient, rounding)
