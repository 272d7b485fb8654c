"""Arrays of numbers, as users give them."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError, cut

Reals = npt.NDArray[np.float64]


def as_integer(field: str, value: Any) -> int:
    """An integer, numpy's kinds too; raises :exc:`InputError`, which names ``field``, where it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InputError(f"{field} = {cut(value)}: must be an integer")
    return int(value)


def as_bool(field: str, value: Any) -> bool:
    """A truth value, numpy's kind too, or 0 or 1; raises :exc:`InputError`, which names ``field``, where it is none."""
    if not isinstance(value, (bool, np.bool_, int, np.integer)) or value not in (0, 1):
        raise InputError(f"{field} = {cut(value)}: must be True or False")
    return bool(value)


def check_at_least(field: str, value: Any, least: int) -> int:
    """The same of ``least`` or more."""
    if as_integer(field, value) < least:
        raise InputError(f"{field} = {value}: must be {least} or more")
    return int(value)


def find_masked(values: npt.ArrayLike) -> str | None:
    """The index, such as ``[0][2]``, of the first masked value of an array of numpy's masked kind, or of lists of such
    arrays; None where there is none."""
    if isinstance(values, np.ma.MaskedArray) and (masked := np.ma.getmaskarray(values)).any():
        return _first_index(masked)
    if isinstance(values, (list, tuple)):
        for number, row in enumerate(values):
            index = find_masked(row) if isinstance(row, (np.ma.MaskedArray, list, tuple)) else None
            if index is not None:
                return f"[{number}]{index}"
    return None


def check_unmasked(field: str, values: npt.ArrayLike) -> None:
    """Raise :exc:`InputError`, which names ``field``, where one of ``values`` is masked, as :func:`find_masked` looks
    for it: it would be taken for the number that lies below the mask."""
    if (index := find_masked(values)) is not None:
        raise InputError(f"{field}{index} is masked; give a number, or leave the row out")


def rectangular_array(field: str, values: npt.ArrayLike, wanted: str) -> npt.NDArray[Any]:
    """An array of any shape and of whatever kind.

    Raises :exc:`InputError`, which names ``field`` and says what is ``wanted``, where rows have different lengths or a
    value is masked.
    """
    check_unmasked(field, values)
    try:
        return np.asarray(values)
    except ValueError:
        raise InputError(f"{field}: rows of different lengths; {wanted}") from None


def as_array(field: str, values: npt.ArrayLike, wanted: str) -> npt.NDArray[Any]:
    """An array of numbers of any shape and kind.

    Raises :exc:`InputError` as :func:`rectangular_array`, and where ``values`` are something else.
    """
    array = rectangular_array(field, values, f"give {wanted}")
    if array.dtype.kind not in "biuf":
        raise InputError(f"{field}: not an array of numbers; give {wanted}")
    return array


def as_reals(field: str, values: npt.ArrayLike, wanted: str) -> Reals:
    """An array of real numbers of any shape; raises :exc:`InputError` as :func:`as_array`, and where one is NaN."""
    array = as_array(field, values, wanted).astype(np.float64)
    if np.isnan(array).any():
        bad = np.argwhere(np.isnan(array))
        index = f"[{', '.join(map(str, bad[0]))}]" if array.ndim else ""
        raise InputError(f"{field}{index} = nan: give a number")
    return array


def check_finite(field: str, array: Reals) -> Reals:
    """The same array; raises :exc:`InputError`, which names ``field``, where a number in it is infinite."""
    infinite = ~np.isfinite(array)
    if infinite.any():
        raise InputError(f"{field}{_first_index(infinite)} = {array[infinite][0]}: give a finite number")
    return array


def check_range(field: str, array: Reals, bounds: tuple[float, float], mend: str) -> None:
    """Raise :exc:`InputError`, which names ``field`` and the first such number and tells the ``mend``, where numbers
    are not within ``bounds``."""
    outside = (array < bounds[0]) | (array > bounds[1])
    if outside.any():
        raise InputError(f"{field}{_first_index(outside)} = {array[outside][0]:g}: {mend}")


def _first_index(found: npt.NDArray[np.bool_]) -> str:
    """The index of the first true element, as Python writes it; nothing where there is but one."""
    return f"[{', '.join(map(str, np.argwhere(found)[0]))}]" if found.size > 1 else ""


def real_rows(field: str, values: npt.ArrayLike, count: int) -> Reals:
    """Samples ``(n, count)`` as real numbers; raises :exc:`InputError` if that is not what ``values`` are."""
    array = as_reals(field, values, f"shape (n, {count})")
    if array.ndim != 2 or array.shape[1] != count:
        raise InputError(f"{field}: shape {array.shape}; must be (n, {count})")
    return array


def real_row(field: str, values: npt.ArrayLike, count: int) -> Reals:
    """One sample as such a row ``(1, count)``: an array ``(count,)``, or a number where that is one."""
    array = np.atleast_1d(as_reals(field, values, f"shape ({count},)"))
    if array.shape != (count,):
        raise InputError(f"{field}: shape {array.shape}; must be ({count},)")
    return array[None]


def check_weights(field: str, weights: npt.ArrayLike, count: int) -> Reals:
    """The weights of ``count`` samples, shape ``(count,)``; a number is the weight of each.

    Raises :exc:`InputError`, which names ``field``, where they are of another shape, or one is negative or not finite.
    """
    array = as_reals(field, weights, "one number, or one for each sample")
    if array.shape not in ((), (count,)):
        raise InputError(f"{field}: shape {array.shape}; must be ({count},), a number for each sample")
    bad = np.flatnonzero(~np.isfinite(array) | (array < 0))
    if len(bad):
        index = f"[{bad[0]}]" if array.ndim else ""
        raise InputError(f"{field}{index} = {array.flat[bad[0]]}: must be finite, 0 or more")
    return np.broadcast_to(array, (count,))


def below_one(weights: Reals) -> Reals:
    """Weights, not all zero, times a power of two, so that no sum of them is more than a number can be."""
    result: Reals = np.ldexp(weights, -np.frexp(weights.max())[1])
    return result


_FLOATS = frozenset({float, np.float64})
_NUMBERS = frozenset({float, np.float64, int})

EXACT = 1 << 53
"""Up to here every integer is a float; from 2**64 on, numpy takes integers for objects."""


class RowBuffer:
    """A row of real numbers at an address that stays, filled with what users give for one sample.

    Attributes
    ----------
    row
        The numbers, shape ``(count,)``; its memory never moves.
    """

    def __init__(self, count: int) -> None:
        self.row: Reals = np.zeros(count)
        self._shape = (count,)
        self._view = memoryview(self.row)  # type: ignore[arg-type]  # numpy's types leave the buffer out
        self._pack = struct.Struct(f"{count}d").pack_into

    def fill(self, values: Any) -> bool:
        """Take over the usual kinds of values: an array, a list or a tuple of numbers, or a number for a row of one.

        False, with any content, where they are of another kind or shape, so that :func:`as_reals` has to look at them.
        NaN is taken as it is.
        """
        kind = type(values)
        if kind is np.ndarray:
            if values.shape != self._shape or values.dtype.kind not in "biuf":
                return False
            self.row[:] = values
            return True
        if kind is list or kind is tuple:
            if len(values) != self._shape[0]:
                return False
        elif kind is float or kind is int:
            values = (values,)
            if self._shape[0] != 1:
                return False
        else:
            return False
        if not _FLOATS.issuperset(map(type, values)) and (
            not _NUMBERS.issuperset(map(type, values)) or any(abs(value) > EXACT for value in values)
        ):
            return False
        self._pack(self._view, 0, *values)
        return True
