"""Columns of numbers by name or number, wherever they come from."""

from __future__ import annotations

import operator
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..arrays import EXACT, Reals
from ..errors import InputError, join_choices

SHOWN = 8
"""As many columns are named in an error."""


@dataclass(frozen=True)
class Column:
    """One column of a file.

    Attributes
    ----------
    name
        What it is called, or an empty text.
    group
        What it is called together with others, such as the two parts of a complex array; empty where it is not.
    read
        Gives its numbers, or so many of them from the first on, shape ``(rows,)``; raises :exc:`InputError`, which
        names the line or the index, where one is missing or is not a finite number.
    unusable
        Why it has no numbers, with the mend, in words that follow its name; empty where it has.
    """

    name: str
    read: Callable[[int | None], Reals]
    group: str = ""
    unusable: str = ""

    @classmethod
    def without_numbers(cls, name: str, reason: str) -> Self:
        """A column that has no numbers for a ``reason``, and counts as one of the file nevertheless."""

        def read(_rows: int | None) -> Reals:
            raise InputError(f"{name!r} {reason}")

        return cls(name, read, unusable=reason)


@dataclass(frozen=True)
class Columns:
    """All columns of a file.

    Attributes
    ----------
    columns
        In the order of the file, so that their numbers are those of the file.
    """

    columns: tuple[Column, ...]

    def find(self, field: str, wanted: Sequence[str | int], others: Sequence[int] = ()) -> list[int]:
        """The indices of columns, which are named, or counted from 1; in the order in which they are ``wanted``.

        A name may be that of a group. Raises :exc:`InputError`, which names ``field``, where there is no such column,
        more than one, or one has no numbers, is named twice or is among ``others``.
        """
        indices: list[int] = []
        for one in wanted:
            for index in self._find(field, one):
                if reason := self.columns[index].unusable:
                    label = "" if one == self.columns[index].name else f"{self._label(index)} "
                    raise InputError(f"{field} = {one!r}: {label}{reason}")
                if index in (*indices, *others):
                    raise InputError(f"{field} = {one!r}: {self._label(index)} is named twice; leave one out")
                indices.append(index)
        return indices

    def read(self, indices: Sequence[int], rows: int | None = None) -> list[tuple[str, Reals]]:
        """Names and numbers of columns, of the first ``rows`` or of all; those of one name have their numbers in it
        too. Raises :exc:`InputError` as :attr:`Column.read`."""
        alike = Counter(column.name for column in self.columns if column.name)
        labels = [
            f"{self._label(index)} (column {index + 1})" if alike[self.columns[index].name] > 1 else self._label(index)
            for index in indices
        ]
        return [(label, self.columns[index].read(rows)) for label, index in zip(labels, indices, strict=True)]

    def select(self, field: str, wanted: Sequence[str | int]) -> list[tuple[str, Reals]]:
        """What :meth:`read` gives of what :meth:`find` finds."""
        return self.read(self.find(field, wanted))

    def _label(self, index: int) -> str:
        return self.columns[index].name or f"column {index + 1}"

    def _find(self, field: str, wanted: str | int) -> list[int]:
        if isinstance(wanted, str) and wanted:
            names = [column.name for column in self.columns]
            named = [index for index, name in enumerate(names) if name == wanted]
            if not named:  # letters that look the same, such as the two kinds of the micro sign
                named = [index for index, name in enumerate(names) if _normal(name) == _normal(wanted)]
            if len(named) > 1:
                numbers = " and ".join(str(index + 1) for index in named)
                raise InputError(f"{field} = {wanted!r}: columns {numbers} have this name; give one by its number")
            grouped = [index for index, column in enumerate(self.columns) if column.group == wanted]
            if named or grouped:
                return named or grouped
        number = _parse_number(wanted)
        if number is None or not 1 <= number <= len(self.columns):
            raise InputError(f"{field} = {wanted!r}: no such column; {self.describe()}")
        return [number - 1]

    def describe(self) -> str:
        """The columns that have numbers, in one phrase."""
        usable = [index for index, column in enumerate(self.columns) if not column.unusable]
        if not usable:
            reasons = "".join(f"; {column.name!r}: {column.unusable}" for column in self.columns[:SHOWN])
            return f"there are no columns of numbers{reasons}"
        count = len(self.columns)
        if not any(column.name for column in self.columns):
            what = "the column has no name" if count == 1 else f"the {count} columns have no names"
            return f"{what}, as the first line is a row of numbers; give numbers from 1 to {count}"
        shown = [f"{index + 1} {self._label(index)!r}" for index in usable[:SHOWN]]
        if len(usable) > SHOWN:
            return f"columns are {', '.join(shown)}, and so on up to {usable[-1] + 1}"
        return f"columns are {join_choices(shown)}".replace(" or ", " and ")


