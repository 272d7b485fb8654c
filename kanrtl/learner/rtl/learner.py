"""The learner: every layer, the loss, and the order in which a sample meets them."""

from __future__ import annotations

import enum
import itertools
from collections import defaultdict
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..address_map import CONTROL_FREEZE, AddressMap
from ..folded_schedule import FoldedSchedule
from ..losses import find_loss
from ..schedule import Schedule
from ..spec import LearnerSpec
from .folded_layer import FoldedLayer
from .layer import Layer
from .loss_gradient import LossGradient
from .noise_register import Noise
from .pipeline_registers import Stages, delay
from .saturation_counters import Monitor

__all__ = ["Access", "Learner"]


class Access(wiring.Signature):  # type: ignore[misc]
    """Reads and writes of coefficients and registers from outside, one at a time: :mod:`kanrtl.learner.address_map`.

    A request is taken between samples, before the next one. Every request is answered: a read with what was read, a
    write with what was written. An address that stands for nothing reads zero, and a write to it changes nothing.

    Members
    -------
    request : Out, stream of ``address``, ``write`` and ``data`` (integer codes)
    response : In, stream of integer codes
    """

    def __init__(self, spec: LearnerSpec) -> None:
        addresses = AddressMap.of(spec)
        word = signed(addresses.data_width)
        request = data.StructLayout({"address": addresses.width, "write": 1, "data": word})
        super().__init__(
            {
                "request": Out(stream.Signature(request)),
                "response": In(stream.Signature(word)),
            }
        )


class _Phase(enum.Enum):
    IDLE = 0
    SAMPLE = 1
    WAIT = 2
    TEACH = 3
    ACCESS = 4


