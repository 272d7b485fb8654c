"""Caches keep what took long to make, in folders under a hash of all that goes into it, each whole or not there.

Where a cache cannot be written, that costs time and nothing else: what is made then lies in a temporary folder.
"""

import atexit
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .errors import ToolError
from .folders import cache_root, explain_os_error, measure_room

WORK = "building-"
"""The beginning of the names of folders in which something is being made."""

ROOM = 1 << 24
"""Bytes that a cache must have left on its disk to be used."""


class CacheWarning(UserWarning):
    """Work goes on without a cache, and takes longer."""


def find_entries(kind: str, name: str) -> Iterator[Path]:
    """Where an entry of the cache of one kind may be: in the cache, which need not be writable, or in its stead."""
    yield cache_root() / kind / name
    if cache_root() in _stead:
        yield _stead[cache_root()] / kind / name


def writable_cache(kind: str) -> Path:
    """The folder in which results of one kind are made and kept; it is there.

    Raise :exc:`ToolError` where neither the cache nor a temporary folder can be written.
    """
    folder = usable_folder(cache_root(), "KANRTL_CACHE_DIR") / kind
    folder.mkdir(parents=True, exist_ok=True)
    return folder


_stead: dict[Path, Path] = {}
"""The temporary folder that serves in place of each cache that cannot be written."""

_lock = threading.Lock()


def usable_folder(folder: Path, variable: str, room: int = ROOM) -> Path:
    """A folder that can be written and has ``room`` in bytes: ``folder``, else a temporary one, which is said once.

    ``variable`` is the one that names it. Raises :exc:`ToolError` where there is neither.
    """
    with _lock:
        reason = None if folder in _stead else _find_obstacle(folder, room)
        if reason is not None:
            _stead[folder] = _make_stead(folder, reason, variable)
    return _stead.get(folder, folder)


def _make_stead(folder: Path, reason: str, variable: str) -> Path:
    try:
        stead = Path(tempfile.mkdtemp(prefix="kanrtl-cache-"))
    except OSError as error:
        raise ToolError(
            f"cache {str(folder)!r}: {reason}; set {variable} to a folder that can be written. In its stead: "
            f"{explain_os_error(error)}"
        ) from None
    atexit.register(_remove_stead, stead)
    warnings.warn(
        f"cache {str(folder)!r}: {reason}; going on without it, which takes longer. Set {variable} to a folder "
        "that can be written",
        CacheWarning,
        stacklevel=4,
    )
    return stead


def _find_obstacle(folder: Path, room: int) -> str | None:
    """Why a folder cannot be written, or is too full; None where nothing speaks against it. Makes it."""
    if not folder.is_absolute():
        return "there is no home folder to put it in"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 16))
    except FileExistsError:
        return "is not a folder"
    except OSError as error:
        return error.strerror or str(error)
    left = measure_room(folder)
    return f"has {left >> 20} MB left" if left is not None and left < room else None


def _remove_stead(folder: Path) -> None:
    """Remove a temporary cache at the end, except what the user was told of: logs of failures and bitstreams."""
    for path in folder.glob("*"):
        if path.name != "builds" and not list(path.glob(f"{WORK}*")):
            shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):  # something was kept
        folder.rmdir()


def publish(work: Path, entry: Path) -> None:
    """Rename the folder ``work`` to ``entry``, in one step.

    An entry that is there is replaced; one that another process has put there meanwhile is as good, and stays.
    """
    if entry.exists():
        # It is corrupt; moved away first, because removing it takes more than one step.
        old = work.with_name(f"{work.name}-old")
        entry.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        work.rename(entry)
    except OSError:
        # Another process was quicker, and its work is as good as this.
        if not entry.exists():
            raise
        shutil.rmtree(work, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove the folders of what failed a day ago or earlier."""
    for path in folder.glob(f"{WORK}*"):
        try:
            if time.time() - path.stat().st_mtime > 86400:
                shutil.rmtree(path)
        except OSError:
            continue
