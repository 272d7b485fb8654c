"""The learner: every layer, the loss, and the order in which a sample meets them."""

from __future__ import annotations

import enum
import itertools
from collections import defaultdict
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..address_map import CONTROL_FREEZE, AddressMap
from ..spec import LearnerSpec
from ..sweep import SweptSchedule
from .layer import Layer
from .loss import Loss
from .monitor import Monitor
from .noise import Noise
from .stages import Stages
from .swept import SweptLayer

__all__ = ["Access", "Learner"]


class Access(wiring.Signature):  # type: ignore[misc]
    """Reads and writes of coefficients and registers from outside, one at a time; see :mod:`kanrtl.address_map`.

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

    The schedule is sequential, exact SGD: a sample is held in a register until its update is written, and the next
    one is taken in that same cycle. :attr:`latency`, :attr:`interval` and the rest of :class:`kanrtl.schedule.Schedule`
    hold for every input, as long as the prediction is taken when it is offered; otherwise the step waits for it.

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
        ``n_out`` activations for every sample, in order.
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
            "predictions": Out(stream.Signature(y)),
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
        return self.spec.schedule.latency

    @property
    def interval(self) -> int:
        """Clock cycles from taking a taught sample to taking the next."""
        return self.spec.schedule.interval

    @property
    def prediction_latency(self) -> int:
        """Clock cycles from the edge that takes a sample to the edge from which its prediction is valid."""
        return self.spec.schedule.prediction_latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layers = self._layers(m)
        learn, target = self._hold_sample(m, layers)
        gradient = self._chain(m, layers, target)
        write, load = self._sequence(m, learn, layers[-1].y)
        if isinstance(self.spec.schedule, SweptSchedule):
            self._begin_passes(m, learn, layers, self.spec.schedule)
        else:
            m.d.comb += [layer.write.eq(write) for layer in layers]
        monitor = self._count_saturations(m, layers, write, load)
        m.d.comb += self.gradient.eq(gradient)
        self._make_noise(m, layers, write)
        self._learning_rates(m, layers)
        self._serve_access(m, layers, monitor)
        return m

    # How values flow.

    def _layers(self, m: Module) -> list[Any]:
        spec, layers, first_lane = self.spec, [], 0
        schedule = spec.schedule
        last = spec.n_layers - 1
        for index, (layer, initial) in enumerate(zip(spec.layers, spec.initial_codes(), strict=True)):
            saturating = layer.saturating(spec.rounding, hidden=index > 0, loss=spec.loss if index == last else None)
            component: Any
            if isinstance(schedule, SweptSchedule):
                component = SweptLayer(
                    layer,
                    initial,
                    sweep=schedule.sweeps[index],
                    error_registered="error" in schedule.pipeline,
                    block=schedule.block_memory[index],
                    rounding=spec.rounding,
                    update_rounding=spec.update_rounding,
                    multiplier=spec.multiplier,
                    saturating=saturating,
                    first_lane=first_lane,
                )
            else:
                component = Layer(
                    layer,
                    initial,
                    schedule=schedule,
                    index=index,
                    rounding=spec.rounding,
                    update_rounding=spec.update_rounding,
                    in_logic=spec.multiplier == "lut",
                    saturating=saturating,
                    forms_error=index == last and self._forms_error,
                    first_lane=first_lane,
                )
            first_lane += layer.n_out * layer.n_in * layer.banks
            m.submodules[f"layer{index}"] = component
            layers.append(component)
        return layers

    @property
    def _forms_error(self) -> bool:
        """Whether the last layer's adder trees give the errors: the target has to be there in time, and not be
        finer."""
        layer = self.spec.layers[-1]
        in_time = self.spec.teaching == "with_sample" and self.spec.loss == "squared" and not self.spec.swept
        return in_time and layer.node_sum.f >= layer.formats.activation.f

    def _hold_sample(self, m: Module, layers: list[Any]) -> tuple[Any, Any]:
        """Takes the sample into the first layer, and into registers whether and what it is taught."""
        payload = self.samples.payload
        taken = self.samples.valid & self.samples.ready
        learn = Signal(reset_less=True)
        m.d.comb += layers[0].x.eq(payload.x)
        if not self.spec.swept:
            m.d.comb += layers[0].take.eq(taken)
        stream_of_targets, word = (self.teaching, None) if hasattr(self, "teaching") else (self.samples, payload.target)
        target = Signal(data.ArrayLayout(self.spec.target_format, self.spec.n_out), name="target", reset_less=True)
        with m.If(taken):
            m.d.sync += learn.eq(payload.learn)
        with m.If(stream_of_targets.valid & stream_of_targets.ready):
            m.d.sync += target.eq(stream_of_targets.payload if word is None else word)
        return learn, target

    def _chain(self, m: Module, layers: list[Any], target: Any) -> Any:
        """Connects the layers, forwards and backwards; gives dL/dy of the last."""
        stages = Stages(m, self.spec.schedule.pipeline)
        for before, after in itertools.pairwise(layers):
            m.d.comb += [after.x.eq(before.y), before.gradient.eq(after.downstream)]
        last = layers[-1]
        if self._forms_error:
            m.d.comb += last.target.eq(target)
            errors = last.error
        else:
            m.submodules.loss = loss = Loss(self.spec.layers[-1], self.spec.loss, self.spec.rounding)
            m.d.comb += [loss.total.eq(last.total), loss.y.eq(last.y), loss.target.eq(target)]
            errors = loss.gradient
        for node in range(self.spec.n_out):
            m.d.comb += last.gradient[node].eq(stages.end("error", errors[node], f"gradient{node}"))
        return last.gradient

    # When they flow.

    def _sequence(self, m: Module, learn: Value, y: Any) -> tuple[Value, Value]:
        """Counts the cycles of a step; gives the strobes that write the update and load the prediction."""
        schedule = self.spec.schedule
        after = schedule.after_prediction
        self._phase = phase = Signal(_Phase)
        self._count = count = Signal(range(max(schedule.latency, schedule.teaching_latency, schedule.access_cycles)))
        self._control_freeze = Signal()
        self._frozen = frozen = Signal()
        prediction_due = Signal()
        load, write, finish = Signal(), Signal(), Signal()

        blocked = self.predictions.valid & ~self.predictions.ready
        self._stalled = prediction_due & blocked
        m.d.comb += [
            prediction_due.eq((phase == _Phase.SAMPLE) & (count == schedule.prediction_latency - 1)),
            load.eq(prediction_due & ~blocked),
        ]
        with m.If(load):
            m.d.sync += [self.predictions.payload.eq(y), self.predictions.valid.eq(1)]
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

        with m.If((phase != _Phase.IDLE) & ~(prediction_due & blocked)):
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
            request.ready.eq((phase == _Phase.IDLE) & ~response.valid),
            self.samples.ready.eq(((phase == _Phase.IDLE) | finish) & ~(request.valid & ~response.valid)),
        ]
        with m.If(self.samples.ready & self.samples.valid):
            m.d.sync += [
                phase.eq(_Phase.SAMPLE),
                count.eq(0),
                frozen.eq(self.freeze | self._control_freeze),
            ]
        return write, load

    def _begin_passes(self, m: Module, learn: Value, layers: list[Any], schedule: SweptSchedule) -> None:
        """Tells folded layers when to begin their passes, a cycle ahead."""
        streams = {_Phase.SAMPLE: self.samples}
        if schedule.after_prediction:
            streams[_Phase.TEACH] = self.teaching
        taught = _Phase.TEACH if schedule.after_prediction else _Phase.SAMPLE

        def before(phase: _Phase, cycle: int) -> Value:
            if cycle == 0:
                return streams[phase].valid & streams[phase].ready
            return (self._phase == phase) & (self._count == cycle - 1) & ~self._stalled

        for layer, forward, backward in zip(layers, schedule.forward[:-1], schedule.backward, strict=True):
            m.d.comb += [
                layer.forward.eq(before(_Phase.SAMPLE, forward)),
                layer.backward.eq(before(taught, backward) & learn & ~self._frozen),
            ]

    def _count_saturations(self, m: Module, layers: list[Any], write: Value, load: Value) -> Monitor:
        """Counts a kind once for every sample or step in which any layer saturates."""
        bits: defaultdict[str, list[Value]] = defaultdict(list)
        for layer in layers:
            for kind in layer.saturated.shape().members:
                bits[kind].append(layer.saturated[kind])
        in_loss = self.spec.loss != "external" and not self._forms_error
        loss_saturates = m.submodules.loss.saturated if in_loss else Const(0)
        if self.spec.swept:  # folded layers tell a cycle later
            loss_late, written = Signal(), Signal()
            m.d.sync += [loss_late.eq(loss_saturates), written.eq(write)]
            loss_saturates, write = loss_late, written
        if in_loss:
            bits["gradient"].append(loss_saturates)
        m.submodules.monitor = monitor = Monitor(bits)
        for kind, flags in bits.items():
            strobe = load if kind == "activation" else write
            m.d.comb += monitor.event[kind].eq(strobe & Cat(flags).any())
        return monitor

    def _make_noise(self, m: Module, layers: list[Any], write: Value) -> None:
        if self.spec.update_rounding == "stochastic":
            m.submodules.noise = noise = Noise(self.spec.seed)
            m.d.comb += noise.leap.eq(write)
            m.d.comb += [layer.noise.eq(noise.state) for layer in layers]

    # What can be reached from outside.

    def _learning_rates(self, m: Module, layers: list[Any]) -> None:
        rate = self.spec.formats.learning_rate
        self._rates = []
        for index, layer in enumerate(self.spec.layers):
            register = Signal(rate, name=f"learning_rate{index}", init=float(rate.to_float(layer.learning_rate_code)))
            m.d.comb += layers[index].learning_rate.eq(register)
            self._rates.append(register)

    def _serve_access(self, m: Module, layers: list[Any], monitor: Monitor) -> None:
        """Takes a request while idle, and answers it when its place has been reached."""
        addresses = AddressMap.of(self.spec)
        request, response = self.access.request, self.access.response
        held = Signal(request.payload.shape(), name="request", reset_less=True)
        with m.If(request.ready & request.valid):
            m.d.sync += [held.eq(request.payload), self._phase.eq(_Phase.ACCESS), self._count.eq(0)]

        read = Signal(signed(addresses.data_width))
        done = (self._phase == _Phase.ACCESS) & (self._count == self.spec.schedule.access_cycles - 1)
        with m.If(held.address[-1]):
            self._serve_registers(m, held, read, done, addresses, monitor)
        with m.Else():
            self._serve_coefficients(m, held, read, done, addresses, layers)

        with m.If(done):
            m.d.sync += [
                response.payload.eq(Mux(held.write, held.data, read)),
                response.valid.eq(1),
                self._phase.eq(_Phase.IDLE),
            ]
        with m.Elif(response.ready):
            m.d.sync += response.valid.eq(0)

    def _serve_registers(
        self, m: Module, held: Any, read: Signal, done: Value, addresses: AddressMap, monitor: Monitor
    ) -> None:
        number = held.address[:-1]

        def address_of(address: int) -> int:
            return address & ((1 << len(number)) - 1)

        with m.Switch(number):
            for index, register in enumerate(self._rates):
                with m.Case(address_of(addresses.learning_rate(index))):
                    m.d.comb += read.eq(register.raw)
                    with m.If(done & held.write):
                        m.d.sync += register.raw.eq(held.data)
            for kind in monitor.count.shape().members:
                with m.Case(address_of(addresses.saturations(kind))):
                    m.d.comb += [read.eq(monitor.count[kind]), monitor.clear[kind].eq(done & held.write)]
            if self.spec.update_rounding == "stochastic":
                noise = m.submodules.noise
                with m.Case(address_of(addresses.noise)):
                    m.d.comb += [
                        read.eq(noise.state),
                        noise.load_state.eq(held.data),
                        noise.load.eq(done & held.write),
                    ]
            with m.Case(address_of(addresses.control)):
                m.d.comb += read.eq(self._control_freeze)
                with m.If(done & held.write):
                    m.d.sync += self._control_freeze.eq((held.data & CONTROL_FREEZE) != 0)

    def _serve_coefficients(
        self, m: Module, held: Any, read: Signal, done: Value, addresses: AddressMap, layers: list[Any]
    ) -> None:
        widths = (addresses.index_bits, addresses.input_bits, addresses.node_bits, addresses.layer_bits)
        fields, position = [], 0
        for width in widths:
            fields.append(held.address[position : position + width])
            position += width
        index, source, node, number = fields
        for layer_number, (layer, arithmetic) in enumerate(zip(layers, self.spec.layers, strict=True)):
            access = layer.access
            exists = (
                (number == layer_number)
                & (index < arithmetic.bases)
                & (source < arithmetic.n_in)
                & (node < arithmetic.n_out)
            )
            m.d.comb += [
                access.index.eq(index),
                access.input.eq(source),
                access.output.eq(node),
                layer.access_data.raw.eq(held.data),
            ]
            with m.If(exists & (self._phase == _Phase.ACCESS)):
                m.d.comb += [
                    access.enable.eq(1),
                    access.write.eq(done & held.write),
                    layer.access_write.eq(held.write),
                    read.eq(access.read_data.raw),
                ]
