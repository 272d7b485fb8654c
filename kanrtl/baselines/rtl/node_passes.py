"""How a folded perceptron goes through its hidden nodes: forward, and then backward in the same order."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.bits import clog2


class NodePasses(wiring.Component):  # type: ignore[misc]
    """Counts the rows of :class:`.NodeMemory`: one in each cycle of a pass, the first of them in the cycle that follows
    the one in which the pass begins.

    Parameters
    ----------
    rows
        How many there are, two at the least.

    Members
    -------
    begin_forward, begin_backward : In(1)
        A pass begins at the clock edge, while there is none.
    serving : In(1), selected : In
        A row is asked for from outside, while there is no pass.
    address : Out
        Which row is read.
    row : Out
        Which row is there, or the first where there is no pass.
    forward, backward : Out(1)
        It belongs to a pass.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        super().__init__(
            {
                "begin_forward": In(1),
                "begin_backward": In(1),
                "serving": In(1),
                "selected": In(range(rows)),
                "address": Out(range(rows)),
                "row": Out(range(rows)),
                "forward": Out(1),
                "backward": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the one in which a pass begins to the one in which its first row is there."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        last = self._rows - 1
        following = Mux(self.row == last, 0, self.row + 1)
        with m.If(self.begin_forward):
            m.d.sync += self.forward.eq(1)
        with m.Elif(self.row == last):
            m.d.sync += self.forward.eq(0)
        with m.If(self.begin_backward):
            m.d.sync += self.backward.eq(1)
        with m.Elif(self.row == last):
            m.d.sync += self.backward.eq(0)
        passing = self.forward | self.backward
        with m.If(passing):
            m.d.sync += self.row.eq(following)
            m.d.comb += self.address.eq(following)
        with m.Elif(self.serving):
            m.d.comb += self.address.eq(self.selected)
        return m


def count_node_passes(parts: Parts, rows: int) -> None:
    """Count what :class:`NodePasses` has."""
    bits = clog2(rows)
    parts.counts["counter"] += bits
    parts.register(2, moved=False)
    parts.choice(bits, times=2)
