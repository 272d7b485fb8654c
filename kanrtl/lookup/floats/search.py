"""Accuracy against size: bits, guard bits and edges of a network, searched from the largest downwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

import numpy as np
import numpy.typing as npt

from ...arrays import Reals, below_one, check_at_least, check_weights
from ...errors import InputError
from ...files import as_path
from ...plots.search_plot import plot_search
from ..network import LookupNetwork
from ..number_checks import (
    CODES,
    check_classes,
    check_each_bits,
    check_each_guard_bits,
    check_known,
    check_number,
    check_stage,
)
from ..rtl.size import Size, network_size
from ..scales import CodeScale
from .calibration import Calibration, calibrate, rows_of, variance_of
from .float_network import Kan
from .pruning import prune

Labels = npt.NDArray[Any]

_PRUNED = 0.9
"""The share of the edges that is left when some are pruned."""


@dataclass(frozen=True, eq=False)
class Point(Generic[Kan]):
    """One network that was tried.

    Attributes
    ----------
    kan : FloatNetwork, of the class that was searched
        The real-valued network with the edges that were left.
    calibration : Calibration
        What its codes stand for.
    guard_bits : tuple of int
        How many guard bits the tables of every layer have.
    size : Size
        How large the network is.
    score : float
        How well it predicts; see :class:`Search`.
    error : float
        The mean squared difference of the outputs to those of the float KAN, over their variance.
    """

    kan: Kan
    calibration: Calibration
    guard_bits: tuple[int, ...]
    size: Size
    score: float
    error: float

    @property
    def bits(self) -> tuple[int, ...]:
        """How many bits the codes of the inputs have, then those of every layer's nodes."""
        return self.calibration.bits

    def quantise(self, output: str = "raw") -> LookupNetwork:
        """Make the network itself, with the output stage ``output``."""
        return self.calibration.quantise(self.kan, self.guard_bits, output=output)

    def as_dict(self) -> dict[str, Any]:
        """Give everything except the network as JSON can hold it."""
        return {
            "bits": list(self.bits),
            "guard_bits": list(self.guard_bits),
            **self.size.as_dict(),
            "score": self.score,
            "error": self.error,
        }


@dataclass(frozen=True, eq=False)
class Search(Generic[Kan]):
    """What a search found: accuracy against size.

    Attributes
    ----------
    points : tuple of Point
        All networks that were tried, in their order.
    measure : str
        What the score is: ``accuracy`` of classes, or ``R2`` of outputs. Without ``y`` it is measured against what the
        float KAN gives.
    float_score : float
        The score of the float KAN with all its edges.
    output : str
        The networks' output stage.
    """

    points: tuple[Point[Kan], ...]
    measure: str
    float_score: float
    output: str

    @property
    def front(self) -> tuple[Point[Kan], ...]:
        """The points that no other beats in both score and size (the Pareto front), smallest first."""
        found: list[Point[Kan]] = []
        for point in sorted(self.points, key=lambda one: (one.size.lut, -one.score, one.error)):
            if not found or point.score > found[-1].score:
                found.append(point)
        return tuple(found)

    def best(self, max_lut: int | None = None, tolerance: float | None = None) -> Point[Kan]:
        """Choose the point to take.

        Parameters
        ----------
        max_lut
            How many LUTs its estimate (:class:`~kanrtl.lookup.rtl.size.Size`) may have at most.
        tolerance
            How far its score may be below that of the float KAN: the smallest such point is taken. Where it is left
            out, the point of the highest score is taken.

        Raises
        ------
        InputError
            If a limit is none, or no point is within them.
        """
        if max_lut is not None:
            check_at_least("max_lut", max_lut, 1)
        if tolerance is not None:
            check_number("tolerance", tolerance)
        fits = [point for point in self.front if max_lut is None or point.size.lut <= max_lut]
        if not fits:
            least = min(point.size.lut for point in self.points)
            raise InputError(f"max_lut = {max_lut}: the smallest network that was tried takes {least}; allow more")
        if tolerance is None:
            return fits[-1]
        good = [point for point in fits if point.score >= self.float_score - tolerance]
        if not good:
            raise InputError(
                f"tolerance = {tolerance}: the best within the limit scores {fits[-1].score:.4f} and the float KAN "
                f"{self.float_score:.4f}; allow more, or more LUTs"
            )
        return good[0]

    def as_dict(self) -> dict[str, Any]:
        """Give everything as JSON can hold it."""
        front = self.front
        return {
            "measure": self.measure,
            "float_score": self.float_score,
            "output": self.output,
            "points": [point.as_dict() | {"on_front": point in front} for point in self.points],
        }

    def plot(self, path: str | Path) -> None:
        """Draw score against LUTs into a file; see :func:`kanrtl.plots.search_plot.plot_search`."""
        plot_search(self.as_dict(), as_path(path))


