"""What saturates in the passes of a sample."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["PassSaturation"]


class PassSaturation(wiring.Component):  # type: ignore[misc]
    """Tells which kinds of value saturate; all but activations a cycle later, so that no step waits for it.

    What saturates in a passing step is remembered. Activations and gradients are of sums that keep still until they are
    counted.

    Parameters
    ----------
    flags
        By kind, how many values can saturate.

    Members
    -------
    flags : In, by kind a bit for every value, high while it saturates
    restart : In(1), forget at the clock edge
    saturated : Out, one bit per kind; ``latency`` cycles later, activations at once
    """

    def __init__(self, flags: dict[str, int]) -> None:
        super().__init__(
            {
                "flags": In(data.StructLayout(flags)),
                "restart": In(1),
                "saturated": Out(data.StructLayout(dict.fromkeys(flags, 1))),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a flag to what is told of it, if it is not an activation's."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for kind in self.flags.shape().members:
            flags = self.flags[kind]
            if kind == "activation":
                m.d.comb += self.saturated[kind].eq(flags.any())
                continue
            now = Signal(len(flags), name=f"{kind}_saturates")
            m.d.sync += now.eq(flags)
            if kind == "gradient":
                m.d.comb += self.saturated[kind].eq(now.any())
                continue
            before = Signal(name=f"{kind}_saturated")
            m.d.sync += before.eq((before | now.any()) & ~self.restart)
            m.d.comb += self.saturated[kind].eq(before | now.any())
        return m
