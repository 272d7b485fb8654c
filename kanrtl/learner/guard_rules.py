"""What a guard does, sample by sample, around any learner in integer codes."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ..numeric.fixed import Codes
from .address_map import COUNTER_WIDTH
from .guard_report import GuardReport
from .guard_settings import SIGNATURES, GuardSettings
from .restoration import Restoration
from .spec import LearnerSpec

__all__ = ["COUNTER_HALF", "GuardRules", "WatchedLearner"]

COUNTER_HALF = 1 << (COUNTER_WIDTH - 1)
"""A counter of the learner that has come so far is set to zero, as one that is full would count no more."""


class WatchedLearner(Protocol):
    """A learner in integer codes, as its guard sees it. Everything that is read or written there is so when all updates
    have landed."""

    def run_watched(
        self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_], edges: Sequence[int] | None, *, frozen: bool
    ) -> Codes:
        """Run samples, ``(n, n_in)``, ``(n, n_out)`` and ``(n,)``; give the predictions. ``edges`` are the clock edges
        at which they are taken, where samples stream. ``frozen``: none is learned."""

    def settle(self) -> None:
        """Let all updates land."""

    def watched_coefficients(self) -> list[Codes]:
        """The coefficients, one array per layer, which may be written to."""

    def read_counter(self, kind: str) -> int:
        """A counter of the learner; 0 where it does not have it."""

    def clear_counter(self, kind: str) -> None:
        """Set that to zero."""

    def take_errors(self) -> int:
        """The sum of the magnitudes of all outputs' gradients since the last call, in LSBs."""


class _Limits(UserDict[str, int]):
    """The registers of limits, ``widths`` bits wide: a code that one does not hold, also one below zero, is written as
    its highest."""

    def __init__(self, codes: Mapping[str, int], widths: Mapping[str, int]) -> None:
        self._highest = {name: (1 << width) - 1 for name, width in widths.items()}
        super().__init__(codes)

    def __setitem__(self, name: str, code: int) -> None:
        highest = self._highest[name]
        super().__setitem__(name, code if 0 <= code <= highest else highest)


