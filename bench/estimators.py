"""Estimators on river's own data, beside river's: prequential error, the same protocol and scaling for all.

Every sample is predicted, scored, and then learned. Nothing is chosen for a data set: each model is made once, with the
settings in :func:`models`, for all of them. Defaults of ``KANRegressor`` were chosen on other streams.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from typing import Any

import numpy as np

from .row import Family, Progress, Result, Row

__all__ = ["FAMILY"]

Sample = tuple[dict[Any, float], float]
SEED = 0


def models() -> dict[str, Any]:
    """New models by name, all with the defaults of their classes, but for seeds and one hidden layer.

    Imported only here: what is measured besides needs neither river nor scikit-learn.
    """
    from river.linear_model import LinearRegression
    from river.neighbors import SWINN, KNNRegressor
    from river.preprocessing import StandardScaler
    from river.tree import HoeffdingTreeRegressor

    from kanrtl import KANRegressor

    return {
        "KANRegressor()": KANRegressor(random_state=SEED),
        "KANRegressor((8,))": KANRegressor((8,), random_state=SEED),
        "StandardScaler \\| LinearRegression": StandardScaler() | LinearRegression(),
        "StandardScaler \\| KNNRegressor": StandardScaler() | KNNRegressor(engine=SWINN(seed=SEED)),
        "StandardScaler \\| HoeffdingTreeRegressor": StandardScaler() | HoeffdingTreeRegressor(),
    }


BLOCK = 500
"""Samples that one point of a curve of errors is the mean of."""


@dataclass(frozen=True)
class Prequential(Row):
    """Every model over one stream."""

    stream: Callable[[], Iterable[Sample]]
    source: str

    def measure(self, progress: Progress) -> Result:
        from sklearn import config_context

        from kanrtl import KANRegressor

        samples = list(self.stream())
        measured = []
        for name, model in models().items():
            progress(name.replace("\\", ""))
            with config_context(print_changed_only=False):
                settings = " ".join(repr(model).split())
            errors = prequential(model, samples)
            spec = {"spec": model.session_.spec.to_dict()} if isinstance(model, KANRegressor) else {}
            measured.append({"name": name, "settings": settings, **spec, **summary(errors)})
        tools = {name: version(name) for name in ("numpy", "river", "scikit-learn")}
        return {"source": self.source, "samples": len(samples), "seeds": [SEED], "models": measured, "tools": tools}


def prequential(model: Any, samples: Iterable[Sample]) -> list[float]:
    """The error of each prediction, made before the sample is learned."""
    errors = []
    for x, y in samples:
        errors.append(model.predict_one(x) - y)
        model.learn_one(x, y)
    return errors


def summary(errors: list[float]) -> Result:
    """Mean absolute and root mean squared error, and the first by block."""
    array = np.array(errors)
    blocks = [float(np.mean(np.abs(array[start : start + BLOCK]))) for start in range(0, len(array), BLOCK)]
    return {
        "mae": float(np.mean(np.abs(array))),
        "rmse": float(np.sqrt(np.mean(array**2))),
        "block": BLOCK,
        "mae_by_block": blocks,
    }


def chick_weights() -> Iterable[Sample]:
    """Time, and the numbers of chick and diet as they are."""
    from river.datasets import ChickWeights

    return ChickWeights()  # type: ignore[no-any-return]


def trump_approval() -> Iterable[Sample]:
    from river.datasets import TrumpApproval

    return TrumpApproval()  # type: ignore[no-any-return]


def friedman_drift() -> Iterable[Sample]:
    """Twenty thousand samples with three drifts; river's own positions would make it two hundred thousand."""
    from river.datasets.synth import FriedmanDrift

    return islice(FriedmanDrift(drift_type="lea", position=(5000, 10_000, 15_000), seed=42), 20_000)


FAMILY = Family(
    "river",
    "estimators on river's data",
    (
        Prequential("chick-weights", "ChickWeights", chick_weights, "river.datasets.ChickWeights()"),
        Prequential("trump-approval", "TrumpApproval", trump_approval, "river.datasets.TrumpApproval()"),
        Prequential(
            "friedman-drift",
            "FriedmanDrift",
            friedman_drift,
            'river.datasets.synth.FriedmanDrift("lea", position=(5000, 10000, 15000), seed=42), 20000 samples',
        ),
    ),
)
