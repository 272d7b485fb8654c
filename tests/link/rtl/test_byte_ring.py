"""The ring of bytes: in order, round its end, and again from anywhere."""

from typing import Any

from kanrtl.link.rtl.byte_ring import ByteRing
from support.components import simulate


async def write(ctx: Any, dut: ByteRing, address: int, content: bytes) -> None:
    """Write bytes one after another, then let them be read."""
    for byte in content:
        ctx.set(dut.write, 1)
        ctx.set(dut.address, address)
        ctx.set(dut.byte, byte)
        await ctx.tick()
        address = (address + 1) % 8
    ctx.set(dut.write, 0)
    ctx.set(dut.end, address)


async def read(ctx: Any, dut: ByteRing, count: int) -> bytes:
    """Take so many bytes."""
    ctx.set(dut.o.ready, 1)
    found = bytearray()
    while len(found) < count:
        _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
        if valid:
            found.append(byte)
    ctx.set(dut.o.ready, 0)
    return bytes(found)


def test_bytes_come_in_order_and_again() -> None:
    dut = ByteRing(8)

    async def bench(ctx: Any) -> None:
        await write(ctx, dut, 0, b"abcde")
        assert await read(ctx, dut, 5) == b"abcde"
        await write(ctx, dut, 5, b"fghij")
        assert ctx.get(dut.position) == 5
        assert await read(ctx, dut, 5) == b"fghij"
        for _ in range(3):
            await ctx.tick()
            assert not ctx.get(dut.o.valid)
        ctx.set(dut.move, 1)
        ctx.set(dut.target, 4)
        await ctx.tick()
        ctx.set(dut.move, 0)
        assert await read(ctx, dut, 6) == b"efghij"

    simulate(dut, bench)


def test_a_byte_is_offered_after_the_latency_and_stays() -> None:
    dut = ByteRing(8)

    async def bench(ctx: Any) -> None:
        await write(ctx, dut, 0, b"a")
        assert not ctx.get(dut.o.valid)
        for _ in range(dut.latency):
            await ctx.tick()
        for _ in range(3):
            assert (ctx.get(dut.o.valid), ctx.get(dut.o.payload)) == (1, ord("a"))
            await ctx.tick()

    simulate(dut, bench)
