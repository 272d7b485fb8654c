"""What a learner has learned, read from a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy.typing as npt

from ..errors import InputError, SpecError
from ..files import read_arrays
from ..learner.spec import LearnerSpec
from ..learner.stages import rename_presets
from ..numeric.fixed import Format
from ..numeric.lfsr import WIDTH as NOISE_WIDTH


@dataclass(frozen=True)
class SavedLearner:
    """What a file of :meth:`Session.save` holds, with every value in its range except the coefficients."""

    spec: LearnerSpec
    coefficients: list[npt.ArrayLike]
    rates: list[int]
    """All registers of rates, in the order of :attr:`kanrtl.LearnerSpec.rate_registers`."""
    noise: int | None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; raise :exc:`InputError` where it is damaged or another."""
        try:
            return cls._from_arrays(read_arrays(path))
        except (KeyError, TypeError, json.JSONDecodeError):  # something is missing, or of another kind
            raise InputError("not a saved learner; give a file that save wrote") from None

    @classmethod
    def _from_arrays(cls, content: dict[str, npt.NDArray[Any]]) -> Self:
        try:
            spec = LearnerSpec.from_dict(rename_presets(json.loads(str(content["spec"]))))
        except SpecError as error:
            raise InputError(f"the saved spec does not work here ({error}); save it again with this version") from None
        rates = _rates(content, "learning_rates", spec.formats.learning_rate, spec.n_layers)
        if spec.formats.linear_rate:
            rates += _rates(content, "linear_rates", spec.formats.linear_rate, len(spec.linear_layers))
        noise = int(_in_range("noise", content["noise"], (1 << NOISE_WIDTH) - 1)) if "noise" in content else None
        coefficients = [content[f"coefficients_{index}"] for index in range(spec.n_layers)]
        return cls(spec, list(coefficients), rates, noise)


def _rates(content: dict[str, npt.NDArray[Any]], field: str, format: Format, count: int) -> list[int]:
    """The codes of so many registers of rates."""
    rates = _in_range(field, content[field], format.maximum)
    if rates.shape != (count,):
        raise InputError(f"{field}: shape {rates.shape}; must be ({count},)")
    return [int(rate) for rate in rates]


def _in_range(field: str, codes: npt.NDArray[Any], highest: int) -> npt.NDArray[Any]:
    if codes.dtype.kind not in "iu" or codes.size == 0 or codes.min() < 0 or codes.max() > highest:
        raise InputError(f"{field}: must be integers from 0 to {highest}; give a file that save wrote")
    return codes