def _normal(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


def _parse_number(wanted: str | int) -> int | None:
    if isinstance(wanted, str):
        return int(wanted) if wanted.isascii() and wanted.isdigit() else None
    if isinstance(wanted, bool):
        return None
    try:
        return operator.index(wanted)  # numpy's integers too
    except TypeError:
        return None


def columns_of_array(name: str, array: npt.NDArray[Any]) -> list[Column] | str:
    """The columns of an array ``(rows,)`` or ``(rows, columns)``; or why there are none, with the mend.

    The columns of an array of several are ``name.1``, ``name.2`` and so on. Complex numbers give two columns,
    ``name.I`` and ``name.Q``. ``name`` means all of them together.
    """
    if array.dtype.kind not in "biufc":
        what = "text" if array.dtype.kind in "SU" else f"of type {array.dtype}"
        return f"is {what}; name an array of numbers"
    if array.ndim not in (1, 2):
        return f"has shape {array.shape}; name one of shape (rows,) or (rows, columns)"
    if array.ndim == 1:
        return _split_complex(name, array, group="")
    if not array.size:  # such an array takes no memory, however many columns it says that it has
        return f"has shape {array.shape}, which is empty; name one that holds numbers"
    return [
        column
        for index in range(array.shape[1])
        for column in _split_complex(f"{name}.{index + 1}", array[:, index], group=name)
    ]


def _split_complex(name: str, array: npt.NDArray[Any], group: str) -> list[Column]:
    if array.dtype.kind != "c":
        return [Column(name, _reader(name, array), group)]
    parts = {f"{name}.I": array.real, f"{name}.Q": array.imag}
    return [Column(part, _reader(part, values), group or name) for part, values in parts.items()]


def _reader(name: str, array: npt.NDArray[Any]) -> Callable[[int | None], Reals]:
    def read(rows: int | None) -> Reals:
        taken = array[:rows]
        values = taken.astype(np.float64)
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            raise InputError(f"row {bad[0] + 1} of {name!r} is {values[bad[0]]}; give a number, or leave the row out")
        if taken.dtype.kind in "iu":
            check_exact(name, taken, values)
        return values

    return read


def check_exact(name: str, integers: npt.NDArray[Any], values: Reals) -> None:
    """Raise :exc:`InputError`, which names the row, where one of the ``integers`` of a column, of any type, is not the
    number that it became among ``values``."""
    large = np.flatnonzero(np.abs(values) >= EXACT)
    for row, integer, value in zip(large.tolist(), integers[large].tolist(), values[large].tolist(), strict=True):
        if integer != value:  # as Python compares them, exactly
            raise InputError(f"row {row + 1} of {name!r} is {integer}, {explain_rounding(value)}")


def explain_rounding(value: float) -> str:
    """What is said of an integer that becomes another, ``value``; with the mend."""
    digits = f"{value:.0f}" if abs(value) < 1 << 65 else f"{value:.17g}"
    return f"which would be rounded to {digits}; subtract an offset from the column"
