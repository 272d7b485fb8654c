"""Components that say what they take of a device."""

from __future__ import annotations

from amaranth.lib import wiring

from .parts import Parts

__all__ = ["CountedComponent"]


class CountedComponent(wiring.Component):  # type: ignore[misc]
    """A component that says what it takes. It may be made for its integer model, or to be counted, alone."""

    _MustUse__silence = True
    """Amaranth's own mark of what need not become hardware, which it has for nobody else: a warning is of no use to who
    wants the model."""

    def count(self, parts: Parts) -> None:
        """Count what it takes."""
        raise NotImplementedError
