"""The order of the steps, and where they are in every cycle."""

from __future__ import annotations

from typing import Any

import pytest

from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.pass_sequencer import PassSequencer, count_pass_sequencer
from support.components import convert, simulate
from support.folded import PLANS, Step, backward_steps, forward_steps, offset_of, plan_of, times_at


def times_of(ctx: Any, dut: PassSequencer, expected: dict[str, Any]) -> dict[str, Any]:
    """What the sequencer says, as :func:`times_at` gives it; what is not expected to be anything is None."""
    found: dict[str, Any] = {}
    for name, value in expected.items():
        member = getattr(dut.times, name)
        if isinstance(value, dict):
            found[name] = {field: None if inner is None else ctx.get(member[field]) for field, inner in value.items()}
        else:
            found[name] = ctx.get(member)
    return found


@pytest.mark.parametrize("name", PLANS)
def test_steps_go_through_the_passes_in_order(name: str) -> None:
    plan = plan_of(name)
    dut = PassSequencer(plan)
    # One pass directly after the other, and one after a pause.
    forward = forward_steps(plan, dut.latency)
    backward = backward_steps(plan, forward[-1].begin + plan.passes.step_cycles)
    again = forward_steps(plan, backward[-1].begin + plan.passes.step_cycles + 5)
    steps = [*forward, *backward, *again]

    async def bench(ctx: Any) -> None:
        for cycle in range(again[-1].begin + 60):
            ctx.set(dut.begin_forward, cycle + dut.latency in (forward[0].begin, again[0].begin))
            ctx.set(dut.begin_backward, cycle + dut.latency == backward[0].begin)
            expected = times_at(plan, steps, cycle)
            assert times_of(ctx, dut, expected) == expected, cycle
            await ctx.tick()

    simulate(dut, bench)
    convert(dut)


def accessed(plan: LayerPlan, source: int, node: int) -> Step:
    """The step that an access from outside is."""
    passes = plan.passes
    return Step(1, "update", source // passes.input_lanes, node // passes.node_lanes)


@pytest.mark.parametrize("name", PLANS)
def test_an_access_is_a_step_that_updates_nothing(name: str) -> None:
    plan = plan_of(name)
    layer, passes = plan.layer, plan.passes
    for source, node in ((0, 0), (layer.n_in - 1, 0), (layer.n_in - 1, layer.n_out - 1)):
        dut = PassSequencer(plan)
        step = accessed(plan, source, node)

        async def bench(ctx: Any, dut: PassSequencer = dut, step: Step = step, of: Any = (source, node)) -> None:
            ctx.set(dut.access_input, of[0])
            ctx.set(dut.access_output, of[1])
            ctx.set(dut.access_enable, 1)
            ctx.set(dut.access_write, 1)
            assert ctx.get(dut.times.writing) == 0
            await ctx.tick()
            for cycle in range(1, 60):
                assert ctx.get(dut.times.writing) == 1
                # The access is held, and with it that it begins.
                assert ctx.get(dut.times.step) & 1 == 1
                assert ctx.get(dut.times.forward) == ctx.get(dut.times.update) == 0
                for part in ("input_part", "node_part"):
                    for field in getattr(dut.times, part).shape().members:
                        if cycle > offset_of(plan, field):
                            assert ctx.get(getattr(dut.times, part)[field]) == getattr(step, part)
                if passes.shared and cycle > passes.stepped:
                    assert ctx.get(dut.times.multiplies.update) == 1
                await ctx.tick()

        simulate(dut, bench)


@pytest.mark.parametrize("name", PLANS)
def test_counters_are_counted(name: str) -> None:
    plan, parts = plan_of(name), Parts(families["ecp5"], multiplies=True)
    count_pass_sequencer(parts, plan)
    counters = (plan.passes.inputs, plan.passes.nodes, plan.passes.step_cycles)
    assert 1 << parts.counts["counter"] >= counters[0] * counters[1] * counters[2]
    assert parts.counts["register"] > parts.counts["counter"]
