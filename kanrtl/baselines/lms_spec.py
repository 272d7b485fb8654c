"""The description of an LMS filter, linear or of a polynomial, and of how its step is normalised."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import comb
from typing import ClassVar

import numpy as np

from ..errors import SpecError
from ..numeric.bits import bits_for
from ..numeric.fixed import SQ, UQ, Codes, Format
from .baseline_spec import BaselineSpec, BaselineTiming
from .polynomial import Product, find_products
from .sum_arithmetic import SumArithmetic

RECIPROCAL_BITS, RECIPROCAL_ROWS = 8, 16
"""The table of reciprocals: its rows are sampled at the middle, which is 3 % off at most."""

ENERGY_FRACTION = 12

MOST_STEP_BITS = 15
"""Unsigned, so that with a sign it is one operand of an iCE40's multiplier."""

MOST_DEGREE = 9


@dataclass(frozen=True, kw_only=True)
class LmsSpec(BaselineSpec):
    """A sum of weighted features that learns by the LMS rule (Widrow and Hoff, 1960), normalised or not; immutable.

    y = b + sum_k w_k f_k, e = y - target, w_k <- w_k - mu e f_k, b <- b - mu e. The features are the inputs; with
    ``degree`` above 1 also their powers, which makes it a Volterra or Hammerstein filter. The parameters not described
    here are those of :class:`.BaselineSpec`.

    Parameters
    ----------
    degree
        The highest power of an input.
    polynomials
        ``"chebyshev"``, which are nearly orthogonal, so that LMS converges much faster, or ``"powers"``. Either takes
        one multiplier for each.
    mixed
        Whether there are products of different inputs, up to ``degree`` in all.
    normalisation
        ``"none"``: mu is the learning rate. ``"power_of_two"``: it is the learning rate times the largest power of two
        that is less than 1 / E, with E = 1 + sum_k f_k^2, the squared norm of features and bias: no more than a shift
        (Bershad, "Analysis of the normalized LMS algorithm with Gaussian inputs", IEEE Trans. ASSP 34, 1986, has the
        normalised rule; the power of two is between its step and half of it). ``"table"``: learning rate / E, with the
        reciprocal of the leading bits of E from a table of 16 rows: NLMS (Haykin, Adaptive Filter Theory, section 6.1),
        whose step is 3 % off at most, and as its size is rounded to 15 bits.
    """

    STAGES: ClassVar[tuple[str, ...]] = ("features", "sum", "error", "step")

    degree: int = 1
    polynomials: str = "chebyshev"
    mixed: bool = False
    normalisation: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integer("degree", 1, MOST_DEGREE)
        self.check_choice("polynomials", ("chebyshev", "powers"))
        self.check_choice("normalisation", ("none", "power_of_two", "table"))
        if not isinstance(self.mixed, (bool, np.bool_)):
            raise SpecError.of("mixed", self.mixed, "must be true or false")
        object.__setattr__(self, "mixed", bool(self.mixed))
        self.check_weights(("n_in", "n_out", *(("degree", "mixed") if self.degree > 1 else ())))

    @cached_property
    def products(self) -> tuple[Product, ...]:
        """What the features are besides the inputs."""
        chebyshev = self.polynomials == "chebyshev"
        return find_products(self.n_in, self.degree, chebyshev=chebyshev, mixed=self.mixed)

    @property
    def n_features(self) -> int:
        """Inputs and products."""
        # Not by the products, which may be far too many to be listed.
        return comb(self.n_in + self.degree, self.degree) - 1 if self.mixed else self.n_in * self.degree

    @property
    def levels(self) -> int:
        """Multiplications one after the other until the last feature is there."""
        return max((product.level for product in self.products), default=0)

    @property
    def feature_format(self) -> Format:
        """Features: where there are products, with a bit to spare, as they round to one and beyond."""
        return self.unit_format if self.degree == 1 else SQ(2, self.unit_format.width - 2)

    @property
    def sums(self) -> tuple[SumArithmetic, ...]:
        formats = (self.feature_format, self.factor_format, self.coefficient_format, self.step_format)
        return (SumArithmetic(self.n_features, self.n_out, *formats),)

    @property
    def energy_format(self) -> Format:
        """E, the squared norm of features and bias, cut to :data:`ENERGY_FRACTION` fraction bits."""
        # A feature's square may be a little more than one.
        return UQ(bits_for(self.n_features + 2), ENERGY_FRACTION)

    @property
    def step_size_format(self) -> Format:
        """Learning rate over E."""
        rate = self.rate_register.format
        if self.normalisation == "none":
            return rate
        return UQ(rate.i, max(rate.f, min(rate.f + self.energy_format.i, MOST_STEP_BITS - rate.i)))

    @property
    def reciprocals(self) -> Codes:
        """The table: for each row of leading bits of m in [1, 2), 1 / m with :data:`RECIPROCAL_BITS` fraction bits."""
        middles = 1 + (np.arange(RECIPROCAL_ROWS) + 0.5) / RECIPROCAL_ROWS
        return UQ(0, RECIPROCAL_BITS).quantise(1 / middles)

    @property
    def timing(self) -> BaselineTiming:
        prediction = 1 + self.ends("features") * self.levels + self.ends("sum")
        return BaselineTiming(prediction, prediction + self.ends("error", "step"))
