"""A slave on AXI4-Lite follows the standard, whatever masters and buses do that they may."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Module, Signal
from amaranth.lib import wiring

from kanrtl.bus.rtl.axi_lite import AxiLitePins, AxiLiteSlave
from proofs.engine import Contract, end_soon, keep
from proofs.word_bus import FREE, SOON, serve_anyhow

STEPS = 13
"""Cycles of the proof: enough for two requests of each kind."""


class Bus(wiring.Component):
    """A slave, a master and a bus that do anything that they may, and what must hold of the slave then."""

    def __init__(self, slave: wiring.Component) -> None:
        self._slave = slave
        driven = ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready")
        members = AxiLitePins(4).members
        free = {name: wiring.In(members[name].shape) for name in driven}
        super().__init__(free | FREE)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.slave = slave = self._slave
        pins = slave.pins
        for name in ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready"):
            m.d.comb += getattr(pins, name).eq(getattr(self, name))

        for channel, fields in (("aw", ["awaddr"]), ("w", ["wdata", "wstrb"]), ("ar", ["araddr"])):
            valid, ready = getattr(pins, f"{channel}valid"), getattr(pins, f"{channel}ready")
            keep(m, valid, ready, [getattr(pins, field) for field in fields], Assume, channel)
        keep(m, pins.bvalid, pins.bready, [pins.bresp], Assert, "b")
        keep(m, pins.rvalid, pins.rready, [pins.rdata, pins.rresp], Assert, "r")
        serve_anyhow(m, self, slave.bus)
        # Every answer belongs to a request, and every request is answered soon.
        for name, kinds in (("b", ("aw", "w")), ("r", ("ar",))):
            valid, ready = getattr(pins, f"{name}valid"), getattr(pins, f"{name}ready")
            due: Any = ~valid
            for kind in kinds:
                open_requests = Signal(3, name=f"open_{kind}")
                comes = getattr(pins, f"{kind}valid") & getattr(pins, f"{kind}ready")
                m.d.sync += open_requests.eq(open_requests + comes - (valid & ready))
                m.d.comb += Assert(open_requests <= 2)
                with m.If(valid):
                    m.d.comb += Assert(open_requests != 0)
                due &= open_requests != 0
            end_soon(m, due, SOON, f"waits_{name}")
        return m


class _Hasty(AxiLiteSlave):
    """A slave that withdraws what it offers."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        m.d.sync += self.pins.bvalid.eq(0)
        return m


class _Forgetful(AxiLiteSlave):
    """A slave that answers no read of one address."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        with m.If(self.bus.request.payload.address == 3):
            m.d.comb += self.bus.request.valid.eq(0)
        return m


CONTRACTS = [
    Contract(
        f"AXI4-Lite, {what}",
        "what is offered stays until it is taken; each answer has a request, and each request an answer within "
        f"{SOON} cycles",
        lambda fault, broken=broken: Bus((broken if fault else AxiLiteSlave)(4)),
        depth=STEPS,
        unbounded=False,
    )
    for what, broken in (("offers stay", _Hasty), ("all are answered", _Forgetful))
]