def search(
    kan: Kan,
    x: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    *,
    bits: Sequence[int] | int = 8,
    guard_bits: Sequence[int] | int = 3,
    least_bits: Sequence[int] | int = 2,
    output: str = "raw",
    loss: float = 0.1,
    method: str = "least_squares",
    weights: npt.ArrayLike | None = None,
    progress: Callable[[str], None] | None = None,
) -> Search[Kan]:
    """Walk from a large network to small ones, always by the step that costs least score for each LUT it saves.

    A step takes a bit from the codes of the inputs or of one layer, takes a guard bit, or prunes a tenth of the edges.

    Parameters
    ----------
    kan : FloatNetwork
        The network, trained.
    x : array ``(n, n_in)``
        Samples such as the network will see.
    y : array, optional
        What is to be predicted: classes ``(n,)`` for the output stages ``argmax`` and ``threshold``, else outputs
        ``(n, n_out)``. Where it is left out, it is what the float KAN gives.
    bits, guard_bits
        How many bits to begin with, one number for all or one for each. The tables of the last layer have no guard
        bits: they are rounded to the outputs' codes, which nothing is lost by.
    least_bits
        How many bits codes have at least; those of an output that is compared with zero have two.
    output
        ``raw``, ``argmax`` or ``threshold``; see :class:`kanrtl.LookupNetwork`.
    loss
        How far below the float KAN's score to go on.
    method
        How to choose steps and offsets; see :func:`~kanrtl.lookup.floats.calibration.calibrate`.
    weights : array ``(n,)``, optional
        How much each sample counts in the score; by default all count the same.
    progress
        A function that is told of every step, in one line.

    Returns
    -------
    Search
        All networks that were tried.

    Raises
    ------
    InputError
        If an argument is refused.
    """
    count = len(kan.layers)
    start = check_each_bits("bits", bits, count + 1, CODES)
    least = check_each_bits("least_bits", least_bits, count + 1, CODES)
    if output == "threshold":  # no code of one bit is above zero
        least[-1] = max(least[-1], 2)
    check_number("loss", loss)
    guards = [*check_each_guard_bits("guard_bits", guard_bits, count - 1, "for each hidden layer"), 0]
    trial = _Trial(kan, rows_of("x", x, kan.layer_sizes[0]), y, output, method, weights)
    points = [trial.point(kan, tuple(start), tuple(guards))]
    here = points[0]
    while here.score >= trial.float_score - loss:
        tried = [trial.point(*step) for step in _steps(here, least, trial.rows)]
        points += tried
        smaller = [point for point in tried if point.size.lut < here.size.lut]
        if not smaller:
            break
        here = min(smaller, key=lambda point: _cost(here, point))
        if progress is not None:
            progress(f"{len(points)} networks; bits {list(here.bits)}, {here.size.lut} LUT: {here.score:.4f}")
    return Search(tuple(points), trial.measure, trial.float_score, output)


def _cost(before: Point[Kan], after: Point[Kan]) -> tuple[float, float]:
    """Give the score that a step loses for each LUT it saves, and where that is nothing, the error that comes."""
    saved = before.size.lut - after.size.lut
    return max(0.0, before.score - after.score) / saved, (after.error - before.error) / saved


