"""The readout of a superconducting qubit, whose signal turns and fades while it is told apart."""

from __future__ import annotations

from math import cos, inf, pi, sin

import numpy as np
import numpy.typing as npt

from ..arrays import as_reals, check_finite
from ..errors import InputError
from .plant import Plant
from .task import Reals

_DISTANCE = 1.0
_NOISE = 0.17
_READOUT_IN_LIFETIMES = 0.06
_THERMAL = 0.01
_SCALE = 0.5


class QubitReadout(Plant):
    """Tells the state of a qubit from I and Q of its readout, while these turn.

    Modelled: dispersive readout, two states whose integrated signals lie apart in the plane with Gaussian noise
    (Krantz and others, A Quantum Engineer's Guide to Superconducting Qubits, Applied Physics Reviews 6, 2019); decay
    during the readout, at a random time, of an excited state, whose signal is then an average of both (Gambetta and
    others, Physical Review A 76, 2007); an equilibrium in which some are excited from the start. Half way the line
    changes, and the plane turns by 110 degrees; in the last quarter it goes on turning by 90 degrees and the signal
    fades by a quarter. With ``shots`` the points are shots that were measured, in random order, turned and faded in the
    same way, and not those of the model. The state that was prepared is known one sample later, as in a calibration.

    Not modelled: the resonator's response and the readout's pulse, leakage to a third state, states that follow each
    other in a circuit. Noise, lifetime and turns are made up.

    A sample is I and Q; an action is the state, 0.5 where it is excited and -0.5 where it is not, and tells them apart
    by its sign. It acts on nothing. The error is that of the action.

    Parameters
    ----------
    shots
        Points ``(2, n, 2)`` by prepared state, shot, and I and Q, in any unit.
    """

    name = "qubit"
    n_in = 2
    n_out = 1
    period = 1e-6
    unit = "10^-2"
    decides = True

    def __init__(self, samples: int = 20000, seed: int = 0, shots: npt.ArrayLike | None = None) -> None:
        super().__init__(samples, seed)
        self._shots = None if shots is None else _scale(shots)
        self._prepared = self._before = 0
        self._answer = 0.0

    def _measure(self, state: int) -> Reals:
        """I and Q of a state, before they turn."""
        if self._shots is not None:
            found: Reals = self._shots[state, self.random.integers(self._shots.shape[1])]
            return found
        excited = bool(state) if self.random.random() > _THERMAL else not state
        lived = 1.0 if excited else 0.0
        if excited:
            lived = min(1.0, self.random.exponential(1 / _READOUT_IN_LIFETIMES))
        centre = np.array([_DISTANCE * (lived - 0.5), 0.25])
        return np.asarray(centre + self.random.normal(0, _NOISE, 2))

    def observe(self) -> Reals:
        self._before, self._prepared = self._prepared, int(self.random.integers(2))
        angle = (110 / 180 * self.switched + self.drifted / 2) * pi
        turn = np.array([[cos(angle), -sin(angle)], [sin(angle), cos(angle)]])
        faded = _SCALE * (1 - self.drifted / 4) * (turn @ self._measure(self._prepared))
        return np.clip(faded, -1, 1)

    def move(self, action: Reals, seconds: float) -> None:
        if seconds > 0:
            self._answer = float(action[0])

    def end_period(self) -> float:
        error = self._answer - (self._prepared - 0.5)
        self.wrong = (self._answer > 0) != bool(self._prepared)
        return 100 * error

    def find_target(self, action: Reals) -> Reals:
        return np.array([self._before - 0.5])


def _scale(shots: npt.ArrayLike) -> Reals:
    """The shots with their middle where the model has it, and the states as far apart; turned about nothing."""
    wanted = "(2, n, 2), by prepared state, shot, and I and Q"
    points = check_finite("shots", as_reals("shots", shots, f"shape {wanted}"))
    if points.ndim != 3 or points.shape[::2] != (2, 2) or not points.size:
        raise InputError(f"shots: shape {points.shape}; must be {wanted}")
    first, second = points.mean(axis=1)
    distance = np.linalg.norm(second - first)
    if not 0 < distance < inf:
        raise InputError(f"shots: the means of the two states are {distance} apart; give shots that tell them apart")
    return np.asarray((points - (first + second) / 2) / distance * _DISTANCE + [0, 0.25])
