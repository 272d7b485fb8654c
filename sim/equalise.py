"""Channel equalisation: ten values of what a radio channel makes of symbols, and the symbol that was sent."""

from __future__ import annotations

from numbers import Real

import numpy as np

from ..errors import InputError, cut
from .task import Reals, Regime, Task, check_samples

SYMBOLS = np.array([-3.0, -1.0, 1.0, 3.0])

# Of d[n + 2] down to d[n - 7].
_CHANNEL = np.array([0.08, -0.12, 1.0, 0.18, -0.1, 0.091, -0.05, 0.04, 0.03, 0.01])

MOST_SNR = 200
"""Of noise below this there is nothing left in float64."""

_AHEAD, _BEHIND = 3, 6
"""Values of the channel after and before that of the symbol which are inputs."""


class Equalise(Task):
    """Finds the symbols that a radio channel with memory and a curved amplifier was given (Jaeger and Haas, 2004).

    Symbols d are -3, -1, 1 or 3. The channel adds up ten of them, q[n] = 0.08 d[n+2] - 0.12 d[n+1] + d[n] + 0.18 d[n-1]
    - 0.1 d[n-2] + 0.091 d[n-3] - 0.05 d[n-4] + 0.04 d[n-5] + 0.03 d[n-6] + 0.01 d[n-7], and bends the sum, u = q +
    0.036 q^2 - 0.011 q^3 + noise. Inputs are u[n+3] down to u[n-6], which lie within -6 and 6, if ``snr`` is
    20 or more; the target is d[n]. ``snr`` is how far the noise is below the variance of u, in dB, 0 to 200.
    """

    name = "equalise"
    n_in = _AHEAD + 1 + _BEHIND
    n_out = 1
    has_formula = False

    def __init__(self, samples: int = 1500, seed: int = 0, *, snr: float = 32.0) -> None:
        samples = check_samples(samples, 3, "too few to learn from", self.n_in)
        if isinstance(snr, bool) or not isinstance(snr, Real) or not 0 <= snr <= MOST_SNR:
            raise InputError(f"snr = {cut(snr)}: must be a number of dB from 0 to {MOST_SNR}")
        super().__init__(samples, seed)
        self.regimes = (Regime(0, samples),)
        noise = np.random.default_rng(seed)
        # The channel itself looks two symbols ahead and seven back.
        sent = noise.choice(SYMBOLS, samples + self.n_in - 1 + len(_CHANNEL) - 1)
        sums = np.correlate(sent, _CHANNEL[::-1], mode="valid")
        received = sums + 0.036 * sums**2 - 0.011 * sums**3
        received += noise.normal(0, np.sqrt(np.var(received) * 10 ** (-snr / 10)), len(received))
        windows = np.lib.stride_tricks.sliding_window_view(received, self.n_in)
        self.x = windows[:, ::-1].copy()
        first = len(_CHANNEL) - 1 - 2 + _BEHIND
        self.target = sent[first : first + samples, None]

    @staticmethod
    def decide(predictions: Reals) -> Reals:
        """The symbols that are nearest to predictions of any shape."""
        return SYMBOLS[np.clip(np.rint((predictions + 3) / 2), 0, 3).astype(np.int64)]
