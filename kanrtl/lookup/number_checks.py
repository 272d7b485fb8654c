"""Checks of the numbers that networks are made of; what cannot be is refused by the name of its field."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import as_array, rectangular_array
from ..errors import InputError, cut
from ..numeric.fixed import Codes

MAX_BITS = 16
"""The widest code: a table has so many address bits at most."""

MAX_NODES = 1 << 20
"""The most inputs or nodes of a layer."""

MAX_GUARD_BITS = 30
"""The most guard bits of a table, whose entries have 31 bits and a sign."""

LAYERS = "for each layer"
CODES = "for the inputs and for each layer"
"""What values are for, as :func:`list_each` says it."""

_ENTRY_LIMIT = 1 << 31  # so that a sum of 2**30 edges fits the model's integers


def code_range(bits: int) -> tuple[int, int]:
    """Give the lowest and the highest code of ``bits`` bits."""
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def check_integer(field: str, value: Any, low: int, high: int) -> int:
    """Check that ``value`` is an integer from ``low`` to ``high``.

    Raises
    ------
    InputError
        If it is not, by the name ``field``; so do all other functions here.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise InputError(f"{field} = {cut(value)}: must be an integer from {low} to {high}")
    return int(value)


def is_list(given: Any) -> bool:
    """Whether ``given`` is several values: a sequence that is no text, or an array with a dimension."""
    if isinstance(given, np.ndarray):
        return given.ndim > 0
    return isinstance(given, Sequence) and not isinstance(given, str)


def list_each(field: str, given: Any, count: int, of: str) -> list[Any]:
    """Give a list of ``count`` values: ``given`` itself, or ``count`` times where it is one for all.

    ``of`` says in the message what the values are for, such as :data:`LAYERS`.
    """
    if not is_list(given):
        return [given] * count
    if len(given) != count:
        raise InputError(f"{field}: {len(given)} values; give one for all, or {count}, one {of}")
    return list(given)


def check_bits(field: str, value: Any) -> int:
    """Check that ``value`` is the width of a code, from 1 to :data:`MAX_BITS`."""
    return check_integer(field, value, 1, MAX_BITS)


def check_each_bits(field: str, given: Any, count: int, of: str) -> list[int]:
    """Check widths of codes, as :func:`list_each` takes them."""
    return _check_each(check_bits, field, given, count, of)


def check_guard_bits(field: str, value: Any) -> int:
    """Check that ``value`` is a number of guard bits, from 0 to :data:`MAX_GUARD_BITS`."""
    return check_integer(field, value, 0, MAX_GUARD_BITS)


def check_each_guard_bits(field: str, given: Any, count: int, of: str) -> list[int]:
    """Check numbers of guard bits, as :func:`list_each` takes them."""
    return _check_each(check_guard_bits, field, given, count, of)


def _check_each(check: Callable[[str, Any], int], field: str, given: Any, count: int, of: str) -> list[int]:
    if not is_list(given):
        return [check(field, given)] * count
    return [check(f"{field}[{index}]", value) for index, value in enumerate(list_each(field, given, count, of))]


def check_number(field: str, value: Any) -> float:
    """Check that ``value`` is a number; it may be infinite."""
    if isinstance(value, bool) or not isinstance(value, Real) or math.isnan(value):
        raise InputError(f"{field} = {cut(value)}: must be a number")
    return float(value)


def check_positive(field: str, value: Any) -> float:
    """Check that ``value`` is a finite number above zero."""
    try:
        real = float(value)
    except (TypeError, ValueError):
        real = 0.0
    if not (np.isfinite(real) and real > 0):
        raise InputError(f"{field} = {cut(value)}: must be a number above 0")
    return real


def check_array(field: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Check that ``values`` are finite numbers; messages call them ``field``."""
    array = as_array(field, values, "one").astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError(f"{field}: not all numbers are finite; give finite ones")
    return array


def check_shape(field: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Check that ``values`` are one finite number, or an array of ``shape`` or broadcasting to it."""
    array = check_array(field, values)
    if array.shape not in ((), shape):
        try:
            if array.ndim > len(shape):
                raise ValueError
            return np.broadcast_to(array, shape)
        except ValueError:
            raise InputError(f"{field}: shape {array.shape}; must be {shape}") from None
    return np.broadcast_to(array, shape)


def check_tensor(field: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Check that ``values`` are finite numbers of ``shape``, as a file has them: nothing is broadcast."""
    array = check_array(field, values)
    if array.shape != shape:
        raise InputError(f"{field}: shape {array.shape}; must be {shape}")
    return array


def check_known(field: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    """Check that ``values``, what is known of samples, are finite numbers of any kind."""
    array = as_array(field, values, "what is to be predicted, for classes those from 0 on")
    finite = np.isfinite(array)
    if not finite.all():
        index = np.argwhere(~finite)[0]
        raise InputError(f"{field}[{', '.join(map(str, index))}] = {array[tuple(index)]}: give a number")
    return array


def check_stage(output: str, n_out: int) -> None:
    """Check that an output stage has outputs to compare, if that is what it does."""
    if output == "argmax" and n_out == 1:
        raise InputError(
            "output = 'argmax': there is 1 output, whose class is always 0; set output = \"threshold\" "
            "(--stage threshold)"
        )


def check_classes(field: str, known: npt.NDArray[Any], output: str, n_out: int) -> None:
    """Check that what is ``known`` of one sample or more are classes of an output stage that compares ``n_out``
    outputs; of other stages it may be anything."""
    classes = {"argmax": n_out, "threshold": 2}.get(output)
    if classes is None:
        return
    # A class beyond those of the network is a sample that it gets wrong; numbers that begin elsewhere are a mistake.
    wrong = known[(known < 0) | (known != np.floor(known))]
    if not wrong.size and known.min() == 1 and known.max() == classes:
        wrong = known[known == classes]
    if not wrong.size and known.min() >= classes:  # none could be right
        wrong = known
    if wrong.size:
        raise InputError(
            f"{field}: holds {wrong.flat[0]:g}, but the classes of stage {output} are 0 to {classes - 1}; "
            "number them so"
        )


def check_indices(field: str, values: npt.ArrayLike, count: int) -> Codes:
    """Check that ``values`` are integers ``(edges,)`` from 0 to below ``count``."""
    array = rectangular_array(field, values, "give integers, one for each edge")
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"{field}: shape {array.shape}, type {array.dtype}; give integers, one for each edge")
    if array.min() < 0 or array.max() >= count:
        raise InputError(f"{field}: from {array.min()} to {array.max()}; must lie between 0 and {count - 1}")
    return array.astype(np.int64)


def check_entries(field: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Codes:
    """Check that ``values`` are integers of ``shape`` such as tables and biases hold, of 31 bits and a sign."""
    array = rectangular_array(field, values, f"must have shape {shape}")
    if array.size == 0 and 0 in shape:
        return np.zeros(shape, dtype=np.int64)
    if array.shape != shape:
        raise InputError(f"{field}: shape {array.shape}; must be {shape}")
    if array.dtype.kind not in "iu":
        raise InputError(f"{field}: type {array.dtype}; give integer codes")
    if array.min() <= -_ENTRY_LIMIT or array.max() >= _ENTRY_LIMIT:
        raise InputError(f"{field}: from {array.min()} to {array.max()}; must be within 31 bits and a sign")
    return array.astype(np.int64)
