"""The 1 euro filter, for a plant that asks what is to be added to a reading."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np

from kanrtl.arrays import Reals

__all__ = ["OneEuro"]


class OneEuro:
    """A low pass whose corner rises with speed (Casiez, Roussel and Vogel, CHI 2012); it learns nothing.

    The first number of a sample is the reading less what was found before. The size of the speed is smoothed with a
    corner of 1 Hz, as the authors have it.

    Parameters
    ----------
    period
        Seconds from a sample to the next.
    corner
        The corner at rest, in Hz.
    beta
        By how much that rises, in Hz, for a speed of one unit a second.
    """

    def __init__(self, period: float, corner: float, beta: float) -> None:
        self._period, self._corner, self._beta = period, corner, beta
        self._speed = 0.0

    def predict(self, x: Any) -> Reals:
        """What is to be added to the reading, ``(1,)``."""
        jump = float(x[0])
        self._speed += self._share(1.0) * (jump / self._period - self._speed)
        return np.array([(self._share(self._corner + self._beta * abs(self._speed)) - 1) * jump])

    def learn(self, _x: Any, _target: Any) -> Reals:
        """Zeros; nothing is learned."""
        return np.zeros(1)

    def _share(self, corner: float) -> float:
        """How much of a step is taken, for a corner in Hz."""
        return 1 / (1 + 1 / (2 * pi * corner * self._period))
