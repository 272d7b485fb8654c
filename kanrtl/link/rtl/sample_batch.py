"""Samples that come one at a time, for a learner that is to see them one behind the other."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...learner.spec import LearnerSpec
from ..layout import Kind, Layout

__all__ = ["SampleBatch"]


class SampleBatch(wiring.Component):  # type: ignore[misc]
    """Lets the clock of a learner in the streaming schedule go on for one edge a sample, so that samples follow each
    other in its time without a gap, whenever they come; between two of them its prediction stands still and can be
    given.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    offered : In(1)
        A sample is offered to the learner.
    taken : In(1)
        It is taken at the clock edge; the batch begins, or goes on.
    abandoned : In(1)
        At the clock edge the batch is over, whatever is on its way.
    answering : In(1)
        An answer begins.
    predicted : In(1)
        A prediction is there.
    given : In(1)
        At the clock edge it is given.
    ending : In(1)
        No more samples come, until :attr:`ended`: predictions are to be given while :attr:`due` is high, and when there
        are none on the way, all updates land.
    enable : Out(1)
        Whether the learner's clock goes on.
    empty : Out(1)
        No sample was taken since the answer began.
    due : Out(1)
        While ``ending``: a prediction is to be given.
    ended : Out(1)
        While ``ending``: the answer is full, or the batch is over.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._steps = spec.latency + 2
        self._room = Layout.of(spec).answers(Kind.PREDICT)
        inputs = ("offered", "taken", "abandoned", "answering", "predicted", "given", "ending")
        outputs = ("enable", "empty", "due", "ended")
        super().__init__({**{name: In(1) for name in inputs}, **{name: Out(1) for name in outputs}})

    @property
    def latency(self) -> int:
        """Clock cycles, after a sample, from that in which ``ending`` rises to that in which ``ended`` does, without
        those in which predictions wait to be given."""
        return self._steps

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        batch, was_given = Signal(), Signal()
        steps, answered = Signal(range(self._steps + 1), init=self._steps), Signal(range(self._room + 1))
        waiting, step = Signal(), Signal()
        m.d.comb += [
            waiting.eq(self.predicted & ~was_given),
            step.eq(self.offered | (self.ending & ~waiting)),
            self.enable.eq(~batch | step),
            self.due.eq(waiting & (answered != self._room)),
            self.ended.eq(~self.due & (waiting | (steps == self._steps))),
        ]
        with m.If(step):
            m.d.sync += was_given.eq(0)
        with m.If(self.given):
            m.d.sync += [was_given.eq(1), answered.eq(answered + 1)]
        with m.If(self.answering):
            m.d.sync += [answered.eq(0), self.empty.eq(1)]
        with m.If(self.ending & ~waiting):
            with m.If(steps == self._steps):
                m.d.sync += batch.eq(0)
            with m.Else():
                m.d.sync += steps.eq(steps + 1)
        with m.If(self.taken):
            m.d.sync += [batch.eq(1), steps.eq(0), self.empty.eq(0)]
        with m.If(self.abandoned):
            m.d.sync += batch.eq(0)
        return m
