"""The order of a step in the sequential schedule."""

from __future__ import annotations

import enum
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring

from ...fabric.parts import Parts
from ...numeric.widths import bits_for
from ..folded_schedule import FoldedSchedule
from ..spec import LearnerSpec
from .sequencer_signature import Handshake, SequencerSignature

__all__ = ["Sequencer", "count_sequencer"]


class _Phase(enum.Enum):
    IDLE = 0
    SAMPLE = 1
    WAIT = 2
    TEACH = 3
    ACCESS = 4


class Sequencer(wiring.Component):  # type: ignore[misc]
    """Tells layers when to go, one sample after another.

    A sample is taken as the update of the one before is written, and a request between samples, before the next. A step
    waits until the prediction before it was taken, and where the teacher answers later, for its word.

    Parameters
    ----------
    spec
        A learner in the sequential schedule, folded or not.

    Members
    -------
    See :class:`.SequencerSignature`.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        super().__init__(SequencerSignature(spec))

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to that at which its update is written."""
        return self._spec.timing.latency

    @property
    def prediction_latency(self) -> int:
        """Clock cycles from the edge that takes a sample to that from which its prediction is offered."""
        return self._spec.timing.prediction_latency

    @property
    def access_latency(self) -> int:
        """Clock cycles from the edge that takes a request to that at which it is done, if no table is made."""
        return self._spec.timing.access_cycles

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        schedule = self._spec.timing
        after = schedule.after_prediction
        phase = Signal(_Phase)
        count = Signal(range(max(schedule.latency, schedule.teaching_latency, schedule.access_cycles)))
        learned, frozen = Signal(reset_less=True), Signal()
        sampled, requested = _transferred(self.samples), _transferred(self.requests)

        # A prediction is due, and offered as soon as the one before was taken.
        due, stalled = Signal(), Signal()
        m.d.comb += [
            due.eq((phase == _Phase.SAMPLE) & (count == schedule.prediction_latency - 1)),
            stalled.eq(due & self.predictions.valid & ~self.predictions.ready),
            self.load.eq(due & ~stalled),
        ]
        with m.If(self.load):
            m.d.sync += self.predictions.valid.eq(1)
        with m.Elif(self.predictions.ready):
            m.d.sync += self.predictions.valid.eq(0)

        # What is taught ends a step, or the prediction where nothing is.
        taught_phase = _Phase.TEACH if after else _Phase.SAMPLE
        taught_end = (schedule.teaching_latency if after else schedule.latency) - 1
        taught, finish = Signal(), Signal()
        m.d.comb += [
            taught.eq((phase == taught_phase) & (count == taught_end) & (1 if after else learned & ~stalled)),
            finish.eq(taught | (self.load & ~learned)),
            self.updated.eq(taught & ~frozen),
            self.leap.eq(self.updated),
            self.serving.eq(phase == _Phase.ACCESS),
            self.second.eq(self.serving & (count == 1)),
            self.done.eq(self.serving & (count == schedule.access_cycles - 1) & ~self.busy),
        ]

        # A reset does not end the making of tables.
        idle = (phase == _Phase.IDLE) & ~self.busy
        m.d.comb += [
            self.requests.ready.eq(idle & ~self.responding),
            self.samples.ready.eq((idle | finish) & ~(self.requests.valid & ~self.responding)),
        ]

        with m.If((phase != _Phase.IDLE) & ~stalled & ~self.busy):
            m.d.sync += count.eq(count + 1)
        with m.If(finish | self.done):
            m.d.sync += phase.eq(_Phase.IDLE)
        if after:
            with m.If(self.load & learned):
                m.d.sync += phase.eq(_Phase.WAIT)
            m.d.comb += self.teaching.ready.eq(phase == _Phase.WAIT)
            with m.If(_transferred(self.teaching)):
                m.d.sync += [phase.eq(_Phase.TEACH), count.eq(0)]
        with m.If(sampled):
            m.d.sync += [phase.eq(_Phase.SAMPLE), count.eq(0), learned.eq(self.learn), frozen.eq(self.freeze)]
        with m.If(requested):
            m.d.sync += [phase.eq(_Phase.ACCESS), count.eq(0)]

        if not isinstance(schedule, FoldedSchedule):
            m.d.comb += [self.take[0].eq(sampled), self.update.eq(self.updated.replicate(self._spec.n_layers))]
            return m

        def precede(phase_of_cycle: _Phase, cycle: int) -> Value:
            """The cycle before a cycle of a phase."""
            if cycle == 0:
                return sampled if phase_of_cycle is _Phase.SAMPLE else _transferred(self.teaching)
            return (phase == phase_of_cycle) & (count == cycle - 1) & ~stalled

        forward = [precede(_Phase.SAMPLE, cycle) for cycle in schedule.forward[:-1]]
        backward = [precede(taught_phase, cycle) for cycle in schedule.backward]
        m.d.comb += [
            self.take.eq(Cat(forward)),
            self.update.eq(Mux(learned & ~frozen, Cat(backward), 0)),
        ]
        return m


def _transferred(handshake: Handshake) -> Value:
    return handshake.valid & handshake.ready


def count_sequencer(parts: Parts, spec: LearnerSpec) -> None:
    """Counts what :class:`Sequencer` has."""
    timing = spec.timing
    parts.counts["counter"] += bits_for(max(timing.latency, timing.access_cycles))
    parts.register(bits_for(timing.latency) + 6, moved=False)
