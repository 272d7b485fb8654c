"""What stands around the arithmetic of every baseline: streams, order, registers, and access from outside."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...learner.address_map import CONTROL_FREEZE, COUNTER_WIDTH
from ...learner.rtl.pipeline_registers import hold
from ...learner.rtl.sequencer import Sequencer, count_sequencer
from ..baseline_addresses import BaselineAddresses
from ..baseline_spec import SATURATING, BaselineSpec


class WeightPort(wiring.Signature):  # type: ignore[misc]
    """Reads and writes of weights and registers from outside, one at a time (:class:`.BaselineAddresses`).

    A request is taken between samples, before the next one, and every request is answered: a read with what was read, a
    write with what was written.

    Members
    -------
    request : Out, stream of ``address``, ``write`` and ``data`` (integer codes)
    response : In, stream of integer codes
    """

    def __init__(self, spec: BaselineSpec) -> None:
        addresses = BaselineAddresses.of(spec)
        word = signed(addresses.data_width)
        request = data.StructLayout({"address": addresses.width, "write": 1, "data": word})
        super().__init__({"request": Out(stream.Signature(request)), "response": In(stream.Signature(word))})


def outer_members(spec: BaselineSpec) -> dict[str, Any]:
    """The members of a baseline: those of a :class:`kanrtl.Learner` with targets that travel with their samples."""
    x = data.ArrayLayout(spec.input_format, spec.n_in)
    target = data.ArrayLayout(spec.target_format, spec.n_out)
    return {
        "samples": In(stream.Signature(data.StructLayout({"x": x, "target": target, "learn": 1}))),
        "predictions": Out(stream.Signature(data.ArrayLayout(spec.output_format, spec.n_out))),
        "access": In(WeightPort(spec)),
        "freeze": In(1),
        "updated": Out(1),
    }


def flags_layout() -> data.StructLayout:
    """A bit for every kind of value that can saturate."""
    return data.StructLayout(dict.fromkeys(SATURATING, 1))


class BaselineControl(wiring.Component):  # type: ignore[misc]
    """Takes samples, says when weights change, gives predictions, and answers requests.

    A sample is held from the clock edge that takes it to that at which the next one is taken, so registers anywhere on
    its way have their value in time.

    Parameters
    ----------
    spec
        The baseline.

    Members
    -------
    samples, predictions, access, freeze, updated
        Those of the baseline.
    x, target : Out
        The sample that is worked on; ``x`` as numbers between -1 and 1.
    y : In, ``n_out`` outputs, ``prediction_latency - 1`` cycles after ``x`` changes
    begin_forward, begin_backward : Out(1)
        A folded baseline begins to go through its nodes at the clock edge.
    update : Out(1)
        The weights change at the clock edge, or the last of them.
    rate : Out
        The learning rate.
    saturated : In, a bit for every kind, of the activations when ``y`` is there, and of the others at ``update``
    serving : Out(1)
        A request is being served.
    selected : Out
        The number of the weight that it is for.
    read : In
        Its code, in the second cycle.
    write : Out(1)
        The weight becomes ``written`` at the clock edge.
    written : Out
    """

    def __init__(self, spec: BaselineSpec) -> None:
        self._spec = spec
        self._addresses = BaselineAddresses.of(spec)
        word = signed(self._addresses.data_width)
        super().__init__(
            outer_members(spec)
            | {
                "x": Out(data.ArrayLayout(spec.unit_format, spec.n_in)),
                "target": Out(data.ArrayLayout(spec.target_format, spec.n_out)),
                "y": In(data.ArrayLayout(spec.output_format, spec.n_out)),
                "begin_forward": Out(1),
                "begin_backward": Out(1),
                "update": Out(1),
                "rate": Out(spec.rate_register.format),
                "saturated": In(flags_layout()),
                "serving": Out(1),
                "selected": Out(self._addresses.width - 1),
                "read": In(word),
                "write": Out(1),
                "written": Out(word),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to that at which its update is written."""
        return self._spec.latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.sequencer = sequencer = Sequencer(self._spec)
        frozen = Signal()
        self._connect_streams(m, sequencer)
        m.d.comb += [
            sequencer.freeze.eq(self.freeze | frozen),
            self.begin_forward.eq(sequencer.take[0]),
            self.begin_backward.eq(sequencer.update[0]),
            self.serving.eq(sequencer.serving),
            self.update.eq(sequencer.updated),
            self.updated.eq(sequencer.updated),
        ]
        counters = self._count_saturations(m, sequencer)
        self._answer_requests(m, sequencer, counters, frozen)
        return m

    def _connect_streams(self, m: Module, sequencer: Sequencer) -> None:
        samples, predictions = self.samples, self.predictions
        payload, taken = samples.payload, samples.valid & samples.ready
        x, target = hold(m, payload.x, taken, "x_taken"), hold(m, payload.target, taken, "target_taken")
        m.d.comb += [
            sequencer.samples.valid.eq(samples.valid),
            samples.ready.eq(sequencer.samples.ready),
            sequencer.learn.eq(payload.learn),
            self.x.as_value().eq(x.as_value()),
            self.target.eq(target),
            predictions.valid.eq(sequencer.predictions.valid),
            sequencer.predictions.ready.eq(predictions.ready),
        ]
        with m.If(sequencer.load):
            m.d.sync += predictions.payload.eq(self.y)

    def _count_saturations(self, m: Module, sequencer: Sequencer) -> dict[str, Signal]:
        counters = {}
        for kind in SATURATING:
            counter = counters[kind] = Signal(COUNTER_WIDTH, name=f"{kind}_saturations")
            due = sequencer.load if kind == "activation" else sequencer.updated
            with m.If(due & self.saturated[kind] & ~counter.all()):
                m.d.sync += counter.eq(counter + 1)
        return counters

    def _answer_requests(self, m: Module, sequencer: Sequencer, counters: dict[str, Signal], frozen: Signal) -> None:
        addresses, request, response = self._addresses, self.access.request, self.access.response
        held = hold(m, request.payload, request.valid & request.ready, "held")
        rate = self._spec.rate_register
        register = Signal(rate.format.as_shape(), init=rate.code, name="rate_register")
        read, write = Signal(signed(addresses.data_width)), Signal()
        m.d.comb += [
            sequencer.requests.valid.eq(request.valid),
            request.ready.eq(sequencer.requests.ready),
            sequencer.responding.eq(response.valid),
            write.eq(sequencer.done & held.write),
            self.rate.raw.eq(register),
            self.selected.eq(held.address),
            self.write.eq(write & ~held.address[-1]),
            self.written.eq(held.data),
            read.eq(self.read),
        ]
        with m.If(held.address[-1]), m.Switch(held.address[:-1]):
            with m.Case(addresses.rate_number):
                m.d.comb += read.eq(register)
                with m.If(write):
                    m.d.sync += register.eq(held.data)
            with m.Case(addresses.control_number):
                m.d.comb += read.eq(frozen)
                with m.If(write):
                    m.d.sync += frozen.eq((held.data & CONTROL_FREEZE) != 0)
            for kind, counter in counters.items():
                with m.Case(addresses.counter_number(kind)):
                    m.d.comb += read.eq(counter)
                    with m.If(write):
                        m.d.sync += counter.eq(0)
            with m.Default():
                m.d.comb += read.eq(0)
        with m.If(sequencer.done):
            m.d.sync += [response.payload.eq(Mux(held.write, held.data, read)), response.valid.eq(1)]
        with m.Elif(response.ready):
            m.d.sync += response.valid.eq(0)


def count_baseline_control(parts: Parts, spec: BaselineSpec) -> None:
    """Count what :class:`BaselineControl` has."""
    addresses = BaselineAddresses.of(spec)
    parts.counts["learner"] += 1
    count_sequencer(parts, spec)
    parts.register(spec.n_in * spec.input_format.width + spec.n_out * spec.target_format.width)
    parts.register(spec.n_out * spec.output_format.width, moved=False)
    parts.register(addresses.width + 1 + addresses.data_width)
    parts.register(addresses.data_width + 1 + spec.rate_register.format.width, moved=False)
    parts.counts["counter"] += COUNTER_WIDTH * len(SATURATING)
    # Cleared from outside: that takes the flip-flops' resets, and every bit chooses whether it counts.
    parts.choice(COUNTER_WIDTH, times=len(SATURATING))
    parts.choice(addresses.data_width, 3 + len(SATURATING))
    parts.choice(addresses.data_width)
