"""A radio power amplifier behind a predistorter, which learns from what the amplifier makes of its input."""

from __future__ import annotations

from cmath import exp
from collections import deque
from collections.abc import Callable
from math import pi
from numbers import Number

import numpy as np
import numpy.typing as npt

from ..errors import InputError, cut
from .plant import Plant
from .task import Reals

TAPS = 2

MEMORY = 4
"""Inputs that an amplifier is given, the newest first."""

Complexes = npt.NDArray[np.complex128]

Amplifier = Callable[[Complexes], complex]
"""The output of an amplifier for its last :data:`MEMORY` inputs ``(4,)``, with a gain of about one where these are
small."""

_POWER, _POWER_AFTER = 0.24, 0.3
"""The root of the mean square of the signal, over the largest input."""

_MOST = 0.95
_SALEH = 0.55
"""The drive of the amplifier's model at an input of one: where it saturates is at 0.93."""


def amplify_saleh(inputs: Complexes) -> complex:
    """A travelling wave tube with its measured curves of size and phase (Saleh, IEEE Trans. Communications 29, 1981),
    behind a filter of two taps."""
    u = complex(inputs[0] + 0.12 * inputs[1]) / 1.12
    r = _SALEH * abs(u)
    return u / (1 + 1.1517 * r**2) * exp(1j * 4.0033 * r**2 / (1 + 9.1040 * r**2))


class Predistortion(Plant):
    """Bends a signal so that an amplifier that bends it too gives it straight.

    Modelled: a signal of limited bandwidth, as that of many carriers; a curved amplifier with memory: by default a
    travelling wave tube by the curves of Saleh, or any other that is given, such as one that was measured. What it
    gives comes back without noise. Half way the signal's power rises by 2 dB; in the last quarter the amplifier warms,
    its gain falls by 0.5 dB and its phase turns by 10 degrees. Learned indirectly (Eun and Powers, IEEE Trans. Signal
    Processing 45, 1997): what the amplifier gives is the sample, what it was given is the target, and the inverse that
    is learned so is put before it.

    Not modelled: converters, the receiver's noise and delay, other channels, the time constants of heat and bias. The
    filter and the drift are made up.

    A sample has for each of two taps I, Q and size, of the signal where an action is wanted and of the amplifier's
    output where it is learned; an action is what is added to the signal. The error is that of the output, over the
    signal's root mean square, which is the error vector magnitude.

    Parameters
    ----------
    amplifier
        Gives the output for its last inputs, the newest first, ``(4,)`` complex numbers, of which each is one at the
        most; with a gain of about one where they are small.
    """

    name = "predistortion"
    n_in = 3 * TAPS
    n_out = 2
    period = 250e-9
    unit = "% of the signal"

    def __init__(self, samples: int = 20000, seed: int = 0, amplifier: Amplifier = amplify_saleh) -> None:
        super().__init__(samples, seed)
        self._amplifier = _check_amplifier(amplifier)
        self._signal = deque([0j] * TAPS, maxlen=TAPS)
        self._given = deque([0j] * MEMORY, maxlen=MEMORY)
        self._gave = deque([0j] * TAPS, maxlen=TAPS)
        self._noise = deque([0j] * len(_PULSE), maxlen=len(_PULSE))
        self._action = 0j

    @property
    def _power(self) -> float:
        return _POWER_AFTER if self.switched else _POWER

    def observe(self) -> Reals:
        self._noise.appendleft(complex(*self.random.normal(0, np.sqrt(0.5), 2)))
        value = self._power * complex(np.dot(_PULSE, self._noise))
        self._signal.appendleft(value / max(1.0, abs(value) / _MOST))
        return _triples(self._signal)

    def move(self, action: Reals, seconds: float) -> None:
        if seconds > 0:
            self._action = complex(*action)

    def end_period(self) -> float:
        given = self._signal[0] + self._action
        self._given.appendleft(given / max(1.0, abs(given)))
        warm = 10 ** (-0.5 / 20 * self.drifted) * exp(1j * pi / 18 * self.drifted)
        self._gave.appendleft(warm * self._amplifier(np.array(self._given)))
        return 100 * abs(self._gave[0] - self._signal[0]) / self._power

    def find_target(self, action: Reals) -> Reals:
        missing = self._given[0] - self._gave[0]
        return np.array([missing.real, missing.imag])

    def find_lesson(self, x: Reals, action: Reals) -> tuple[Reals, Reals]:
        return _triples(self._gave), self.find_target(action)


def _triples(values: deque[complex]) -> Reals:
    """I, Q and size of each, between -1 and 1."""
    parts = [[value.real, value.imag, abs(value)] for value in values]
    return np.asarray(np.clip(np.ravel(parts), -1, 1))


def _pulse(length: int = 15, width: float = 0.3) -> Reals:
    """A low pass of unit energy: a sinc of ``width`` of the sampling rate under a Hann window."""
    place = np.arange(length) - length // 2
    found = np.sinc(width * place) * np.hanning(length + 2)[1:-1]
    return np.asarray(found / np.linalg.norm(found))


_PULSE = _pulse()


def _check_amplifier(amplifier: Amplifier) -> Amplifier:
    """An amplifier, if it gives a number where all is off."""
    mend = f"give a function of its last {MEMORY} inputs, complex numbers, that gives its output"
    if not callable(amplifier):
        raise InputError(f"amplifier = {cut(amplifier)}: {mend}")
    found = amplifier(np.zeros(MEMORY, dtype=np.complex128))
    if np.ndim(found) or not isinstance(found, (Number, np.ndarray)):
        raise InputError(f"amplifier: gives {cut(found)}; {mend}")
    return amplifier
