"""Function tracking: one input, one output, and a target that switches."""

from __future__ import annotations

import itertools

import numpy as np

from .task import Reals, Regime, Task, check_samples


class Track(Task):
    """Tracks a function that switches at one and two thirds of the run (Hoang, Gupta, Harris, arXiv 2602.02056).

    x is uniform in [-2, 2); the target is sin x + 0.3 x^2, then 1 - cos 2x + 0.1 x^3, then
    exp(-(x-1)^2 / 2) + 0.05 x^3.
    """

    name = "track"
    n_in = 1
    n_out = 1

    def __init__(self, samples: int = 1500, seed: int = 0) -> None:
        samples = check_samples(samples, 3, "track has three regimes")
        super().__init__(samples, seed)
        bounds = [samples * third // 3 for third in range(4)]
        self.regimes = tuple(Regime(*pair) for pair in itertools.pairwise(bounds))
        self.x = np.random.default_rng(seed).uniform(-2, 2, (samples, 1))
        self.target = np.concatenate(
            [self.curve(self.x[start:stop], index) for index, (start, stop) in enumerate(self.regimes)]
        )

    def curve(self, x: Reals, regime: int) -> Reals:
        if regime == 0:
            return np.sin(x) + 0.3 * x**2
        if regime == 1:
            return -np.cos(2 * x) + 0.1 * x**3 + 1
        return np.exp(-((x - 1) ** 2) / 2) + 0.05 * x**3
