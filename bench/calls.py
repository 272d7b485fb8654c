"""What a call for one sample costs from Python, beside river's logistic regression: processor time, in one run."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from kanrtl import LearnerSpec, LookupNetwork, connect
from kanrtl.simulators.cxxrtl import Compiler

from .row import Family, Progress, Result, Row

ROUNDS = 7
"""Everything is measured once a round, so that what else the machine does slows all of it alike."""

CALLS = 1000
FEATURES = 3


@dataclass(frozen=True)
class Calls(Row):
    """Microseconds of the processor for a call, medians of :data:`ROUNDS`, and medians of the rounds' ratios to river's
    ``learn_one`` behind its scaler."""

    def measure(self, progress: Progress) -> Result:
        random = np.random.default_rng(0)
        x = random.normal(size=(CALLS, FEATURES))
        calls = {**_session_calls(x), **_network_calls(x), **_estimator_calls(x)}
        fits = _fits()
        rounds = []
        for number in range(ROUNDS):
            progress(f"round {number + 1} of {ROUNDS}")
            rounds.append(
                {name: _seconds(call) / CALLS * 1e6 for name, call in calls.items()}
                | {name: samples / _seconds(fit) for name, (fit, samples) in fits.items()}
            )
        middle = {name: median(entry[name] for entry in rounds) for name in rounds[0]}
        reference = "river, StandardScaler and LogisticRegression: learn_one"
        return {
            "calls": CALLS,
            "features": FEATURES,
            "seeds": [0],
            "reference": reference,
            "microseconds": {name: round(middle[name], 2) for name in calls},
            "ratios": {name: round(median(entry[name] / entry[reference] for entry in rounds), 2) for name in calls},
            "samples_per_second": {name: round(middle[name], -3) for name in fits},
            "load_average": os.getloadavg()[0],
            "cpus": os.cpu_count(),
            "tools": {
                **{name: version(name) for name in ("numpy", "river", "scikit-learn")},
                "compiler": Compiler.find().identity.splitlines()[0],
            },
        }


def _seconds(call: Callable[[], Any]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def _session_calls(x: np.ndarray[Any, Any]) -> dict[str, Callable[[], None]]:
    """Calls of sessions of layers [1, 1] and [3, 1], each of all samples."""
    calls: dict[str, Callable[[], None]] = {}
    for n_in in (1, FEATURES):
        spec = LearnerSpec(layer_sizes=[n_in, 1], grid_range=(-2, 2), grid_size=8, learning_rate=1 / 8)
        samples = [(row[:n_in].tolist(), [float(np.sin(row[0]))]) for row in x]
        for backend in ("native", "compiled"):
            session, external = connect(spec, backend), connect(spec.replace(loss="external"), backend)

            def learn(session: Any = session, samples: Any = samples) -> None:
                for row, target in samples:
                    session.learn(row, target)

            def predict(session: Any = session, samples: Any = samples) -> None:
                for row, _ in samples:
                    session.predict(row)

            def feedback(session: Any = external, samples: Any = samples) -> None:
                for row, target in samples:
                    session.predict(row)
                    session.feedback(target)

            what = f"{backend}, layers [{n_in}, 1]"
            calls |= {f"{what}: learn": learn, f"{what}: predict": predict, f"{what}: predict and feedback": feedback}
    return calls


def _network_calls(x: np.ndarray[Any, Any]) -> dict[str, Callable[[], None]]:
    """Predictions of a network of layers [3, 2, 1], of six bits, one sample at a time."""
    random = np.random.default_rng(2)
    sizes, bits = (FEATURES, 2, 1), (6, 6, 8)
    edges = []
    for (n_in, n_out), width, wider in zip(pairwise(sizes), bits, bits[1:], strict=False):
        node, source = np.nonzero(np.ones((n_out, n_in)))
        limit = (1 << wider) // (2 * n_in)
        edges.append({"source": source, "node": node, "table": random.integers(-limit, limit, (len(node), 1 << width))})
    network = LookupNetwork.of(sizes, bits, [1 / 16, 1 / 16, 1 / 64], edges)
    samples = x.tolist()
    calls: dict[str, Callable[[], None]] = {}
    for backend in ("native", "model"):
        session = connect(network, backend)

        def predict(session: Any = session) -> None:
            for row in samples:
                session.predict(row)

        calls[f"{backend}, a network of layers [3, 2, 1]: predict"] = predict
    return calls


def _estimator_calls(x: np.ndarray[Any, Any]) -> dict[str, Callable[[], None]]:
    """``learn_one`` of all samples.

    Imported only here: what is measured besides needs neither river nor scikit-learn.
    """
    from river.linear_model import LogisticRegression
    from river.preprocessing import StandardScaler

    from kanrtl import KANClassifier, KANRegressor

    samples = [(dict(zip("abc", row.tolist(), strict=True)), bool(row[0] * row[1] > 0)) for row in x]
    models = {
        "KANClassifier": KANClassifier(),
        "KANClassifier on native": KANClassifier(backend="native"),
        "KANRegressor": KANRegressor(),
        "river, LogisticRegression": LogisticRegression(),
        "river, StandardScaler and LogisticRegression": StandardScaler() | LogisticRegression(),
    }
    calls: dict[str, Callable[[], None]] = {}
    for name, model in models.items():

        def learn(model: Any = model) -> None:
            for features, label in samples:
                model.learn_one(features, label)

        learn()  # what is compiled once is not measured
        calls[f"{name}: learn_one"] = learn
    return calls


def _fits() -> dict[str, tuple[Callable[[], Any], int]]:
    """Fits of layers [1, 1], and how many samples are learned in each, those of all epochs counted."""
    from kanrtl import KANClassifier, KANRegressor

    x = np.random.default_rng(1).normal(size=(20_000, 1))
    fits: dict[str, tuple[Callable[[], Any], int]] = {}
    for backend in ("auto", "native"):
        for model in (KANClassifier, KANRegressor):
            for epochs in (1, 20) if backend == "auto" else (1, 5):
                chosen = "" if backend == "auto" else ", backend='native'"

                def fit(model: Any = model, epochs: int = epochs, backend: str = backend) -> None:
                    model(epochs=epochs, backend=backend).fit(x, x[:, 0] > 0)

                if backend == "native":  # what is compiled once is not measured
                    model(epochs=1, backend=backend).fit(x[:100], x[:100, 0] > 0)
                fits[f"{model.__name__}.fit, epochs={epochs}{chosen}"] = fit, epochs * len(x)
    return fits


FAMILY = Family("python", "calls from Python", (Calls("calls", "one sample from Python, and fits"),))
