"""What a learner is: one validated description, from Python or from a flat TOML file with the same names."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Strict,
    Tag,
    ValidationError,
)

from .arithmetic import Formats, LayerArithmetic, default_formats, layers_of
from .fixed import Codes, Format, narrow
from .schedule import PRESETS, STAGES, Schedule
from .sweep import SweptSchedule, fold, folds

if TYPE_CHECKING:
    from .build.device import Device
    from .estimate import Estimate
    from .lookup import FloatKAN, LookupNetwork, Start

__all__ = ["LearnerSpec", "SpecError"]

MAX_GRID_SIZE = 4096
MAX_LAYERS = 4
MAX_WIDTH = 62  # an exact sum must fit the int64 of the integer model, with a bit to spare for rounding
MAX_NOISE_BITS = 32


class SpecError(ValueError):
    """A spec that cannot work, in one line: the field, its value, what is wrong and the mend."""

    @classmethod
    def of(cls, field: str, value: object, mend: str) -> SpecError:
        text = " ".join(repr(value).split())
        return cls(f"{field} = {text if len(text) <= 60 else text[:57] + '...'}: {mend}")


def _parse_format(value: object) -> Format:
    if isinstance(value, Format):
        return value
    if isinstance(value, str):
        return Format.parse(value)
    raise ValueError('must be a format such as "SQ(6, 10)"')


def _one_or_each(one: Any) -> Any:
    """One value for all layers, or a list with one for each."""
    return Annotated[
        Annotated[one, Tag("one")] | Annotated[tuple[one, ...], Tag("each")],
        Discriminator(lambda value: "each" if isinstance(value, (list, tuple)) else "one"),
    ]


def _is_each_range(value: object) -> str:
    nested = isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple))
    return "each" if nested else "one"


def _is_each_pipeline(value: object) -> bool:
    """Whether it is a list of lists of stages, or of presets: one for each layer."""
    if not isinstance(value, (list, tuple)) or not value:
        return False
    return all(isinstance(item, (list, tuple)) or item in PRESETS for item in value)


def _parse_pipeline(value: object) -> object:
    if isinstance(value, str):
        if value not in ("auto", *PRESETS):
            raise ValueError(f"must be one of {', '.join(map(repr, ('auto', *PRESETS)))}, or a list of stages")
        return value
    if isinstance(value, (list, tuple)):
        if _is_each_pipeline(value):
            return tuple(map(_parse_pipeline, value))
        if any(isinstance(item, (list, tuple)) for item in value):
            raise ValueError("one pipeline for each layer is a list of presets or of lists of stages")
        unknown = [stage for stage in value if stage not in STAGES]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no stage; stages are {', '.join(STAGES)}")
        return tuple(stage for stage in STAGES if stage in value)
    raise ValueError("must be a preset's name or a list of stages")


def _parse_coefficients(value: object) -> object:
    if isinstance(value, str) and value in ("zeros", "uniform"):
        return value
    if not isinstance(value, (list, tuple)):
        raise ValueError('must be "zeros", "uniform", or a list of one array (n_out, n_in, bases) per layer')
    return tuple(_nested_tuple(layer) for layer in value)


def _nested_tuple(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        value = value.tolist()
    return tuple(_nested_tuple(item) for item in value) if isinstance(value, (list, tuple)) else value


FormatField = Annotated[Format, BeforeValidator(_parse_format), PlainSerializer(str)]
Real = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Integer = Annotated[int, Strict()]
Range = tuple[Real, Real]
Memory = Literal["auto", "distributed", "block"]
TableMemory = Literal["auto", "logic", "block"]
EdgeSums = Literal["auto", "products", "differences"]

# Bits of an operand of the wider of the two families' multipliers.
WIDEST_OPERAND = 18

_FORMAT_FIELDS = (
    "activation_format",
    "coefficient_format",
    "basis_format",
    "slope_format",
    "gradient_format",
    "step_format",
    "learning_rate_format",
)


class LearnerSpec(BaseModel):
    """A Kolmogorov-Arnold network that learns in hardware; immutable.

    Only ``layer_sizes`` and ``grid_range`` are needed. Fields marked *each* take one value for all layers or a list
    with one value per layer. Raises :exc:`SpecError` where the description cannot work.

    Parameters
    ----------
    layer_sizes
        Inputs, nodes of every hidden layer, outputs: ``[n_in, ..., n_out]``, one to four layers.
    grid_range
        Lowest and highest x of a layer's grid, in units of its inputs; inputs beyond are clamped. *Each.*
    grid_size
        Cells of the grid, 1 to 4096; a power-of-two cell width needs no multiplier. *Each.*
    spline_order
        1, 2 or 3; a sample touches ``spline_order + 1`` coefficients of an edge. *Each.*
    learning_rate
        The initial content of the learning rate register. *Each.*
    table_size
        Rows of the basis table, that is steps per cell; a power of two. With 64 and nine bits of basis,
        ``track`` stays within 6 % of float64 from every start tried; with 64 and eight bits within 12 %.
    activation_format, coefficient_format, basis_format, slope_format, gradient_format, step_format,
    learning_rate_format
        Where values are narrowed, ``SQ(i, f)`` or ``UQ(i, f)``; see :mod:`kanrtl.arithmetic` for the defaults.
    rounding
        How outputs, slopes, gradients and steps are rounded: ``floor``, ``half_up`` or ``half_even``.
    update_rounding
        The same for coefficients as they are updated; also ``stochastic``.
    teaching
        ``with_sample``: the target comes with the sample. ``after_prediction``: a sample whose ``learn`` bit is
        set waits for a target (or gradient) on a stream of its own.
    loss
        ``squared`` ((y - t)^2 / 2), ``logistic`` (cross entropy of sigmoid(y)), or ``external``: the teacher gives
        dL/dy.
    initial_coefficients
        ``zeros``, ``uniform`` (within +-1/sqrt(fan_in), from ``seed``), or one array (n_out, n_in, grid_size +
        spline_order) per layer. Default: zeros for one layer, uniform for more (hidden nodes must differ to learn).
    seed
        Of uniform initial coefficients and of stochastic rounding.
    memory
        Where coefficients lie: ``distributed`` (LUTs), ``block``, or ``auto``: by depth. *Each.*
    table_memory
        Where the tables lie. ``block``: one memory of bases, one of steps (learning rate times basis), which are made
        anew when the learning rate is written: that takes some thousand cycles. ``logic``: bases in LUTs, and the
        multiplication too; twice the LUTs, and about a tenth less time where a step is one cycle. ``auto``: ``block``,
        unless that adds a cycle to a step. *Each.*
    edge_sums
        How an edge is summed: ``products``, ``sum_j c_j b_j``; or ``differences``: as the bases sum to one, that is
        ``c_0 + sum_(j > 0) (c_j - c_0) b_j``, to the bit. One multiplier less for each edge, and another one in hidden
        layers, for subtractions before the others, whose operands have a bit more. ``auto``: differences in a layer of
        several inputs, if no register stands before or behind its multipliers, and the bit more fits an ECP5's;
        products elsewhere. *Each.*
    schedule
        ``sequential``: exact SGD, the next sample is taken as the update of the last is written. ``streaming``: a
        sample is taken every clock, and its update seen some samples later (:attr:`delays`); the target comes with
        the sample.
    pipeline
        Where registers stand in a step: a preset, or a list of stages; see :mod:`kanrtl.schedule`. ``auto`` is
        ``single``, but ``high_clock`` on iCE40, and on a board the first preset that meets its clock; with
        streaming it is ``full``. *Each*: a list of such lists, or of presets.
    reuse_factor
        How many edges share one set of multipliers: the layer is gone through in that many steps; see
        :mod:`kanrtl.sweep`. Inputs are folded first, then nodes. *Each.*
    share_multipliers
        Whether forward and backward pass use the same multipliers.
    multiplier
        ``auto``: left to synthesis, which takes DSP blocks where the device has them; ``dsp``: the same, but refused
        for a device without; ``lut``: sums of shifted terms, no DSP block; ``serial``: shift and add, one bit a clock.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    layer_sizes: Annotated[
        tuple[Annotated[Integer, Field(ge=1, le=1024)], ...], Field(min_length=2, max_length=MAX_LAYERS + 1)
    ]
    grid_range: Annotated[
        Annotated[Range, Tag("one")] | Annotated[tuple[Range, ...], Tag("each")],
        Discriminator(_is_each_range),
    ]
    grid_size: _one_or_each(Annotated[Integer, Field(ge=1, le=MAX_GRID_SIZE)]) = 8  # type: ignore[valid-type]
    spline_order: _one_or_each(Annotated[Integer, Field(ge=1, le=3)]) = 3  # type: ignore[valid-type]
    learning_rate: _one_or_each(Annotated[Real, Field(gt=0, le=256)]) = 0.125  # type: ignore[valid-type]
    table_size: Annotated[Integer, Field(ge=1, le=4096)] = 64
    activation_format: FormatField | None = None
    coefficient_format: FormatField | None = None
    basis_format: FormatField | None = None
    slope_format: FormatField | None = None
    gradient_format: FormatField | None = None
    step_format: FormatField | None = None
    learning_rate_format: FormatField | None = None
    rounding: Literal["floor", "half_up", "half_even"] = "half_up"
    update_rounding: Literal["floor", "half_up", "half_even", "stochastic"] = "half_up"
    teaching: Literal["with_sample", "after_prediction"] = "with_sample"
    loss: Literal["squared", "logistic", "external"] = "squared"
    initial_coefficients: Annotated[Any, BeforeValidator(_parse_coefficients)] = Field(default=None)
    seed: Annotated[Integer, Field(ge=0, lt=1 << 32)] = 0
    memory: _one_or_each(Memory) = "auto"  # type: ignore[valid-type]
    table_memory: _one_or_each(TableMemory) = "auto"  # type: ignore[valid-type]
    edge_sums: _one_or_each(EdgeSums) = "auto"  # type: ignore[valid-type]
    schedule: Literal["sequential", "streaming"] = "sequential"
    pipeline: Annotated[str | tuple[str | tuple[str, ...], ...], BeforeValidator(_parse_pipeline)] = "auto"
    reuse_factor: _one_or_each(Annotated[Integer, Field(ge=1)]) = 1  # type: ignore[valid-type]
    share_multipliers: Annotated[bool, Strict()] = False
    multiplier: Literal["auto", "dsp", "lut", "serial"] = "auto"

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise _one_line(error) from None
        _check(self)

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """A spec from a mapping of field names to plain values, as a TOML file holds them."""
        return cls(**fields)

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Reads a flat TOML file. Raises :exc:`SpecError` for a file that cannot be read or is not such a file."""
        try:
            fields = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise SpecError(f"spec file {str(path)!r}: {error.strerror or error}; name a TOML file") from None
        except (ValueError, RecursionError) as error:
            raise SpecError(f"spec file {str(path)!r}: not TOML ({error}); mend the file") from None
        return cls.from_dict(fields)

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed, checked again."""
        return type(self)(**{name: getattr(self, name) for name in self.model_fields_set} | changes)

    def for_device(self, device: Device) -> Self:
        """The spec as it is built for a device, with ``auto`` decided.

        iCE40 has no distributed memory: what would go there goes to block memory. Its multipliers are timed only with
        registers around them, hence a register after every stage. Raises :exc:`SpecError` where a choice cannot be had.
        """
        if self.multiplier == "dsp" and not device.dsp:
            raise SpecError.of("multiplier", "dsp", f'{device.name} has no multipliers; use "auto", "lut" or "serial"')
        if device.family != "ice40":
            return self
        if "distributed" in self.per_layer("memory"):
            raise SpecError.of("memory", self.memory, 'iCE40 has no distributed memory; use "auto" or "block"')
        memory = tuple("block" if choice == "auto" else choice for choice in self.per_layer("memory"))
        # A subtraction would part a multiplier from the register before it.
        sums = tuple("products" if choice == "auto" else choice for choice in self.per_layer("edge_sums"))
        automatic = "full" if self.schedule == "streaming" else "high_clock"
        pipeline = automatic if self.pipeline == "auto" else self.pipeline
        return self.replace(memory=memory, edge_sums=sums, pipeline=pipeline)

    def estimate(self, device: str | Device) -> Estimate:
        """What the learner will take of a device, such as "LFE5U-25F": see :class:`kanrtl.estimate.Estimate`."""
        from .estimate import estimate

        return estimate(self, device)

    def start_from(self, network: FloatKAN | LookupNetwork, x: npt.ArrayLike | None = None, **options: Any) -> Start:
        """This spec with the coefficients that are nearest to a trained network, such as an importer or
        :meth:`kanrtl.Session.freeze` gives, and how near they are. Arguments as for
        :func:`kanrtl.lookup.to_learner`."""
        from .lookup import to_learner

        return to_learner(network, self, x, **options)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values (those that were given), such that ``from_dict`` gives an equal spec."""
        return self.model_dump(mode="json", exclude_unset=True)

    def per_layer(self, field: str) -> tuple[Any, ...]:
        """The values of an *each* field, one per layer."""
        value = getattr(self, field)
        if field == "grid_range":
            nested = _is_each_range(value) == "each"
        elif field == "pipeline":
            nested = _is_each_pipeline(value)
        else:
            nested = isinstance(value, tuple)
        return tuple(value) if nested else (value,) * self.n_layers

    @property
    def n_layers(self) -> int:
        return len(self.layer_sizes) - 1

    @property
    def n_in(self) -> int:
        return self.layer_sizes[0]

    @property
    def n_out(self) -> int:
        return self.layer_sizes[-1]

    @cached_property
    def formats(self) -> Formats:
        """Every format, given or derived."""
        given = {name.removesuffix("_format"): getattr(self, name) for name in _FORMAT_FIELDS}
        return default_formats(
            self.per_layer("grid_range"),
            self.per_layer("learning_rate"),
            {name: value for name, value in given.items() if value is not None},
        )

    @property
    def target_format(self) -> Format:
        """Of what the teacher sends: a target, or with ``loss="external"`` a gradient."""
        return self.formats.gradient if self.loss == "external" else self.formats.activation

    @cached_property
    def layers(self) -> tuple[LayerArithmetic, ...]:
        """The arithmetic of every layer, first layer first."""
        return layers_of(self)

    @property
    def swept(self) -> bool:
        """Whether the layers are swept in passes, rather than computed all at once."""
        folded = any(factor > 1 for factor in self.per_layer("reuse_factor"))
        return folded or self.share_multipliers or self.multiplier == "serial"

    @cached_property
    def sums_differences(self) -> tuple[bool, ...]:
        """For every layer, whether its edges are sums of differences: :attr:`edge_sums`, with ``auto`` decided."""
        if self.swept:
            return (False,) * self.n_layers
        parted = [bool(stages & {"read", "multiply"}) for stages in self.timing.stages]
        fits = self.formats.coefficient.width < WIDEST_OPERAND
        return tuple(
            choice == "differences" or (choice == "auto" and layer.n_in > 1 and fits and not registered)
            for choice, layer, registered in zip(self.per_layer("edge_sums"), self.layers, parted, strict=True)
        )

    @cached_property
    def timing(self) -> Schedule | SweptSchedule:
        """When everything happens, in clock cycles."""
        schedule = Schedule.of(self)
        return SweptSchedule.of(self, schedule) if self.swept else schedule

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to the edge that writes its update."""
        return self.timing.latency

    @property
    def interval(self) -> int:
        """Clock cycles from one taught sample to the next; in the sequential schedule the same as the latency."""
        return self.timing.interval

    @property
    def delays(self) -> tuple[int, ...]:
        """For every layer, how many samples later a prediction sees a sample's update, where samples come at every
        clock; 1, exact SGD, in the sequential schedule."""
        return self.timing.delays

    def initial_codes(self) -> list[Codes]:
        """Initial coefficient codes, one array ``(n_out, n_in, bases)`` per layer."""
        choice = self.initial_coefficients
        if choice is None:
            choice = "zeros" if self.n_layers == 1 else "uniform"
        random = np.random.default_rng(self.seed)
        codes = []
        for index, layer in enumerate(self.layers):
            shape = (layer.n_out, layer.n_in, layer.bases)
            if choice == "zeros":
                real: Any = np.zeros(shape)
            elif choice == "uniform":
                real = random.uniform(-1, 1, shape) / np.sqrt(layer.n_in)
            else:
                real = np.array(choice[index], dtype=np.float64)
            codes.append(layer.quantise_coefficients(real))
        return codes


