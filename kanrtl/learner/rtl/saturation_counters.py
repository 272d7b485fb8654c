"""Counts what saturates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..address_map import COUNTER_WIDTH

__all__ = ["Monitor"]


class Monitor(wiring.Component):  # type: ignore[misc]
    """One counter per kind of saturation; a counter stops at its highest value.

    Parameters
    ----------
    kinds
        The kinds that can occur; the others need no counter.

    Members
    -------
    event : In, one bit per kind: counted two clock edges later, so that nothing waits for the counters
    clear : In, one bit per kind: set to zero at the clock edge
    count : Out, one counter per kind
    """

    def __init__(self, kinds: Iterable[str]) -> None:
        self._kinds = sorted(kinds)
        bits = data.StructLayout(dict.fromkeys(self._kinds, 1))
        counters = data.StructLayout(dict.fromkeys(self._kinds, COUNTER_WIDTH))
        super().__init__({"event": In(bits), "clear": In(bits), "count": Out(counters)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for kind in self._kinds:
            count = self.count[kind]
            event = Signal(name=f"{kind}_event")
            following = Signal(COUNTER_WIDTH + 1, name=f"{kind}_following")
            m.d.comb += following.eq(count + 1)
            m.d.sync += event.eq(self.event[kind])
            with m.If(self.clear[kind]):
                m.d.sync += count.eq(0)
            with m.Elif(event & ~following[-1]):
                m.d.sync += count.eq(following)
        return m
