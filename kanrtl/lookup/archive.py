"""Arrays in ``.npz`` files: written whole, and read back or refused in one line."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..files import write_whole
from ..session import InputError

__all__ = ["read_archive", "write_archive"]


def write_archive(path: Path, content: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes arrays by name; the file is complete or not there. Raises :exc:`kanrtl.InputError`."""
    buffer = io.BytesIO()
    arrays: dict[str, Any] = dict(content)
    np.savez_compressed(buffer, **arrays)
    try:
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise InputError(
            f"save: {str(path)!r}: {error.strerror or error}; name a file in a folder that can be written"
        ) from None


def read_archive(path: Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` file by name. Raises :exc:`kanrtl.InputError` where it is damaged or none."""
    try:
        with zipfile.ZipFile(path) as members:
            damaged = members.testzip()
        if damaged is None:
            with np.load(path, allow_pickle=False) as content:
                return dict(content)
    except OSError as error:
        raise InputError(f"{error.strerror or 'cannot be read'}; give an .npz file") from None
    except Exception:  # only zipfile, zlib and numpy run here: they have a dozen ways to stumble over a damaged file
        raise InputError("not an .npz file, or damaged; give one that is whole") from None
    raise InputError(f"{damaged!r} is damaged; give a file that is whole")
