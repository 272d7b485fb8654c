"""Slopes, and the gradients that a layer gives to the one before it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.downstream import Downstream, count_downstream
from kanrtl.numeric.fixed import narrow
from support.components import convert, simulate
from support.layers import get_codes, plan_of, random_codes, set_codes
from support.located import bases_of, window_of

FIELDS = [
    {"edge_sums": "products"},
    {"edge_sums": "differences", "rounding": "half_even", "slope_format": "SQ(2, 6)"},
    {"edge_sums": "differences", "schedule": "streaming", "gradient_format": "SQ(2, 6)", "spline_order": 2},
]


@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("pipeline", ["no_registers", ["sum", "error"], "all_registers"])
def test_gradients_go_downstream_in_time(fields: dict[str, Any], pipeline: Any) -> None:
    plan, random = plan_of(1, pipeline=pipeline, **fields), np.random.default_rng(14)
    layer, formats, times = plan.layer, plan.layer.formats, plan.times
    dut = Downstream(plan)
    arrives = times.gradient + dut.latency
    assert dut.latency == plan.ends("downstream") + plan.ends("error", below=1)
    assert arrives == plan.parallel.layers[0].gradient
    assert dut.seen == times.gradient + plan.ends("downstream")

    async def bench(ctx: Any) -> None:
        for _ in range(10):
            coefficients = random_codes(random, formats.coefficient, layer.n_out, layer.n_in, layer.bases)
            cells, _, derivatives = bases_of(layer, random_codes(random, formats.activation, layer.n_in))
            window = window_of(layer, coefficients, cells)
            gradients = random_codes(random, formats.gradient, layer.n_out)
            factors = window[:, :, 1:] - window[:, :, :1] if plan.differences else window
            exact = (window * derivatives).sum(axis=2)
            slopes, steep = narrow(exact, layer.slope_sum.f, formats.slope, plan.rounding)
            total = (gradients[:, None] * slopes).sum(axis=0)
            downstream, beyond = narrow(total, layer.downstream_sum.f, formats.gradient, plan.rounding)
            for now in range(times.read, arrives + 1):
                still = not plan.streaming
                read = now == times.read or still
                set_codes(ctx, dut.factors, factors if read else factors * 0)
                set_codes(ctx, dut.derivative, derivatives if read else derivatives * 0)
                there = now == times.gradient or (still and now > times.gradient)
                set_codes(ctx, dut.gradient, gradients if there else gradients * 0)
                for kind, since, flags in (("slope", times.summed, steep), ("gradient", dut.seen, beyond)):
                    if now == since and kind in plan.saturating:
                        bits = sum(int(flag) << lane for lane, flag in enumerate(flags.ravel()))
                        assert ctx.get(dut.saturated[kind]) == bits
                if now == arrives:
                    assert get_codes(ctx, dut.downstream) == downstream.tolist()
                await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("multiplier", ["auto", "lut"])
@pytest.mark.parametrize("edge_sums", ["products", "differences"])
def test_multipliers_are_counted(multiplier: str, edge_sums: str) -> None:
    plan, parts = plan_of(1, multiplier=multiplier, edge_sums=edge_sums), Parts(families["ecp5"], multiplies=True)
    count_downstream(parts, plan)
    assert parts.multipliers == convert(Downstream(plan)).count("cell $mul ")
    assert (parts.multipliers > 0) == (multiplier == "auto")
