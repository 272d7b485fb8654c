"""The axes of a sweep: what is changed, and the specs at its points."""

from __future__ import annotations

import difflib
import itertools
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import ValidationError

from ..errors import InputError, SpecError, cut, cut_text
from ..learner.fields import LearnerFields, one_line
from ..learner.formats import derive_formats
from ..learner.spec import LearnerSpec
from ..learner.validation import check_fields
from ..numeric.fixed import Format
from ..sim.task import Task
from .fit_task import check_task

BITS = "bits"
"""An axis that is no field: all bits of activations and coefficients. Their integer bits stay, the fraction gives way,
and formats that the spec leaves open follow. An ``input_format`` and an ``output_format`` that are given stay too."""


@dataclass(frozen=True)
class Axis:
    """Fields of the spec, or :data:`BITS`, that are changed together, and their values."""

    fields: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    """One value per field for every point of the axis."""

    @property
    def name(self) -> str:
        """The fields, with commas between them."""
        return ", ".join(self.fields)

    @cached_property
    def labels(self) -> tuple[Any, ...]:
        """A number or a text for every point."""
        return tuple(_label(values[0] if len(set(map(repr, values))) == 1 else values) for values in self.values)


def _label(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(str(_label(item)) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_over(text: str) -> tuple[str | tuple[str, ...], list[Any]]:
    """Fields and values of ``FIELD=VALUE,VALUE``: values as in a spec file, but texts need no quotes.

    ``FIELD,FIELD=VALUE,VALUE`` gives each value to both fields, ``FIELD,FIELD=VALUE:VALUE,...`` one to each. Commas and
    colons within brackets do not separate. Raises :exc:`InputError` where ``text`` is written otherwise.
    """
    names, equals, values = text.partition("=")
    fields = tuple(name.strip() for name in names.split(","))
    given = _split(values, ",")
    if not equals or not all(fields) or not all(part.strip() for part in given):
        raise InputError(f"over = {text!r}: write FIELD=VALUE,VALUE such as learning_rate=0.1,0.2")
    if len(fields) == 1:
        return fields[0], [_toml_value(part) for part in given]
    parsed = []
    for part in given:
        each = [_toml_value(one) for one in _split(part, ":")]
        if len(each) not in (1, len(fields)):
            raise InputError(
                f"over = {text!r}: {part.strip()!r} is for {len(each)} fields; give one value for all "
                f"{len(fields)} fields, or {len(fields)} with ':' between them"
            )
        parsed.append(tuple(each * len(fields) if len(each) == 1 else each))
    return fields, parsed


def _split(text: str, separator: str) -> list[str]:
    """Parts between separators that stand outside of all brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if letter in "\"'" and quote in ("", letter):
            quote = "" if quote else letter
        depth += (letter in "[({") - (letter in "])}") if not quote else 0
        if letter == separator and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _toml_value(text: str) -> Any:
    text = text.strip()
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):  # also of integers that Python does not read
        return text
    return document["value"] if list(document) == ["value"] else text


def axis_of(fields: str | tuple[str, ...], values: Sequence[Any]) -> Axis:
    """The axis along which a field takes ``values``, or several fields take values that are tuples.

    Raises :exc:`InputError` where the values do not fit the fields.
    """
    names = (fields,) if isinstance(fields, str) else tuple(fields)
    where = f"over {', '.join(names)}"
    if not isinstance(values, (list, tuple, range, np.ndarray)) or not len(values):
        raise InputError(f"{where} = {cut(values)}: give a list of values")
    points: list[tuple[Any, ...]] = []
    for value in values.tolist() if isinstance(values, np.ndarray) else values:
        point = (value,) if isinstance(fields, str) else value
        if not isinstance(point, (list, tuple)) or len(point) != len(names):
            raise InputError(f"{where} = {cut(value)}: give {len(names)} values, one for each field")
        points.append(tuple(one.item() if isinstance(one, np.generic) else one for one in point))
    return Axis(names, tuple(points))


def check_axes(axes: Sequence[Axis]) -> None:
    """Raise :exc:`InputError` where axes name an unknown field, one field twice, or one value twice."""
    if not axes:
        raise InputError("over: nothing to sweep; give a field with its values, such as learning_rate=0.1,0.2")
    names = [name for axis in axes for name in axis.fields]
    sets = {BITS: {"activation_format", "coefficient_format"}}
    for index, name in enumerate(names):
        if name != BITS and name not in LearnerSpec.model_fields:
            near = difflib.get_close_matches(name, [BITS, *LearnerSpec.model_fields], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use {BITS!r} or a field of the spec"
            raise InputError(f"over = {cut(name)}: unknown field; {hint}")
        for other in names[:index]:
            if sets.get(name, {name}) & sets.get(other, {other}):
                raise InputError(f"over = {name!r}: {other!r} sets it too; sweep one of them")
    for axis in axes:
        for label in axis.labels:
            if axis.labels.count(label) > 1:
                raise InputError(f"over {axis.name} = {cut_text(str(label))}: given twice; leave one out")


def points_of(axes: Sequence[Axis]) -> Iterator[tuple[int, ...]]:
    """The points of a sweep, as indices of values on every axis, the last axis fastest."""
    return itertools.product(*(range(len(axis.values)) for axis in axes))


def learner_at(spec: LearnerSpec, axes: Sequence[Axis], point: tuple[int, ...], task: Task | type[Task]) -> LearnerSpec:
    """The learner of a point; :exc:`InputError`, which names the point, where it cannot be or the task does not fit."""
    changes: dict[str, Any] = {}
    for axis, index in zip(axes, point, strict=True):
        changes |= zip(axis.fields, axis.values[index], strict=True)
    try:
        if BITS in changes:
            bits = changes.pop(BITS)
            changes |= _formats(spec, changes, bits)
        learner = spec.replace(**changes)
        check_task(learner, task)
    except (SpecError, InputError) as error:
        values = (cut_text(str(axis.labels[index])) for axis, index in zip(axes, point, strict=True))
        where = ", ".join(f"{axis.name} = {value}" for axis, value in zip(axes, values, strict=True))
        raise InputError(f"over {where}: {error}") from None
    return learner


def _formats(spec: LearnerSpec, changes: dict[str, Any], bits: Any) -> dict[str, Any]:
    """The fields that set so many bits, with the integer bits that follow from the spec and all other changes."""
    try:
        # Not checked as a whole: it may need these bits.
        fields = LearnerFields(**{name: getattr(spec, name) for name in spec.model_fields_set} | changes)
    except ValidationError as error:
        raise one_line(error) from None
    check_fields(fields)
    layers = derive_formats(fields).layers
    hidden = [layer.input for layer in layers[1:]]
    ends = {"input_format": layers[0].input, "output_format": layers[-1].output}
    found: dict[str, Format] = {name: format for name, format in ends.items() if getattr(fields, name) is None}
    if len(set(hidden)) > 1:
        raise InputError(
            f"{BITS}: hidden layers have different formats, {', '.join(map(str, hidden))}; give an activation_format"
        )
    if len({*hidden, *found.values()}) == 1:
        found = {"activation_format": [*hidden, *found.values()][0]}
    elif hidden:
        found["activation_format"] = hidden[0]
    formats: dict[str, Any] = {name: _with_bits(name, format, bits) for name, format in found.items()}
    coefficients = [_with_bits("coefficient_format", layer.coefficient, bits) for layer in layers]
    return formats | {"coefficient_format": coefficients if len(set(coefficients)) > 1 else coefficients[0]}


def _with_bits(name: str, format: Format, bits: Any) -> Format:
    if not isinstance(bits, int) or isinstance(bits, bool) or bits <= format.i:
        raise InputError(f"{BITS} = {cut(bits)}: must be an integer above the {format.i} integer bits of {name}")
    return Format(format.signed, format.i, bits - format.i)
