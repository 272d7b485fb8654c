"""Functions given by points: B-splines on knots, and values between given points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, cast, get_args

import numpy as np
import numpy.typing as npt

from ...arrays import Reals
from ...errors import InputError
from ..number_checks import check_array
from .edge_functions import ALL, Chosen, EdgeFunctions


def bases(x: Reals, knots: Reals, order: int) -> Reals:
    """Evaluate B-splines of ``order``.

    Parameters
    ----------
    x : array ``(...)``
        The points.
    knots : array ``(knots,)`` or ``(n, knots)``
        The knots in ascending order. Where there are several rows, each is for one index of the points' last axis.
    order : int
        0 for steps, 1 for lines, and so on.

    Returns
    -------
    array ``(..., knots - order - 1)``
    """
    x = x[..., None]
    values = ((x >= knots[..., :-1]) & (x < knots[..., 1:])).astype(np.float64)
    for degree in range(1, order + 1):
        first, last = knots[..., : -(degree + 1)], knots[..., degree + 1 :]
        left = (x - first) / (knots[..., degree:-1] - first)
        right = (last - x) / (last - knots[..., 1:-degree])
        values = left * values[..., :-1] + right * values[..., 1:]
    return values


def slopes(x: Reals, knots: Reals, order: int) -> Reals:
    """Evaluate the derivatives of :func:`bases`, in the same shape (de Boor, A Practical Guide to Splines, chapter X).

    The parameters are the same.
    """
    if order == 0:
        return np.zeros((*x.shape, knots.shape[-1] - 1))
    lower = order * bases(x, knots, order - 1) / (knots[..., order:] - knots[..., :-order])
    return -np.diff(lower, axis=-1)


@dataclass(frozen=True, eq=False)
class Splines(EdgeFunctions):
    """B-splines on a vector of knots for each input, half open in every cell, and zero outside the knots.

    Attributes
    ----------
    knots : array ``(n_in, cells + 2 * order + 1)``
        The knots in ascending order.
    order : int
        The order of the splines, 0 to 10 and beyond.
    """

    knots: Reals
    order: int

    kind = "splines"

    @classmethod
    def of(cls, name: str, knots: npt.ArrayLike, n_in: int, count: int) -> Self:
        """Make ``count`` splines for each input, and check the knots; the order follows from their number.

        Parameters
        ----------
        name
            What messages call the layer.
        knots
            One row for each input, or one for all.
        n_in, count
            How many inputs there are, and how many splines each has.

        Raises
        ------
        InputError
            If the knots do not fit, or do not ascend.
        """
        t = np.atleast_2d(check_array(f"{name}.knots", knots))
        if t.ndim != 2:
            raise InputError(f"{name}.knots: shape {t.shape}; must be ({n_in}, knots), or one row for all")
        t = np.broadcast_to(t, (n_in, t.shape[1])) if len(t) == 1 else t
        order = t.shape[1] - count - 1
        if t.shape[0] != n_in or order < 0 or count <= order:
            raise InputError(
                f"{name}.knots: shape {t.shape}; must be ({n_in}, grid_size + 2 * spline_order + 1), where there are "
                f"{count} = grid_size + spline_order coefficients"
            )
        if (np.diff(t, axis=1) <= 0).any():
            raise InputError(f"{name}.knots: not in ascending order; sort them, each only once")
        return cls(t, order)

    @property
    def n_in(self) -> int:
        return len(self.knots)

    @property
    def count(self) -> int:
        return int(self.knots.shape[1]) - self.order - 1

    def values(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        return bases(x, self.knots[chosen], self.order)

    def slopes(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        return slopes(x, self.knots[chosen], self.order)

    def domain(self) -> tuple[Reals, Reals]:
        return self.knots[:, self.order], self.knots[:, -self.order - 1]

    def about(self) -> dict[str, Any]:
        return {"count": self.count}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"knots": self.knots}

    @classmethod
    def from_archive(cls, name: str, about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        return cls.of(name, arrays["knots"], len(arrays["knots"]), about["count"])


Interpolation = Literal["linear", "at", "above"]


@dataclass(frozen=True, eq=False)
class SampledFunctions(EdgeFunctions):
    """Functions that weights give by their values: on lines between points, or constant between them.

    With ``linear``, the weights of an edge are its values at the points; outside, the first and the last go on. With
    the others, the weights are the values of the intervals that the points part, one more than points.

    Attributes
    ----------
    points : array ``(n_in, points)``
        The points of each input in ascending order, filled up with infinity where there are fewer.
    interpolation : ``"linear"``, ``"at"`` or ``"above"``
        ``at``: a point belongs to the interval above it; ``above``: to the one below.
    """

    points: Reals
    interpolation: Interpolation

    kind = "sampled"

    @classmethod
    def of(cls, name: str, points: Sequence[npt.ArrayLike], interpolation: str = "linear") -> Self:
        """Make functions of the points of each input, whose numbers may differ.

        Raises
        ------
        InputError
            If the points of an input do not ascend, or there are none where lines are to be.
        """
        if interpolation not in get_args(Interpolation):
            known = ", ".join(map(repr, get_args(Interpolation)))
            raise InputError(f"{name}.interpolation = {interpolation!r}: must be one of {known}")
        rows = [check_array(f"{name}.points[{source}]", row) for source, row in enumerate(points)]
        for source, row in enumerate(rows):
            if row.ndim != 1 or (np.diff(row) <= 0).any() or (not len(row) and interpolation == "linear"):
                raise InputError(f"{name}.points[{source}]: must be numbers in ascending order, each only once")
        if not rows:
            raise InputError(f"{name}.points: there are none; give those of every input")
        filled = np.full((len(rows), max(len(row) for row in rows)), np.inf)
        for source, row in enumerate(rows):
            filled[source, : len(row)] = row
        return cls(filled, cast(Interpolation, interpolation))

    @property
    def n_in(self) -> int:
        return len(self.points)

    @property
    def count(self) -> int:
        return int(self.points.shape[1]) + (self.interpolation != "linear")

    def values(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        result = np.zeros((*x.shape, self.count))
        rows = np.arange(len(x))
        for column, points in enumerate(self.points[chosen]):
            given = points[np.isfinite(points)]
            at = x[:, column]
            if self.interpolation != "linear":
                side: Literal["left", "right"] = "right" if self.interpolation == "at" else "left"
                result[rows, column, np.searchsorted(given, at, side)] = 1
                continue
            cell, share = _locate(given, at)
            result[rows, column, cell] = 1 - share
            if len(given) > 1:
                result[rows, column, cell + 1] = share
        return result

    def slopes(self, x: Reals, chosen: Chosen = ALL) -> Reals:
        result = np.zeros((*x.shape, self.count))
        rows = np.arange(len(x))
        for column, points in enumerate(self.points[chosen]):
            given = points[np.isfinite(points)]
            if self.interpolation != "linear" or len(given) < 2:
                continue
            at = x[:, column]
            cell, _ = _locate(given, at)
            slope = ((at > given[0]) & (at < given[-1])) / (given[cell + 1] - given[cell])
            result[rows, column, cell], result[rows, column, cell + 1] = -slope, slope
        return result

    def domain(self) -> tuple[Reals, Reals] | None:
        finite = np.isfinite(self.points)
        if not finite[:, :1].all():
            return None
        return self.points[:, 0], np.where(finite, self.points, -np.inf).max(axis=1)

    def about(self) -> dict[str, Any]:
        return {"interpolation": self.interpolation}

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {"points": self.points}

    @classmethod
    def from_archive(cls, name: str, about: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Self:
        points = arrays["points"]
        return cls.of(name, [row[np.isfinite(row)] for row in points], about["interpolation"])


def _locate(points: Reals, x: Reals) -> tuple[npt.NDArray[np.int64], Reals]:
    """Give for each value the point below it, and the share of the way to the next; outside, the ends."""
    if len(points) == 1:
        return np.zeros(len(x), np.int64), np.zeros(len(x))
    held = np.clip(x, points[0], points[-1])
    cell = np.clip(np.searchsorted(points, held, "right") - 1, 0, len(points) - 2)
    return cell, (held - points[cell]) / (points[cell + 1] - points[cell])
