"""What a step reads for its inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.window import FoldedTables, count_folded_tables
from support.components import convert, simulate
from support.folded import NAMES, backward_steps, codes, drive, forward_steps, plan_of, rotate


@pytest.mark.parametrize("name", NAMES)
def test_a_step_reads_the_bases_of_its_inputs(name: str) -> None:
    plan = plan_of(name)
    layer, passes = plan.layer, plan.passes
    dut = FoldedTables(plan)
    assert dut.latency == passes.read
    format = layer.formats.input
    x = (
        format.quantise(np.linspace(-2.2, 2.1, layer.n_in))
        if layer.n_in > 1
        else codes(np.random.default_rng(2), format, 1)
    )
    cells, rows, inside = layer.locator.locate(x)
    forward = forward_steps(plan, 1)
    backward = backward_steps(plan, forward[-1].begin + passes.step_cycles + passes.read)
    steps = [*forward, *backward]

    async def bench(ctx: Any) -> None:
        for cycle in range(backward[-1].begin + passes.read + 1):
            drive(ctx, dut.times, plan, steps, cycle)
            ctx.set(dut.take, cycle == 0)
            for source, code in enumerate(x):
                # A first layer takes its inputs; in the others they hold still.
                held = cycle == 0 or passes.hidden
                ctx.set(dut.x[source].raw, int(code) if held else 0)
            for step in steps:
                for lane in range(passes.input_lanes):
                    source = step.input_part * passes.input_lanes + lane
                    if cycle == step.begin + passes.located:
                        assert ctx.get(dut.cell[lane]) == cells[source]
                    if cycle != step.begin + passes.read:
                        continue
                    basis = rotate(plan, layer.basis_table[rows[source]], int(cells[source]))
                    assert [ctx.get(value.raw) for value in dut.basis[lane]] == basis
                    if passes.hidden:
                        slopes = layer.derivative_table[rows[source]] * inside[source]
                        derivative = rotate(plan, slopes, int(cells[source]))
                        assert [ctx.get(value.raw) for value in dut.derivative[lane]] == derivative
            await ctx.tick()

    simulate(dut, bench)
    convert(dut)


@pytest.mark.parametrize("name", NAMES)
def test_from_outside_a_cell_is_given(name: str) -> None:
    plan = plan_of(name)
    dut = FoldedTables(plan)
    cycles = 1 + plan.passes.located

    async def bench(ctx: Any) -> None:
        ctx.set(dut.access_enable, 1)
        for index in range(plan.layer.bases):
            ctx.set(dut.access_index, index)
            # As a step, the access begins when it has been asked for.
            for cycle in range(cycles):
                ctx.set(dut.times.step, (1 << cycle + 1) - 1)
                await ctx.tick()
            assert [ctx.get(cell) for cell in dut.cell] == [index] * plan.passes.input_lanes

    simulate(dut, bench)


def test_tables_are_counted_once_for_each_lane() -> None:
    counts = []
    for factor in (1, 2):
        parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
        plan = plan_of("inputs", reuse_factor=[factor, 1], share_multipliers=True)
        count_folded_tables(parts, plan)
        counts.append(parts.counts["truth table"])
    assert counts[0] > counts[1] > 0
