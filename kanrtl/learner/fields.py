"""What a learner's description says: its fields, each checked by itself. What follows from them is in :mod:`.spec`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    SkipValidation,
    Strict,
    Tag,
    ValidationError,
)

from ..errors import InputError, SpecError, cut_text, represent
from ..numeric.fixed import Format
from .guard_settings import GuardSettings
from .stages import FORMER_PRESETS, PRESETS, STAGES

MAX_GRID_SIZE = 4096

MAX_LAYERS = 4


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
        BeforeValidator(_to_plain),
    ]


def _is_each_range(value: object) -> str:
    nested = isinstance(value, (list, tuple)) and value and isinstance(value[0], (list, tuple, np.ndarray))
    return "each" if nested else "one"


def _is_each_pipeline(value: object) -> bool:
    """Whether it is a list of lists of stages, or of presets: one for each layer."""
    if not isinstance(value, (list, tuple)) or not value:
        return False
    return all(isinstance(item, (list, tuple)) or _is_preset(item) for item in value)


def _is_preset(value: object) -> bool:
    return isinstance(value, str) and (value in PRESETS or value in FORMER_PRESETS)


def _parse_pipeline(value: object) -> object:
    if isinstance(value, str):
        if value in FORMER_PRESETS:
            raise ValueError(f"{value!r} is called {FORMER_PRESETS[value]!r} now; use that")
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


def _parse_modulated(value: object) -> object:
    value = _to_plain(value)
    if isinstance(value, bool) or value == "complex":
        return value
    raise ValueError('must be true, false or "complex"')


def _parse_coefficients(value: object) -> object:
    if value is None or (isinstance(value, str) and value in ("zeros", "uniform")):
        return value
    if not isinstance(value, (list, tuple)):
        raise ValueError('must be "zeros", "uniform", or a list of one array (n_out, n_in, bases) per layer')
    return _nested_tuple(value, "initial_coefficients")


def _nested_tuple(value: object, place: str) -> object:
    """Numbers in lists in lists, of Python's kinds alone, so that they can be written to a file."""
    plain = _to_plain(value)
    if isinstance(plain, (list, tuple)):
        return tuple(_nested_tuple(item, f"{place}[{index}]") for index, item in enumerate(plain))
    if isinstance(plain, bool) or not isinstance(plain, (int, float)):
        raise SpecError.of(place, value, "must be a number, of one array (n_out, n_in, bases) per layer")
    return plain


