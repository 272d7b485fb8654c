"""The update of a layer's coefficients against exact fractions: values and cycles."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.coefficient_update import count_coefficient_update
from kanrtl.learner.rtl.update import LayerUpdate, count_layer_update
from kanrtl.numeric.lfsr import lane_noise as model_lane_noise
from support.components import convert, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes, updated


@pytest.mark.parametrize("schedule", ["sequential", "streaming"])
@pytest.mark.parametrize("pipeline", ["no_registers", "most_registers", "all_registers"])
@pytest.mark.parametrize("rounding", ["half_up", "stochastic"])
def test_every_coefficient_of_a_layer_is_updated(schedule: str, pipeline: str, rounding: str) -> None:
    """One sample, which stands still; where samples stream its values are there for one cycle each."""
    random = np.random.default_rng(7)
    plan = plan_of(1, schedule=schedule, pipeline=pipeline, update_rounding=rounding)
    layer, formats, times = plan.layer, plan.layer.formats, plan.times
    dut, shape = LayerUpdate(plan), (layer.n_out, layer.n_in, layer.banks)
    gradients = random_codes(random, formats.gradient, layer.n_out)
    steps = random.integers(0, min(formats.step.maximum, (1 << plan.step_bits) - 1) + 1, shape[1:])
    coefficients, state = random_codes(random, formats.coefficient, *shape), int(random.integers(1, 1 << 32))

    async def bench(ctx: Any) -> None:
        assert dut.latency == times.changed - max(times.gradient, times.step)
        changed = times.changed - plan.registers_update  # when coefficients meet what changes them
        for now in range(times.changed + 1):
            # Values that are not there yet, or no more.
            for member, codes, since in (
                (dut.gradient, gradients, times.gradient),
                (dut.steps, steps, times.step),
                (dut.coefficients, coefficients, changed),
            ):
                there = now == since or (now > since and not plan.streaming)
                set_codes(ctx, member, codes if there else np.ones_like(codes))
            if plan.stochastic:
                ctx.set(dut.noise, state if now == times.rounded or not plan.streaming else 1)
            if now < times.changed:
                await ctx.tick()
        expected, outside = [], []
        for lane, (node, source, bank) in enumerate(np.ndindex(*shape)):
            drawn = int(model_lane_noise(np.array([state]), np.array([plan.first_lane + lane]), layer.noise_bits)[0])
            product = int(gradients[node] * steps[source, bank])
            code, beyond = updated(plan, int(coefficients[node, source, bank]), product, drawn)
            expected.append(code)
            outside.append(beyond)
        assert get_codes(ctx, dut.write) == expected
        assert ctx.get(dut.saturated.coefficient) == sum(flag << lane for lane, flag in enumerate(outside))

    simulate(dut, bench)


@pytest.mark.parametrize("multiplier", ["auto", "lut"])
def test_a_layer_has_as_many_updates_as_coefficients_that_it_reads(multiplier: str) -> None:
    plan = plan_of(multiplier=multiplier)
    layer = plan.layer
    edges = layer.n_in * layer.n_out * layer.banks
    alone, whole = (Parts(FAMILIES["ecp5"].blocks, multiplies=True) for _ in range(2))
    count_coefficient_update(alone, plan, edges)
    count_layer_update(whole, plan)
    text = convert(LayerUpdate(plan))
    assert text.count("cell $mul ") == whole.multipliers == (edges if multiplier == "auto" else 0)
    assert alone.counts["limit"] == whole.counts["limit"] == edges * layer.formats.coefficient.width
