"""The formats of a learner: where a value is narrowed, given by the user or derived from ranges and rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, log2

from ..errors import InputError
from ..numeric.fixed import SQ, UQ, Format
from ..numeric.spline import Locator
from .fields import LearnerFields

# The narrower of the multipliers of ECP5 (MULT18X18D: 18 x 18) and iCE40 (SB_MAC16: 16 x 16).
MULTIPLIER_WIDTH = 16

# An exact sum must fit the int64 of the integer model, with a bit to spare for rounding.
MAX_WIDTH = 62

# Integer bits where nothing asks for others: values from -32 to 32, in steps of 1/1024.
ORDINARY = 6

# A grid with fewer inputs than that, or than cells, cannot be learned on.
MIN_GRID_CODES = 8

# So many rows of the basis table, from end to end of a grid, are as fine as outputs of 10 fraction bits on (-2, 2).
FINE_ROWS = 4096

# With 16 bits from -32 to 32 and noise of a fiftieth of the signal, stochastic rounding at the last of them trebles the
# error at low rates; at 4 bits below it adds an eighth.
GUARD_BITS = 4

# Fraction bits of learning rates: the register goes down to 2**-12 whatever it starts with.
RATE_FRACTION = 12


def exponent(value: float | Fraction) -> int:
    """The least integer ``e`` with ``value <= 2**e``."""
    return ceil(log2(value))


@dataclass(frozen=True)
class Formats:
    """The formats of one layer; between two of them nothing is lost."""

    input: Format
    """What the layer takes: inputs, or outputs of the layer before."""
    output: Format
    """What its nodes give; in the last layer also targets."""
    coefficient: Format
    """What is learned."""
    factor: Format
    """What of a coefficient is multiplied: its high bits."""
    basis: Format
    """Rows of the basis table; unsigned."""
    slope: Format
    """The derivative of an edge, d phi / dx; hidden layers only."""
    gradient: Format
    """dL/dy of a node."""
    downstream: Format
    """dL/dx: the gradient of the layer before; hidden layers only."""
    step: Format
    """Learning rate times basis: what a coefficient moves by for a gradient of one; unsigned.

    Not learning rate times gradient: that would wait for the gradient, and then make the coefficients wait."""
    learning_rate: Format
    """The learning rate register; unsigned."""
    linear_rate: Format | None
    """The registers of the linear paths' rates; unsigned. None where no layer has a linear path."""
    linear_step: Format | None
    """Rate of a linear path times x: what w moves by for a gradient of one. None as for the rate."""

    @property
    def guard_bits(self) -> int:
        """Bits of a coefficient below its factor."""
        return self.coefficient.f - self.factor.f


@dataclass(frozen=True)
class LearnerFormats:
    """The formats of a learner.

    Those of :class:`Formats` can be had here too where all layers have the same; where they differ, that raises
    :exc:`InputError`.
    """

    layers: tuple[Formats, ...]
    """Those of every layer, first layer first."""

    @property
    def input(self) -> Format:
        """What samples come in."""
        return self.layers[0].input

    @property
    def output(self) -> Format:
        """What predictions and targets are in."""
        return self.layers[-1].output

    @property
    def activation(self) -> Format:
        """What every layer takes and gives, where that is one."""
        return self._common("activation", [*(each.output for each in self.layers), self.input])

    @property
    def coefficient(self) -> Format:
        """What is learned."""
        return self._common_field("coefficient")

    @property
    def factor(self) -> Format:
        """What of a coefficient is multiplied."""
        return self._common_field("factor")

    @property
    def basis(self) -> Format:
        """Rows of the basis tables, in all layers."""
        return self.layers[0].basis

    @property
    def slope(self) -> Format:
        """The derivative of an edge."""
        return self._common_field("slope")

    @property
    def gradient(self) -> Format:
        """dL/dy of a node."""
        return self._common_field("gradient")

    @property
    def step(self) -> Format:
        """Learning rate times basis."""
        return self._common_field("step")

    @property
    def learning_rate(self) -> Format:
        """The learning rate registers, in all layers."""
        return self.layers[0].learning_rate

    @property
    def linear_rate(self) -> Format | None:
        """The registers of the linear paths' rates, in all layers; None where none has a linear path."""
        return self.layers[0].linear_rate

    def _common_field(self, name: str) -> Format:
        return self._common(name, [getattr(each, name) for each in self.layers])

    @staticmethod
    def _common(name: str, formats: Sequence[Format]) -> Format:
        if len(set(formats)) > 1:
            found = ", ".join(map(str, formats))
            raise InputError(f"{name}: layers have different formats, {found}; ask for that of a layer")
        return formats[0]


