"""Bytes cross a line as they were sent, whenever that was."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from kanrtl.link.rtl.uart import UartReceiver, UartTransmitter
from proofs.engine import Contract, end_soon

CYCLES = 4
"""Of a bit: as few as there may be."""

SOON = 10 * CYCLES + 2
"""Cycles after which a byte is there: its bits but half of the last one, and what both sides take."""

STEPS = 2 * SOON + 2
"""Cycles of the proof: enough for two bytes, the one right behind the other or later."""


class Line(wiring.Component):
    """A transmitter, its line and a receiver: what is sent is free, and when; and one byte that may be any of the
    first, which has to come out in its turn as it went in."""

    def __init__(self, transmitter: UartTransmitter) -> None:
        self._transmitter = transmitter
        super().__init__({"valid": In(1), "byte": In(8), "number": In(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.transmitter = transmitter = self._transmitter
        m.submodules.receiver = receiver = UartReceiver(CYCLES, 1)
        m.d.comb += [
            transmitter.i.valid.eq(self.valid),
            transmitter.i.payload.eq(self.byte),
            receiver.rx.eq(transmitter.tx),
        ]
        taken, given = self.valid & transmitter.i.ready, receiver.o.valid
        ins, outs = Signal(2), Signal(2)
        m.d.sync += [ins.eq(ins + taken), outs.eq(outs + given)]
        known, number, byte = Signal(), Signal(), Signal(8)
        m.d.sync += [known.eq(1), number.eq(self.number)]
        with m.If(known):
            m.d.comb += Assume(self.number == number)
        with m.If(taken & (ins == self.number)):
            m.d.sync += byte.eq(self.byte)
        with m.If(given):
            m.d.comb += Assert(ins != outs)
        with m.If(given & (outs == self.number)):
            m.d.comb += Assert(receiver.o.payload == byte)
        # The oldest on its way.
        end_soon(m, (ins != outs) & ~given, SOON)
        return m


class _Eager(UartTransmitter):
    """A transmitter that takes bytes while it sends one."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        m.d.comb += self.i.ready.eq(1)
        return m


CONTRACTS = [
    Contract(
        "serial port",
        "bytes come out of a line as they went in, none lost, doubled or out of its turn, each within "
        f"{SOON} cycles at {CYCLES} cycles a bit",
        lambda fault: Line((_Eager if fault else UartTransmitter)(CYCLES, 1)),
        depth=STEPS,
        unbounded=False,
    )
]
