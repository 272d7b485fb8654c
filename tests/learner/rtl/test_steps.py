"""Steps: tables of them, how these are made anew, and steps that are computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.steps import ScaledSteps, StepTables, count_scaled_steps, count_step_tables
from kanrtl.numeric.fixed import Codes, narrow
from support.components import convert, register_bits, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes


def steps_of(plan: LayerPlan, rate: int) -> tuple[Codes, Codes]:
    """Steps and whether they saturate, by row and basis."""
    layer = plan.layer
    result, saturated = narrow(rate * layer.basis_table, layer.step_product.f, layer.formats.step, plan.rounding)
    return result, saturated


async def check_tables(ctx: Any, dut: StepTables, plan: LayerPlan, rate: int) -> None:
    """Reads every row in every rotation, for the inputs one row apart."""
    layer = plan.layer
    steps, saturated = steps_of(plan, rate)
    ctx.set(dut.enable, 1)
    for row in range(layer.table_size):
        for rotation in range(layer.banks):
            rows = [(row + source) % layer.table_size for source in range(layer.n_in)]
            for source in range(layer.n_in):
                ctx.set(dut.row[source], rows[source])
                ctx.set(dut.rotation[source], rotation)
            await ctx.tick().repeat(dut.latency)
            expected = np.zeros((layer.n_in, layer.banks), dtype=np.int64)
            for basis in range(layer.window):
                expected[:, (rotation + basis) % layer.banks] = steps[rows, basis]
            assert get_codes(ctx, dut.steps) == expected.ravel().tolist()
            if "step" in plan.saturating:
                assert ctx.get(dut.saturated.step) == saturated[rows].any()
    ctx.set(dut.enable, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"rounding": "half_up"},
        {"rounding": "half_even", "pipeline": ["position", "locate", "read"], "spline_order": 2},
        {"learning_rate": 3.0, "step_format": "UQ(1, 8)", "spline_order": 1},  # some steps saturate
    ],
)
def test_tables_are_made_anew_when_the_learning_rate_changes(fields: dict[str, Any]) -> None:
    plan = plan_of(**fields)
    layer, dut = plan.layer, StepTables(plan)
    rates = [layer.learning_rate_code, layer.formats.learning_rate.maximum, 3]
    assert ("step" in plan.saturating) == steps_of(plan, rates[1])[1].any()

    async def bench(ctx: Any) -> None:
        await check_tables(ctx, dut, plan, rates[0])
        for rate in rates[1:]:
            ctx.set(dut.remake, 1)
            await ctx.tick()
            ctx.set(dut.remake, 0)
            ctx.set(dut.learning_rate.raw, rate)
            waited, read = 0, [0, 0]
            while ctx.get(dut.busy):
                # The table of bases, which is read at every edge, as deep as its registers are.
                row, rotation = ctx.get(dut.making_row), ctx.get(dut.making_rotation)
                basis = -rotation % layer.banks
                read = [int(layer.basis_table[row, basis]) if basis < layer.window else 0, read[0]]
                await ctx.tick()
                ctx.set(dut.basis.raw, read[plan.registers_table])
                waited += 1
            assert waited == dut.duration
            assert (ctx.get(dut.making_row), ctx.get(dut.making_rotation)) == (0, 0)
            await check_tables(ctx, dut, plan, rate)

    simulate(dut, bench)


def test_tables_are_counted() -> None:
    plan, parts = plan_of(), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    layer = plan.layer
    count_step_tables(parts, plan)
    [memory] = parts.memories
    text = convert(StepTables(plan))
    assert text.count(f"memory width {memory.width} size {memory.depth} ") == memory.count == layer.n_in
    assert (memory.depth, memory.width) == (layer.table_size * layer.banks, plan.step_bits * layer.banks)


@pytest.mark.parametrize("pipeline", ["no_registers", ["scale"]])
@pytest.mark.parametrize("fields", [{"rounding": "half_even"}, {"learning_rate": 3.0, "step_format": "UQ(1, 8)"}])
def test_steps_are_rounded_products_in_time(pipeline: Any, fields: dict[str, Any]) -> None:
    plan, random = plan_of(1, pipeline=pipeline, table_memory="logic", **fields), np.random.default_rng(8)
    layer, formats = plan.layer, plan.layer.formats
    dut, shape = ScaledSteps(plan), (layer.n_in, layer.banks)

    async def bench(ctx: Any) -> None:
        assert dut.latency == (pipeline == ["scale"])
        for _ in range(30):
            basis = random.integers(0, int(layer.basis_table.max()) + 1, shape)
            rate = int(random_codes(random, formats.learning_rate, 1)[0])
            set_codes(ctx, dut.basis, basis)
            ctx.set(dut.learning_rate.raw, rate)
            if dut.latency:
                await ctx.tick()
                set_codes(ctx, dut.basis, np.zeros(shape))
            steps, saturated = narrow(rate * basis, layer.step_product.f, formats.step, plan.rounding)
            assert get_codes(ctx, dut.steps) == steps.ravel().tolist()
            if "step" in plan.saturating:
                flags = sum(int(flag) << lane for lane, flag in enumerate(saturated.ravel()))
                assert ctx.get(dut.saturated.step) == flags

    simulate(dut, bench)


@pytest.mark.parametrize("pipeline", ["no_registers", ["scale"]])
def test_steps_take_no_multiplier(pipeline: Any) -> None:
    plan, parts = plan_of(pipeline=pipeline, table_memory="logic"), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_scaled_steps(parts, plan)
    text = convert(ScaledSteps(plan))
    assert parts.multipliers == text.count("cell $mul ") == 0
    assert (parts.counts["register"] > 0) == (register_bits(text) > 0) == (pipeline == ["scale"])
