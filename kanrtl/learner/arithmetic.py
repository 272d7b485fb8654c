"""Every format, width and constant that follows from a spec: the one integer specification.

The integer model and the hardware both take their numbers from here and from nowhere else. Formats come from
:mod:`.formats`; the exact sums between two rounding points get the width that their operands can reach.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import as_array
from ..errors import InputError
from ..numeric.bits import bits_for, clog2
from ..numeric.fixed import SQ, UQ, Codes, Format, fits, narrow
from ..numeric.lfsr import WIDTH as NOISE_WIDTH
from ..numeric.spline import Locator, basis_table, derivative_table
from .fields import LearnerFields
from .formats import Formats, LearnerFormats, exponent, linear_rates_of
from .linear_arithmetic import LinearArithmetic


def _find_first(rate: Format, moves: Callable[[int], bool]) -> float | None:
    """The lowest rate that a register holds and that moves a coefficient."""
    codes = range(1, rate.maximum + 1)
    first = bisect_left(codes, True, key=moves)
    return float(rate.to_float(codes[first])) if first < len(codes) else None


def _bounds(format: Format) -> tuple[int, int]:
    return format.minimum, format.maximum


def banks_for(spline_order: int) -> int:
    """The memories that the coefficients of an edge are dealt to: a power of two of at least ``spline_order + 1``."""
    return 1 << clog2(spline_order + 1)


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
    gradient_limit: int | None = None
    """The largest code of dL/dy, of either sign; None: as its format has it. Only in the last layer."""
    outside: str = "learn"
    """``hold`` or ``learn``, as in :class:`kanrtl.LearnerSpec`."""
    leak: int = 0
    """A coefficient that is touched first loses its ``2**leak``-th part; 0: nothing."""

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
            self.formats.input,
            periodic=self.periodic,
        )

    @property
    def input_period(self) -> float | None:
        """The period of real inputs in LSBs, where the grid is periodic; None where edges are modulated, as what
        multiplies them does not wrap."""
        if not self.periodic or self.modulation:
            return None
        return float(self.cell_width * self.grid_size) / self.formats.input.lsb

    @property
    def leaves_grid(self) -> bool:
        """Whether an input can be outside of the grid at all."""
        locator, format = self.locator, self.formats.input
        lowest, highest = (
            (bound * locator.scale + locator.offset) >> locator.shift for bound in (format.minimum, format.maximum)
        )
        return not self.periodic and (lowest < 0 or highest >= locator.end)

    @property
    def holds(self) -> bool:
        """Whether coefficients are held where an input is outside of the grid."""
        return self.outside == "hold" and self.leaves_grid

    @cached_property
    def derivative(self) -> Format:
        """Format of the derivative table: as many significant bits as the basis has (-1 <= db_j/du <= 1)."""
        steepness = exponent(1 / self.cell_width)
        return SQ(steepness + 2, max(0, self.formats.basis.f - steepness))

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
        return self.locator.position(self.formats.input)

    def factors_of(self, coefficients: Codes) -> Codes:
        """The factor codes of coefficient codes: guard bits are cut off."""
        return coefficients >> self.formats.guard_bits

    @property
    def edge_sum(self) -> Format:
        """phi(x): the bases sum to one, so its spline spans what one factor spans."""
        factor, basis = self.formats.factor, self.formats.basis
        if self.linear:
            product = self.linear.product  # half of what its integer bits can hold
            return SQ(max(product.i, factor.i + 1), max(factor.f + basis.f, product.f))
        return SQ(factor.i, factor.f + basis.f)

    @property
    def edge_bounds(self) -> tuple[int, int]:
        """The lowest and the highest phi(x), in codes of :attr:`edge_sum`."""
        more = self.edge_sum.f - self.formats.factor.f
        lowest, highest = (bound << more for bound in _bounds(self.formats.factor))
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
        factors: the bases sum to one, so that it fits.
        """
        if self.modulation:
            u, curve = self.formats.input, self.formats.factor
            return SQ(u.i + curve.i + clog2(self.terms), u.f + curve.f)
        return SQ(self.edge_sum.i + clog2(self.n_in), self.edge_sum.f)

    @property
    def node_bounds(self) -> tuple[int, int]:
        """The lowest and the highest node_sum, in its codes."""
        lowest, highest = self.edge_bounds
        if self.modulation:
            lowest, highest = _bounds(self.formats.factor)
            products = [curve * u for curve in (lowest, highest) for u in _bounds(self.formats.input)]
            lowest, highest = min(products), max(products)
            if self.modulation == 2:  # a sum of two products, or a difference
                lowest, highest = lowest + min(lowest, -highest), highest + max(highest, -lowest)
            return self.n_in * lowest, self.n_in * highest
        return self.n_in * lowest, self.n_in * highest

    @property
    def turned_sum(self) -> Format:
        """dL/dy times the input that multiplies an edge's curve, exact; of complex edges a sum of two products."""
        gradient, u = self.formats.gradient, self.formats.input
        return SQ(gradient.i + u.i + clog2(max(1, self.modulation)), gradient.f + u.f)

    @property
    def error_sum(self) -> Format:
        """Node sum minus target, exact."""
        target = self.formats.output
        return SQ(max(self.node_sum.i, target.i) + 1, max(self.node_sum.f, target.f))

    @property
    def slope_shift(self) -> int:
        """How far w of a linear path is shifted up to be added to a slope, in codes of :attr:`slope_sum`."""
        assert self.linear, "the layer has no linear paths"
        return max(0, self.derivative.f + self.linear.input_shift)  # less in a first layer alone, which has no slopes

    @property
    def slope_row(self) -> int:
        """The largest sum of what coefficients are multiplied by in a slope, in absolute values and codes of
        :attr:`derivative`: a row of its table, and one for w."""
        row = int(np.abs(self.derivative_table).sum(axis=1).max())
        return row + (1 << self.slope_shift if self.linear else 0)

    @cached_property
    def slope_sum(self) -> Format:
        """sum_j c_j dB_j/dx, and w, exact; see :attr:`slope_row`."""
        factor = self.formats.factor
        fraction = factor.f + self.derivative.f
        return SQ(factor.width + bits_for(self.slope_row) - fraction, fraction)

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
        """coefficient - dL/dy * step_j, exact; with a leak, less that part of the coefficient too."""
        product, coefficient = self.update_product, self.formats.coefficient
        return SQ(max(product.i, coefficient.i) + 1, max(product.f, coefficient.f + self.leak))

    def move(self, rounding: str) -> Format:
        """What a coefficient changes by, in its own fraction bits, where rounding depends on nothing but that."""
        coefficient, gradient, step = self.formats.coefficient, self.formats.gradient, self.formats.step
        exact = self.formats.learning_rate.maximum * int(self.basis_table.max())
        largest_step = int(narrow(np.array(exact), self.step_product.f, step, rounding).result)
        # Rounding adds less than one to its size, whatever its kind.
        dropped = max(0, self.update_product.f - coefficient.f)
        largest = (-gradient.minimum * largest_step >> dropped) + 1
        return SQ(bits_for(largest) + 1 - coefficient.f, coefficient.f)

    def smallest_learning_rate(self, rounding: str, update_rounding: str) -> float | None:
        """The smallest rate that the register holds and that still moves a coefficient, for the largest gradients, as
        their format or in the last layer the limit has them, and the largest basis; with stochastic updates on average.
        None where no rate does."""
        formats = self.formats
        moves = self._moves(int(self.basis_table.max()), self.step_product, formats.step, rounding, update_rounding)
        return _find_first(formats.learning_rate, moves)

    def smallest_linear_rate(self, rounding: str, update_rounding: str) -> float | None:
        """The smallest rate of linear paths that their register holds and that still moves a w, for inputs at the
        grid's reach; else as :meth:`smallest_learning_rate`. None without linear paths, too."""
        if not self.linear:
            return None
        reach = int(self.formats.input.quantise(max(abs(self.grid_min), abs(self.grid_max))))
        moves = self._moves(reach, self.linear.step_product, self.linear.step, rounding, update_rounding)
        return _find_first(self.linear.rate, moves)

    def _moves(
        self, factor: int, exact: Format, step: Format, rounding: str, update_rounding: str
    ) -> Callable[[int], bool]:
        """Whether a rate's code moves a coefficient that is learned by the rate times ``factor``, narrowed to ``step``,
        times the largest gradient."""
        formats, coefficient = self.formats, self.formats.coefficient
        gradients = np.array(_bounds(formats.gradient))
        if self.gradient_limit is not None:
            gradients = self.gradient_limit * np.array([-1, 1])
            if self.modulation:
                turned = gradients * -formats.input.minimum * self.modulation
                gradients = narrow(turned, self.turned_sum.f, formats.gradient, rounding).result
        update_rounding = "floor" if update_rounding == "stochastic" else update_rounding

        def moves(code: int) -> bool:
            change = -narrow(np.array(code * factor), exact.f, step, rounding).result * gradients
            return bool(narrow(change, step.f + formats.gradient.f, coefficient, update_rounding).result.any())

        return moves

    @property
    def dropped_bits(self) -> int:
        """Bits that an update drops."""
        return self.update_sum.f - self.formats.coefficient.f

    @property
    def noise_bits(self) -> int:
        """Bits of noise that stochastic rounding adds: the highest of those that an update drops, as many as there are
        in the noise register. What may be below them is cut off."""
        return min(NOISE_WIDTH, self.dropped_bits)

    def saturating(self, rounding: str, *, hidden: bool) -> frozenset[str]:
        """The kinds of value (:data:`kanrtl.learner.address_map.SATURATIONS`) that can saturate in this layer, whatever
        the loss; ``hidden``: whether another layer is before it."""
        formats = self.formats
        lowest, highest = self.node_bounds
        largest_step = formats.learning_rate.maximum * int(self.basis_table.max())
        kinds = {"coefficient"} | ({"gradient"} if self.modulation else set())
        if not fits(lowest, highest, self.node_sum.f, formats.output, rounding):
            kinds.add("activation")
        if not fits(0, largest_step, self.step_product.f, formats.step, rounding) or (
            self.linear and self.linear.saturates_step(rounding)
        ):
            kinds.add("step")
        if hidden:
            slope = formats.factor.minimum * self.slope_row
            if not fits(slope, -slope, self.slope_sum.f, formats.slope, rounding):
                kinds.add("slope")
            kinds.add("gradient")
        return frozenset(kinds)

    @property
    def error_bounds(self) -> tuple[int, int]:
        """The lowest and highest error_sum, in its codes."""
        output = self.formats.output
        total, target = self.error_sum.f - self.node_sum.f, self.error_sum.f - output.f
        sums = [bound << total for bound in self.node_bounds]
        return sums[0] - (output.maximum << target), sums[1] - (output.minimum << target)

    def exact_formats(self) -> dict[str, Format]:
        """Name and format of every exact sum and product."""
        forward = ("position", "edge_sum", "node_sum", "error_sum")
        backward: tuple[str, ...] = ("step_product", "update_product", "update_sum", "slope_sum", "downstream_sum")
        if self.modulation:
            backward = ("turned_sum", *backward)
        linear = self.linear.exact_formats() if self.linear else {}
        return {name: getattr(self, name) for name in (*forward, *backward)} | linear


