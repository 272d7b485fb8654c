"""Requests from a wire: kept when whole and in turn, whatever comes between them."""

from typing import Any

from amaranth.sim import Simulator
from cobs import cobs
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.link.frame_codec import decode_frame, encode_frame
from kanrtl.link.layout import Kind
from kanrtl.link.rtl.frame_receiver import FrameReceiver
from support.search import examples

READ = Kind.READ


def run_receiver(content: bytes) -> tuple[list[bytes], int]:
    """The frames that a receiver keeps of what comes on a wire, and how many it says are damaged."""
    dut, found = FrameReceiver(1024), bytearray()
    damaged = 0

    async def send(ctx: Any) -> None:
        nonlocal damaged
        for byte in content:
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            _, _, ready, told = await ctx.tick().sample(dut.i.ready, dut.damaged)
            assert ready
            damaged += told
            ctx.set(dut.i.valid, 0)
            await ctx.tick()
        await ctx.tick().repeat(700)

    async def take(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        async for _, _, valid, byte in ctx.tick().sample(dut.o.valid, dut.o.payload):
            if valid:
                found.append(byte)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(send)
    simulator.add_testbench(take, background=True)
    simulator.run()
    frames = []
    while found:
        length = found.pop(0)
        frames.append(bytes(found[:length]))
        del found[:length]
    return frames, damaged


def request(kind: int, number: int, payload: bytes = b"") -> bytes:
    """The content of a request."""
    return bytes([kind, number]) + payload


def contents(frames: list[bytes]) -> list[bytes]:
    """Frames without their CRC, which is checked."""
    checked = [decode_frame(bytes(cobs.encode(frame))) for frame in frames]
    assert None not in checked
    return [content for content in checked if content is not None]


def accept(stream: bytes) -> list[bytes]:
    """What a receiver has to keep, by another reading of the same rules."""
    kept, expected = [], 0
    for part in stream.split(b"\0")[:-1]:
        content = decode_frame(part) if part else None
        if content is None or len(content) < 2 or len(content) > 253:
            continue
        if content[0] == Kind.HELLO:
            expected = 0
        elif content[0] != Kind.RESEND:
            if content[1] != expected:
                continue
            expected = (expected + 1) % 256
        kept.append(content)
    return kept


payloads = st.binary(max_size=12) | st.lists(st.sampled_from([0, 0, 1, 255]), max_size=12).map(bytes)
kinds = st.sampled_from([Kind.HELLO, Kind.RESEND, READ, READ, READ, 99])
good = st.builds(
    lambda kind, number, payload: encode_frame(request(kind, number, payload)), kinds, st.integers(0, 3), payloads
)
bad = st.binary(max_size=20) | good.flatmap(lambda frame: st.integers(0, len(frame)).map(lambda size: frame[:size]))


@examples(12)
@given(st.lists(good | bad, max_size=8))
def test_it_keeps_what_is_whole_and_in_turn(parts: list[bytes]) -> None:
    stream = b"".join(parts) + b"\0"
    frames, _ = run_receiver(stream)
    assert contents(frames) == accept(stream)


def test_damage_is_told_once_and_empty_frames_are_none() -> None:
    frame = encode_frame(request(READ, 0, b"abc"))
    assert run_receiver(b"\0\0" + frame)[1] == 0
    assert run_receiver(frame[1:] + frame) == ([cobs.decode(frame[:-1])], 1)
    # In order, but not in turn: nothing is damaged.
    assert run_receiver(encode_frame(request(READ, 5)) + frame) == ([cobs.decode(frame[:-1])], 0)


def test_a_frame_of_the_largest_size_is_kept_and_a_longer_one_is_not() -> None:
    for fill in (b"\1", b"\0", b"\1\0"):
        whole = request(READ, 0, (fill * 249)[:249])
        assert contents(run_receiver(encode_frame(whole))[0]) == [whole]
        assert run_receiver(encode_frame(request(READ, 0, (fill * 300)[:300])))[0] == []


def test_what_has_no_room_is_forgotten_and_what_waits_is_not_harmed() -> None:
    """The ring holds 64 bytes; nothing is read until all has come."""
    frames = [request(READ, number, bytes([number]) * 20) for number in range(4)]
    dut = FrameReceiver(64)
    found = bytearray()

    async def bench(ctx: Any) -> None:
        told = 0
        for byte in b"".join(map(encode_frame, frames)):
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            told += (await ctx.tick().sample(dut.damaged))[-1]
            ctx.set(dut.i.valid, 0)
            await ctx.tick()
        assert told == 2
        ctx.set(dut.o.ready, 1)
        for _ in range(150):
            _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                found.append(byte)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert found[:1] == b"\x18"
    assert contents([bytes(found[1:25]), bytes(found[26:50])]) == frames[:2]
    assert len(found) == 50


def test_the_length_is_there_after_the_latency() -> None:
    dut = FrameReceiver(64)

    async def bench(ctx: Any) -> None:
        for byte in encode_frame(request(READ, 0)):
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
        ctx.set(dut.i.valid, 0)
        for _ in range(dut.latency - 1):
            assert not ctx.get(dut.o.valid)
            await ctx.tick()
        assert (ctx.get(dut.o.valid), ctx.get(dut.o.payload)) == (1, 4)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
