"""What saturates in the passes of a sample."""

from __future__ import annotations

from typing import Any

from kanrtl.learner.rtl.pass_saturation import PassSaturation
from support.components import convert, simulate


def test_what_saturates_in_a_step_is_remembered_until_the_next_sample() -> None:
    dut = PassSaturation({"coefficient": 4, "step": 1})

    async def bench(ctx: Any) -> None:
        for bits in (0b0100, 0b1001):
            ctx.set(dut.flags.coefficient, bits)
            assert ctx.get(dut.saturated.coefficient) == 0
            await ctx.tick().repeat(dut.latency)
            ctx.set(dut.flags.coefficient, 0)
            for _ in range(3):
                assert ctx.get(dut.saturated.coefficient) == 1
                assert ctx.get(dut.saturated.step) == 0
                await ctx.tick()
            ctx.set(dut.restart, 1)
            await ctx.tick()
            ctx.set(dut.restart, 0)

    simulate(dut, bench)
    convert(dut)


def test_sums_keep_still_until_they_are_counted() -> None:
    dut = PassSaturation({"activation": 2, "gradient": 2})

    async def bench(ctx: Any) -> None:
        ctx.set(dut.flags.activation, 2)
        ctx.set(dut.flags.gradient, 1)
        # Activations are told at once.
        assert (ctx.get(dut.saturated.activation), ctx.get(dut.saturated.gradient)) == (1, 0)
        await ctx.tick().repeat(dut.latency)
        assert (ctx.get(dut.saturated.activation), ctx.get(dut.saturated.gradient)) == (1, 1)
        ctx.set(dut.flags.activation, 0)
        ctx.set(dut.flags.gradient, 0)
        assert (ctx.get(dut.saturated.activation), ctx.get(dut.saturated.gradient)) == (0, 1)
        await ctx.tick().repeat(dut.latency)
        assert (ctx.get(dut.saturated.activation), ctx.get(dut.saturated.gradient)) == (0, 0)

    simulate(dut, bench)
