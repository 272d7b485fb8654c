"""Watches a learner in hardware, freezes it when it fails, and brings back what it knew before."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped

from ..fabric.parts import Parts
from ..learner.address_map import COUNTER_WIDTH, AddressMap
from ..learner.restoration import Restoration
from ..learner.rtl.access import AccessPort
from ..learner.rtl.restorer import AccessSwitch, Restorer
from ..learner.spec import LearnerSpec
from ..numeric.bits import bits_for, clog2
from .guard_settings import LIMITS, SIGNATURES, GuardSettings
from .loop_part import LoopPart, learner_members
from .vectors import count_events, settings_stream

__all__ = ["COUNTER_HALF", "Guard", "counted_kinds"]

COUNTER_HALF = 1 << (COUNTER_WIDTH - 1)
"""A counter of the learner that has come so far is set to zero, as one that is full would count no more."""

SETTLING = 6
"""Cycles after which all that the last step of a window was is counted."""


def counted_kinds(spec: LearnerSpec) -> tuple[str, ...]:
    """The learner's counters that a guard reads, in this order."""
    return ("coefficient", "gradient", "lost") if "lost" in spec.counts else ("coefficient", "gradient")


class _Asked(NamedTuple):
    """The walk through the learner's counters, as what else uses the access port sees it."""

    port: Any  # whose requests go to the learner while no sample is taken
    counted: dict[str, Signal]  # by kind, what was counted in the window
    pending: Signal  # a request has been taken, and is not answered
    over: Value  # nothing is left to ask
    address: Signal
    clears: Signal  # what is asked for is set to zero


class _Phase(enum.Enum):
    RUN = 0
    READ = 1  # the first answer comes when the learner has done what it had to do; the others are its counters
    SETTLE = 2
    JUDGE = 3
    WALK = 4  # coefficients are copied, or restored


