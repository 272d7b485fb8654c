"""All products of an edge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.edge_lane import EdgeLane, count_edge_lanes
from kanrtl.numeric.fixed import narrow
from support.components import convert, simulate
from support.folded import PLANS, backward_steps, codes, drive, forward_steps, plan_of


@pytest.mark.parametrize("name", PLANS)
def test_every_pass_has_its_products(name: str) -> None:
    plan = plan_of(name)
    layer, passes, formats = plan.layer, plan.passes, plan.layer.formats
    dut = EdgeLane(plan)
    assert dut.latency == passes.multiplied - passes.read
    random = np.random.default_rng(7)
    forward = forward_steps(plan, 1)
    backward = backward_steps(plan, forward[-1].begin + passes.step_cycles + passes.written)
    steps = [*forward, *backward]
    # What a step of each part meets: coefficients and tables, gradients and moves.
    shape = passes.inputs, passes.nodes
    coefficient = codes(random, formats.coefficient, *shape, layer.banks)
    basis = codes(random, formats.basis, *shape, layer.banks)
    # The largest row of the table bounds a slope.
    derivative = layer.derivative_table[random.integers(0, layer.table_size, shape)]
    derivative = np.concatenate([derivative, np.zeros((*shape, layer.banks - layer.window), dtype=int)], axis=2)
    move = codes(random, formats.step, *shape, layer.banks)
    gradient = codes(random, formats.gradient, *shape)
    exact = (coefficient * derivative).sum(axis=2)
    slope, saturated = narrow(exact, layer.slope_sum.f, formats.slope, plan.rounding)
    pulses = "slopes" if passes.shared else "update"
    flagged = []

    def put(ctx: Any, member: Any, values: Any) -> None:
        for view, value in zip(member, values, strict=True):
            ctx.set(view.raw, int(value))

    def found(ctx: Any, member: Any) -> list[int]:
        return [ctx.get(view.raw) for view in member]

    async def bench(ctx: Any) -> None:
        for cycle in range(backward[-1].begin + max(passes.written, passes.gathered) + 2):
            drive(ctx, dut.times, plan, steps, cycle)
            for step in steps:
                at = step.input_part, step.node_part
                since = cycle - step.begin
                if 0 <= since - passes.read < passes.step_cycles:
                    put(ctx, dut.coefficient, coefficient[at])
                    put(ctx, dut.basis, basis[at])
                    if passes.hidden:
                        put(ctx, dut.derivative, derivative[at])
                if 0 <= since - passes.stepped < passes.step_cycles:
                    put(ctx, dut.move, move[at])
                    ctx.set(dut.gradient.raw, int(gradient[at]))
                if passes.hidden and 0 <= since - passes.sloped < passes.step_cycles:
                    ctx.set(dut.slope_gradient.raw, int(gradient[at]))
            for step in steps:
                at = step.input_part, step.node_part
                since = cycle - step.begin
                if step.kind == "forward" and since == passes.multiplied:
                    assert found(ctx, dut.product) == (coefficient[at] * basis[at]).tolist()
                if step.kind == "update" and since == passes.written:
                    assert found(ctx, dut.change) == (gradient[at] * move[at]).tolist()
                if passes.hidden and step.kind == pulses and since == passes.gathered:
                    assert ctx.get(dut.downstream.raw) == gradient[at] * slope[at]
                if passes.hidden and step.kind == pulses and since == passes.sloped and "slope" in plan.saturating:
                    flagged.append(ctx.get(dut.saturated.slope))
                    assert flagged[-1] == saturated[at]
            if "slope" in plan.saturating and passes.hidden:
                here = [step for step in steps if step.kind == pulses and cycle - step.begin == passes.sloped]
                assert here or ctx.get(dut.saturated.slope) == 0
            await ctx.tick()

    simulate(dut, bench)
    assert len(flagged) == (passes.steps if "slope" in plan.saturating and passes.hidden else 0)
    multipliers = 0
    if plan.multiplier not in ("lut", "serial"):
        multipliers = layer.banks * (1 if passes.shared else 2 + passes.hidden) + passes.hidden
    assert convert(dut).count("cell $mul ") == multipliers


@pytest.mark.parametrize("name", PLANS)
def test_multipliers_are_counted(name: str) -> None:
    plan, parts = plan_of(name), Parts(families["ecp5"], multiplies=True)
    count_edge_lanes(parts, plan)
    edges = plan.passes.input_lanes * plan.passes.node_lanes
    assert parts.multipliers == edges * convert(EdgeLane(plan)).count("cell $mul ")
