"""Serial and shared multipliers against numpy, and all products of an edge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.edge_lane import (
    EdgeLane,
    SerialMultiplier,
    SharedMultiplier,
    count_edge_lanes,
    count_serial_multiplier,
    count_shared_multiplier,
    product_format,
)
from kanrtl.numeric.fixed import SQ, UQ, Format, narrow
from support.components import convert, register_bits, simulate
from support.folded import NAMES, backward_steps, codes, drive, forward_steps, plan_of
from support.search import examples

formats = st.builds(Format, st.booleans(), st.integers(1, 6), st.integers(0, 6))


def operands(formats: list[Format], random: np.random.Generator) -> list[tuple[int, int]]:
    """Every pair of corners, and some between them."""
    corners = [[format.minimum, format.maximum, 0] for format in formats]
    pairs = [(a, b) for a in corners[0] for b in corners[1]]
    drawn = [random.integers(format.minimum, format.maximum + 1, 10).tolist() for format in formats]
    return pairs + list(zip(*drawn, strict=True))


@examples(40)
@given(
    a=formats.filter(lambda a: a.signed),
    b=formats,
    more=st.integers(0, 3),
    gap=st.integers(0, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_serial_product_is_exact_and_in_time(a: Format, b: Format, more: int, gap: int, seed: int) -> None:
    """One multiplication directly after the other, or with cycles between them."""
    dut = SerialMultiplier(a.as_shape(), b.as_shape(), b.width + more)
    assert dut.latency == b.width + more

    async def bench(ctx: Any) -> None:
        for x, y in operands([a, b], np.random.default_rng(seed)):
            for cycle in range(dut.latency):
                ctx.set(dut.a, x)
                ctx.set(dut.b, y if cycle == 0 else ~y)  # taken with start
                ctx.set(dut.start, cycle == 0)
                ctx.set(dut.last, cycle == dut.latency - 1)
                await ctx.tick()
            ctx.set(dut.start, 0)
            assert ctx.get(dut.product) == x * y
            await ctx.tick().repeat(gap) if gap else None

    simulate(dut, bench)


@pytest.mark.parametrize(("b", "ports"), [(SQ(3, 2), 1), (UQ(3, 2), 0)])
def test_a_signed_operand_has_a_last_bit(b: Format, ports: int) -> None:
    """Whose sign costs no second adder, and which nothing looks at in an unsigned one."""
    a = SQ(4, 2)
    text = convert(SerialMultiplier(a.as_shape(), b.as_shape(), 7))
    assert "cell $mul " not in text
    assert text.count("connect \\A \\last ") == ports
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_serial_multiplier(parts, a, b, 7, times=2)
    # The product has one bit more: where it ends in a register, that is never loaded with anything of its own.
    assert parts.counts["register"] == 2 * register_bits(text)


USES = {"forward": (SQ(4, 8), UQ(1, 8)), "update": (SQ(6, 9), UQ(2, 6)), "slopes": (SQ(4, 8), SQ(3, 5))}


@pytest.mark.parametrize("multiplier", ["dsp", "lut", "serial"])
@pytest.mark.parametrize("names", [["forward"], ["slopes"], ["forward", "update"], list(USES)])
def test_products_are_exact_whosever_turn_it_is(multiplier: str, names: list[str]) -> None:
    plan = plan_of("hidden, shared", multiplier=multiplier)
    uses = {name: USES[name] for name in names}
    dut = SharedMultiplier(uses, plan)
    cycles = plan.passes.step_cycles
    assert dut.latency == (cycles if multiplier == "serial" else 0)
    random = np.random.default_rng(3)

    async def bench(ctx: Any) -> None:
        for turn in range(40):
            name = names[turn % len(names)]
            a = {each: int(codes(random, use[0])) for each, use in uses.items()}
            b = {each: int(codes(random, use[1])) for each, use in uses.items()}
            for each in names:
                ctx.set(dut.a[each].raw, a[each])
                ctx.set(dut.b[each].raw, b[each])
            for each in names[1:]:
                ctx.set(dut.chosen[each], each == name)
            for cycle in range(dut.latency):
                ctx.set(dut.start, cycle == 0)
                ctx.set(dut.last, cycle == dut.latency - 1)
                await ctx.tick()
            assert ctx.get(dut.product[name].raw) == a[name] * b[name]

    simulate(dut, bench)
    assert convert(dut).count("cell $mul ") == (multiplier == "dsp")
    for name, (x, y) in uses.items():
        assert dut.product[name].format == product_format(x, y)


def test_what_is_shared_is_counted_once() -> None:
    counts = {}
    for multiplier in ("dsp", "lut", "serial"):
        parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
        plan = plan_of("hidden, shared", multiplier=multiplier)
        count_shared_multiplier(parts, plan, list(USES.values()), times=3)
        assert parts.multipliers == (3 if multiplier == "dsp" else 0)
        counts[multiplier] = parts.counts
    assert counts["dsp"]["choice"] == counts["serial"]["choice"] == counts["lut"]["choice"] > 0
    assert counts["lut"]["term"] > 0
    assert counts["serial"]["serial"] > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_pass_has_its_products(name: str) -> None:
    plan = plan_of(name)
    layer, passes, formats = plan.layer, plan.passes, plan.layer.formats
    dut = EdgeLane(plan)
    assert dut.latency == passes.multiplied - passes.read
    random = np.random.default_rng(7)
    forward = forward_steps(plan, 1)
    backward = backward_steps(plan, forward[-1].begin + passes.step_cycles + passes.written)
    steps = [*forward, *backward]
    # What a step of each part meets: factors and tables, gradients and moves.
    shape = passes.inputs, passes.nodes
    factor = codes(random, formats.factor, *shape, layer.banks)
    basis = codes(random, formats.basis, *shape, layer.banks)
    # The largest row of the table bounds a slope.
    derivative = layer.derivative_table[random.integers(0, layer.table_size, shape)]
    derivative = np.concatenate([derivative, np.zeros((*shape, layer.banks - layer.window), dtype=int)], axis=2)
    move = codes(random, formats.step, *shape, layer.banks)
    gradient = codes(random, formats.gradient, *shape)
    exact = (factor * derivative).sum(axis=2)
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
                    put(ctx, dut.factor, factor[at])
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
                    assert found(ctx, dut.product) == (factor[at] * basis[at]).tolist()
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


@pytest.mark.parametrize("name", NAMES)
def test_multipliers_of_lanes_are_counted(name: str) -> None:
    plan, parts = plan_of(name), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_edge_lanes(parts, plan)
    edges = plan.passes.input_lanes * plan.passes.node_lanes
    assert parts.multipliers == edges * convert(EdgeLane(plan)).count("cell $mul ")
