"""What every task has in common."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]


class Regime(NamedTuple):
    """A stretch of samples, ``start`` to before ``stop``, in which the target stays the same function."""

    start: int
    stop: int


class Task:
    """A stream of samples with their targets; the same seed gives the same stream.

    Attributes
    ----------
    x : inputs, shape ``(samples, n_in)``
    target : shape ``(samples, n_out)``
    regimes : where the target changes
    """

    name: ClassVar[str]
    n_in: ClassVar[int]
    n_out: ClassVar[int]

    x: Reals
    target: Reals
    regimes: tuple[Regime, ...]

    def __init__(self, samples: int, seed: int) -> None:
        self.samples = samples
        self.seed = seed

    def curve(self, x: Reals, regime: int) -> Reals:
        """The target at any inputs, shape ``(n, n_in)``, in one of the regimes; shape ``(n, n_out)``."""
        raise NotImplementedError

    def regime_errors(self, error: Reals, last: int = 100) -> list[float]:
        """Mean squared error of the last samples of each regime; ``error`` has shape ``(samples, n_out)``."""
        return [float(np.mean(error[max(start, stop - last) : stop] ** 2)) for start, stop in self.regimes]
