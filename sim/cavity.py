"""A superconducting radio frequency cavity that microphonics detune, and whose field is kept."""

from __future__ import annotations

from cmath import exp
from math import pi, tanh

import numpy as np

from .plant import Plant
from .task import Reals

_HALF_BANDWIDTH = 2 * pi * 200.0  # rad/s, loaded
_MODES = (235.0, 290.0)  # Hz
_DETUNINGS = (2 * pi * 90.0, 2 * pi * 60.0)  # rad/s at full swing
_GAIN = 6.0
"""Of the field's feedback, in drives for a field of one."""

_NOISE = 2e-4


class Cavity(Plant):
    """Keeps the field of a cavity; the learner gives the drive that detuning takes, from two motion sensors.

    Modelled: the envelope V of the accelerating mode, dV/dt = -(w - i d) V + w u, with half bandwidth w = 2 pi 200 Hz
    and detuning d (Schilcher, Vector Sum Control of Pulsed Accelerating Fields in Lorentz Force Detuned
    Superconducting Cavities, Hamburg 1998), solved exactly while the drive u is held; detuning by two mechanical modes
    whose swing wanders; a sensor of each mode's motion, which saturates as tanh does and adds noise. Half way a tuner
    moves by a third of the half bandwidth; in the last quarter the sensors' working points drift. Proportional feedback
    acts at once at each sample, and the learner is taught what it had to do.

    Not modelled: Lorentz force detuning, beam, passband modes, quenches, the delay of cables and klystron. The sensor
    curve, the swings and the drift are made up.

    A sample is the two sensors' words; an action is what is added to the drive, its real and imaginary part. The error
    is that of the field, over the field.
    """

    name = "cavity"
    n_in = 2
    n_out = 2
    period = 10e-6
    unit = "10^-3"

    def __init__(self, samples: int = 20000, seed: int = 0) -> None:
        super().__init__(samples, seed)
        self._motion = self.random.uniform(0, 2 * pi, 2)
        self._swing = np.array([0.8, 0.8])
        self._field = 1 + 0j
        self._feedback = 0j

    def _displacements(self) -> Reals:
        return self._swing * np.sin(self._motion)

    def _detuning(self) -> float:
        """In rad/s."""
        return float(self._displacements() @ np.array(_DETUNINGS)) + self.switched * _HALF_BANDWIDTH / 3

    def observe(self) -> Reals:
        self._feedback = _GAIN * (1 - self._field)
        offset = 0.3 * self.drifted
        sensed = [tanh(1.4 * value + offset) for value in self._displacements()]
        return np.array(sensed) + self.random.normal(0, 2e-3, 2)

    def move(self, action: Reals, seconds: float) -> None:
        drive = 1 + complex(*action) + self._feedback
        pole = -_HALF_BANDWIDTH + 1j * self._detuning()
        rest = -_HALF_BANDWIDTH * drive / pole
        self._field = rest + (self._field - rest) * exp(pole * seconds)
        self._motion += 2 * pi * np.array(_MODES) * seconds

    def end_period(self) -> float:
        wander = self.random.normal(0, 0.01, 2)
        self._swing = np.clip(self._swing + wander * 0.3, 0.3, 1.0)
        self._field += _NOISE * complex(*self.random.normal(0, 1, 2))
        return 1e3 * abs(self._field - 1)

    def find_target(self, action: Reals) -> Reals:
        return np.asarray(action + np.array([self._feedback.real, self._feedback.imag]))