class Learner(wiring.Component):  # type: ignore[misc]
    """A Kolmogorov-Arnold network that predicts, and trains itself with every sample that is to be learned.

    In the sequential schedule, exact SGD, a sample is held in a register until its update is written, and the next one
    is taken in that same cycle; a step waits until its prediction is taken. In the streaming schedule a sample is taken
    every clock, and nothing ever waits: predictions cannot be refused. :attr:`latency`, :attr:`interval` and the rest
    of :class:`kanrtl.learner.schedule.Schedule` hold for every input.

    Parameters
    ----------
    spec
        What to build.

    Members
    -------
    samples : In, stream
        ``x``: ``n_in`` activations; ``learn``: whether to learn from it; with ``teaching="with_sample"`` also
        ``target``: ``n_out`` targets (or gradients with ``loss="external"``), which matter only where ``learn`` is set.
    predictions : Out, stream
        ``n_out`` activations for every sample, in order; with the streaming schedule ``always_ready``.
    teaching : In, stream; only with ``teaching="after_prediction"``
        ``n_out`` targets or gradients: one word for every sample with ``learn`` set, taken after its prediction was
        made.
    access : In, :class:`Access`
    freeze : In(1)
        A sample that is taken while this is high (or the control register says so) is predicted but not learned.
    updated : Out(1)
        High in the cycle at whose end an update is written; :attr:`gradient` is then that of the sample.
    gradient : Out, ``n_out`` gradients dL/dy
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self.spec = spec
        formats = spec.formats
        x = data.ArrayLayout(formats.activation, spec.n_in)
        y = data.ArrayLayout(formats.activation, spec.n_out)
        target = data.ArrayLayout(spec.target_format, spec.n_out)
        after = spec.teaching == "after_prediction"
        sample = {"x": x, "learn": 1} if after else {"x": x, "target": target, "learn": 1}
        members: dict[str, Any] = {
            "samples": In(stream.Signature(data.StructLayout(sample))),
            "predictions": Out(stream.Signature(y, always_ready=spec.timing.streaming)),
            "access": In(Access(spec)),
            "freeze": In(1),
            "updated": Out(1),
            "gradient": Out(data.ArrayLayout(formats.gradient, spec.n_out)),
        }
        if after:
            members["teaching"] = In(stream.Signature(target))
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to the edge that writes its update."""
        return self.spec.timing.latency

    @property
    def interval(self) -> int:
        """Clock cycles from taking a taught sample to taking the next."""
        return self.spec.timing.interval

    @property
    def prediction_latency(self) -> int:
        """Clock cycles from the edge that takes a sample to the edge from which its prediction is valid."""
        return self.spec.timing.prediction_latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._phase = Signal(_Phase)
        self._control_freeze = Signal()
        self._busy = Signal()
        layers = self._flow(m)
        m.d.comb += self._busy.eq(Cat(layer.busy for layer in layers).any())
        load = self._stream(m, layers) if self.spec.timing.streaming else self._sequence(m, layers)
        monitor = self._count_saturations(m, layers, load)
        self._learning_rates(m, layers)
        self._serve_access(m, layers, monitor)
        return m

    # How values flow.

    def _flow(self, m: Module) -> list[Any]:
        """The way of a sample, without what tells it when to go."""
        layers = self._layers(m)
        self._chain(m, layers, self._take_sample(m, layers))
        return layers

    def _layers(self, m: Module) -> list[Any]:
        kind = FoldedLayer if self.spec.folded else Layer
        layers = []
        for plan, initial in zip(self.spec.plans, self.spec.initial_codes(), strict=True):
            component = kind(plan, initial)
            m.submodules[f"layer{plan.index}"] = component
            layers.append(component)
        return layers

    def _take_sample(self, m: Module, layers: list[Any]) -> Any:
        """Takes the sample into the first layer, and what it is taught into a register."""
        timing = self.spec.timing
        payload, first = self.samples.payload, layers[0]
        taken = self.samples.valid & self.samples.ready
        m.d.comb += first.x.eq(payload.x)
        if not (timing.streaming or self.spec.folded):
            m.d.comb += first.take.eq(taken)
        target = Signal(data.ArrayLayout(self.spec.target_format, self.spec.n_out), name="target", reset_less=True)
        if timing.after_prediction:
            taken, word = self.teaching.valid & self.teaching.ready, self.teaching.payload
        else:
            word = payload.target
        with m.If(Const(1) if timing.streaming else taken):
            m.d.sync += target.eq(word)
        return target

    def _chain(self, m: Module, layers: list[Any], target: Any) -> None:
        """Connects the layers, forwards and backwards."""
        timing = self.spec.timing
        stages = Stages(m, timing, self.spec.n_layers - 1)
        for (before, after), plan in zip(itertools.pairwise(layers), self.spec.plans[1:], strict=True):
            x = before.total if plan.located else before.y
            m.d.comb += [after.x.eq(x), before.gradient.eq(after.downstream)]
        last = layers[-1]
        times = timing.layers[-1] if isinstance(timing, Schedule) and timing.streaming else None
        if self.spec.plans[-1].forms_error:
            m.d.comb += last.target.eq(target)
            errors = last.error
        else:
            m.submodules.loss = loss = LossGradient(self.spec)
            value = last.y if find_loss(self.spec.loss).reads_outputs else last.total
            self._loss_saturated = loss.saturated
            if times:
                target = delay(m, target, times.summed - 1, "target")
                late = timing.latency - times.summed
                self._loss_saturated = delay(m, self._loss_saturated, late, "loss_saturates")
            m.d.comb += [loss.values.eq(value), loss.targets.eq(target)]
            errors = loss.gradients
        for node in range(self.spec.n_out):
            m.d.comb += last.gradient[node].eq(stages.end("error", errors[node], f"gradient{node}"))
        late = timing.latency - times.gradient if times else 0
        m.d.comb += self.gradient.eq(delay(m, last.gradient, late, "gradient"))

    # When they flow.

    def _stream(self, m: Module, layers: list[Any]) -> Value:
        """Takes a sample at every clock, and none while anything is accessed; gives the strobe of the prediction."""
        timing, phase = self.spec.timing, self._phase
        assert isinstance(timing, Schedule)
        self._count = count = Signal(range(timing.access_cycles))
        request, response = self.access.request, self.access.response
        # Bit t stands for the sample of time t + 1.
        present, taught = Signal(timing.latency), Signal(timing.latency)
        quiet = Signal(init=1)
        # A reset does not end the making of tables.
        idle = (phase == _Phase.IDLE) & ~self._busy
        learn = self.samples.payload.learn & ~(self.freeze | self._control_freeze)
        m.d.comb += [
            request.ready.eq(idle & ~response.valid & quiet),
            self.samples.ready.eq(idle & ~(request.valid & ~response.valid)),
            self.updated.eq(taught[-1]),
        ]
        taken = self.samples.valid & self.samples.ready
        load = present[timing.prediction_latency - 1]
        m.d.sync += [
            present.eq(Cat(taken, present)),
            quiet.eq(~(taken | present.any())),
            taught.eq(Cat(taken & learn, taught)),
            self.predictions.payload.eq(layers[-1].y),
            self.predictions.valid.eq(load),
        ]
        with m.If((phase == _Phase.ACCESS) & ~self._busy):
            m.d.sync += count.eq(count + 1)
        m.d.comb += [
            layer.update.eq(taught[times.changed - ("update" in stages) - 1])
            for layer, times, stages in zip(layers, timing.layers, timing.stages, strict=True)
        ]
        if self.spec.update_rounding == "stochastic":
            # The sample's word, kept for the layers whose turn comes later.
            first = min(times.rounded for times in timing.layers)
            m.submodules.noise = self._noise = noise = Noise(self.spec.seed)
            m.d.comb += noise.leap.eq(taught[first - 1])
            for index, (layer, times) in enumerate(zip(layers, timing.layers, strict=True)):
                m.d.comb += layer.noise.eq(delay(m, noise.state, times.rounded - first, f"noise{index}"))
        return load

    def _sequence(self, m: Module, layers: list[Any]) -> Value:
        """Counts the cycles of a step, and has its updates written; gives the strobe of the prediction."""
        schedule, phase = self.spec.timing, self._phase
        after = schedule.after_prediction
        self._count = count = Signal(range(max(schedule.latency, schedule.teaching_latency, schedule.access_cycles)))
        learn, frozen = Signal(reset_less=True), Signal()
        prediction_due = Signal()
        # A reset does not end the making of tables.
        idle = (phase == _Phase.IDLE) & ~self._busy
        load, write, finish = Signal(), Signal(), Signal()

        blocked = self.predictions.valid & ~self.predictions.ready
        m.d.comb += [
            prediction_due.eq((phase == _Phase.SAMPLE) & (count == schedule.prediction_latency - 1)),
            load.eq(prediction_due & ~blocked),
        ]
        with m.If(load):
            m.d.sync += [self.predictions.payload.eq(layers[-1].y), self.predictions.valid.eq(1)]
        with m.Elif(self.predictions.ready):
            m.d.sync += self.predictions.valid.eq(0)

        taught_end = schedule.teaching_latency - 1 if after else schedule.latency - 1
        taught_phase = _Phase.TEACH if after else _Phase.SAMPLE
        taught_done = (phase == taught_phase) & (count == taught_end)
        if taught_phase is _Phase.SAMPLE:
            taught_done &= learn & ~(prediction_due & blocked)
        m.d.comb += [
            write.eq(taught_done & ~frozen),
            self.updated.eq(write),
            finish.eq(taught_done | (load & ~learn)),
        ]

        with m.If((phase != _Phase.IDLE) & ~(prediction_due & blocked) & ~self._busy):
            m.d.sync += count.eq(count + 1)
        with m.If(finish):
            m.d.sync += phase.eq(_Phase.IDLE)
        if after:
            with m.If(load & learn):
                m.d.sync += phase.eq(_Phase.WAIT)
            m.d.comb += self.teaching.ready.eq(phase == _Phase.WAIT)
            with m.If(self.teaching.ready & self.teaching.valid):
                m.d.sync += [phase.eq(_Phase.TEACH), count.eq(0)]

        request, response = self.access.request, self.access.response
        m.d.comb += [
            request.ready.eq(idle & ~response.valid),
            self.samples.ready.eq((idle | finish) & ~(request.valid & ~response.valid)),
        ]
        with m.If(self.samples.ready & self.samples.valid):
            m.d.sync += [
                phase.eq(_Phase.SAMPLE),
                count.eq(0),
                learn.eq(self.samples.payload.learn),
                frozen.eq(self.freeze | self._control_freeze),
            ]
        if isinstance(schedule, FoldedSchedule):
            self._begin_passes(m, layers, schedule, learns=learn & ~frozen, stalled=prediction_due & blocked)
        else:
            m.d.comb += [layer.update.eq(write) for layer in layers]
        if self.spec.update_rounding == "stochastic":
            m.submodules.noise = self._noise = noise = Noise(self.spec.seed)
            m.d.comb += [noise.leap.eq(write), *(layer.noise.eq(noise.state) for layer in layers)]
        return load

    def _begin_passes(
        self, m: Module, layers: list[Any], schedule: FoldedSchedule, *, learns: Value, stalled: Value
    ) -> None:
        """Tells folded layers when to begin their passes, a cycle ahead."""
        streams = {_Phase.SAMPLE: self.samples}
        if schedule.after_prediction:
            streams[_Phase.TEACH] = self.teaching
        taught = _Phase.TEACH if schedule.after_prediction else _Phase.SAMPLE

        def before(phase: _Phase, cycle: int) -> Value:
            if cycle == 0:
                return streams[phase].valid & streams[phase].ready
            return (self._phase == phase) & (self._count == cycle - 1) & ~stalled

        for layer, forward, backward in zip(layers, schedule.forward[:-1], schedule.backward, strict=True):
            m.d.comb += [
                layer.take.eq(before(_Phase.SAMPLE, forward)),
                layer.update.eq(before(taught, backward) & learns),
            ]

    def _count_saturations(self, m: Module, layers: list[Any], load: Value) -> Monitor:
        """Counts a kind once for every sample or step in which any layer saturates."""
        timing = self.spec.timing
        predicted_late = isinstance(timing, Schedule) and timing.counts_late
        updated_late = predicted_late or self.spec.folded
        bits: defaultdict[str, list[Value]] = defaultdict(list)
        for layer in layers:
            for kind in layer.saturated.shape().members:
                bits[kind].append(layer.saturated[kind])
        if not self.spec.plans[-1].forms_error and not find_loss(self.spec.loss).takes_gradients:
            bits["gradient"].append(delay(m, self._loss_saturated, updated_late, "loss_saturated"))
        m.submodules.monitor = monitor = Monitor(bits)
        # Layers tell of some a cycle late, so that nothing waits for it.
        load = delay(m, load, predicted_late, "counted_prediction")
        updated = delay(m, self.updated, updated_late, "counted_update")
        for kind, flags in bits.items():
            strobe = load if kind == "activation" else updated
            m.d.comb += monitor.event[kind].eq(strobe & Cat(flags).any())
        return monitor

    # What can be reached from outside.

    def _learning_rates(self, m: Module, layers: list[Any]) -> None:
        rate = self.spec.formats.learning_rate
        self._rates = []
        for index, layer in enumerate(self.spec.layers):
            first = float(rate.to_float(layer.learning_rate_code))
            # It outlasts a reset, as the tables do that are made from it.
            register = Signal(rate, name=f"learning_rate{index}", init=first, reset_less=True)
            m.d.comb += layers[index].learning_rate.eq(register)
            self._rates.append(register)

    def _serve_access(self, m: Module, layers: list[Any], monitor: Monitor) -> None:
        """Takes a request while idle, and answers it a constant time later, or once tables are made anew."""
        addresses = AddressMap.of(self.spec)
        request, response = self.access.request, self.access.response
        taken = request.ready & request.valid
        held = Signal(data.StructLayout({"address": addresses.width, "write": 1}), name="request", reset_less=True)
        # Zero but while something is written, so that no choice is needed where it meets other data.
        written = Signal(signed(addresses.data_width))
        with m.If(taken):
            m.d.sync += [
                held.address.eq(request.payload.address),
                held.write.eq(request.payload.write),
                self._phase.eq(_Phase.ACCESS),
                self._count.eq(0),
            ]

        done = (self._phase == _Phase.ACCESS) & (self._count == self.spec.timing.access_cycles - 1) & ~self._busy
        with m.If(done | (taken & ~request.payload.write)):
            m.d.sync += written.eq(0)
        with m.Elif(taken):
            m.d.sync += written.eq(request.payload.data)
        register = Signal(signed(addresses.data_width))
        with m.If(held.address[-1]):
            self._serve_registers(m, held, written, register, done, addresses, layers, monitor)
        coefficient = self._serve_coefficients(m, held, written, done, addresses, layers)

        with m.If(done):
            m.d.sync += [
                response.payload.eq(written | Mux(held.write, 0, register) | coefficient),
                response.valid.eq(1),
                self._phase.eq(_Phase.IDLE),
            ]
        with m.Elif(response.ready):
            m.d.sync += response.valid.eq(0)

    def _serve_registers(
        self,
        m: Module,
        held: Any,
        written: Signal,
        read: Signal,
        done: Value,
        addresses: AddressMap,
        layers: list[Any],
        monitor: Monitor,
    ) -> None:
        number = held.address[:-1]

        def address_of(address: int) -> int:
            return address & ((1 << len(number)) - 1)

        with m.Switch(number):
            for index, register in enumerate(self._rates):
                with m.Case(address_of(addresses.learning_rate(index))):
                    m.d.comb += read.eq(register.raw)
                    # Early enough for the layer to be busy when the request would be done.
                    with m.If((self._phase == _Phase.ACCESS) & (self._count == 1) & held.write):
                        m.d.comb += layers[index].rate_written.eq(1)
                        m.d.sync += register.raw.eq(written)
            for kind in monitor.count.shape().members:
                with m.Case(address_of(addresses.saturations(kind))):
                    m.d.comb += [read.eq(monitor.count[kind]), monitor.clear[kind].eq(done & held.write)]
            if self.spec.update_rounding == "stochastic":
                noise = self._noise
                with m.Case(address_of(addresses.noise)):
                    m.d.comb += [
                        read.eq(noise.state),
                        noise.load_state.eq(written),
                        noise.load.eq(done & held.write),
                    ]
            with m.Case(address_of(addresses.control)):
                m.d.comb += read.eq(self._control_freeze)
                with m.If(done & held.write):
                    m.d.sync += self._control_freeze.eq((written & CONTROL_FREEZE) != 0)

    def _serve_coefficients(
        self, m: Module, held: Any, written: Signal, done: Value, addresses: AddressMap, layers: list[Any]
    ) -> Value:
        """Gives what is read, zero where that is nothing."""
        widths = (addresses.index_bits, addresses.input_bits, addresses.node_bits, addresses.layer_bits)
        fields, position = [], 0
        for width in widths:
            fields.append(held.address[position : position + width])
            position += width
        index, source, node, number = fields
        found: list[Value] = []
        for layer_number, (layer, arithmetic) in enumerate(zip(layers, self.spec.layers, strict=True)):
            access = layer.access
            exists = (
                ~held.address[-1]
                & (number == layer_number)
                & (index < arithmetic.bases)
                & (source < arithmetic.n_in)
                & (node < arithmetic.n_out)
            )
            m.d.comb += [
                access.index.eq(index),
                access.input.eq(source),
                access.output.eq(node),
                layer.access_data.raw.eq(written),
            ]
            with m.If(exists & (self._phase == _Phase.ACCESS)):
                m.d.comb += [
                    access.enable.eq(1),
                    access.write.eq(done & held.write),
                    layer.access_write.eq(held.write),
                ]
            found.append(Mux(exists & ~held.write, access.read_data.raw, 0))
        return reduce(or_, found)
