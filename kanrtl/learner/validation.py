"""What no single field of a spec can tell: whether its lengths, formats and widths go together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from ..errors import InputError, SpecError, join_choices
from ..numeric.fixed import Format, narrow
from .arithmetic import LayerArithmetic, banks_for
from .fields import MAX_GRID_SIZE, LearnerFields
from .folded_schedule import fold, folds
from .formats import MAX_WIDTH, MIN_GRID_CODES, Formats, LearnerFormats, exponent, linear_rates_of
from .losses import LOSSES, find_loss

MOST_COEFFICIENTS = 1 << 27  # a gibibyte of codes, and more than any chip holds

MAX_FRACTION = 1020  # its LSB must be a number that floats hold

LEAST, MOST = 1e-300, 1e300  # of ranges and rates, so that what follows from them are numbers that floats hold


def check_fields(spec: LearnerFields) -> None:
    """Raise :exc:`SpecError` where the loss is unknown, or fields do not go together."""
    if not isinstance(spec.loss, str) or spec.loss not in LOSSES:
        raise SpecError.of("loss", spec.loss, f"must be {join_choices(map(repr, LOSSES))}")
    _check_lengths(spec)
    for bounds in spec.per_layer("grid_range"):
        _check_bounds("grid_range", bounds)
    if spec.target_range is not None:
        _check_bounds("target_range", spec.target_range)
    for field in ("learning_rate", "linear_rate"):
        for rate in spec.per_layer(field):
            if rate is not None and rate < LEAST:
                raise SpecError.of(field, rate, f"must be {LEAST:g} or more; raise it, or scale the signals")
    _check_periodic(spec)
    _check_modulated(spec)
    for field in ("linear_rate", "linear_rate_format", "linear_step_format"):
        if getattr(spec, field) is not None and not spec.linear_layers:
            raise SpecError.of(field, getattr(spec, field), "no layer has a linear path; set linear, or leave it out")
    if spec.modulated and 0 in spec.linear_layers:
        raise SpecError.of(
            "linear", spec.linear, "cannot be had in a first layer whose edges are modulated; set it for others alone"
        )
    if any(linear and periodic for linear, periodic in zip(*map(spec.per_layer, ("linear", "periodic")), strict=True)):
        raise SpecError.of(
            "linear", spec.linear, "cannot be had on a periodic grid, where x jumps at the seam; leave out one of them"
        )
    if spec.table_size & (spec.table_size - 1):
        raise SpecError.of("table_size", spec.table_size, "must be a power of two, such as 64")
    if spec.folded and set(spec.per_layer("table_memory")) != {"auto"}:
        raise SpecError.of(
            "table_memory",
            spec.table_memory,
            "with reuse_factor, share_multipliers or serial multipliers tables lie where the coefficients do; "
            'use "auto"',
        )
    if spec.folded and "differences" in spec.per_layer("edge_sums"):
        raise SpecError.of(
            "edge_sums",
            spec.edge_sums,
            'with reuse_factor, share_multipliers or serial multipliers edges are sums of products; use "auto"',
        )
    if spec.schedule == "streaming" and spec.folded:
        raise SpecError.of(
            "schedule",
            spec.schedule,
            "needs a multiplier of its own for every product; leave reuse_factor and share_multipliers at their "
            'defaults, and multiplier at "auto", "dsp" or "lut"',
        )
    if spec.schedule == "streaming" and spec.teaching == "after_prediction":
        raise SpecError.of(
            "teaching", spec.teaching, 'schedule = "streaming" needs the target with its sample; use "with_sample"'
        )


def check_arithmetic(spec: LearnerFields, formats: LearnerFormats, layers: Sequence[LayerArithmetic]) -> None:
    """Raise :exc:`SpecError` where what follows from the fields, ``formats`` and ``layers``, cannot be."""
    _check_formats(spec, formats)
    count = sum(layer.n_out * layer.n_in * layer.coefficients for layer in layers)
    if count > MOST_COEFFICIENTS:
        sizes, mend = list(spec.layer_sizes), f"may have {MOST_COEFFICIENTS}; set smaller ones, or a lower grid_size"
        raise SpecError.of("layer_sizes", sizes, f"a learner of {count} coefficients, and {mend}")
    for index, layer in enumerate(layers):
        _check_layer(spec, index, layer)
        _check_linear(index, layer)
        _check_step(spec, layer)
        _check_folding(spec, index, layer)
    exact = find_loss(spec.loss).gradient_format(layers[-1])
    if exact.width > MAX_WIDTH:
        raise SpecError.of("loss", spec.loss, f"its gradient would need {exact.width} bits, the limit is {MAX_WIDTH}")
    _check_initial_coefficients(spec, layers)
    if spec.guard is not None:
        try:
            spec.guard.codes(spec.n_out, formats.layers[-1].gradient, spec.counts)
        except InputError as error:
            raise SpecError(f"guard.{error}") from None


def _check_bounds(field: str, bounds: tuple[float, float]) -> None:
    """Whether the lower bound is the first, and formats can be derived."""
    low, high = bounds
    if not low < high:
        raise SpecError.of(field, bounds, "upside down or empty; the first bound must be the lower")
    if max(-low, high) > MOST or Fraction(high) - Fraction(low) < LEAST:
        mend = f"bounds must be {LEAST:g} or more apart, and {MOST:g} or less in magnitude; scale the signal"
        raise SpecError.of(field, bounds, mend)


def _check_lengths(spec: LearnerFields) -> None:
    for field in (
        "grid_range",
        "grid_size",
        "periodic",
        "spline_order",
        "learning_rate",
        "coefficient_format",
        "factor_format",
        "slope_format",
        "gradient_format",
        "step_format",
        "linear",
        "linear_rate",
        "linear_step_format",
        "outside",
        "leak",
        "memory",
        "table_memory",
        "edge_sums",
        "pipeline",
        "reuse_factor",
    ):
        if len(spec.per_layer(field)) != spec.n_layers:
            raise SpecError.of(
                field, getattr(spec, field), f"must be one value or a list of {spec.n_layers}, one per layer"
            )


def _check_periodic(spec: LearnerFields) -> None:
    """Whether the windows of periodic grids read every bank once, across the end of the grid too."""
    fields = ("periodic", "grid_size", "spline_order")
    for periodic, size, order in zip(*map(spec.per_layer, fields), strict=True):
        banks = banks_for(order)
        if periodic and size % banks:
            below, above = size - size % banks, size - size % banks + banks
            mend = join_choices(str(cells) for cells in (below, above) if 0 < cells <= MAX_GRID_SIZE)
            raise SpecError.of(
                "grid_size",
                size,
                f"periodic with spline_order {order}, it has to be a multiple of {banks}; use {mend}",
            )


def _check_modulated(spec: LearnerFields) -> None:
    """Whether the modulated edges of the first layer can be had."""
    if spec.modulated == "complex" and spec.layer_sizes[1] % 2:
        raise SpecError.of(
            "layer_sizes",
            list(spec.layer_sizes),
            f'modulated = "complex" makes pairs of nodes, real and imaginary parts; use {spec.layer_sizes[1] + 1} for '
            f"{spec.layer_sizes[1]}",
        )
    if spec.modulated and spec.folded:
        raise SpecError.of(
            "modulated",
            spec.modulated,
            "needs a multiplier of its own for every product; leave reuse_factor and share_multipliers at their "
            'defaults, and multiplier at "auto", "dsp" or "lut"',
        )
    if spec.modulated and spec.per_layer("edge_sums")[0] == "differences":
        raise SpecError.of(
            "edge_sums", spec.edge_sums, 'modulated edges are sums of products; use "auto" for the first layer'
        )


def _reaches_grid(x: Format, low: float, high: float, *, periodic: bool) -> bool:
    """Whether inputs can come to all of a grid: on a periodic one it is enough that the format goes once around."""
    if periodic and Fraction(high) - Fraction(low) == Fraction(1 << x.width, 1 << x.f):
        return True
    return x.holds(low) and x.holds(Fraction(high) - Fraction(x.lsb))


def _check_formats(spec: LearnerFields, formats: LearnerFormats) -> None:
    for index, own in enumerate(formats.layers):
        for name in Formats.__dataclass_fields__:
            if (format := getattr(own, name)) is not None:
                _check_format(spec, index, name, format)
        factor, coefficient = own.factor, own.coefficient
        if factor.i != coefficient.i or factor.f > coefficient.f:
            raise SpecError.of(
                "factor_format",
                factor,
                f"must be high bits of coefficient_format {coefficient}: SQ({coefficient.i}, f) with f up to "
                f"{coefficient.f}",
            )
        _check_reach(spec, index, own.input)
    output = formats.output
    if spec.target_range is not None:
        low, high = spec.target_range
        if not (output.holds(low) and output.holds(Fraction(high) - Fraction(output.lsb))):
            raise SpecError.of(
                _field_of(spec, spec.n_layers - 1, "output"),
                output,
                f"does not reach the target_range ({low}, {high}); add integer bits",
            )
    binary = find_loss(spec.loss).binary_targets
    labels = binary and spec.target_range is not None and max(map(abs, spec.target_range)) <= 1
    if labels and (spec.output_format or spec.activation_format) is None:
        about = f'gives outputs {output}, and with loss = "{spec.loss}" targets are 0 and 1 and outputs are logits'
        raise SpecError.of("target_range", spec.target_range, f"{about}; leave it out, or give an output_format")
    if binary and not output.holds(1):
        raise SpecError.of(
            _field_of(spec, spec.n_layers - 1, "output"),
            output,
            f'cannot hold a target of 1, which loss = "{spec.loss}" needs; use SQ(2, f) or wider',
        )
    _check_rates("learning_rate", spec.per_layer("learning_rate"), formats.learning_rate)
    if formats.linear_rate:
        linear_rates = linear_rates_of(spec)
        _check_rates("linear_rate", [linear_rates[index] for index in spec.linear_layers], formats.linear_rate)
    _check_limit(spec.gradient_limit, formats.layers[-1].gradient)


def _check_limit(limit: float, gradient: Format) -> None:
    """Whether dL/dy can be limited so."""
    if limit and not gradient.quantise(limit):
        raise SpecError.of(
            "gradient_limit", limit, f"rounds to zero in gradient_format {gradient}; raise it to {gradient.lsb} or more"
        )
    if not gradient.holds(limit):
        highest = float(gradient.to_float(gradient.maximum))
        raise SpecError.of(
            "gradient_limit",
            limit,
            f"is above {highest}, the highest value of gradient_format {gradient}; lower it, or leave it out",
        )


def _check_rates(field: str, values: Sequence[float], format: Format) -> None:
    """Whether the registers of ``format`` hold the rates ``values``."""
    for value in values:
        if format.quantise(value) == 0:
            raise SpecError.of(
                field,
                value,
                f"rounds to zero in {format}; raise it to {format.lsb} or more, or set {field}_format",
            )
        if not format.holds(value):
            raise SpecError.of(
                field,
                value,
                f"is above the highest value of {field}_format {format}; add integer bits",
            )


def _field_of(spec: LearnerFields, index: int, name: str) -> str:
    """The field that a format of a layer comes from, or would."""
    if name == "downstream":
        return "gradient_format"
    if name in ("input", "output"):
        outer = index == (0 if name == "input" else spec.n_layers - 1)
        if not outer or (getattr(spec, f"{name}_format") is None and spec.activation_format is not None):
            return "activation_format"
    return f"{name}_format"


def _check_format(spec: LearnerFields, index: int, name: str, format: Format) -> None:
    field = _field_of(spec, index, name)
    unsigned = name in ("basis", "step", "learning_rate", "linear_rate")
    if format.signed == unsigned:
        kind = "unsigned, UQ(i, f)" if unsigned else "signed, SQ(i, f)"
        raise SpecError.of(field, format, f"must be {kind}")
    if format.f > MAX_FRACTION:
        raise SpecError.of(
            field, format, f"has {format.f} fraction bits, the limit is {MAX_FRACTION}; scale the signal"
        )
    if format.width > MAX_WIDTH:
        mend = _narrowing(spec, index, field)
        raise SpecError.of(field, format, f"is {format.width} bits wide, the limit is {MAX_WIDTH}; {mend}")


def _narrowing(spec: LearnerFields, index: int, field: str, other: str = "") -> str:
    """The mend of a format that is too wide: to narrow it or an ``other`` if it is given, else what it follows from."""
    if spec.per_layer(field)[index]:
        return f"narrow it or {other}" if other else "narrow it"
    source = _FOLLOWS[field]
    if field in _FOLLOW_OUTPUTS:
        last = index == spec.n_layers - 1
        given = [name for name in (("output_format",) * last + ("activation_format",)) if getattr(spec, name)]
        source = given[0] if given else source
    if spec.target_range is not None:
        source = source.replace("output_format", "target_range")
    return f"it follows from {source}: change that, or give {field}"


def _check_reach(spec: LearnerFields, index: int, x: Format) -> None:
    """Whether inputs of a layer can be all over its grid, and in enough places of it."""
    low, high = spec.per_layer("grid_range")[index]
    size = spec.per_layer("grid_size")[index]
    field = _field_of(spec, index, "input")
    if not _reaches_grid(x, low, high, periodic=spec.per_layer("periodic")[index]):
        raise SpecError.of(field, x, f"does not reach the grid_range ({low}, {high}); add integer bits")
    needed = max(size, MIN_GRID_CODES)
    codes = (Fraction(high) - Fraction(low)) * (1 << x.f)
    if codes < needed:
        fraction = x.f + exponent(needed / codes)
        raise SpecError.of(
            field,
            x,
            f"has {float(codes):.3g} codes in the grid_range ({low}, {high}) of {size} cells, and {needed} are needed; "
            f"use SQ({x.i}, {fraction})",
        )


_FOLLOWS = {
    "activation_format": "grid_range",
    "input_format": "grid_range",
    "output_format": "target_range",
    "coefficient_format": "factor_format",
    "factor_format": "target_range and grid_range",
    "basis_format": "factor_format",
    "slope_format": "factor_format and grid_range",
    "gradient_format": "output_format and grid_range",
    "step_format": "basis_format and learning_rate",
    "learning_rate_format": "learning_rate",
    "linear_rate_format": "linear_rate",
    "linear_step_format": "input_format and linear_rate",
}

_FOLLOW_OUTPUTS = ("coefficient_format", "factor_format", "basis_format", "slope_format", "gradient_format")
"""What follows from the format of a layer's outputs where that is given."""

