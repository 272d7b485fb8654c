"""The runs of a sweep, in units of learners side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import Reals
from ..learner.losses import find_loss
from ..learner.model_batch import ModelBatch
from ..learner.spec import LearnerSpec
from ..sessions.connect import connect
from ..sim import TASKS
from ..sim.task import Task
from .simulate_learner import teach

# Samples of all learners in a batch that are worth another process: it takes as long to start as to learn so many.
WORTH = 1_000_000


@dataclass(frozen=True)
class Run:
    """One learner, and the seed of the task that it learns."""

    spec: LearnerSpec
    seed: int


@dataclass(frozen=True)
class Result:
    """What came of a run: its mean squared error by regime and as a whole, and what saturated, by kind."""

    mse: tuple[float, ...]
    mse_all: float
    saturations: dict[str, int]


@dataclass(frozen=True)
class Unit:
    """Runs that go together, in one process: with ``"model"`` and ``"float64"`` side by side."""

    runs: tuple[Run, ...]
    task: str
    samples: int
    backend: str  # or "float64"

    def measure(self) -> list[Result]:
        """Runs all learners; gives their results in order."""
        tasks = [TASKS[self.task](self.samples, run.seed) for run in self.runs]
        if self.backend in ("model", "float64"):
            predictions, saturations = _side_by_side([run.spec for run in self.runs], tasks, self.backend)
        else:
            predictions, saturations = [], []
            for run, task in zip(self.runs, tasks, strict=True):
                with connect(run.spec, self.backend) as learner:
                    predictions.append(teach(learner, task.x, task.target))
                    saturations.append(learner.status["saturations"])
        results = []
        for task, predicted, counts in zip(tasks, predictions, saturations, strict=True):
            error = predicted - task.target
            results.append(Result(tuple(task.regime_errors(error)), float(np.mean(error**2)), counts))
        return results


def _side_by_side(
    specs: Sequence[LearnerSpec], tasks: Sequence[Task], numeric: str
) -> tuple[list[Reals], list[dict[str, int]]]:
    """Predictions and saturations of every learner, on its own task."""
    integer = numeric == "model"
    batch = ModelBatch(specs, "integer" if integer else "float64")
    edges = range(tasks[0].samples) if specs[0].timing.streaming else None
    x, target = (np.array([getattr(task, name) for task in tasks]) for name in ("x", "target"))

    def codes(name: str, reals: Reals) -> npt.NDArray[Any]:
        if not integer:
            return reals
        return np.array([getattr(spec.formats, name).quantise(own) for spec, own in zip(specs, reals, strict=True)])

    def reals(outputs: npt.NDArray[Any]) -> Reals:
        if not integer:
            return outputs
        return np.array([spec.formats.activation.to_float(own) for spec, own in zip(specs, outputs, strict=True)])

    x = codes("activation", x)
    if not find_loss(specs[0].loss).takes_gradients:
        predictions = reals(batch.run(x, codes("activation", target), np.ones(x.shape[1], dtype=bool), edges))
    else:  # as a session: the sample is run once more, with the gradient
        predictions = np.empty_like(target)
        for sample in range(x.shape[1]):
            one = slice(sample, sample + 1)
            predictions[:, one] = reals(batch.predict_many(x[:, one]))
            batch.learn_many(x[:, one], codes("gradient", predictions[:, one] - target[:, one]))
    batch.settle()
    return list(predictions), batch.saturations
