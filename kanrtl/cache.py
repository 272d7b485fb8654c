"""Caches keep what took long to make, in folders under a hash of all that goes into it, each whole or not there."""

import os
import shutil
import time
from pathlib import Path

import platformdirs

WORK = "building-"
"""The beginning of the names of folders in which something is being made."""


def cache_folder(kind: str) -> Path:
    """The folder of results of one kind: in ``KANRTL_CACHE_DIR``, or where the system keeps a user's caches."""
    chosen = os.environ.get("KANRTL_CACHE_DIR")
    return (Path(chosen) if chosen else Path(platformdirs.user_cache_dir("kanrtl", appauthor=False))) / kind


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
