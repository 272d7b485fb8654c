"""Learners on measured signals and on a radio channel, beside float64 and what engineers use instead.

Every sample is predicted, scored and then learned, once. Settings are chosen on a first part, by the squared error in
its second half; errors are those of what comes later. The measured signals are not part of the repository: the
environment variable ``KANRTL_SIGNALS`` names a folder with ``silverbox.npz`` (the nonlinear benchmark of Wigren and
Schoukens: arrays ``v1`` and ``v2``) and ``qubit_shots.npz`` (from the documentation of iq_readout: an array
``two_states``, by prepared state, shot, and I and Q).
"""

from __future__ import annotations

import importlib.util
import itertools
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kanrtl import LearnerSpec, connect
from kanrtl.experiments.fit_task import find_errors, fit_task
from kanrtl.experiments.float_references import run_float_references
from kanrtl.experiments.simulate_learner import teach
from kanrtl.learner.model_batch import ModelBatch
from kanrtl.sim import Equalise, Recording

from .row import Family, Progress, Result, Row

__all__ = ["FAMILY"]

Reals = npt.NDArray[np.float64]

FOLDER = "KANRTL_SIGNALS"

BACKEND = "compiled"
"""The integer model in machine code: the bits of the hardware."""

Fields = Mapping[str, Any]

RATES = tuple(2.0**-power for power in range(1, 9))


@dataclass(frozen=True)
class Signal(Row):
    """Learners and other methods on one stream of samples.

    Attributes
    ----------
    unit
        What errors are counted in.
    learners
        The fields of specs, by what is particular to each. More learners are to be added here.
    tried
        Fields with the values of which the best on the first part is taken, for each learner; its own fields go before.
    also_tried
        More such fields, for some of the learners.
    """

    unit: str
    learners: Mapping[str, Fields]
    tried: Mapping[str, Sequence[Any]]
    also_tried: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)

    @abstractmethod
    def record(self) -> Recording:
        """The stream; settings are chosen on its first part."""

    @abstractmethod
    def score(self, recording: Recording, predictions: Reals) -> float:
        """The error over the samples that count, of predictions ``(samples, n_out)`` in the units of the recording."""

    def other_methods(self, recording: Recording) -> Iterator[tuple[str, Reals]]:
        """Methods that this stream alone is compared with, and their predictions."""
        return iter(())

    def measure(self, progress: Progress) -> Result:
        recording = self.record()
        methods: list[Result] = []
        for name, fields in self.learners.items():
            progress(f"choosing settings of {name}")
            tried = {**self.tried, **self.also_tried.get(name, {})}
            spec = self._choose(recording, fields, tried)
            chosen = {key: spec.to_dict()[key] for key in tried}
            for title, predict in ((name, predict_fixed), (f"{name}, in float64", predict_float64)):
                progress(title)
                found = self.score(recording, predict(spec, recording, recording.samples))
                methods.append({"name": title, "chosen": chosen, "error": found, "spec": spec.to_dict()})
        for reference in run_float_references(recording, progress):
            found = self.score(recording, reference.predictions)
            methods.append({"name": reference.name, "chosen": list(reference.setting), "error": found})
        for name, predictions in self.other_methods(recording):
            methods.append({"name": name, "chosen": None, "error": self.score(recording, predictions)})
        about = {"unit": self.unit, "samples": recording.samples, "first": recording.first}
        tools = {name: version(name) for name in ("numpy", "padasip")}
        return {
            **about,
            "tried": _as_lists(self.tried),
            "also_tried": {name: _as_lists(tried) for name, tried in self.also_tried.items()},
            "methods": methods,
            "tools": tools,
        }

    def _choose(self, recording: Recording, fields: Fields, tried: Mapping[str, Sequence[Any]]) -> LearnerSpec:
        """The spec with the least squared error in the second half of the first part."""
        half, first = recording.first // 2, recording.first
        errors = []
        for values in itertools.product(*tried.values()):
            spec = LearnerSpec(**{**dict(zip(tried, values, strict=True)), **fields})
            error = (predict_fixed(spec, recording, first) - recording.unscaled_target[:first])[half:]
            errors.append((float(np.mean(error**2)), spec))
        return min(errors, key=lambda found: found[0])[1]


def _as_lists(tried: Mapping[str, Sequence[Any]]) -> Result:
    return {key: list(values) for key, values in tried.items()}


