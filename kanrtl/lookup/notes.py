"""What an importer left out, took for granted or clipped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

NoteKind = Literal["assumed", "clipped", "dropped", "read"]


@dataclass(frozen=True)
class Note:
    """One thing that a network does not have from the file itself, or has otherwise than the file.

    Attributes
    ----------
    kind : str
        ``assumed``: the file does not hold it, and a default was taken. ``clipped``: a number was out of range and was
        moved to its end. ``dropped``: the file holds it, and the network does not. ``read``: it was found in another
        place than the state dict.
    field : str
        What it is about, by its name in the file.
    value : number, string, list or None
        What was assumed or read, how many entries were clipped, or what was dropped (of arrays their shape).
    reason : str
        What follows from it, or how to set it; may be empty.
    """

    kind: NoteKind
    field: str
    value: Any = None
    reason: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        value = "" if self.value is None else f" = {self.value}"
        return f"{self.field}{value}{f' ({self.reason})' if self.reason else ''}"

    def to_json(self) -> dict[str, Any]:
        """Give it in what JSON can hold."""
        return {"kind": self.kind, "field": self.field, "value": self.value, "reason": self.reason}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Make the note whose :meth:`to_json` this is."""
        return cls(content["kind"], content["field"], content["value"], content["reason"])
