"""Columns of Parquet files, by pyarrow."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Reals
from ..errors import InputError
from .column import Column, Columns, check_exact, columns_of_array


def read_parquet(path: Path) -> Columns:
    """The columns of a Parquet file; raises :exc:`InputError` where it is damaged, or pyarrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError("is Parquet, and pyarrow is not installed; run `pip install 'kanrtl[parquet]'`")
    import pyarrow  # an extra, of a hundred megabytes
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:  # read_table refuses names that are repeated
            table = file.read()
    except (pyarrow.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(f"is not a Parquet file that can be read: {reason}; write it again") from None
    return Columns(
        tuple(
            Column(name, _reader(name, values))
            if _is_number(values.type)
            else Column.without_numbers(name, f"is of type {values.type}; name a column of numbers")
            for name, values in zip(table.column_names, table.columns, strict=True)
        )
    )


def _is_number(kind: Any) -> bool:
    from pyarrow import types  # an extra

    return any(test(kind) for test in (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal))


def _is_integer(kind: Any) -> bool:
    from pyarrow import types  # an extra

    return bool(types.is_integer(kind) or (types.is_decimal(kind) and kind.scale <= 0))


def _reader(name: str, values: Any) -> Callable[[], Reals]:
    def read() -> Reals:
        if values.null_count:
            row = np.flatnonzero(values.is_null().to_numpy())[0] + 1
            raise InputError(f"row {row} of {name!r} is missing; give a number, or leave the row out")
        found = columns_of_array(name, np.asarray(values.cast("float64", safe=False).to_numpy()))
        assert not isinstance(found, str)
        reals = found[0].read()
        if _is_integer(values.type):
            check_exact(name, values.to_numpy(), reals)
        return reals

    return read
