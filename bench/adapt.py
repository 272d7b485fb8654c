"""What it is worth to start from a network that was trained before: the error over time, where the target moves on.

A learner is taught the first function of the task ``track``, and frozen. On other samples three are then compared, each
predicting a sample before it learns from it: the frozen network, which does not learn; a learner that starts from that
network; and one that starts from zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from kanrtl import LookupNetwork, connect
from kanrtl.sim import TASKS, Task
from kanrtl.transfer import Frozen

from .lookup import DEVICE, FREQUENCY
from .row import Family, LearnerRow, Progress, Result, network_summary

__all__ = ["FAMILY", "FROZEN", "Adapt", "FrozenCore"]

Reals = npt.NDArray[np.float64]

BLOCK = 25
"""Samples that one point of a curve of errors is the mean of, over all seeds."""


@dataclass(frozen=True)
class Adapt(LearnerRow):
    """A drift of the task's target, over ``samples`` samples and ``seeds`` seeds."""

    drift: Literal["switch", "slow"]
    bits: int
    """Address bits of the frozen network's tables."""
    samples: int = 1500
    taught: int = 500
    seeds: int = 10

    def measure(self, progress: Progress) -> Result:
        errors: dict[str, list[Reals]] = {}
        facts = []
        for seed in range(self.seeds):
            progress(f"{seed} of {self.seeds} seeds")
            found, fact = self._run(seed)
            facts.append(fact)
            for name, error in found.items():
                errors.setdefault(name, []).append(error**2)
        return {
            "seeds": list(range(self.seeds)),
            "samples": self.samples,
            "taught": self.taught,
            "bits": self.bits,
            "block": BLOCK,
            **{name: float(np.mean([fact[name] for fact in facts])) for name in facts[0]},
            "models": [{"name": name, **summary(np.mean(squares, axis=0))} for name, squares in errors.items()],
            "tools": {"numpy": version("numpy")},
        }

    def _run(self, seed: int) -> tuple[dict[str, Reals], dict[str, float]]:
        """Errors by model, and how near the frozen network and the learner started from it are to what they are of."""
        spec = self.spec
        before, after = (TASKS["track"](3 * self.taught, seed), TASKS["track"](self.samples, 1000 + seed))
        with connect(spec) as learner:
            learner.learn_many(before.x[: self.taught], before.target[: self.taught])
            frozen = learner.freeze(self.bits)
        start = spec.start_from(frozen.network)
        target = after.target if self.drift == "switch" else slow(after)
        errors = {"frozen network": frozen.network.predict(after.x) - target}
        for name, first in (("learner, started from it", start.spec), ("learner, started from zeros", spec)):
            with connect(first) as learner:
                errors[name] = learner.learn_many(after.x, target) - target
        facts = {"frozen_bound": frozen.bound, "frozen_rms": frozen.rms_error, "started_rms": start.error.rms}
        return {name: error[:, 0] for name, error in errors.items()}, facts


def slow(task: Task) -> Reals:
    """The task's first function, which from its first switch on turns little by little into the second."""
    begin = task.regimes[0].stop
    part = np.clip((np.arange(task.samples) - begin) / (task.samples - begin), 0, 1)[:, None]
    return (1 - part) * task.curve(task.x, 0) + part * task.curve(task.x, 1)


def summary(squares: Reals) -> dict[str, Any]:
    """Mean squared errors, of ``(samples,)`` squares: over blocks, at the beginning, at the end, and over all."""
    blocks = squares[: len(squares) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(axis=1)
    return {
        "mse_by_block": blocks.tolist(),
        "mse_first": float(squares[:100].mean()),
        "mse_last": float(squares[-100:].mean()),
        "mse": float(squares.mean()),
    }


@dataclass(frozen=True)
class FrozenCore(LearnerRow):
    """A learner that was taught the first function of ``track``, frozen, on a device: its size and speed, and how far
    it is from the learner."""

    bits: int | None
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)

    @property
    def device(self) -> str:
        """The part that it is built for."""
        return DEVICE

    @property
    def hardware(self) -> dict[str, Any]:
        """How it becomes hardware."""
        return {}

    def make(self) -> LookupNetwork:
        """The network."""
        return self._freeze().network

    def _freeze(self) -> Frozen:
        task = TASKS["track"](1500, 0)
        with connect(self.spec) as learner:
            learner.learn_many(task.x[:500], task.target[:500])
            return learner.freeze(self.bits, x=task.x)

    def measure(self, progress: Progress) -> Result:
        frozen = self._freeze()
        return {
            "bits": list(frozen.network.bits),
            "bound": frozen.bound,
            "max_error": frozen.max_error,
            "rms_error": frozen.rms_error,
            **network_summary(frozen.network, DEVICE, self.seeds, progress, frequency=FREQUENCY),
        }


FROZEN = Family(
    "frozen",
    f"learners as frozen networks on {DEVICE}",
    (
        FrozenCore("frozen-t8", "T with 8 cells, to the bit", None),
        FrozenCore("frozen-t8-6", "the same, 6 address bits", 6),
        FrozenCore("frozen-t8-4", "the same, 4 address bits", 4),
    ),
)

FAMILY = Family(
    "adapt",
    "learners that start from a frozen network, and what they are worth as the target moves",
    (
        Adapt("adapt-switch", "the target switches twice", "switch", 7),
        Adapt("adapt-slow", "the target moves slowly", "slow", 7),
    ),
)
