"""What a baseline has learned, in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..baselines.baseline_spec import BaselineSpec
from ..baselines.kinds import baseline_from_dict
from ..errors import InputError, SpecError, cut
from ..file_content import parse_json
from ..files import read_arrays, write_arrays
from ..numeric.fixed import Codes

FILE_FORMAT = 1
"""The version of the file's layout."""

KIND, MEND = "a saved baseline", "give a file that save of a baseline's session wrote"

MEANING = ("n_in", "n_out", "degree", "polynomials", "mixed", "hidden", "activation", "input_range", "target_range")
"""The fields that say what a weight is multiplied by, of those that a kind has."""

WIDTHS = ("width", "guard_bits", "headroom")
"""The fields, besides the ranges, that the format of a weight follows from."""


def write_baseline(path: Path, spec: BaselineSpec, weights: list[Codes], rate: int) -> None:
    """Write weights and the rate's register, both as codes, with the spec to a file, which is complete or not there."""
    layers = {f"weights_{index}": layer for index, layer in enumerate(weights)}
    about = {"learning_rate": np.array(rate), "baseline": np.array(json.dumps(spec.to_dict()))}
    write_arrays(path, {**layers, **about, "format": np.array(FILE_FORMAT)})


@dataclass(frozen=True)
class SavedBaseline:
    """What a file of :meth:`.BaselineSession.save` holds.

    Attributes
    ----------
    spec : BaselineSpec
        The baseline that was saved.
    weights : list of arrays
        Codes, one array ``(n_out, n_in + 1)`` for each layer.
    rate : int
        The code in its register of the learning rate.
    """

    spec: BaselineSpec
    weights: list[npt.NDArray[Any]]
    rate: int

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file; raise :exc:`InputError` where it is damaged or another."""
        content = read_arrays(path, KIND, MEND)
        try:
            version, text, rate = content["format"], str(content["baseline"]), content["learning_rate"]
            if version.shape or version.dtype.kind not in "iu" or version < 1:
                raise KeyError("format")
            if version > FILE_FORMAT:
                newer = f"is of format {version}, and this version reads up to {FILE_FORMAT}"
                raise InputError(f"{newer}; use the kanrtl that saved it")
            fields = parse_json(text)
            if not isinstance(fields, dict):
                raise TypeError(text)
            spec = baseline_from_dict(fields)
            weights = [content[f"weights_{index}"] for index in range(len(spec.sums))]
        except SpecError as error:
            raise InputError(f"the saved spec does not work here ({error}); save it again with this version") from None
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError):  # missing, or of another kind
            raise InputError(f"not {KIND}; {MEND}") from None
        highest = spec.rate_register.format.maximum
        if rate.shape or rate.dtype.kind not in "iu" or not 0 <= rate <= highest:
            raise InputError(f"learning_rate: must be an integer from 0 to {highest}; {MEND}")
        return cls(spec, weights, int(rate))

    @property
    def learning_rate(self) -> float:
        """The learning rate as its register held it."""
        return float(self.spec.rate_register.format.to_float(self.rate))

    def check_weights(self, spec: BaselineSpec) -> None:
        """Raise :exc:`InputError`, which names the field, where weights of another baseline are not of the same
        functions in the same formats, so that they would be other codes there."""
        ours, theirs = (one.to_dict() for one in (spec, self.spec))
        for field in ("kind", *MEANING, *WIDTHS):
            # Of a linear filter there are no products.
            if field in ("polynomials", "mixed") and ours.get("degree") == 1:
                continue
            if ours.get(field) != theirs.get(field):
                here = f"but this baseline has {cut(ours.get(field))}"
                raise InputError(f"{field} = {cut(theirs.get(field))}, {here}; load it into one with the same")
