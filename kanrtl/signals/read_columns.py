"""Files of columns are read for what they are: text, also compressed, ``.npz`` or Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InputError, join_choices
from ..file_content import decode_text, describe_content, read_bytes
from ..files import MOST_BYTES, OBJECTS, decompress, read_arrays
from .column import Column, Columns, columns_of_array
from .csv_columns import read_csv
from .parquet_columns import read_parquet

KINDS = "CSV, .npz or Parquet"

_MEND = f"give {KINDS}"


def read_columns(path: Path, decimal: str = ".") -> Columns:
    """The columns of a file: CSV, which may be compressed with gzip, ``.npz``, or Parquet (extra ``parquet``).

    ``decimal`` is the decimal mark in CSV, and a point for others. Raises :exc:`InputError`, in words that follow the
    name of the file, where it is none of these.
    """
    found = describe_content(path) or ""
    if found == "empty":
        raise InputError(f"is empty; {_MEND}")
    if decimal != "." and ("zip archive" in found or found == "Parquet"):
        raise InputError(f"decimal = {decimal!r}: numbers have a decimal mark in CSV alone; leave it out")
    if "zip archive" in found:
        return _read_npz(path)
    if found == "Parquet":
        return read_parquet(path)
    try:
        raw = read_bytes(path, MOST_BYTES)
        if "gzip" in found:
            raw = decompress(raw)
    except OSError as error:
        raise InputError(f"{error.strerror}; {_MEND}") from None
    try:
        text = decode_text(raw)
    except InputError as error:
        raise InputError(str(error).replace("give a text file", _MEND)) from None
    return read_csv(text, decimal)


def _read_npz(path: Path) -> Columns:
    columns: list[Column] = []
    arrays = read_arrays(path, "an .npz file", _MEND, foreign=True)
    if "[Content_Types].xml" in arrays or "mimetype" in arrays:
        raise InputError("is a spreadsheet; save the sheet as CSV")
    if arrays and all(isinstance(content, bytes) for content in arrays.values()):
        first = join_choices(sorted(arrays)[:3], "and")
        raise InputError(f"is a zip archive of {first}; unpack it, and give what is in it")
    for name, array in arrays.items():
        if isinstance(array, np.ndarray):
            found = columns_of_array(name, array)
        else:  # in a zip archive of other files, what numpy gives are their bytes
            found = OBJECTS if array is None else "is a file in the archive and no array; unpack it, or name an array"
        columns += [Column.without_numbers(name, found)] if isinstance(found, str) else found
    return Columns(tuple(columns))
