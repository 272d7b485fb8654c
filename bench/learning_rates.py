"""How well a learner learns at every rate, beside the same learner in float64, by how updates are rounded."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from kanrtl import LearnerSpec, connect
from kanrtl.learner.model_batch import ModelBatch

from .row import Family, Progress, Result, Row

RATES = tuple(2.0**-exponent for exponent in range(1, 13))

KINDS: dict[str, dict[str, Any]] = {
    "the default: stochastic, 4 guard bits": {},
    "stochastic, no guard bits": {"coefficient_format": "SQ(6, 10)"},
    "half_up, 4 guard bits": {"update_rounding": "half_up"},
    "half_up, no guard bits": {"update_rounding": "half_up", "coefficient_format": "SQ(6, 10)"},
    "floor, no guard bits": {"update_rounding": "floor", "coefficient_format": "SQ(6, 10)"},
    "the default, with 128 rows": {"table_size": 128},
    "the default, with target_range and 256 rows": {"target_range": (-2, 2), "table_size": 256},
}


@dataclass(frozen=True)
class LearningRates(Row):
    """The mean squared error of the last samples, by rate.

    The target is sin 1.3 x, or for two inputs x_1 sin 1.3 x_0, for inputs that are uniform on the grid, with noise of
    ``noise`` (its deviation), which the error does not count.
    """

    layer_sizes: tuple[int, ...]
    noise: float
    samples: int = 500_000
    last: int = 100_000

    def measure(self, progress: Progress) -> Result:
        random = np.random.default_rng(0)
        x = random.uniform(-2, 2, (self.samples, self.layer_sizes[0]))
        clean = np.sin(1.3 * x[:, :1]) * (x[:, 1:] if self.layer_sizes[0] > 1 else 1)
        target = clean + self.noise * random.standard_normal(clean.shape)

        def error(predictions: npt.NDArray[np.float64]) -> float:
            return float(np.mean((predictions - clean)[-self.last :] ** 2))

        fields = {"layer_sizes": self.layer_sizes, "grid_range": (-2, 2), "grid_size": 8}
        progress("float64")
        batch = ModelBatch([LearnerSpec(**fields, learning_rate=rate) for rate in RATES], "float64")
        exact = [error(one) for one in batch.learn_many(x, target)]
        found = {}
        for kind, changes in KINDS.items():
            progress(kind)
            errors = []
            for rate in RATES:
                with connect(LearnerSpec(**fields, learning_rate=rate, **changes), "compiled") as learner:
                    errors.append(error(learner.learn_many(x, target)))
            found[kind] = errors
        return {
            "layer_sizes": list(self.layer_sizes),
            "noise": self.noise,
            "samples": self.samples,
            "last": self.last,
            "variance": float(clean.var()),
            "rates": list(RATES),
            "float64": exact,
            "errors": found,
            "tools": {"numpy": version("numpy")},
        }


FAMILY = Family(
    "rates",
    "learning at every rate",
    (
        LearningRates("rates-1-1-exact", "layers [1, 1], exact targets", (1, 1), 0.0),
        LearningRates("rates-1-1", "layers [1, 1], noise of 0.02", (1, 1), 0.02),
        LearningRates("rates-2-4-1", "layers [2, 4, 1], noise of 0.02", (2, 4, 1), 0.02),
    ),
)