def _one_line(error: ValidationError) -> SpecError:
    """The first of pydantic's findings as field, value and mend."""
    first = error.errors()[0]
    field = " ".join(str(first["loc"][0]).split())
    inner = [part for part in first["loc"][1:] if isinstance(part, int)]
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(field, LearnerSpec.model_fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(LearnerSpec.model_fields)}"
        return SpecError.of(field, first["input"], f"unknown field; {hint}")
    if first["type"] == "missing" and not inner:
        return SpecError(f"{field}: missing; give it, for example {_EXAMPLES[field]}")
    if first["type"] == "missing":  # of a pair: pydantic counts the absent member, its input is the pair
        inner.pop()
    if field in _LISTS and first["type"] in ("missing", "too_short", "too_long", "tuple_type"):
        mend = _LISTS[field]
    elif first["type"] in _MENDS:
        mend = _MENDS[first["type"]].format(**first.get("ctx", {}))
    else:
        mend = first["msg"].removeprefix("Value error, ").removeprefix(f"{first['input']!r} ")
    return SpecError.of(f"{field}{''.join(f'[{index}]' for index in inner)}", first["input"], mend)


_EXAMPLES = {"layer_sizes": "layer_sizes = [1, 1]", "grid_range": "grid_range = [-2, 2]"}

