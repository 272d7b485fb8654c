"""The user's port of a guard: its registers, and when requests go on."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.sim import Simulator

from kanrtl import LearnerSpec
from kanrtl.learner.address_map import CONTROL_RESTORE, GUARD_ADOPT, GUARD_FAULT, GUARD_RELEASE, AddressMap
from kanrtl.learner.guard_settings import LIMITS, SIGNATURES, GuardSettings
from kanrtl.learner.rtl.guard_port import GuardPort
from kanrtl.loop import GuardedModel

SETTINGS = GuardSettings(window=16, error=0.5, rails=3, slot=70_000)
SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), counts=["lost"], guard=SETTINGS)


def simulate(port: GuardPort, bench: Any) -> None:
    simulator = Simulator(port)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


async def ask(ctx: Any, port: GuardPort, address: int, data: int | None = None) -> int:
    """An answer, from a learner that answers the address itself."""
    request, response = port.outer.request, port.outer.response
    ctx.set(request.payload.address, address)
    ctx.set(request.payload.write, data is not None)
    ctx.set(request.payload.data, data or 0)
    ctx.set(request.valid, 1)
    ctx.set(port.inner.request.ready, 1)
    passed = False
    for _ in range(9):
        passed |= bool(ctx.get(port.inner.request.valid))
        taken = ctx.get(request.ready)
        await ctx.tick()
        if taken:
            break
    ctx.set(request.valid, 0)
    if passed:
        ctx.set(port.inner.response.payload, address)
        ctx.set(port.inner.response.valid, 1)
        await ctx.tick()
        ctx.set(port.inner.response.valid, 0)
    assert ctx.get(response.valid)
    found = ctx.get(response.payload)
    ctx.set(response.ready, 1)
    await ctx.tick()
    ctx.set(response.ready, 0)
    return int(found)


def test_registers_are_read_and_written() -> None:
    port, addresses = GuardPort(SPEC, SETTINGS, addressed=True), AddressMap.of(SPEC)
    codes = SETTINGS.codes(1, SPEC.formats.layers[-1].gradient, ["lost"])

    async def bench(ctx: Any) -> None:
        for name in LIMITS:
            assert await ask(ctx, port, addresses.guard_limit(name)) == codes[name]
            assert await ask(ctx, port, addresses.guard_limit(name), 21) == 21
            assert await ask(ctx, port, addresses.guard_limit(name)) == 21
            assert ctx.get(port.limits[name]) == 21
        ctx.set(port.settings.payload.number, LIMITS.index("rails"))
        ctx.set(port.settings.payload.code, 7)
        ctx.set(port.settings.valid, 1)
        await ctx.tick()
        ctx.set(port.settings.valid, 0)
        assert await ask(ctx, port, addresses.guard_limit("rails")) == 7
        ctx.set(port.status, 0b1010)
        ctx.set(port.fault, 1)
        ctx.set(port.error_sum, 1234)
        ctx.set(port.counts[2], 65535)
        assert await ask(ctx, port, addresses.guard_status) == 0b1010 | GUARD_FAULT
        assert await ask(ctx, port, addresses.guard_error_sum) == 1234
        assert await ask(ctx, port, addresses.guard_count(SIGNATURES[2])) == 65535
        # Others are the learner's.
        assert await ask(ctx, port, addresses.coefficient(0, 0, 0, 5)) == 5

    simulate(port, bench)


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_beyond_its_register_is_the_highest(name: str) -> None:
    """Never off; over the port, whose answer says so, over the stream, and in the integers."""
    port, addresses = GuardPort(SPEC, SETTINGS, addressed=True), AddressMap.of(SPEC)
    highest = (1 << SETTINGS.widths(1, SPEC.formats.layers[-1].gradient)[name]) - 1
    model = GuardedModel(SPEC)

    async def bench(ctx: Any) -> None:
        for code in (highest, highest + 1, highest + 2, -1, -highest - 1, (1 << 31) - 1, 0, 1):
            if code >> 31 > 0:
                continue
            expected = code if 0 <= code <= highest else highest
            assert await ask(ctx, port, addresses.guard_limit(name), code) == expected
            assert await ask(ctx, port, addresses.guard_limit(name)) == expected
            assert await ask(ctx, port, addresses.guard_limit(name), 1) == 1
            ctx.set(port.settings.payload.number, LIMITS.index(name))
            ctx.set(port.settings.payload.code, code)
            ctx.set(port.settings.valid, 1)
            assert ctx.get(port.slot_written) == (name == "slot")
            await ctx.tick()
            ctx.set(port.settings.valid, 0)
            assert ctx.get(port.limits[name]) == expected
            model.limits.update({name: code})
            assert model.report().limits[name] == expected

    simulate(port, bench)


def test_what_is_written_is_told() -> None:
    spec = SPEC.replace(initial="reset")
    port, addresses = GuardPort(spec, SETTINGS, addressed=True), AddressMap.of(spec)
    told: list[dict[str, int]] = []

    async def watch(ctx: Any) -> None:
        names = ("release", "adopt", "clear", "cleared")
        while True:
            values = await ctx.tick().sample(*(getattr(port, name) for name in names))
            found = {name: int(value) for name, value in zip(names, values[2:], strict=True) if value}
            if found:
                told.append(found)

    async def bench(ctx: Any) -> None:
        await ask(ctx, port, addresses.guard_status, GUARD_RELEASE)
        await ask(ctx, port, addresses.guard_status, GUARD_ADOPT)
        await ask(ctx, port, addresses.guard_count("precision"), 0)
        await ask(ctx, port, addresses.saturations("gradient"), 0)
        await ask(ctx, port, addresses.saturations("gradient"))
        await ask(ctx, port, addresses.control, CONTROL_RESTORE)
        await ask(ctx, port, addresses.control, 1)

    simulator = Simulator(port)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.add_testbench(watch, background=True)
    simulator.run()
    assert told == [{"release": 1}, {"adopt": 1}, {"clear": 4}, {"cleared": 2}, {"cleared": 7}]


@pytest.mark.parametrize("address", ["guard_status", "control"])
def test_requests_wait_while_the_guard_wants_the_learner(address: str) -> None:
    port = GuardPort(SPEC, SETTINGS, addressed=True)

    async def bench(ctx: Any) -> None:
        request = port.outer.request
        ctx.set(port.wanted, 1)
        ctx.set(port.inner.request.ready, 1)
        ctx.set(request.payload.address, getattr(AddressMap.of(SPEC), address))
        assert not ctx.get(port.waiting)
        ctx.set(request.valid, 1)
        for _ in range(5):
            assert ctx.get(port.waiting)
            assert not ctx.get(request.ready)
            assert not ctx.get(port.inner.request.valid)
            await ctx.tick()
        ctx.set(port.wanted, 0)
        assert ctx.get(request.ready)

    simulate(port, bench)


def test_without_addresses_the_learner_answers_all() -> None:
    spec = SPEC.replace(guard=None)
    port = GuardPort(spec, SETTINGS, addressed=False)
    highest = (1 << AddressMap.of(spec).width) - 1

    async def bench(ctx: Any) -> None:
        assert await ask(ctx, port, highest) & highest == highest

    simulate(port, bench)
