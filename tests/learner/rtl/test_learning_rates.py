"""The learning rate registers, alone."""

from typing import Any

from amaranth.hdl import ResetInserter, Signal
from amaranth.sim import Simulator

from kanrtl import LearnerSpec
from kanrtl.learner.rtl.learning_rates import LearningRates
from support.components import convert, record

SPEC = LearnerSpec(layer_sizes=[1, 2, 1], grid_range=(-2, 2), learning_rate=[0.25, 0.125])


def test_a_rate_is_there_a_cycle_after_it_was_written() -> None:
    first, second = (layer.learning_rate_code for layer in SPEC.layers)
    dut = LearningRates(SPEC)
    assert dut.latency == 1
    inputs = [{"write": 0b10, "data": 3}, {"write": 0b01, "data": 5}, {"write": 0, "data": 7}, {}]
    found = record(dut, inputs, ["rates.0", "rates.1"])
    assert found == {"rates.0": [first, first, 5, 5], "rates.1": [second, 3, 3, 3]}


def test_rates_outlast_a_reset() -> None:
    reset, dut, found = Signal(), LearningRates(SPEC), []

    async def bench(ctx: Any) -> None:
        for change in ((dut.write, 0b01), (dut.write, 0), (reset, 1), (reset, 0)):
            ctx.set(dut.data, 9)
            ctx.set(*change)
            await ctx.tick()
        found.append(ctx.get(dut.rates[0].raw))

    simulator = Simulator(ResetInserter(reset)(dut))
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == [9]


def test_it_can_be_synthesised_alone() -> None:
    convert(LearningRates(SPEC))