# The fields that make an exact value wide, and the format that it is narrowed to: it is aligned to that one's
# fraction, so it must fit with the fraction bits of both.
_WIDENED_BY: dict[str, tuple[str, str, str | None]] = {
    "position": ("input", "table_size", None),
    "edge_sum": ("factor", "basis_format", None),
    "node_sum": ("factor", "basis_format", "output"),
    "error_sum": ("factor", "gradient_format", "gradient"),
    "turned_sum": ("gradient", "input_format", "gradient"),
    "slope_sum": ("factor", "basis_format", "slope"),
    "downstream_sum": ("gradient", "slope_format", "downstream"),
    "step_product": ("basis", "learning_rate_format", "step"),
    "update_product": ("gradient", "step_format", None),
    "update_sum": ("gradient", "step_format", "coefficient"),
    "linear_product": ("input", "coefficient_format", None),
    "linear_step_product": ("linear_rate", "input_format", "linear_step"),
    "linear_update_product": ("gradient", "linear_step_format", None),
    "linear_update_sum": ("gradient", "linear_step_format", "coefficient"),
}


def _check_widths(spec: LearnerFields, index: int, layer: LayerArithmetic) -> None:
    if layer.derivative.width > MAX_WIDTH:  # in the first layer too, where its table is made and not used
        raise SpecError.of(
            "grid_range",
            spec.per_layer("grid_range")[index],
            f"a derivative in cells of {float(layer.cell_width):g} would need {layer.derivative.width} bits, "
            f"the limit is {MAX_WIDTH}; choose cells nearer to 1, or narrow basis_format",
        )
    for name, format in layer.exact_formats().items():
        if index == 0 and name in ("slope_sum", "downstream_sum"):
            continue
        widest, other, narrowed_to = _WIDENED_BY[name]
        if name == "node_sum" and layer.modulation:
            other = "activation_format"
        fraction = getattr(layer.formats, narrowed_to).f if narrowed_to else 0
        width = format.i + max(format.f, fraction)
        if width > MAX_WIDTH:
            field = _field_of(spec, index, widest)
            if widest == "factor" and spec.factor_format is None:
                field = "coefficient_format"
            if layer.leak and name.endswith("update_sum") and format.f == layer.formats.coefficient.f + layer.leak:
                raise SpecError.of(
                    "leak",
                    layer.leak,
                    f"{name} of layer {index} would need {width} bits, the limit is {MAX_WIDTH}; choose it smaller",
                )
            value = getattr(layer.formats, widest)
            if other in _FOLLOWS and spec.per_layer(other)[index] and not spec.per_layer(field)[index]:
                field, value, other = other, spec.per_layer(other)[index], ""
            mend = _narrowing(spec, index, field, other)
            raise SpecError.of(
                field, value, f"{name} of layer {index} would need {width} bits, the limit is {MAX_WIDTH}; {mend}"
            )