def predict_fixed(spec: LearnerSpec, recording: Recording, samples: int) -> Reals:
    """Predictions of the first ``samples`` of a recording, each before its update, in its units; of logits those of the
    probability."""
    task = fit_task(spec, recording)
    with connect(spec, BACKEND) as learner:
        return _in_units(spec, task, teach(learner, task.x[:samples], task.target[:samples]))


def predict_float64(spec: LearnerSpec, recording: Recording, samples: int) -> Reals:
    """What :func:`predict_fixed` gives, of the same learner in float64."""
    task = fit_task(spec, recording)
    batch = ModelBatch([spec], "float64")
    edges = range(samples) if spec.timing.streaming else None
    with np.errstate(all="ignore"):  # a learner may diverge, which its errors show
        found = batch.run(task.x[:samples], task.target[:samples], np.ones(samples, dtype=bool), edges)[0]
    return _in_units(spec, task, found)


def _in_units(spec: LearnerSpec, task: Recording, predictions: Reals) -> Reals:
    samples = len(predictions)
    rest = task.target[samples:]
    error = find_errors(spec, task, np.concatenate([predictions, rest]))
    return task.unscaled_target[:samples] + error[:samples]


def load(name: str) -> Mapping[str, Any]:
    """The arrays of a file of the folder of signals."""
    return np.load(Path(os.environ[FOLDER]) / name)  # type: ignore[no-any-return]


def missing_file(name: str) -> str | None:
    """Why a file of the folder of signals cannot be read; None where it is there."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return f"{FOLDER} is not set; name a folder with {name}"
    return None if (Path(folder) / name).is_file() else f"there is no {name} in {folder}"


class Measured(Signal):
    """Signals of a file that is not in the repository."""

    file: str

    @property
    def needs(self) -> str:
        return f"`{FOLDER}`, a folder with `{self.file}`"

    @property
    def obstacle(self) -> str | None:
        return missing_file(self.file)


class Silverbox(Measured):
    """An electronic Duffing oscillator, one step ahead, in one pass over random-phase multisines."""

    file = "silverbox.npz"

    def record(self) -> Recording:
        arrays = load(self.file)
        rows = slice(40650, 127650)
        v1, v2 = arrays["v1"][rows], arrays["v2"][rows]
        # v1[n], v1[n-1], v2[n-1], v2[n-2], v2[n-3]
        return Recording(v1, v2, taps=1, target_taps=3, first=len(v1) // 2, name="silverbox")

    def score(self, recording: Recording, predictions: Reals) -> float:
        error = (predictions - recording.unscaled_target)[-20_000:]
        return float(np.sqrt(np.mean(error**2)) * 1000)


class Laser(Signal):
    """The intensity of a chaotic laser, one step ahead from eight past values."""

    @property
    def needs(self) -> str:
        return "`pip install reservoirpy`, which has the data"

    @property
    def obstacle(self) -> str | None:
        return None if importlib.util.find_spec("reservoirpy") else "reservoirpy, which has the data, is not installed"

    def record(self) -> Recording:
        from reservoirpy.datasets import santafe_laser  # not in the environment of the tests

        series = santafe_laser()[:, 0].astype(float)
        return Recording(None, series, target_taps=8, first=(len(series) - 8) // 2, name="santa-fe")

    def score(self, recording: Recording, predictions: Reals) -> float:
        target = recording.unscaled_target[recording.first :]
        return float(np.mean((predictions[recording.first :] - target) ** 2) / np.var(target))


class Channel(Signal):
    """Symbols that a radio channel was given, of ten values of what it makes of them."""

    def record(self) -> Recording:
        task = Equalise(300_000, 0, snr=32)
        return Recording(task.x, task.target, first=20_000, name="equalise")

    def score(self, recording: Recording, predictions: Reals) -> float:
        wrong = Equalise.decide(predictions) != recording.unscaled_target
        return float(wrong[recording.first :].mean())


class Qubit(Measured):
    """The states of a qubit by their readout, I and Q, which turns by half a turn meanwhile."""

    file = "qubit_shots.npz"

    def record(self) -> Recording:
        shots = load(self.file)["two_states"].astype(float)
        states = np.repeat([0.0, 1.0], shots.shape[1])
        order = np.random.default_rng(0).permutation(len(states))
        points, states = shots.reshape(-1, 2)[order] @ [1, 1j], states[order]
        points = points * np.exp(1j * np.linspace(0, np.pi, len(points)))
        first = len(points) // 2
        # What turns needs one scale for I and Q, and the same in all directions.
        points /= np.abs(points[:first]).max()
        return Recording(points, states, first=first, scale=False, name="qubit")

    def score(self, recording: Recording, predictions: Reals) -> float:
        wrong = (predictions > 0.5) != recording.unscaled_target
        return float(100 * wrong[recording.first :].mean())

    def other_methods(self, recording: Recording) -> Iterator[tuple[str, Reals]]:
        turned = recording.x @ [1, 1j] * np.exp(-1j * np.linspace(0, np.pi, recording.samples))
        still = np.stack([turned.real, turned.imag], axis=1)
        states, known = recording.target[:, 0], 5000
        yield "linear discriminant of the first 5,000 shots", _discriminate(recording.x, states, known)
        yield "the same, where it knows the angle", _discriminate(still, states, known)
        yield "logistic regression, float64", self._regress(recording)

    @staticmethod
    def _regress(recording: Recording) -> Reals:
        """The probabilities of online logistic regression, at its best rate on the first part."""
        x = np.concatenate([np.ones((recording.samples, 1)), recording.x], axis=1)
        target, half = recording.target[:, 0], recording.first // 2

        def run(rate: float, samples: int) -> Reals:
            weights, found = np.zeros(3), np.empty(samples)
            for index, (row, wanted) in enumerate(zip(x[:samples], target, strict=False)):
                found[index] = 1 / (1 + np.exp(-row @ weights))
                weights += rate * (wanted - found[index]) * row
            return found

        def error(rate: float) -> float:
            known = slice(half, recording.first)
            return float(np.mean((run(rate, recording.first)[known] - target[known]) ** 2))

        return run(min((0.01, 0.03, 0.1, 0.3, 1.0, 3.0), key=error), recording.samples)[:, None]


def _discriminate(x: Reals, states: Reals, known: int) -> Reals:
    """1 and 0 by Fisher's linear discriminant of the first ``known`` samples, shape ``(samples, 1)``."""
    classes = [x[:known][states[:known] == state] for state in (0, 1)]
    means = [part.mean(axis=0) for part in classes]
    normal = np.linalg.solve(sum(np.cov(part.T) for part in classes), means[1] - means[0])
    return ((x - (means[0] + means[1]) / 2) @ normal > 0).astype(float)[:, None]


