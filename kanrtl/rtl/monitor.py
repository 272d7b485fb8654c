"""Counts what saturates."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..address_map import COUNTER_WIDTH, SATURATIONS

__all__ = ["Monitor"]


class Monitor(wiring.Component):  # type: ignore[misc]
    """One counter per kind of saturation; a counter stops at its highest value.

    Members
    -------
    event : In, one bit per kind: count at the clock edge
    clear : In, one bit per kind: set to zero at the clock edge
    count : Out, one counter per kind
    """

    def __init__(self) -> None:
        bits = data.StructLayout(dict.fromkeys(SATURATIONS, 1))
        counters = data.StructLayout(dict.fromkeys(SATURATIONS, COUNTER_WIDTH))
        super().__init__({"event": In(bits), "clear": In(bits), "count": Out(counters)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for kind in SATURATIONS:
            count = self.count[kind]
            with m.If(self.clear[kind]):
                m.d.sync += count.eq(0)
            with m.Elif(self.event[kind] & ~count.all()):
                m.d.sync += count.eq(count + 1)
        return m
