"""The arithmetic of linear paths: w x beside the spline of an edge, and what w is changed by."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, log2

from ..numeric.bits import bits_for
from ..numeric.fixed import SQ, Format, fits
from .fields import LearnerFields


def _extremes(format: Format) -> tuple[int, int]:
    return format.minimum, format.maximum


def default_linear_rate(learning_rate: float, grid_range: tuple[float, float]) -> float:
    """The rate of a linear path that is stable beside the layer's learning rate.

    At the grid's reach R a step of w moves an edge by R^2 times its rate, and a step of the other coefficients by at
    most the learning rate: the rate is that over max(1, R^2), rounded down to a power of two.
    """
    reach = max(abs(Fraction(bound)) for bound in grid_range)
    exact = Fraction(learning_rate) / max(Fraction(1), reach * reach)
    return 2.0 ** -ceil(log2(1 / exact))


def linear_rates_of(spec: LearnerFields) -> tuple[float | None, ...]:
    """For every layer the rate of its linear path, given or derived; None where it has none."""
    given = spec.per_layer("linear_rate")
    return tuple(
        None if not linear else default_linear_rate(learning_rate, grid_range) if rate is None else rate
        for linear, rate, learning_rate, grid_range in zip(
            spec.per_layer("linear"), given, spec.per_layer("learning_rate"), spec.per_layer("grid_range"), strict=True
        )
    )


@dataclass(frozen=True)
class LinearArithmetic:
    """The arithmetic of a layer's linear paths: an edge is ``w x`` beside its spline, with x as it came in.

    Its names are those of :class:`LayerArithmetic` for the other coefficients.
    """

    linear_rate: float
    input: Format
    coefficient: Format
    gradient: Format
    rate: Format
    step: Format

    @property
    def rate_code(self) -> int:
        """The initial content of the rate's register."""
        return int(self.rate.quantise(self.linear_rate))

    @property
    def product(self) -> Format:
        """w x, exact."""
        return SQ(self.coefficient.i + self.input.i, self.coefficient.f + self.input.f)

    @property
    def product_bounds(self) -> tuple[int, int]:
        """The lowest and the highest product, in its codes."""
        products = [a * b for a in _extremes(self.coefficient) for b in _extremes(self.input)]
        return min(products), max(products)

    @property
    def step_product(self) -> Format:
        """rate * x, exact."""
        return SQ(self.input.i + self.rate.i, self.input.f + self.rate.f)

    @property
    def update_product(self) -> Format:
        """dL/dy * step, exact."""
        return SQ(self.step.i + self.gradient.i, self.step.f + self.gradient.f)

    @property
    def update_sum(self) -> Format:
        """w - dL/dy * step, exact."""
        product = self.update_product
        return SQ(max(product.i, self.coefficient.i) + 1, max(product.f, self.coefficient.f))

    @property
    def noise_bits(self) -> int:
        """Bits that an update drops, and so bits of noise that stochastic rounding takes."""
        return max(0, self.update_product.f - self.coefficient.f)

    def move(self, _rounding: str) -> Format:
        """What w changes by, in its own fraction bits, where rounding depends on nothing but that."""
        # Rounding adds less than one to its size, whatever its kind.
        largest = (self.gradient.minimum * self.step.minimum >> self.noise_bits) + 1
        return SQ(bits_for(largest) + 1 - self.coefficient.f, self.coefficient.f)

    def saturates_step(self, rounding: str) -> bool:
        """Whether a step may not fit its format."""
        lowest, highest = (bound * self.rate.maximum for bound in _extremes(self.input))
        return not fits(lowest, highest, self.step_product.f, self.step, rounding)

    def exact_formats(self) -> dict[str, Format]:
        """Name and format of every exact sum and product."""
        return {
            "linear_product": self.product,
            "linear_step_product": self.step_product,
            "linear_update_product": self.update_product,
            "linear_update_sum": self.update_sum,
        }