_LISTS = {
    "layer_sizes": f"must be a list of 2 to {MAX_LAYERS + 1} sizes, from the inputs to the outputs",
    "grid_range": "must be two numbers, the lowest and the highest x, or a list with one such pair per layer",
}

_MENDS = {
    "int_type": "must be an integer",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be above {gt:.12g}",
    "greater_than_equal": "must be {ge:.12g} or more",
    "less_than": "must be below {lt:.12g}",
    "less_than_equal": "must be {le:.12g} or less",
    "literal_error": "must be {expected}",
    "bool_type": "must be true or false",
}


def _check(spec: LearnerSpec) -> None:
    """What no single field can tell."""
    _check_lengths(spec)
    for low, high in spec.per_layer("grid_range"):
        if not low < high:
            raise SpecError.of("grid_range", (low, high), "upside down or empty; the first bound must be the lower")
    if spec.table_size & (spec.table_size - 1):
        raise SpecError.of("table_size", spec.table_size, "must be a power of two, such as 64")
    if spec.swept and set(spec.per_layer("table_memory")) != {"auto"}:
        raise SpecError.of(
            "table_memory",
            spec.table_memory,
            "with reuse_factor, share_multipliers or serial multipliers tables lie where the coefficients do; "
            'use "auto"',
        )
    if spec.swept and "differences" in spec.per_layer("edge_sums"):
        raise SpecError.of(
            "edge_sums",
            spec.edge_sums,
            'with reuse_factor, share_multipliers or serial multipliers edges are sums of products; use "auto"',
        )
    if spec.schedule == "streaming" and spec.swept:
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
    _check_formats(spec)
    for index, layer in enumerate(spec.layers):
        _check_layer(spec, index, layer)
        _check_step(spec, layer)
        _check_folding(spec, index, layer)
    _check_initial_coefficients(spec)


