"""A radio channel that switches, and an equaliser that has to find the symbols again."""

from __future__ import annotations

from collections import deque

import numpy as np

from .plant import Plant
from .task import Reals

_SYMBOLS = np.array([-3.0, -1.0, 1.0, 3.0])
_PATHS = (np.array([1.0, 0.18, -0.1, 0.05]), np.array([0.8, -0.45, 0.2, -0.1]))
_TAPS = 5
_SNR = 28.0  # dB


class SwitchedChannel(Plant):
    """Finds the symbols that a channel with memory and a curved amplifier was given, while it changes.

    Modelled: four symbols; a channel of four taps and the curve u = q + 0.036 q^2 - 0.011 q^3 behind it (that of
    Jaeger and Haas, Science 304, 2004); noise 28 dB below. Half way the channel becomes another with more echo; in the
    last quarter it goes back little by little. The symbols are known one sample later, as in a training sequence.

    Not modelled: a carrier, I and Q, timing, decisions instead of training. The second channel is made up.

    A sample is the last five values of the channel in units of eight; an action is the symbol before the last over
    four. It acts on nothing: a chip that is late costs the samples that it misses. The error is that of the symbol.
    """

    name = "channel"
    n_in = _TAPS
    n_out = 1
    period = 250e-9
    unit = "of a symbol"

    def __init__(self, samples: int = 20000, seed: int = 0) -> None:
        super().__init__(samples, seed)
        self._sent = deque([0.0] * 4, maxlen=4)
        self._received = deque([0.0] * _TAPS, maxlen=_TAPS)
        self._answer = self._sought = self._before = 0.0

    def _path(self) -> Reals:
        first, second = _PATHS
        return second + (first - second) * self.drifted if self.switched else first

    def observe(self) -> Reals:
        self._sent.appendleft(float(self.random.choice(_SYMBOLS)))
        bent = float(np.array(self._sent) @ self._path())
        bent += 0.036 * bent**2 - 0.011 * bent**3
        self._received.appendleft(bent + float(self.random.normal(0, 2.2 * 10 ** (-_SNR / 20))))
        self._before, self._sought = self._sought, self._sent[1]
        return np.array(self._received) / 8

    def move(self, action: Reals, seconds: float) -> None:
        if seconds > 0:
            self._answer = float(action[0]) * 4

    def end_period(self) -> float:
        return self._answer - self._sought

    def find_target(self, action: Reals) -> Reals:
        return np.array([self._before / 4])
