"""Answers on their way to a wire: with a CRC, in COBS, and kept so that they can be sent again."""

from __future__ import annotations

import enum
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC16_IBM_3740
from amaranth.lib.wiring import In, Out

from ..layout import BUFFER_BYTES
from .byte_ring import ByteRing

__all__ = ["AnswerWriter"]


class _Step(enum.Enum):
    BYTES = 0
    CRC_HIGH = 1
    CRC_LOW = 2
    CLOSE = 3
    DELIMIT = 4


class AnswerWriter(wiring.Component):  # type: ignore[misc]
    """Writes answers, as the wire will carry them, into a ring, and sends what is complete.

    A run of bytes up to a zero is sent when its code byte is known, which stands before it. What was sent stays in the
    ring until the answers after it need its room.

    Parameters
    ----------
    buffer_bytes
        Size of the ring, a power of two.

    Members
    -------
    i : In, stream of bytes
        An answer, 251 bytes at most.
    finish : In(1)
        With ``i.ready``: the answer is complete.
    restart : In(1)
        With ``i.ready``, between answers: forget all, send a delimiter, and write the next answer behind it, at 1.
    resend : In(1), position : In
        Send again from that position on, where an answer begins, when the answer that is being sent is over.
    hint : In(1)
        Send a delimiter more when all is sent, and no answer is begun: an empty frame, which tells a host that
        something was damaged and says nothing else.
    o : Out, stream of bytes
        To the wire.
    """

    def __init__(self, buffer_bytes: int = BUFFER_BYTES) -> None:
        self._depth = buffer_bytes
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "finish": In(1),
                "restart": In(1),
                "resend": In(1),
                "position": In(range(buffer_bytes)),
                "hint": In(1),
                "o": Out(stream.Signature(8)),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from that of ``finish`` to that in which the next answer can begin."""
        return 5

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.ring = ring = ByteRing(self._depth)
        m.submodules.crc = crc = CRC16_IBM_3740(data_width=8).create()
        step = Signal(_Step, init=_Step.DELIMIT)
        # Where the next byte goes, and where the code byte of the run goes; what is before that may be sent.
        written, code = Signal(range(self._depth), init=1), Signal(range(self._depth))
        run, begun = Signal(8, init=1), Signal()
        byte, put, zero = Signal(8), Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(step == _Step.BYTES),
            crc.data.eq(self.i.payload),
            crc.start.eq(step == _Step.DELIMIT),
            ring.end.eq(code),
            byte.eq(self.i.payload),
            put.eq(1),
        ]
        with m.Switch(step):
            with m.Case(_Step.BYTES):
                m.d.comb += [put.eq(self.i.valid), crc.valid.eq(self.i.valid)]
                with m.If(self.i.valid):
                    m.d.sync += begun.eq(1)
                with m.If(self.finish):
                    m.d.sync += step.eq(_Step.CRC_HIGH)
                with m.If(self.restart):
                    m.d.sync += step.eq(_Step.DELIMIT)
            with m.Case(_Step.CRC_HIGH):
                m.d.comb += byte.eq(crc.crc[8:])
                m.d.sync += step.eq(_Step.CRC_LOW)
            with m.Case(_Step.CRC_LOW):
                m.d.comb += byte.eq(crc.crc[:8])
                m.d.sync += step.eq(_Step.CLOSE)
            with m.Case(_Step.CLOSE):
                m.d.comb += byte.eq(0)
                m.d.sync += step.eq(_Step.DELIMIT)
            with m.Case(_Step.DELIMIT):
                m.d.comb += byte.eq(0)
                m.d.sync += [step.eq(_Step.BYTES), begun.eq(0)]

        # A zero is not written: what is, is how far behind the code byte it would be. Behind the last run comes the
        # delimiter, where another code byte would be.
        m.d.comb += [
            zero.eq(byte == 0),
            ring.write.eq(put),
            ring.address.eq(Mux(zero, code, written)),
            ring.byte.eq(Mux(zero, Mux(step == _Step.DELIMIT, 0, run), byte)),
        ]
        with m.If(put):
            m.d.sync += [written.eq(written + 1), run.eq(run + 1)]
            with m.If(zero):
                m.d.sync += [code.eq(written), run.eq(1)]
        with m.If(self.restart):
            m.d.sync += [written.eq(1), code.eq(0), run.eq(1)]

        # Nothing is cut, so that a host does not hear of damage where there was none.
        resending, target, between = Signal(), Signal.like(self.position), Signal(init=1)
        sent = self.o.valid & self.o.ready
        m.d.comb += [
            ring.move.eq(self.restart | (resending & between & ~sent)),
            ring.target.eq(Mux(self.restart, 0, target)),
        ]
        with m.If(sent):
            m.d.sync += between.eq(self.o.payload == 0)
        with m.If(self.resend):
            m.d.sync += [resending.eq(1), target.eq(self.position)]
        with m.Elif(ring.move):
            m.d.sync += resending.eq(0)
        hinting = Signal()
        idle = (ring.position == code) & ~ring.o.valid & ~begun & (step == _Step.BYTES)
        m.d.comb += [
            self.o.valid.eq(ring.o.valid | (hinting & idle)),
            self.o.payload.eq(Mux(ring.o.valid, ring.o.payload, 0)),
            ring.o.ready.eq(self.o.ready),
        ]
        m.d.sync += hinting.eq(self.hint | (hinting & ~(self.o.ready & idle)))
        return m
