"""Linear paths: their inputs and steps, every edge's w, and what they add to a node."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl import LearnerSpec
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.estimate.estimate import count_parts
from kanrtl.learner.rtl.linear import LinearInputs, LinearWeights, count_linear_inputs, count_linear_weights
from kanrtl.learner.stages import PRESETS
from kanrtl.numeric.fixed import narrow
from support.components import convert, register_bits, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes

LINEAR: dict[str, Any] = {"linear": True, "linear_rate": 0.4, "linear_step_format": "SQ(1, 7)"}

HIDDEN = {"pipeline": "most_registers", "table_memory": "logic"}

STREAMING = {"schedule": "streaming", "pipeline": ["step", "scale", "multiply", "update"]}


@pytest.mark.parametrize(("index", "fields"), [(0, {}), (1, HIDDEN), (0, STREAMING), (1, STREAMING)])
@pytest.mark.parametrize("rounding", ["floor", "half_up", "half_even"])
def test_inputs_and_steps_are_there_in_time(index: int, fields: dict[str, Any], rounding: str) -> None:
    plan = plan_of(index, **LINEAR, **fields, rounding=rounding)
    linear, times, dut = plan.linear, plan.times, LinearInputs(plan)
    random = np.random.default_rng(4)
    xs = [random_codes(random, linear.input, plan.layer.n_in) for _ in range(20)]
    rate = linear.rate_code
    # Of a sample that comes in cycle 0 a value of time t is there in cycle t, or in the first layer from its register.
    begin = plan.arrival
    assert dut.latency == times.read - begin

    async def bench(ctx: Any) -> None:
        ctx.set(dut.rate.raw, rate)
        ctx.set(dut.take, 1)
        for cycle in range(len(xs) + 12):
            if cycle < len(xs):
                set_codes(ctx, dut.x, xs[cycle])
            await ctx.delay(1e-10)
            for outputs, time in ((dut.inputs, times.read), (dut.steps, times.step)):
                sample = cycle - (time - begin)
                if not (plan.streaming and 0 <= sample < len(xs)):
                    continue
                expected, _ = narrow(rate * xs[sample], linear.step_product.f, linear.step, rounding)
                assert get_codes(ctx, outputs) == (xs[sample] if outputs is dut.inputs else expected).tolist()
            sample = cycle - (dut.seen - begin)
            if plan.streaming and 0 <= sample < len(xs):
                _, outside = narrow(rate * xs[sample], linear.step_product.f, linear.step, rounding)
                assert ctx.get(dut.saturated.step) == sum(int(flag) << bit for bit, flag in enumerate(outside))
            await ctx.tick()
        if not plan.streaming:  # the last is held
            set_codes(ctx, dut.x, xs[-1])
            ctx.set(dut.take, 1)
            await ctx.tick().repeat(4)
            ctx.set(dut.take, 0)
            if not plan.hidden:
                set_codes(ctx, dut.x, xs[0])
            await ctx.tick().repeat(4)
            expected, _ = narrow(rate * xs[-1], linear.step_product.f, linear.step, rounding)
            assert get_codes(ctx, dut.inputs) == xs[-1].tolist()
            assert get_codes(ctx, dut.steps) == expected.tolist()

    assert "step" in plan.saturating
    simulate(dut, bench)


@pytest.mark.parametrize("late", [False, True])
def test_weights_are_read_as_they_are_fetched_and_changed_again_before_they_are_stored(late: bool) -> None:
    plan = plan_of(0, **LINEAR, schedule="streaming", pipeline=["read", "sum", "update"] if late else ["read", "sum"])
    layer, times = plan.layer, plan.times
    assert plan.writes_late == late
    assert times.read > times.fetch
    random = np.random.default_rng(5)
    shape = layer.n_out, layer.n_in
    held = random_codes(random, layer.formats.coefficient, *shape)
    dut = LinearWeights(plan, held)
    stored = [held]

    async def bench(ctx: Any) -> None:
        enabled = False
        for cycle in range(30):
            written = random_codes(random, layer.formats.coefficient, *shape)
            enable, accessed = bool(random.integers(2)), random.integers(10, size=shape) == 0
            set_codes(ctx, dut.write, written)
            ctx.set(dut.write_enable, enable)
            for place in np.ndindex(*shape):
                ctx.set(dut.access_enable[place[0]][place[1]], int(accessed[place]))
            await ctx.delay(1e-10)
            now, again = stored[-1], late and enabled
            assert ctx.get(dut.again) == again
            assert get_codes(ctx, dut.stored) == now.ravel().tolist()
            assert get_codes(ctx, dut.old) == (0 * now if again else now).ravel().tolist()
            if cycle >= times.read - times.fetch:
                fetched = stored[cycle - (times.read - times.fetch)]
                assert get_codes(ctx, dut.read) == layer.factors_of(fetched).ravel().tolist()
            writes = enabled if late else enable
            stored.append(written if writes else np.where(accessed, written, now))
            enabled = enable
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("fields", [{}, HIDDEN, STREAMING])
@pytest.mark.parametrize("index", [0, 1])
def test_registers_are_counted(index: int, fields: dict[str, Any]) -> None:
    plan = plan_of(index, **LINEAR, **fields)
    first = np.zeros((plan.layer.n_out, plan.layer.n_in), dtype=np.int64)
    for dut, count in ((LinearInputs(plan), count_linear_inputs), (LinearWeights(plan, first), count_linear_weights)):
        parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
        count(parts, plan)
        late = plan.multiplied - plan.times.step if plan.streaming and count is count_linear_inputs else 0
        enables = int(plan.writes_late and count is count_linear_weights)
        built = register_bits(convert(dut)) + late * plan.linear.step.width * plan.layer.n_in - enables
        # Halfway in a product, its halves are a few bits narrower than its operands reach together; each of them has a
        # bit that its sum never needs, which synthesis removes.
        halves = 2 * plan.layer.n_in if plan.scales_linear and count is count_linear_inputs else 0
        assert built - halves <= parts.counts["register"] <= built + 4 * halves


@pytest.mark.parametrize("pipeline", list(PRESETS))
@pytest.mark.parametrize("schedule", ["sequential", "streaming"])
def test_a_linear_path_takes_no_cycle_and_two_multipliers_an_edge(pipeline: str, schedule: str) -> None:
    fields = {"layer_sizes": [2, 3, 1], "grid_range": (-2, 2), "pipeline": pipeline, "schedule": schedule}
    without, linear = LearnerSpec(**fields), LearnerSpec(**fields, linear=True)
    for name in ("latency", "interval", "delays"):
        assert getattr(without, name) == getattr(linear, name)
    fabric = FAMILIES["ecp5"].blocks
    counts = [count_parts(spec, fabric, multiplies=True).multipliers for spec in (without, linear)]
    assert counts[1] - counts[0] == 2 * (2 * 3 + 3 * 1)