def _drop_repeated(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _parse_guard(value: object) -> object:
    if value is None or isinstance(value, GuardSettings):
        return value
    try:
        return GuardSettings.of(value)  # type: ignore[arg-type]  # which refuses what is no table
    except InputError as error:
        raise SpecError(f"guard.{error}" if not str(error).startswith("guard") else str(error)) from None


def _to_plain(value: object) -> object:
    """A number, a truth value or an array of numpy's kinds as Python's."""
    return value.tolist() if isinstance(value, (np.integer, np.floating, np.bool_, np.ndarray)) else value


FormatField = Annotated[Format, BeforeValidator(_parse_format), PlainSerializer(str)]

Real = Annotated[float, Strict(), Field(allow_inf_nan=False), BeforeValidator(_to_plain)]

Integer = Annotated[int, Strict(), BeforeValidator(_to_plain)]

Truth = Annotated[bool, Strict(), BeforeValidator(_to_plain)]

Range = Annotated[tuple[Real, Real], BeforeValidator(_to_plain)]

Memory = Literal["auto", "distributed", "block"]

TableMemory = Literal["auto", "logic", "block"]

EdgeSums = Literal["auto", "products", "differences"]

Outside = Literal["auto", "hold", "learn"]

Initial = Literal["memory", "reset"]


class LearnerFields(BaseModel):
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
    periodic
        Whether x is taken modulo the range of the grid, as an angle is: an edge then has ``grid_size`` coefficients,
        goes on smoothly from the end of the grid to its beginning, and nothing is clamped. ``grid_size`` has to be a
        multiple of 4, or with ``spline_order`` 1 of 2. Where the range is that of the format of x, a phase word of full
        scale, this takes no logic. *Each.*
    modulated
        Whether the edges of the first layer multiply a second input by their curve: an input is then a pair ``u, z``,
        an edge gives ``u f(z)``, and its curve is taught by ``g u``. With ``"complex"`` an input is ``Re u, Im u, z``,
        nodes come in pairs, the real and the imaginary part of a number, and so do their curves: ``y = sum u f(z)``,
        taught by ``g conj(u)``. ``layer_sizes`` counts edges and nodes: a sample has 2 or 3 numbers for each input.
    spline_order
        1, 2 or 3; a sample touches ``spline_order + 1`` coefficients of an edge. *Each.*
    learning_rate
        The initial content of the learning rate register. *Each.*
    table_size
        Rows of the basis table, that is steps per cell; a power of two. Within a step an edge is constant: half the
        steps quadruple the squared error that is left when all is learned, and 128 take no more of an ECP5's memory
        than 64. With 64 and nine bits of basis, ``track`` stays within 6 % of float64 from every start tried; with 64
        and eight bits within 12 %.
    target_range
        Lowest and highest target, in its units: outputs, their coefficients, gradients and slopes get formats for it,
        with a factor of two to spare. Default: from -16 to 16.
    input_format, output_format, activation_format
        Inputs; outputs of the last layer, and targets; outputs of hidden layers, and both of the others where they are
        not given. All formats are ``SQ(i, f)`` or ``UQ(i, f)``; see :mod:`kanrtl.learner.formats` for the defaults.
    coefficient_format, factor_format
        What is learned, and its high bits, which bases are multiplied by: the bits below them are guard bits, in which
        small updates add up. A coefficient format that is given has none, unless a factor format is given too.
        *Each.*
    basis_format, slope_format, gradient_format, step_format, learning_rate_format
        Where other values are narrowed. All but the first and the last: *each.*
    linear
        Whether every edge has a linear path beside its spline: phi(x) = w x + sum_j c_j b_j, with x as it came in, also
        beyond the grid. w has the format of the other coefficients and is the last of an edge's; it begins with 0,
        unless arrays are given. On a grid that reaches less far than 1/4, or farther than 16, x is there taken times a
        power of two that brings its reach into that range. *Each.*
    linear_rate
        The initial content of the linear path's rate register: w moves by the rate times x for a gradient of one. By
        default the learning rate over max(1, R^2), with R the largest magnitude in ``grid_range``, scaled as x is,
        rounded down to a power of two. In a list, what stands for a layer without a linear path has to be a rate too,
        and is not used. *Each.*
    linear_rate_format, linear_step_format
        Of that register, unsigned; and of the rate times x, signed. The latter: *each.*
    gradient_limit
        The largest dL/dy of an output, of either sign, that is learned from: larger ones become this, and are counted
        (error clipping, as of a Huber loss). It is rounded to the gradient format. 0, the default: as far as that
        reaches. A power of two takes the fewest LUTs.
    outside
        What a sample teaches splines whose input is outside of the grid: ``hold``, nothing; or ``learn``, as if it were
        at the end of the grid. A linear path learns in either case. ``auto``: ``hold`` where there is one, which goes
        on beyond the grid, and ``learn`` elsewhere. *Each.*
    leak
        Whether a coefficient that a sample touches first loses a part of itself, its ``2**leak``-th, rounded with the
        update and once: what no sample confirms goes back to zero, and edges of one node do not wander apart. 0, the
        default: it loses nothing. Without stochastic rounding a leak below half an LSB is lost. *Each.*
    counts
        What is counted besides what saturates, once for every learning step, in a list; each takes some tens of LUTs.
        ``outside``: an input of any layer is outside of its grid. ``lost``: in any edge that has a gradient, none of
        the coefficients moves; stochastic rounding loses nothing on average, so nothing is counted there.
    rounding
        How outputs, slopes, gradients and steps are rounded: ``floor``, ``half_up`` or ``half_even``.
    update_rounding
        The same for coefficients as they are updated; also ``stochastic``, the default: up or down with such a
        probability that no update is lost on average, however small.
    teaching
        ``with_sample``: the target comes with the sample. ``after_prediction``: a sample whose ``learn`` bit is
        set waits for a target (or gradient) on a stream of its own.
    loss
        ``squared`` ((y - t)^2 / 2), ``logistic`` (cross entropy of sigmoid(y)), ``external``: the teacher gives
        dL/dy; or another of :mod:`kanrtl.learner.losses`.
    initial_coefficients
        ``zeros``, ``uniform`` (within +-1/sqrt(fan_in), from ``seed``), or one array (n_out, n_in, bases) per layer,
        where ``bases`` is ``grid_size + spline_order``, or ``grid_size`` on a periodic grid; with one more coefficient,
        w, where the layer is ``linear``. Default: zeros for one
        layer, uniform for more (hidden nodes must differ to learn).
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
        Where registers stand in a step: a preset, or a list of stages; see :mod:`kanrtl.learner.schedule`. ``auto`` is
        ``no_registers``, except ``most_registers`` on iCE40, and on a board the first preset from there on that meets
        its clock; with streaming, where registers change the bits, it is always ``all_registers``. *Each*: a list of
        such lists, or of presets.
    reuse_factor
        How many edges share one set of multipliers: the layer is gone through in that many steps; see
        :mod:`kanrtl.learner.folded_schedule`. Inputs are folded first, then nodes. *Each.*
    share_multipliers
        Whether forward and backward pass use the same multipliers.
    multiplier
        ``auto``: left to synthesis, which takes DSP blocks where the device has them; ``dsp``: the same, but refused
        for a device without; ``lut``: sums of shifted terms, no DSP block; ``serial``: shift and add, one bit a clock.
    initial
        Where a learner has what it begins with. ``memory``: initial contents of memories and registers, which are there
        with the bitstream; a reset keeps what was learned. ``reset``: logic, from which a reset writes everything anew,
        in :attr:`restart_cycles` cycles in which no sample is taken; so does the control register while it runs
        (:meth:`kanrtl.Session.restore`). Nothing needs an initial value then, as in an ASIC. It takes a LUT for
        each 16 bits that are not zero in all coefficients, and tables of bases lie in logic, whatever
        ``table_memory`` says.
    guard
        A table of what a guard looks at, or :class:`kanrtl.loop.GuardSettings`: it sees four ways in which a learner
        fails, freezes it, and brings back the last coefficients that were good; see :class:`kanrtl.loop.Guard`. Its
        limits, status and counters are registers of the access port. Default: none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    layer_sizes: Annotated[
        tuple[Annotated[Integer, Field(ge=1, le=1024)], ...],
        Field(min_length=2, max_length=MAX_LAYERS + 1),
        BeforeValidator(_to_plain),
    ]
    grid_range: Annotated[
        Annotated[Range, Tag("one")] | Annotated[tuple[Range, ...], Tag("each")],
        Discriminator(_is_each_range),
        BeforeValidator(_to_plain),
    ]
    grid_size: _one_or_each(Annotated[Integer, Field(ge=1, le=MAX_GRID_SIZE)]) = 8  # type: ignore[valid-type]
    spline_order: _one_or_each(Annotated[Integer, Field(ge=1, le=3)]) = 3  # type: ignore[valid-type]
    periodic: _one_or_each(Truth) = False  # type: ignore[valid-type]
    modulated: Annotated[Any, BeforeValidator(_parse_modulated)] = False
    learning_rate: _one_or_each(Annotated[Real, Field(gt=0, le=256)]) = 0.125  # type: ignore[valid-type]
    table_size: Annotated[Integer, Field(ge=1, le=4096)] = 64
    target_range: Range | None = None
    activation_format: FormatField | None = None
    input_format: FormatField | None = None
    output_format: FormatField | None = None
    coefficient_format: _one_or_each(FormatField) | None = None  # type: ignore[valid-type]
    factor_format: _one_or_each(FormatField) | None = None  # type: ignore[valid-type]
    basis_format: FormatField | None = None
    slope_format: _one_or_each(FormatField) | None = None  # type: ignore[valid-type]
    gradient_format: _one_or_each(FormatField) | None = None  # type: ignore[valid-type]
    step_format: _one_or_each(FormatField) | None = None  # type: ignore[valid-type]
    learning_rate_format: FormatField | None = None
    linear: _one_or_each(Truth) = False  # type: ignore[valid-type]
    linear_rate: _one_or_each(Annotated[Real, Field(gt=0, le=256)]) | None = None  # type: ignore[valid-type]
    linear_rate_format: FormatField | None = None
    linear_step_format: _one_or_each(FormatField) | None = None  # type: ignore[valid-type]
    gradient_limit: Annotated[Real, Field(ge=0)] = 0.0
    outside: _one_or_each(Outside) = "auto"  # type: ignore[valid-type]
    leak: _one_or_each(Annotated[Integer, Field(ge=0, le=32)]) = 0  # type: ignore[valid-type]
    counts: Annotated[tuple[Literal["outside", "lost"], ...], AfterValidator(_drop_repeated)] = ()
    rounding: Literal["floor", "half_up", "half_even"] = "half_up"
    update_rounding: Literal["floor", "half_up", "half_even", "stochastic"] = "stochastic"
    teaching: Literal["with_sample", "after_prediction"] = "with_sample"
    # Checked by .validation, as what there is lies above: a loss knows what follows from fields.
    loss: SkipValidation[str] = "squared"
    initial_coefficients: Annotated[Any, BeforeValidator(_parse_coefficients)] = Field(default=None)
    seed: Annotated[Integer, Field(ge=0, lt=1 << 32)] = 0
    memory: _one_or_each(Memory) = "auto"  # type: ignore[valid-type]
    table_memory: _one_or_each(TableMemory) = "auto"  # type: ignore[valid-type]
    edge_sums: _one_or_each(EdgeSums) = "auto"  # type: ignore[valid-type]
    schedule: Literal["sequential", "streaming"] = "sequential"
    pipeline: Annotated[str | tuple[str | tuple[str, ...], ...], BeforeValidator(_parse_pipeline)] = "auto"
    reuse_factor: _one_or_each(Annotated[Integer, Field(ge=1)]) = 1  # type: ignore[valid-type]
    share_multipliers: Truth = False
    multiplier: Literal["auto", "dsp", "lut", "serial"] = "auto"
    initial: Initial = "memory"
    guard: Annotated[
        Any, BeforeValidator(_parse_guard), PlainSerializer(lambda guard: None if guard is None else guard.to_dict())
    ] = None

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain values (those that were given), of which ``from_dict`` makes an equal spec."""
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
        """The number of layers."""
        return len(self.layer_sizes) - 1

    @property
    def n_in(self) -> int:
        """The numbers of a sample: one for each input, or where edges are modulated as many as each input has."""
        return self.layer_sizes[0] * (1 + self.modulation)

    @property
    def modulation(self) -> int:
        """How many numbers of an input its edges' curves are multiplied by: none, one, or with complex edges two."""
        return 2 if self.modulated == "complex" else int(self.modulated)

    @property
    def n_out(self) -> int:
        """The number of outputs."""
        return self.layer_sizes[-1]

    @property
    def linear_layers(self) -> tuple[int, ...]:
        """The numbers of the layers that have a linear path."""
        return tuple(index for index, linear in enumerate(self.per_layer("linear")) if linear)

    def __setattr__(self, name: str, value: Any) -> None:
        raise SpecError.of(name, value, f"a spec does not change; spec.replace({cut_text(name)}=...) gives another")

    @property
    def restarts(self) -> bool:
        """Whether a reset writes anew everything that is stored, so that nothing needs an initial value."""
        return self.initial == "reset"

    @property
    def folded(self) -> bool:
        """Whether the layers reuse their multipliers in passes, rather than compute all at once."""
        reused = any(factor > 1 for factor in self.per_layer("reuse_factor"))
        return reused or self.share_multipliers or self.multiplier == "serial"


def _first_of(error: ValidationError) -> Any:
    """The first of pydantic's findings; where a field is missing, one that is unknown, which may be meant.

    Its core panics, with an exception that nothing else would catch, where there is no memory for them, or where the
    name of a field is a string that cannot be encoded: raises :exc:`SpecError`.
    """
    try:
        found = error.errors()
    except BaseException as panic:
        if type(panic).__name__ != "PanicException":
            raise
        mend = "see that the names of fields are text, and that there is memory"
        raise SpecError(f"spec: what is wrong with it cannot be told; {mend}") from None
    unknown = [each for each in found if each["type"] == "extra_forbidden"]
    return unknown[0] if unknown and found[0]["type"] == "missing" and len(found[0]["loc"]) == 1 else found[0]


def one_line(error: ValidationError) -> SpecError:
    """The first of pydantic's findings as field, value and mend."""
    first = _first_of(error)
    if isinstance(known := first.get("ctx", {}).get("error"), SpecError):  # it names a part of the field
        return known
    if not first["loc"]:  # it is the name of a field that is no text
        return SpecError.of("field", ascii(first["input"]), "is no name of a field; mend its letters")
    field = cut_text(str(first["loc"][0]))
    inner = [part for part in first["loc"][1:] if isinstance(part, int)]
    if first["type"] == "extra_forbidden":
        if isinstance(first["input"], Mapping) and not first["input"].keys().isdisjoint(LearnerFields.model_fields):
            return SpecError.of(field, first["input"], "holds fields; give them at the top, in no table")
        near = difflib.get_close_matches(field, LearnerFields.model_fields, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(LearnerFields.model_fields)}"
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
        mend = first["msg"].removeprefix("Value error, ").removeprefix(f"{represent(first['input'])} ")
    return SpecError.of(f"{field}{''.join(f'[{index}]' for index in inner)}", first["input"], mend)


_EXAMPLES = {"layer_sizes": "layer_sizes = [1, 1]", "grid_range": "grid_range = [-2, 2]"}

_LISTS = {
    "layer_sizes": f"must be a list of 2 to {MAX_LAYERS + 1} sizes, from the inputs to the outputs",
    "counts": 'must be a list of what is counted: "outside", "lost"',
    "grid_range": "must be two numbers, the lowest and the highest x, or a list with one such pair per layer",
    "target_range": "must be two numbers, the lowest and the highest target",
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
