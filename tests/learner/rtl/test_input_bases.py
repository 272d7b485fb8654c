"""One input: its cell, its bases and its derivatives, in every pipeline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.input_bases import InputBases, count_input_bases
from support.components import convert, simulate
from support.layers import get_codes, plan_of, random_codes
from support.located import bases_of

PIPELINES = ["no_registers", "all_registers", ["locate"], ["position"], ["position", "locate"], ["read"]]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("fields", [{"table_memory": "logic"}, {"table_memory": "block"}])
@pytest.mark.parametrize("schedule", ["sequential", "streaming"])
def test_bases_are_there_in_time(index: int, pipeline: Any, fields: dict[str, str], schedule: str) -> None:
    plan, random = plan_of(index, pipeline=pipeline, schedule=schedule, **fields), np.random.default_rng(9)
    layer = plan.layer
    dut = InputBases(plan)
    x = random_codes(random, layer.formats.activation, 12)
    added = plan.located.added if plan.located else 0
    _, bases, derivatives = bases_of(layer, x)
    assert dut.latency == plan.times.read - plan.arrival
    # Where samples stream, or nothing holds them, a new one comes in every cycle.
    apart = 1 if plan.streaming else dut.latency + 1

    async def bench(ctx: Any) -> None:
        ctx.set(dut.load, 1)
        if plan.ends("position"):
            ctx.set(dut.take, 1)
        for cycle in range(len(x) * apart + dut.latency):
            if cycle // apart < len(x):
                code = int(x[cycle // apart])
                # Sums come with more bits below, and what their rounding adds.
                dropped = plan.located.dropped if plan.located else 0
                ctx.set(dut.x.raw, (code << dropped) + added)
            due = cycle - dut.latency
            if due >= 0 and due % apart == 0:
                assert get_codes(ctx, dut.basis) == bases[due // apart].tolist()
                if plan.hidden:
                    assert get_codes(ctx, dut.derivative) == derivatives[due // apart].tolist()
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("tables", ["logic", "block"])
def test_a_sample_is_held_until_the_next_is_taken(tables: str) -> None:
    plan = plan_of(table_memory=tables)
    layer = plan.layer
    dut = InputBases(plan)
    x = np.array([layer.formats.activation.minimum, 0, 5])
    cells, bases, _ = bases_of(layer, x)

    async def bench(ctx: Any) -> None:
        for code, cell, basis in zip(x, cells, bases, strict=True):
            ctx.set(dut.x.raw, int(code))
            ctx.set(dut.load, 1)
            assert ctx.get(dut.cell) == cell
            await ctx.tick().repeat(dut.latency)
            ctx.set(dut.load, 0)
            ctx.set(dut.x.raw, ~int(code))
            await ctx.tick().repeat(2)
            assert get_codes(ctx, dut.basis) == basis.tolist()

    simulate(dut, bench)


def test_an_index_from_outside_replaces_the_cell() -> None:
    plan = plan_of(1, pipeline="all_registers")
    dut = InputBases(plan)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.access_enable, 1)
        for index in range(plan.layer.bases):
            ctx.set(dut.access_index, index)
            await ctx.tick().repeat(plan.times.fetch - plan.arrival)
            assert ctx.get(dut.cell) == index

    simulate(dut, bench)


def test_what_makes_steps_reads_the_table() -> None:
    plan = plan_of()
    layer = plan.layer
    dut = InputBases(plan, makes_steps=True)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.x.raw, 20)
        ctx.set(dut.busy, 1)
        for row in range(layer.table_size):
            for rotation in range(layer.banks):
                ctx.set(dut.making_row, row)
                ctx.set(dut.making_rotation, rotation)
                assert (ctx.get(dut.row), ctx.get(dut.rotation)) == (row, rotation)
                await ctx.tick()
                assert ctx.get(dut.first.raw) == layer.basis_table[row, -rotation % layer.banks]

    simulate(dut, bench)


@pytest.mark.parametrize("index", [0, 1])
def test_tables_are_counted(index: int) -> None:
    plan, parts = plan_of(index, pipeline="all_registers"), Parts(families["ecp5"], multiplies=True)
    count_input_bases(parts, plan)
    tables = sum(memory.count for memory in parts.memories)
    text = convert(InputBases(plan))
    if plan.block_tables:
        assert tables == plan.layer.n_in * text.count("memory width")
    else:
        assert tables == 0
    assert parts.counts["register"] > 0
