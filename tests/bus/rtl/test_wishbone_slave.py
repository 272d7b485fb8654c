"""A slave on Wishbone."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import connect
from amaranth.sim import Simulator

from kanrtl.bus.rtl.wishbone_slave import WishbonePins, WishboneSlave
from support.bus_masters import WishboneMaster
from support.word_target import WordTarget


class Bench(wiring.Component):
    """A slave with words behind it that answer late."""

    def __init__(self) -> None:
        super().__init__({"pins": wiring.In(WishbonePins(4))})
        self.slave, self.target = WishboneSlave(4), WordTarget(4)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.slave, m.submodules.target = self.slave, self.target
        connect(m, self.slave.bus, self.target.bus)
        connect(m, wiring.flipped(self.pins), self.slave.pins)
        return m


def run(bench: Any, process: Any) -> None:
    simulator = Simulator(bench)
    simulator.add_clock(1e-8)
    simulator.add_testbench(process)
    simulator.run()


@pytest.mark.parametrize("pipelined", [False, True])
def test_words_come_back(pipelined: bool) -> None:
    bench, dice = Bench(), random.Random(2)

    async def process(ctx: Any) -> None:
        master = WishboneMaster(
            ctx, {n: getattr(bench.pins, n) for n in bench.pins.signature.members}, dice, 3, pipelined
        )
        words = [0] * 16
        for _ in range(150):
            index = dice.randrange(16)
            if dice.random() < 0.5:
                ctx.set(bench.target.refuses, dice.random() < 0.3)
                word = dice.getrandbits(32)
                answer = await master.write(4 * index, word)
                assert answer.refused == ctx.get(bench.target.refuses)
                words[index] = words[index] if answer.refused else word
                ctx.set(bench.target.refuses, 0)
            else:
                answer = await master.read(4 * index)
                assert (answer.data, answer.refused) == (words[index], False)

    run(bench, process)


def test_a_master_that_leaves_is_not_answered_later() -> None:
    """It ends its cycle in the middle; what it asks next is answered, and nothing else."""
    bench, dice = Bench(), random.Random(3)

    async def process(ctx: Any) -> None:
        pins = {n: getattr(bench.pins, n) for n in bench.pins.signature.members}
        master = WishboneMaster(ctx, pins, dice, 0)
        for index in range(16):
            await master.write(4 * index, 100 + index)
        for _ in range(60):
            for name, value in {"cyc": 1, "stb": 1, "we": 0, "adr": dice.randrange(16)}.items():
                ctx.set(pins[name], value)
            for _ in range(dice.randint(1, 3)):
                _, _, ack = await ctx.tick().sample(pins["ack"])
                if ack:
                    break
            ctx.set(pins["cyc"], 0)
            ctx.set(pins["stb"], 0)
            for _ in range(dice.randint(1, 3)):
                await ctx.tick()
            index = dice.randrange(16)
            assert (await master.read(4 * index)).data == 100 + index

    run(bench, process)
