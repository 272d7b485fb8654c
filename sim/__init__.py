"""Tasks to learn on, one file each: small classes with a seed.

A file has subclasses of :class:`Task`, each with the ``name`` that the command line knows it by; nothing else has to
know of it.
"""

from __future__ import annotations

from importlib import import_module

from ..discovery import modules_of
from .task import Regime, Task
from .track import Track

__all__ = ["TASKS", "Regime", "Task", "Track"]

TASKS: dict[str, type[Task]] = {
    found.name: found
    for module in modules_of(__path__, first=["track"], besides=["task"])
    for found in vars(import_module(f"{__name__}.{module}")).values()
    if isinstance(found, type) and issubclass(found, Task) and found.__module__ == f"{__name__}.{module}"
}
"""Every task by its name."""