def _check_layer(spec: LearnerFields, index: int, layer: LayerArithmetic) -> None:
    _check_widths(spec, index, layer)
    basis = layer.formats.basis
    if layer.basis_table.max() > basis.maximum:
        raise SpecError.of(
            "basis_format", basis, f"cannot hold the basis's largest value; use UQ({basis.i + 1}, {basis.f})"
        )
    if not layer.basis_table.any(axis=0).all():
        raise SpecError.of(
            "basis_format",
            basis,
            f"too narrow: a basis of spline_order {layer.spline_order} is zero in every row; add fraction bits",
        )
    if index > 0 and not layer.derivative_table.any(axis=0).all():
        raise SpecError.of(
            "basis_format",
            basis,
            "too narrow: the derivative of a basis is zero in every row; add fraction bits",
        )


def _check_linear(index: int, layer: LayerArithmetic) -> None:
    """Whether w of linear paths can be added to slopes."""
    if index and layer.linear and layer.derivative.f + layer.linear.input_shift < 0:
        basis = layer.formats.basis
        raise SpecError.of(
            "basis_format",
            basis,
            f"too narrow for a linear path beside {layer.grid_size} cells; use UQ({basis.i}, "
            f"{basis.f - layer.derivative.f - layer.linear.input_shift})",
        )


