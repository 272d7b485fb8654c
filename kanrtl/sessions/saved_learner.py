"""What a learner has learned, in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..errors import InputError, SpecError
from ..file_content import parse_json
from ..files import read_arrays, write_arrays
from ..learner.arithmetic import LayerArithmetic, checked_coefficients
from ..learner.formats import exponent
from ..learner.spec import LearnerSpec
from ..learner.stages import rename_presets
from ..numeric.fixed import SQ, UQ, Codes, Format
from ..numeric.lfsr import WIDTH as NOISE_WIDTH
from .backend import LearnerBackend

_WIDEST = 62
"""Bits of a code in a file: it is an integer of 64, and learners have narrower ones."""

FILE_FORMAT = 1
"""The version of the file's layout; files of before there was a number are the first too."""


def write_learner(path: Path, spec: LearnerSpec, backend: LearnerBackend) -> None:
    """Write what was learned, with the spec, to a file, which is complete or not there."""
    content: dict[str, Any] = {
        f"coefficients_{index}": layer for index, layer in enumerate(backend.read_coefficients())
    }
    rates = np.array(backend.read_learning_rates(), dtype=np.int64)
    content["learning_rates"] = rates[: spec.n_layers]
    if spec.linear_layers:
        content["linear_rates"] = rates[spec.n_layers :]
    if spec.update_rounding == "stochastic":
        content["noise"] = np.array(backend.read_noise(), dtype=np.int64)
    content["coefficient_formats"] = np.array([str(layer.formats.coefficient) for layer in spec.layers])
    content["learning_rate_format"] = np.array(str(spec.formats.learning_rate))
    if spec.formats.linear_rate:
        content["linear_rate_format"] = np.array(str(spec.formats.linear_rate))
    content["spec"] = np.array(json.dumps(spec.to_dict()))
    content["format"] = np.array(FILE_FORMAT)
    write_arrays(path, content)


@dataclass(frozen=True)
class SavedLearner:
    """What a file of :meth:`Session.save` holds, with every value in its range except the coefficients.

    Attributes
    ----------
    spec : LearnerSpec
        The learner that was saved, with the defaults of this version.
    coefficients : list of arrays
        One for each layer, in ``coefficient_formats``.
    coefficient_formats : list of Format
        One for each layer.
    learning_rates : list of int
        One for each layer, in ``learning_rate_format``.
    learning_rate_format : Format
        That of all registers.
    noise : int or None
        The noise register, with stochastic rounding.
    """

    spec: LearnerSpec
    coefficients: list[npt.ArrayLike]
    coefficient_formats: list[Format]
    rates: list[int]
    """All registers of rates, in the order of :attr:`kanrtl.LearnerSpec.rate_registers`."""
    rate_formats: list[Format]
    """Their formats."""
    noise: int | None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; raise :exc:`InputError` where it is damaged or another."""
        try:
            return cls._from_arrays(read_arrays(path))
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError):  # something is missing, or of another kind
            raise InputError("not a saved learner; give a file that save wrote") from None

    @classmethod
    def _from_arrays(cls, content: dict[str, npt.NDArray[Any]]) -> Self:
        version = content.get("format", np.array(FILE_FORMAT))
        if version.shape or version.dtype.kind not in "iu" or version < 1:
            raise InputError("not a saved learner; give a file that save wrote")
        if version > FILE_FORMAT:
            raise InputError(
                f"is of format {version}, and this version reads up to {FILE_FORMAT}; use the kanrtl that saved it"
            )
        try:
            spec = LearnerSpec.from_dict(rename_presets(parse_json(str(content["spec"]))))
        except SpecError as error:
            raise InputError(f"the saved spec does not work here ({error}); save it again with this version") from None
        formats, rate = _formats_of(spec, content)
        rates = _rates(content, "learning_rates", rate, spec.n_layers)
        rate_formats = [rate] * spec.n_layers
        if spec.linear_layers:
            linear = _format_of(content, "linear_rate_format", signed=False)
            rates += _rates(content, "linear_rates", linear, len(spec.linear_layers))
            rate_formats += [linear] * len(spec.linear_layers)
        noise = int(_in_range("noise", content["noise"], (1 << NOISE_WIDTH) - 1)) if "noise" in content else None
        coefficients = [content[f"coefficients_{index}"] for index in range(spec.n_layers)]
        return cls(spec, list(coefficients), formats, rates, rate_formats, noise)

    def convert(self, spec: LearnerSpec) -> tuple[list[Codes], list[int]]:
        """The coefficients and the content of the registers of rates, in the formats of a learner of the same sizes.

        Where its linear paths take x times another power of two, w and its rate are for that.

        Raises :exc:`InputError` where its formats do not hold one of the values.
        """
        theirs = checked_coefficients(self._layers(), self.coefficients)
        coefficients = [
            _convert("coefficient_format", codes[..., : layer.bases], own, layer.formats.coefficient)
            for codes, own, layer in zip(theirs, self.coefficient_formats, spec.layers, strict=True)
        ]
        count = spec.n_layers
        names = ["learning_rate_format"] * count + ["linear_rate_format"] * len(spec.linear_layers)
        registers = [
            (name, np.array(code, dtype=np.int64), own, register.format)
            for name, code, own, register in zip(names, self.rates, self.rate_formats, spec.rate_registers, strict=True)
        ]
        rates = [_convert(*register) for register in registers[:count]]
        for index, register in zip(spec.linear_layers, registers[count:], strict=True):
            own, ours = self.coefficient_formats[index], spec.layers[index].formats.coefficient
            scale = _LinearScale.of(self.spec, spec, index)
            weights = scale.convert("coefficient_format", theirs[index][..., -1:], own, ours)
            coefficients[index] = np.concatenate([coefficients[index], weights], axis=2)
            rates.append(scale.convert(*register, power=2))  # of a step of the rate times x, times x
        return coefficients, [int(rate) for rate in rates]

    def _layers(self) -> list[LayerArithmetic]:
        """The layers of the saved learner, with the coefficients' own formats."""
        return [
            replace(layer, formats=replace(layer.formats, coefficient=own))
            for layer, own in zip(self.spec.layers, self.coefficient_formats, strict=True)
        ]