def _check_lengths(spec: LearnerSpec) -> None:
    for field in (
        "grid_range",
        "grid_size",
        "spline_order",
        "learning_rate",
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


def _check_formats(spec: LearnerSpec) -> None:
    formats = spec.formats
    for name in _FORMAT_FIELDS:
        format = getattr(formats, name.removesuffix("_format"))
        unsigned = name in ("basis_format", "step_format", "learning_rate_format")
        if format.signed == unsigned:
            kind = "unsigned, UQ(i, f)" if unsigned else "signed, SQ(i, f)"
            raise SpecError.of(name, format, f"must be {kind}")
        if format.width > MAX_WIDTH:
            sources = _FOLLOWS[name]
            mend = "narrow it" if getattr(spec, name) else f"it follows from {sources}: change that, or give {name}"
            raise SpecError.of(name, format, f"is {format.width} bits wide, the limit is {MAX_WIDTH}; {mend}")
    activation = formats.activation
    for low, high in spec.per_layer("grid_range"):
        if not (activation.holds(low) and activation.holds(Fraction(high) - Fraction(activation.lsb))):
            raise SpecError.of(
                "activation_format",
                activation,
                f"does not reach the grid_range ({low}, {high}); add integer bits",
            )
    if spec.loss == "logistic" and not activation.holds(1):
        raise SpecError.of(
            "activation_format",
            activation,
            'cannot hold a target of 1, which loss = "logistic" needs; use SQ(2, f) or wider',
        )
    rate = formats.learning_rate
    for value in spec.per_layer("learning_rate"):
        if rate.quantise(value) == 0:
            raise SpecError.of(
                "learning_rate",
                value,
                f"rounds to zero in {rate}; raise it to {rate.lsb} or more, or set learning_rate_format",
            )
        if not rate.holds(value):
            raise SpecError.of(
                "learning_rate",
                value,
                f"is above the highest value of learning_rate_format {rate}; add integer bits",
            )


_FOLLOWS = {
    "activation_format": "grid_range",
    "coefficient_format": "activation_format",
    "basis_format": "coefficient_format",
    "slope_format": "coefficient_format",
    "gradient_format": "activation_format",
    "step_format": "basis_format and learning_rate",
    "learning_rate_format": "learning_rate",
}

# The fields that make an exact value wide, and the format that it is narrowed to: it is aligned to that one's
# fraction, so it must fit with the fraction bits of both.
_WIDENED_BY: dict[str, tuple[str, str, str | None]] = {
    "position": ("activation_format", "table_size", None),
    "edge_sum": ("coefficient_format", "basis_format", None),
    "node_sum": ("coefficient_format", "basis_format", "activation"),
    "error_sum": ("coefficient_format", "gradient_format", "gradient"),
    "slope_sum": ("coefficient_format", "basis_format", "slope"),
    "downstream_sum": ("gradient_format", "slope_format", "gradient"),
    "step_product": ("basis_format", "learning_rate_format", "step"),
    "update_product": ("gradient_format", "step_format", None),
    "update_sum": ("gradient_format", "step_format", "coefficient"),
}


def _check_widths(spec: LearnerSpec, index: int, layer: LayerArithmetic) -> None:
    if layer.derivative.width > MAX_WIDTH:
        raise SpecError.of(
            "grid_range",
            spec.per_layer("grid_range")[index],
            f"a derivative in cells of {float(layer.cell_width):g} would need {layer.derivative.width} bits, "
            f"the limit is {MAX_WIDTH}; choose cells nearer to 1, or narrow basis_format",
        )
    for name, format in layer.exact_formats().items():
        widest, other, narrowed_to = _WIDENED_BY[name]
        fraction = getattr(spec.formats, narrowed_to).f if narrowed_to else 0
        width = format.i + max(format.f, fraction)
        if width > MAX_WIDTH:
            raise SpecError.of(
                widest,
                getattr(spec.formats, widest.removesuffix("_format")),
                f"{name} of layer {index} would need {width} bits, the limit is {MAX_WIDTH}; narrow it or {other}",
            )


def _check_layer(spec: LearnerSpec, index: int, layer: LayerArithmetic) -> None:
    _check_widths(spec, index, layer)
    basis = spec.formats.basis
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
    if spec.update_rounding == "stochastic" and layer.noise_bits > MAX_NOISE_BITS:
        raise SpecError.of(
            "update_rounding",
            spec.update_rounding,
            f"would need {layer.noise_bits} random bits, the limit is {MAX_NOISE_BITS}; "
            "narrow gradient_format or step_format",
        )


def _check_step(spec: LearnerSpec, layer: LayerArithmetic) -> None:
    """Whether the layer's learning rate times its largest basis is anything at all."""
    step = spec.formats.step
    largest = layer.learning_rate_code * int(layer.basis_table.max())
    if not narrow(np.array(largest), layer.step_product.f, step, spec.rounding).result:
        raise SpecError.of(
            "step_format", step, f"every step of learning_rate {layer.learning_rate} rounds to zero; add fraction bits"
        )


def _check_folding(spec: LearnerSpec, index: int, layer: LayerArithmetic) -> None:
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
        f"use {' or '.join(map(str, nearest))}",
    )


def _check_initial_coefficients(spec: LearnerSpec) -> None:
    given = spec.initial_coefficients
    if given is None or isinstance(given, str):
        return
    shapes = [(layer.n_out, layer.n_in, layer.bases) for layer in spec.layers]
    if len(given) != len(shapes):
        raise SpecError.of("initial_coefficients", given, f"must hold {len(shapes)} arrays, one per layer")
    coefficient = spec.formats.coefficient
    for index, (layer, shape) in enumerate(zip(given, shapes, strict=True)):
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


def _as_reals(value: object) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    convert: Callable[..., Any] = np.array
    try:
        return convert(value, dtype=np.float64)  # type: ignore[no-any-return]
    except (TypeError, ValueError):
        return None
