"""The update of a step's coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.folded_update import FoldedUpdate, count_folded_update
from kanrtl.numeric import lfsr
from kanrtl.numeric.fixed import narrow
from support.components import convert, simulate
from support.folded import codes, plan_of


@pytest.mark.parametrize("update_rounding", ["floor", "half_up", "half_even", "stochastic"])
@pytest.mark.parametrize("name", ["shared", "both", "hidden, registers", "hidden, serial, shared"])
def test_coefficients_change_or_are_written(name: str, update_rounding: str) -> None:
    plan = plan_of(name, update_rounding=update_rounding)
    layer, passes, format = plan.layer, plan.passes, plan.layer.formats.coefficient
    dut = FoldedUpdate(plan)
    assert dut.latency == 0
    random = np.random.default_rng(8)
    shape = passes.node_lanes, passes.input_lanes, layer.banks
    node, source, bank = np.indices(shape)
    lanes = plan.first_lane + (node * layer.n_in + source) * layer.banks + bank

    def put(ctx: Any, member: Any, values: Any) -> None:
        for place in np.ndindex(shape):
            ctx.set(member[place[0]][place[1]][place[2]].raw, int(values[place]))

    async def bench(ctx: Any) -> None:
        for turn in range(12):
            old, change = codes(random, format, *shape), codes(random, layer.update_product, *shape) >> 3
            state, written = int(random.integers(1 << 32)), int(codes(random, format))
            update, writing = turn % 3 != 0, turn % 4 == 3
            put(ctx, dut.old, old)
            # What is written from outside is written by an update that moves by nothing.
            put(ctx, dut.change, change if plan.serial or not writing else 0 * change)
            ctx.set(dut.noise, state)
            ctx.set(dut.update, update)
            ctx.set(dut.writing, writing)
            ctx.set(dut.access_data.raw, written)
            exact = old * 2 ** (layer.update_sum.f - format.f)
            exact = exact - change * 2 ** (layer.update_sum.f - layer.update_product.f)
            noise = lfsr.lane_noise(state, lanes, layer.noise_bits)
            new, saturated = narrow(exact, layer.update_sum.f, format, update_rounding, noise=noise)
            found = np.array([[[ctx.get(value.raw) for value in banks] for banks in row] for row in dut.new])
            assert np.array_equal(found, np.full(shape, written) if writing else new)
            if not writing:
                flags = sum(int(bit) << n for n, bit in enumerate(saturated.ravel()))
                assert ctx.get(dut.saturated.coefficient) == (flags if update else 0)
            await ctx.tick()

    simulate(dut, bench)
    convert(dut)


def test_each_lane_is_counted() -> None:
    adders = []
    for factor in (1, 2):
        parts = Parts(families["ecp5"], multiplies=True)
        count_folded_update(parts, plan_of("inputs", reuse_factor=[factor, 4]))
        adders.append(parts.counts["adder"])
    assert adders[0] == 2 * adders[1] > 0
