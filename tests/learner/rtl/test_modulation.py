"""Modulated nodes and what teaches their edges, as components alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.modulation import (
    ModulatedNodes,
    TurnedGradients,
    count_modulated_nodes,
    count_turned_gradients,
)
from kanrtl.numeric.fixed import narrow
from support.components import convert, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes

PIPELINES = ["no_registers", "most_registers", "all_registers"]


def times(u: Any, value: Any, sign: int) -> Any:
    """Values of nodes (axis 0) times what multiplies them ``(inputs, modulation)``; a negative sign for conjugates."""
    if u.shape[1] == 1:
        return value * u[:, 0]
    found = np.empty((value.shape[0], len(u)), dtype=np.int64)
    found[::2] = value[::2] * u[:, 0] - sign * value[1::2] * u[:, 1]
    found[1::2] = value[1::2] * u[:, 0] + sign * value[::2] * u[:, 1]
    return found


@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("modulated", [True, "complex"])
def test_nodes_are_sums_of_products_of_rounded_curves(modulated: object, pipeline: str) -> None:
    plan = plan_of(0, layer_sizes=[3, 2], modulated=modulated, pipeline=pipeline)
    layer, formats = plan.layer, plan.layer.formats
    random, dut = np.random.default_rng(3), ModulatedNodes(plan)
    convert(ModulatedNodes(plan))

    async def bench(ctx: Any) -> None:
        for _ in range(20):
            coefficients = random_codes(random, formats.coefficient, layer.n_out, layer.n_in, layer.banks)
            basis = layer.basis_table[random.integers(layer.table_size, size=layer.n_in)]
            u = random_codes(random, formats.input, layer.n_in, layer.modulation)
            set_codes(ctx, dut.coefficients, coefficients)
            set_codes(ctx, dut.basis, basis)
            set_codes(ctx, dut.factors, u)
            await ctx.tick().repeat(dut.latency) if dut.latency else await ctx.delay(1e-9)
            exact = (layer.factors_of(coefficients) * basis).sum(axis=2)
            curves, outside = narrow(exact, layer.edge_sum.f, formats.factor, plan.rounding)
            assert not outside.any()
            totals = times(u, curves, 1).sum(axis=1)
            assert get_codes(ctx, dut.total) == totals.tolist()
            y, saturated = narrow(totals, layer.node_sum.f, formats.output, plan.rounding)
            assert get_codes(ctx, dut.y) == y.tolist()
            assert ctx.get(dut.saturated.activation) == sum(bool(one) << n for n, one in enumerate(saturated))

    simulate(dut, bench)
    assert dut.latency == {"no_registers": 0, "most_registers": 4, "all_registers": 6}[pipeline]


@pytest.mark.parametrize("schedule", ["sequential", "streaming"])
@pytest.mark.parametrize("pipeline", PIPELINES)
@pytest.mark.parametrize("modulated", [True, "complex"])
def test_gradients_turn_back(modulated: object, pipeline: str, schedule: str) -> None:
    plan = plan_of(0, layer_sizes=[3, 2], modulated=modulated, pipeline=pipeline, schedule=schedule)
    layer, formats = plan.layer, plan.layer.formats
    random, dut = np.random.default_rng(4), TurnedGradients(plan)
    convert(TurnedGradients(plan))

    async def bench(ctx: Any) -> None:
        seen = False
        for _ in range(20):
            gradient = random_codes(random, formats.gradient, layer.n_out)
            u = random_codes(random, formats.input, layer.n_in, layer.modulation)
            set_codes(ctx, dut.gradient, gradient)
            set_codes(ctx, dut.factors, u)
            # Where samples stream, inputs go along with their sample.
            cycles = plan.times.turned - 1 if plan.streaming else dut.latency
            await ctx.tick().repeat(cycles) if cycles else await ctx.delay(1e-9)
            exact = times(u, np.repeat(gradient[:, None], layer.n_in, axis=1), -1)
            turned, saturated = narrow(exact, layer.turned_sum.f, formats.gradient, plan.rounding)
            assert get_codes(ctx, dut.turned) == turned.ravel().tolist()
            assert bool(ctx.get(dut.saturated.gradient)) == saturated.any()
            seen |= saturated.any()
        assert seen

    simulate(dut, bench)
    assert dut.latency == (0 if pipeline == "no_registers" else 3 if schedule == "streaming" else 2)


def test_multipliers_are_counted() -> None:
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    plan = plan_of(0, layer_sizes=[4, 2], modulated="complex", schedule="streaming")
    count_modulated_nodes(parts, plan, predicts=True)
    assert parts.multipliers == 4 * 2 * 4 + 4 * 4
    count_turned_gradients(parts, plan)
    assert parts.multipliers == 4 * 2 * 4 + 4 * 4 + 4 * 4
