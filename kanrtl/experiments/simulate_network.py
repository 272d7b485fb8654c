"""Runs a lookup network on a backend, beside the integer model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import check_at_least
from ..errors import InputError
from ..files import OBJECTS, read_arrays
from ..lookup.network import LookupNetwork
from ..lookup.number_checks import check_classes, check_known
from ..lookup.quantiser import FixedQuantiser
from ..numeric.fixed import SQ
from ..progress import Progress
from ..sessions.connect import connect_network
from ..sessions.network_session import LookupSession

_CHUNK = 256
"""Samples between two signs of progress."""


@dataclass(frozen=True)
class NetworkSimulation:
    """What came out of a run.

    Attributes
    ----------
    predictions
        The predictions, shaped as :meth:`LookupNetwork.predict` gives them.
    mismatches
        The number of predictions that differ from those of the integer model.
    seconds
        The time that the backend took for the samples, without what it took to be made.
    target
        What was known of the samples, or None.
    status
        The status of the session after the run.
    """

    network: LookupNetwork
    predictions: npt.NDArray[Any]
    mismatches: int
    seconds: float
    target: npt.NDArray[Any] | None
    status: dict[str, Any]

    @property
    def score(self) -> dict[str, float]:
        """Its ``accuracy``, or ``rms_error`` where predictions are real numbers; empty where nothing was known."""
        if self.target is None:
            return {}
        if self.network.output == "raw":
            return {"rms_error": float(np.sqrt(np.mean((self.predictions - self.target) ** 2)))}
        right = self.predictions == self.target
        return {"accuracy": float(np.mean(right if right.ndim == 1 else right.all(axis=1)))}

    def to_json(self) -> dict[str, Any]:
        """Plain values: mismatches, latency and interval in cycles, the rate of the simulation, and the score."""
        network, observed = self.network, self.status["observed"]
        return {
            "layer_sizes": list(network.layer_sizes),
            "bits": list(network.bits),
            "edges": network.edges,
            "output": network.output,
            "backend": self.status["backend"],
            "samples": self.status["samples"],
            "mismatches": self.mismatches,
            "latency": _only(observed.get("latency", [])),
            "interval": _only(observed.get("interval", [])),
            "observed": observed,
            "cycles": self.status["cycles"],
            "samples_per_second": round(self.status["samples"] / max(self.seconds, 1e-9)),
            **self.score,
        }


def _only(values: list[int]) -> int | None:
    return values[0] if len(values) == 1 else None


def read_samples(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """The arrays ``X``, and ``y`` where there is one, of an ``.npz`` file.

    Raise :exc:`kanrtl.InputError` where it cannot be read, or has no ``X``, or NaN there.
    """
    try:
        content = read_arrays(path, "an .npz file", "give one with X, and with y where it is known", foreign=True)
    except InputError as error:
        raise InputError(f"data = {str(path)!r}: {error}") from None
    if "X" not in content:
        raise InputError(f"data = {str(path)!r}: has no X; give samples (n, n_in) by that name")
    for name in {"X", "y"} & content.keys():
        if content[name] is None:
            raise InputError(f"data = {str(path)!r}: {name} {OBJECTS}")
    x = content["X"]
    if np.issubdtype(x.dtype, np.floating) and np.isnan(x).any():
        index = ", ".join(map(str, np.argwhere(np.isnan(x))[0]))
        raise InputError(f"data = {str(path)!r}: X[{index}] = nan: give a number")
    return x, content.get("y")


def simulate_network(
    network: LookupNetwork,
    backend: str = "pysim",
    *,
    x: npt.ArrayLike | None = None,
    y: npt.ArrayLike | None = None,
    samples: int = 1500,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
    trace: str | Path | None = None,
    starting: Progress | None = None,
    **options: Any,
) -> NetworkSimulation:
    """Predict samples ``x`` of shape ``(n, n_in)``, or so many random ones, and compare.

    Random samples are codes of the inputs over their whole range, the lowest and the highest first. ``y`` is what is
    known of the samples: classes, bits or real numbers, by the network's output stage. ``progress`` is called with the
    number of samples done since the last call; ``trace``, ``starting`` and ``options`` are ``trace``, ``progress`` and
    others of :func:`kanrtl.lookup.connect_network`. Raises :exc:`kanrtl.InputError` where any of these cannot be used.
    """
    if x is None:
        rows, real = _random_rows(network, check_at_least("samples", samples, 1), check_at_least("seed", seed, 0))
    else:
        (rows, single), real = network.real_rows(x), True
        if single or not len(rows):
            raise InputError(f"X: shape {np.shape(x)}; must be (n, {network.n_in}), with one sample or more")
    expected = network.predict(rows) if real else network.values_of(network.predict_codes(rows))
    target = _target(y, network, expected)
    with connect_network(network, backend, trace=trace, progress=starting, **options) as session:
        start = time.perf_counter()
        predictions = _drive(session, rows, real, progress)
        seconds = time.perf_counter() - start
        status = session.status
    return NetworkSimulation(network, predictions, int((predictions != expected).sum()), seconds, target, status)


def _random_rows(network: LookupNetwork, samples: int, seed: int) -> tuple[npt.NDArray[Any], bool]:
    """Samples, and whether they are real numbers: else codes."""
    format = network.quantiser.format if isinstance(network.quantiser, FixedQuantiser) else SQ(network.bits[0], 0)
    codes = np.random.default_rng(seed).integers(format.minimum, format.maximum + 1, (samples, network.n_in))
    codes[:2] = np.array([[format.minimum], [format.maximum]])[:samples]
    real = isinstance(network.quantiser, FixedQuantiser)
    return format.to_float(codes) if real else codes, real


def _drive(
    session: LookupSession, rows: npt.NDArray[Any], real: bool, progress: Callable[[int], None] | None
) -> npt.NDArray[Any]:
    predictions = []
    for first in range(0, len(rows), _CHUNK):
        part = rows[first : first + _CHUNK]
        predictions.append(session.predict(part) if real else session.network.values_of(session.predict_codes(part)))
        if progress:
            progress(len(part))
    return np.concatenate(predictions)


def _target(y: npt.ArrayLike | None, network: LookupNetwork, predictions: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
    """``y`` in the shape of the predictions; :exc:`InputError` where it cannot be what the output stage predicts."""
    if y is None:
        return None
    target = check_known("y", y)
    fits = target.shape[:1] == predictions.shape[:1] and target.size == predictions.size
    if target.shape != predictions.shape and not fits:
        raise InputError(_explain_shape(target, network, predictions))
    check_classes("y", target, network.output, network.n_out)
    return target.reshape(predictions.shape)


def _explain_shape(target: npt.NDArray[Any], network: LookupNetwork, predictions: npt.NDArray[Any]) -> str:
    if target.ndim and len(target) != len(predictions):
        return f"y: {len(target)} rows; X has {len(predictions)}; give one for each"
    if network.output == "raw" and target.ndim and target.size == len(target):
        return (
            f"y: shape {target.shape}, one label for each sample, but the network ends in {network.n_out} real numbers "
            "(stage raw); end it in labels, with --stage argmax of kanrtl convert, or give the numbers"
        )
    return (
        f"y: shape {target.shape}; the predictions of stage {network.output} have {predictions.shape}; give one for "
        "each, or end the network in another stage, with --stage of kanrtl convert"
    )