def _rates(content: dict[str, npt.NDArray[Any]], field: str, format: Format, count: int) -> list[int]:
    """The codes of so many registers of rates."""
    rates = _in_range(field, content[field], format.maximum)
    if rates.shape != (count,):
        raise InputError(f"{field}: shape {rates.shape}; must be ({count},)")
    return [int(rate) for rate in rates]


def _formats_of(spec: LearnerSpec, content: dict[str, npt.NDArray[Any]]) -> tuple[list[Format], Format]:
    """The formats of the coefficients, and of the learning rates, that a file says or that its version had."""
    if "coefficient_formats" not in content:
        return _former_formats(spec)
    formats = [_parse("coefficient_formats", text, signed=True) for text in content["coefficient_formats"]]
    if len(formats) != spec.n_layers:
        raise InputError(f"coefficient_formats: {len(formats)} for {spec.n_layers} layers; give a file that save wrote")
    return formats, _format_of(content, "learning_rate_format", signed=False)


def _format_of(content: dict[str, npt.NDArray[Any]], field: str, *, signed: bool) -> Format:
    """The one format that a field of a file says."""
    return _parse(field, content[field], signed=signed)


def _parse(field: str, text: object, *, signed: bool) -> Format:
    try:
        format = Format.parse(str(text))
    except ValueError as error:
        raise InputError(f"{field}: {error}; give a file that save wrote") from None
    if format.signed != signed:
        kind = "signed" if format.signed else "unsigned"
        raise InputError(f"{field}: {format} is {kind}; give a file that save wrote")
    if format.width > _WIDEST:
        raise InputError(
            f"{field}: {format} has more bits than codes in a file, {_WIDEST}; give a file that save wrote"
        )
    return format


def _former_formats(spec: LearnerSpec) -> tuple[list[Format], Format]:
    """The defaults of versions whose files do not say them: inputs, outputs and coefficients had one format."""
    reach = max(abs(bound) for bounds in spec.per_layer("grid_range") for bound in bounds)
    whole = max(6, exponent(reach) + 2)
    coefficient = spec.per_layer("coefficient_format")[0] or spec.activation_format or SQ(whole, max(0, 16 - whole))
    rates = spec.per_layer("learning_rate")
    rate = UQ(max(0, exponent(2 * max(rates))), max(4, 5 - exponent(min(rates))))
    return [coefficient] * spec.n_layers, spec.learning_rate_format or rate


def _convert(field: str, codes: Codes, theirs: Format, ours: Format) -> Codes:
    """The same values in our format, if it has a code for each of them."""
    converted = _change(codes, theirs, ours, 0)
    if converted is None:
        raise _other_format(field, theirs, ours)
    return converted


def _other_format(field: str, theirs: Format, ours: Format, why: str = "") -> InputError:
    return InputError(f"{field} = {theirs}, but this learner has {ours}{why}; load it into one with the same")


def _change(codes: Codes, theirs: Format, ours: Format, shift: int) -> Codes | None:
    """The values times ``2**shift`` in our format; None where that is coarser, or has no code for one of them."""
    finer = ours.f - theirs.f + shift
    up, down = max(0, finer), max(0, -finer)
    kept = codes >> down
    # The bounds are compared before the shift, which could wrap.
    if (
        ours.f < theirs.f
        or (kept << down != codes).any()
        or (kept < -(-ours.minimum >> up)).any()
        or (kept > ours.maximum >> up).any()
    ):
        return None
    return kept << up


@dataclass(frozen=True)
class _LinearScale:
    """What a learner takes x of a layer's linear paths times, compared with the one that was saved.

    Attributes
    ----------
    field : str
        The field that it follows from.
    theirs, ours : Format
        The layer's input in the learner that was saved, and in the one that loads it.
    shift : int
        The power of two that w is larger by here, for the same w x.
    """

    field: str
    theirs: Format
    ours: Format
    shift: int

    @classmethod
    def of(cls, theirs: LearnerSpec, ours: LearnerSpec, index: int) -> Self:
        saved, layer = theirs.layers[index], ours.layers[index]
        assert saved.linear, "the saved layer has no linear paths"
        assert layer.linear, "the layer has no linear paths"
        given = index == 0 and (theirs.input_format or ours.input_format)
        field = "input_format" if given else "activation_format"
        shift = saved.linear.input_shift - layer.linear.input_shift
        return cls(field, saved.formats.input, layer.formats.input, shift)

    def convert(self, field: str, codes: Codes, theirs: Format, ours: Format, power: int = 1) -> Codes:
        """What goes with a ``power`` of x, as :func:`_convert`."""
        if not self.shift:
            return _convert(field, codes, theirs, ours)
        converted = _change(codes, theirs, ours, power * self.shift)
        if converted is None:
            why = ", with which its linear paths take x times another power of two"
            raise _other_format(self.field, self.theirs, self.ours, why)
        return converted


def _in_range(field: str, codes: npt.NDArray[Any], highest: int) -> npt.NDArray[Any]:
    if codes.dtype.kind not in "iu" or codes.size == 0 or codes.min() < 0 or codes.max() > highest:
        raise InputError(f"{field}: must be integers from 0 to {highest}; give a file that save wrote")
    return codes
