"""Samples as river gives them: dicts of features by name, of which any may be missing."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from operator import itemgetter
from typing import Any

import numpy as np

from ..arrays import RowBuffer
from ..errors import InputError, cut
from .scaling import EXPLAIN_LARGEST, LARGEST

FeatureDict = Mapping[Any, Any]
"""One sample: the values of its features by their names."""


_MENDS = (
    "make it one, for example with river's OneHotEncoder in a pipeline",
    "leave it out, or give None, where it is missing",
)
"""Of a feature that is no number, and of one that is infinite."""


def to_number(field: str, value: Any, mends: tuple[str, str] = _MENDS) -> float:
    """The value of a feature or a target as a number, NaN for None.

    Raises :exc:`InputError`, naming ``field``, where it is no number or infinite, with one of the ``mends``.
    """
    if value is None:
        return math.nan
    if not isinstance(value, (Real, np.bool_)):
        raise InputError(f"{field} = {cut(value)}: not a number; {mends[0]}")
    try:
        number = float(value)
    except OverflowError:  # an integer or a fraction of hundreds of digits
        raise InputError(f"{field}: above {sys.float_info.max:.2g}; scale it") from None
    if math.isinf(number):
        raise InputError(f"{field} = {cut(value)}: must be finite; {mends[1]}")
    return number


def to_scalable(field: str, value: Any, mends: tuple[str, str] = _MENDS) -> float:
    """The same of a value that is learned; raises :exc:`InputError` also where no running scale can hold it."""
    number = to_number(field, value, mends)
    if abs(number) > LARGEST:
        raise InputError(f"{field} = {number:g}: {EXPLAIN_LARGEST}")
    return number


def check_values(x: FeatureDict) -> None:
    """Raise :exc:`InputError` where a sample is no dict, or a feature of it no number, or too large to be learned."""
    check_sample(x)
    for name, value in x.items():
        to_scalable(f"x[{name!r}]", value)


def check_sample(x: Any) -> None:
    """Raise :exc:`InputError` where a sample is no dict."""
    if not isinstance(x, Mapping):
        raise InputError(f"x: is of type {type(x).__name__}; give a dict of features by their names, or arrays to fit")


def check_features(x: FeatureDict) -> None:
    """The same, and where a sample has no features."""
    check_values(x)
    if not x:
        raise InputError("x: has no features; the first sample needs one or more")


def sort_names(names: Iterable[Any]) -> list[Any]:
    """Names of features, which need not be strings, in an order that does not depend on that of a dict: numbers of
    columns as they are counted, before all others."""
    return sorted(names, key=lambda name: (0, name, "") if is_number(name) else (1, str(name), type(name).__name__))


def is_number(name: Any) -> bool:
    """Whether the name of a feature is that of a column without a name: its number."""
    return isinstance(name, Integral) and not isinstance(name, bool)


class FeatureRow:
    """Puts samples into a row, their features in the order of ``names``."""

    def __init__(self, names: Sequence[Any]) -> None:
        self.names = names
        self._count = len(names)
        self._pick = itemgetter(*names)

    def fill(self, x: FeatureDict, row: RowBuffer) -> bool:
        """Take over a usual sample: a dict that has all features and no others, each a number that can be learned.

        False, with any content, where it is another, which :func:`to_scalable` or :func:`to_number` has to look at.
        """
        if type(x) is not dict or len(x) != self._count:
            return False
        try:
            values = self._pick(x)
        except KeyError:
            return False
        if self._count == 1:
            values = (values,)
        return row.fill(values) and math.hypot(*values) <= LARGEST

    def put(self, x: FeatureDict, row: RowBuffer) -> None:
        """Take over any sample: NaN for a feature that is missing; others are left out.

        Raises :exc:`InputError` where a value is no number.
        """
        if not self.fill(x, row):
            check_sample(x)
            row.row[:] = [to_number(f"x[{name!r}]", x.get(name)) for name in self.names]
