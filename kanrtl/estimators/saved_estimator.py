"""The file of an estimator: the ``.npz`` file of its session, with parameters and scales added."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..file_content import parse_json
from ..files import read_arrays, write_arrays
from ..learner.guard_settings import GuardSettings
from ..learner.stages import rename_presets
from ..numeric.fixed import Format
from .scaled_learner import OnlineLearner

FILE_FORMAT = 1


@dataclass(frozen=True)
class SavedEstimator:
    """What a file holds of an estimator beside what its session and its scales have learned.

    Attributes
    ----------
    kind
        The name of the estimator's class.
    parameters
        The parameters of its constructor.
    state
        Attributes that follow from samples, such as the names of features.
    named
        Whether its features have names that scikit-learn knows.
    format
        The version of the file's layout.
    """

    kind: str
    parameters: dict[str, Any]
    state: dict[str, Any]
    named: bool
    format: int = FILE_FORMAT

    def write(self, path: Path, learner: OnlineLearner) -> None:
        """Write this and what ``learner`` has learned to a file, which is complete or not there.

        Raises :exc:`InputError` where a parameter, a feature or a class cannot be written, or the file cannot.
        """
        for name in (name for names in self.state.values() if isinstance(names, list) for name in names):
            if isinstance(name, tuple):  # JSON would make a list of it
                raise InputError(f"save: {name!r} is a tuple; give features and classes names of numbers and strings")
        with np.load(io.BytesIO(learner.to_bytes()), allow_pickle=False) as content:
            arrays = dict(content)
        arrays |= learner.inputs.arrays("inputs") | {"frozen": np.array(learner.is_copied_frozen())}
        if limits := learner.limits():
            arrays["limits"] = np.array(json.dumps(limits))
        if learner.targets is not None:
            arrays |= learner.targets.arrays("targets")
        try:
            arrays["estimator"] = np.array(json.dumps(vars(self), default=_to_plain))
        except TypeError as error:
            raise InputError(f"save: {error}; use numbers and strings") from None
        write_arrays(path, arrays)

    @classmethod
    def read(cls, path: Path, kind: str) -> tuple[Self, dict[str, npt.NDArray[Any]]]:
        """What a file says of an estimator of this ``kind``, and all its arrays, among them those of the scales.

        Raises :exc:`InputError` where it is of another kind or format, and :exc:`KeyError`, :exc:`TypeError` or
        :exc:`ValueError` where something is missing.
        """
        arrays = read_arrays(path)
        content = parse_json(str(arrays["estimator"]))
        if isinstance(content["format"], int) and content["format"] > FILE_FORMAT:
            raise InputError(
                f"is of format {content['format']}, and this version reads up to {FILE_FORMAT}; use the kanrtl that "
                "saved it"
            )
        if content["kind"] != kind or content["format"] != FILE_FORMAT:
            raise InputError(f"holds a {content['kind']}, format {content['format']}; use the class that saved it")
        for parameters in (content["parameters"], content["state"].get("_started")):
            if parameters:  # former versions keep those only that it has now
                parameters["hidden_layer_sizes"] = tuple(parameters["hidden_layer_sizes"] or ()) or None
                if parameters["spec"]:
                    parameters["spec"] = rename_presets(parameters["spec"])
        return cls(**content), arrays


def _to_plain(value: Any) -> Any:
    """A value of numpy, a format or a guard as JSON has it."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Format):
        return str(value)
    if isinstance(value, GuardSettings):
        return value.to_dict()
    raise TypeError(f"{value!r} cannot be written to a file")
