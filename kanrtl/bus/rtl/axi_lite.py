"""A slave on AXI4-Lite."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..register import WORD
from ..word_bus import WordBus

__all__ = ["AxiLitePins", "AxiLiteSlave"]

OKAY, SLVERR = 0b00, 0b10


class AxiLitePins(wiring.Signature):  # type: ignore[misc]
    """The pins of a master on AXI4-Lite with words of 32 bits, by their names in the standard (ARM IHI 0022).

    Parameters
    ----------
    address_width
        Bits of an address, which counts bytes.
    """

    def __init__(self, address_width: int) -> None:
        super().__init__(
            {
                "awaddr": Out(address_width),
                "awprot": Out(3),
                "awvalid": Out(1),
                "awready": In(1),
                "wdata": Out(WORD),
                "wstrb": Out(WORD // 8),
                "wvalid": Out(1),
                "wready": In(1),
                "bresp": In(2),
                "bvalid": In(1),
                "bready": Out(1),
                "araddr": Out(address_width),
                "arprot": Out(3),
                "arvalid": Out(1),
                "arready": In(1),
                "rdata": In(WORD),
                "rresp": In(2),
                "rvalid": In(1),
                "rready": Out(1),
            }
        )


class AxiLiteSlave(wiring.Component):  # type: ignore[misc]
    """Answers a master on AXI4-Lite.

    Address and data of a write may come in any order. One request of each kind is held while another is answered; of a
    read and a write that wait, the one goes first whose kind did not go last. The lowest two bits of an address and the
    protection bits are not looked at. What is refused is answered with SLVERR.

    Parameters
    ----------
    address_width
        Bits of an address, which counts bytes.

    Members
    -------
    pins : In, :class:`AxiLitePins`
    bus : Out, :class:`.WordBus`
    """

    def __init__(self, address_width: int) -> None:
        self._address_width = address_width
        super().__init__({"pins": In(AxiLitePins(address_width)), "bus": Out(WordBus(address_width - 2))})

    @property
    def latency(self) -> int:
        """Clock cycles that it adds to the answer of the bus: one before it, and one behind."""
        return 2

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pins, request, response = self.pins, self.bus.request, self.bus.response
        # What was taken from the master, and was not sent on.
        write_address, read_address = (Signal(self._address_width - 2, name=f"{k}_address") for k in ("write", "read"))
        data, strobes = Signal(WORD), Signal(WORD // 8)
        held = {channel: Signal(name=f"{channel}_held") for channel in ("aw", "w", "ar")}
        m.d.comb += [
            pins.awready.eq(~held["aw"]),
            pins.wready.eq(~held["w"]),
            pins.arready.eq(~held["ar"]),
        ]
        with m.If(pins.awvalid & pins.awready):
            m.d.sync += [held["aw"].eq(1), write_address.eq(pins.awaddr[2:])]
        with m.If(pins.wvalid & pins.wready):
            m.d.sync += [held["w"].eq(1), data.eq(pins.wdata), strobes.eq(pins.wstrb)]
        with m.If(pins.arvalid & pins.arready):
            m.d.sync += [held["ar"].eq(1), read_address.eq(pins.araddr[2:])]

        # Whether a request is on the bus, and which kind it, or the last one, was.
        busy, wrote = Signal(), Signal()
        can_write, can_read, writes = Signal(), Signal(), Signal()
        m.d.comb += [
            can_write.eq(held["aw"] & held["w"] & ~pins.bvalid),
            can_read.eq(held["ar"] & ~pins.rvalid),
            request.payload.data.eq(data),
            request.payload.strobes.eq(strobes),
            request.payload.write.eq(writes),
        ]
        # A request that was offered stays as it is until it is taken.
        offered, offered_write = Signal(), Signal()
        with m.If(offered):
            m.d.comb += [request.valid.eq(1), writes.eq(offered_write)]
        with m.Else():
            m.d.comb += [
                request.valid.eq(~busy & (can_write | can_read)),
                writes.eq(can_write & ~(can_read & wrote)),
            ]
        with m.If(writes):
            m.d.comb += request.payload.address.eq(write_address)
        with m.Else():
            m.d.comb += request.payload.address.eq(read_address)
        m.d.sync += [offered.eq(request.valid & ~request.ready), offered_write.eq(writes)]
        with m.If(request.valid & request.ready):
            m.d.sync += [busy.eq(1), wrote.eq(writes)]
            with m.If(writes):
                m.d.sync += [held["aw"].eq(0), held["w"].eq(0)]
            with m.Else():
                m.d.sync += held["ar"].eq(0)

        with m.If(pins.bready):
            m.d.sync += pins.bvalid.eq(0)
        with m.If(pins.rready):
            m.d.sync += pins.rvalid.eq(0)
        m.d.comb += response.ready.eq(busy)
        with m.If(response.valid & response.ready):
            m.d.sync += busy.eq(0)
            with m.If(wrote):
                m.d.sync += [pins.bvalid.eq(1), pins.bresp[1].eq(response.payload.refused)]
            with m.Else():
                m.d.sync += [
                    pins.rvalid.eq(1),
                    pins.rresp[1].eq(response.payload.refused),
                    pins.rdata.eq(response.payload.data),
                ]
        return m
