"""Every format, width and constant that follows from a spec: the one integer specification.

The integer model and the hardware both take their numbers from here and from nowhere else. A format that the user
did not set gets its default from :func:`default_formats`; the exact sums between two rounding points get the width
that their operands can reach, from :class:`LayerArithmetic`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import ceil, log2

import numpy as np
import numpy.typing as npt

from ..arrays import as_array
from ..errors import InputError
from ..numeric.bits import bits_for, clog2
from ..numeric.fixed import SQ, UQ, Codes, Format, fits, narrow
from ..numeric.spline import Locator, basis_table, derivative_table
from .fields import LearnerFields
from .linear_arithmetic import LinearArithmetic, linear_rates_of

# The narrower of the multipliers of ECP5 (MULT18X18D: 18 x 18) and iCE40 (SB_MAC16: 16 x 16).
MULTIPLIER_WIDTH = 16


def _bounds(format: Format) -> tuple[int, int]:
    return format.minimum, format.maximum


def _exponent(value: float | Fraction) -> int:
    """The least integer ``e`` with ``value <= 2**e``."""
    return ceil(log2(value))


def banks_for(spline_order: int) -> int:
    """The memories that the coefficients of an edge are dealt to: a power of two of at least ``spline_order + 1``."""
    return 1 << clog2(spline_order + 1)


@dataclass(frozen=True)
class Formats:
    """The formats where a value is narrowed; between two of them nothing is lost."""

    activation: Format
    """Inputs, outputs of every layer, and targets."""
    coefficient: Format
    basis: Format
    """Rows of the basis table; unsigned."""
    slope: Format
    """The derivative of an edge, d phi / dx; hidden layers only."""
    gradient: Format
    """dL/dy of a node."""
    step: Format
    """Learning rate times basis: what a coefficient moves by for a gradient of one; unsigned.

    Not learning rate times gradient: that would wait for the gradient, and then make the coefficients wait."""
    learning_rate: Format
    """The learning rate registers; unsigned."""
    linear_rate: Format | None = None
    """The registers of the linear paths' rates; unsigned. None where no layer has a linear path."""
    linear_step: Format | None = None
    """Rate of a linear path times x: what w moves by for a gradient of one. None as for the rate."""


def _rate_format(rates: Sequence[float]) -> Format:
    """From 0 to at least just below twice the largest rate, with at least five significant bits for the smallest."""
    return UQ(max(0, _exponent(2 * max(rates))), max(4, 5 - _exponent(min(rates))))


