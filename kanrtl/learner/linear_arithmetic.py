"""The arithmetic of linear paths: w x beside the spline of an edge, and what w is changed by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from ..numeric.bits import bits_for
from ..numeric.fixed import SQ, Format, fits
from ..numeric.lfsr import WIDTH as NOISE_WIDTH
from .formats import Formats, input_shift


def _extremes(format: Format) -> tuple[int, int]:
    return format.minimum, format.maximum


@dataclass(frozen=True)
class LinearArithmetic:
    """The arithmetic of a layer's linear paths: an edge is ``w x`` beside its spline, with x as it came in, times
    ``2**input_shift``.

    Its names are those of :class:`LayerArithmetic` for the other coefficients.
    """

    linear_rate: float
    input_shift: int
    """Brings the grid's reach to between 1/4 and 16, where w, its rate and its step have bits enough."""
    input: Format
    """The layer's input times that power of two: the same code, read otherwise."""
    factor: Format
    coefficient: Format
    gradient: Format
    rate: Format
    step: Format
    leak: int
    """As :attr:`.LayerArithmetic.leak`."""

    @classmethod
    def of(cls, formats: Formats, linear_rate: float, grid_range: tuple[float, float], leak: int) -> Self:
        """The arithmetic for a layer's formats, rate, grid and leak."""
        assert formats.linear_rate, "a spec with a linear path has its formats"
        assert formats.linear_step, "a spec with a linear path has its formats"
        shift = input_shift(grid_range, formats.input)
        return cls(
            linear_rate,
            shift,
            SQ(formats.input.i + shift, formats.input.f - shift),
            formats.factor,
            formats.coefficient,
            formats.gradient,
            formats.linear_rate,
            formats.linear_step,
            leak,
        )

    @property
    def rate_code(self) -> int:
        """The initial content of the rate's register."""
        return int(self.rate.quantise(self.linear_rate))

    @property
    def product(self) -> Format:
        """w x, exact."""
        return SQ(self.factor.i + self.input.i, self.factor.f + self.input.f)

    @property
    def product_bounds(self) -> tuple[int, int]:
        """The lowest and the highest product, in its codes."""
        products = [a * b for a in _extremes(self.factor) for b in _extremes(self.input)]
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
        """w - dL/dy * step, exact; with a leak, less that part of w too."""
        product = self.update_product
        return SQ(max(product.i, self.coefficient.i) + 1, max(product.f, self.coefficient.f + self.leak))

    @property
    def dropped_bits(self) -> int:
        """Bits that an update drops."""
        return self.update_sum.f - self.coefficient.f

    @property
    def noise_bits(self) -> int:
        """Bits of noise that stochastic rounding adds, as :attr:`.LayerArithmetic.noise_bits`."""
        return min(NOISE_WIDTH, self.dropped_bits)

    def move(self, _rounding: str) -> Format:
        """What w changes by, in its own fraction bits, where rounding depends on nothing but that."""
        # Rounding adds less than one to its size, whatever its kind.
        dropped = max(0, self.update_product.f - self.coefficient.f)
        largest = (self.gradient.minimum * self.step.minimum >> dropped) + 1
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
