"""A task made of measured signals."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self, SupportsIndex

import numpy as np
import numpy.typing as npt

from ..arrays import Reals, as_bool, as_integer, check_at_least, check_unmasked, real_rows
from ..errors import InputError, cut
from ..files import as_path
from ..signals.column import columns_of_array
from ..signals.column_scale import ColumnScale
from ..signals.read_columns import read_columns
from .task import Regime, Task

_Names = str | SupportsIndex | Sequence[str | int]

_Range = tuple[float, float]


class Recording(Task):
    """Signals that were measured, row by row in time, as a task: learned from once, in their order.

    Inputs of a sample are the values of the input columns, with ``taps`` past values of each, and ``target_taps`` past
    values of the target columns, with which a learner predicts one step ahead. The first rows, whose past is not known,
    are no samples.

    A learner needs its inputs on its grid and its targets in its range. Scales are found by the first part of the
    recording; errors are counted over the rest, in the units of the columns. Where a recording is simulated or swept,
    it is scaled to each learner; see :meth:`fit_to`.

    Parameters
    ----------
    inputs
        Shape ``(rows,)`` or ``(rows, columns)``; None for past values of the targets alone. A complex column is two, I
        and Q.
    targets
        The same, with as many rows.
    taps
        How many past values of each input column are inputs too.
    target_taps
        How many past values of each target column are.
    first
        The number of samples in the first part; a quarter of them where it is None.
    scale
        Whether columns are scaled; else their values are those of the learner already.
    target_range
        What targets are scaled onto; by default what :meth:`fit_to` is told.
    name
        What the recording is called.

    Attributes
    ----------
    x, target
        Inputs ``(samples, n_in)`` and targets ``(samples, n_out)`` as a learner takes them: by :meth:`fit_to`, and
        before that in the units of the columns.
    regimes
        The first part, and the rest.
    input_names, target_names
        What each input and each target is, such as ``"voltage[n-1]"``.
    scales
        The scale of every column: of inputs, of targets as inputs if their past values are, and of targets.

    Raises
    ------
    InputError
        If anything is not a finite number, a column is constant, or there are too few rows.
    """

    has_formula = False

    def __init__(
        self,
        inputs: npt.ArrayLike | None,
        targets: npt.ArrayLike,
        *,
        taps: int = 0,
        target_taps: int = 0,
        first: int | None = None,
        scale: bool = True,
        target_range: _Range | None = None,
        name: str = "recording",
    ) -> None:
        ours = [] if inputs is None else _columns("inputs", inputs)
        self._prepare(ours, _columns("targets", targets), taps, target_taps, first, scale, target_range, name)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        inputs: _Names | None = (),
        targets: _Names,
        taps: int = 0,
        target_taps: int = 0,
        first: int | None = None,
        scale: bool = True,
        target_range: _Range | None = None,
        rows: int | None = None,
        decimal: str = ".",
    ) -> Self:
        """Read a recording from CSV, which may be compressed with gzip, from ``.npz``, or from Parquet.

        ``inputs`` and ``targets`` are names of columns, or their numbers from 1 on, which count all columns of the
        file. In ``.npz`` files arrays are columns: ``name.2`` is the second column of an array with several, ``name.I``
        and ``name.Q`` are the parts of a complex one, and ``name`` means all of them. ``rows`` is how many rows are
        taken, from the first on; ``decimal`` the decimal mark in CSV, a point or a comma. Other parameters are those of
        the class. Raises :exc:`InputError`, which names the line and the column, where it cannot be read.
        """
        path = as_path(path)
        if decimal not in (".", ","):
            raise InputError(f"decimal = {decimal!r}: must be '.' or ','")
        if rows is not None:
            check_at_least("rows", rows, 1)
        wanted = {"inputs": _as_list("inputs", inputs), "targets": _as_list("targets", targets)}
        try:
            columns = read_columns(path, decimal)
            if not wanted["targets"]:
                raise InputError(f"targets: name the columns that are to be learned; {columns.describe()}")
            input_indices = columns.find("inputs", wanted["inputs"])
            target_indices = columns.find("targets", wanted["targets"], others=input_indices)
            ours, theirs = (columns.read(indices, rows) for indices in (input_indices, target_indices))
            recording = cls.__new__(cls)
            recording._prepare(ours, theirs, taps, target_taps, first, scale, target_range, path.name)
        except InputError as error:
            raise InputError(f"data = {str(path)!r}: {error}") from None
        return recording

    def _prepare(
        self,
        inputs: list[tuple[str, Reals]],
        targets: list[tuple[str, Reals]],
        taps: int,
        target_taps: int,
        first: int | None,
        scale: bool,
        target_range: _Range | None,
        name: str,
    ) -> None:
        taps, target_taps = check_at_least("taps", taps, 0), check_at_least("target_taps", target_taps, 0)
        if not inputs and not target_taps:
            raise InputError("inputs: none; name columns, or give target_taps for past values of the targets")
        if not targets:
            raise InputError("targets: none; give one column or more")
        if taps and not inputs:
            raise InputError(f"taps = {taps}: there are no inputs to take past values of; give target_taps")
        (first_name, values), *others = [*inputs, *targets]
        for other, theirs in others:
            if len(theirs) != len(values):
                raise InputError(
                    f"{other!r} has {len(theirs)} rows, {first_name!r} has {len(values)}; give columns of one length"
                )
        self._lag = max(taps, target_taps)
        samples = len(values) - self._lag
        if samples < 3:
            past = f", of which {self._lag} are the past of the first sample" if self._lag else ""
            rows = "1 row" if len(values) == 1 else f"{len(values)} rows"
            raise InputError(f"{rows}{past}: too few; give {self._lag + 3} rows or more")
        first = max(2, samples // 4) if first is None else as_integer("first", first)
        if not 2 <= first < samples:
            raise InputError(f"first = {first}: must be 2 to {samples - 1}, below the {samples} samples")
        super().__init__(samples, seed=0)
        self.name = name
        self.first = first
        self.scale, self.target_range = as_bool("scale", scale), _check_range("target_range", target_range)
        self.regimes = (Regime(0, first), Regime(first, samples))
        self._inputs, self._targets = inputs, targets
        self._taps, self._target_taps = taps, target_taps
        lags = [(column, lag) for column, _ in inputs for lag in range(taps + 1)]
        lags += [(column, lag) for column, _ in targets for lag in range(1, target_taps + 1)]
        self.input_names = tuple(f"{column}[n-{lag}]" if lag else f"{column}[n]" for column, lag in lags)
        self.target_names = tuple(column for column, _ in targets)
        self.n_in, self.n_out = len(self.input_names), len(self.target_names)
        self._scale(None, None, used=self.scale)

    @property
    def regime_names(self) -> tuple[str, ...]:
        return "first part", "after it"

    def fit_to(self, input_range: _Range, target_range: _Range | None) -> Self:
        """The same recording with its inputs scaled onto ``input_range`` and its targets onto ``target_range``.

        What a column holds in the first part comes to lie on the whole range, later values may lie beyond. With
        ``target_range=None`` targets stay in their units, as classes do; otherwise a range that the recording was given
        goes before. A recording that is not to be scaled stays as it is. Raises :exc:`InputError` where a range is
        none.
        """
        onto = _check_range("target_range", target_range)
        if not self.scale:
            return self
        return self._fitted(_check_range("input_range", input_range), onto and (self.target_range or onto))

    def normalise(self) -> Self:
        """The same recording with inputs and targets scaled onto -1 to 1, also where :attr:`scale` is false."""
        return self._fitted((-1, 1), (-1, 1))

    def _fitted(self, input_range: _Range | None, target_range: _Range | None) -> Self:
        fitted = type(self).__new__(type(self))
        fitted.__dict__ |= self.__dict__
        fitted._scale(input_range, target_range)
        return fitted

    def _scale(self, input_range: _Range | None, target_range: _Range | None, *, used: bool = True) -> None:
        rows = self.first + self._lag

        def scale(columns: list[tuple[str, Reals]], onto: _Range | None) -> list[tuple[ColumnScale, Reals]]:
            found = [ColumnScale.find(name, values, rows, onto, used=used) for name, values in columns]
            return [(one, one.apply(values)) for one, (_, values) in zip(found, columns, strict=True)]

        inputs, targets = scale(self._inputs, input_range), scale(self._targets, target_range)
        # Past values of a target are inputs, which belong on the grid.
        past = scale(self._targets, input_range) if self._target_taps else []
        self.scales = tuple(found for found, _ in (*inputs, *past, *targets))
        self._target_scales = tuple(found for found, _ in targets)
        lagged = [self._delay(values, lag) for _, values in inputs for lag in range(self._taps + 1)]
        lagged += [self._delay(values, lag) for _, values in past for lag in range(1, self._target_taps + 1)]
        self.x = np.stack(lagged, axis=1)
        self.target = np.stack([self._delay(values, 0) for _, values in targets], axis=1)

    def _delay(self, values: Reals, lag: int) -> Reals:
        """One value for each sample: that of ``lag`` rows before."""
        return values[self._lag - lag : len(values) - lag]

    def to_units(self, error: Reals) -> Reals:
        """Errors ``(..., n_out)`` of a learner in the units of the target columns."""
        return error * np.array([scale.unit for scale in self._target_scales])  # type: ignore[no-any-return]

    def in_units(self, values: Reals) -> Reals:
        """Targets or predictions ``(samples, n_out)`` of a learner in the units of the target columns."""
        values = real_rows("values", values, self.n_out)
        pairs = zip(self._target_scales, values.T, strict=True)
        return np.stack([scale.invert(column) for scale, column in pairs], axis=1)

    @property
    def unscaled_target(self) -> Reals:
        """The targets ``(samples, n_out)`` as they were measured."""
        return np.stack([self._delay(values, 0) for _, values in self._targets], axis=1)

    def regime_errors(self, error: Reals, last: int | None = None) -> list[float]:
        """Mean squared error of the first part and of the rest, each as a whole or over its ``last`` samples."""
        starts = [start if last is None else max(start, stop - last) for start, stop in self.regimes]
        return [float(np.mean(error[start:stop] ** 2)) for start, (_, stop) in zip(starts, self.regimes, strict=True)]


def _check_range(field: str, wanted: _Range | None) -> _Range | None:
    """A range, if it is one, or None."""
    if wanted is None:
        return None
    try:
        low, high = map(float, wanted)
    except (TypeError, ValueError):
        low, high = 0.0, 0.0
    if not (np.isfinite([low, high]).all() and low < high):
        raise InputError(f"{field} = {wanted!r}: must be two numbers, the lower one first")
    return low, high


def _as_list(field: str, names: Any) -> list[str | int]:
    if names is None:
        return []
    if isinstance(names, str):
        return [names]
    if not isinstance(names, (bool, bytes, bytearray)):
        with suppress(TypeError):
            return [operator.index(names)]
        with suppress(TypeError):  # arrays are asked for an index too
            return list(names)
    raise InputError(
        f"{field} = {cut(names)}: is of type {type(names).__name__}; give names of columns, or their numbers from 1 on"
    )


def _columns(field: str, values: npt.ArrayLike) -> list[tuple[str, Reals]]:
    check_unmasked(field, values)
    try:
        array: npt.NDArray[Any] = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.empty(0, dtype=object)
    found = columns_of_array(field, array)
    if isinstance(found, str):
        raise InputError(f"{field}: {found}")
    return [(column.name, column.read(None)) for column in found]
