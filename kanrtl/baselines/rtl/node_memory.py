"""What the hidden nodes of a folded perceptron have: a row for all that are gone through at once."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts


class NodeMemory(wiring.Component):  # type: ignore[misc]
    """A memory that is read a cycle after its address, whatever it is made of.

    Reading a row at the edge that writes it is left to those who use it: they do not.

    Parameters
    ----------
    shape
        Of a row.
    rows
        What they begin with, as bits.
    block
        Whether it is a block memory; otherwise one that is made of LUTs.

    Members
    -------
    address : In
    read : Out, the row, :attr:`latency` cycles later
    write_address : In
    write : In, a row
    write_enable : In(1), it is stored at the clock edge
    """

    def __init__(self, shape: Any, rows: list[int], *, block: bool) -> None:
        self._rows = rows
        self._block = block
        address = range(len(rows))
        super().__init__(
            {
                "address": In(address),
                "read": Out(shape),
                "write_address": In(address),
                "write": In(shape),
                "write_enable": In(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from an address to its row."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bits, style = len(self.write.as_value()), "block" if self._block else "distributed"
        m.submodules.rows = rows = memory.Memory(
            shape=bits, depth=len(self._rows), init=self._rows, attrs={"ram_style": style}
        )
        read, write = rows.read_port(domain="sync" if self._block else "comb"), rows.write_port()
        m.d.comb += [
            read.addr.eq(self.address),
            write.addr.eq(self.write_address),
            write.data.eq(self.write.as_value()),
            write.en.eq(self.write_enable),
        ]
        if self._block:
            m.d.comb += self.read.as_value().eq(read.data)
        else:
            # Without a reset: it is read before it is looked at.
            row = Signal(bits, reset_less=True)
            m.d.sync += row.eq(read.data)
            m.d.comb += self.read.as_value().eq(row)
        return m


def count_node_memory(parts: Parts, name: str, rows: int, bits: int, *, block: bool) -> None:
    """Count what :class:`NodeMemory` has."""
    parts.memory(name, rows, bits, block=block)
    if not block:
        parts.register(bits)
