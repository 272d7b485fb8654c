"""The model of a measured radio power amplifier: learned online by modulated edges, by plain ones, and least squares.

``y[n] = sum over m of x[n-m] f_m(|x[n-m]|)``, complex, with four taps. Learners see the training part twice, sample by
sample; their rate is chosen on the validation part, and errors are those of the test part, of which nothing is learned.
The signal is not part of the repository: ``KANRTL_SIGNALS`` names a folder with ``power_amplifier.npz`` (APA_200MHz of
OpenDPD: arrays ``train_``, ``val_`` and ``test_`` with ``input`` and ``output``, complex baseband).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from kanrtl import LearnerSpec, connect
from kanrtl.errors import InputError
from kanrtl.learner.model_batch import ModelBatch
from kanrtl.numeric.spline import basis_values

from .row import Family, Progress, Result, Row

__all__ = ["FAMILY", "PowerAmplifier"]

Reals = npt.NDArray[np.float64]

FOLDER = "KANRTL_SIGNALS"

FILE = "power_amplifier.npz"

BACKEND = "compiled"
"""The integer model in machine code: the bits of the hardware."""

RATES = tuple(2.0**-power for power in range(6))

FORMATS: dict[str, Any] = {
    "activation_format": "SQ(2, 14)",
    "coefficient_format": "SQ(3, 13)",
    "gradient_format": "SQ(2, 14)",
    "update_rounding": "stochastic",
}


class Part(NamedTuple):
    """A part of the signal: the inputs of learners with modulated edges ``(n, 3 * taps)``, and outputs ``(n, 2)``."""

    x: Reals
    y: Reals


def find_data() -> Path:
    """The file with the amplifier's signals; :exc:`InputError` where its folder is not named, or has no such file."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        raise InputError(f"{FOLDER} is not set; name a folder with {FILE}")
    path = Path(folder) / FILE
    if not path.is_file():
        raise InputError(f"{FOLDER} = {folder!r}: there is no {FILE} in it")
    return path


def load_parts(taps: int) -> list[Part]:
    """The training, the validation and the test part.

    Raises :exc:`InputError` where the folder is not named, or has no such file.
    """
    arrays = np.load(find_data())
    return [make_part(arrays[f"{name}_input"], arrays[f"{name}_output"], taps) for name in ("train", "val", "test")]


def make_part(x: npt.ArrayLike, y: npt.ArrayLike, taps: int) -> Part:
    """A part of complex inputs and outputs ``(n,)``: for every tap Re x, Im x and \\|x\\|, zeros before the first."""
    signal, output = (np.asarray(values, dtype=np.complex128) for values in (x, y))
    past = np.stack([np.concatenate([np.zeros(tap), signal])[: len(signal)] for tap in range(taps)], axis=1)
    numbers = np.stack([past.real, past.imag, np.abs(past)], axis=2)
    return Part(numbers.reshape(len(signal), -1), np.stack([output.real, output.imag], axis=1))


def find_nmse(predictions: Reals, y: Reals) -> float:
    """The squared error over the squared output, in dB."""
    return float(10 * np.log10(((predictions - y) ** 2).sum() / (y**2).sum()))