def derive_formats(spec: LearnerFields) -> LearnerFormats:
    """The formats given by the user, and for the others 16 bits (one operand of a small FPGA's multiplier).

    A value between -r and r gets the integer bits that r needs and one more, and fraction bits up to 16. Without a
    ``target_range``, and for a grid's reach r from above 1/4 to 16, that is SQ(6, 10).

    - input: r is the reach of the first grid; every row of the basis table has an input, and two at least where that
      takes more than 16 bits and the grid has less than 4096 rows;
    - output: of a hidden layer what the next takes, as the input; of the last r is the reach of ``target_range``;
    - factor: as the output, within 16 bits; of edges modulated by what a grid's reach keeps below one, with as many
      integer bits more as the outputs' known reach, a ``target_range`` or the next grid, takes then; coefficient: the
      factor and 4 guard bits;
    - slope: the integer bits of the factor, and as many more as the layer's inputs have less than 6;
    - gradient: in the last layer the integer bits of the output, in the others as many more as the layer's outputs
      have less than those, and -16 at least; here and for the slopes of the last layer, what has a grid's reach has
      the bits of that reach alone where the reach of outputs is known, by ``target_range`` or their format;
    - basis: half the bits of the widest factor, and at least 9 below one;
    - learning_rate: from 0 to at least just below twice the largest rate, with at least five significant bits for the
      smallest, and 12 below one;
    - step: from 0 to just below twice the layer's own rate, with the fraction of the basis and as many bits more as the
      rate shifts it down, within 16 bits;
    - linear_rate: as learning_rate, of the rates of linear paths;
    - linear_step: holds twice such a rate times any input, and the fraction of an input with as many bits more as the
      rate shifts it down, within 16 bits and such that exact sums are not too wide.
    """
    scales = [_grid_scale(grid_range) for grid_range in spec.per_layer("grid_range")]
    inputs = [
        given or _input(scale, layer_range, size, spec.table_size, periodic=periodic)
        for given, scale, layer_range, size, periodic in zip(
            [spec.input_format or spec.activation_format, *[spec.activation_format] * (spec.n_layers - 1)],
            scales,
            spec.per_layer("grid_range"),
            spec.per_layer("grid_size"),
            spec.per_layer("periodic"),
            strict=True,
        )
    ]
    target = ORDINARY if spec.target_range is None else _reach_bits(spec.target_range)
    given_outputs = [*[spec.activation_format] * (spec.n_layers - 1), spec.output_format or spec.activation_format]
    outputs = [*inputs[1:], given_outputs[-1] or _filled(target)]
    curves = [output or _filled(scale) for output, scale in zip(given_outputs, [*scales[1:], target], strict=True)]
    if spec.modulation:
        curves[0] = _modulated(spec, curves[0])
    factors, coefficients = [], []
    for curve, factor, coefficient in zip(
        curves,
        spec.per_layer("factor_format"),
        spec.per_layer("coefficient_format"),
        strict=True,
    ):
        factors.append(factor or coefficient or curve)
        guarded = Format(factors[-1].signed, factors[-1].i, factors[-1].f + GUARD_BITS)
        coefficients.append(coefficient or (factor or guarded))
    rates = spec.per_layer("learning_rate")
    rate = spec.learning_rate_format or _rate(rates)
    basis = spec.basis_format or UQ(1, max(9, max(factor.width for factor in factors) // 2))
    steps = [_step(layer_rate, basis) for layer_rate in rates]
    # Integer bits of what layers take: as given, or where the reach of outputs is known those of the grid's reach;
    # other outputs are as wide as inputs of ordinary grids. Hidden layers give what is as wide as the next's inputs.
    known = spec.target_range is not None or given_outputs[-1] is not None
    reaches = [_reach_bits(bounds) for bounds in spec.per_layer("grid_range")] if known else scales
    taken = [given.i if given else span for given, span in zip(given_outputs[:-1], reaches[1:], strict=True)]
    beside = [given.i if given else span for given, span in zip(given_outputs[:-1], scales[1:], strict=True)]
    # The first layer has no slopes.
    slopes = [
        _filled(factor.i + ORDINARY - span, factor.width)
        for factor, span in zip(factors, [ORDINARY, *beside[:-1], *taken[-1:]], strict=True)
    ]
    error, spread = _filled(outputs[-1].i, outputs[-1].width), 2 * outputs[-1].i
    gradients = [
        *(_filled(max(spread - span, -MULTIPLIER_WIDTH), error.width) for span in taken),
        error,
    ]
    found = _given_or(spec, "gradient_format", gradients)
    linear_rate, linear_steps = _linear_formats(spec, inputs, found, coefficients)
    return LearnerFormats(
        tuple(
            Formats(
                input=input,
                output=output,
                coefficient=coefficient,
                factor=factor,
                basis=basis,
                slope=slope,
                gradient=gradient,
                downstream=downstream,
                step=step,
                learning_rate=rate,
                linear_rate=linear_rate,
                linear_step=linear_step,
            )
            for input, output, coefficient, factor, slope, gradient, downstream, step, linear_step in zip(
                inputs,
                outputs,
                coefficients,
                factors,
                _given_or(spec, "slope_format", slopes),
                found,
                [found[0], *found[:-1]],
                _given_or(spec, "step_format", steps),
                linear_steps,
                strict=True,
            )
        )
    )


def _modulated(spec: LearnerFields, output: Format) -> Format:
    """For curves of the first layer that are multiplied by what is less than one: these are larger than its outputs,
    where it is known what those reach."""
    ranges = spec.per_layer("grid_range")
    reached = ranges[1] if spec.n_layers > 1 else spec.target_range
    more = _reach_bits((-1, 1)) - _reach_bits(ranges[0])
    if reached is None or more <= 0:
        return output
    whole = max(output.i, _reach_bits(reached) + more)
    return Format(output.signed, whole, max(0, output.width - whole))


def _linear_formats(
    spec: LearnerFields, inputs: Sequence[Format], gradients: Sequence[Format], coefficients: Sequence[Format]
) -> tuple[Format | None, list[Format | None]]:
    """Of the linear paths' rates, and for every layer of the rate times x; None where no layer has a linear path."""
    if not spec.linear_layers:
        return None, [None] * spec.n_layers
    rates = linear_rates_of(spec)
    held = [rate for rate, linear in zip(rates, spec.per_layer("linear"), strict=True) if linear]
    steps = []
    for given, rate, bounds, x, gradient, coefficient in zip(
        spec.per_layer("linear_step_format"),
        rates,
        spec.per_layer("grid_range"),
        inputs,
        gradients,
        coefficients,
        strict=True,
    ):
        shift = input_shift(bounds, x)
        whole = x.i + shift + exponent(2 * rate)
        # As many as leave room for what w is changed by, not fewer than one integer bit would leave, or a step needs.
        room = MAX_WIDTH - 1 - max(coefficient.i, whole + gradient.i) - gradient.f
        fraction = min(MULTIPLIER_WIDTH - whole, max(MULTIPLIER_WIDTH - max(1, whole), 2 - whole, room))
        steps.append(given or SQ(whole, min(x.f - shift - min(0, exponent(rate)), max(0, fraction))))
    return spec.linear_rate_format or _rate(held), steps


def linear_rates_of(spec: LearnerFields) -> tuple[float, ...]:
    """For every layer the rate that its linear path has, or would have; given or derived.

    Derived it is stable beside the layer's learning rate: at the grid's reach R a step of w moves an edge by R^2 times
    its rate, and a step of the other coefficients by at most the learning rate. So it is that over max(1, R^2), rounded
    down to a power of two.
    """
    return tuple(
        _linear_rate(learning_rate, bounds) if given is None else given
        for given, learning_rate, bounds in zip(
            spec.per_layer("linear_rate"), spec.per_layer("learning_rate"), spec.per_layer("grid_range"), strict=True
        )
    )


def _linear_rate(learning_rate: float, bounds: tuple[float, float]) -> float:
    reach = max(abs(Fraction(bound)) for bound in bounds) * Fraction(2) ** (ORDINARY - _grid_scale(bounds))
    exact = Fraction(learning_rate) / max(Fraction(1), reach * reach)
    return 2.0 ** -ceil(log2(1 / exact))


def input_shift(bounds: tuple[float, float], x: Format) -> int:
    """The power of two that linear paths take inputs of a grid times, so that its reach is between 1/4 and 16; none
    that would need bits beyond the lowest of ``x``."""
    return min(ORDINARY - _grid_scale(bounds), x.f)


def _rate(rates: Sequence[float]) -> Format:
    """From 0 to at least just below twice the largest, down to 2^-12 and five significant bits for the smallest."""
    return UQ(max(0, exponent(2 * max(rates))), max(RATE_FRACTION, 5 - exponent(min(rates))))


def _given_or(spec: LearnerFields, field: str, derived: Sequence[Format]) -> list[Format]:
    return [given or other for given, other in zip(spec.per_layer(field), derived, strict=True)]


def _filled(i: int, width: int = MULTIPLIER_WIDTH) -> Format:
    """``i`` integer bits, filled up with fraction bits to 16 bits or more."""
    return SQ(i, max(0, max(MULTIPLIER_WIDTH, width) - i))


def _step(rate: float, basis: Format) -> Format:
    """For a layer's learning rate times its bases."""
    whole = max(0, exponent(2 * rate))
    return UQ(whole, min(basis.f - min(0, exponent(rate)), max(basis.f, MULTIPLIER_WIDTH - whole)))


def _reach_bits(bounds: tuple[float, float]) -> int:
    """Integer bits for values between two bounds, and a factor of two beyond them."""
    return exponent(max(abs(bound) for bound in bounds)) + 2


def _grid_scale(bounds: tuple[float, float]) -> int:
    """Integer bits of inputs of a grid."""
    bits = _reach_bits(bounds)
    return ORDINARY if 1 <= bits <= ORDINARY else bits


def _input(scale: int, bounds: tuple[float, float], grid_size: int, table_size: int, *, periodic: bool) -> Format:
    """For inputs of a grid, by how many codes its rows get."""
    low, high = map(Fraction, bounds)
    rows = grid_size * table_size
    filled, least = _filled(scale), exponent(max(rows, MIN_GRID_CODES) / (high - low))
    if filled.f >= least:
        return filled
    # Four codes for every row add little to the error of rows; two are enough where more would not fit in the operand
    # of a multiplier, one is where rows are as fine as outputs.
    reach = _reach_bits(bounds)
    room = MULTIPLIER_WIDTH - reach
    fraction = least + 2 if least >= room and rows < FINE_ROWS else max(least, min(least + 2, room))
    found = []
    for bits in range(fraction, least - 2, -1):  # fewer where positions would be too wide
        whole = max(reach, MULTIPLIER_WIDTH - bits)
        found.append(_filled(whole, whole + bits))
        locator = Locator.of(low, high, grid_size, table_size, found[-1], periodic=periodic)
        if locator.position(found[-1]).width <= MAX_WIDTH:
            return found[-1]
    return found[0]
