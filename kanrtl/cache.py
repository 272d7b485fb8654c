"""Caches keep what took long to make, in folders under a hash of all that goes into it, each whole or not there.

Where a cache cannot be written, that costs time and nothing else: what is made then lies in a temporary folder. So too
where others could have put something there: what is loaded from a cache is run, so it is used only if it belongs to the
user and nobody else can write it.
"""

import atexit
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from .errors import ToolError, warn_user
from .folders import cache_root, explain_os_error, measure_room

WORK = "building-"
"""The beginning of the names of folders in which something is being made."""

ROOM = 1 << 24
"""Bytes that a cache must have left on its disk to be used."""


class CacheWarning(UserWarning):
    """Work goes on without a cache, and takes longer."""


def find_entries(kind: str, name: str) -> Iterator[Path]:
    """Where an entry of the cache of one kind may be: in the cache, which need not be writable, or in its stead. What
    others could have put there is left out."""
    if _is_own(cache_root(), kind, name):
        yield cache_root() / kind / name
    if cache_root() in _stead:
        yield _stead[cache_root()] / kind / name


def writable_cache(kind: str) -> Path:
    """The folder in which results of one kind are made and kept; it is there.

    Raise :exc:`ToolError` where neither the cache nor a temporary folder can be written.
    """
    root = usable_folder(cache_root(), "KANRTL_CACHE_DIR")
    (root / kind).mkdir(mode=0o700, parents=True, exist_ok=True)
    reason = find_intruder(root / kind)
    if reason is not None:
        with _lock:
            _stead[root] = _make_stead(root / kind, reason, "KANRTL_CACHE_DIR")
        root = _stead[root]
        (root / kind).mkdir(mode=0o700, parents=True, exist_ok=True)
    return root / kind


def find_intruder(path: Path) -> str | None:
    """Why others could have put something at a path, and the mend, in words that follow its name; None where
    they could not, or nothing is there."""
    if not hasattr(os, "geteuid"):
        return None
    try:
        found = path.stat()
    except OSError:
        return None
    if found.st_uid != os.geteuid():
        return "belongs to another user, and what is in a cache is run"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others can write it, and what is in a cache is run; take that from them with chmod -R go-rwx"
    return None


def _is_own(root: Path, kind: str, name: str) -> bool:
    """Whether nobody else can have written an entry, or there is none."""
    entry = root / kind / name
    for path in (root, root / kind, entry):
        if find_intruder(path) is not None:
            return False
        if _is_closed(path):
            return True
    with suppress(OSError):
        return entry.is_file() or not any(find_intruder(path) for path in entry.rglob("*"))
    return True


def _is_closed(folder: Path) -> bool:
    """Whether nobody else gets into a folder, whatever the permissions in it are."""
    try:
        return not folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    except OSError:
        return True


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
    warn_user(
        f"cache {str(folder)!r}: {reason}; going on without it, which takes longer. Set {variable} to a folder "
        "that can be written",
        CacheWarning,
    )
    return stead


def _find_obstacle(folder: Path, room: int) -> str | None:
    """Why a folder cannot be written, or is too full; None where nothing speaks against it. Makes it."""
    if not folder.is_absolute():
        return "there is no home folder to put it in"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = find_intruder(folder)
        if reason is not None:
            return reason
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


def identify(entry: Path) -> int | None:
    """What tells an entry from another in its place; None where there is none."""
    try:
        return entry.stat().st_ino
    except FileNotFoundError:
        return None


def publish(work: Path, entry: Path, replaces: int | None) -> None:
    """Rename the folder ``work`` to ``entry``, in one step.

    ``replaces`` is the entry that was there before ``work`` was begun, as :func:`identify` gives it: that is of no use,
    and is replaced. One that another process has put there since is as good, may be in use, and stays.
    """
    if replaces is not None and identify(entry) == replaces:
        # It is corrupt; moved away first, because removing it takes more than one step.
        old = work.with_name(f"{work.name}-old")
        with suppress(FileNotFoundError):  # another process is doing the same
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
