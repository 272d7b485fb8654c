"""What every plant has in common, and the loop around it: the plant moves on while the chip computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field
from math import ceil, inf
from numbers import Real
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from ..arrays import check_at_least
from ..errors import InputError, check_kind, cut
from .task import Reals, check_samples


def _check_seconds(field: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < inf:
        raise InputError(f"{field} = {value!r}: must be a number of seconds above 0")


@dataclass(frozen=True)
class ChipTiming:
    """How long a chip takes, in seconds and clock cycles.

    Attributes
    ----------
    cycle
        Seconds of a clock cycle.
    prediction_latency
        Cycles from a sample to its prediction.
    interval
        Cycles from a taught sample to the next.
    """

    cycle: float
    prediction_latency: int
    interval: int

    def __post_init__(self) -> None:
        _check_seconds("cycle", self.cycle)
        for name, least in (("prediction_latency", 0), ("interval", 1)):
            object.__setattr__(self, name, check_at_least(name, getattr(self, name), least))

    @property
    def delay(self) -> float:
        """Seconds from a sensor's word to the actuator's."""
        return self.prediction_latency * self.cycle

    def periods(self, period: float) -> int:
        """In how many periods of a plant the chip predicts once and learns once; more than one is a missed deadline."""
        _check_seconds("period", period)
        cycles = self.prediction_latency + self.interval
        try:
            return max(1, ceil(cycles * float(self.cycle) / period - 1e-9))
        except OverflowError:
            mend = f"{cut(cycles)} cycles are beyond what can be counted in periods of {period} s; give seconds"
            raise InputError(f"cycle = {self.cycle!r}: {mend}") from None


class Learning(Protocol):
    """What learns in a loop: a session of any backend, or what has its two calls."""

    def predict(self, x: Any) -> Reals:
        """The prediction ``(n_out,)``."""

    def learn(self, x: Any, target: Any) -> Reals:
        """Take one step; the prediction before it."""


@dataclass
class LoopState:
    """What a loop around a plant has begun, which goes on with its next samples.

    Attributes
    ----------
    held
        The action that the plant has, ``(n_out,)``.
    coming
        Those on their way: when they arrive, in seconds from the plant's start, and what they are.
    taken
        The sample that the chip took last and the action for it, until its target is known.
    lesson
        A sample and its target, to be learned when the chip takes the next.
    ready
        The number of the first sample that the chip can take.
    observed
        What the sensors say of a sample that has begun and did not end, as what learns has raised an error.
    """

    held: Reals
    coming: deque[tuple[float, Reals]] = field(default_factory=deque)
    taken: tuple[Reals, Reals] | None = None
    lesson: tuple[Reals, Reals] | None = None
    ready: int = 0
    observed: Reals | None = None


class Plant(ABC):
    """Something that is controlled, sample by sample; the same seed gives the same plant.

    It is given an action at any time within a period and moves on by itself. Times are in seconds.

    Attributes
    ----------
    name : what it is called
    n_in, n_out : the numbers of a sample and of an action
    input_range, target_range : between which values they lie
    period : seconds from a sample to the next
    unit : what :meth:`error` is counted in
    switch : the sample at which the plant changes all at once, as a part of a run
    drift : the samples from which on, as a part of a run, it changes little by little
    decides : whether an action is a decision, of which :attr:`wrong` says at the end of a period whether it was wrong
    """

    name: ClassVar[str]
    n_in: ClassVar[int]
    n_out: ClassVar[int]
    input_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    target_range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    period: ClassVar[float]
    unit: ClassVar[str]

    switch: ClassVar[float] = 0.5
    drift: ClassVar[float] = 0.75
    decides: ClassVar[bool] = False

    def __init__(self, samples: int, seed: int) -> None:
        self.samples = check_samples(samples, 8, "a run has four parts")
        self.random = np.random.default_rng(check_at_least("seed", seed, 0))
        self.now = 0
        self.wrong = False
        self.loop = LoopState(np.zeros(self.n_out))

    @property
    def switched(self) -> bool:
        """Whether the plant has changed."""
        return self.now >= int(self.switch * self.samples)

    @property
    def drifted(self) -> float:
        """How far it has drifted, from 0 to 1 at the end of a run."""
        first = int(self.drift * self.samples)
        return max(0.0, (self.now - first) / (self.samples - first))

    @abstractmethod
    def observe(self) -> Reals:
        """What the sensors say now, ``(n_in,)``; begins the period."""

    @abstractmethod
    def move(self, action: Reals, seconds: float) -> None:
        """Let time pass while an action ``(n_out,)`` is held."""

    @abstractmethod
    def end_period(self) -> float:
        """End the period; the error of it, in :attr:`unit`."""

    @abstractmethod
    def find_target(self, action: Reals) -> Reals:
        """What the action that was taken for the sample before should have been, ``(n_out,)``, as far as it is known
        after :meth:`observe`."""

    def find_lesson(self, x: Reals, action: Reals) -> tuple[Reals, Reals]:
        """What is learned of the sample before, ``x`` and the action that was taken for it: a sample ``(n_in,)`` and
        its target ``(n_out,)``. The sample is ``x`` itself, except where what is learned is not what is asked for."""
        return x, self.find_target(action)


@dataclass(frozen=True)
class LoopRun:
    """What happened in a loop.

    Attributes
    ----------
    errors
        One for each sample, ``(samples,)``.
    periods
        The periods between two samples that the chip takes; more than one where it is too slow.
    wrong
        Whether each decision was wrong, of a plant that asks for decisions, ``(samples,)``.
    """

    errors: Reals
    periods: int
    wrong: npt.NDArray[np.bool_] | None = None

    def root_mean_square(self, first: float, last: float) -> float:
        """The root of the mean squared error between two parts of the run."""
        return float(np.sqrt(np.mean(self.errors[self._part(first, last)] ** 2)))

    def count_wrong(self, first: float, last: float) -> float | None:
        """The decisions that are wrong, between two parts of the run, in percent; None where there are none to make."""
        return None if self.wrong is None else float(100 * self.wrong[self._part(first, last)].mean())

    def _part(self, first: float, last: float) -> slice:
        count = len(self.errors)
        parts = all(isinstance(bound, Real) and 0 <= bound <= 1 for bound in (first, last))
        if not parts or not int(first * count) < int(last * count):
            raise InputError(f"first = {first!r}, last = {last!r}: no sample lies between; give parts of a run, 0 to 1")
        return slice(int(first * count), int(last * count))


def run_loop(plant: Plant, learner: Learning, chip: ChipTiming, samples: int | None = None) -> LoopRun:
    """Let a learner control a plant for as many samples as that has left, or for the next ``samples`` of them.

    In every period that the chip can take, it predicts the action for what the sensors say, which reaches the plant
    when the prediction is there, and then learns the sample before, whose target is known by then: that of the period
    after it, whether the chip takes that or misses it. Until an action arrives, and in the periods that the chip
    misses, the one before is held. A further call goes on where one has ended, or where the learner has raised an
    error.

    Raises :exc:`InputError` where the plant has fewer samples left, what is given is of another kind, or what is
    predicted is no action of the plant's.
    """
    check_kind("plant", plant, Plant, "a plant, as PLANTS[name](samples) makes it")
    check_kind("chip", chip, ChipTiming, "a ChipTiming")
    if not all(callable(getattr(learner, call, None)) for call in ("predict", "learn")):
        mend = "give what predicts and learns, such as what connect or connect_baseline makes of a spec"
        raise InputError(f"learner: is of type {type(learner).__name__}; {mend}")
    stride = chip.periods(plant.period)
    left = plant.samples - plant.now
    samples = left if samples is None else check_at_least("samples", samples, 1)
    if not 0 < samples <= left:
        raise InputError(f"samples = {samples}: the plant has {left} of {plant.samples} left; give fewer, or a new one")
    loop = plant.loop
    errors = np.empty(samples)
    wrong = np.zeros(len(errors), dtype=bool)
    for number in range(len(errors)):
        begin = plant.now * plant.period
        # Copies, as who gives an array may use it again.
        x = loop.observed = np.array(plant.observe()) if loop.observed is None else loop.observed
        if loop.taken is not None:
            loop.lesson, loop.taken = plant.find_lesson(*loop.taken), None
        if plant.now >= loop.ready:
            action = np.array(learner.predict(x))
            if action.dtype.kind not in "biuf":
                mend = "give a learner that predicts numbers"
                raise InputError(f"learner: predicts {cut(action.tolist())}, and {plant.name} takes numbers; {mend}")
            if action.shape != loop.held.shape:
                mend = f"{plant.name} takes actions of shape {plant.loop.held.shape}; give a learner of as many outputs"
                raise InputError(f"learner: predicts numbers of shape {action.shape}, and {mend}")
            if loop.lesson is not None:
                learner.learn(*loop.lesson)
            loop.coming.append((begin + chip.delay, action))
            loop.taken, loop.ready = (x, action), plant.now + stride
        passed = 0.0
        while loop.coming and loop.coming[0][0] < begin + plant.period:
            arrives, action = loop.coming.popleft()
            plant.move(loop.held, max(0.0, arrives - begin - passed))
            passed = max(passed, arrives - begin)
            loop.held = action
        plant.move(loop.held, plant.period - passed)
        errors[number], wrong[number] = plant.end_period(), plant.wrong
        plant.now, loop.observed = plant.now + 1, None
    return LoopRun(errors, stride, wrong if plant.decides else None)


class NoLearner:
    """A feed-forward that gives nothing: what a plant does with its feedback alone."""

    def __init__(self, n_out: int) -> None:
        self._nothing = np.zeros(check_at_least("n_out", n_out, 1))

    def predict(self, _x: Any) -> Reals:
        """Zeros."""
        return self._nothing

    def learn(self, _x: Any, _target: Any) -> Reals:
        """Zeros; nothing is learned."""
        return self._nothing
