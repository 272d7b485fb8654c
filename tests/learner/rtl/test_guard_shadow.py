"""The shadow of a guard: what is copied comes back, once it is good."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.sim import Simulator

from kanrtl import LearnerSpec
from kanrtl.learner.address_map import AddressMap
from kanrtl.learner.rtl.guard_shadow import GuardShadow

SPEC = LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2), grid_size=4, initial_coefficients="uniform")


class Memory:
    """What answers the shadow's requests, two cycles later, as a learner with these coefficients."""

    def __init__(self, spec: LearnerSpec) -> None:
        places = AddressMap.of(spec)
        self.addresses = [places.coefficient(0, 0, source, index) for source in range(2) for index in range(7)]
        self.content = dict.fromkeys(self.addresses, 0)
        self.requests: list[tuple[int, bool]] = []

    async def serve(self, ctx: Any, shadow: GuardShadow) -> None:
        request, response = shadow.access.request, shadow.access.response
        while True:
            ctx.set(request.ready, 1)
            _, _, asked, payload = await ctx.tick().sample(request.valid, request.payload)
            if not asked:
                continue
            ctx.set(request.ready, 0)
            address, write, code = payload.address, bool(payload.write), payload.data
            self.requests.append((address, write))
            await ctx.tick()
            if write:
                self.content[address] = code
            ctx.set(response.payload, self.content[address])
            ctx.set(response.valid, 1)
            await ctx.tick()
            ctx.set(response.valid, 0)

    def values(self) -> list[int]:
        return [self.content[address] for address in self.addresses]


async def pulse(ctx: Any, *signals: Any) -> None:
    for signal in signals:
        ctx.set(signal, 1)
    await ctx.tick()
    for signal in signals:
        ctx.set(signal, 0)


@pytest.mark.parametrize("initial", ["memory", "reset"])
def test_the_good_copy_comes_back(initial: str) -> None:
    spec = SPEC.replace(initial=initial)
    shadow, memory = GuardShadow(spec), Memory(spec)
    start = [int(code) for code in spec.initial_codes()[0].ravel()]

    async def bench(ctx: Any) -> None:
        async def restored(*signals: Any) -> list[int]:
            """What is there after a restore, when other things were there before."""
            memory.content.update(dict.fromkeys(memory.addresses, 99))
            memory.requests.clear()
            await pulse(ctx, shadow.restore, *signals)
            assert ctx.get(shadow.restoring)
            await ctx.tick().until(~shadow.busy)
            assert memory.requests == [(address, True) for address in memory.addresses]
            return memory.values()

        async def copied(first: int, *signals: Any) -> list[int]:
            memory.content.update({address: first + index for index, address in enumerate(memory.addresses)})
            memory.requests.clear()
            await pulse(ctx, shadow.copy, *signals)
            await ctx.tick().until(~shadow.busy)
            assert memory.requests == [(address, False) for address in memory.addresses]
            return memory.values()

        assert await restored() == start
        promised = await copied(-7)
        assert await restored() == start  # nobody confirmed it, and now it is given up
        await pulse(ctx, shadow.confirm)
        assert await restored() == start
        promised = await copied(-3)
        await pulse(ctx, shadow.confirm)
        assert await restored() == promised
        adopted = await copied(20, shadow.good)
        assert await restored() == adopted
        # A copy that is interrupted, with an answer on its way or not, is given up.
        for cycles in range(9, 14):
            await pulse(ctx, shadow.copy, shadow.good)
            await ctx.tick().repeat(cycles)
            assert await restored_after_part() == adopted

    async def restored_after_part() -> list[int]:
        memory.content.update(dict.fromkeys(memory.addresses, 99))
        ctx = contexts[0]
        await pulse(ctx, shadow.restore)
        await ctx.tick().until(~shadow.busy)
        return memory.values()

    contexts: list[Any] = []

    async def work(ctx: Any) -> None:
        contexts.append(ctx)
        await bench(ctx)

    async def serve(ctx: Any) -> None:
        await memory.serve(ctx, shadow)

    simulator = Simulator(shadow)
    simulator.add_clock(1e-8)
    simulator.add_testbench(work)
    simulator.add_testbench(serve, background=True)
    simulator.run()
    assert shadow.accesses == len(memory.addresses)
