"""What stands around the arithmetic of a baseline: registers that are reached from outside, and when things change."""

from typing import Any

import pytest

from kanrtl.baselines import LmsSpec
from kanrtl.baselines.baseline_addresses import BaselineAddresses
from kanrtl.baselines.rtl.baseline_control import BaselineControl
from support.components import simulate
from support.streams import access


@pytest.mark.parametrize("pipeline", ["no_registers", "all_registers"])
def test_updates_and_counters_come_in_their_cycle(pipeline: str) -> None:
    spec = LmsSpec(n_in=1, pipeline=pipeline)
    dut, addresses = BaselineControl(spec), BaselineAddresses.of(spec)
    assert dut.latency == spec.latency == {"no_registers": 1, "all_registers": 4}[pipeline]

    async def ask(ctx: Any, address: int, value: int | None = None) -> int:
        return await access(ctx, dut.access, address, value)

    async def step(ctx: Any) -> list[int]:
        """The cycles after the one that takes a sample in which weights change."""
        ctx.set(dut.samples.payload.learn, 1)
        ctx.set(dut.samples.valid, 1)
        await ctx.tick().until(dut.samples.ready)
        ctx.set(dut.samples.valid, 0)
        strobes = []
        for _ in range(6):
            _, _, update = await ctx.tick().sample(dut.update)
            strobes.append(int(update))
        return [cycle + 1 for cycle, update in enumerate(strobes) if update]

    async def bench(ctx: Any) -> None:
        ctx.set(dut.predictions.ready, 1)
        for kind in ("activation", "step"):
            ctx.set(dut.saturated[kind], 1)
        assert await step(ctx) == [spec.latency]
        kinds = ("activation", "gradient", "step")
        counters = {kind: addresses.register(addresses.counter_number(kind)) for kind in kinds}
        assert [await ask(ctx, address) for address in counters.values()] == [1, 0, 1]
        control, rate = addresses.register(addresses.control_number), addresses.register(addresses.rate_number)
        assert await ask(ctx, control) == 0
        await ask(ctx, control, 1)
        assert await ask(ctx, control) == 1
        assert await step(ctx) == []
        assert [await ask(ctx, address) for address in counters.values()] == [2, 0, 1]
        await ask(ctx, counters["activation"], 0)
        assert [await ask(ctx, address) for address in counters.values()] == [0, 0, 1]
        assert await ask(ctx, rate) == spec.rate_register.code
        await ask(ctx, rate, 5)
        assert (await ask(ctx, rate), ctx.get(dut.rate.raw)) == (5, 5)
        ctx.set(dut.read, 77)
        assert await ask(ctx, 1) == 77
        assert await ask(ctx, addresses.register((1 << addresses.width - 1) - 1)) == 0

    simulate(dut, bench)
