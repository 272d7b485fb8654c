"""What becomes of a node's terms: the parts of a node after its products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.node_sums import NodeError, NodeTotal, rounded_sum, term_layout, term_members
from kanrtl.numeric.fixed import narrow
from support.components import convert, register_bits, simulate
from support.layers import plan_of, random_codes

PIPELINES: list[Any] = ["single", ["sum"], ["sum", "error"]]
EDGES = ["products", "differences"]


def terms(plan: LayerPlan, random: np.random.Generator) -> tuple[list[int], int, int]:
    """Terms, the sum of first coefficients, and what they add up to: within what a node can reach."""
    layer = plan.layer
    edge = int(random_codes(random, layer.formats.coefficient, 1)[0]) << layer.formats.basis.f
    count = term_layout(plan).length
    drawn = [edge // 4 + int(n) for n in random.integers(-8, 8, count)]
    if not plan.differences:
        return drawn, 0, sum(drawn)
    firsts = int(random_codes(random, layer.formats.coefficient, 1)[0])
    small = [int(n) for n in random.integers(-8, 8, count)]
    return small, firsts, sum(small) + (firsts << layer.formats.basis.f)


async def give(ctx: Any, dut: Any, plan: LayerPlan, values: list[int], firsts: int) -> None:
    for term, value in zip(dut.terms, values, strict=True):
        ctx.set(term, value)
    if plan.differences:
        ctx.set(dut.firsts, firsts)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("edge_sums", EDGES)
@pytest.mark.parametrize("fields", [{}, {"rounding": "half_even"}])
def test_a_total_has_what_the_next_layer_adds(pipeline: Any, edge_sums: str, fields: dict[str, str]) -> None:
    plan, random = plan_of(pipeline=pipeline, edge_sums=edge_sums, **fields), np.random.default_rng(12)
    layer, dut = plan.layer, NodeTotal(plan)
    added = plan.next_located.added if plan.next_located else 0
    assert (plan.next_located is None) == (fields != {})

    async def bench(ctx: Any) -> None:
        assert dut.latency == ("sum" in pipeline)
        for _ in range(20):
            values, firsts, total = terms(plan, random)
            await give(ctx, dut, plan, values, firsts)
            await ctx.tick().repeat(dut.latency) if dut.latency else None
            y = narrow(total, layer.node_sum.f, layer.formats.activation, plan.rounding).result
            assert (ctx.get(dut.total.raw), ctx.get(dut.y.raw)) == (total + added, y)

    simulate(dut, bench)
    bits = register_bits(convert(dut))
    assert (bits > 0) == ("sum" in pipeline)


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("edge_sums", EDGES)
@pytest.mark.parametrize("rounding", ["half_up", "half_even", "floor"])
@pytest.mark.parametrize("inputs", [1, 2])
def test_an_error_is_the_total_less_the_target(pipeline: Any, edge_sums: str, rounding: str, inputs: int) -> None:
    plan = plan_of(layer_sizes=[inputs, 1], pipeline=pipeline, edge_sums=edge_sums, rounding=rounding)
    random, layer, formats, dut = np.random.default_rng(13), plan.layer, plan.layer.formats, NodeError(plan)
    assert plan.forms_error
    assert layer.node_sum.f == layer.error_sum.f

    async def bench(ctx: Any) -> None:
        assert dut.latency == ("sum" in pipeline)
        for _ in range(20):
            values, firsts, total = terms(plan, random)
            target = int(random_codes(random, formats.activation, 1)[0])
            await give(ctx, dut, plan, values, firsts)
            ctx.set(dut.target.raw, target)
            await ctx.tick().repeat(dut.latency) if dut.latency else None
            exact = total - (target << layer.error_sum.f - formats.activation.f)
            error, beyond = narrow(exact, layer.error_sum.f, formats.gradient, rounding)
            y = narrow(total, layer.node_sum.f, formats.activation, rounding).result
            assert (ctx.get(dut.error.raw), ctx.get(dut.y.raw)) == (error, y)
            if "gradient" in plan.saturating:
                assert ctx.get(dut.saturated.gradient) == beyond

    simulate(dut, bench)
    assert (register_bits(convert(dut)) > 0) == ("sum" in pipeline)


def test_members_follow_the_plan() -> None:
    for edge_sums, inputs, count in (
        ("products", 1, 2),
        ("products", 3, 3),
        ("differences", 1, 2),
        ("differences", 3, 5),
    ):
        plan = plan_of(layer_sizes=[inputs, 1], edge_sums=edge_sums)
        assert term_layout(plan).length == count
        assert ("firsts" in term_members(plan)) == plan.differences
        assert rounded_sum(plan).width == plan.layer.node_sum.width + 1