def layers_of(spec: LearnerFields, formats: LearnerFormats) -> tuple[LayerArithmetic, ...]:
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
            formats=own,
            linear=LinearArithmetic.of(own, linear_rate, grid_range, leak) if linear else None,
            gradient_limit=_limit_code(spec, own.gradient) if index == spec.n_layers - 1 else None,
            outside=("hold" if linear else "learn") if outside == "auto" else outside,
            leak=leak,
        )
        for (
            index,
            n_in,
            n_out,
            grid_range,
            grid_size,
            periodic,
            spline_order,
            learning_rate,
            linear,
            linear_rate,
            outside,
            leak,
            own,
        ) in zip(
            range(spec.n_layers),
            spec.layer_sizes[:-1],
            spec.layer_sizes[1:],
            spec.per_layer("grid_range"),
            spec.per_layer("grid_size"),
            spec.per_layer("periodic"),
            spec.per_layer("spline_order"),
            spec.per_layer("learning_rate"),
            spec.per_layer("linear"),
            linear_rates_of(spec),
            spec.per_layer("outside"),
            spec.per_layer("leak"),
            formats.layers,
            strict=True,
        )
    )


def _limit_code(spec: LearnerFields, gradient: Format) -> int | None:
    return int(gradient.quantise(spec.gradient_limit)) if spec.gradient_limit else None


