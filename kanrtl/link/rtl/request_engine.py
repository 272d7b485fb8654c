"""Obeys requests, byte by byte: samples, accesses, and what is asked of the link itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ...learner.rtl.access import AccessPort
from ...learner.rtl.learner import Learner
from ..layout import BUFFER_BYTES, CRC_BYTES, PIECE_BYTES, POSITION_BYTES, Kind, Layout
from .sample_batch import SampleBatch

__all__ = ["RequestEngine"]


class RequestEngine(wiring.Component):  # type: ignore[misc]
    """Takes requests from a :class:`.FrameReceiver`, does them on a learner, and gives answers to an
    :class:`.AnswerWriter`; one byte after another, and the next record when the answer to the last is written.

    A record that is not complete, and what follows those records that are, is passed over.

    The samples of a learner in the streaming schedule follow each other without a gap, however they come (see
    :class:`.SampleBatch`); behind each, the prediction of an earlier one is given, if one is there. A request for
    predictions without a record ends that: it gives those that are on their way, as many as there is room for, and when
    there are no more, lets all updates land. So does what reads or writes, without giving any.

    Parameters
    ----------
    learner
        The learner that it is for; it is not made part of this.
    identification
        What :attr:`.Kind.ROM` reads, bytes; zeros follow it.
    buffer_bytes
        Size of the buffer of answers.

    Members
    -------
    requests : In, stream of bytes
    answers : Out, stream of bytes
    finish, restart, resend : Out(1), position : Out
        To the writer.
    damaged : In(1)
        A frame was damaged.
    samples, teaching, access : Out; predictions : In
        Those of :class:`kanrtl.Learner`; ``teaching`` only where it has one.
    enable : Out(1)
        Whether the learner's clock goes on; only in the streaming schedule.
    """

    def __init__(self, learner: Learner, identification: bytes, buffer_bytes: int = BUFFER_BYTES) -> None:
        self._spec, self._identification = learner.spec, identification
        self._layout = Layout.of(learner.spec)
        ports = learner.signature.members
        members: dict[str, Any] = {
            "requests": In(stream.Signature(8)),
            "answers": Out(stream.Signature(8)),
            "finish": Out(1),
            "restart": Out(1),
            "resend": Out(1),
            "position": Out(range(buffer_bytes)),
            "damaged": In(1),
            "access": Out(AccessPort(learner.spec)),
            **{name: ports[name].flip() for name in ("samples", "predictions", "teaching") if name in ports},
        }
        if learner.spec.timing.streaming:
            members["enable"] = Out(1)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clock cycles from the byte that completes a sample to that in which the learner is offered it."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layout, requests, answers = self._layout, self.requests, self.answers
        records = {kind: layout.record(kind) for kind in Kind if layout.record(kind)}
        replies = {Kind.ROM: PIECE_BYTES, Kind.STATUS: 1, **{kind: layout.answer(kind) for kind in records}}
        kind, known, left = Signal(Kind), Signal(), Signal(8)
        count = Signal(range(max(*records.values(), *replies.values())))
        # Bytes of a record come in at the top, so that what ends a record is always in the same bits.
        word = Signal(8 * max(*records.values(), POSITION_BYTES))
        more, taken, replied = Signal(), Signal(), Signal()
        m.d.comb += [
            more.eq(left != CRC_BYTES),
            taken.eq(requests.valid & requests.ready),
        ]
        with m.If(taken):
            m.d.sync += [left.eq(left - 1), word.eq(Cat(word[8:], requests.payload))]
        self._lead_word(m, word, kind)
        byte, there = self._choose_reply(m, kind, count, replied)
        repeated = kind >= Kind.PREDICT

        def expect(sizes: dict[Kind, int]) -> None:
            """Count so many bytes of the kind."""
            with m.Switch(kind):
                for each, size in sizes.items():
                    with m.Case(each):
                        m.d.sync += count.eq(size - 1)

        batch = self._connect_batch(m) if self._spec.timing.streaming else None
        with m.FSM():
            with m.State("LENGTH"):
                m.d.comb += requests.ready.eq(1)
                with m.If(requests.valid):
                    m.d.sync += left.eq(requests.payload)
                    m.next = "KIND"
            with m.State("KIND"):
                m.d.comb += requests.ready.eq(answers.ready)
                m.d.sync += [kind.eq(requests.payload), known.eq(requests.payload < len(Kind))]
                with m.If(taken):
                    m.d.comb += self.restart.eq(requests.payload == Kind.HELLO)
                    m.next = "NUMBER"
                    with m.If(requests.payload == Kind.RESEND):
                        m.next = "POSITION"
                    if batch is not None:
                        # No access is done while the learner stands still.
                        m.d.comb += batch.abandoned.eq(self.restart | (requests.payload >= Kind.READ))
            with m.State("POSITION"):
                m.d.comb += [requests.ready.eq(more), self.resend.eq(~more)]
                with m.If(~more):
                    m.next = "SKIP"
            with m.State("NUMBER"):
                m.d.comb += [
                    requests.ready.eq(answers.ready),
                    answers.valid.eq(requests.valid),
                    answers.payload.eq(requests.payload),
                ]
                with m.If(taken):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                if batch is not None:
                    m.d.comb += batch.answering.eq(1)
                m.d.comb += [answers.valid.eq(1), answers.payload.eq(Cat(kind, Const(0, 4), known))]
                m.next = "FINISH"
                with m.If(known & (kind == Kind.HELLO)):
                    m.next = "ECHO"
                with m.If(known & ((kind == Kind.ROM) | (kind == Kind.STATUS))):
                    expect(replies)
                    m.next = "REPLY"
                with m.If(known & repeated):
                    expect(records)
                    m.next = "RECORD"
            with m.State("ECHO"):
                m.d.comb += [
                    requests.ready.eq(more),
                    answers.valid.eq(requests.valid & more),
                    answers.payload.eq(requests.payload),
                ]
                with m.If(~more):
                    m.next = "FINISH"
            with m.State("RECORD"):
                m.d.comb += requests.ready.eq(more)
                with m.If(~more):
                    m.next = "FINISH"
                    if batch is not None:
                        with m.If((kind == Kind.PREDICT) & batch.empty):
                            m.next = "END"
                with m.Elif(taken):
                    m.d.sync += count.eq(count - 1)
                    with m.If(count == 0):
                        m.next = "DO"
            with m.State("DO"):
                self._do(m, kind, lambda: expect(replies))
            if batch is not None:
                with m.State("FOLLOW"):
                    m.next = "REPLY"
                    with m.If(~kind[1] & ~self.predictions.valid):
                        expect(records)
                        m.next = "RECORD"
                with m.State("END"):
                    m.d.comb += batch.ending.eq(1)
                    with m.If(batch.due):
                        expect(replies)
                        m.next = "REPLY"
                    with m.Elif(batch.ended):
                        m.next = "FINISH"
            if hasattr(self, "teaching"):
                with m.State("TEACH"):
                    m.d.comb += self.teaching.valid.eq(1)
                    with m.If(self.teaching.ready):
                        m.next = "REPLY"
            with m.State("REPLY"):
                m.d.comb += [answers.valid.eq(there), answers.payload.eq(byte), replied.eq(there & answers.ready)]
                with m.If(replied):
                    m.d.sync += count.eq(count - 1)
                    with m.If(count == 0):
                        m.d.comb += self.access.response.ready.eq(kind[1])
                        m.next = "FINISH"
                        with m.If(repeated):
                            expect(records)
                            m.next = "RECORD"
                        if batch is None:
                            m.d.comb += self.predictions.ready.eq(~kind[1])
                        else:
                            m.d.comb += batch.given.eq(~kind[1])
                            with m.If((kind == Kind.PREDICT) & batch.empty):
                                m.next = "END"
            with m.State("FINISH"):
                m.d.comb += [requests.ready.eq(left != 0), self.finish.eq(left == 0)]
                with m.If(left == 0):
                    m.next = "LENGTH"
            with m.State("SKIP"):
                m.d.comb += requests.ready.eq(left != 0)
                with m.If(left == 0):
                    m.next = "LENGTH"
        return m

    def _connect_batch(self, m: Module) -> SampleBatch:
        """Let the learner go on with its samples."""
        m.submodules.batch = batch = SampleBatch(self._spec)
        m.d.comb += [
            batch.offered.eq(self.samples.valid),
            batch.taken.eq(self.samples.valid & self.samples.ready),
            batch.predicted.eq(self.predictions.valid),
            self.enable.eq(batch.enable),
        ]
        return batch

    def _lead_word(self, m: Module, word: Signal, kind: Signal) -> None:
        """Lead the last bytes that were taken wherever they may be needed."""
        layout, spec = self._layout, self._spec
        m.d.comb += self.position.eq(word[-8 * POSITION_BYTES :])
        inputs = _divide(word, layout.input, spec.n_in, len(word) - 8 * layout.record(Kind.PREDICT))
        targets = _divide(word, layout.target, spec.n_out, len(word) - 8 * layout.record(Kind.LEARN))
        sample = self.samples.payload
        m.d.comb += sample.learn.eq(kind[0])
        m.d.comb += [x.raw.eq(value) for x, value in zip(sample.x, inputs, strict=True)]
        taught = self.teaching.payload if hasattr(self, "teaching") else sample.target
        m.d.comb += [target.raw.eq(value) for target, value in zip(taught, targets, strict=True)]
        request = self.access.request.payload
        address = -8 * layout.address
        m.d.comb += [
            request.address.eq(word[address:]),
            request.data.eq(word[address - 8 * layout.data : address]),
            request.write.eq(kind[0]),
        ]

    def _choose_reply(self, m: Module, kind: Signal, count: Signal, replied: Signal) -> tuple[Signal, Signal]:
        """Give the byte of a reply after which ``count`` more follow, and whether it is there."""
        byte, there, paused = Signal(8), Signal(), Signal()
        # The next byte of the identification is there a cycle after the last was sent.
        m.d.sync += paused.eq(replied)
        content = self._identification
        # In logic, where tools put a memory of this size by themselves, it would be a third of the link.
        m.submodules.rom = rom = memory.Memory(
            shape=8, depth=_depth(content), init=content, attrs={"ram_style": "block"}
        )
        piece = rom.read_port()
        address = Signal.like(piece.addr)
        m.d.comb += piece.addr.eq(address)
        damaged = Signal(8)
        with m.If(self.damaged):
            m.d.sync += damaged.eq(damaged + 1)
        response = self.access.response
        outputs = Cat(_extend(value.raw, self._layout.output) for value in self.predictions.payload)

        def choose(bits: Value) -> None:
            size = len(bits) // 8
            with m.Switch(count):
                for after in range(size):
                    with m.Case(after):
                        m.d.comb += byte.eq(bits.word_select(size - 1 - after, 8))

        with m.Switch(kind):
            with m.Case(Kind.ROM):
                m.d.comb += [byte.eq(piece.data), there.eq(~paused)]
                with m.If(replied):
                    m.d.sync += address.eq(address + 1)
            with m.Case(Kind.STATUS):
                m.d.comb += [byte.eq(damaged), there.eq(1)]
            with m.Case(Kind.PREDICT, Kind.LEARN):
                choose(outputs)
                m.d.comb += there.eq(self.predictions.valid)
            with m.Case(Kind.READ, Kind.WRITE):
                choose(_extend(response.payload, self._layout.data))
                m.d.comb += there.eq(response.valid)
        with m.If(self.restart):
            m.d.sync += address.eq(0)
        return byte, there

    def _do(self, m: Module, kind: Signal, expect_reply: Callable[[], None]) -> None:
        """Hand the record to the learner."""
        m.d.comb += [self.samples.valid.eq(~kind[1]), self.access.request.valid.eq(kind[1])]
        with m.If((self.samples.valid & self.samples.ready) | (self.access.request.valid & self.access.request.ready)):
            expect_reply()
            m.next = "FOLLOW" if self._spec.timing.streaming else "REPLY"
            if hasattr(self, "teaching"):
                with m.If(kind == Kind.LEARN):
                    m.next = "TEACH"


def _depth(content: bytes) -> int:
    """Bytes of a memory that holds ``content`` and an end to it, in whole pieces."""
    return max(PIECE_BYTES, 1 << len(content).bit_length())


def _extend(value: Value, size: int) -> Value:
    """A number in so many bytes, its sign extended."""
    sign = value[-1] if value.shape().signed else Const(0, 1)
    return Cat(value, sign.replicate(8 * size - len(value)))


def _divide(word: Value, size: int, count: int, first: int) -> list[Value]:
    """The ``count`` numbers of so many bytes in ``word`` from the bit ``first`` on."""
    return [word[start : start + 8 * size] for start in range(first, first + 8 * size * count, 8 * size)]
