"""A mirror on piezo actuators with hysteresis, that takes tip and tilt out of a beam."""

from __future__ import annotations

from math import exp, pi

import numpy as np

from .plant import Plant
from .task import Reals

_THRESHOLDS = np.array([0.0, 0.1, 0.25, 0.45, 0.7])
_WEIGHTS = np.array([0.62, 0.16, 0.12, 0.08, 0.06])
"""Of the play operators: a loop about a seventh as high as the stroke."""

_TIME_CONSTANT = 40e-6
_LINES = (37.0, 61.0, 118.0)  # Hz
_CROSS = 0.05
_GAIN = 0.25
_STROKE = 500.0  # microradians


class PiezoMirror(Plant):
    """Cancels the tip and tilt of a beam that shakes; the learner drives the actuators, and an integrator the rest.

    Modelled: two axes; hysteresis of each as a sum of play operators (Prandtl-Ishlinskii: Kuhnen, European Journal of
    Control 9, 2003; identified for piezo actuators by Rakotondrabe, American Control Conference 2012), a loop about a
    seventh as high as the stroke; 5 % of one axis in the other; a mirror of the first order with 40 us. The beam shakes
    at three frequencies of a structure on each axis, whose phases wander. Half way an actuator loses a fifth of its
    stroke; in the last quarter both creep. The feedback is an integrator of the residual; the learner is taught what
    that had to do.

    Not modelled: the mirror's resonance, the amplifier's slew rate, a wavefront sensor's frame time and noise floor.

    A sample is the wanted tip and tilt in units of 500 microradians, and their last changes, over a fiftieth and
    clipped, by which the branches of a loop are told apart; an action is the drive of both actuators. The error is
    what is left.
    """

    name = "mirror"
    n_in = 4
    n_out = 2
    period = 50e-6
    unit = "urad"

    def __init__(self, samples: int = 20000, seed: int = 0) -> None:
        super().__init__(samples, seed)
        self._phases = self.random.uniform(0, 2 * pi, (2, len(_LINES)))
        self._plays = np.zeros((2, len(_THRESHOLDS)))
        self._angle = np.zeros(2)
        self._wanted = self._shake()
        self._integral = np.zeros(2)
        self._residual = np.zeros(2)

    def _shake(self) -> Reals:
        return np.array([0.3, 0.2, 0.12]) @ np.sin(self._phases).T

    def observe(self) -> Reals:
        before, self._wanted = self._wanted, self._shake()
        self._residual = self._wanted - self._angle
        self._integral = self._integral * 0.98 + _GAIN * self._residual
        changes = self._wanted - before
        return np.concatenate([self._wanted, np.clip(changes / 0.02, -1, 1)])

    def move(self, action: Reals, seconds: float) -> None:
        drive = np.clip(action + self._integral, -1.2, 1.2)[:, None]
        self._plays = np.maximum(drive - _THRESHOLDS, np.minimum(drive + _THRESHOLDS, self._plays))
        stroke = np.array([0.8 if self.switched else 1.0, 1.0])
        reached = stroke * (self._plays @ _WEIGHTS) + 0.1 * self.drifted
        reached = reached + _CROSS * reached[::-1]
        self._angle = reached + (self._angle - reached) * exp(-seconds / _TIME_CONSTANT)

    def end_period(self) -> float:
        self._phases += 2 * pi * np.array(_LINES) * self.period + self.random.normal(0, 2e-3, (2, len(_LINES)))
        return float(_STROKE * np.linalg.norm(self._shake() - self._angle))

    def find_target(self, action: Reals) -> Reals:
        return np.asarray(action + self._integral)
