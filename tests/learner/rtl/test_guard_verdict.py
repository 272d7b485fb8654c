"""The verdict of a guard: what counters say of a window, also where they were set to zero or have come far."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.sim import Simulator

from kanrtl import LearnerSpec
from kanrtl.learner.address_map import AddressMap
from kanrtl.learner.guard_settings import GuardSettings
from kanrtl.learner.rtl.guard_verdict import GuardVerdict

SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), counts=["lost"])
KINDS = ("coefficient", "gradient", "lost")
LIMITS = {"error": 1000, "rails": 3, "stagnant_error": 500, "stagnant_lost": 4, "imprecise": 6}


def test_windows_are_judged_by_what_was_counted_in_them() -> None:
    verdict = GuardVerdict(SPEC, GuardSettings(window=16))
    addresses = AddressMap.of(SPEC)
    places = {addresses.saturations(kind): kind for kind in KINDS}
    counters, asked = dict.fromkeys(KINDS, 0), []

    async def answer(ctx: Any) -> None:
        request, response = verdict.access.request, verdict.access.response
        ctx.set(request.ready, 1)
        while True:
            _, _, valid, payload = await ctx.tick().sample(request.valid, request.payload)
            if not valid:
                continue
            kind = places[payload.address]
            asked.append((kind, bool(payload.write)))
            if payload.write:
                counters[kind] = 0
            ctx.set(response.payload, counters[kind])
            ctx.set(response.valid, 1)
            await ctx.tick()
            ctx.set(response.valid, 0)

    async def bench(ctx: Any) -> None:
        async def judge(errors: int = 0, **counted: int) -> int:
            asked.clear()
            for kind, count in counted.items():
                counters[kind] += count
            ctx.set(verdict.errors, errors)
            ctx.set(verdict.begin, 1)
            await ctx.tick()
            ctx.set(verdict.begin, 0)
            found = (await ctx.tick().sample(verdict.seen).until(verdict.judged))[0]
            assert ctx.get(verdict.error_sum) == errors
            assert not ctx.get(verdict.pending)
            return int(found)

        for name, limit in LIMITS.items():
            ctx.set(verdict.limits[name], limit)
        assert await judge(999, coefficient=2, gradient=1, lost=3) == 0
        assert asked == [(kind, False) for kind in KINDS]
        assert await judge(1000) == 1
        assert await judge(0, coefficient=3) == 1
        assert await judge(499, lost=4) == 0
        assert await judge(500, lost=4) == 2
        assert await judge(0, lost=3, gradient=3) == 4
        # One that has come far is set to zero, and counted on from there.
        assert await judge(0, lost=0x8000) == 4
        assert asked == [*((kind, False) for kind in KINDS), ("lost", True)]
        assert counters["lost"] == 0
        assert await judge(0, lost=5) == 0
        # Someone else sets one to zero.
        counters["lost"] = 0
        ctx.set(verdict.cleared, 0b100)
        await ctx.tick()
        ctx.set(verdict.cleared, 0)
        assert await judge(0, lost=5) == 0
        # A baseline judges nothing, whatever was counted.
        counters["coefficient"] += 100
        ctx.set(verdict.baseline, 1)
        ctx.set(verdict.begin, 1)
        await ctx.tick()
        ctx.set(verdict.baseline, 0)
        ctx.set(verdict.begin, 0)
        while ctx.get(verdict.pending):
            assert not ctx.get(verdict.judged)
            await ctx.tick()
        assert await judge(0, coefficient=2) == 0

    simulator = Simulator(verdict)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_testbench(answer, background=True)
    simulator.run()
    assert verdict.accesses == 6


@pytest.mark.parametrize("counts", [(), ("lost",)])
def test_what_is_off_is_not_looked_at(counts: tuple[str, ...]) -> None:
    """A limit of zero is no limit, and without a counter of lost updates there is nothing to say of them."""
    verdict = GuardVerdict(SPEC.replace(counts=counts), GuardSettings(window=16))
    seen = []

    async def bench(ctx: Any) -> None:
        ctx.set(verdict.access.request.ready, 1)
        ctx.set(verdict.access.response.valid, 1)
        ctx.set(verdict.access.response.payload, 0x7FFF)
        ctx.set(verdict.errors, 12345)
        ctx.set(verdict.begin, 1)
        await ctx.tick()
        ctx.set(verdict.begin, 0)
        seen.append((await ctx.tick().sample(verdict.seen).until(verdict.judged))[0])

    simulator = Simulator(verdict)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [0]