def _check_step(spec: LearnerFields, layer: LayerArithmetic) -> None:
    """Whether the layer's learning rate times its largest basis is anything at all."""
    step = layer.formats.step
    largest = layer.learning_rate_code * int(layer.basis_table.max())
    if not narrow(np.array(largest), layer.step_product.f, step, spec.rounding).result:
        if spec.step_format is None:
            mend = f"every step rounds to zero in {step}, which follows from it; raise it, or give a finer step_format"
            raise SpecError.of("learning_rate", layer.learning_rate, mend)
        raise SpecError.of(
            "step_format", step, f"every step of learning_rate {layer.learning_rate} rounds to zero; add fraction bits"
        )
    if layer.linear:
        linear = layer.linear
        reach = max(abs(bound) for bound in (layer.grid_min, layer.grid_max))
        at_reach = linear.rate_code * int(layer.formats.input.quantise(reach))
        if not narrow(np.array(at_reach), linear.step_product.f, linear.step, spec.rounding).result:
            if spec.linear_step_format is None:
                mend = (
                    f"every step inside the grid rounds to zero in {linear.step}, which follows from it and inputs in "
                    f"{layer.formats.input}; narrow these, or give a finer linear_step_format"
                )
                raise SpecError.of("linear_rate", linear.linear_rate, mend)
            raise SpecError.of(
                "linear_step_format",
                linear.step,
                f"every step of linear_rate {linear.linear_rate} inside the grid rounds to zero; add fraction bits, or "
                "scale the inputs",
            )


