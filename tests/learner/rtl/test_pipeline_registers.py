"""Registers at the ends of stages: when values are there."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Fragment, Module, Signal

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.pipeline_registers import (
    Stages,
    count_meeting,
    count_read,
    delay,
    end_read,
    hold,
    name_signal,
)
from support.components import simulate
from support.layers import plan_of


class Registers(Elaboratable):  # type: ignore[misc]
    """``value`` through whatever ``wire`` makes of it."""

    def __init__(self, wire: Any) -> None:
        self.value, self.when, self.result = Signal(8), Signal(init=1), Signal(8)
        self._wire = wire

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.result.eq(self._wire(m, self))
        return m


def cycles(dut: Registers) -> int:
    """Cycles until a value is there."""
    found: list[int] = []

    async def bench(ctx: Any) -> None:
        for cycle in range(8):
            ctx.set(dut.value, 100 + cycle)
            if ctx.get(dut.result):
                found.append(cycle - (ctx.get(dut.result) - 100))
            await ctx.tick()

    simulate(dut, bench)
    assert found
    assert len(set(found)) == 1
    return found[0]


def through(plan: LayerPlan, use: Any) -> int:
    return cycles(Registers(lambda m, dut: use(Stages(m, plan.schedule, plan.index), dut.value)))


def test_delay_and_name() -> None:
    assert cycles(Registers(lambda m, dut: delay(m, dut.value, 3, "late"))) == 3
    assert cycles(Registers(lambda m, dut: name_signal(m, dut.value, "wire"))) == 0
    assert cycles(Registers(lambda m, dut: name_signal(m, dut.value, "register", registered=True))) == 1


def test_hold_keeps_what_was_there() -> None:
    dut = Registers(lambda m, dut: hold(m, dut.value, dut.when, "held"))

    async def bench(ctx: Any) -> None:
        ctx.set(dut.value, 5)
        await ctx.tick()
        ctx.set(dut.when, 0)
        ctx.set(dut.value, 6)
        assert ctx.get(dut.result) == 5
        await ctx.tick().repeat(2)
        assert ctx.get(dut.result) == 5

    simulate(dut, bench)


@pytest.mark.parametrize("stage", ["read", "sum"])
def test_a_stage_ends_in_a_register_where_it_is_named(stage: str) -> None:
    plan = plan_of(pipeline=["sum"])
    assert through(plan, lambda stages, value: stages.end(stage, value, "end")) == (stage == "sum")
    assert through(plan, lambda stages, value: stages.wire(value, "wire")) == 0


def test_values_wait_where_samples_stream_or_the_way_is_long() -> None:
    still, flowing = plan_of(), plan_of(schedule="streaming")
    assert through(still, lambda stages, value: stages.meet(value, 1, 4, "met")) == 0
    assert through(flowing, lambda stages, value: stages.meet(value, 1, 4, "met")) == 3
    assert through(still, lambda stages, value: stages.meet(value, 1, 4, "met", cut=True)) == 3
    m = Module()
    with pytest.raises(AssertionError, match="late is there at 3, after 2"):
        Stages(m, flowing.schedule, 0).meet(Signal(8), 3, 2, "late")
    Fragment.get(m, None)  # used


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("pipeline", ["no_registers", "all_registers", ["read"], ["position", "locate"]])
@pytest.mark.parametrize("fields", [{}, {"memory": "block"}, {"schedule": "streaming"}])
def test_what_is_read_leaves_the_stage_in_time(index: int, pipeline: Any, fields: dict[str, str]) -> None:
    plan = plan_of(index, pipeline=pipeline, **fields)
    since = plan.times.fetch + plan.block
    found = through(plan, lambda stages, value: end_read(stages, plan, [value], since, "read")[0])
    # In the first layer of a sequential learner a sample stands still.
    waits = plan.streaming or plan.hidden
    registered = since < plan.times.read and plan.ends("read")
    assert found == (plan.times.read - since if waits else registered)
    parts = Parts(FAMILIES["ice40"].blocks, multiplies=True)
    count_read(parts, plan, 8, since, block=False)
    assert parts.counts["register"] == 8 * found


def test_registers_of_a_meeting_are_counted() -> None:
    for plan, cut, expected in (
        (plan_of(), False, 0),
        (plan_of(), True, 24),
        (plan_of(schedule="streaming"), False, 24),
    ):
        parts = Parts(FAMILIES["ice40"].blocks, multiplies=True)
        count_meeting(parts, plan, 8, 1, 4, cut=cut)
        assert parts.counts["register"] == expected
