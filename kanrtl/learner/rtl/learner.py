"""The learner: every layer, the loss, and the order in which a sample meets them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from amaranth.hdl import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...errors import check_kind
from ...fabric.parts import Parts
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ..guard_settings import SIGNATURES
from ..losses import find_loss
from ..schedule import Schedule
from ..spec import LearnerSpec
from .access import (
    Access,
    CoefficientRequests,
    LearningRates,
    Registers,
    count_access,
    count_coefficient_requests,
    count_learning_rates,
    count_registers,
)
from .folded_layer import FoldedLayer
from .guard import Guard
from .layer import Layer
from .learner_members import learner_members
from .noise_register import NoiseRegister, count_noise_register
from .pipeline_registers import Stages, delay
from .restorer import Restoring, count_restoring
from .saturation import SaturationCounters, count_saturation_counters
from .sequencer import Sequencer, StreamSequencer, count_sequencer, count_stream_sequencer
from .teaching import LossGradient, TargetRegister, count_loss_gradient, count_target_register


class Learner(wiring.Component):  # type: ignore[misc]
    """A Kolmogorov-Arnold network that predicts, and trains itself with every sample that is to be learned.

    In the sequential schedule, exact SGD, a sample is held in a register until its update is written, and the next one
    is taken in that same cycle; a step waits until its prediction is taken. In the streaming schedule a sample is taken
    every clock, and nothing ever waits: predictions cannot be refused. :attr:`latency`, :attr:`interval` and the rest
    of :class:`kanrtl.learner.schedule.Schedule` hold for every input. With ``initial="reset"`` samples wait for
    :attr:`restart_cycles` after a reset, in which the learner becomes what it is at its start.

    Parameters
    ----------
    spec
        What to build.
    guarded
        Whether it has the guard that the spec asks for; without it the registers of that read zero.

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
    access : In, :class:`.AccessPort`
    freeze : In(1)
        A sample that is taken while this is high (or the control register says so) is predicted but not learned.
    updated : Out(1)
        High in the cycle at whose end an update is written; :attr:`gradient` is then that of the sample.
    gradient : Out, ``n_out`` gradients dL/dy
    guard_fault : Out(1), guard_status : Out(4), guard_release : In(1)
        ``fault``, ``status`` and ``release`` of :class:`.Guard`; only where the spec has one.
    """

    def __init__(self, spec: LearnerSpec, *, guarded: bool = True) -> None:
        check_kind("spec", spec, LearnerSpec, "a LearnerSpec")
        self.spec = spec
        self._guarded = guarded and spec.guard is not None
        members = learner_members(spec)
        if self._guarded:
            # Not plain "release": that is a word of Verilog's own.
            members |= {"guard_fault": Out(1), "guard_status": Out(len(SIGNATURES)), "guard_release": In(1)}
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

    @property
    def restart_cycles(self) -> int | None:
        """Clock cycles from the last edge at which the reset is active to the first at which a sample can be taken,
        with ``initial="reset"``; else None: at the next edge."""
        return self.spec.restart_cycles

    def elaborate(self, platform: Any) -> Module:
        return self._elaborate_guarded() if self._guarded else self._elaborate_alone()

    def _elaborate_guarded(self) -> Module:
        """Put the guard between the ports and the learner without it."""
        m = Module()
        m.submodules.guard = guard = Guard(self.spec, self.spec.guard, addressed=True)
        m.submodules.learner = learner = Learner(self.spec, guarded=False)
        for name in ("samples", "access"):
            connect(m, flipped(getattr(self, name)), getattr(guard, name))
            connect(m, getattr(guard, f"learner_{name}"), getattr(learner, name))
        connect(m, learner.predictions, guard.learner_predictions)
        connect(m, guard.predictions, flipped(self.predictions))
        if self.spec.timing.after_prediction:
            connect(m, flipped(self.teaching), learner.teaching)
        m.d.comb += [
            guard.freeze.eq(self.freeze),
            learner.freeze.eq(guard.learner_freeze),
            guard.release.eq(self.guard_release),
            *(
                getattr(part, name).eq(getattr(learner, name))
                for name in ("updated", "gradient")
                for part in (guard, self)
            ),
            self.guard_fault.eq(guard.fault),
            self.guard_status.eq(guard.status),
        ]
        return m

    def _elaborate_alone(self) -> Module:
        m = Module()
        spec = self.spec
        kind = FoldedLayer if spec.folded else Layer
        layers = [kind(plan, initial) for plan, initial in zip(spec.plans, spec.initial_codes(), strict=True)]
        for index, layer in enumerate(layers):
            m.submodules[f"layer{index}"] = layer
        m.submodules.sequencer = sequencer = (StreamSequencer if spec.timing.streaming else Sequencer)(spec)
        m.submodules.counters = counters = SaturationCounters(spec)
        saturated = self._connect_values(m, layers)
        self._connect_sequencer(m, layers, sequencer)
        self._connect_counters(m, layers, sequencer, counters, saturated)
        self._connect_access(m, layers, sequencer, counters)
        return m

    def _connect_values(self, m: Module, layers: list[Any]) -> Any:
        """Lead a sample through the layers to its error, and that back; give whether the error saturates, where no
        layer tells."""
        spec, timing, last = self.spec, self.spec.timing, layers[-1]
        teaches = self.teaching if timing.after_prediction else self.samples
        word = teaches.payload if timing.after_prediction else teaches.payload.target
        m.submodules.target = target = TargetRegister(spec)
        m.d.comb += [
            target.take.eq(teaches.valid & teaches.ready),
            target.word.eq(word),
            layers[0].x.eq(self.samples.payload.x),
        ]
        for (before, after), plan in zip(pairwise(layers), spec.plans[1:], strict=True):
            m.d.comb += [after.x.eq(before.total if plan.located else before.y), before.gradient.eq(after.downstream)]
        saturated: Any = None
        times = timing.layers[-1] if isinstance(timing, Schedule) and timing.streaming else None
        if spec.plans[-1].forms_error:
            m.d.comb += last.target.eq(target.target)
            errors = last.error
        else:
            m.submodules.loss = loss = LossGradient(spec)
            value = last.y if find_loss(spec.loss).reads_outputs else last.total
            m.d.comb += [loss.values.eq(value), loss.targets.eq(target.target)]
            errors = loss.gradients
            saturated = delay(m, loss.saturated, timing.latency - times.summed if times else 0, "loss_saturates")
        stages = Stages(m, timing, spec.n_layers - 1)
        for node in range(spec.n_out):
            m.d.comb += last.gradient[node].eq(stages.end("error", errors[node], f"gradient{node}"))
        late = timing.latency - times.gradient if times else 0
        m.d.comb += self.gradient.eq(delay(m, last.gradient, late, "gradient"))
        return saturated

    def _connect_sequencer(self, m: Module, layers: list[Any], sequencer: Any) -> None:
        """Let the sequencer say when everything goes, and load the prediction."""
        spec = self.spec
        streams = [(self.samples, sequencer.samples)]
        if spec.timing.after_prediction:
            streams.append((self.teaching, sequencer.teaching))
        for port, handshake in streams:
            m.d.comb += [handshake.valid.eq(port.valid), port.ready.eq(handshake.ready)]
        m.d.comb += [
            sequencer.learn.eq(self.samples.payload.learn),
            sequencer.busy.eq(Cat(layer.busy for layer in layers).any()),
            sequencer.predictions.ready.eq(self.predictions.ready),
            self.predictions.valid.eq(sequencer.predictions.valid),
            self.updated.eq(sequencer.updated),
        ]
        with m.If(1 if spec.timing.streaming else sequencer.load):
            m.d.sync += self.predictions.payload.eq(layers[-1].y)
        for index, layer in enumerate(layers):
            m.d.comb += [layer.take.eq(sequencer.take[index]), layer.update.eq(sequencer.update[index])]

    def _connect_counters(self, m: Module, layers: list[Any], sequencer: Any, counters: Any, saturated: Any) -> None:
        """Gather what saturates."""
        m.d.comb += [counters.predicted.eq(sequencer.load), counters.updated.eq(sequencer.updated)]
        for kind, bits in counters.flags.shape().members.items():
            flags = [layer.saturated[kind] for layer in layers if kind in layer.saturated.shape().members]
            if len(flags) < bits:
                flags.append(delay(m, saturated, counters.flags_latency(kind), "loss_saturated"))
            m.d.comb += counters.flags[kind].eq(Cat(flags))

    def _connect_access(self, m: Module, layers: list[Any], sequencer: Any, counters: Any) -> None:
        """Let requests reach coefficients and registers."""
        spec = self.spec
        m.submodules.access = access = Access(spec)
        m.submodules.registers = registers = Registers(spec)
        m.submodules.coefficient_requests = coefficients = CoefficientRequests(spec)
        m.submodules.learning_rates = rates = LearningRates(spec)
        if spec.restarts:
            m.submodules.restoring = restoring = Restoring(spec)
            connect(m, flipped(self.access), restoring.outer)
            connect(m, restoring.access, access.port)
            m.d.comb += [restoring.begin.eq(registers.restore), sequencer.hold.eq(restoring.busy)]
        else:
            connect(m, flipped(self.access), access.port)
        connect(m, access.requests, sequencer.requests)
        connect(m, access.registers, registers.request)
        connect(m, access.coefficients, coefficients.request)
        written = access.registers.data
        m.d.comb += [
            sequencer.responding.eq(access.responding),
            sequencer.freeze.eq(self.freeze | registers.freeze),
            *(getattr(access, name).eq(getattr(sequencer, name)) for name in ("serving", "second", "done")),
            rates.write.eq(registers.write_rate),
            rates.data.eq(written),
            registers.rates.eq(rates.rates),
            registers.counts.eq(counters.counts),
            counters.clear.eq(registers.clear),
        ]
        for index, layer in enumerate(layers):
            connect(m, getattr(coefficients, f"layer{index}"), layer.access)
            m.d.comb += [
                layer.learning_rate.eq(rates.rates[index]),
                layer.rate_written.eq(registers.write_rate[index]),
                layer.access_write.eq(coefficients.write[index]),
                layer.access_data.raw.eq(written),
            ]
        for number, index in enumerate(spec.linear_layers):
            m.d.comb += layers[index].linear_rate.eq(rates.linear_rates[number])
        if spec.linear_layers:
            m.d.comb += registers.linear_rates.eq(rates.linear_rates)
        if spec.plans[0].stochastic:
            m.submodules.noise = noise = NoiseRegister(spec.seed)
            m.d.comb += [
                noise.leap.eq(sequencer.leap),
                noise.load.eq(registers.load_noise),
                noise.loaded.eq(written),
                registers.noise_state.eq(noise.state),
            ]
            for layer, plan in zip(layers, spec.plans, strict=True):
                # The sample's word, kept for the layers whose turn comes later.
                late = plan.times.rounded - plan.parallel.first_rounded if plan.streaming else 0
                m.d.comb += layer.noise.eq(delay(m, noise.state, late, f"noise{plan.index}"))


def count_learner(parts: Parts, spec: LearnerSpec, *, reached: bool) -> None:
    """Count what :class:`Learner` has besides its layers; ``reached``: whether anything looks at a prediction, or
    reaches for a coefficient or a register."""
    timing, gradients = spec.timing, spec.n_out * spec.formats.layers[-1].gradient.width
    parts.counts["learner"] += 1
    if not spec.plans[-1].forms_error:
        count_loss_gradient(parts, spec)
    count_target_register(parts, spec)
    if "error" in timing.stages[-1]:
        parts.register(gradients, moved=False)
    if isinstance(timing, Schedule) and timing.streaming:
        count_stream_sequencer(parts, spec)
        parts.register((timing.latency - timing.layers[-1].gradient) * gradients)
    else:
        count_sequencer(parts, spec)
    if spec.plans[0].stochastic:
        count_noise_register(parts)
        parts.choice(NOISE_WIDTH if reached else 0)
    if reached:
        parts.register(spec.n_out * spec.formats.output.width, moved=False)
        count_saturation_counters(parts, spec)
        count_learning_rates(parts, spec)
        count_access(parts, spec)
        count_registers(parts, spec)
        if spec.restarts:
            count_restoring(parts, spec)
        count_coefficient_requests(parts, spec)
        if spec.guard is not None:
            Guard(spec, spec.guard, addressed=True).count(parts)
