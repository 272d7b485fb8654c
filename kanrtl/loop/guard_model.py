"""A guarded learner in integer codes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..learner.address_map import COUNTER_WIDTH
from ..learner.model_batch import ModelBatch
from ..learner.spec import LearnerSpec
from ..numeric.fixed import Codes
from .guard import COUNTER_HALF, counted_kinds
from .guard_settings import LIMITS, SIGNATURES, GuardSettings

__all__ = ["GuardedModel"]


class GuardedModel:
    """A learner and its :class:`.Guard` in integer codes. It has no clock: no deadline is missed.

    Attributes
    ----------
    fault : bool
    status : set of str
        Which signatures were seen since the last release.
    counts : dict
        How often each was seen.
    limits : dict
        The registers; may be written to.
    error_sum : int
        Of the last whole window.
    """

    def __init__(self, spec: LearnerSpec, settings: GuardSettings | dict[str, Any] = GuardSettings()) -> None:
        self.spec, self.settings = spec, GuardSettings.of(settings)
        self.limits = self.settings.codes(spec)
        self.fault, self.status, self.error_sum = False, set[str](), 0
        self.counts = dict.fromkeys(SIGNATURES, 0)
        self._batch = ModelBatch([spec])
        self._batch.error_sums = np.zeros(1, dtype=np.int64)
        self._position, self._healthy, self._promising = 0, 0, False
        self._good = self._copy()
        self._candidate = self._good
        self._before = dict.fromkeys(counted_kinds(spec), 0)

    @property
    def coefficients(self) -> list[Codes]:
        """One array ``(n_out, n_in, coefficients)`` per layer; may be written to."""
        return [layer[0] for layer in self._batch.coefficients]

    @property
    def saturations(self) -> dict[str, int]:
        """The learner's counters."""
        return self._batch.saturations[0]

    def release(self) -> None:
        """End a fault."""
        self.fault, self.status, self._position = False, set(), 0
        self._batch.error_sums = np.zeros(1, dtype=np.int64)

    def settle(self) -> None:
        """Wait until all updates have landed, where samples stream."""
        self._batch.settle()

    def run(self, x: npt.ArrayLike, teaching: npt.ArrayLike, learn: npt.NDArray[np.bool_]) -> Codes:
        """Run samples ``(samples, n_in)`` with ``teaching`` ``(samples, n_out)``; give ``(samples, n_out)``. Where
        samples stream, they come at every clock of a window."""
        x, teaching = np.asarray(x), np.asarray(teaching)
        outputs, start = [np.empty((0, self.spec.n_out), dtype=np.int64)], 0
        while start < len(x):
            stop = len(x) if self.fault else min(len(x), start + self.settings.window - self._position)
            part, self._batch.frozen = slice(start, stop), self.fault
            edges = range(self._position, self._position + stop - start) if self.spec.timing.streaming else None
            outputs.append(self._batch.run(x[part], teaching[part], learn[part], edges)[0])
            if not self.fault:
                self._position = (self._position + stop - start) % self.settings.window
                if not self._position:
                    self._batch.settle()
                    self._judge()
            start = stop
        return np.vstack(outputs)

    def _copy(self) -> list[Codes]:
        return [layer.copy() for layer in self._batch.coefficients]

    def _count(self) -> dict[str, int]:
        """What each counter has counted in the window."""
        counted = {}
        for kind, before in self._before.items():
            now = self.saturations.get(kind, 0)
            counted[kind] = (now - before) % (1 << COUNTER_WIDTH)
            if now >= COUNTER_HALF:
                self.saturations[kind] = now = 0
            self._before[kind] = now
        return counted

    def _judge(self) -> None:
        assert self._batch.error_sums is not None
        self.error_sum = int(self._batch.error_sums[0])
        self._batch.error_sums = np.zeros(1, dtype=np.int64)
        counted = self._count()

        def reaches(value: int, limit: str) -> bool:
            assert limit in LIMITS
            return self.limits[limit] != 0 and value >= self.limits[limit]

        lost = counted.get("lost", 0)
        seen = {
            "divergence": reaches(self.error_sum, "error") or reaches(counted["coefficient"], "rails"),
            "stagnation": reaches(lost, "stagnant_lost") and reaches(self.error_sum, "stagnant_error"),
            "precision": "lost" in counted and reaches(lost + counted["gradient"], "imprecise"),
        }
        for signature, found in seen.items():
            if found:
                self.status.add(signature)
                self.counts[signature] = min(self.counts[signature] + 1, (1 << COUNTER_WIDTH) - 1)
        if any(seen.values()):
            self.fault, self._promising, self._healthy = True, False, 0
            self._batch.coefficients = self._good
            return
        self._healthy += 1
        if self._healthy == self.settings.copy_every:
            self._healthy = 0
            if self._promising:
                self._good = self._candidate
            self._candidate, self._promising = self._copy(), True
