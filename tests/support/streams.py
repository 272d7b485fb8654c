"""Streams of a component driven and read by testbenches, with gaps at any cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.hdl import ClockDomain, Module, Value
from amaranth.sim import Simulator

from kanrtl.numeric.bits import pack, unpack
from kanrtl.numeric.fixed import Format

__all__ = ["Transfers", "access", "bits_of", "exchange", "words_of"]

LONGEST = 5000
"""Cycles that nothing takes."""


@dataclass
class Transfers:
    """The words of a stream, as bits, and the cycles in which they are transferred."""

    words: list[int] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    offered: list[int] = field(default_factory=list)
    """The cycles from which words are offered without interruption."""


def exchange(
    component: Any,
    sent: Mapping[str, Sequence[int]],
    received: Mapping[str, int],
    *,
    gaps: float = 0.0,
    seed: int = 0,
    before: Mapping[str, Callable[[Any, int], None]] | None = None,
    top: Module | None = None,
    settle: int = 2,
    at_end: Callable[[Any], Any] | None = None,
) -> dict[str, Transfers]:
    """Sends ``sent`` words, as bits, on streams, and reads so many ``received`` from others; what was transferred when.

    ``gaps`` is the chance that a stream that is driven or can be refused pauses for a cycle. ``before`` has functions
    that are called, with the word's number, as it is offered. ``settle`` cycles go by at the end, and ``at_end`` is
    a testbench that begins when all was received.
    """
    found = {name: Transfers() for name in (*sent, *received)}
    if top is None:
        top = Module()
        top.domains.sync = ClockDomain()
        top.submodules.dut = component
    simulator = Simulator(top)
    simulator.add_clock(1e-8)

    def watch(name: str) -> Callable[[Any], Any]:
        port = getattr(component, name)

        async def bench(ctx: Any) -> None:
            cycle, was_offered = 0, False
            signals = (port.valid, port.ready, Value.cast(port.payload))
            while True:
                _, _, valid, ready, bits = await ctx.tick().sample(*signals)
                if valid and not was_offered:
                    found[name].offered.append(cycle)
                if valid and was_offered and not ready:
                    assert bits == before_bits[0], f"{name} changes while it is offered"
                assert valid or not was_offered, f"{name} is withdrawn in cycle {cycle}"
                if valid and ready:
                    found[name].words.append(bits)
                    found[name].cycles.append(cycle)
                was_offered, before_bits[0] = bool(valid and not ready), bits
                cycle += 1

        before_bits = [0]
        return bench

    def drive(name: str, words: Sequence[int], number: int) -> Callable[[Any], Any]:
        port, random = getattr(component, name), np.random.default_rng((seed, number))
        tell = (before or {}).get(name)

        async def bench(ctx: Any) -> None:
            for index, word in enumerate(words):
                while random.random() < gaps:
                    await ctx.tick()
                if tell:
                    tell(ctx, index)
                ctx.set(Value.cast(port.payload), word)
                ctx.set(port.valid, 1)
                waited, ready = 0, 0
                while not ready:
                    _, _, ready = await ctx.tick().sample(port.ready)
                    waited += 1
                    assert waited < LONGEST, f"{name} is not taken"
                ctx.set(port.valid, 0)

        return bench

    def take(name: str, count: int, number: int) -> Callable[[Any], Any]:
        port, random = getattr(component, name), np.random.default_rng((seed, number))
        refusable = not port.signature.always_ready

        async def bench(ctx: Any) -> None:
            waited = 0
            while len(found[name].words) < count:
                waited += 1
                assert waited < LONGEST, f"{name} gives {len(found[name].words)} words of {count}"
                if refusable:
                    ctx.set(port.ready, int(random.random() >= gaps))
                await ctx.tick()
            if refusable:
                ctx.set(port.ready, 0)
            await ctx.tick().repeat(settle)

        return bench

    for name in found:
        simulator.add_testbench(watch(name), background=True)
    for number, (name, words) in enumerate(sent.items()):
        simulator.add_testbench(drive(name, words, number))
    for number, (name, count) in enumerate(received.items()):
        simulator.add_testbench(take(name, count, len(sent) + number))
    if at_end:

        async def wait(ctx: Any) -> None:
            while any(len(found[name].words) < count for name, count in received.items()):
                await ctx.tick()
            await at_end(ctx)

        simulator.add_testbench(wait)
    simulator.run()
    return found


def words_of(transfers: Transfers, format: Format, count: int) -> list[list[int]]:
    """The numbers of every word."""
    return [unpack(bits, format, count) for bits in transfers.words]


def bits_of(rows: Any, format: Format) -> list[int]:
    """Rows of codes as words."""
    return [pack(row, format) for row in np.asarray(rows)]


async def access(ctx: Any, port: Any, address: int, data: int | None = None) -> int:
    """The answer of an access port to a read of an address, or to a write of ``data`` there."""
    request, response = port.request, port.response
    ctx.set(request.payload.address, address)
    ctx.set(request.payload.write, data is not None)
    ctx.set(request.payload.data, data or 0)
    ctx.set(request.valid, 1)
    await ctx.tick().until(request.ready)
    ctx.set(request.valid, 0)
    ctx.set(response.ready, 1)
    [answer] = await ctx.tick().sample(response.payload).until(response.valid)
    ctx.set(response.ready, 0)
    return int(answer)
