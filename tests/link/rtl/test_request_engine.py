"""Requests, one byte after another: each kind, and those that make no sense."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from kanrtl import LearnerSpec, Model, SpecError, connect
from kanrtl.learner.address_map import AddressMap
from kanrtl.learner.rtl.learner import Learner
from kanrtl.link.frame_codec import FrameReader, decode_frame, encode_frame
from kanrtl.link.layout import DONE, PIECE_BYTES, Kind, Layout
from kanrtl.link.rtl.learner_link import LearnerLink
from kanrtl.link.rtl.request_engine import RequestEngine

SPEC = LearnerSpec(layer_sizes=[2, 1], grid_range=(-2, 2), grid_size=3, spline_order=1, table_size=16)
LAYOUT = Layout.of(SPEC)


def ask(spec: LearnerSpec, requests: Sequence[bytes], *, hello: bytes = b"", whole: bool = True) -> list[bytes]:
    """The contents of the answers to the contents of requests, which follow a hello; all answers are ``whole``."""
    dut, sent = LearnerLink(spec), bytearray()

    async def send(ctx: Any) -> None:
        for byte in b"".join(map(encode_frame, [bytes([Kind.HELLO, 0]) + hello, *requests])):
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)
            await ctx.tick().repeat(3)
        await ctx.tick().repeat((2500 if not whole else 300) + (spec.restart_cycles or 0))

    async def take(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        async for _, _, valid, byte in ctx.tick().sample(dut.o.valid, dut.o.payload):
            if valid:
                sent.append(byte)

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(send)
    simulator.add_testbench(take, background=True)
    simulator.run()
    frames = [frame for frame in FrameReader().feed(bytes(sent)) if frame]
    answers = [decode_frame(frame) for frame in frames]
    assert answers[0] == bytes([0, Kind.HELLO | DONE]) + hello
    assert not whole or None not in answers
    return [answer for answer in answers[1:] if answer is not None]


def words(codes: Any) -> bytes:
    """Codes of two bytes each."""
    return np.asarray(codes, dtype="<i2").tobytes()


@pytest.mark.parametrize(
    "changes", [{"teaching": "with_sample"}, {"teaching": "after_prediction"}, {"initial": "reset", "memory": "block"}]
)
def test_samples(changes: dict[str, Any]) -> None:
    spec, random = SPEC.replace(**changes), np.random.default_rng(3)
    x, target = random.integers(-2000, 2000, (6, 2)), random.integers(-900, 900, (6, 1))
    learned = b"".join(words(row) for row in np.concatenate([target, x], axis=1))
    predict, learn = bytes([Kind.PREDICT, 1]) + words(x), bytes([Kind.LEARN, 0]) + learned
    answers = ask(spec, [learn, predict])
    model = Model(spec)
    first = model.run(x, target, np.full(6, True))
    second = model.run(x, target, np.full(6, False))
    assert answers == [bytes([0, Kind.LEARN | DONE]) + words(first), bytes([1, Kind.PREDICT | DONE]) + words(second)]


def test_samples_of_a_streaming_learner_follow_each_other() -> None:
    """Frames and pauses between them do not count; what is behind the last is asked for, and then there is nothing."""
    spec, random = SPEC.replace(schedule="streaming", layer_sizes=[2, 2, 1]), np.random.default_rng(3)
    late, size = spec.timing.prediction_latency, 30
    assert late > 6
    x, target = random.integers(-2000, 2000, (size, 2)), random.integers(-900, 900, (size, 1))
    learn = np.arange(size) % 5 < 4
    learn[:12] = True
    requests, start = [], 0
    for stop in [5, 12, *(np.flatnonzero(np.diff(learn)) + 1), size]:
        kind = Kind.LEARN if learn[start] else Kind.PREDICT
        rows = np.concatenate([target, x], axis=1) if learn[start] else x
        if start < stop:
            requests.append(bytes([kind, len(requests)]) + words(rows[start:stop]))
        start = max(start, stop)
    # One batch, twice; the second is read from without an end, and the third begins anew.
    read = bytes([Kind.READ]), bytes(LAYOUT.address)
    batch = len(requests)
    requests += [bytes([Kind.PREDICT, batch]), bytes([Kind.PREDICT, batch + 1])]
    requests += [bytes([Kind.LEARN, batch + 2]) + requests[0][2:], read[0] + bytes([batch + 3]) + read[1]]
    requests += [bytes([Kind.PREDICT, batch + 4]) + words(x[:3]), bytes([Kind.PREDICT, batch + 5])]
    answers = ask(spec, requests)
    model = connect(spec).backend
    expected = model.run(x, target, learn)
    assert b"".join(answer[2:] for answer in answers[: batch + 1]) == words(expected)
    assert [len(answer) - 2 for answer in answers[batch : batch + 3]] == [2 * late, 0, 0]
    model.run(x[:5], target[:5], np.full(5, True))
    assert int.from_bytes(answers[batch + 3][2:], "little", signed=True) == model.read_coefficients()[0][0, 0, 0]
    assert answers[-1][2:] == words(model.run(x[:3], target[:3], np.full(3, False)))


def test_accesses() -> None:
    addresses = AddressMap.of(SPEC)
    where = [addresses.coefficient(0, 0, 1, index) for index in range(4)]
    codes = [-300, 5, 0, -1]
    write = b"".join(
        code.to_bytes(LAYOUT.data, "little", signed=True) + at.to_bytes(LAYOUT.address, "little")
        for code, at in zip(codes, where, strict=True)
    )
    read = b"".join(at.to_bytes(LAYOUT.address, "little") for at in where)
    data = b"".join(code.to_bytes(LAYOUT.data, "little", signed=True) for code in codes)
    answers = ask(SPEC, [bytes([Kind.WRITE, 0]) + write, bytes([Kind.READ, 1]) + read])
    assert answers == [bytes([0, Kind.WRITE | DONE]) + data, bytes([1, Kind.READ | DONE]) + data]


def test_the_rest_and_what_makes_no_sense() -> None:
    sample = words([100, 200])
    requests = [
        bytes([Kind.ROM, 0]),
        bytes([Kind.PREDICT, 1]) + sample + sample[:3],  # the second is not complete
        bytes([99, 2]) + b"whatever",
        bytes([Kind.ROM, 3, 1, 2, 3]),  # no payload is needed
        bytes([Kind.STATUS, 4]),
        bytes([Kind.PREDICT, 5]),
    ]
    answers = ask(SPEC, requests)
    first = answers[0]
    assert (first[:2], len(first)) == (bytes([0, Kind.ROM | DONE]), 2 + PIECE_BYTES)
    assert answers[1] == bytes([1, Kind.PREDICT | DONE, 0, 0])
    assert answers[2] == bytes([2, 99 & 7])
    assert (answers[3][:2], len(answers[3])) == (bytes([3, Kind.ROM | DONE]), 2 + PIECE_BYTES)
    assert answers[3][2:] != first[2:]
    assert answers[4:] == [bytes([4, Kind.STATUS | DONE, 0]), bytes([5, Kind.PREDICT | DONE])]


def test_a_hello_is_answered_with_its_payload() -> None:
    assert ask(SPEC, [], hello=b"echo\0\xff") == []


def test_a_request_to_resend_from_nowhere_does_no_harm() -> None:
    predict = bytes([Kind.PREDICT, 0]) + words([100, 200])
    answers = ask(SPEC, [bytes([Kind.RESEND, 0]), predict], whole=False)
    assert answers[-1] == bytes([0, Kind.PREDICT | DONE, 0, 0])


def test_answers_can_be_had_again() -> None:
    predict = bytes([Kind.PREDICT, 0]) + words([100, 200])
    hello = encode_frame(bytes([0, Kind.HELLO | DONE]))
    position = 1 + len(hello)
    answers = ask(SPEC, [predict, bytes([Kind.RESEND, 0]) + position.to_bytes(2, "little")])
    assert answers == 2 * [bytes([0, Kind.PREDICT | DONE, 0, 0])]


def test_learners_that_cannot_be_at_the_end_of_a_wire() -> None:
    wide = SPEC.replace(layer_sizes=[125, 1])
    with pytest.raises(SpecError) as failure:
        Layout.of(wide)
    line = (
        "layer_sizes = (125, 1): a sample with its target takes 252 bytes of a frame, which holds 249; use fewer inputs"
    )
    assert str(failure.value) == f"{line} or outputs"


@pytest.mark.usefixtures("unelaborated")
def test_a_sample_is_offered_after_the_latency() -> None:
    dut = RequestEngine(Learner(SPEC), b"")
    frame = bytes([8, Kind.PREDICT, 0]) + words([1, 2])

    async def bench(ctx: Any) -> None:
        ctx.set(dut.answers.ready, 1)
        for byte in frame:
            ctx.set(dut.requests.payload, byte)
            ctx.set(dut.requests.valid, 1)
            await ctx.tick().until(dut.requests.ready)
        ctx.set(dut.requests.valid, 0)
        for _ in range(dut.latency - 1):
            assert not ctx.get(dut.samples.valid)
            await ctx.tick()
        assert ctx.get(dut.samples.valid)
        assert [ctx.get(dut.samples.payload.x[node].raw) for node in range(2)] == [1, 2]

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
