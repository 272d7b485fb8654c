"""Commands, called as a user would."""

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import UnusedElaboratable


class Built:
    """A report, as the command line needs it."""

    device = "a device"
    fmax_mhz = 12.5

    def to_json(self) -> dict[str, Any]:
        return {"device": self.device, "fmax": 12.5}

    def table(self) -> list[tuple[str, str]]:
        return [("Fmax", "12.5 MHz [measured]")]


@dataclass
class Outcome:
    status: int
    stdout: str
    stderr: str


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def noted_builds(monkeypatch: pytest.MonkeyPatch, module: Any) -> Iterator[list[dict[str, Any]]]:
    """What a module asks builds for, in place of building; tests/test_build.py does that."""
    asked: list[dict[str, Any]] = []

    def note(component: Any, *_: Any, progress: Callable[[str], None], **options: Any) -> Built:
        progress("routing")
        asked.append({"component": component, **options})
        return Built()

    monkeypatch.setattr(module, "build_core", note)
    monkeypatch.setattr(module, "build_board", note)
    warnings.simplefilter("ignore", UnusedElaboratable)
    yield asked
    asked.clear()
    gc.collect()
