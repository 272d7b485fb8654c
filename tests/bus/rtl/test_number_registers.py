"""Registers through which samples go in and predictions come out."""

from typing import Any

import pytest
from amaranth.sim import Simulator

from kanrtl.bus.core_ports import CorePorts
from kanrtl.bus.register_map import RegisterMap
from kanrtl.bus.rtl.number_registers import NumberRegisters
from support.small_cores import create_learner


@pytest.mark.usefixtures("unelaborated")
def test_a_sample_waits_for_its_prediction() -> None:
    ports = CorePorts(create_learner("after prediction"))
    map = RegisterMap.of(ports.described, streams=False)
    at = {each.name: each.address // 4 for each in map.entries}
    numbers = NumberRegisters(map, *(ports.stream(name) for name in ("samples", "predictions", "teaching")))
    local, samples, teaching = numbers.local, numbers.samples, numbers.teaching

    async def write(ctx: Any, address: int, data: int) -> bool:
        for signal, value in ((local.address, address), (local.data, data), (local.write, 1)):
            ctx.set(signal, value)
        _, _, refused = await ctx.tick().sample(local.refused)
        ctx.set(local.write, 0)
        return bool(refused)

    async def bench(ctx: Any) -> None:
        await write(ctx, at["sample"], -3 & 0xFFFFFFFF)
        assert not ctx.get(samples.valid)
        assert not await write(ctx, at["submit"], 1)
        assert ctx.get(samples.valid)
        assert ctx.get(samples.payload.learn)
        assert ctx.get(samples.payload.x[0].raw) == -3
        # As long as the core does not take it, and until its prediction is there, no other is let in.
        assert await write(ctx, at["submit"], 0)
        # Nor does it change: its numbers are written again when it is taken. A teacher's word is for the one before.
        assert await write(ctx, at["sample"], 7)
        assert not await write(ctx, at["target"], 1)
        assert (ctx.get(samples.valid), ctx.get(samples.payload.learn), ctx.get(samples.payload.x[0].raw)) == (1, 1, -3)
        ctx.set(samples.ready, 1)
        await ctx.tick()
        assert not ctx.get(samples.valid)
        assert not await write(ctx, at["sample"], 7)
        assert ctx.get(samples.payload.x[0].raw) == 7
        assert (ctx.get(numbers.pending), ctx.get(numbers.predicted)) == (1, 0)
        assert await write(ctx, at["submit"], 0)
        ctx.set(numbers.predictions.payload[1].raw, -5)
        ctx.set(numbers.predictions.valid, 1)
        assert ctx.get(numbers.predictions.ready)
        await ctx.tick()
        ctx.set(numbers.predictions.valid, 0)
        ctx.set(numbers.predictions.payload[1].raw, 4)
        assert (ctx.get(numbers.pending), ctx.get(numbers.predicted)) == (0, 1)
        ctx.set(local.address, at["prediction"] + 1)
        await ctx.delay(1e-9)
        assert ctx.get(local.read) == -5 & 0xFFFFFFFF
        # The teacher's word goes when it is asked for.
        await write(ctx, at["target"] + 1, 2)
        assert await write(ctx, at["teach"], 0)
        ctx.set(teaching.ready, 1)
        for signal, value in ((local.address, at["teach"]), (local.write, 1)):
            ctx.set(signal, value)
        _, _, valid, code, refused = await ctx.tick().sample(teaching.valid, teaching.payload[1].raw, local.refused)
        assert (valid, code, refused) == (1, 2, 0)
        ctx.set(local.write, 0)
        await ctx.delay(1e-9)
        assert not ctx.get(teaching.valid)
        assert not await write(ctx, at["submit"], 0)
        assert not ctx.get(numbers.predicted)

    simulator = Simulator(numbers)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert numbers.latency == 1


@pytest.mark.usefixtures("unelaborated")
def test_a_target_that_travels_with_a_sample_waits_with_it() -> None:
    ports = CorePorts(create_learner("folded"))
    map = RegisterMap.of(ports.described, streams=False)
    at = {each.name: each.address // 4 for each in map.entries}
    numbers = NumberRegisters(map, ports.stream("samples"), ports.stream("predictions"), None)
    local, samples = numbers.local, numbers.samples

    async def bench(ctx: Any) -> None:
        refused = []
        for name, data, ready in (("target", 5, 0), ("submit", 1, 0), ("target", 6, 0), ("sample", 6, 1)):
            for signal, value in ((local.address, at[name]), (local.data, data), (local.write, 1)):
                ctx.set(signal, value)
            ctx.set(samples.ready, ready)
            refused.append((await ctx.tick().sample(local.refused))[-1])
            assert ctx.get(samples.payload.target[0].raw) == 5
            assert ctx.get(samples.payload.x[0].raw) == 0
        # In the cycle in which it is taken it is still refused.
        assert refused == [0, 0, 1, 1]
        assert not ctx.get(samples.valid)

    simulator = Simulator(numbers)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
