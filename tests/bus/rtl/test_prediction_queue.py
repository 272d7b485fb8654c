"""Predictions that wait, each with the flag of its sample."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.sim import Simulator

from kanrtl.bus.rtl.prediction_queue import PredictionQueue

LATENCY = 3


class Bench(wiring.Component):
    """A core that gives every sample back, some cycles later, and cannot wait."""

    def __init__(self, depth: int) -> None:
        super().__init__({"x": wiring.In(8), "valid": wiring.In(1), "taken": wiring.Out(1)})
        self.queue = PredictionQueue(8, depth, waits=False)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.queue = queue = self.queue
        m.d.comb += [
            self.taken.eq(self.valid & queue.room),
            queue.taken.eq(self.taken),
            queue.last.eq(self.x[0] ^ self.x[3]),
        ]
        present, value = self.taken, self.x
        for _ in range(LATENCY):
            later, held = Signal(), Signal(8)
            m.d.sync += [later.eq(present), held.eq(value)]
            present, value = later, held
        m.d.comb += [queue.source.valid.eq(present), queue.source.payload.eq(value)]
        return m


@pytest.mark.parametrize(("stalls", "depth"), [(0.0, LATENCY + 3), (0.5, LATENCY + 3), (0.9, 2)])
def test_nothing_is_lost(stalls: float, depth: int) -> None:
    """And where the reader never stalls, a sample is taken in every cycle."""
    bench, dice = Bench(depth), random.Random(1)
    sent: list[int] = []
    received: list[tuple[int, int]] = []
    cycles = 300

    async def process(ctx: Any) -> None:
        queue = bench.queue
        ctx.set(bench.valid, 1)
        for _ in range(cycles):
            ctx.set(bench.x, dice.getrandbits(8))
            ctx.set(queue.predictions.ready, dice.random() >= stalls)
            payload = queue.predictions.payload
            signals = (bench.taken, bench.x, queue.predictions.valid, queue.predictions.ready)
            _, _, taken, x, valid, ready, y, last = await ctx.tick().sample(*signals, payload.prediction, payload.last)
            if taken:
                sent.append(x)
            if valid and ready:
                received.append((y, last))

    simulator = Simulator(bench)
    simulator.add_clock(1e-8)
    simulator.add_testbench(process)
    simulator.run()
    assert received == [(x, x & 1 ^ x >> 3 & 1) for x in sent[: len(received)]]
    assert len(sent) - len(received) <= depth
    if not stalls:
        assert len(sent) == cycles
    assert bench.queue.latency == 1
