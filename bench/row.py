"""What every measurement has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from kanrtl import LearnerSpec, __version__

__all__ = ["Family", "LearnerRow", "Progress", "Result", "Row"]

Progress = Callable[[str], None]
Result = dict[str, Any]


@dataclass(frozen=True)
class Row(ABC):
    """One measurement, which goes into ``results/<name>.json``."""

    name: str
    title: str

    def run(self, progress: Progress) -> Result:
        """Everything there is to know about the measurement."""
        result = self.measure(progress)
        tools = {"amaranth": version("amaranth"), **result.pop("tools", {})}
        return {"row": self.name, "title": self.title, "kanrtl": __version__, **result, "tools": tools}

    @abstractmethod
    def measure(self, progress: Progress) -> Result:
        """The figures."""


@dataclass(frozen=True)
class LearnerRow(Row):
    """A measurement of one learner."""

    fields: dict[str, Any]
    """Of the spec."""

    @property
    def spec(self) -> LearnerSpec:
        """The spec as it is measured; raises where it cannot be."""
        return LearnerSpec(**self.fields)

    def run(self, progress: Progress) -> Result:
        return super().run(progress) | {"spec": LearnerSpec(**self.fields).to_dict()}


@dataclass(frozen=True)
class Family:
    """Rows that belong together."""

    name: str
    title: str
    rows: tuple[Row, ...]
