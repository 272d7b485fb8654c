"""Folders that are used though nobody named them, caches and temporary ones: errors name them and their variable."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from .errors import ToolError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""The errors of a file that has no room: on its disk, in its quota, or as to its own size."""

_LEAST_ROOM = 1 << 16
"""Bytes that are left on a disk that is not full."""


def cache_root() -> Path:
    """The folder of all caches of kanrtl: ``KANRTL_CACHE_DIR``, or where the system keeps a user's caches.

    It is relative where the user has no home.
    """
    return _chosen("KANRTL_CACHE_DIR", "kanrtl")


def yowasp_cache() -> Path:
    """The folder where YoWASP keeps its tools compiled: ``YOWASP_CACHE_DIR``, or as the system has it."""
    return _chosen("YOWASP_CACHE_DIR", "YoWASP")


def _chosen(variable: str, name: str) -> Path:
    chosen = os.environ.get(variable)
    if chosen:
        return Path(chosen).absolute()
    try:
        return Path(platformdirs.user_cache_dir(name, appauthor=False))
    except RuntimeError:  # there is no home; older versions of platformdirs give this path
        return Path("~/.cache") / name


def variable_of(path: Path) -> str | None:
    """The variable that moves the folder in which ``path`` lies elsewhere; None where none does."""
    places = {"KANRTL_CACHE_DIR": cache_root(), "YOWASP_CACHE_DIR": yowasp_cache(), "TMPDIR": _temporary_root()}
    for variable, folder in places.items():
        if folder is not None and path.is_relative_to(folder):
            return variable
    return None


def _temporary_root() -> Path | None:
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return None


def explain_os_error(error: OSError) -> str:
    """An error in one line: the file or folder, the reason, and the mend where it lies in a folder of this module."""
    reason = error.strerror or str(error)
    if error.filename is None:
        return f"{reason}; set TMPDIR to a folder that can be written" if "temporary directory" in reason else reason
    name = os.fsdecode(error.filename)
    line = f"{name!r}: {reason}"
    variable = variable_of(Path(name))
    if variable is None:
        return line
    if error.errno in FULL:
        return f"{line}; {advise_room(Path(name))}"
    return f"{line}; set {variable} to a folder that can be written"


def advise_room(folder: Path) -> str:
    """What to do where a folder is full, in words that follow that."""
    variable = variable_of(folder)
    return "make room there" + (f", or set {variable} to a folder elsewhere" if variable else "")


@contextmanager
def attribute_errors(folder: Path) -> Iterator[None]:
    """Put the name of ``folder`` into errors of writing within, which do not have any."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(folder)
        raise


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone afterwards, named in errors of writing to it.

    Raise :exc:`ToolError` where none can be made.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="kanrtl-", ignore_cleanup_errors=True)
    except OSError as error:
        raise ToolError(explain_os_error(error)) from None
    with folder as name, attribute_errors(Path(name)):
        yield Path(name)


def find_full_folder(*more: Path) -> Path | None:
    """The first folder whose disk is full, of ``more``, YoWASP's cache and the temporary one; None where none is."""
    for folder in (*more, yowasp_cache(), _temporary_root()):
        if folder is not None and is_full(folder):
            return folder
    return None


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder is known to have no room left."""
    room = measure_room(folder)
    return room is not None and room < _LEAST_ROOM


def measure_room(folder: Path) -> int | None:
    """The bytes that can still be written to the disk of a folder; None where it cannot be told, or where nothing ever
    can be written."""
    if not hasattr(os, "statvfs"):
        return None
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    if not found.f_blocks or found.f_flag & os.ST_RDONLY:
        return None
    return found.f_bavail * found.f_frsize
