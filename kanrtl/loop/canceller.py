"""What a learner does not predict: the output of an adaptive canceller."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In, Out

from ..errors import SpecError, check_kind
from ..fabric.parts import Parts
from ..learner.address_map import COUNTER_WIDTH
from ..learner.losses import find_loss
from ..learner.rtl.learner_members import learner_members
from ..learner.rtl.pipeline_registers import delay
from ..learner.spec import LearnerSpec
from ..numeric.fixed import Codes, Format
from .loop_part import LoopPart
from .vectors import (
    as_codes,
    as_format,
    check_exact,
    count_events,
    count_events_parts,
    count_narrowed_sum,
    narrow_codes,
    narrow_numbers,
    vector,
    vector_stream,
)

__all__ = ["Canceller", "CancellerModel"]


class Canceller(LoopPart):
    """Stands around a learner: makes a sample of every two words, inputs and what is measured, and gives what is
    measured minus what the learner predicts of it.

    That is the adaptive noise canceller of Widrow and others (Proceedings of the IEEE 63, 1975): the inputs are a
    reference that the disturbance follows from, and what cannot be predicted from them remains. The prediction is that
    made before the learner has learned from the sample.

    A word of one stream waits for that of the other. In the streaming schedule, in which predictions cannot be refused,
    neither can the output.

    Parameters
    ----------
    spec
        The learner: ``teaching="with_sample"``, and ``loss="squared"``.
    output
        The format of what remains. By default that of the learner's outputs.

    Members
    -------
    x : In, stream of ``n_in`` inputs of the learner
    measured : In, stream of ``n_out`` numbers in the format of its targets
    o : Out, stream of ``n_out`` numbers in ``output``: the exact difference, rounded once and saturated
    samples : Out, predictions : In
        For the learner's members of these names.
    learn : In(1)
        Whether to learn from the sample that is offered; it does where nothing drives this.
    saturations : Out(16)
        Words of which any number has saturated; stops at its highest value.
    clear : In(1)
        Sets that to zero.
    """

    def __init__(self, spec: LearnerSpec, *, output: Format | str | None = None) -> None:
        check_kind("spec", spec, LearnerSpec, "a LearnerSpec")
        if spec.timing.after_prediction:
            raise SpecError.of("teaching", spec.teaching, 'a canceller needs the target with the sample: "with_sample"')
        if find_loss(spec.loss).reads_outputs or find_loss(spec.loss).takes_gradients:
            raise SpecError.of("loss", spec.loss, 'a canceller subtracts what is predicted; use "squared"')
        self.spec = spec
        self.output = spec.formats.output if output is None else as_format("output", output)
        check_exact(_difference(spec), "Canceller", ("output", "the formats of the spec"), self.output)
        learner = learner_members(spec)
        super().__init__(
            {
                "x": In(vector_stream(spec.formats.input, spec.n_in)),
                "measured": In(vector_stream(spec.target_format, spec.n_out)),
                "o": Out(vector_stream(self.output, spec.n_out, always_ready=spec.timing.streaming)),
                "samples": learner["samples"].flip(),
                "predictions": learner["predictions"].flip(),
                "learn": In(1, init=1),
                "saturations": Out(COUNTER_WIDTH),
                "clear": In(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the one in which both words are taken to the one in which what remains is offered, while
        nothing waits: those of the prediction, as neither sample nor output has a register here."""
        return self.spec.timing.prediction_latency + 1

    @property
    def interval(self) -> int:
        """Clock cycles from word to word, while nothing waits: those of the learner."""
        return self.spec.interval

    def model(self) -> CancellerModel:
        """The same in integers."""
        return CancellerModel(self)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        sample, prediction = self.samples, self.predictions
        room, taken, given = Signal(), Signal(), Signal()
        both = self.x.valid & self.measured.valid
        m.d.comb += [
            sample.payload.x.eq(self.x.payload),
            sample.payload.target.eq(self.measured.payload),
            sample.payload.learn.eq(self.learn),
            sample.valid.eq(both & room),
            self.x.ready.eq(sample.ready & self.measured.valid & room),
            self.measured.ready.eq(sample.ready & self.x.valid & room),
            taken.eq(sample.valid & sample.ready),
            self.o.valid.eq(prediction.valid),
            given.eq(self.o.valid & self.o.ready),
        ]
        if self.spec.timing.streaming:
            m.d.comb += room.eq(1)
            waiting = delay(m, self.measured.payload, self.latency, "measured")
        else:
            m.d.comb += prediction.ready.eq(self.o.ready)
            waiting = self._queue(m, room, taken, given)
        differences = [target - y for target, y in zip(waiting, prediction.payload, strict=True)]
        results, saturates = narrow_numbers(m, differences, self.output, self.spec.rounding, "remaining")
        m.d.comb += [number.eq(result) for number, result in zip(self.o.payload, results, strict=True)]
        count_events(m, given & saturates.any(), self.clear, self.saturations)
        return m

    def _queue(self, m: Module, room: Signal, taken: Signal, given: Signal) -> Any:
        """Keep what was measured until its prediction is given: one sample may be in work while the prediction of the
        one before waits."""
        layout = vector(self.spec.target_format, self.spec.n_out)
        first = Signal(layout, reset_less=True)
        second = Signal(layout, reset_less=True)
        count = Signal(2)
        m.d.comb += room.eq((count != 2) | given)
        m.d.sync += count.eq(count + taken - given)
        with m.If(given):
            m.d.sync += first.eq(second)
        with m.If(taken & (count == Mux(given, 1, 0))):
            m.d.sync += first.eq(self.measured.payload)
        with m.If(taken & (count != Mux(given, 1, 0))):
            m.d.sync += second.eq(self.measured.payload)
        return first

    def count(self, parts: Parts) -> None:
        spec = self.spec
        bits = spec.n_out * spec.target_format.width
        if spec.timing.streaming:
            parts.register(self.latency * bits)
        else:
            parts.register(2 * bits, moved=False)
            parts.register(2, moved=False)
        exact = _difference(spec)
        parts.adder(exact.width, spec.n_out)
        count_narrowed_sum(parts, exact, self.output, spec.rounding, spec.n_out)
        count_events_parts(parts)


def _difference(spec: LearnerSpec) -> Format:
    """The format of a target minus an output."""
    target, y = (format(Signal(format.as_shape())) for format in (spec.target_format, spec.formats.output))
    return (target - y).format


class CancellerModel:
    """A :class:`Canceller` in integer codes.

    Attributes
    ----------
    saturations : int
        Words of which any number has saturated, up to the counter's highest value.
    """

    def __init__(self, canceller: Canceller) -> None:
        self._canceller = canceller
        self.saturations = 0

    def step(self, measured: npt.ArrayLike, predicted: npt.ArrayLike) -> Codes:
        """What remains, ``(n_out,)``, of what was measured when the learner has predicted so."""
        canceller, spec = self._canceller, self._canceller.spec
        target = as_codes("measured", measured, spec.target_format, spec.n_out)
        y = as_codes("predicted", predicted, spec.formats.output, spec.n_out)
        f = _difference(spec).f
        exact = (target << (f - spec.target_format.f)) - (y << (f - spec.formats.output.f))
        result, saturated = narrow_codes(exact, f, canceller.output, spec.rounding)
        self.saturations = min(self.saturations + saturated, (1 << COUNTER_WIDTH) - 1)
        return result
