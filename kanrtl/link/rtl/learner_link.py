"""A learner with its link, from the pins of a serial port to the coefficients."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, EnableInserter, Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...learner.rtl.learner import Learner
from ...learner.spec import LearnerSpec
from ..identification_rom import write_identification
from ..layout import BUFFER_BYTES, Layout
from .answer_writer import AnswerWriter
from .frame_receiver import FrameReceiver
from .request_engine import RequestEngine
from .uart import UartReceiver, UartTransmitter, divide_clock

__all__ = ["LearnerLink", "SerialLearner"]


class LearnerLink(wiring.Component):  # type: ignore[misc]
    """A :class:`kanrtl.Learner` that obeys requests from a wire of any kind.

    Parameters
    ----------
    spec
        The learner; it tells a host of it.

    Members
    -------
    i : In, stream of bytes
        From the host; waits for one cycle after every zero, and never longer.
    o : Out, stream of bytes
        To the host. A byte that is offered and not taken may be withdrawn: for a cycle whenever a byte of an answer is
        written, and for good where the host asks for answers again or says hello, as others are sent then in its place.
        What is taken counts alone.
    freeze : In(1)
        As that of the learner.
    updated : Out(1)
        As that of the learner.
    damaged : Out(1)
        High for one cycle when a frame was damaged.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self.spec = spec
        Layout.of(spec)  # before anything is made that would then not be used
        self._learner = Learner(spec)
        self._engine = RequestEngine(self._learner, write_identification(spec))
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
                "freeze": In(1),
                "updated": Out(1),
                "damaged": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from a frame's delimiter to that in which its length is read."""
        return 2

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        learner = self._learner
        m.submodules.receiver = receiver = FrameReceiver(BUFFER_BYTES)
        m.submodules.engine = engine = self._engine
        m.submodules.writer = writer = AnswerWriter(BUFFER_BYTES)
        enable = engine.enable if self.spec.timing.streaming else Const(1)
        m.submodules.learner = EnableInserter(enable)(learner) if self.spec.timing.streaming else learner
        connect(m, flipped(self.i), receiver.i)
        connect(m, receiver.o, engine.requests)
        connect(m, engine.answers, writer.i)
        connect(m, writer.o, flipped(self.o))
        for name in ("samples", "teaching", "access"):
            if hasattr(engine, name):
                connect(m, getattr(engine, name), getattr(learner, name))
        connect(m, learner.predictions, engine.predictions)
        m.d.comb += [
            writer.finish.eq(engine.finish),
            writer.restart.eq(engine.restart),
            writer.resend.eq(engine.resend),
            writer.position.eq(engine.position),
            writer.hint.eq(receiver.damaged),
            engine.damaged.eq(receiver.damaged),
            self.damaged.eq(receiver.damaged),
            learner.freeze.eq(self.freeze),
            self.updated.eq(learner.updated & enable),
        ]
        return m


class SerialLearner(wiring.Component):  # type: ignore[misc]
    """A :class:`LearnerLink` on a serial port.

    Parameters
    ----------
    spec
        The learner.
    clock_hz, baud
        Frequency of the clock, and rate of the line.

    Members
    -------
    rx : In(1), tx : Out(1)
        The lines, as this side sees them.
    freeze : In(1); updated, damaged : Out(1)
        As those of :class:`LearnerLink`.
    """

    def __init__(self, spec: LearnerSpec, clock_hz: float, baud: int) -> None:
        # Before anything is made that would then not be used.
        Layout.of(spec)
        divide_clock(clock_hz, baud)
        self._link = LearnerLink(spec)
        self._receiver = UartReceiver(clock_hz, baud)
        self._transmitter = UartTransmitter(clock_hz, baud)
        super().__init__(
            {"rx": In(1, init=1), "tx": Out(1, init=1), "freeze": In(1), "updated": Out(1), "damaged": Out(1)}
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the line to the byte's synchroniser."""
        return self._receiver.latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.link = link = self._link
        m.submodules.uart_receiver = receiver = self._receiver
        m.submodules.uart_transmitter = transmitter = self._transmitter
        connect(m, link.o, transmitter.i)
        m.d.comb += [
            # Between two bytes there are many cycles, of which the link needs one.
            link.i.payload.eq(receiver.o.payload),
            link.i.valid.eq(receiver.o.valid),
            receiver.rx.eq(self.rx),
            self.tx.eq(transmitter.tx),
            link.freeze.eq(self.freeze),
            self.updated.eq(link.updated),
            self.damaged.eq(link.damaged),
        ]
        return m