_LASER_HIDDEN = {"layer_sizes": (8, 4, 1), "grid_range": ((-1, 1), (-2, 2)), "initial_coefficients": "uniform"}

SILVERBOX = Silverbox(
    "signal-silverbox",
    "Silverbox, one step ahead",
    "mV RMS",
    {
        "kanrtl": {"layer_sizes": (5, 1), "grid_range": (-1, 1)},
        "kanrtl, linear": {
            "layer_sizes": (5, 1),
            "grid_range": (-1, 1),
            "target_range": (-1, 1),
            "linear": True,
        },
    },
    {"learning_rate": RATES, "grid_size": (2, 4, 8)},
    {"kanrtl, linear": {"linear_rate": tuple(2.0**power for power in range(-3, 3))}},
)
LASER = Laser(
    "signal-laser",
    "Santa Fe laser, from eight past values",
    "NMSE",
    {"kanrtl": {"layer_sizes": (8, 1), "grid_range": (-1, 1)}, "kanrtl, a hidden layer of 4": _LASER_HIDDEN},
    {"learning_rate": RATES, "grid_size": (4, 8, 16)},
)
CHANNEL = Channel(
    "signal-channel",
    "channel equalisation, 32 dB",
    "symbol errors",
    {"kanrtl": {"layer_sizes": (10, 1), "grid_range": (-1, 1)}},
    {"learning_rate": RATES, "grid_size": (2, 4, 8, 16)},
)
QUBIT = Qubit(
    "signal-qubit",
    "qubit shots, turned by half a turn",
    "% wrong",
    {
        "kanrtl": {"layer_sizes": (2, 1), "grid_range": (-1, 1)},
        "kanrtl, logistic": {"layer_sizes": (2, 1), "grid_range": (-1, 1), "loss": "logistic"},
    },
    {"learning_rate": RATES, "grid_size": (2, 4, 8, 16)},
)

FAMILY = Family("signals", "what is learned of measured signals", (SILVERBOX, LASER, CHANNEL, QUBIT))
