"""Scaling of inputs and targets to what a learner can hold, in floats on the host, sample by sample.

A learner's grid and formats are fixed in hardware; the values of a stream are not, nor are they known before it starts.
So every column is standardised, ``(value - mean) / deviation``, with both running along.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..arrays import Reals, RowBuffer, check_range
from ..errors import InputError
from ..simulators.shared_library import load_library

OUTLIER = 8.0
"""The number of deviations from the mean that a value may count for: one wild value must not squeeze all others
together, but a column that has really moved gets its scale within some hundred samples."""

LARGEST = 1e150
"""The largest value that can be learned: its square is still a number."""

LEAST_SPREAD = 1e-150
"""The least that a column may vary by, unless it is constant: its variance is still a number above zero."""

EXPLAIN_LARGEST = f"must be {LARGEST:g} or less in magnitude, so that its square is a number; scale it"

BEYOND = 1e6  # deviations: more than any activation format holds, where it saturates and is counted


_ADDRESSED = ("_run", "_kernel", "row", "_unit", "_addresses")


class _Kernel(ctypes.Structure):
    """``RunningScale`` of :file:`scaling.cpp`."""

    _fields_ = [
        *((name, ctypes.c_uint64) for name in ("columns", "horizon")),
        *((name, ctypes.c_double) for name in ("outlier", "largest", "beyond")),
        *((name, ctypes.c_void_p) for name in ("count", "mean", "variance", "deviation", "divisor", "limit")),
    ]


def check_scalable(field: str, rows: Reals, *, first: bool) -> None:
    """Raise :exc:`InputError`, which names ``field``, where a column of samples ``(n, columns)`` has a value that is
    too large to be learned; or varies by too little, where samples are the ``first``: later ones may stand still."""
    check_range(field, rows, (-LARGEST, LARGEST), EXPLAIN_LARGEST)
    if not first:
        return
    missing = np.isnan(rows)
    highest = np.where(missing, -np.inf, rows).max(axis=0, initial=-np.inf)
    spread = highest - np.where(missing, np.inf, rows).min(axis=0, initial=np.inf)
    small = np.flatnonzero((spread > 0) & (spread < LEAST_SPREAD))
    if len(small):
        column = f"[:, {small[0]}]" if rows.shape[1] > 1 else ""
        raise InputError(
            f"{field}{column}: varies by {spread[small[0]]:g} alone, whose square is no number above zero; scale it"
        )


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

    Attributes
    ----------
    row
        A row for :meth:`scale_row`.
    """

    def __init__(self, columns: int, horizon: int | None = None) -> None:
        self.horizon = horizon
        self._run: Callable[[Any, int, int, int, int], None] | None = None
        self._set(np.zeros(columns, dtype=np.int64), np.zeros(columns), np.zeros(columns))
        self._make_buffers()

    def _make_buffers(self) -> None:
        columns = len(self.count)
        self.row = RowBuffer(columns)
        self._unit = np.zeros(columns)
        self._addresses = self.row.row.ctypes.data, self._unit.ctypes.data

    def _set(self, count: npt.NDArray[np.int64], mean: Reals, variance: Reals) -> None:
        self.count = count
        self.mean = mean
        self.variance = variance
        self.deviation = np.sqrt(variance)
        varies = self.deviation > 0
        self._divisor = np.where(varies, self.deviation, np.inf)
        self._limit = np.where(varies, OUTLIER * self.deviation, LARGEST)
        self._kernel: Any = None  # where the arrays were; they move

    def compile(self) -> None:
        """Let rows be scaled by machine code, which gives the same bits; raises :exc:`ToolError` as
        :func:`kanrtl.simulators.shared_library.load_library`."""
        run = load_library(Path(__file__).with_name("scaling.cpp")).kanrtl_scale
        run.restype = None
        run.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p]
        self._run = run

    def __getstate__(self) -> dict[str, Any]:
        """All but what has an address, which a copy has not."""
        return {name: value for name, value in self.__dict__.items() if name not in _ADDRESSED}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state | {"_run": None, "_kernel": None}
        self._make_buffers()

    def _run_compiled(self, learns: bool, count: int, rows: int, scaled: int) -> None:
        """Scales rows ``(count, columns)`` from one address to another, and learns each before where that is wanted."""
        assert self._run is not None
        if self._kernel is None:
            arrays = (self.count, self.mean, self.variance, self.deviation, self._divisor, self._limit)
            addresses = (array.ctypes.data for array in arrays)
            kernel = _Kernel(len(self.count), self.horizon or 0, OUTLIER, LARGEST, BEYOND, *addresses)
            self._kernel = ctypes.byref(kernel)
        self._run(self._kernel, learns, count, rows, scaled)

    def scale_row(self, learns: bool) -> Reals:
        """What lies in ``row``, scaled, ``(columns,)``, and taken into account before if it ``learns``.

        The result may change with the next call.
        """
        if self._run is not None:
            self._run_compiled(learns, 1, *self._addresses)
            return self._unit
        if learns:
            self.learn(self.row.row)
        return self.to_unit(self.row.row)

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
        rows = np.ascontiguousarray(rows)
        scaled = np.empty_like(rows)
        if self._run is not None:
            self._run_compiled(True, len(rows), rows.ctypes.data, scaled.ctypes.data)
            return scaled
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
        self._make_buffers()

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
