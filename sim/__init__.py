"""Tasks to learn on and plants to control, one file each: small classes with a seed.

A file has subclasses of :class:`Task`, each with the ``name`` that the command line knows it by, or of :class:`Plant`;
nothing else has to know of it. :class:`Recording` is the task of signals that were measured.
"""

from __future__ import annotations

from importlib import import_module

from ..discovery import modules_of
from .equalise import Equalise
from .plant import Plant
from .recording import Recording
from .task import Regime, Task
from .track import Track

__all__ = ["PLANTS", "TASKS", "Equalise", "Plant", "Recording", "Regime", "Task", "Track"]

_FOUND = [
    found
    for module in modules_of(__path__, first=["track"], besides=["task", "recording", "plant"])
    for found in vars(import_module(f"{__name__}.{module}")).values()
    if isinstance(found, type) and found.__module__ == f"{__name__}.{module}"
]

TASKS: dict[str, type[Task]] = {found.name: found for found in _FOUND if issubclass(found, Task)}
"""Every task that is there without data, by its name."""

PLANTS: dict[str, type[Plant]] = {found.name: found for found in _FOUND if issubclass(found, Plant)}
"""Every plant, by its name."""