class Guard(LoopPart):
    """Stands between a learner and its user, and sees the four ways in which a learner that adapts fails (Hoang, Gupta
    and Harris, arXiv 2602.02005): divergence, stagnation, precision loss, and a missed deadline.

    After every ``window`` samples it lets the learner end its step, reads its counters, and judges the window: the sum
    of \\|dL/dy\\| over its steps, and how often coefficients were at the ends of their formats, updates rounded to
    nothing, and gradients saturated. A deadline is judged in every cycle. Samples wait meanwhile
    (:attr:`verdict_cycles`), so that it is the same for any traffic which samples are learned.

    After ``copy_every`` healthy windows it copies all coefficients into a memory beside (:attr:`copy_cycles`, in which
    samples wait, so that they are of one instant). A copy is good once as many healthy windows have followed: what
    began to fail before it was seen is not in it. At first the good copy is the spec's start.

    On a fault the learner is frozen, and the good copy is written back, in :attr:`copy_cycles`; from then on it
    predicts from that, and learns nothing until it is released.

    Parameters
    ----------
    spec
        The learner.
    settings
        What is looked at, and the limits that the registers begin with.

    Members
    -------
    samples : In, predictions : Out, access : In, freeze : In(1)
        For the user: as those of :class:`kanrtl.Learner`. Writes to coefficients are not copied before the next copy.
    learner_samples : Out, learner_predictions : In, learner_access : Out, learner_freeze : Out(1)
        For the learner's members ``samples``, ``predictions``, ``access`` and ``freeze``.
    updated : In(1), gradient : In
        Of the learner.
    settings : In, stream of ``number`` and ``code`` (and a ``channel``, which is 0)
        Sets the limit of that number of :data:`.LIMITS`. Errors are sums over a window, in LSBs of the gradient; two's
        complement codes of as many bits as the widest has. It never waits.
    release : In(1)
        Ends a fault: the learner learns again.
    fault : Out(1)
        From the cycle after a fault is seen until it is released.
    status : Out(4)
        Which of :data:`.SIGNATURES` were seen since the last release.
    counts : Out, a counter for each of these
        How often it was seen; each stops at its highest value.
    clear : In(1)
        Sets those to zero.
    error_sum : Out
        Of the last whole window, in LSBs of the gradient.
    """

    def __init__(self, spec: LearnerSpec, settings: GuardSettings | dict[str, Any] = GuardSettings()) -> None:
        self.spec = spec
        self.settings_at_start = GuardSettings.of(settings)
        self._codes = self.settings_at_start.codes(spec)
        self._widths = self.settings_at_start.widths(spec)
        self._start = Restoration.of(spec).coefficients
        learner = learner_members(spec)
        members: dict[str, Any] = {
            **{name: learner[name] for name in ("samples", "predictions", "access", "freeze")},
            **{f"learner_{name}": learner[name].flip() for name in ("samples", "predictions", "access", "freeze")},
            **{name: learner[name].flip() for name in ("updated", "gradient")},
            "settings": In(settings_stream(len(LIMITS), 1, max(self._widths.values()))),
            "release": In(1),
            "fault": Out(1),
            "status": Out(len(SIGNATURES)),
            "counts": Out(data.ArrayLayout(COUNTER_WIDTH, len(SIGNATURES))),
            "clear": In(1),
            "error_sum": Out(self._widths["error"]),
        }
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clock cycles that it adds to a sample or to a prediction: none."""
        return 0

    @property
    def verdict_cycles(self) -> int:
        """Clock cycles for which samples wait after the last of a window, from the end of its step, at the most."""
        reads = 1 + 2 * len(counted_kinds(self.spec))
        return reads * (self.spec.timing.access_cycles + 3) + SETTLING + 3

    @property
    def copy_cycles(self) -> int:
        """Clock cycles that it takes to copy or to restore all coefficients."""
        return len(self._start) * (self.spec.timing.access_cycles + 2) + 3

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        hold, taken = Signal(), Signal()
        m.d.comb += [
            self.learner_samples.payload.eq(self.samples.payload),
            self.learner_samples.valid.eq(self.samples.valid & ~hold),
            self.samples.ready.eq(self.learner_samples.ready & ~hold),
            taken.eq(self.samples.valid & self.samples.ready),
            self.predictions.payload.eq(self.learner_predictions.payload),
            self.predictions.valid.eq(self.learner_predictions.valid),
            self.learner_freeze.eq(self.freeze | self.fault),
        ]
        if not self.predictions.signature.always_ready:
            m.d.comb += self.learner_predictions.ready.eq(self.predictions.ready)
        limits = self._registers(m)
        phase = Signal(_Phase)
        judged, late, ended = Signal(), Signal(), Signal()
        m.d.comb += [hold.eq(phase != _Phase.RUN), judged.eq(phase == _Phase.JUDGE)]
        asked = self._ask(m, phase)
        counted = asked.counted
        total = self._add_errors(m, judged)

        position = Signal(range(self.settings_at_start.window))
        m.d.comb += ended.eq(taken & ~self.fault & position.all())
        with m.If(self.release):
            m.d.sync += position.eq(0)
        with m.Elif(taken & ~self.fault):
            m.d.sync += position.eq(position + 1)
        self._time(m, taken | hold | self.fault, limits["slot"], late)

        seen = Signal(len(SIGNATURES))
        m.d.comb += [
            seen[0].eq(judged & (_reaches(total, limits["error"]) | _reaches(counted["coefficient"], limits["rails"]))),
            seen[3].eq(late & (phase == _Phase.RUN)),
        ]
        if "lost" in counted:
            stagnates = _reaches(counted["lost"], limits["stagnant_lost"])
            m.d.comb += [
                seen[1].eq(judged & stagnates & _reaches(total, limits["stagnant_error"])),
                seen[2].eq(judged & _reaches(counted["lost"] + counted["gradient"], limits["imprecise"])),
            ]
        with m.If(judged):
            m.d.sync += self.error_sum.eq(total)
        with m.If(seen.any()):
            m.d.sync += self.fault.eq(1)
        with m.Elif(self.release & (phase == _Phase.RUN)):
            m.d.sync += self.fault.eq(0)
        m.d.sync += self.status.eq(Mux(self.release, 0, self.status) | seen)
        for index in range(len(SIGNATURES)):
            count_events(m, seen[index], self.clear, self.counts[index])
        self._walk(m, phase, asked, seen, ended, judged)
        return m

    def _registers(self, m: Module) -> dict[str, Signal]:
        """The limits."""
        found = {}
        for number, name in enumerate(LIMITS):
            found[name] = register = Signal(self._widths[name], name=f"{name}_limit", init=self._codes[name])
            with m.If(self.settings.valid & (self.settings.payload.number == number)):
                m.d.sync += register.eq(self.settings.payload.code)
        return found

    def _add_errors(self, m: Module, judged: Value) -> Signal:
        """Add up the errors of the steps of a window."""
        total = Signal(self._widths["error"], name="errors")
        # A register before the sum, so that no step waits for it.
        error = Signal(range(self.spec.n_out * -self.spec.formats.layers[-1].gradient.minimum + 1))
        stepped = Signal()
        m.d.sync += [error.eq(sum(abs(gradient.raw) for gradient in self.gradient)), stepped.eq(self.updated)]
        with m.If(judged):
            m.d.sync += total.eq(0)
        with m.Elif(stepped):
            m.d.sync += total.eq(total + error)
        with m.If(self.release):
            m.d.sync += total.eq(0)
        return total

    def _time(self, m: Module, restart: Value, slot: Signal, late: Signal) -> None:
        """Say when the slot of a sample is over."""
        cycles = Signal(len(slot))
        m.d.comb += late.eq((slot != 0) & (cycles == slot) & ~restart)
        with m.If(restart):
            m.d.sync += cycles.eq(0)
        with m.Elif(cycles != slot):
            m.d.sync += cycles.eq(cycles + 1)

    def _ask(self, m: Module, phase: Signal) -> _Asked:
        """Ask for the counters of the learner, one after another; what each has counted since the last time."""
        kinds, addresses = counted_kinds(self.spec), AddressMap.of(self.spec)
        inner = AccessPort(self.spec).create(path=("inner",))
        m.submodules.switch = switch = AccessSwitch(self.spec)
        self._keep_answers(m, switch.first)
        connect(m, switch.both, flipped(self.learner_access))
        m.d.comb += switch.second_only.eq(phase != _Phase.RUN)
        m.d.comb += [
            switch.second.request.valid.eq(inner.request.valid),
            Value.cast(switch.second.request.payload).eq(Value.cast(inner.request.payload)),
            inner.request.ready.eq(switch.second.request.ready),
            inner.response.valid.eq(switch.second.response.valid),
            inner.response.payload.eq(switch.second.response.payload),
            switch.second.response.ready.eq(1),
        ]
        counted = {kind: Signal(COUNTER_WIDTH, name=f"counted_{kind}") for kind in kinds}
        before = {kind: Signal(COUNTER_WIDTH, name=f"before_{kind}") for kind in kinds}
        # The first request is for anything; then a read of each counter, and what sets it to zero if it has come far.
        number = Signal(range(1 + 2 * len(kinds) + 1))
        settled = Signal(range(SETTLING + 1))
        asking = Signal()
        answer = inner.response.payload[:COUNTER_WIDTH]
        address = Signal(addresses.width)
        clears = Signal()
        with m.Switch(number):
            for index, kind in enumerate(kinds):
                with m.Case(1 + 2 * index, 2 + 2 * index):
                    m.d.comb += address.eq(addresses.saturations(kind))
        m.d.comb += clears.eq(~number[0] & (number != 0))
        with m.If(phase == _Phase.READ):
            with m.If(inner.request.ready & inner.request.valid):
                m.d.sync += asking.eq(1)
            with m.If(asking & inner.response.valid):
                m.d.sync += [asking.eq(0), number.eq(number + 1)]
                for index, kind in enumerate(kinds):
                    with m.If(number == 1 + 2 * index):
                        m.d.sync += [counted[kind].eq(answer - before[kind]), before[kind].eq(answer)]
                        with m.If(~answer[-1]):
                            m.d.sync += number.eq(number + 2)
                    with m.If(number == 2 + 2 * index):
                        m.d.sync += before[kind].eq(0)
                with m.If(number == 0):
                    m.d.sync += [phase.eq(_Phase.SETTLE), settled.eq(0)]
            with m.If(number == 1 + 2 * len(kinds)):
                m.d.sync += [phase.eq(_Phase.JUDGE), number.eq(0)]
        with m.If(phase == _Phase.SETTLE):
            m.d.sync += settled.eq(settled + 1)
            with m.If(settled == SETTLING):
                m.d.sync += phase.eq(_Phase.READ)
        return _Asked(inner, counted, asking, number == 1 + 2 * len(kinds), address, clears)

    def _keep_answers(self, m: Module, port: Any) -> None:
        """Lead the user's requests on, each when the answer to the one before was taken: one that nobody takes must not
        keep the guard from the learner."""
        request, response, kept = self.access.request, self.access.response, Signal()
        open_ = Signal()
        m.d.comb += [
            open_.eq(~kept & ~response.valid),
            Value.cast(port.request.payload).eq(Value.cast(request.payload)),
            port.request.valid.eq(request.valid & open_),
            request.ready.eq(port.request.ready & open_),
            port.response.ready.eq(1),
        ]
        with m.If(request.valid & request.ready):
            m.d.sync += kept.eq(1)
        with m.If(port.response.valid):
            m.d.sync += [response.payload.eq(port.response.payload), response.valid.eq(1), kept.eq(0)]
        with m.Elif(response.ready):
            m.d.sync += response.valid.eq(0)

    def _walk(self, m: Module, phase: Signal, asked: _Asked, seen: Signal, ended: Value, judged: Value) -> None:
        """Copy coefficients after healthy windows, and restore them after a fault."""
        count, inner = len(self._start), asked.port
        bits = clog2(count)
        width = max(layer.formats.coefficient.width for layer in self.spec.layers)
        mask = (1 << width) - 1
        init = [code & mask for code in self._start] + [0] * ((1 << bits) - count)
        m.submodules.memory = memory = Memory(shape=width, depth=2 << bits, init=init, attrs={"ram_style": "block"})
        write, read = memory.write_port(), memory.read_port()
        m.submodules.restorer = restorer = Restorer(self.spec)
        good, promising, restoring = Signal(), Signal(), Signal()
        healthy = Signal(range(self.settings_at_start.copy_every), name="healthy_windows")
        begin, copies, answered = Signal(), Signal(), Signal(max(bits, 1))
        request = restorer.access.request
        m.d.comb += [
            copies.eq(judged & ~seen.any() & (healthy == self.settings_at_start.copy_every - 1)),
            begin.eq(copies | seen.any()),
            restorer.begin.eq(begin),
            restorer.values.value.eq(read.data.as_signed()),
            read.addr.eq(Cat(restorer.values.position[:bits], good) if bits else good),
            write.addr.eq(Cat(answered[:bits], ~good) if bits else ~good),
            write.data.eq(inner.response.payload),
            write.en.eq((phase == _Phase.WALK) & ~restoring & inner.response.valid),
            restorer.access.response.valid.eq(inner.response.valid & (phase == _Phase.WALK)),
        ]
        with m.If(phase == _Phase.WALK):
            m.d.comb += [
                inner.request.valid.eq(request.valid),
                inner.request.payload.address.eq(request.payload.address),
                inner.request.payload.write.eq(restoring),
                inner.request.payload.data.eq(Mux(restoring, request.payload.data, 0)),
                request.ready.eq(inner.request.ready),
            ]
        with m.Elif(phase == _Phase.READ):
            m.d.comb += [
                inner.request.valid.eq(~asked.pending & ~asked.over),
                inner.request.payload.address.eq(asked.address),
                inner.request.payload.write.eq(asked.clears),
            ]
        with m.If(request.valid & request.ready):
            m.d.sync += answered.eq(restorer.values.position)
        with m.If(ended):
            m.d.sync += phase.eq(_Phase.READ)
        with m.If(judged):
            m.d.sync += [phase.eq(_Phase.RUN), healthy.eq(Mux(copies, 0, healthy + 1))]
        with m.If(copies):
            # The copy before has seen as many healthy windows as it had to: now it is the good one.
            m.d.sync += [good.eq(good ^ promising), promising.eq(1)]
        with m.If(seen.any()):
            m.d.sync += [promising.eq(0), healthy.eq(0)]
        with m.If(begin):
            m.d.sync += [phase.eq(_Phase.WALK), restoring.eq(seen.any())]
        with m.If((phase == _Phase.WALK) & ~restorer.busy):
            m.d.sync += phase.eq(_Phase.RUN)

    def count(self, parts: Parts) -> None:
        count, kinds, spec = len(self._start), len(counted_kinds(self.spec)), self.spec
        addresses, settings = AddressMap.of(spec), self.settings_at_start
        width = max(layer.formats.coefficient.width for layer in spec.layers)
        parts.memory("shadow", 2 << clog2(count), width, block=True)
        gradient, error = spec.formats.layers[-1].gradient, self._widths["error"]
        judging = sum(self._widths.values()) + 2 * kinds * COUNTER_WIDTH + 2 * error
        judging += bits_for(spec.n_out * -gradient.minimum) + len(SIGNATURES) + 2
        counters = self._widths["slot"] + clog2(settings.window) + len(SIGNATURES) * COUNTER_WIDTH
        asking = bits_for(2 * kinds + 1) + bits_for(SETTLING) + addresses.data_width + 7
        walk = bits_for(count - 1) + clog2(max(layer.coefficients for layer in spec.layers))
        walk += addresses.input_bits + addresses.node_bits + addresses.layer_bits
        copying = clog2(settings.copy_every) + max(clog2(count), 1) + 7
        parts.register(judging + counters + asking + walk + copying, moved=False)
        parts.counts["counter"] += counters + walk
        parts.adder(gradient.width, 2 * spec.n_out)
        parts.adder(error)
        for name in LIMITS:
            parts.adder(self._widths[name])
        parts.adder(COUNTER_WIDTH, kinds)
        # Whose request goes on, of the user, the counters and the walk.
        parts.choice(addresses.width + addresses.data_width + 2, 2, 2)


def _reaches(value: Value, limit: Signal) -> Value:
    return (limit != 0) & (value >= limit)
