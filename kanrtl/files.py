"""Files are written complete, or stay as they were."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from .errors import InputError

__all__ = ["open_replacement", "read_arrays", "write_arrays", "write_whole"]


def write_whole(path: Path, content: bytes) -> None:
    """Write a file through a temporary one beside it. Raise :exc:`OSError` where it cannot be written."""
    with open_replacement(path) as file:
        file.write(content)


@contextmanager
def open_replacement(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path``, to be written piece by piece, which replaces that at the end.

    After an exception it is gone, and ``path`` as it was. Raises :exc:`OSError` where it cannot be written.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        mask = os.umask(0)  # mkstemp makes it private to the user; the result is an ordinary file
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_arrays(path: Path, content: dict[str, Any]) -> None:
    """Write arrays by name to an ``.npz`` file, which is complete or not there.

    Raises :exc:`InputError` where it cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    try:
        write_whole(path, buffer.getvalue())
    except OSError as error:
        raise InputError(
            f"save: {str(path)!r}: {error.strerror or error}; name a file in a folder that can be written"
        ) from None


def read_arrays(
    path: Path, kind: str = "a saved learner", mend: str = "give a file that save wrote"
) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` file by name, each as it was written.

    Raises :exc:`InputError`, which says that the file is not ``kind`` and how to ``mend`` that, where it is not one.
    """
    try:
        with zipfile.ZipFile(path) as members:
            damaged = members.testzip()
        if damaged is None:
            with np.load(path, allow_pickle=False) as content:
                return dict(content)
    except OSError as error:
        raise InputError(f"{error.strerror or f'not {kind}'}; {mend}") from None
    except Exception:  # only zipfile, zlib and numpy run here: they raise a dozen kinds of errors for a damaged file
        raise InputError(f"not {kind}; {mend}") from None
    raise InputError(f"{damaged!r} is damaged; {mend}")
