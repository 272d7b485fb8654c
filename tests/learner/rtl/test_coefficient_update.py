"""The update of a coefficient against exact fractions: values, cycles, and what is written from outside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.coefficient_update import CoefficientUpdate, count_coefficient_update
from support.components import convert, simulate
from support.layers import plan_of, random_codes, updated
from support.search import examples

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
    leak=st.sampled_from([0, 0, 1, 3, 12, 20]),
)


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
    leaks = random.integers(0, 2, count).tolist() if "leaks" in dut.signature.members else None
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
                if leaks:
                    ctx.set(dut.leaks, leaks[cycle - late])
            done = cycle - dut.latency
            if done >= 0:
                changed = coefficients[done]
                if again[done]:
                    assert before is not None
                    changed = before
                kept = replace(plan, layer=replace(layer, leak=0)) if leaks and not leaks[done] else plan
                before, outside = updated(kept, changed, moves[done], noises[done])
                assert (ctx.get(dut.result.raw), ctx.get(dut.saturated)) == (before, outside)
            await ctx.tick()

    simulate(dut, bench)


@examples(40)
@given(plan=PLANS, seed=st.integers(0, 2**32 - 1))
def test_a_coefficient_is_rounded_once_and_saturated(plan: LayerPlan, seed: int) -> None:
    check_coefficient(plan, seed)


@pytest.mark.parametrize("leak", [0, 4])
@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_folded_layers_update_in_no_cycle(rounding: str, leak: int) -> None:
    plan = plan_of(reuse_factor=2, layer_sizes=[2, 1], pipeline="all_registers", update_rounding=rounding, leak=leak)
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


@pytest.mark.parametrize("rounding", ROUNDINGS)
def test_a_leak_is_counted(rounding: str) -> None:
    plans = [plan_of(update_rounding=rounding, leak=leak) for leak in (0, 9)]
    adders = []
    for plan in plans:
        parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
        count_coefficient_update(parts, plan, 1)
        adders.append(parts.counts["adder"])
    assert adders[1] - adders[0] >= plans[1].layer.formats.coefficient.width + 9


@pytest.mark.parametrize(("pipeline", "bits"), [("no_registers", 0), (["change", "update"], 1)])
def test_registers_are_counted(pipeline: Any, bits: int) -> None:
    plan, parts = plan_of(pipeline=pipeline), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_coefficient_update(parts, plan, 1)
    registers = plan.layer.move(plan.rounding).width + plan.layer.formats.coefficient.width + 1
    assert parts.counts["register"] == bits * registers