def _steps(here: Point[Kan], least: Sequence[int], x: Reals) -> Iterator[tuple[Kan, tuple[int, ...], tuple[int, ...]]]:
    """Give the networks next to one, by edges, bits and guard bits."""
    for index, width in enumerate(here.bits):
        if width > least[index]:
            yield here.kan, (*here.bits[:index], width - 1, *here.bits[index + 1 :]), here.guard_bits
    for layer, guard in enumerate(here.guard_bits):
        if guard:
            yield here.kan, here.bits, (*here.guard_bits[:layer], guard - 1, *here.guard_bits[layer + 1 :])
    edges = sum(int(layer.edges.sum()) for layer in here.kan.layers)
    fewer = int(edges * _PRUNED)
    if fewer:
        yield prune(here.kan, x, edges=fewer), here.bits, here.guard_bits


class _Trial(Generic[Kan]):
    """What networks are scored by: the samples, and what is to be predicted."""

    def __init__(
        self,
        kan: Kan,
        x: Reals,
        y: npt.ArrayLike | None,
        output: str,
        method: str,
        weights: npt.ArrayLike | None,
    ) -> None:
        if output not in ("raw", "argmax", "threshold"):
            raise InputError(f"output = {output!r}: must be one of 'raw', 'argmax', 'threshold'")
        if output == "threshold" and kan.layer_sizes[-1] != 1:
            raise InputError(f"output = 'threshold': the KAN has {kan.layer_sizes[-1]} outputs; use 'argmax'")
        check_stage(output, kan.layer_sizes[-1])
        self.rows, self._output, self._method = x, output, method
        self._weights = None if weights is None else check_weights("weights", weights, len(x))
        if self._weights is not None:
            if not self._weights.any():
                raise InputError("weights: all are zero; give one above zero to score by")
            self._weights = below_one(self._weights)
        self._inputs: dict[int, CodeScale] = {}  # by bits: they hardly depend on the edges, and take long to find
        self._exact = kan.evaluate(x)[-1]
        self._variance = variance_of(self._exact)
        self.measure = "R2" if output == "raw" else "accuracy"
        own = self._decide(self._exact)
        self._wanted: Labels = own if y is None else self._check_targets(y)
        self.float_score = self._score(own)

    def _decide(self, outputs: Reals) -> Labels:
        if self._output == "argmax":
            best: Labels = outputs.argmax(axis=1)
            return best
        return (outputs[:, 0] > 0).astype(np.int64) if self._output == "threshold" else outputs

    def _check_targets(self, y: npt.ArrayLike) -> Labels:
        wanted = check_known("y", y)
        if self._output == "raw":
            wanted = rows_of("y", wanted[:, None] if wanted.ndim == 1 else wanted, self._exact.shape[1])
        if wanted.shape[:1] != self.rows.shape[:1] or (self._output != "raw" and wanted.ndim != 1):
            raise InputError(f"y: shape {wanted.shape} for {len(self.rows)} samples; give one for each")
        check_classes("y", wanted, self._output, self._exact.shape[1])
        return wanted

    def _score(self, found: Labels) -> float:
        if self._output != "raw":
            return float(np.average(found == self._wanted, weights=self._weights))
        squares = np.average((found - self._wanted) ** 2, axis=0, weights=self._weights)
        return 1 - float(squares.sum()) / variance_of(self._wanted, self._weights)

    def point(self, kan: Kan, bits: tuple[int, ...], guard_bits: tuple[int, ...]) -> Point[Kan]:
        inputs = self._inputs.get(bits[0])
        calibration = calibrate(kan, self.rows, bits, self._method, inputs)
        self._inputs[bits[0]] = calibration.scales[0]
        network = calibration.quantise(kan, guard_bits, output=self._output)
        outputs = network.with_output("raw").predict(self.rows)
        error = float(((outputs - self._exact) ** 2).mean(axis=0).sum()) / self._variance
        size = network_size(network)
        return Point(kan, calibration, guard_bits, size, self._score(self._decide(outputs)), error)
