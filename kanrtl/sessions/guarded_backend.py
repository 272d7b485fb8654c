"""A learner without a clock, and its guard in integers where its spec has one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..learner.guard_report import GuardReport
from ..learner.guard_rules import GuardRules, WatchedLearner
from ..numeric.fixed import Codes
from .backend import LearnerBackend

__all__ = ["GuardedBackend"]


class GuardedBackend(LearnerBackend):
    """What backends without a clock have in common: their guard is :class:`.GuardRules`.

    Everything that reads or writes the learner calls :meth:`reach` first, as over the access port of the hardware a
    request waits until the guard has done what it has to do.
    """

    _rules: GuardRules | None = None

    def watch(self, learner: WatchedLearner) -> None:
        """Begin to watch, with the guard that the spec has."""
        assert self.spec.guard is not None
        self._rules = GuardRules(self.spec, self.spec.guard, learner)
        self._watched = learner

    @abstractmethod
    def run_alone(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        """Do :meth:`run` without a guard."""

    @property
    @abstractmethod
    def frozen(self) -> bool:
        """What :meth:`read_frozen` gives, without reaching the learner."""

    @property
    def learns(self) -> bool:
        return not (self.frozen or (self._rules is not None and self._rules.fault))

    def stays_for(self, count: int) -> int:
        # Samples that stream come in one run: between two of them a learner would end what it has begun.
        steady = None if self._rules is None or self.spec.timing.streaming else self._rules.steady
        return count if steady is None else min(count, steady)

    @abstractmethod
    def stored_coefficients(self) -> list[Codes]:
        """The coefficients where they are stored, without reaching the learner: what is written there is not known to
        anyone, as where a particle flips a bit."""

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        if self._rules is None:
            return self.run_alone(x, teaching, learn)
        predictions = self._rules.run(x, teaching, learn)
        self._watched.settle()
        return predictions

    def reach(self) -> None:
        """Wait until the guard has done what it has to do."""
        if self._rules is not None:
            self._rules.finish()

    def note_cleared(self) -> None:
        """Tell the guard that all counters of the learner were set to zero."""
        if self._rules is not None:
            self._rules.note_cleared()

    @property
    def rules(self) -> GuardRules | None:
        """The guard, to be looked at without reaching the learner: nothing is done at once for that."""
        return self._rules

    @property
    def _guard(self) -> GuardRules:
        if self._rules is None:
            raise NotImplementedError
        self._rules.finish()
        return self._rules

    def read_guard(self) -> GuardReport:
        return self._guard.report()

    def write_limits(self, limits: Mapping[str, int]) -> None:
        self._guard.limits.update(limits)

    def release_guard(self) -> None:
        self._guard.release()

    def adopt(self) -> None:
        if self.spec.guard is not None:
            self._guard.adopt()

    def clear_guard(self) -> None:
        self._guard.clear()
