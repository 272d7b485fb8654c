"""The shells that there are, by the name of their bus."""

from __future__ import annotations

from collections.abc import Callable

from .core_ports import Core
from .rtl.axi_shell import AxiShell
from .rtl.plain_shell import PlainShell
from .rtl.register_shell import AxiLiteShell, WishboneShell

__all__ = ["SHELLS", "Shell", "has_streams"]

Shell = AxiShell | AxiLiteShell | WishboneShell | PlainShell
"""A core behind a bus, or with plain ports."""

SHELLS: dict[str, Callable[[Core], Shell]] = {
    "axi": AxiShell,
    "axi-lite": AxiLiteShell,
    "wishbone": WishboneShell,
    "plain": PlainShell,
}
"""What makes a shell of a core, by the name of its bus."""


def has_streams(bus: str) -> bool | None:
    """Whether samples have streams on a bus, and no registers; None where there are no registers at all."""
    return {"axi": True, "axi-lite": False, "wishbone": False}.get(bus)
