"""The update of a step's coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.update import FoldedUpdate, count_folded_update
from kanrtl.numeric import lfsr
from kanrtl.numeric.fixed import narrow
from support.components import convert, simulate
from support.folded import backward_steps, drive, plan_of
from support.layers import get_codes, random_codes, set_codes


@pytest.mark.parametrize("update_rounding", ["floor", "half_up", "half_even", "stochastic"])
@pytest.mark.parametrize("name", ["shared", "both", "hidden, registers", "hidden, serial, shared"])
def test_coefficients_change_or_are_written(name: str, update_rounding: str) -> None:
    plan = plan_of(name, update_rounding=update_rounding)
    layer, passes, format = plan.layer, plan.passes, plan.layer.formats.coefficient
    dut = FoldedUpdate(plan)
    assert dut.latency == 0
    random = np.random.default_rng(8)
    shape = passes.node_lanes, passes.input_lanes, layer.banks
    # As long as a pass takes, for slopes and for updates, and a few cycles in which only what is outside may write.
    between = 2 * passes.duration + passes.written + 4
    steps = backward_steps(plan, 0) + backward_steps(plan, between)

    async def bench(ctx: Any) -> None:
        for cycle in range(2 * between):
            drive(ctx, dut.times, plan, steps, cycle)
            here = [step for step in steps if 0 <= cycle - step.begin - passes.written < passes.step_cycles]
            (step,) = here or [None]
            writing = step is None and cycle % 2
            old, change = random_codes(random, format, *shape), random_codes(random, layer.update_product, *shape) >> 3
            state, written = int(random.integers(1 << 32)), int(random_codes(random, format))
            set_codes(ctx, dut.old, old)
            # What is written from outside is written by an update that moves by nothing.
            set_codes(ctx, dut.change, change if plan.serial or not writing else 0 * change)
            if plan.stochastic:
                ctx.set(dut.noise, state)
            ctx.set(dut.times.writing, writing)
            ctx.set(dut.access_data.raw, written)
            updates = step is not None and step.kind == "update" and cycle == step.begin + passes.written
            if writing:
                assert get_codes(ctx, dut.new) == [written] * old.size
            elif updates:
                node, source, bank = np.indices(shape)
                node += step.node_part * passes.node_lanes
                source += step.input_part * passes.input_lanes
                lanes = plan.first_lane + (node * layer.n_in + source) * layer.banks + bank
                exact = old * 2 ** (layer.update_sum.f - format.f)
                exact = exact - change * 2 ** (layer.update_sum.f - layer.update_product.f)
                noise = lfsr.lane_noise(state, lanes, layer.noise_bits) << layer.dropped_bits - layer.noise_bits
                new, saturated = narrow(exact, layer.update_sum.f, format, update_rounding, noise=noise)
                assert get_codes(ctx, dut.new) == new.ravel().tolist()
                flags = sum(int(bit) << n for n, bit in enumerate(saturated.ravel()))
                assert ctx.get(dut.saturated.coefficient) == flags
                seen.append(flags)
            if not updates:
                assert ctx.get(dut.saturated.coefficient) == 0
            await ctx.tick()

    seen: list[int] = []
    simulate(dut, bench)
    assert len(seen) == 2 * passes.steps
    assert any(seen)
    convert(dut)


def test_each_lane_is_counted() -> None:
    adders = []
    for factor in (1, 2):
        parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
        count_folded_update(parts, plan_of("inputs", reuse_factor=[factor, 4]))
        adders.append(parts.counts["adder"])
    assert adders[0] == 2 * adders[1] > 0
