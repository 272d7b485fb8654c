"""What a sample reads, in time: its cell and bases in every pipeline, coefficients, factors and steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.window import InputBases, Window, count_input_bases, count_window
from kanrtl.numeric.fixed import narrow
from support.components import convert, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes
from support.located import bases_of, window_of

PIPELINES = ["no_registers", "all_registers", ["locate"], ["position"], ["position", "locate"], ["read"]]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("fields", [{"table_memory": "logic"}, {"table_memory": "block"}])
@pytest.mark.parametrize("schedule", ["sequential", "streaming"])
def test_bases_are_there_in_time(index: int, pipeline: Any, fields: dict[str, str], schedule: str) -> None:
    plan, random = plan_of(index, pipeline=pipeline, schedule=schedule, **fields), np.random.default_rng(9)
    layer = plan.layer
    dut = InputBases(plan)
    x = random_codes(random, layer.formats.input, 12)
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
    x = np.array([layer.formats.input.minimum, 0, 5])
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
def test_tables_of_bases_are_counted(index: int) -> None:
    plan, parts = plan_of(index, pipeline="all_registers"), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_input_bases(parts, plan)
    tables = sum(memory.count for memory in parts.memories)
    text = convert(InputBases(plan))
    if plan.block_tables:
        assert tables == plan.layer.n_in * text.count("memory width")
    else:
        assert tables == 0
    assert parts.counts["register"] > 0


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("pipeline", ["no_registers", "all_registers", ["position", "locate"]])
@pytest.mark.parametrize(
    "fields",
    [
        {"edge_sums": "products", "table_memory": "logic"},
        {"edge_sums": "differences", "memory": "block"},
        {"edge_sums": "differences", "schedule": "streaming", "learning_rate": 3.0, "step_format": "UQ(1, 8)"},
    ],
)
def test_everything_is_read_in_time(index: int, pipeline: Any, fields: dict[str, Any]) -> None:
    """One sample after another; the memories are those of the test."""
    plan, random = plan_of(index, pipeline=pipeline, **fields), np.random.default_rng(10)
    layer, formats, times = plan.layer, plan.layer.formats, plan.times
    dut = Window(plan)
    coefficients = random_codes(random, formats.coefficient, layer.n_out, layer.n_in, layer.bases)
    assert dut.latency == times.read - plan.arrival

    async def bench(ctx: Any) -> None:
        ctx.set(dut.learning_rate.raw, layer.learning_rate_code)
        for x in random_codes(random, formats.input, 8, layer.n_in):
            cells, bases, derivatives = bases_of(layer, x)
            window = window_of(layer, coefficients, cells)
            dropped, added = (plan.located.dropped, plan.located.added) if plan.located else (0, 0)
            set_codes(ctx, dut.x, (x << dropped) + added)
            ctx.set(dut.take, 1)
            last = max(times.step, times.read)
            for now in range(plan.arrival, last + 1):
                if now == times.fetch - 1 and not plan.hidden:
                    # Addresses are held from the next edge on.
                    assert ctx.get(dut.load)
                    assert [ctx.get(cell) for cell in dut.cell] == cells.tolist()
                if now == times.fetch and plan.hidden:
                    assert [ctx.get(cell) for cell in dut.cell] == cells.tolist()
                if now == times.fetch + plan.block:
                    set_codes(ctx, dut.stored, window)
                if now == times.read:
                    assert get_codes(ctx, dut.basis) == bases.ravel().tolist()
                    assert get_codes(ctx, dut.coefficients) == window.ravel().tolist()
                    factors = layer.factors_of(window)
                    if plan.differences:
                        factors = factors[:, :, 1:] - factors[:, :, :1]
                    assert get_codes(ctx, dut.factors) == factors.ravel().tolist()
                    if plan.hidden:
                        assert get_codes(ctx, dut.derivative) == derivatives.ravel().tolist()
                steps, saturated = narrow(
                    layer.learning_rate_code * bases, layer.step_product.f, formats.step, plan.rounding
                )
                if now == plan.scaled and "step" in plan.saturating:
                    assert (ctx.get(dut.saturated.step) != 0) == saturated.any()
                if now == times.step:
                    assert get_codes(ctx, dut.steps) == steps.ravel().tolist()
                await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("table_memory", ["block", "logic"])
def test_steps_follow_the_learning_rate(table_memory: str) -> None:
    plan = plan_of(table_memory=table_memory)
    layer = plan.layer
    dut = Window(plan)
    x = np.array([3, -9])
    _, bases, _ = bases_of(layer, x)
    rate = layer.formats.learning_rate.maximum
    steps = narrow(rate * bases, layer.step_product.f, layer.formats.step, plan.rounding).result

    async def bench(ctx: Any) -> None:
        set_codes(ctx, dut.x, x)
        ctx.set(dut.rate_written, 1)
        await ctx.tick()
        ctx.set(dut.rate_written, 0)
        ctx.set(dut.learning_rate.raw, rate)
        assert ctx.get(dut.busy) == (table_memory == "block")
        while ctx.get(dut.busy):
            await ctx.tick()
        ctx.set(dut.take, 1)
        await ctx.tick().repeat(plan.times.step)
        assert get_codes(ctx, dut.steps) == steps.ravel().tolist()

    simulate(dut, bench)


def test_an_index_from_outside_is_addressed() -> None:
    dut = Window(plan_of())

    async def bench(ctx: Any) -> None:
        ctx.set(dut.access_enable, 1)
        ctx.set(dut.access_index, 4)
        assert ctx.get(dut.load)
        assert [ctx.get(cell) for cell in dut.cell] == [4, 4]

    simulate(dut, bench)


@pytest.mark.parametrize("edge_sums", ["products", "differences"])
def test_differences_are_counted(edge_sums: str) -> None:
    plan, parts = plan_of(edge_sums=edge_sums), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_window(parts, plan)
    assert parts.multipliers == 0
    others = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_window(others, plan_of(edge_sums="products"))
    edges = plan.layer.n_in * plan.layer.n_out * 3
    assert parts.counts["chain"] - others.counts["chain"] == (edges if plan.differences else 0)
    assert "cell $mul " not in convert(Window(plan))
