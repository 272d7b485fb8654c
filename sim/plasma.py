"""A tokamak's plasma that is unstable up and down, and whose height follows a wanted one."""

from __future__ import annotations

from math import exp, pi, sin

import numpy as np

from .plant import Plant
from .task import Reals

_BEFORE, _AFTER = (700.0, 0.5), (1100.0, 1.5)
"""The growth rate, in 1/s, and how the destabilising force grows with the height."""

_COIL_FALL = 0.25
_STRAY = 0.3

_TIME_CONSTANT = 60e-6
_GAIN, _DAMPING = 4.5, 4e-4  # heights for a height, and seconds
_REACH = 1.5
"""The current of the coils that is 1 of an action, in heights: their field moves the plasma by one."""

_HEIGHT = 100.0  # mm
_FASTEST = 260.0  # heights a second
_NOISE = 1.5e-3


class Plasma(Plant):
    """Follows a height that is wanted; the learner gives the coils' current that takes, and feedback the rest.

    Modelled: a rigid plasma without mass in an elongated cross section, whose fall the vessel's eddy currents slow to a
    growth rate g, dz/dt = g (z + a z^3 + (1 - d z^2) i), with the height z and the coils' current i (the rigid model of
    Lazarus, Lister and Neilson, Nuclear Fusion 30, 1990, with one current of the vessel); the force that grows away
    from the middle (a) and the coils' field that falls off (d); coils and their supply of the first order. Half way the
    plasma is elongated further: g goes from 700 to 1,100 a second, and a grows; in the last quarter a stray field does.
    A PD controller acts at once at each sample, on a height that is measured with noise; after the switch it is too
    weak to hold the plasma alone. The learner is taught what the feedback had to do.

    Not modelled: the plasma's shape and current, more modes of the vessel, eddies of the coils' field, a supply's dead
    time and limits, edge localised modes. The curves, the stray field and the noise are made up.

    A sample is the wanted height in units of 100 mm, and its speed over the fastest; an action is the coils' current.
    The error is that of the height.
    """

    name = "plasma"
    n_in = 2
    n_out = 1
    period = 20e-6
    unit = "mm"

    def __init__(self, samples: int = 20000, seed: int = 0) -> None:
        super().__init__(samples, seed)
        self._phases = self.random.uniform(0, 2 * pi, 3)
        self._height, _ = self._wanted(0.0)
        self._current = -self._height
        self._feedback = 0.0
        self._before = 0.0

    def _wanted(self, time: float) -> tuple[float, float]:
        """The height that is wanted, and its speed."""
        height = speed = 0.0
        for part, frequency, phase in zip((0.3, 0.18, 0.1), (37.0, 83.0, 141.0), self._phases, strict=True):
            omega = 2 * pi * frequency
            height += part * sin(omega * time + phase)
            speed += part * omega * sin(omega * time + phase + pi / 2)
        return height, speed

    def observe(self) -> Reals:
        height, speed = self._wanted(self.now * self.period)
        error = height - self._height + float(self.random.normal(0, _NOISE))
        self._feedback = _GAIN * error + _DAMPING * (error - self._before) / self.period
        self._before = error
        return np.array([height, speed / _FASTEST])

    def move(self, action: Reals, seconds: float) -> None:
        growth, curvature = _AFTER if self.switched else _BEFORE
        steps = max(1, round(seconds / 5e-6))
        for _ in range(steps if seconds > 0 else 0):
            step = seconds / steps
            driven = float(action[0]) * _REACH + self._feedback
            self._current = driven + (self._current - driven) * exp(-step / _TIME_CONSTANT)
            height = self._height
            field = (1 - _COIL_FALL * height**2) * self._current + _STRAY * self.drifted
            # The vessel is as far as the plasma can go.
            moved = height + growth * (height + curvature * height**3 + field) * step
            self._height = min(max(moved, -1.5), 1.5)

    def end_period(self) -> float:
        return _HEIGHT * (self._wanted((self.now + 1) * self.period)[0] - self._height)

    def find_target(self, action: Reals) -> Reals:
        return np.asarray(action + self._feedback / _REACH)
