"""The order in which a learner does things: a step after another, or where samples stream, one in every cycle."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any, Protocol

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.bits import bits_for
from ..schedule import Schedule
from ..spec import LearnerSpec


class StepCycles(Protocol):
    """The cycles that a sequencer goes by, as those of :class:`.Schedule`."""

    @property
    def after_prediction(self) -> bool:
        """Whether targets come on a stream of their own."""

    @property
    def prediction_latency(self) -> int:
        """As :attr:`.Schedule.prediction_latency`."""

    @property
    def latency(self) -> int:
        """As :attr:`.Schedule.latency`."""

    @property
    def teaching_latency(self) -> int:
        """As :attr:`.Schedule.teaching_latency`."""

    @property
    def access_cycles(self) -> int:
        """As :attr:`.Schedule.access_cycles`."""

    @property
    def begins(self) -> tuple[Sequence[int], Sequence[int]] | None:
        """The cycles in which the layers' forward passes begin, and those in which their backward passes do; None where
        a step has no passes, and all that is learned is written at one clock edge."""


class Sequenced(Protocol):
    """What a sequencer has to know of what it tells when to go: a :class:`.LearnerSpec` is one."""

    @property
    def n_layers(self) -> int:
        """How many layers are told when to go."""

    @property
    def timing(self) -> StepCycles:
        """When."""

    @property
    def restarts(self) -> bool:
        """Whether samples may have to wait for what a reset writes anew."""


class Handshake(wiring.Signature):  # type: ignore[misc]
    """The two bits of a stream that tell when something is transferred: at a clock edge at which both are high.

    Members
    -------
    valid : Out(1)
    ready : In(1)
    """

    def __init__(self) -> None:
        super().__init__({"valid": Out(1), "ready": In(1)})


class SequencerSignature(wiring.Signature):  # type: ignore[misc]
    """The members of what tells the parts of a learner when to go.

    Members
    -------
    samples : In, Handshake
    learn : In(1)
        Whether the sample that is offered is to be learned.
    freeze : In(1)
        A sample that is taken while this is high is not learned.
    predictions : Out, Handshake
        Where samples stream, ``ready`` is not looked at.
    teaching : In, Handshake
        Only with ``teaching="after_prediction"``.
    requests : In, Handshake
        Of reads and writes from outside.
    responding : In(1)
        An answer waits to be taken: no request is taken.
    busy : In(1)
        Tables are being made: nothing is taken, and what is being served waits.
    hold : In(1)
        No sample is taken; only where the learner restarts.
    take : Out, one bit for every layer
        Its :attr:`~.LayerSignature.take`.
    update : Out, one bit for every layer
        Its :attr:`~.LayerSignature.update`.
    load : Out(1)
        The last layer's outputs are the prediction, which is offered after the clock edge.
    leap : Out(1)
        The noise register goes on at the clock edge.
    updated : Out(1)
        The last coefficient of an update is written at the clock edge.
    serving : Out(1)
        A request is being served.
    second : Out(1)
        That is in its second cycle.
    done : Out(1)
        That ends with this cycle.
    """

    def __init__(self, spec: Sequenced) -> None:
        members: dict[str, Any] = {
            "samples": In(Handshake()),
            "learn": In(1),
            "freeze": In(1),
            "predictions": Out(Handshake()),
            "requests": In(Handshake()),
            "responding": In(1),
            "busy": In(1),
            "take": Out(spec.n_layers),
            "update": Out(spec.n_layers),
            "load": Out(1),
            "leap": Out(1),
            "updated": Out(1),
            "serving": Out(1),
            "second": Out(1),
            "done": Out(1),
        }
        if spec.restarts:
            members["hold"] = In(1)
        if spec.timing.after_prediction:
            members["teaching"] = In(Handshake())
        super().__init__(members)


class _AnySequencer(wiring.Component):  # type: ignore[misc]
    """What sequencers have in common: their members, and their cycles."""

    def __init__(self, spec: Sequenced) -> None:
        self._spec = spec
        super().__init__(SequencerSignature(spec))

    def _admit(self, free: Value) -> Value:
        """Whether samples may be taken, in cycles that are ``free`` for them."""
        return free & ~self.hold if self._spec.restarts else free

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


class _Phase(enum.Enum):
    IDLE = 0
    SAMPLE = 1
    WAIT = 2
    TEACH = 3
    ACCESS = 4


class Sequencer(_AnySequencer):
    """Tells layers when to go, one sample after another.

    A sample is taken as the update of the one before is written, and a request between samples, before the next. A step
    waits until the prediction before it was taken, and where the teacher answers later, for its word.

    Parameters
    ----------
    spec
        A learner in the sequential schedule, folded or not; or what else has its cycles.

    Members
    -------
    See :class:`.SequencerSignature`.
    """

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
            self.samples.ready.eq(self._admit((idle | finish) & ~(self.requests.valid & ~self.responding))),
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

        if schedule.begins is None:
            m.d.comb += [self.take[0].eq(sampled), self.update.eq(self.updated.replicate(self._spec.n_layers))]
            return m

        def precede(phase_of_cycle: _Phase, cycle: int) -> Value:
            """The cycle before a cycle of a phase."""
            if cycle == 0:
                return sampled if phase_of_cycle is _Phase.SAMPLE else _transferred(self.teaching)
            return (phase == phase_of_cycle) & (count == cycle - 1) & ~stalled

        forward = [precede(_Phase.SAMPLE, cycle) for cycle in schedule.begins[0]]
        backward = [precede(taught_phase, cycle) for cycle in schedule.begins[1]]
        m.d.comb += [
            self.take.eq(Cat(forward)),
            self.update.eq(Mux(learned & ~frozen, Cat(backward), 0)),
        ]
        return m


def _transferred(handshake: Handshake) -> Value:
    return handshake.valid & handshake.ready


def count_sequencer(parts: Parts, spec: Sequenced) -> None:
    """Count what :class:`Sequencer` has."""
    timing = spec.timing
    parts.counts["counter"] += bits_for(max(timing.latency, timing.access_cycles))
    parts.register(bits_for(timing.latency) + 6, moved=False)


class StreamSequencer(_AnySequencer):
    """Takes a sample at every clock edge, and none while anything is accessed; tells layers when it has come to them.

    A request waits until no sample is in the pipeline.

    Parameters
    ----------
    spec
        A learner in the streaming schedule.

    Members
    -------
    See :class:`.SequencerSignature`. ``take`` is never high: a layer takes what is there at every clock edge.
    """

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        schedule = self._spec.timing
        assert isinstance(schedule, Schedule)
        # Bit t stands for the sample of time t + 1.
        present, taught = Signal(schedule.latency), Signal(schedule.latency)
        quiet = Signal(init=1)
        count, serving = Signal(range(schedule.access_cycles)), Signal()
        # A register, as it reaches every counter. It can be told a cycle ahead: tables begin to be made in the first
        # cycles of a request, whose count stands still until they are there.
        done = Signal()
        # A reset does not end the making of tables.
        idle = ~serving & ~self.busy
        taken = self.samples.valid & self.samples.ready
        m.d.comb += [
            self.requests.ready.eq(idle & ~self.responding & quiet),
            self.samples.ready.eq(self._admit(idle & ~(self.requests.valid & ~self.responding))),
            self.load.eq(present[schedule.prediction_latency - 1]),
            self.leap.eq(taught[schedule.first_rounded - 1]),
            self.update.eq(
                Cat(
                    taught[times.changed - ("update" in stages) - 1]
                    for times, stages in zip(schedule.layers, schedule.stages, strict=True)
                )
            ),
            self.updated.eq(taught[-1]),
            self.serving.eq(serving),
            self.second.eq(serving & (count == 1)),
            self.done.eq(done),
        ]
        m.d.sync += [
            done.eq(serving & (count == schedule.access_cycles - 2) & ~self.busy),
            present.eq(Cat(taken, present)),
            quiet.eq(~(taken | present.any())),
            taught.eq(Cat(taken & self.learn & ~self.freeze, taught)),
            self.predictions.valid.eq(self.load),
        ]
        with m.If(serving & ~self.busy):
            m.d.sync += count.eq(count + 1)
        with m.If(self.requests.valid & self.requests.ready):
            m.d.sync += [serving.eq(1), count.eq(0)]
        with m.If(self.done):
            m.d.sync += serving.eq(0)
        return m


def count_stream_sequencer(parts: Parts, spec: LearnerSpec) -> None:
    """Count what :class:`StreamSequencer` has."""
    parts.register(2 * spec.timing.latency)
    parts.register(2, moved=False)
