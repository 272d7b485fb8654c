"""What all parts of a loop are."""

from __future__ import annotations

from ..fabric.counted_component import CountedComponent

__all__ = ["LoopPart"]


class LoopPart(CountedComponent):
    """A part of a loop."""
