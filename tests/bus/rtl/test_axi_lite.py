"""A slave on AXI4-Lite: its answers, and a bounded proof that its handshakes follow the standard."""

import random
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Assert, Assume, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from kanrtl.bus.rtl.axi_lite import AxiLitePins, AxiLiteSlave
from kanrtl.errors import ToolError
from kanrtl.tools.rtlil import component_rtlil
from kanrtl.tools.toolchain import YOSYS
from support.bus_masters import AxiLiteMaster
from support.word_target import WordTarget


class Bench(wiring.Component):
    """A slave with words behind it that answer late."""

    def __init__(self) -> None:
        super().__init__({"pins": wiring.In(AxiLitePins(6))})
        self.slave, self.target = AxiLiteSlave(6), WordTarget(4)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.slave, m.submodules.target = self.slave, self.target
        connect(m, self.slave.bus, self.target.bus)
        connect(m, wiring.flipped(self.pins), self.slave.pins)
        return m


@pytest.mark.parametrize("stalls", [0, 5])
def test_words_come_back(stalls: int) -> None:
    """Reads and writes at the same time, of words of their own."""
    bench, dice = Bench(), random.Random(2)
    pins = {name: getattr(bench.pins, name) for name in bench.pins.signature.members}
    words: dict[int, int] = {}
    done: list[str] = []

    async def write(ctx: Any) -> None:
        master = AxiLiteMaster(ctx, pins, dice, stalls)
        for _ in range(60):
            index, word = dice.randrange(8), dice.getrandbits(32)
            refuses = dice.random() < 0.3
            ctx.set(bench.target.refuses, refuses)
            assert (await master.write(4 * index + dice.randrange(4), word)).refused == refuses
            words[index] = words.get(index, 0) if refuses else word
        for index, word in words.items():
            assert (await master.read(4 * index)).data == word
        done.append("write")

    async def read(ctx: Any) -> None:
        master = AxiLiteMaster(ctx, pins, random.Random(3), stalls)
        while not done:
            if len(words) < 8:  # the channel of reads is the other's later
                answer = await master.read(4 * (8 + dice.randrange(8)))
                assert (answer.data, answer.refused) == (0, False)
            else:
                break

    simulator = Simulator(bench)
    simulator.add_clock(1e-8)
    simulator.add_testbench(write)
    simulator.add_testbench(read)
    simulator.run()
    assert done


STEPS, SOON = 13, 9
"""Cycles of the proof: enough for two requests of each kind; and those within which each is answered."""


class Contract(wiring.Component):
    """A slave, a master and a bus that do anything that they may, and what must hold of the slave then.

    What a bus does: it takes a request within two cycles, and answers it within two.
    """

    def __init__(self, slave: wiring.Component) -> None:
        self._slave = slave
        driven = ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready")
        members = AxiLitePins(4).members
        free = {name: wiring.In(members[name].shape) for name in driven}
        free |= {"takes": wiring.In(1), "answers": wiring.In(1), "answer": wiring.In(33)}
        super().__init__(free)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.slave = slave = self._slave
        pins, request, response = slave.pins, slave.bus.request, slave.bus.response
        started = Signal()
        m.d.sync += started.eq(1)
        for name in ("awaddr", "awvalid", "wdata", "wstrb", "wvalid", "bready", "araddr", "arvalid", "rready"):
            m.d.comb += getattr(pins, name).eq(getattr(self, name))

        def keep(valid: Any, ready: Any, payload: list[Any], check: Any) -> None:
            """What is offered stays, unchanged, until it is taken."""
            waits = Signal()
            m.d.sync += waits.eq(valid & ~ready)
            for value in payload:
                before = Signal.like(value)
                m.d.sync += before.eq(value)
                with m.If(started & waits):
                    m.d.comb += check(before == value)
            with m.If(started & waits):
                m.d.comb += check(valid)

        for channel, fields in (("aw", ["awaddr"]), ("w", ["wdata", "wstrb"]), ("ar", ["araddr"])):
            valid, ready = getattr(pins, f"{channel}valid"), getattr(pins, f"{channel}ready")
            keep(valid, ready, [getattr(pins, field) for field in fields], Assume)
        keep(pins.bvalid, pins.bready, [pins.bresp], Assert)
        keep(pins.rvalid, pins.rready, [pins.rdata, pins.rresp], Assert)
        payload = request.payload
        keep(request.valid, request.ready, [payload.address, payload.write], Assert)
        # The bus.
        busy, waited = Signal(), Signal()
        m.d.comb += [
            request.ready.eq(~busy & (self.takes | (waited == 1))),
            response.valid.eq(busy & (self.answers | (waited == 1))),
            response.payload.eq(self.answer),
        ]
        taken, answered = request.valid & request.ready, response.valid & response.ready
        m.d.sync += waited.eq(waited + 1)
        with m.If(taken | answered | ~(busy | request.valid)):
            m.d.sync += waited.eq(0)
        with m.If(taken):
            m.d.sync += busy.eq(1)
        with m.Elif(answered):
            m.d.sync += busy.eq(0)
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
            waits = Signal(range(SOON + 2), name=f"waits_{name}")
            with m.If(due):
                m.d.sync += waits.eq(waits + 1)
            with m.Else():
                m.d.sync += waits.eq(0)
            m.d.comb += Assert(waits <= SOON)
        return m


def prove(slave: wiring.Component, folder: Path) -> None:
    """Prove the contract for all sequences of some cycles after power-up; raise ToolError where it does not hold."""
    (folder / "top.il").write_text(component_rtlil(Contract(slave), "top"))
    script = (
        "read_rtlil top.il; hierarchy -top top; proc; flatten; async2sync; chformal -lower; opt_clean; "
        "sat -set rst 0 -prove-asserts -set-assumes -verify "
        f"-tempinduct -tempinduct-baseonly -maxsteps {STEPS}"
    )
    YOSYS.run(["-q", "-p", script], folder, "proof.log")


def test_handshakes_are_proved(tmp_path: Path) -> None:
    prove(AxiLiteSlave(4), tmp_path)


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


@pytest.mark.parametrize("slave", [_Hasty, _Forgetful])
def test_a_slave_that_breaks_a_rule_is_found(slave: type[AxiLiteSlave], tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"proof did fail"):
        prove(slave(4), tmp_path)