def check_codes(field: str, codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same array; raises :exc:`InputError` where it holds something else than integers."""
    if codes.dtype.kind not in "iu":
        raise InputError(f"{field}: type {codes.dtype}; give integer codes (Format.quantise)")
    return codes


def check_code_rows(field: str, values: npt.ArrayLike, width: int, format: Format) -> Codes:
    """Samples ``(n, width)`` in codes of a format; raises :exc:`InputError`, which names ``field``, if ``values`` are
    not."""
    codes = as_array(field, values, f"shape (n, {width})")
    if codes.ndim != 2 or codes.shape[1] != width:
        raise InputError(f"{field}: shape {codes.shape}; must be (n, {width})")
    if codes.size:
        check_format(field, check_codes(field, codes), format)
    return codes.astype(np.int64, copy=False)


def check_format(field: str, codes: npt.NDArray[Any], format: Format) -> None:
    """Raise :exc:`InputError`, which names ``field``, where one of the codes is none of the format's."""
    if codes.min() < format.minimum or codes.max() > format.maximum:
        raise InputError(
            f"{field}: codes from {codes.min()} to {codes.max()} do not fit {format} "
            f"({format.minimum} to {format.maximum})"
        )


def checked_coefficients(layers: Sequence[LayerArithmetic], coefficients: Sequence[npt.ArrayLike]) -> list[Codes]:
    """``coefficients`` as the codes of a learner, one array ``(n_out, n_in, coefficients)`` per layer; raises
    :exc:`InputError` if they are not."""
    arrays = checked_layers(layers, coefficients)
    for index, (codes, layer) in enumerate(zip(arrays, layers, strict=True)):
        field = f"coefficients[{index}]"
        check_format(field, check_codes(field, codes), layer.formats.coefficient)
    return [codes.astype(np.int64) for codes in arrays]


def checked_layers(layers: Sequence[LayerArithmetic], coefficients: Sequence[npt.ArrayLike]) -> list[npt.NDArray[Any]]:
    """The same in any numbers."""
    shapes = [(layer.n_out, layer.n_in, layer.coefficients) for layer in layers]
    if not isinstance(coefficients, (list, tuple)) or len(coefficients) != len(shapes):
        raise InputError(f"coefficients: give a list of arrays, one for each layer, here {len(shapes)}")
    checked = []
    for index, (given, shape) in enumerate(zip(coefficients, shapes, strict=True)):
        array = as_array(f"coefficients[{index}]", given, f"shape {shape}")
        if array.shape != shape:
            raise InputError(f"coefficients[{index}]: shape {array.shape}; must be {shape}")
        checked.append(array)
    return checked
