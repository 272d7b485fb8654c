"""Linear paths of a folded layer: every edge's w, and the steps of a pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.folded_linear import (
    FoldedLinearSteps,
    FoldedWeights,
    count_folded_linear_steps,
    count_folded_weights,
)
from kanrtl.numeric.fixed import narrow
from support.components import convert, simulate
from support.folded import NAMES, backward_steps, drive, plan_of
from support.layers import get_codes, random_codes, set_codes

LINEAR: dict[str, Any] = {"linear": True, "linear_rate": 0.4, "linear_step_format": "SQ(1, 9)"}


def edges_of(plan: Any, part: int) -> tuple[Any, Any]:
    """The nodes and inputs of a step, by node lane and input lane; its part counts in the order of the forward pass."""
    passes = plan.passes
    node, source = np.indices((passes.node_lanes, passes.input_lanes))
    node_part, input_part = divmod(part, passes.inputs)
    return node + node_part * passes.node_lanes, source + input_part * passes.input_lanes


@pytest.mark.parametrize("name", NAMES)
def test_a_step_reads_its_weights_and_writes_them(name: str) -> None:
    plan = plan_of(name, **LINEAR)
    layer, passes = plan.layer, plan.passes
    random = np.random.default_rng(6)
    held = random_codes(random, layer.formats.coefficient, layer.n_out, layer.n_in)
    dut = FoldedWeights(plan, held)
    assert dut.latency == passes.read

    async def step(ctx: Any, part: int, write: Any = None, lane: tuple[int, int] | None = None) -> None:
        """One step at a time, slowly: reads, and may write all lanes, or one."""
        ctx.set(dut.part, part)
        for cycle in range(passes.step_cycles + passes.written + 2):
            ctx.set(dut.step, 1 << cycle if cycle < len(dut.step) else 0)
            if write is not None and cycle == max(passes.written, passes.read):
                set_codes(ctx, dut.write, write)
                if lane is None:
                    ctx.set(dut.write_enable, 1)
                else:
                    ctx.set(dut.access_enable[lane[0]][lane[1]], 1)
            await ctx.tick()
            ctx.set(dut.write_enable, 0)
            if lane is not None:
                ctx.set(dut.access_enable[lane[0]][lane[1]], 0)
        expected = held[edges_of(plan, part)].ravel().tolist()
        if write is None:
            assert get_codes(ctx, dut.read) == get_codes(ctx, dut.old) == expected

    async def bench(ctx: Any) -> None:
        for part in range(passes.steps):
            await step(ctx, part)
        for part in range(passes.steps):
            new = random_codes(random, layer.formats.coefficient, passes.node_lanes, passes.input_lanes)
            await step(ctx, part, new)
            held[edges_of(plan, part)] = new
        new = random_codes(random, layer.formats.coefficient, passes.node_lanes, passes.input_lanes)
        lane = passes.node_lanes - 1, 0
        await step(ctx, passes.steps - 1, new, lane)
        nodes, sources = edges_of(plan, passes.steps - 1)
        held[nodes[lane], sources[lane]] = new[lane]
        for part in range(passes.steps):
            await step(ctx, part)

    simulate(dut, bench)


@pytest.mark.parametrize("name", ["shared", "both", "hidden, registers", "hidden, serial, shared"])
def test_steps_go_along_and_are_zero_while_something_is_written(name: str) -> None:
    plan = plan_of(name, **LINEAR)
    linear, passes, dut = plan.linear, plan.passes, FoldedLinearSteps(plan)
    random = np.random.default_rng(7)
    x = random_codes(random, linear.input, passes.input_lanes)
    expected, outside = narrow(linear.rate_code * x, linear.step_product.f, linear.step, plan.rounding)
    assert outside.any()
    assert dut.latency == passes.scaled - passes.read
    steps = backward_steps(plan, 0)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.rate.raw, linear.rate_code)
        set_codes(ctx, dut.inputs, x)
        seen = False
        for cycle in range(2 * passes.duration + passes.written + 2):
            drive(ctx, dut.times, plan, steps, cycle)
            await ctx.delay(1e-10)
            seen |= bool(ctx.get(dut.saturated.step))
            await ctx.tick()
        assert seen
        assert get_codes(ctx, dut.steps) == expected.tolist()
        assert ctx.get(dut.saturated.step) == 0
        ctx.set(dut.times.writing, 1)
        ctx.set(dut.times.step, (1 << len(dut.times.step)) - 1)
        await ctx.tick().repeat(passes.step_cycles + dut.latency + 1)
        assert get_codes(ctx, dut.steps) == [0] * passes.input_lanes

    simulate(dut, bench)


@pytest.mark.parametrize("name", NAMES)
def test_what_they_have_is_counted(name: str) -> None:
    plan = plan_of(name, **LINEAR)
    first = np.zeros((plan.layer.n_out, plan.layer.n_in), dtype=np.int64)
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_folded_weights(parts, plan)
    count_folded_linear_steps(parts, plan)
    text = convert(FoldedWeights(plan, first))
    convert(FoldedLinearSteps(plan))
    memories = [memory for memory in parts.memories if memory.name == "weights"]
    assert sum(memory.count for memory in memories) == (plan.passes.input_lanes if plan.passes.steps > 1 else 0)
    assert text.count("cell $mem_v2") + text.count("memory width") >= bool(memories)
    assert parts.counts["term"] > 0