def _check_folding(spec: LearnerFields, index: int, layer: LayerArithmetic) -> None:
    factor = spec.per_layer("reuse_factor")[index]
    if fold(factor, layer.n_in, layer.n_out):
        return
    known = folds(layer.n_in, layer.n_out)
    nearest = [max(known_factor for known_factor in known if known_factor < factor)]
    nearest += [known_factor for known_factor in known if known_factor > factor][:1]
    raise SpecError.of(
        "reuse_factor",
        factor,
        f"does not divide the {layer.n_in} x {layer.n_out} edges of layer {index} evenly; "
        f"use {join_choices(map(str, nearest))}",
    )


def _check_initial_coefficients(spec: LearnerFields, layers: Sequence[LayerArithmetic]) -> None:
    given = spec.initial_coefficients
    if given is None or isinstance(given, str):
        return
    shapes = [(layer.n_out, layer.n_in, layer.coefficients) for layer in layers]
    if len(given) != len(shapes):
        raise SpecError.of("initial_coefficients", given, f"must hold {len(shapes)} arrays, one per layer")
    for index, (layer, shape, arithmetic) in enumerate(zip(given, shapes, layers, strict=True)):
        coefficient = arithmetic.formats.coefficient
        array = _as_reals(layer)
        if array is None or array.shape != shape:
            found = "not an array of numbers" if array is None else f"shape {array.shape}"
            raise SpecError.of(f"initial_coefficients[{index}]", layer, f"{found}; must have shape {shape}")
        if not np.isfinite(array).all() or not (
            coefficient.to_float(coefficient.minimum) <= array.min()
            and array.max() <= coefficient.to_float(coefficient.maximum)
        ):
            raise SpecError.of(
                f"initial_coefficients[{index}]",
                layer,
                f"holds a value beyond coefficient_format {coefficient}",
            )


def _as_reals(value: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    convert: Callable[..., Any] = np.array
    try:
        return convert(value, dtype=np.float64)  # type: ignore[no-any-return]
    except OverflowError:  # an integer of hundreds of digits
        return np.full(np.shape(value), np.inf)
    except (TypeError, ValueError):
        return None
