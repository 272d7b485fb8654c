"""What lets the clock of a streaming learner go on, by its ports."""

from typing import Any

import pytest
from amaranth.sim import Simulator

from kanrtl import LearnerSpec
from kanrtl.link.layout import Kind, Layout
from kanrtl.link.rtl.sample_batch import SampleBatch

SPEC = LearnerSpec(layer_sizes=[1, 40], grid_range=(-2, 2), grid_size=3, schedule="streaming")


@pytest.mark.parametrize("abandoned", [False, True])
def test_one_edge_a_sample_until_the_batch_is_over(abandoned: bool) -> None:
    dut = SampleBatch(SPEC)

    async def check(ctx: Any) -> None:
        async def pulse(*names: str) -> None:
            for name in names:
                ctx.set(getattr(dut, name), 1)
            await ctx.tick()
            for name in names:
                ctx.set(getattr(dut, name), 0)

        async def running(cycles: int) -> bool:
            seen = []
            for _ in range(cycles):
                seen.append(bool(ctx.get(dut.enable)))
                await ctx.tick()
            assert len(set(seen)) == 1
            return seen[0]

        assert await running(5)
        await pulse("answering")
        assert ctx.get(dut.empty)
        for _ in range(2):
            await pulse("offered", "taken")
            assert not ctx.get(dut.empty)
            assert not await running(5)
        ctx.set(dut.offered, 1)
        assert await running(3)  # while it is not taken
        ctx.set(dut.offered, 0)
        if abandoned:
            await pulse("abandoned")
        else:
            ctx.set(dut.ending, 1)
            assert await running(dut.latency)
            assert ctx.get(dut.ended)
            await ctx.tick()
            ctx.set(dut.ending, 0)
        assert await running(5)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(check)
    simulator.run()
    assert dut.latency == SPEC.latency + 2


def test_predictions_are_given_once_and_no_more_than_an_answer_holds() -> None:
    dut, room = SampleBatch(SPEC), Layout.of(SPEC).answers(Kind.PREDICT)

    async def check(ctx: Any) -> None:
        ctx.set(dut.taken, 1)
        await ctx.tick()
        ctx.set(dut.taken, 0)
        ctx.set(dut.ending, 1)
        ctx.set(dut.predicted, 1)  # a learner that has one behind every edge
        for _ in range(2):
            ctx.set(dut.answering, 1)
            await ctx.tick()
            ctx.set(dut.answering, 0)
            for _ in range(room):
                assert ctx.get(dut.due)
                assert not ctx.get(dut.enable)
                ctx.set(dut.given, 1)
                await ctx.tick()
                ctx.set(dut.given, 0)
                assert not ctx.get(dut.due)
                assert ctx.get(dut.enable)
                await ctx.tick()
            assert not ctx.get(dut.due)
            assert not ctx.get(dut.enable)
            assert ctx.get(dut.ended)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(check)
    simulator.run()
    assert 1 < room < 4
