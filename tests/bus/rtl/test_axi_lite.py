"""A slave on AXI4-Lite: its answers. That its handshakes follow the standard is proved in tests/proofs."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from kanrtl.bus.rtl.axi_lite import AxiLitePins, AxiLiteSlave
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
