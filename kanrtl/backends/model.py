"""The integer model as a backend: no clock, no hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..fixed import Codes
from ..model import Model
from .base import Backend

if TYPE_CHECKING:
    from ..spec import LearnerSpec

__all__ = ["ModelBackend"]


class ModelBackend(Backend):
    """Runs :class:`kanrtl.model.Model`."""

    name = "model"

    def __init__(self, spec: LearnerSpec) -> None:
        super().__init__(spec)
        self._model = Model(spec)

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        predictions = self._model.run(x, teaching, learn, range(len(x)) if self.spec.timing.streaming else None)
        self._model.settle()
        return predictions

    def read_coefficients(self) -> list[Codes]:
        return [layer.copy() for layer in self._model.coefficients]

    def write_coefficients(self, coefficients: list[Codes]) -> None:
        self._model.coefficients = coefficients

    def read_learning_rates(self) -> list[int]:
        return [int(rate) for rate in self._model.learning_rates]

    def write_learning_rates(self, rates: list[int]) -> None:
        self._model.learning_rates = rates

    def read_noise(self) -> int:
        return self._model.noise_state if self.spec.update_rounding == "stochastic" else 0

    def write_noise(self, state: int) -> None:
        self._model.noise_state = state or 1

    def read_frozen(self) -> bool:
        return self._model.frozen

    def write_frozen(self, frozen: bool) -> None:
        self._model.frozen = frozen

    def read_saturations(self) -> dict[str, int]:
        return dict(self._model.saturations)
