"""Sums that grow from step to step."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import Format

__all__ = ["Accumulator", "count_accumulator"]


class Accumulator(wiring.Component):  # type: ignore[misc]
    """Adds up along one axis of a pass, and keeps the sums across the other.

    Parameters
    ----------
    format
        Of the sums, exact: it holds them all, whatever is on the way to them.
    along
        How many terms a sum has.
    across
        How many sums there are, one after another.
    reset_less
        Whether the sums outlast a reset: DSP blocks can then take their registers in.

    Members
    -------
    term : In, in ``format``
    add : In(1), add the term at the clock edge
    first : In(1), it begins a sum; not looked at where it always does
    index : In, which sum it belongs to
    totals : Out, the sums, each complete ``latency`` cycles after its last term until its first comes again
    """

    def __init__(self, format: Format, *, along: int, across: int, reset_less: bool) -> None:
        self._along = along
        self._across = across
        self._reset_less = reset_less
        super().__init__(
            {
                "term": In(format),
                "add": In(1),
                "first": In(1),
                "index": In(range(across)),
                "totals": Out(data.ArrayLayout(format, across)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a term to the sum with it."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        shape = self.term.shape()
        totals = [Signal(shape, name=f"total{index}", reset_less=self._reset_less) for index in range(self._across)]
        new, running = Signal(shape), totals[0]
        if self._along == 1:
            m.d.comb += new.eq(self.term)
        else:
            if self._across > 1:
                running = Signal(shape, name="running", reset_less=True)
                with m.If(self.add):
                    m.d.sync += running.eq(new)
            m.d.comb += new.raw.eq(Mux(self.first, 0, running.raw) + self.term.raw)
        for index, total in enumerate(totals):
            with m.If(self.add & (self.index == index) if self._across > 1 else self.add):
                m.d.sync += total.eq(new)
            m.d.comb += self.totals[index].eq(total)
        return m


def count_accumulator(parts: Parts, format: Format, *, terms: int, along: int, across: int, lanes: int) -> None:
    """Count what ``lanes`` :class:`Accumulator` have, with the tree that adds ``terms`` to one."""
    parts.sum(terms, format.width, lanes)
    if along > 1:
        parts.adder(format.width, lanes)
        parts.choice(format.width, times=lanes)
        if across > 1:
            parts.register(format.width * lanes)
    parts.register(format.width * across * lanes, moved=False)
