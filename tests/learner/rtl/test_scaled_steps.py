"""Learning rate times basis, computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.scaled_steps import ScaledSteps, count_scaled_steps
from kanrtl.numeric.fixed import narrow
from support.components import convert, register_bits, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes


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
    plan, parts = plan_of(pipeline=pipeline, table_memory="logic"), Parts(families["ecp5"], multiplies=True)
    count_scaled_steps(parts, plan)
    text = convert(ScaledSteps(plan))
    assert parts.multipliers == text.count("cell $mul ") == 0
    assert (parts.counts["register"] > 0) == (register_bits(text) > 0) == (pipeline == ["scale"])
