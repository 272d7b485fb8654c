"""Tasks to learn on: each a small class with a seed."""

from __future__ import annotations

from .task import Regime, Task
from .track import Track

__all__ = ["TASKS", "Regime", "Task", "Track"]

TASKS: dict[str, type[Task]] = {task.name: task for task in (Track,)}
"""Every task by the name that the command line knows it by."""
