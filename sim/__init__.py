"""Tasks to learn on, one file each: small classes with a seed.

A file has subclasses of :class:`Task`, each with the ``name`` that the command line knows it by; nothing else has to
know of it. :class:`Recording` is the task of signals that were measured.
"""

from __future__ import annotations

from importlib import import_module

from ..discovery import modules_of
from .equalise import Equalise
from .recording import Recording
from .task import Regime, Task
from .track import Track

__all__ = ["TASKS", "Equalise", "Recording", "Regime", "Task", "Track"]

TASKS: dict[str, type[Task]] = {
    found.name: found
    for module in modules_of(__path__, first=["track"], besides=["task", "recording"])
    for found in vars(import_module(f"{__name__}.{module}")).values()
    if isinstance(found, type) and issubclass(found, Task) and found.__module__ == f"{__name__}.{module}"
}
"""Every task that is there without data, by its name."""