class GuardRules:
    """A guard (:class:`kanrtl.learner.rtl.guard.Guard`) in integers. It has no clock: no deadline is missed.

    Parameters
    ----------
    spec, settings
        As for the guard.
    learner
        What it watches.

    Attributes
    ----------
    fault : bool
    status : set of str
        Which signatures were seen since the last release.
    counts : dict
        How often each was seen.
    limits : dict
        The registers; may be written to: a code that one does not hold becomes its highest.
    error_sum : int
        Of the last whole window.
    """

    def __init__(self, spec: LearnerSpec, settings: GuardSettings, learner: WatchedLearner) -> None:
        self._spec, self._settings, self._learner = spec, settings, learner
        self._kinds = ("coefficient", "gradient", *(("lost",) if "lost" in spec.counts else ()))
        self._streaming = spec.timing.streaming
        gradient = spec.formats.layers[-1].gradient
        self.limits = _Limits(settings.codes(spec.n_out, gradient, spec.counts), settings.widths(spec.n_out, gradient))
        self.fault, self.status, self.error_sum = False, set[str](), 0
        self.counts = dict.fromkeys(SIGNATURES, 0)
        self._edge = self._position = self._healthy = 0
        # What is read next for a verdict: counters, and those that are to be set to zero.
        self._reads: list[tuple[str, bool]] = []
        self._baseline = False
        self._before = dict.fromkeys(self._kinds, 0)
        self._counted = dict.fromkeys(self._kinds, 0)
        self._good = np.array(Restoration.of(spec).coefficients, dtype=np.int64)
        self._candidate = self._good.copy()
        self._promising = self._adopting = False
        self._copied: int | None = None
        self._restored: int | None = None

    # What the user does.

    def release(self) -> None:
        """End a fault, when the good copy is restored."""
        self.finish()
        if self.fault:
            self.fault, self.status = False, set()
            self._begin_window()

    def adopt(self) -> None:
        """Make the coefficients as they are the good ones, and begin a window."""
        self.finish()
        self._begin_window()
        self._healthy, self._promising = 0, False
        self._copied, self._adopting = 0, True

    def clear(self) -> None:
        """Set the counters of signatures to zero."""
        self.counts = dict.fromkeys(SIGNATURES, 0)

    def note_cleared(self) -> None:
        """Take note that all counters of the learner were set to zero."""
        self._before = dict.fromkeys(self._kinds, 0)

    def finish(self) -> None:
        """Do all at once that is to be done, as where no sample comes, or someone waits to reach the learner."""
        while self._pending:
            self._access()

    def _begin_window(self) -> None:
        self._position = 0
        self._learner.take_errors()
        self._reads, self._baseline = [(kind, False) for kind in self._kinds], True

    def report(self) -> GuardReport:
        """What its registers hold."""
        seen = tuple(signature for signature in SIGNATURES if signature in self.status)
        return GuardReport(self.fault, seen, dict(self.counts), self.error_sum, dict(self.limits))

    # What samples do.

    @property
    def steady(self) -> int | None:
        """How many samples from here on are learned whatever they are; None in a fault, which they do not end."""
        if self.fault:
            return None
        return 1 if self._reads else self._settings.window - self._position

    @property
    def restoring(self) -> bool:
        """Whether the good copy is being written back."""
        return self._restored is not None

    @property
    def _pending(self) -> bool:
        return bool(self._reads) or self._copied is not None or self._restored is not None

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        """Run samples ``(n, n_in)`` with ``teaching`` ``(n, n_out)``; give ``(n, n_out)``. Where samples stream, they
        come at every clock, except for accesses."""
        outputs, start = np.empty((len(x), self._spec.n_out), dtype=np.int64), 0
        window = self._settings.window
        while start < len(x):
            stop = len(x)
            if self._pending:
                stop = start + 1
            elif not self.fault:
                stop = min(stop, start + window - self._position)
            part, count = slice(start, stop), stop - start
            edges = range(self._edge, self._edge + count) if self._streaming else None
            outputs[part] = self._learner.run_watched(x[part], teaching[part], learn[part], edges, frozen=self.fault)
            self._edge += count
            if not self.fault:
                self._position += count
                if self._position == window:
                    self._position = 0
                    self._reads, self._baseline = [(kind, False) for kind in self._kinds], False
            if self._pending:
                self._access()
            start = stop
        return outputs

    # What the guard does after a sample.

    def _access(self) -> None:
        """Do one access."""
        self._learner.settle()
        if self._reads:
            self._read_counter()
        elif self._restored is not None:
            self._restored = self._restore(self._restored)
        elif self._copied is not None:
            self._copied = self._copy(self._copied)

    def _read_counter(self) -> None:
        kind, clears = self._reads.pop(0)
        if clears:
            self._learner.clear_counter(kind)
            self._before[kind] = 0
        else:
            if kind == self._kinds[0] and not self._baseline:
                self.error_sum = self._learner.take_errors()
            now = self._learner.read_counter(kind)
            self._counted[kind] = (now - self._before[kind]) % (1 << COUNTER_WIDTH)
            self._before[kind] = now
            if now >= COUNTER_HALF:
                self._reads.insert(0, (kind, True))
        if not self._reads and not self._baseline:
            self._judge()

    def _reaches(self, value: int, limit: str) -> bool:
        return self.limits[limit] != 0 and value >= self.limits[limit]

    def _judge(self) -> None:
        counted = self._counted
        lost = counted.get("lost", 0)
        seen = {
            "divergence": self._reaches(self.error_sum, "error") or self._reaches(counted["coefficient"], "rails"),
            "stagnation": self._reaches(lost, "stagnant_lost") and self._reaches(self.error_sum, "stagnant_error"),
            "precision": "lost" in counted and self._reaches(lost + counted["gradient"], "imprecise"),
        }
        for signature, found in seen.items():
            if found:
                self.status.add(signature)
                self.counts[signature] = min(self.counts[signature] + 1, (1 << COUNTER_WIDTH) - 1)
        if any(seen.values()):
            if not self.fault:
                self.fault, self._promising, self._healthy = True, False, 0
                self._copied, self._restored = None, 0
        elif not self.fault and self._copied is None:
            self._healthy += 1
            if self._healthy == self._settings.copy_every:
                self._healthy = 0
                if self._promising:
                    self._good, self._candidate = self._candidate, self._good
                self._copied, self._adopting, self._promising = 0, False, False

    def _place(self, index: int) -> tuple[Codes, Any]:
        """Where the coefficient of a number lies: an array, and the index there."""
        for layer in self._learner.watched_coefficients():
            if index < layer.size:
                return layer, np.unravel_index(index, layer.shape)
            index -= layer.size
        raise IndexError(index)

    def _restore(self, index: int) -> int | None:
        layer, place = self._place(index)
        layer[place] = self._good[index]
        return index + 1 if index + 1 < len(self._good) else None

    def _copy(self, index: int) -> int | None:
        layer, place = self._place(index)
        self._candidate[index] = layer[place]
        if index + 1 < len(self._good):
            return index + 1
        if self._adopting:
            self._good, self._candidate = self._candidate, self._good
        else:
            self._promising = True
        return None
