"""Answers onto a wire: as the host's own code writes them, again from anywhere, and a hint where all is quiet."""

from typing import Any

from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.link.frame_codec import encode_frame
from kanrtl.link.rtl.answer_writer import AnswerWriter
from support.search import examples


class Bench:
    """An answer writer, and what it has sent so far."""

    def __init__(self, depth: int = 1024) -> None:
        self.dut = AnswerWriter(depth)
        self.sent = bytearray()

    def run(self, bench: Any) -> None:
        """Run a testbench beside a wire that takes everything."""

        async def take(ctx: Any) -> None:
            ctx.set(self.dut.o.ready, 1)
            async for _, _, valid, byte in ctx.tick().sample(self.dut.o.valid, self.dut.o.payload):
                if valid:
                    self.sent.append(byte)

        simulator = Simulator(self.dut)
        simulator.add_clock(1e-8)
        simulator.add_testbench(bench)
        simulator.add_testbench(take, background=True)
        simulator.run()

    async def pulse(self, ctx: Any, name: str) -> None:
        """Hold a member high for a cycle in which an answer could begin."""
        while not ctx.get(self.dut.i.ready):
            await ctx.tick()
        ctx.set(getattr(self.dut, name), 1)
        await ctx.tick()
        ctx.set(getattr(self.dut, name), 0)

    async def answer(self, ctx: Any, content: bytes) -> None:
        """Write an answer."""
        for byte in content:
            ctx.set(self.dut.i.payload, byte)
            ctx.set(self.dut.i.valid, 1)
            await ctx.tick().until(self.dut.i.ready)
        ctx.set(self.dut.i.valid, 0)
        await self.pulse(ctx, "finish")

    async def resend(self, ctx: Any, position: int) -> None:
        """Ask for answers again."""
        ctx.set(self.dut.position, position)
        await self.pulse(ctx, "resend")
        ctx.set(self.dut.position, 0)


answers = st.binary(min_size=1, max_size=20) | st.lists(st.sampled_from([0, 0, 255]), min_size=1, max_size=9).map(bytes)


@examples(15)
@given(st.lists(answers, max_size=4))
def test_it_writes_as_the_host_does(contents: list[bytes]) -> None:
    bench = Bench()

    async def run(ctx: Any) -> None:
        for content in contents:
            await bench.answer(ctx, content)
        await ctx.tick().repeat(150)

    bench.run(run)
    assert bench.sent == b"\0" + b"".join(map(encode_frame, contents))


def test_the_largest_answer() -> None:
    bench, content = Bench(), bytes(range(1, 252))

    async def run(ctx: Any) -> None:
        await bench.answer(ctx, content)
        await ctx.tick().repeat(700)

    bench.run(run)
    assert bench.sent == b"\0" + encode_frame(content)


def test_answers_are_sent_again_from_a_position_on() -> None:
    """Also from where they lie around the end of the ring, and never from within an answer that is being sent."""
    bench, contents = Bench(64), [bytes([number, 0, number]) * 4 for number in range(1, 6)]
    frames = [encode_frame(content) for content in contents]
    start = 1 + sum(map(len, frames[:3]))

    async def run(ctx: Any) -> None:
        for content in contents[:4]:
            await bench.answer(ctx, content)
        await ctx.tick().repeat(200)
        await bench.answer(ctx, contents[4])
        await bench.resend(ctx, start % 64)
        await ctx.tick().repeat(200)

    bench.run(run)
    assert bench.sent == b"\0" + b"".join(frames) + frames[3] + frames[4]


def test_it_begins_anew() -> None:
    bench, content = Bench(64), b"\1\0\2"

    async def run(ctx: Any) -> None:
        await bench.answer(ctx, b"before")
        await ctx.tick().repeat(60)
        await bench.pulse(ctx, "restart")
        await bench.answer(ctx, content)
        await ctx.tick().repeat(60)
        await bench.resend(ctx, 0)
        await ctx.tick().repeat(60)

    bench.run(run)
    assert bench.sent == b"\0" + encode_frame(b"before") + 2 * (b"\0" + encode_frame(content))


def test_a_hint_is_an_empty_frame_between_answers() -> None:
    bench = Bench(64)

    async def run(ctx: Any) -> None:
        await ctx.tick().repeat(5)
        ctx.set(bench.dut.i.payload, 7)
        ctx.set(bench.dut.i.valid, 1)
        await ctx.tick()
        ctx.set(bench.dut.i.valid, 0)
        await bench.pulse(ctx, "hint")
        await ctx.tick().repeat(40)
        assert bench.sent == b"\0"
        await bench.pulse(ctx, "finish")
        await ctx.tick().repeat(40)

    bench.run(run)
    # Once: not within the answer, and not lost.
    assert bench.sent == b"\0" + encode_frame(b"\7") + b"\0"


def test_the_next_answer_can_begin_after_the_latency() -> None:
    bench = Bench(64)

    async def run(ctx: Any) -> None:
        await ctx.tick().repeat(3)
        ctx.set(bench.dut.finish, 1)
        for cycle in range(bench.dut.latency + 1):
            assert ctx.get(bench.dut.i.ready) == (cycle in (0, bench.dut.latency))
            await ctx.tick()
            ctx.set(bench.dut.finish, 0)

    bench.run(run)
