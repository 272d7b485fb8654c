"""Arrays of numbers, as users give them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import InputError

Reals = npt.NDArray[np.float64]


def as_array(field: str, values: npt.ArrayLike, wanted: str) -> npt.NDArray[Any]:
    """An array of numbers of any shape and kind.

    Raises :exc:`InputError`, which names ``field`` and says what is ``wanted``, where ``values`` are something else.
    """
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        array = np.empty(0, dtype=object)
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


def real_rows(field: str, values: npt.ArrayLike, count: int) -> Reals:
    """Samples ``(n, count)`` as real numbers; raises :exc:`InputError` if that is not what ``values`` are."""
    array = as_reals(field, values, f"shape (n, {count})")
    if array.ndim != 2 or array.shape[1] != count:
        raise InputError(f"{field}: shape {array.shape}; must be (n, {count})")
    return array
