"""What took long to make is kept: in folders under a hash of all that goes into it, each whole or not there."""

import os
import shutil
import time
from pathlib import Path

import platformdirs

__all__ = ["WORK", "cache_folder", "publish", "remove_leftovers"]

WORK = "building-"
"""How the names of folders begin in which something is being made."""


def cache_folder(kind: str) -> Path:
    """Where results of one kind lie: in ``KANRTL_CACHE_DIR``, or where the system keeps a user's caches."""
    chosen = os.environ.get("KANRTL_CACHE_DIR")
    return (Path(chosen) if chosen else Path(platformdirs.user_cache_dir("kanrtl", appauthor=False))) / kind


def publish(work: Path, entry: Path) -> None:
    """Puts ``work`` in the place of ``entry``, in one step."""
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
    """Removes what failed a day ago."""
    for path in folder.glob(f"{WORK}*"):
        try:
            if time.time() - path.stat().st_mtime > 86400:
                shutil.rmtree(path)
        except OSError:
            continue
