"""A touch pad whose readings shake, and that sees fingers where there are none."""

from __future__ import annotations

from math import pi

import numpy as np

from .plant import Plant
from .task import Reals

_JITTER, _JITTER_AFTER = 0.012, 0.025
_PHANTOMS, _PHANTOMS_AFTER = 0.04, 0.12


class TouchPad(Plant):
    """Finds where a finger is from readings that shake, and of which some are of no finger at all.

    Modelled: a finger that rests and glides; a reading of its position with noise, and of its strength; phantom events,
    in which noise of a charger is taken for a finger anywhere on the pad, most of them weak. Half way a charger is
    plugged in: the readings shake twice as much, and phantoms come three times as often; in the last quarter the finger
    becomes dry and its strength falls to where that of phantoms is. That chargers' noise makes false touches is known
    of projected capacitance (Barrett and Omote, Information Display 26, 2010); all figures are made up. As in training,
    by a finger of a machine, the position is known one sample later. What a hobbyist takes otherwise is the 1 euro
    filter (Casiez, Roussel and Vogel, CHI 2012), with which it is compared.

    Not modelled: electrodes, more fingers, touching and lifting, the second axis.

    A sample is the reading less the position that was found before, the strength, and the size of the first; an action
    is what is added to the reading to find the position. The error is that of the position, in a thousandth of the pad.
    """

    name = "touch"
    n_in = 3
    n_out = 1
    period = 5e-3
    unit = "10^-3 of the pad"

    def __init__(self, samples: int = 20000, seed: int = 0) -> None:
        super().__init__(samples, seed)
        self._finger = self._goal = 0.5
        self._speed = 0.0
        self._found = 0.5
        self._reading = self._sought = 0.0
        self._correction = 0.0

    def observe(self) -> Reals:
        # What should have been added to the reading before.
        self._sought = self._finger - self._reading
        self._glide()
        often = _PHANTOMS_AFTER if self.switched else _PHANTOMS
        if self.random.random() < often:
            self._reading = float(self.random.uniform(0, 1))
            strength = self.random.normal(0.3, 0.12)
        else:
            jitter = _JITTER_AFTER if self.switched else _JITTER
            self._reading = self._finger + float(self.random.normal(0, jitter))
            strength = self.random.normal(0.75 - 0.35 * self.drifted, 0.12)
        jump = float(np.clip(self._reading - self._found, -1, 1))
        return np.array([jump, float(np.clip(2 * strength - 1, -1, 1)), abs(jump)])

    def _glide(self) -> None:
        """The finger's second-order path to a goal that changes now and then."""
        if self.random.random() < 0.02:
            self._goal = float(self.random.uniform(0.1, 0.9))
        stiffness = 2 * pi * 2.0 * self.period
        self._speed += stiffness * (stiffness * (self._goal - self._finger) - 2 * self._speed)
        self._finger += self._speed

    def move(self, action: Reals, seconds: float) -> None:
        if seconds > 0:
            self._correction = float(action[0])

    def end_period(self) -> float:
        self._found = float(np.clip(self._reading + self._correction, 0, 1))
        return 1e3 * (self._found - self._finger)

    def find_target(self, action: Reals) -> Reals:
        return np.array([self._sought])
