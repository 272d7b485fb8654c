"""Scaling of inputs and targets to what a learner can hold, in floats on the host, sample by sample.

A learner's grid and formats are fixed in hardware; the values of a stream are not, nor are they known before it starts.
So every column is standardised, ``(value - mean) / deviation``, with both running along.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..arrays import Reals

OUTLIER = 8.0
"""The number of deviations from the mean that a value may count for: one wild value must not squeeze all others
together, but a column that has really moved gets its scale within some hundred samples."""

LARGEST = 1e150  # its square is still a number

BEYOND = 1e6  # deviations: more than any activation format holds, where it saturates and is counted


class RunningScale:
    """Running mean and deviation of every column (Welford), and the scaling by them in both directions.

    A missing value, NaN, counts for nothing and is scaled to zero, the mean. So is every value of a column that has
    been constant so far.

    Parameters
    ----------
    columns
        How many there are.
    horizon
        Over how many samples mean and deviation run: weights fall by ``1 - 1 / horizon`` a sample. None: over all,
        each with the same weight.
    """

    def __init__(self, columns: int, horizon: int | None = None) -> None:
        self.horizon = horizon
        self._set(np.zeros(columns, dtype=np.int64), np.zeros(columns), np.zeros(columns))

    def _set(self, count: npt.NDArray[np.int64], mean: Reals, variance: Reals) -> None:
        self.count = count
        self.mean = mean
        self.variance = variance
        self.deviation = np.sqrt(variance)
        varies = self.deviation > 0
        self._divisor = np.where(varies, self.deviation, np.inf)
        self._limit = np.where(varies, OUTLIER * self.deviation, LARGEST)

    def learn(self, row: Reals) -> None:
        """Take one more row ``(columns,)`` into account."""
        missing = np.isnan(row)
        count = self.count + ~missing
        known = count if self.horizon is None else np.minimum(count, self.horizon)
        weight, step = 1 / np.maximum(known, 1), row - self.mean
        if missing.any():
            weight[missing] = step[missing] = 0
        step = np.minimum(np.maximum(step, -self._limit), self._limit)
        move = weight * step
        self._set(count, self.mean + move, (1 - weight) * (self.variance + move * step))

    def learn_many(self, rows: Reals) -> Reals:
        """Take rows ``(n, columns)`` into account one after another; give each scaled as it was then."""
        scaled = np.empty_like(rows)
        for index, row in enumerate(rows):
            self.learn(row)
            scaled[index] = self.to_unit(row)
        return scaled

    def to_unit(self, rows: Reals) -> Reals:
        """Rows ``(..., columns)``, scaled to deviations from the mean."""
        with np.errstate(over="ignore"):
            scaled = (rows - self.mean) / self._divisor
        scaled[np.isnan(rows)] = 0
        return np.minimum(np.maximum(scaled, -BEYOND), BEYOND)

    def from_unit(self, rows: Reals) -> Reals:
        """The rows ``(..., columns)`` that :meth:`to_unit` scaled to these."""
        return self.mean + self.deviation * rows

    def affine(self) -> tuple[Reals, Reals]:
        """The scale that :meth:`to_unit` multiplies by, and the offset that it then adds; both ``(columns,)``."""
        scale = 1 / self._divisor
        return scale, -self.mean * scale

    def grow(self, columns: int) -> None:
        """Add columns of which nothing is known yet, until there are so many."""
        new = columns - len(self.count)
        self._set(
            *(
                np.concatenate([values, np.zeros(new, dtype=values.dtype)])
                for values in (self.count, self.mean, self.variance)
            )
        )

    def arrays(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """All that is known, as arrays for a file, by names that begin with ``name``."""
        return {f"{name}_{what}": getattr(self, what) for what in ("count", "mean", "variance")}

    @classmethod
    def from_arrays(cls, name: str, arrays: dict[str, npt.NDArray[Any]], horizon: int | None) -> Self:
        """The scale of which :meth:`arrays` gave the arrays.

        Raises :exc:`KeyError` or :exc:`ValueError` where they are not all there and good.
        """
        count, mean, variance = (arrays[f"{name}_{what}"] for what in ("count", "mean", "variance"))
        for values, kind in ((count, np.int64), (mean, np.float64), (variance, np.float64)):
            if values.shape != (len(count),) or values.dtype != kind or not np.isfinite(values).all():
                raise ValueError(name)
        if (count < 0).any() or (variance < 0).any():
            raise ValueError(name)
        scale = cls(len(count), horizon)
        scale._set(count, mean, variance)
        return scale
