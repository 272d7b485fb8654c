"""What it costs that updates are seen late: a filter of five taps in both schedules, at every learning rate."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from kanrtl import LearnerSpec, StabilityWarning, connect

from .row import Family, Progress, Result, Row

__all__ = ["FAMILY", "LateUpdates"]

RATES = tuple(2.0 ** (-exponent / 2) for exponent in range(2, 21))

TAPS = np.array([0.6, -0.4, 0.3, 0.2, -0.1])

NOISE = 0.05


@dataclass(frozen=True)
class LateUpdates(Row):
    """The mean squared error of a learner of five taps that follows a filter behind a curve: the sum of h_k tanh 1.5
    u[n-k], with noise that the error does not count.

    A rate is chosen by the second eighth of the samples, and judged by all after it.
    """

    period: int = 0
    """Samples in which every h_k goes through a period of a cosine, each with a phase of its own; 0: it stays."""
    correlation: float = 0.0
    """Of neighbouring inputs u."""
    samples: int = 400_000

    def measure(self, progress: Progress) -> Result:
        x, clean, target = self._signals()
        spec = LearnerSpec(layer_sizes=[len(TAPS), 1], grid_range=(-2, 2))
        schedules: dict[str, Any] = {}
        for schedule in ("sequential", "streaming"):
            chosen = spec.replace(schedule=schedule)
            first, judged = [], []
            for number, rate in enumerate(RATES):
                progress(f"{schedule}, rate {number + 1} of {len(RATES)}")
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", StabilityWarning)  # that it diverges is to be seen
                    learner = connect(chosen.replace(learning_rate=rate), "compiled")
                with learner:
                    squares = (learner.learn_many(x, target) - clean) ** 2
                first.append(float(squares[self.samples // 8 : self.samples // 4].mean()))
                judged.append(float(squares[self.samples // 4 :].mean()))
            best = int(np.argmin(first))
            schedules[schedule] = {
                "delay": chosen.delays[0],
                "stable_learning_rate": chosen.stability.stable_learning_rate,
                "critical_learning_rate": chosen.stability.critical_learning_rate,
                "errors": judged,
                "chosen": {"learning_rate": RATES[best], "error": judged[best]},
            }
        late, exact = (schedules[name]["chosen"]["error"] for name in ("streaming", "sequential"))
        return {
            "samples": self.samples,
            "period": self.period,
            "correlation": self.correlation,
            "variance": float(clean.var()),
            "rates": list(RATES),
            "schedules": schedules,
            "ratio": late / exact,
            "tools": {"numpy": version("numpy")},
        }

    def _signals(self) -> tuple[npt.NDArray[np.float64], ...]:
        """Inputs, targets without noise, and targets."""
        random = np.random.default_rng(0)
        u = random.uniform(-2, 2, self.samples + len(TAPS) - 1)
        for place in range(1, len(u)) if self.correlation else ():
            u[place] += self.correlation * u[place - 1]
        u *= 2 / np.abs(u).max()
        x = np.lib.stride_tricks.sliding_window_view(u, len(TAPS))[:, ::-1]
        phases = np.arange(self.samples)[:, None] / self.period if self.period else np.zeros((1, 1))
        weights = TAPS * np.cos(2 * np.pi * phases + (np.arange(len(TAPS)) if self.period else 0))
        clean = np.sum(weights * np.tanh(1.5 * x), axis=1)[:, None]
        return x, clean, clean + NOISE * random.standard_normal(clean.shape)


FAMILY = Family(
    "late",
    "updates that are seen late",
    (
        LateUpdates("late-still", "a filter that stays, white inputs"),
        LateUpdates("late-drift", "drifting in 100,000 samples, white inputs", 100_000),
        LateUpdates("late-fast", "drifting in 20,000 samples, white inputs", 20_000),
        LateUpdates("late-slow-inputs", "drifting in 20,000 samples, inputs correlated by 0.8", 20_000, 0.8),
    ),
)
