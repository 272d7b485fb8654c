"""Requests as they come from a wire: taken out of COBS, checked, and kept until they are obeyed."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC16_IBM_3740
from amaranth.lib.wiring import In, Out, connect, flipped

from ..layout import BUFFER_BYTES, Kind
from .byte_ring import ByteRing

__all__ = ["FrameReceiver"]

SHORTEST = 4
"""Bytes of a frame without a payload: kind, number, CRC."""


class FrameReceiver(wiring.Component):  # type: ignore[misc]
    """Keeps the frames that are whole and whose turn it is, and forgets all others.

    A frame is written into a ring as its bytes come, behind a byte for its length; that is written, and the frame
    handed on, when its delimiter comes and the CRC is right. A frame from :attr:`.Kind.ROM` on is kept only if its
    number is the next one, so that it is obeyed once, and in order.

    Parameters
    ----------
    buffer_bytes
        Size of the ring, a power of two.

    Members
    -------
    i : In, stream of bytes
        From the wire; it waits for one cycle after every delimiter.
    o : Out, stream of bytes
        Frames that are kept, one after another: the number of bytes that follow, then kind, number, payload and CRC.
    damaged : Out(1)
        High for one cycle when a frame is forgotten that was damaged, or for which there was no room.
    """

    def __init__(self, buffer_bytes: int = BUFFER_BYTES) -> None:
        self._depth = buffer_bytes
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8)), "damaged": Out(1)})

    @property
    def latency(self) -> int:
        """Clock cycles from a frame's delimiter to that in which its length is handed on, if none is before it."""
        return 2

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.ring = ring = ByteRing(self._depth)
        m.submodules.crc = crc = CRC16_IBM_3740(data_width=8).create()
        connect(m, ring.o, flipped(self.o))
        kept, written = Signal(range(self._depth)), Signal(range(self._depth), init=1)
        length, expected = Signal(8), Signal(8)
        bad, full, opening = Signal(), Signal(), Signal()
        m.d.comb += [ring.end.eq(kept), full.eq(written == ring.position), self.i.ready.eq(~opening)]
        taken, ended = Signal(), Signal()
        m.d.comb += [
            taken.eq(self.i.valid & ~opening & (self.i.payload != 0)),
            ended.eq(self.i.valid & ~opening & (self.i.payload == 0)),
        ]

        # COBS: how many bytes follow until the next code byte, and whether that stands for a zero.
        left, zero, begun = Signal(8), Signal(), Signal()
        code, byte = Signal(), Signal(8)
        m.d.comb += [code.eq(left == 0), byte.eq(Mux(code, 0, self.i.payload))]
        with m.If(taken):
            m.d.sync += [begun.eq(1), left.eq(Mux(code, self.i.payload, left) - 1)]
            with m.If(code):
                m.d.sync += zero.eq(self.i.payload != 0xFF)

        kept_whatever, hello, in_turn = Signal(), Signal(), Signal()
        m.d.comb += crc.data.eq(byte)
        with m.If(taken & (~code | zero)):
            m.d.comb += crc.valid.eq(1)
            m.d.sync += bad.eq(bad | full | length.all())
            with m.If(~bad & ~full):
                m.d.comb += ring.write.eq(1)
                m.d.sync += [written.eq(written + 1), length.eq(length + 1)]
            with m.If(length == 0):
                m.d.sync += [kept_whatever.eq(byte < Kind.ROM), hello.eq(byte == Kind.HELLO)]
            with m.If(length == 1):
                m.d.sync += in_turn.eq(byte == expected)

        whole = Signal()
        m.d.comb += [
            whole.eq(code & ~bad & ~full & (length >= SHORTEST) & crc.match_detected),
            self.damaged.eq(ended & begun & ~whole),
            ring.address.eq(Mux(ended, kept, written)),
            ring.byte.eq(Mux(ended, length, byte)),
            crc.start.eq(ended),
        ]
        m.d.sync += opening.eq(ended)
        with m.If(ended & whole & (kept_whatever | in_turn)):
            m.d.comb += ring.write.eq(1)
            m.d.sync += kept.eq(written)
            with m.If(hello):
                m.d.sync += expected.eq(0)
            with m.Elif(~kept_whatever):
                m.d.sync += expected.eq(expected + 1)
        with m.If(opening):
            m.d.sync += [written.eq(kept + 1), length.eq(0), left.eq(0), zero.eq(0), begun.eq(0), bad.eq(0)]
        return m
