"""A slave on Wishbone follows the standard, whatever masters and buses do that they may."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Module, Signal
from amaranth.lib import wiring

from kanrtl.bus.rtl.wishbone_slave import WishbonePins, WishboneSlave
from proofs.engine import Contract, end_soon
from proofs.word_bus import FREE, SOON, serve_anyhow

DRIVEN = ("cyc", "stb", "we", "adr", "sel", "dat_w")

STEPS = 14
"""Cycles of the proof: enough for a request that is given up, and one behind it."""


class Bus(wiring.Component):
    """A slave, a master and a bus that do anything that they may, and what must hold of the slave then.

    What a master does: it holds a request until that is answered, or ends its cycle.
    """

    def __init__(self, slave: wiring.Component) -> None:
        self._slave = slave
        members = WishbonePins(2).members
        super().__init__({name: wiring.In(members[name].shape) for name in DRIVEN} | FREE)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.slave = slave = self._slave
        pins, request, response = slave.pins, slave.bus.request.payload, slave.bus.response.payload
        for name in DRIVEN:
            m.d.comb += getattr(pins, name).eq(getattr(self, name))
        asked, answered = self.cyc & self.stb, pins.ack | pins.err
        held = Signal()
        m.d.sync += held.eq(asked & ~answered)
        for name in DRIVEN[2:]:
            pin = getattr(self, name)
            before = Signal.like(pin, name=f"before_{name}")
            m.d.sync += before.eq(pin)
            with m.If(held & self.cyc):
                m.d.comb += Assume(before == pin)
        with m.If(held & self.cyc):
            m.d.comb += Assume(self.stb)

        taken, done = serve_anyhow(m, self, slave.bus)
        # What the bus did last, and whether it was asked for since the master began to ask for what it asks now.
        did, answer, fresh = Signal.like(request), Signal.like(response), Signal()
        with m.If(taken):
            m.d.sync += did.eq(request)
        with m.If(done):
            m.d.sync += answer.eq(response)
        with m.If(~asked | answered):
            m.d.sync += fresh.eq(0)
        with m.Elif(taken & held):
            m.d.sync += fresh.eq(1)
        m.d.comb += Assert(~(pins.ack & pins.err))
        with m.If(answered & asked & held):
            m.d.comb += [
                Assert(fresh),
                Assert((did.address == self.adr) & (did.write == self.we)),
                Assert(~self.we | ((did.data == self.dat_w) & (did.strobes == self.sel))),
                Assert((pins.err == answer.refused) & (pins.dat_r == answer.data)),
            ]
        # A master that asks anew is not answered in the same cycle, and one that goes on asking is answered soon.
        m.d.comb += Assert(~answered | held)
        end_soon(m, asked & ~answered, SOON)
        return m


class _Confused(WishboneSlave):
    """A slave that gives the answer of a request that was given up to the next."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        asked = self.pins.cyc & self.pins.stb
        with m.If(self.bus.response.valid):
            m.d.sync += self.pins.ack.eq(asked & ~self.bus.response.payload.refused)
        return m


class _Forgetful(WishboneSlave):
    """A slave that answers no access of one address."""

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        with m.If(self.pins.adr == 3):
            m.d.sync += self.bus.request.valid.eq(0)
        return m


CONTRACTS = [
    Contract(
        f"Wishbone, {what}",
        "a request is answered once, by what the bus did for it and said of it, and one that goes on within "
        f"{SOON} cycles; nothing else is, and no request that was given up, except at the edge of its answer",
        lambda fault, broken=broken: Bus((broken if fault else WishboneSlave)(2)),
        depth=STEPS,
        unbounded=False,
    )
    for what, broken in (("answers belong to requests", _Confused), ("all are answered", _Forgetful))
]