@dataclass(frozen=True)
class PowerAmplifier(Row):
    """Learners of the amplifier, and what they are compared with."""

    taps: int = 4
    grid_size: int = 8
    passes: int = 2

    @property
    def needs(self) -> str:
        return f"`{FOLDER}`, a folder with `{FILE}`"

    @property
    def obstacle(self) -> str | None:
        try:
            find_data()
        except InputError as error:
            return str(error)
        return None

    def measure(self, progress: Progress) -> Result:
        parts = load_parts(self.taps)
        return {
            "unit": "dB",
            "samples": [len(part.x) for part in parts],
            "passes": self.passes,
            "tried": {"learning_rate": list(RATES)},
            "methods": list(self._methods(parts, progress)),
            "tools": {"numpy": version("numpy")},
        }

    def spec(self, *, modulated: bool, rate: float, schedule: str) -> LearnerSpec:
        """The learner with modulated edges, or with plain ones of I and Q."""
        sizes = [self.taps, 2] if modulated else [2 * self.taps, 2]
        fields = FORMATS | {"layer_sizes": sizes, "grid_size": self.grid_size, "learning_rate": rate}
        fields |= {"modulated": "complex", "grid_range": (0, 1)} if modulated else {"grid_range": (-1, 1)}
        return LearnerSpec(**fields, schedule=schedule)

    def _methods(self, parts: list[Part], progress: Progress) -> Iterator[Result]:
        for title, modulated, schedule in (
            ("complex modulated edges", True, "sequential"),
            ("complex modulated edges, streaming", True, "streaming"),
            ("plain edges of I and Q", False, "sequential"),
        ):
            progress(title)
            errors = [
                (find_errors(self.spec(modulated=modulated, rate=rate, schedule=schedule), parts, self.passes), rate)
                for rate in RATES
            ]
            (_, error), rate = min(errors)
            spec = self.spec(modulated=modulated, rate=rate, schedule=schedule)
            about = {"chosen": {"learning_rate": rate}, "spec": spec.to_dict()}
            yield {"name": title, "error": error, **about}
            if schedule == "sequential":
                progress(f"{title}, in float64")
                yield {"name": f"{title}, in float64", "error": find_float_error(spec, parts, self.passes), **about}
        progress("least squares")
        yield {"name": "least squares, the same curves in float64", "chosen": None, "error": self._fit(parts)}
        yield {"name": "least squares, linear, four taps", "chosen": None, "error": fit_linear(parts)}

    def _fit(self, parts: list[Part]) -> float:
        """The error of the best curves on the same grid, all of the training part at once."""
        layer = self.spec(modulated=True, rate=1.0, schedule="sequential").layers[0]

        def columns(x: Reals) -> npt.NDArray[np.complex128]:
            numbers = x.reshape(len(x), self.taps, 3)
            place = np.clip(numbers[..., 2] / float(layer.cell_width), 0, self.grid_size)
            cell = np.minimum(place.astype(int), self.grid_size - 1)
            found = np.zeros((len(x), self.taps, layer.bases), dtype=np.complex128)
            u = (numbers[..., 0] + 1j * numbers[..., 1])[..., None]
            window = cell[..., None] + np.arange(layer.window)
            np.put_along_axis(found, window, basis_values(layer.spline_order, place - cell) * u, axis=2)
            return found.reshape(len(x), -1)

        return _solve(parts, columns)


def find_errors(spec: LearnerSpec, parts: list[Part], passes: int) -> tuple[float, float]:
    """The errors of the validation and the test part after so many passes over the training part."""
    train, *others = parts
    with connect(spec, BACKEND) as learner:
        for _ in range(passes):
            learner.learn_many(train.x if spec.modulated else _plain(train.x), train.y)
        validation, test = (
            find_nmse(learner.predict_many(part.x if spec.modulated else _plain(part.x)), part.y) for part in others
        )
    return validation, test


def find_float_error(spec: LearnerSpec, parts: list[Part], passes: int) -> float:
    """The error of the test part of the same learner in float64."""
    model = ModelBatch([spec], "float64")
    train, _, test = parts
    for _ in range(passes):
        model.learn_many(train.x if spec.modulated else _plain(train.x), train.y)
    return find_nmse(model.predict_many(test.x if spec.modulated else _plain(test.x))[0], test.y)


def _plain(x: Reals) -> Reals:
    """I and Q of every tap, without the sizes."""
    return x.reshape(len(x), -1, 3)[..., :2].reshape(len(x), -1)


def fit_linear(parts: list[Part]) -> float:
    """The error of the best linear filter of complex taps."""

    def columns(x: Reals) -> npt.NDArray[np.complex128]:
        numbers = x.reshape(len(x), -1, 3)
        found: npt.NDArray[np.complex128] = numbers[..., 0] + 1j * numbers[..., 1]
        return found

    return _solve(parts, columns)


def _solve(parts: list[Part], columns: Any) -> float:
    train, _, test = parts
    weights = np.linalg.lstsq(columns(train.x), train.y[:, 0] + 1j * train.y[:, 1], rcond=None)[0]
    found = columns(test.x) @ weights
    return find_nmse(np.stack([found.real, found.imag], axis=1), test.y)


FAMILY = Family(
    "amplifier",
    "the model of a radio power amplifier, learned online",
    (PowerAmplifier("power-amplifier", "power amplifier, four taps, NMSE of the test part"),),
)
