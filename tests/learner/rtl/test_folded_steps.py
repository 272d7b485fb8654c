"""Learning rate times basis, computed in the passes of a folded layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.steps import ScaledSteps, count_scaled_steps
from kanrtl.numeric.fixed import narrow
from support.components import convert, simulate
from support.folded import NAMES, Step, drive, plan_of


@pytest.mark.parametrize("step_format", [None, "UQ(0, 6)"])
@pytest.mark.parametrize("name", NAMES)
def test_the_steps_are_the_products_rounded_once(name: str, step_format: str | None) -> None:
    plan = plan_of(name, step_format=step_format, learning_rate=3.0)
    layer, passes, formats = plan.layer, plan.passes, plan.layer.formats
    dut = ScaledSteps(plan)
    assert dut.latency == passes.scaled - passes.read
    random = np.random.default_rng(6)
    rate = formats.learning_rate.maximum
    # What can saturate follows from the largest value in the table.
    basis = random.integers(0, layer.basis_table.max() + 1, (passes.input_lanes, layer.banks))
    basis[0, 0] = layer.basis_table.max()
    steps, saturated = narrow(basis * rate, layer.step_product.f, formats.step, plan.rounding)
    kinds = dut.saturated.shape().members
    assert ("step" in kinds) == ("step" in plan.saturating)
    assert bool(kinds) == (step_format is not None)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.learning_rate.raw, rate)
        for writing in (0, 1):
            ctx.set(dut.times.writing, writing)
            begin = passes.written + 1
            for cycle in range(begin + passes.scaled + passes.step_cycles):
                drive(ctx, dut.times, plan, [Step(begin, "update", 0, 0)], cycle)
                # A first layer of a single step has read before.
                at_read = (passes.held_position and passes.steps == 1) or cycle >= begin + passes.read
                for lane, values in enumerate(basis):
                    for bank, value in enumerate(values):
                        ctx.set(dut.basis[lane][bank].raw, int(value) if at_read else 0)
                flag = cycle == begin + min(passes.read, passes.stepped)
                if kinds and at_read:
                    assert ctx.get(dut.saturated.step) == (
                        sum(int(bit) << n for n, bit in enumerate(saturated.ravel())) if flag else 0
                    )
                if cycle >= begin + passes.scaled:
                    found = [[ctx.get(value.raw) for value in banks] for banks in dut.steps]
                    assert found == (steps * (1 - writing)).tolist()
                await ctx.tick()
        assert step_format is None or saturated.any()

    simulate(dut, bench)
    convert(dut)


def test_each_lane_is_counted() -> None:
    terms = []
    for factor in (1, 2):
        parts, plan = Parts(FAMILIES["ecp5"].blocks, multiplies=True), plan_of("inputs", reuse_factor=[factor, 4])
        count_scaled_steps(parts, plan)
        terms.append(parts.counts["term"])
        layer = plan.layer
        bits = layer.formats.basis.width * layer.formats.learning_rate.width
        assert parts.counts["term"] == bits * plan.passes.input_lanes * layer.banks
    assert terms[0] == 2 * terms[1]
