"""The update of coefficients against exact fractions: values, cycles, and what is written from outside."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.update import CoefficientUpdate, LayerUpdate, count_coefficient_update, count_layer_update
from kanrtl.numeric.lfsr import lane_noise as model_lane_noise
from support.components import convert, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes
from support.reference_arithmetic import reference_narrow

ROUNDINGS = ["floor", "half_up", "half_even", "stochastic"]
PIPELINES = [[], ["change"], ["update"], ["change", "update"], "all_registers"]
PLANS = st.builds(
    plan_of,
    pipeline=st.sampled_from(PIPELINES),
    update_rounding=st.sampled_from(ROUNDINGS),
    rounding=st.sampled_from(["floor", "half_up"]),
    schedule=st.sampled_from(["sequential", "streaming"]),
    step_format=st.sampled_from(["UQ(1, 8)", "UQ(2, 4)"]),
    gradient_format=st.sampled_from(["SQ(4, 8)", "SQ(5, 2)", "SQ(4, 34)", "SQ(-4, 12)"]),
    coefficient_format=st.sampled_from(["SQ(3, 5)", "SQ(3, 10)"]),
)


def updated(plan: LayerPlan, coefficient: int, product: int, noise: int = 0) -> tuple[int, bool]:
    """The coefficient, and whether it saturates."""
    layer = plan.layer
    format = layer.formats.coefficient
    exact = Fraction(coefficient, 1 << format.f) - Fraction(product, 1 << layer.update_product.f)
    drawn = Fraction(noise, 1 << layer.noise_bits)
    return reference_narrow(exact, format, plan.update_rounding, noise=drawn)


def products(plan: LayerPlan, random: np.random.Generator, count: int) -> Any:
    """Gradients times steps that a learning rate can set."""
    formats = plan.layer.formats
    steps = random.integers(0, min(formats.step.maximum, (1 << plan.step_bits) - 1) + 1, count)
    return random_codes(random, formats.gradient, count) * steps


def check_coefficient(plan: LayerPlan, seed: int) -> None:
    """One update after another, each in the cycle after that before; with ``writes_late`` some of what was changed."""
    random, layer = np.random.default_rng(seed), plan.layer
    dut, count = CoefficientUpdate(plan), 25
    coefficients = random_codes(random, layer.formats.coefficient, count).tolist()
    moves = products(plan, random, count).tolist()
    noises = random.integers(0, 1 << layer.noise_bits, count).tolist()
    again = (random.integers(0, 2, count) * plan.writes_late).tolist()
    again[0] = 0
    late = plan.registers_change

    async def bench(ctx: Any) -> None:
        before: int | None = None
        assert dut.latency == late + plan.registers_update
        for cycle in range(count + dut.latency):
            if cycle < count:
                ctx.set(dut.product.raw, moves[cycle])
                if plan.stochastic:
                    ctx.set(dut.noise, noises[cycle])
            if late <= cycle < count + late:
                ctx.set(dut.coefficient.raw, 0 if again[cycle - late] else coefficients[cycle - late])
                if plan.writes_late:
                    ctx.set(dut.again, again[cycle - late])
            done = cycle - dut.latency
            if done >= 0:
                changed = coefficients[done]
                if again[done]:
                    assert before is not None
                    changed = before
                before, outside = updated(plan, changed, moves[done], noises[done])
                assert (ctx.get(dut.result.raw), ctx.get(dut.saturated)) == (before, outside)
            await ctx.tick()

    simulate(dut, bench)


@settings(max_examples=40, deadline=None)
@given(plan=PLANS, seed=st.integers(0, 2**32 - 1))
def test_a_coefficient_is_rounded_once_and_saturated(plan: LayerPlan, seed: int) -> None:
    check_coefficient(plan, seed)


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_folded_layers_update_in_no_cycle(rounding: str) -> None:
    plan = plan_of(reuse_factor=2, layer_sizes=[2, 1], pipeline="all_registers", update_rounding=rounding)
    assert plan.folded
    assert (plan.registers_change, plan.registers_update) == (False, False)
    check_coefficient(plan, 1)
    assert "dff" not in convert(CoefficientUpdate(plan))


def test_what_is_written_from_outside_replaces_an_update() -> None:
    plan = plan_of()
    dut, coefficient = CoefficientUpdate(plan), plan.layer.formats.coefficient

    async def bench(ctx: Any) -> None:
        ctx.set(dut.access_write, 1)
        for before in (coefficient.minimum, -1, 3, coefficient.maximum):
            for product in (plan.layer.update_product.minimum, 0, plan.layer.update_product.maximum):
                ctx.set(dut.coefficient.raw, before)
                ctx.set(dut.product.raw, product)
                for code in (coefficient.minimum, 0, -5, coefficient.maximum):
                    ctx.set(dut.access_data.raw, code)
                    assert ctx.get(dut.result.raw) == code

    simulate(dut, bench)


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


@pytest.mark.parametrize(("pipeline", "bits"), [("no_registers", 0), (["change", "update"], 1)])
def test_registers_are_counted(pipeline: Any, bits: int) -> None:
    plan, parts = plan_of(pipeline=pipeline), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_coefficient_update(parts, plan, 1)
    registers = plan.layer.move(plan.rounding).width + plan.layer.formats.coefficient.width + 1
    assert parts.counts["register"] == bits * registers
