"""A slave on Wishbone."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..register import WORD
from ..word_bus import WordBus

__all__ = ["WishbonePins", "WishboneSlave"]


class WishbonePins(wiring.Signature):  # type: ignore[misc]
    """The pins of a master on Wishbone with words of 32 bits, by their names in LiteX and amaranth-soc.

    Parameters
    ----------
    address_width
        Bits of an address, which counts words.
    """

    def __init__(self, address_width: int) -> None:
        super().__init__(
            {
                "cyc": Out(1),
                "stb": Out(1),
                "we": Out(1),
                "adr": Out(address_width),
                "sel": Out(WORD // 8),
                "dat_w": Out(WORD),
                "dat_r": In(WORD),
                "ack": In(1),
                "err": In(1),
                "stall": In(1),
            }
        )


class WishboneSlave(wiring.Component):  # type: ignore[misc]
    """Answers a master on Wishbone B4, classic or pipelined.

    A classic master does not look at ``stall``, and holds its request until ``ack`` or ``err``; for a pipelined one
    ``stall`` is high except in that cycle, so that it holds it as long (B4, 5.2.1). A master that ends its cycle early
    is not answered, but for one whose answer comes at that very edge, as answers are registers; what it asked for may
    have been done.

    Parameters
    ----------
    address_width
        Bits of an address, which counts words.

    Members
    -------
    pins : In, :class:`WishbonePins`
    bus : Out, :class:`.WordBus`
    """

    def __init__(self, address_width: int) -> None:
        super().__init__({"pins": In(WishbonePins(address_width)), "bus": Out(WordBus(address_width))})

    @property
    def latency(self) -> int:
        """Clock cycles that it adds to the answer of the bus: one, behind it."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pins, request, response = self.pins, self.bus.request, self.bus.response
        asked, answered, sent, left = Signal(), Signal(), Signal(), Signal()
        # What is sent stays as it is, whatever the master does.
        held = Signal.like(request.payload)
        m.d.comb += [
            asked.eq(pins.cyc & pins.stb),
            answered.eq(pins.ack | pins.err),
            pins.stall.eq(~answered),
            request.payload.eq(held),
            response.ready.eq(1),
        ]
        m.d.sync += [pins.ack.eq(0), pins.err.eq(0)]
        with m.If(~sent & asked & ~answered):
            m.d.sync += [
                held.address.eq(pins.adr),
                held.write.eq(pins.we),
                held.strobes.eq(pins.sel),
                held.data.eq(pins.dat_w),
                sent.eq(1),
                left.eq(0),
                request.valid.eq(1),
            ]
        with m.If(request.valid & request.ready):
            m.d.sync += request.valid.eq(0)
        with m.If(sent & ~asked):
            m.d.sync += left.eq(1)
        with m.If(response.valid):
            m.d.sync += [
                sent.eq(0),
                pins.dat_r.eq(response.payload.data),
                pins.ack.eq(asked & ~left & ~response.payload.refused),
                pins.err.eq(asked & ~left & response.payload.refused),
            ]
        return m
