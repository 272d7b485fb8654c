"""One multiplier, several uses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.shared_multiplier import SharedMultiplier, count_shared_multiplier, product_format
from kanrtl.numeric.fixed import SQ, UQ
from support.components import convert, simulate
from support.folded import codes, plan_of

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
        parts = Parts(families["ecp5"], multiplies=True)
        plan = plan_of("hidden, shared", multiplier=multiplier)
        count_shared_multiplier(parts, plan, list(USES.values()), times=3)
        assert parts.multipliers == (3 if multiplier == "dsp" else 0)
        counts[multiplier] = parts.counts
    assert counts["dsp"]["choice"] == counts["serial"]["choice"] == counts["lut"]["choice"] > 0
    assert counts["lut"]["term"] > 0
    assert counts["serial"]["serial"] > 0
