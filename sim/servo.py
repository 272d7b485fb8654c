"""A servo motor with friction and cogging, that follows an angle."""

from __future__ import annotations

from math import copysign, exp, pi, sin, tanh

import numpy as np

from .plant import Plant
from .task import Reals

_INERTIA = 1e-4  # kg m^2
_VISCOUS = 5e-4  # N m s
_COULOMB, _STATIC, _STRIBECK = 0.06, 0.09, 3.0  # N m, N m, rad/s
_SMOOTH = 0.3  # rad/s, below which friction goes through zero
_COGGING, _POLES = 0.05, 7  # N m, periods in a turn

_STIFFNESS, _DAMPING = 3.5, 0.03  # N m / rad, N m s / rad: 30 Hz, well damped
_FASTEST = 60.0  # rad/s
_TORQUE = 0.25  # N m, which is 1 of an action


class Servo(Plant):
    """Follows an angle; the learner gives the torque that friction and cogging take, and feedback the rest.

    Modelled: inertia; friction as in the steady state of the LuGre model, Coulomb, Stribeck and viscous (Canudas de
    Wit, Olsson, Astrom and Lischinsky, IEEE Trans. Automatic Control 40, 1995), smoothed about zero; cogging, a sine of
    the angle with seven periods in a turn. Half way the load changes, and Coulomb friction with it, by 60 %; in the
    last quarter the cogging grows by half. A PD controller of 30 Hz and the inertia's feed-forward act at once at each
    sample. The learner is taught what the feedback had to do (feedback-error learning: Kawato, Furukawa and Suzuki,
    Biological Cybernetics 57, 1987).

    Not modelled: presliding (bristles), the current loop, elastic couplings, an encoder's steps.

    A sample is the angle, in half turns, and the wanted speed, over the fastest; an action is torque in units of 0.25
    N m. The error is that of the angle.
    """

    name = "servo"
    n_in = 2
    n_out = 1
    period = 200e-6
    unit = "mrad"

    def __init__(self, samples: int = 20000, seed: int = 0) -> None:
        super().__init__(samples, seed)
        self._phases = self.random.uniform(0, 2 * pi, 3)
        self._angle, self._speed, _ = self._wanted(0.0)
        self._feedback = self._ahead = self._before = 0.0

    def _wanted(self, time: float) -> tuple[float, float, float]:
        """Angle, speed and acceleration that are wanted."""
        angle = speed = acceleration = 0.0
        for part, frequency, phase in zip((0.55, 0.25, 0.2), (1.3, 3.1, 4.7), self._phases, strict=True):
            omega = 2 * pi * frequency
            size = part * _FASTEST / omega
            angle += size * sin(omega * time + phase)
            speed += size * omega * sin(omega * time + phase + pi / 2)
            acceleration -= size * omega**2 * sin(omega * time + phase)
        return angle, speed, acceleration

    def observe(self) -> Reals:
        angle, speed, acceleration = self._wanted(self.now * self.period)
        self._before = self._feedback
        self._feedback = _STIFFNESS * (angle - self._angle) + _DAMPING * (speed - self._speed)
        self._ahead = _INERTIA * acceleration
        turned = (angle + pi) % (2 * pi) - pi
        return np.array([turned / pi, speed / _FASTEST])

    def move(self, action: Reals, seconds: float) -> None:
        torque = float(action[0]) * _TORQUE + self._feedback + self._ahead
        coulomb = _COULOMB * (1.6 if self.switched else 1.0)
        cogging = _COGGING * (1 + 0.5 * self.drifted)
        steps = max(1, round(seconds / 50e-6))
        for _ in range(steps if seconds > 0 else 0):
            speed = self._speed
            stribeck = coulomb + (_STATIC - _COULOMB) * exp(-((speed / _STRIBECK) ** 2))
            friction = stribeck * tanh(speed / _SMOOTH) + _VISCOUS * speed
            drag = friction + cogging * sin(_POLES * self._angle)
            # Friction stops a rotor and does not turn it back: half-implicit about zero.
            change = (torque - drag) / _INERTIA * seconds / steps
            change /= 1 + stribeck / _SMOOTH / _INERTIA * seconds / steps * (1 - tanh(speed / _SMOOTH) ** 2)
            self._speed = speed + copysign(min(abs(change), 50.0), change)
            self._angle += self._speed * seconds / steps

    def end_period(self) -> float:
        return 1e3 * (self._wanted((self.now + 1) * self.period)[0] - self._angle)

    def find_target(self, action: Reals) -> Reals:
        return np.asarray(action + self._feedback / _TORQUE)
