"""A program that loads no board: it notes what it is told, and says and returns what it is made to."""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

import pytest


class ShamFlasher:
    """Stands on PATH, alone, under the name of a flasher; ``body`` is what it does then, for a shell.

    Attributes
    ----------
    notes : Path
        Where its arguments are noted, one a line, each time that it is called.
    """

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, name: str = "iceprog", body: str = "") -> None:
        self.notes = folder / "notes"
        path = folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> {shlex.quote(str(self.notes))}\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        patch.setenv("PATH", str(path.parent))
        for variable in ("ICEPROG", "OPENFPGALOADER", "DFU_UTIL"):
            patch.delenv(variable, raising=False)

    @property
    def arguments(self) -> list[str]:
        """What it was told so far."""
        return self.notes.read_text().splitlines() if self.notes.exists() else []


def is_running(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended stays until its parent looks; here nobody may.
    stat_file = Path(f"/proc/{pid}/stat")
    return not (stat_file.exists() and stat_file.read_text().rpartition(")")[2].split()[0] == "Z")
