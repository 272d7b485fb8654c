"""Columns of Parquet files, by pyarrow."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Reals
from ..errors import InputError
from ..files import MOST_BYTES
from .column import Column, Columns, check_exact, columns_of_array


def read_parquet(path: Path) -> Columns:
    """The columns of a Parquet file; raises :exc:`InputError` where it is damaged, or pyarrow is not installed."""
    if importlib.util.find_spec("pyarrow") is None:
        raise InputError("is Parquet, and pyarrow is not installed; run `pip install 'kanrtl[parquet]'`")
    columns: list[Column] = []
    with _open(path) as file:
        rows = file.metadata.num_rows
        for index, field in enumerate(file.schema_arrow):
            if _is_number(field.type):
                columns.append(Column(field.name, _reader(path, field.name, index)))
            else:
                reason = f"is of type {field.type}; name a column of numbers"
                columns.append(Column.without_numbers(field.name, reason))
    size = rows * 8 * sum(not column.unusable for column in columns)
    if size > MOST_BYTES:  # a small file can say a number very many times
        raise InputError(f"holds {size >> 20} MB, and {MOST_BYTES >> 20} MB can be read; save less in one file")
    return Columns(tuple(columns))


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a file; raise :exc:`InputError` for whatever pyarrow raises where it is damaged."""
    import pyarrow  # an extra, of a hundred megabytes
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            yield file
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:  # the last one of names
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise InputError(f"is not a Parquet file that can be read: {reason}; write it again") from None


def _is_number(kind: Any) -> bool:
    from pyarrow import types  # an extra

    return any(test(kind) for test in (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal))


def _is_integer(kind: Any) -> bool:
    from pyarrow import types  # an extra

    return bool(types.is_integer(kind) or (types.is_decimal(kind) and kind.scale <= 0))


def _reader(path: Path, name: str, index: int) -> Callable[[int | None], Reals]:
    def read(rows: int | None) -> Reals:
        with _open(path) as file:
            values = file.reader.read_column(index).slice(0, rows)  # by its number, as names can be repeated
        if values.null_count:
            row = np.flatnonzero(values.is_null().to_numpy())[0] + 1
            raise InputError(f"row {row} of {name!r} is missing; give a number, or leave the row out")
        found = columns_of_array(name, np.asarray(values.cast("float64", safe=False).to_numpy()))
        assert not isinstance(found, str)
        reals = found[0].read(rows)
        if _is_integer(values.type):
            check_exact(name, values.to_numpy(), reals)
        return reals

    return read
