"""What stands behind the addresses of a bus, with a core that is played by the test."""

from typing import Any

from amaranth.sim import Simulator

from kanrtl.bus.register_map import RegisterMap
from kanrtl.bus.rtl.register_decoder import RegisterDecoder
from support.bus_masters import transfer
from support.small_cores import SPECS


async def ask(
    ctx: Any, decoder: RegisterDecoder, address: int, write: int = 0, data: int = 0, strobes: int = 15
) -> tuple[Any, ...]:
    """Send a request; give data and refusal when it is answered."""
    request, response = decoder.bus.request, decoder.bus.response
    for name, value in {"address": address // 4, "write": write, "data": data, "strobes": strobes}.items():
        ctx.set(request.payload[name], value)
    ctx.set(request.valid, 1)
    await transfer(ctx, request.ready)
    ctx.set(request.valid, 0)
    ctx.set(response.ready, 1)
    answer = await transfer(ctx, response.valid, response.payload.data, response.payload.refused)
    ctx.set(response.ready, 0)
    return answer


def test_requests_reach_the_access_port_or_are_taken_back() -> None:
    spec = SPECS["no registers"]
    map = RegisterMap.of(spec, streams=True)
    decoder = RegisterDecoder(map, spec, patience=10)
    access = decoder.access
    rate = map.find("learning_rate1").address
    assert map.window is not None
    served: list[tuple[int, int, int]] = []

    async def core(ctx: Any) -> None:
        """Answers with the address, a sign above it."""
        while True:
            signals = (access.request.valid, access.request.ready, access.request.payload)
            _, _, valid, ready, payload = await ctx.tick().sample(*signals)
            if valid and ready:
                served.append((payload["address"], payload["write"], payload["data"]))
                await ctx.tick().repeat(3)
                ctx.set(access.response.payload, payload["address"] - 1000)
                ctx.set(access.response.valid, 1)
                await transfer(ctx, access.response.ready)
                ctx.set(access.response.valid, 0)

    async def bench(ctx: Any) -> None:
        ctx.set(access.request.ready, 1)
        address = (rate - map.window) // 4
        assert await ask(ctx, decoder, rate) == ((address - 1000) & 0xFFFFFFFF, 0)
        assert await ask(ctx, decoder, rate, 1, 0xFFFFFFFE) == (0, 0)
        assert served == [(address, 0, 0), (address, 1, -2)]
        # Patience is for a core that waits for others, not for one that is at work.
        ctx.set(access.request.ready, 0)
        waited: list[Any] = []
        ctx.set(decoder.bus.request.payload.address, rate // 4)
        ctx.set(decoder.bus.request.valid, 1)
        await ctx.tick()
        ctx.set(decoder.bus.request.valid, 0)
        await ctx.tick().repeat(50)
        assert ctx.get(access.request.valid)
        ctx.set(decoder.waits, 1)
        ctx.set(decoder.bus.response.ready, 1)
        for cycle in range(30):
            _, _, valid, refused = await ctx.tick().sample(
                decoder.bus.response.valid, decoder.bus.response.payload.refused
            )
            waited += [(cycle, refused)] if valid else []
        assert [refused for _, refused in waited] == [1]
        assert 10 <= waited[0][0] <= 13
        assert not ctx.get(access.request.valid)
        assert len(served) == 2
        ctx.set(decoder.waits, 0)
        ctx.set(access.request.ready, 1)
        assert await ask(ctx, decoder, rate) == ((address - 1000) & 0xFFFFFFFF, 0)

    simulator = Simulator(decoder)
    simulator.add_clock(1e-8)
    simulator.add_testbench(core, background=True)
    simulator.add_testbench(bench)
    simulator.run()
    assert len(served) == 3
    assert decoder.latency == 2


def test_events_stay_until_they_are_cleared() -> None:
    """An event in the cycle in which it is cleared is not lost."""
    spec = SPECS["no registers"]
    map = RegisterMap.of(spec, streams=True)
    decoder = RegisterDecoder(map, spec)
    events, enable = map.find("events").address, map.find("interrupt_enable").address

    async def happen(ctx: Any, name: str) -> None:
        ctx.set(decoder.occurred[name], 1)
        await ctx.tick()
        ctx.set(decoder.occurred[name], 0)

    async def bench(ctx: Any) -> None:
        await happen(ctx, "predicted")
        await happen(ctx, "updated")
        assert await ask(ctx, decoder, events) == (3, 0)
        assert not ctx.get(decoder.irq)
        await ask(ctx, decoder, enable, 1, 2)
        assert ctx.get(decoder.irq)
        assert await ask(ctx, decoder, events, 1, 2, strobes=7) == (0, 1)
        assert await ask(ctx, decoder, events, 1, 2, strobes=0) == (0, 0)
        assert ctx.get(decoder.irq)
        await ask(ctx, decoder, events, 1, 2)
        assert not ctx.get(decoder.irq)
        assert await ask(ctx, decoder, events) == (1 | 4, 0)  # a refusal is an event too
        ctx.set(decoder.occurred.predicted, 1)
        await ask(ctx, decoder, events, 1, 7)
        ctx.set(decoder.occurred.predicted, 0)
        assert await ask(ctx, decoder, events) == (1, 0)

    simulator = Simulator(decoder)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
