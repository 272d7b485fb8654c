"""The step size of normalised filters alone."""

from typing import Any

import numpy as np
import pytest

from kanrtl.baselines import LmsSpec
from kanrtl.baselines.rtl.step_size import StepSize, count_step_size
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from support.components import simulate


@pytest.mark.parametrize("pipeline", [[], ["sum", "error"]])
@pytest.mark.parametrize("normalisation", ["power_of_two", "table"])
def test_it_is_the_rate_over_the_squared_norm(normalisation: str, pipeline: list[str]) -> None:
    spec = LmsSpec(n_in=9, normalisation=normalisation, pipeline=pipeline, learning_rate=0.5)
    dut = StepSize(spec)
    assert dut.latency == len(pipeline)
    random = np.random.default_rng(0)
    rows = [
        np.zeros(9),
        np.full(9, -1),
        *random.uniform(-1, 1, (20, 9)),
        *(random.choice([0, 1], (20, 9)) * random.uniform(-1, 1, (20, 9))),
    ]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.rate.raw, spec.rate_register.code)
        for row in rows:
            for index, code in enumerate(spec.feature_format.quantise(row).tolist()):
                ctx.set(dut.features[index].raw, code)
            for _ in range(dut.latency):
                await ctx.tick()
            part = float(spec.step_size_format.to_float(ctx.get(dut.size.raw))) / 0.5 * (1 + row @ row)
            # A power of two is below by half at most; the table is 3 % off, and rounding adds one.
            low, high = (0.49, 1.01) if normalisation == "power_of_two" else (0.96, 1.04)
            assert low < part < high

    simulate(dut, bench)


def test_the_table_of_reciprocals_is_counted_in_luts() -> None:
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_step_size(parts, LmsSpec(n_in=2, normalisation="table"))
    assert parts.counts["truth table"] == 8  # sixteen rows of eight bits