def default_formats(
    grid_ranges: Sequence[tuple[float, float]],
    learning_rates: Sequence[float],
    given: dict[str, Format],
    linear_rates: Sequence[float] = (),
) -> Formats:
    """The formats given by the user, and for the others 16 bits (one operand of a small FPGA's multiplier).

    - activation: holds the grid with at least a factor of two to spare, and at least SQ(6, 10);
    - coefficient: as activation;
    - basis: half the bits of a coefficient, and at least 9 below one;
    - slope, gradient: the integer bits of coefficient and activation, filled up with fraction bits;
    - learning_rate: from 0 to at least just below twice the largest rate, with at least five significant bits for the
      smallest: it is multiplied by in logic;
    - step: the integer bits of the learning rate, and the fraction of the basis with as many bits more as the smallest
      rate shifts it down, within 16 bits;
    - linear_rate: as learning_rate, of the ``linear_rates`` of the layers that have a linear path;
    - linear_step: holds twice the largest of these rates times any activation, and the fraction of an activation with
      as many bits more as the smallest rate shifts it down, within 16 bits.
    """

    def filled(i: int, least_fraction: int = 0) -> Format:
        i = max(1, i)  # an unsigned format that was given may have none; it is refused once all are known
        return SQ(i, max(least_fraction, MULTIPLIER_WIDTH - i))

    reach = max(abs(bound) for pair in grid_ranges for bound in pair)
    activation = given.get("activation") or filled(max(6, _exponent(reach) + 2))
    coefficient = given.get("coefficient") or activation
    gradient = given.get("gradient") or filled(activation.i, activation.f)
    smallest = min(learning_rates)
    rate = given.get("learning_rate") or _rate_format(learning_rates)
    basis = given.get("basis") or UQ(1, max(9, coefficient.width // 2))
    step_fraction = min(basis.f - min(0, _exponent(smallest)), max(basis.f, MULTIPLIER_WIDTH - rate.i))
    linear_rate = linear_step = None
    if linear_rates:
        linear_rate = given.get("linear_rate") or _rate_format(linear_rates)
        i = max(1, activation.i + _exponent(2 * max(linear_rates)))
        fraction = min(activation.f - min(0, _exponent(min(linear_rates))), max(0, MULTIPLIER_WIDTH - i))
        linear_step = given.get("linear_step") or SQ(i, fraction)
    return Formats(
        activation=activation,
        coefficient=coefficient,
        basis=basis,
        slope=given.get("slope") or filled(coefficient.i, coefficient.f),
        gradient=gradient,
        step=given.get("step") or UQ(rate.i, step_fraction),
        learning_rate=rate,
        linear_rate=linear_rate,
        linear_step=linear_step,
    )


@dataclass(frozen=True)
class LayerArithmetic:
    """The arithmetic of one layer: sizes, tables, constants, and the exact format of every sum.

    ``n_in`` inputs and ``n_out`` nodes; each edge has ``bases = grid_size + spline_order`` coefficients, of which
    the ``spline_order + 1`` of the window ``[cell, cell + spline_order]`` take part in a sample. On a ``periodic`` grid
    it has ``grid_size``, and the window is modulo that. With ``linear`` there is one more, w, behind them, which takes
    part in every sample.
    """

    n_in: int
    n_out: int
    modulation: int
    """How many numbers of an input its curves are multiplied by: 0, 1, or 2 with complex edges."""
    grid_min: float
    grid_max: float
    grid_size: int
    periodic: bool
    spline_order: int
    table_size: int
    learning_rate: float
    formats: Formats
    linear: LinearArithmetic | None = None

    @property
    def bases(self) -> int:
        """Bases of an edge, each with a coefficient."""
        return self.grid_size if self.periodic else self.grid_size + self.spline_order

    @property
    def coefficients(self) -> int:
        """Coefficients of an edge: of its bases, and w behind them where it has a linear path."""
        return self.bases + (self.linear is not None)

    @property
    def lanes(self) -> int:
        """Noise lanes: of every edge one for each bank; behind them, with a linear path, one for each edge's w."""
        return self.n_out * self.n_in * (self.banks + (self.linear is not None))

    @property
    def window(self) -> int:
        """Non-zero bases at a point."""
        return self.spline_order + 1

    @property
    def banks(self) -> int:
        """Memories that an edge's coefficients are dealt to in turn, so that a window is read in one cycle."""
        return banks_for(self.spline_order)

    @property
    def depth(self) -> int:
        """Rows of a bank; the last window may reach into the row after the last coefficient, and on a periodic grid it
        goes on in the first."""
        if self.periodic:
            return self.grid_size // self.banks
        return (self.grid_size - 1 + self.banks - 1) // self.banks + 1

    @property
    def cell_width(self) -> Fraction:
        """Width h of a grid cell in units of x."""
        return (Fraction(self.grid_max) - Fraction(self.grid_min)) / self.grid_size

    @cached_property
    def locator(self) -> Locator:
        """How an input becomes a cell and a row of the tables."""
        return Locator.of(
            Fraction(self.grid_min),
            Fraction(self.grid_max),
            self.grid_size,
            self.table_size,
            self.formats.activation,
            periodic=self.periodic,
        )

    @cached_property
    def derivative(self) -> Format:
        """Format of the derivative table: as many significant bits as the basis has (-1 <= db_j/du <= 1)."""
        exponent = _exponent(1 / self.cell_width)
        return SQ(max(1, exponent + 2), max(0, self.formats.basis.f - exponent))

    @property
    def basis_table(self) -> Codes:
        """Shape ``(table_size, window)``, codes in ``formats.basis``."""
        return basis_table(self.spline_order, self.table_size, self.formats.basis.f)

    @property
    def derivative_table(self) -> Codes:
        """Shape ``(table_size, window)``, codes in :attr:`derivative`."""
        return derivative_table(self.spline_order, self.table_size, self.derivative.f, self.cell_width)

    @property
    def learning_rate_code(self) -> int:
        """The initial content of the learning rate register."""
        return int(self.formats.learning_rate.quantise(self.learning_rate))

    @property
    def position(self) -> Format:
        """Place in the grid in table steps, before its fraction is cut off: what :attr:`locator` computes."""
        locator, activation = self.locator, self.formats.activation
        reach = max(abs(x * locator.scale + locator.offset) for x in (activation.minimum, activation.maximum))
        return SQ(max(1, bits_for(reach) + 1 - locator.shift), locator.shift)

    @property
    def edge_sum(self) -> Format:
        """phi(x): the bases sum to one, so its spline spans what one coefficient spans."""
        coefficient, basis = self.formats.coefficient, self.formats.basis
        if self.linear:  # the product is half of what its integer bits can hold: there is room for the spline
            return SQ(self.linear.product.i, max(coefficient.f + basis.f, self.linear.product.f))
        return SQ(coefficient.i, coefficient.f + basis.f)

    @property
    def edge_bounds(self) -> tuple[int, int]:
        """The lowest and the highest phi(x), in codes of :attr:`edge_sum`."""
        more = self.edge_sum.f - self.formats.coefficient.f
        lowest, highest = (bound << more for bound in _bounds(self.formats.coefficient))
        if self.linear:
            least, most = (bound << self.edge_sum.f - self.linear.product.f for bound in self.linear.product_bounds)
            lowest, highest = lowest + least, highest + most
        return lowest, highest

    @property
    def inputs(self) -> int:
        """Numbers that the layer takes: of a modulated input those that multiply come first, then that of the grid."""
        return self.n_in * (1 + self.modulation)

    @property
    def terms(self) -> int:
        """Terms of a node's sum: edges, or products of curves."""
        return self.n_in * max(1, self.modulation)

    @property
    def node_sum(self) -> Format:
        """The sum of a node's edges, exact.

        Of modulated edges those are products of an input and a curve, that is an edge's sum rounded to the format of
        coefficients: the bases sum to one, so that it fits.
        """
        if self.modulation:
            u, curve = self.formats.activation, self.formats.coefficient
            return SQ(u.i + curve.i + clog2(self.terms), u.f + curve.f)
        return SQ(self.edge_sum.i + clog2(self.n_in), self.edge_sum.f)

    @property
    def node_bounds(self) -> tuple[int, int]:
        """The lowest and the highest node_sum, in its codes."""
        lowest, highest = self.edge_bounds
        if self.modulation:
            lowest, highest = _bounds(self.formats.coefficient)
            products = [curve * u for curve in (lowest, highest) for u in _bounds(self.formats.activation)]
            lowest, highest = min(products), max(products)
            if self.modulation == 2:  # a sum of two products, or a difference
                lowest, highest = lowest + min(lowest, -highest), highest + max(highest, -lowest)
            return self.n_in * lowest, self.n_in * highest
        return self.n_in * lowest, self.n_in * highest

    @property
    def turned_sum(self) -> Format:
        """dL/dy times the input that multiplies an edge's curve, exact; of complex edges a sum of two products."""
        gradient, u = self.formats.gradient, self.formats.activation
        return SQ(gradient.i + u.i + clog2(max(1, self.modulation)), gradient.f + u.f)

    @property
    def error_sum(self) -> Format:
        """Node sum minus target, exact."""
        activation = self.formats.activation
        return SQ(max(self.node_sum.i, activation.i) + 1, max(self.node_sum.f, activation.f))

    @property
    def slope_row(self) -> int:
        """The largest sum of what coefficients are multiplied by in a slope, in absolute values and codes of
        :attr:`derivative`: a row of its table, and one for w."""
        row = int(np.abs(self.derivative_table).sum(axis=1).max())
        return row + (1 << self.derivative.f if self.linear else 0)

    @cached_property
    def slope_sum(self) -> Format:
        """sum_j c_j dB_j/dx, and w, exact; see :attr:`slope_row`."""
        coefficient = self.formats.coefficient
        width = coefficient.width + bits_for(self.slope_row)
        fraction = coefficient.f + self.derivative.f
        return SQ(max(1, width - fraction), fraction)

    @property
    def downstream_sum(self) -> Format:
        """sum_o dL/dy_o * d phi_o,i / dx, exact."""
        gradient, slope = self.formats.gradient, self.formats.slope
        return SQ(gradient.i + slope.i + clog2(self.n_out), gradient.f + slope.f)

    @property
    def step_product(self) -> Format:
        """learning rate * b_j, exact."""
        basis, rate = self.formats.basis, self.formats.learning_rate
        return UQ(basis.i + rate.i, basis.f + rate.f)

    @property
    def update_product(self) -> Format:
        """dL/dy * step_j, exact."""
        step, gradient = self.formats.step, self.formats.gradient
        return SQ(step.i + gradient.i, step.f + gradient.f)

    @property
    def update_sum(self) -> Format:
        """coefficient - dL/dy * step_j, exact."""
        product, coefficient = self.update_product, self.formats.coefficient
        return SQ(max(product.i, coefficient.i) + 1, max(product.f, coefficient.f))

    def move(self, rounding: str) -> Format:
        """What a coefficient changes by, in its own fraction bits, where rounding depends on nothing but that."""
        coefficient, gradient, step = self.formats.coefficient, self.formats.gradient, self.formats.step
        exact = self.formats.learning_rate.maximum * int(self.basis_table.max())
        largest_step = int(narrow(np.array(exact), self.step_product.f, step, rounding).result)
        # Rounding adds less than one to its size, whatever its kind.
        largest = (-gradient.minimum * largest_step >> self.noise_bits) + 1
        return SQ(bits_for(largest) + 1 - coefficient.f, coefficient.f)

    @property
    def noise_bits(self) -> int:
        """Bits that an update drops, and so bits of noise that stochastic rounding takes."""
        return max(0, self.update_product.f - self.formats.coefficient.f)

    def saturating(self, rounding: str, *, hidden: bool) -> frozenset[str]:
        """The kinds of value (:data:`kanrtl.learner.address_map.SATURATIONS`) that can saturate in this layer, whatever
        the loss; ``hidden``: whether another layer is before it."""
        formats = self.formats
        lowest, highest = self.node_bounds
        largest_step = formats.learning_rate.maximum * int(self.basis_table.max())
        kinds = {"coefficient"} | ({"gradient"} if self.modulation else set())
        if not fits(lowest, highest, self.node_sum.f, formats.activation, rounding):
            kinds.add("activation")
        if not fits(0, largest_step, self.step_product.f, formats.step, rounding) or (
            self.linear and self.linear.saturates_step(rounding)
        ):
            kinds.add("step")
        if hidden:
            slope = formats.coefficient.minimum * self.slope_row
            if not fits(slope, -slope, self.slope_sum.f, formats.slope, rounding):
                kinds.add("slope")
            kinds.add("gradient")
        return frozenset(kinds)

    @property
    def error_bounds(self) -> tuple[int, int]:
        """The lowest and highest error_sum, in its codes."""
        activation = self.formats.activation
        total, target = self.error_sum.f - self.node_sum.f, self.error_sum.f - activation.f
        sums = [bound << total for bound in self.node_bounds]
        return sums[0] - (activation.maximum << target), sums[1] - (activation.minimum << target)

    def exact_formats(self) -> dict[str, Format]:
        """Name and format of every exact sum and product."""
        forward = ("position", "edge_sum", "node_sum", "error_sum")
        backward: tuple[str, ...] = ("step_product", "update_product", "update_sum", "slope_sum", "downstream_sum")
        if self.modulation:
            backward = ("turned_sum", *backward)
        linear = self.linear.exact_formats() if self.linear else {}
        return {name: getattr(self, name) for name in (*forward, *backward)} | linear


def layers_of(spec: LearnerFields, formats: Formats) -> tuple[LayerArithmetic, ...]:
    """The arithmetic of every layer of a spec, first layer first."""
    return tuple(
        LayerArithmetic(
            n_in=n_in,
            n_out=n_out,
            modulation=0 if index else spec.modulation,
            grid_min=grid_range[0],
            grid_max=grid_range[1],
            grid_size=grid_size,
            periodic=periodic,
            spline_order=spline_order,
            table_size=spec.table_size,
            learning_rate=learning_rate,
            formats=formats,
            linear=None if linear_rate is None else _linear_of(formats, linear_rate),
        )
        for index, n_in, n_out, grid_range, grid_size, periodic, spline_order, learning_rate, linear_rate in zip(
            range(spec.n_layers),
            spec.layer_sizes[:-1],
            spec.layer_sizes[1:],
            spec.per_layer("grid_range"),
            spec.per_layer("grid_size"),
            spec.per_layer("periodic"),
            spec.per_layer("spline_order"),
            spec.per_layer("learning_rate"),
            linear_rates_of(spec),
            strict=True,
        )
    )


def _linear_of(formats: Formats, linear_rate: float) -> LinearArithmetic:
    assert formats.linear_rate, "a spec with a linear path has its formats"
    assert formats.linear_step, "a spec with a linear path has its formats"
    return LinearArithmetic(
        linear_rate,
        formats.activation,
        formats.coefficient,
        formats.gradient,
        formats.linear_rate,
        formats.linear_step,
    )


def checked_coefficients(layers: Sequence[LayerArithmetic], coefficients: Sequence[npt.ArrayLike]) -> list[Codes]:
    """``coefficients`` as the codes of a learner, one array ``(n_out, n_in, coefficients)`` per layer; raises
    :exc:`InputError` if they are not."""
    shapes = [(layer.n_out, layer.n_in, layer.coefficients) for layer in layers]
    if not isinstance(coefficients, (list, tuple)) or len(coefficients) != len(shapes):
        raise InputError(f"coefficients: give a list of arrays, one for each layer, here {len(shapes)}")
    format = layers[0].formats.coefficient
    checked = []
    for index, (given, shape) in enumerate(zip(coefficients, shapes, strict=True)):
        codes = as_array(f"coefficients[{index}]", given, f"shape {shape}")
        if codes.shape != shape:
            raise InputError(f"coefficients[{index}]: shape {codes.shape}; must be {shape}")
        if codes.dtype.kind not in "iu":
            raise InputError(f"coefficients[{index}]: type {codes.dtype}; give integer codes (Format.quantise)")
        if codes.min() < format.minimum or codes.max() > format.maximum:
            raise InputError(
                f"coefficients[{index}]: codes from {codes.min()} to {codes.max()} do not fit {format} "
                f"({format.minimum} to {format.maximum})"
            )
        checked.append(codes.astype(np.int64))
    return checked
