"""Scaling of inputs and targets to what a learner can hold, in floats on the host, sample by sample.

A learner's grid and formats are fixed in hardware; the values of a stream are not, nor are they known before it starts.
So every column is standardised, ``(value - mean) / deviation``, with both running along.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

__all__ = ["RunningScale"]

Reals = npt.NDArray[np.float64]

OUTLIER = 8.0
"""How many deviations from the mean a value may count for: one wild value must not squeeze all others together, but a
column that has really moved gets its scale within some hundred samples."""

LARGEST = 1e150  # its square is still a number
BEYOND = 1e6  # deviations: more than any activation format holds, where it saturates and is counted


class RunningScale:
    """Running mean and deviation of every column (Welford), and the way there and back.

    A missing value, NaN, counts for nothing and is scaled to zero, the mean. So is every value of a column that has
    been constant so far.

    Parameters
    ----------
    columns
        How many.
    horizon
        Over how many samples mean and deviation run: weights fall by ``1 - 1 / horizon`` a sample. None: over all,
        each with the same weight.
    """

    def __init__(self, columns: int, horizon: int | None = None) -> None:
        self.horizon = horizon
        self.count = np.zeros(columns, dtype=np.int64)
        self.mean = np.zeros(columns)
        self.variance = np.zeros(columns)

    def learn(self, row: Reals) -> None:
        """Takes one more row, shape ``(columns,)``, into account."""
        present = ~np.isnan(row)
        self.count = self.count + present
        known = np.maximum(1, self.count if self.horizon is None else np.minimum(self.count, self.horizon))
        weight = np.where(present, 1 / known, 0)
        limit = np.where(self.variance > 0, OUTLIER * np.sqrt(self.variance), LARGEST)
        step = np.clip(np.where(present, row, self.mean) - self.mean, -limit, limit)
        self.mean = self.mean + weight * step
        self.variance = (1 - weight) * (self.variance + weight * step * step)

    def learn_many(self, rows: Reals) -> Reals:
        """Takes rows ``(n, columns)`` into account one after another; gives each scaled as it was then."""
        scaled = np.empty_like(rows)
        for index, row in enumerate(rows):
            self.learn(row)
            scaled[index] = self.to_unit(row)
        return scaled

    def to_unit(self, rows: Reals) -> Reals:
        """Rows ``(..., columns)`` in deviations from the mean."""
        deviation = np.sqrt(self.variance)
        usable = (deviation > 0) & ~np.isnan(rows)
        with np.errstate(over="ignore"):
            scaled = np.where(usable, rows - self.mean, 0) / np.where(deviation > 0, deviation, 1)
        return np.clip(scaled, -BEYOND, BEYOND)

    def from_unit(self, rows: Reals) -> Reals:
        """What :meth:`to_unit` made rows ``(..., columns)`` of."""
        return self.mean + np.sqrt(self.variance) * rows

    def grow(self, columns: int) -> None:
        """Adds columns of which nothing is known yet, up to that many."""
        new = columns - len(self.count)
        self.count, self.mean, self.variance = (
            np.concatenate([values, np.zeros(new, dtype=values.dtype)])
            for values in (self.count, self.mean, self.variance)
        )

    def arrays(self, name: str) -> dict[str, npt.NDArray[np.float64]]:
        """All that is known, for a file."""
        return {f"{name}_{what}": getattr(self, what) for what in ("count", "mean", "variance")}

    @classmethod
    def from_arrays(cls, name: str, arrays: dict[str, npt.NDArray[np.float64]], horizon: int | None) -> Self:
        """What :meth:`arrays` gave. Raises :exc:`KeyError` or :exc:`ValueError` where that is not all there."""
        scale = cls(len(arrays[f"{name}_count"]), horizon)
        for what in ("count", "mean", "variance"):
            values, place = arrays[f"{name}_{what}"], getattr(scale, what)
            if values.shape != place.shape or values.dtype != place.dtype or not (np.isfinite(values)).all():
                raise ValueError(f"{name}_{what}")
            setattr(scale, what, values)
        if (scale.count < 0).any() or (scale.variance < 0).any():
            raise ValueError(name)
        return scale
