"""A guarded learner in integer codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import check_kind
from ..numeric.fixed import Codes
from .guard_rules import GuardRules, WatchedLearner
from .guard_settings import GuardSettings
from .model_batch import ModelBatch
from .spec import LearnerSpec

__all__ = ["GuardedModel", "WatchedBatch"]


class WatchedBatch(WatchedLearner):
    """A :class:`.ModelBatch` of one learner, as a guard watches it: a :class:`.WatchedLearner`."""

    def __init__(self, batch: ModelBatch) -> None:
        self._batch = batch
        batch.error_sums = np.zeros(1, dtype=np.int64)

    def run_watched(
        self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_], edges: Sequence[int] | None, *, frozen: bool
    ) -> Codes:
        batch, before = self._batch, self._batch.frozen
        batch.frozen = before or frozen
        try:
            outputs = batch.run(x, teaching, learn, edges)
        finally:
            batch.frozen = before
        return outputs[0]  # type: ignore[no-any-return]

    def settle(self) -> None:
        self._batch.settle()

    def watched_coefficients(self) -> list[Codes]:
        return [layer[0] for layer in self._batch.coefficients]

    def read_counter(self, kind: str) -> int:
        return self._batch.saturations[0].get(kind, 0)

    def clear_counter(self, kind: str) -> None:
        if kind in self._batch.saturations[0]:
            self._batch.saturations[0][kind] = 0

    def take_errors(self) -> int:
        assert self._batch.error_sums is not None
        found = int(self._batch.error_sums[0])
        self._batch.error_sums = np.zeros(1, dtype=np.int64)
        return found


class GuardedModel(GuardRules):
    """A learner and its :class:`.Guard` in integer codes, to the bit. It has no clock: no deadline is missed.

    Parameters
    ----------
    spec, settings
        As for the guard.

    Attributes
    ----------
    fault, status, counts, limits, error_sum
        As those of :class:`.GuardRules`.
    """

    def __init__(self, spec: LearnerSpec, settings: GuardSettings | dict[str, Any] | None = None) -> None:
        check_kind("spec", spec, LearnerSpec, "a LearnerSpec")
        given = settings if settings is not None else spec.guard or GuardSettings()
        self.spec, self.settings = spec, GuardSettings.of(given)
        self._batch = ModelBatch([spec.replace(guard=None) if spec.guard else spec])
        super().__init__(spec, self.settings, WatchedBatch(self._batch))

    @property
    def coefficients(self) -> list[Codes]:
        """One array ``(n_out, n_in, coefficients)`` per layer; may be written to."""
        return [layer[0] for layer in self._batch.coefficients]

    @property
    def saturations(self) -> dict[str, int]:
        """The learner's counters."""
        return self._batch.saturations[0]

    def settle(self) -> None:
        """Wait until all updates have landed, where samples stream."""
        self._batch.settle()

    def run(self, x: npt.ArrayLike, teaching: npt.ArrayLike, learn: npt.NDArray[np.bool_]) -> Codes:
        """Run samples ``(samples, n_in)`` with ``teaching`` ``(samples, n_out)``; give ``(samples, n_out)``. Where
        samples stream, they come at every clock, except for what the guard does."""
        x, teaching, learn = self._batch.check_samples(x, teaching, learn)
        return super().run(x[0], teaching[0], learn)
