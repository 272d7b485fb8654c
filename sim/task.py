"""What every task has in common."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ..arrays import as_integer, check_at_least
from ..errors import InputError

Reals = npt.NDArray[np.float64]


MOST_NUMBERS = 1 << 27
"""Of the inputs of a task, or of the errors of a run: a gibibyte."""


def check_samples(samples: int, least: int, why: str, numbers: int = 1) -> int:
    """``samples``, if they are ``least`` or more, and have no more numbers, so many each, than memory should hold.
    Raises :exc:`InputError`, which says ``why`` there have to be so many."""
    if as_integer("samples", samples) < least:
        raise InputError(f"samples = {samples}: {why}; use {least} or more")
    most = MOST_NUMBERS // numbers
    if samples > most:
        raise InputError(f"samples = {samples}: these take too much memory; use {most} or fewer")
    return int(samples)


class Regime(NamedTuple):
    """A stretch of samples, ``start`` to before ``stop``, in which the target stays the same function."""

    start: int
    stop: int


class Task:
    """A stream of samples with their targets; the same seed gives the same stream.

    Attributes
    ----------
    name : what it is called
    n_in, n_out : how many inputs and outputs it has
    has_formula : whether targets are a function of the inputs alone, see :meth:`curve`
    x : inputs, shape ``(samples, n_in)``
    target : shape ``(samples, n_out)``
    regimes : where the target changes
    """

    name: str
    n_in: int
    n_out: int
    has_formula: ClassVar[bool] = True

    x: Reals
    target: Reals
    regimes: tuple[Regime, ...]

    def __init__(self, samples: int, seed: int) -> None:
        self.samples = samples
        self.seed = check_at_least("seed", seed, 0)

    def curve(self, x: Reals, regime: int) -> Reals:
        """The target at any inputs, shape ``(n, n_in)``, in one of the regimes; shape ``(n, n_out)``.

        For tasks that have a formula.
        """
        raise NotImplementedError

    @property
    def regime_names(self) -> tuple[str, ...]:
        """What each of the regimes is called."""
        return tuple(f"regime {index + 1}" for index in range(len(self.regimes)))

    def fit_to(self, input_range: tuple[float, float], target_range: tuple[float, float] | None) -> Self:
        """The task as a learner with these ranges is given it: a formula has units of its own, and stays as it is."""
        return self

    def to_units(self, error: Reals) -> Reals:
        """Errors ``(..., n_out)`` of a learner in the units of the task: here they are the same."""
        return error

    def regime_errors(self, error: Reals, last: int = 100) -> list[float]:
        """Mean squared error of the last samples of each regime; ``error`` has shape ``(samples, n_out)``."""
        return [float(np.mean(error[max(start, stop - last) : stop] ** 2)) for start, stop in self.regimes]
