"""The noise of a step's lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.learner.rtl.part_noise import PartNoise
from kanrtl.numeric import lfsr
from support.components import convert, simulate
from support.folded import PLANS, plan_of


@pytest.mark.parametrize("name", PLANS)
def test_each_step_sees_the_noise_of_its_lanes(name: str) -> None:
    plan = plan_of(name)
    layer, passes = plan.layer, plan.passes
    dut = PartNoise(plan)
    assert dut.latency == 0
    state = 0x9ABCDEF1

    async def bench(ctx: Any) -> None:
        ctx.set(dut.noise, state)
        for node_part in range(passes.nodes):
            for input_part in range(passes.inputs):
                ctx.set(dut.node_part, node_part)
                ctx.set(dut.input_part, input_part)
                first = (node_part * passes.node_lanes * layer.n_in + input_part * passes.input_lanes) * layer.banks
                assert ctx.get(dut.rotated) == lfsr.lane_noise(state, np.array(first), 32)

    simulate(dut, bench)
    convert(dut)
