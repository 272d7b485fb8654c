"""The order of steps in the streaming schedule."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring

from ...fabric.parts import Parts
from ..schedule import Schedule
from ..spec import LearnerSpec
from .sequencer_signature import SequencerSignature

__all__ = ["StreamSequencer", "count_stream_sequencer"]


class StreamSequencer(wiring.Component):  # type: ignore[misc]
    """Takes a sample at every clock edge, and none while anything is accessed; tells layers when it has come to them.

    A request waits until no sample is on its way.

    Parameters
    ----------
    spec
        A learner in the streaming schedule.

    Members
    -------
    See :class:`.SequencerSignature`. ``take`` is never high: a layer takes what is there at every clock edge.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        assert isinstance(spec.timing, Schedule)
        self._schedule = spec.timing
        super().__init__(SequencerSignature(spec))

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to that at which its update is written."""
        return self._schedule.latency

    @property
    def prediction_latency(self) -> int:
        """Clock cycles from the edge that takes a sample to that from which its prediction is offered."""
        return self._schedule.prediction_latency

    @property
    def access_latency(self) -> int:
        """Clock cycles from the edge that takes a request to that at which it is done, if no table is made."""
        return self._schedule.access_cycles

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        schedule = self._schedule
        # Bit t stands for the sample of time t + 1.
        present, taught = Signal(schedule.latency), Signal(schedule.latency)
        quiet = Signal(init=1)
        count, serving = Signal(range(schedule.access_cycles)), Signal()
        # A reset does not end the making of tables.
        idle = ~serving & ~self.busy
        taken = self.samples.valid & self.samples.ready
        m.d.comb += [
            self.requests.ready.eq(idle & ~self.responding & quiet),
            self.samples.ready.eq(idle & ~(self.requests.valid & ~self.responding)),
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
            self.done.eq(serving & (count == schedule.access_cycles - 1) & ~self.busy),
        ]
        m.d.sync += [
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
    """Counts what :class:`StreamSequencer` has."""
    parts.register(2 * spec.timing.latency)
    parts.register(1, moved=False)
