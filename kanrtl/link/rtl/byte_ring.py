"""A ring of bytes in block memory, read in order and written anywhere."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ByteRing"]


class ByteRing(wiring.Component):  # type: ignore[misc]
    """Keeps bytes, and gives those before ``end``, one after another, from a position on that can be moved.

    Parameters
    ----------
    depth
        Bytes that it holds; a power of two.

    Members
    -------
    write : In(1)
        At the clock edge ``byte`` is written at ``address``. Nothing is read meanwhile, so that no block memory has to
        say what is read of what is being written.
    address : In, byte : In(8)
    end : In
        The address at which reading stops.
    o : Out, stream of bytes
    position : Out
        Address of the next byte that is read.
    move : In(1)
        At the clock edge ``position`` becomes ``target``; the byte that is offered is dropped.
    target : In
    """

    def __init__(self, depth: int) -> None:
        self._depth = depth
        address = range(depth)
        super().__init__(
            {
                "write": In(1),
                "address": In(address),
                "byte": In(8),
                "end": In(address),
                "o": Out(stream.Signature(8)),
                "position": Out(address),
                "move": In(1),
                "target": In(address),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from that in which ``end`` has moved on to that in which a byte before it is offered."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.bytes = bytes_ = memory.Memory(shape=8, depth=self._depth, init=[])
        write, read = bytes_.write_port(), bytes_.read_port(domain="comb")
        taken = self.o.valid & self.o.ready
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.address),
            write.data.eq(self.byte),
            read.addr.eq(self.position),
        ]
        with m.If(~self.write):
            m.d.sync += self.o.payload.eq(read.data)
        # What is offered is what lay at the position a cycle ago.
        m.d.sync += self.o.valid.eq((self.position != self.end) & ~self.write & ~taken & ~self.move)
        with m.If(self.move):
            m.d.sync += self.position.eq(self.target)
        with m.Elif(taken):
            m.d.sync += self.position.eq(self.position + 1)
        return m
