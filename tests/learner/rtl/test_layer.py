"""A whole layer alone: one sample forward and back, and what of it saturates. Learners of many layers, and many samples
after another, are in test_learner.py."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl import LearnerSpec
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.coefficients import CoefficientAccess
from kanrtl.learner.rtl.folded_layer import FoldedLayer
from kanrtl.learner.rtl.layer import Layer, LayerSignature, count_layer
from kanrtl.numeric.fixed import narrow
from support.components import convert, count_cells, simulate
from support.layers import SMALL, get_codes, plan_of, random_codes, set_codes
from support.located import bases_of, window_of

ALWAYS = {
    *("take", "update", "x", "y", "gradient", "learning_rate", "rate_written", "busy", "saturated"),
    *("access", "access_write", "access_data"),
}


@pytest.mark.parametrize(
    ("index", "fields", "more"),
    [
        (0, {}, {"total"}),
        (1, {}, {"downstream", "target", "error"}),
        (1, {"loss": "logistic", "update_rounding": "stochastic"}, {"downstream", "total", "noise"}),
        (0, {"reuse_factor": [2, 3]}, {"total"}),
        (1, {"reuse_factor": [2, 3]}, {"downstream", "total"}),
    ],
)
def test_members_follow_the_plan(index: int, fields: dict[str, Any], more: set[str]) -> None:
    plan = plan_of(index, **fields)
    initial = LearnerSpec(**SMALL | fields).initial_codes()[index]
    layer = (FoldedLayer if plan.folded else Layer)(plan, initial)
    assert isinstance(layer.signature, LayerSignature)
    assert set(layer.signature.members) == ALWAYS | more
    assert "\nmodule \\top\n" in convert(layer)


def test_access_reaches_every_coefficient() -> None:
    layer = plan_of().layer
    members = CoefficientAccess(layer).members
    shapes = [members[name].shape for name in ("output", "input", "index")]
    assert shapes == [range(layer.n_out), range(layer.n_in), range(layer.bases)]


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("pipeline", ["no_registers", "most_registers", "all_registers"])
@pytest.mark.parametrize("fields", [{}, {"memory": "block", "edge_sums": "differences"}, {"schedule": "streaming"}])
def test_a_sample_goes_forward_and_updates_what_it_has_read(index: int, pipeline: Any, fields: dict[str, Any]) -> None:
    # As few edges as have a sum over inputs and one over nodes.
    plan, random = plan_of(index, layer_sizes=[2, 2, 2], pipeline=pipeline, **fields), np.random.default_rng(15)
    layer, formats, times = plan.layer, plan.layer.formats, plan.times
    coefficients = random_codes(random, formats.coefficient, layer.n_out, layer.n_in, layer.bases)
    dut = Layer(plan, coefficients.copy())
    end = times.changed + 2
    dropped, added = (plan.located.dropped, plan.located.added) if plan.located else (0, 0)

    async def sample(ctx: Any) -> None:
        x = random_codes(random, formats.input, layer.n_in)
        targets = random_codes(random, formats.output, layer.n_out)
        gradients = random_codes(random, formats.gradient, layer.n_out)
        cells, bases, derivatives = bases_of(layer, x)
        window = window_of(layer, coefficients, cells)
        factors = layer.factors_of(window)
        totals = (factors * bases).sum(axis=(1, 2))
        y = narrow(totals, layer.node_sum.f, formats.output, plan.rounding).result
        for now in range(end + 1):
            held = not plan.streaming and (plan.hidden or now == 0)
            set_codes(ctx, dut.x, (x << dropped) + added if now == plan.arrival or held else x * 0 + added)
            ctx.set(dut.take, now == 0)
            if plan.forms_error:
                set_codes(ctx, dut.target, targets if now == 1 or not plan.streaming else targets * 0)
            there = now == times.gradient or not plan.streaming
            set_codes(ctx, dut.gradient, gradients if there else gradients * 0)
            ctx.set(dut.update, now == times.changed - plan.writes_late)
            if now == times.summed:
                if not plan.next_located:
                    assert get_codes(ctx, dut.y) == y.tolist()
                if plan.forms_error:
                    exact = totals - (targets << layer.error_sum.f - formats.output.f)
                    error = narrow(exact, layer.error_sum.f, formats.gradient, plan.rounding).result
                    assert get_codes(ctx, dut.error) == error.tolist()
                else:
                    more = plan.next_located.added if plan.next_located else 0
                    assert get_codes(ctx, dut.total) == (totals + more).tolist()
            if plan.hidden and now == plan.parallel.layers[index - 1].gradient:
                exact = (factors * derivatives).sum(axis=2)
                slopes = narrow(exact, layer.slope_sum.f, formats.slope, plan.rounding).result
                total = (gradients[:, None] * slopes).sum(axis=0)
                expected = narrow(total, layer.downstream_sum.f, formats.downstream, plan.rounding).result
                assert get_codes(ctx, dut.downstream) == expected.tolist()
            await ctx.tick()
        steps = narrow(layer.learning_rate_code * bases, layer.step_product.f, formats.step, plan.rounding).result
        exact = (window << layer.update_sum.f - formats.coefficient.f) - gradients[:, None, None] * steps
        updated = narrow(exact, layer.update_sum.f, formats.coefficient, plan.update_rounding).result
        for source, cell in enumerate(cells):
            for place in range(cell, min(cell + layer.banks, layer.bases)):
                coefficients[:, source, place] = updated[:, source, place % layer.banks]

    async def bench(ctx: Any) -> None:
        assert dut.latency == times.summed - plan.arrival
        ctx.set(dut.learning_rate.raw, layer.learning_rate_code)
        for _ in range(6):
            await sample(ctx)
        ctx.set(dut.access.enable, 1)
        for place in np.ndindex(*coefficients.shape):
            for member, number in zip((dut.access.output, dut.access.input, dut.access.index), place, strict=True):
                ctx.set(member, number)
            ctx.set(dut.take, 1)
            await ctx.tick().repeat(plan.parallel.access_cycles)
            assert ctx.get(dut.access.read_data.raw) == coefficients[place]

    simulate(dut, bench)


@pytest.mark.parametrize("streaming", [False, True])
def test_saturations_are_told_when_they_are_counted(streaming: bool) -> None:
    """Of a single sample: the coefficients are at their bound, and move beyond it."""
    schedule = "streaming" if streaming else "sequential"
    plan = plan_of(schedule=schedule, layer_sizes=[2, 1], coefficient_format="SQ(6, 7)", factor_format="SQ(6, 5)")
    layer, formats, times = plan.layer, plan.layer.formats, plan.times
    assert plan.saturating == {"activation", "coefficient", "gradient"}
    top = np.full((layer.n_out, layer.n_in, layer.bases), formats.coefficient.maximum)
    dut = Layer(plan, top)
    predicted, taught = plan.parallel.counted

    async def bench(ctx: Any) -> None:
        ctx.set(dut.learning_rate.raw, layer.learning_rate_code)
        set_codes(ctx, dut.target, [formats.output.minimum])
        seen: dict[str, list[int]] = {kind: [] for kind in plan.saturating}
        for now in range(taught + 1):
            ctx.set(dut.take, now == 0)
            here = now == times.gradient or not streaming
            set_codes(ctx, dut.gradient, [formats.gradient.minimum if here else 0])
            for kind, times_seen in seen.items():
                if ctx.get(dut.saturated[kind]):
                    times_seen.append(now)
            await ctx.tick()
        assert predicted in seen["activation"]
        assert taught in seen["gradient"]
        assert taught in seen["coefficient"]
        if streaming:  # the zeros before and after are multiplied by nothing
            assert seen["coefficient"] == [taught]

    simulate(dut, bench)


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("fields", [{}, {"schedule": "streaming"}, {"update_rounding": "stochastic"}])
def test_multipliers_and_memories_are_counted(index: int, fields: dict[str, Any]) -> None:
    plan, parts = plan_of(index, **fields), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_layer(parts, plan, predicts=True)
    multiplications, memories = count_cells(Layer(plan, LearnerSpec(**SMALL | fields).initial_codes()[index]))
    assert parts.multipliers == multiplications
    [memory] = [memory for memory in parts.memories if memory.name == "coefficients"]
    assert memories[memory.width, memory.depth] == memory.count
