"""Watches a learner in hardware, freezes it when it fails, and brings back what it knew before."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out, connect, flipped

from ...errors import InputError, check_kind
from ...fabric.counted_component import CountedComponent
from ...fabric.parts import Parts
from ...fabric.run_time import count_events
from ...numeric.bits import bits_for, clog2
from ..address_map import COUNTER_WIDTH, AddressMap
from ..guard_settings import SIGNATURES, GuardSettings
from ..spec import LearnerSpec
from .guard_port import GuardPort
from .guard_shadow import GuardShadow
from .guard_verdict import GuardVerdict
from .learner_members import learner_members
from .restorer import AccessSwitch

__all__ = ["IDLE_CYCLES", "Guard"]

IDLE_CYCLES = 1024
"""Clock cycles without a sample after which a guard waits for none any more to reach the learner."""


class Guard(CountedComponent):
    """Stands between a learner and its user, and sees the four ways in which a learner that adapts fails (Hoang, Gupta
    and Harris, arXiv 2602.02005): divergence, stagnation, precision loss, and a missed deadline.

    It judges every ``window`` of samples: the sum of \\|dL/dy\\| over its steps, and how often coefficients were at the
    ends of their formats, updates rounded to nothing, and gradients saturated. A deadline is judged in every cycle.
    After ``copy_every`` healthy windows it copies all coefficients into a memory beside. A copy is good once as many
    healthy windows have followed: what began to fail before it was seen is not in it. At first the good copy is the
    spec's start. On a fault the learner is frozen, and the good copy is written back; it learns nothing until it is
    released.

    Samples are predicted all the while. What the guard wants of the learner's access port, it does one access at a
    time, each after a sample's step, and so the next sample waits for no more than one (:attr:`slot_cycles`), and not
    at all where it comes that much later than it could. A verdict is there after :attr:`verdict_samples` more samples,
    a copy or a restore after :attr:`copy_samples`: while samples are learned, all of this is the same for any traffic.
    A copy so holds coefficients of as many samples that follow each other, and while the good copy is written back
    predictions come from what is there already of it, and what is not. Where no sample was there for
    :data:`IDLE_CYCLES`, or the user waits to reach the learner, all is done at once, in :attr:`copy_cycles`.

    Parameters
    ----------
    spec
        The learner.
    settings
        What is looked at, and the limits that the registers begin with.
    addressed
        Whether limits, status and counters are registers of the access port: inside of a learner whose spec has these
        settings as its ``guard``.

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
        complement codes of as many bits as the widest has, and one; one that a limit does not hold is its highest. It
        never waits.
    release : In(1)
        Ends a fault: the learner learns again. Not looked at before the good copy is restored: hold it until ``fault``
        is low.
    fault : Out(1)
        From the cycle after a fault is seen until it is released; a reset ends none, unless it restores everything
        (``initial="reset"``).
    status : Out(4)
        Which of :data:`.SIGNATURES` were seen since the last release.
    counts : Out, a counter for each of these
        How often it was seen; each stops at its highest value.
    clear : In(1)
        Sets those to zero.
    error_sum : Out
        Of the last whole window, in LSBs of the gradient.
    """

    def __init__(
        self,
        spec: LearnerSpec,
        settings: GuardSettings | dict[str, Any] = GuardSettings(),
        *,
        addressed: bool = False,
    ) -> None:
        check_kind("spec", spec, LearnerSpec, "a LearnerSpec")
        if spec.guard is not None and not addressed:
            raise InputError(
                f"guard = {spec.guard.to_dict()}: the learner of this spec has that guard inside; give "
                "spec.replace(guard=None) to a guard beside its learner"
            )
        self.spec = spec
        self.settings_at_start = GuardSettings.of(settings)
        self._addressed = addressed
        self._port = GuardPort(spec, self.settings_at_start, addressed=addressed)
        self._verdict = GuardVerdict(spec, self.settings_at_start)
        self._shadow = GuardShadow(spec)
        self._error_bits = len(self._verdict.errors)
        learner = learner_members(spec)
        members: dict[str, Any] = {
            **{name: learner[name] for name in ("samples", "predictions", "access", "freeze")},
            **{f"learner_{name}": learner[name].flip() for name in ("samples", "predictions", "access", "freeze")},
            **{name: learner[name].flip() for name in ("updated", "gradient")},
            "settings": self._port.signature.members["settings"],
            "release": In(1),
            "fault": Out(1),
            "status": Out(len(SIGNATURES)),
            "counts": Out(data.ArrayLayout(COUNTER_WIDTH, len(SIGNATURES))),
            "clear": In(1),
            "error_sum": Out(self._error_bits),
        }
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clock cycles that it adds to a sample or to a prediction while it wants nothing of the learner: none."""
        return 0

    @property
    def slot_cycles(self) -> int:
        """The most clock cycles for which a sample waits for the guard, from the end of the step before."""
        timing = self.spec.timing
        # Where samples stream, the access waits until none is in the pipeline.
        drained = timing.latency + 1 if timing.streaming else 0
        return drained + timing.access_cycles + self._shadow.latency

    @property
    def verdict_samples(self) -> int:
        """Samples after a window by which it is judged."""
        return self._verdict.accesses

    @property
    def copy_samples(self) -> int:
        """Samples in which all coefficients are copied, or restored."""
        return self._shadow.accesses

    @property
    def copy_cycles(self) -> int:
        """Clock cycles that this takes where no sample comes."""
        return self.copy_samples * (self.spec.timing.access_cycles + 2) + self._shadow.latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.port, m.submodules.verdict, m.submodules.shadow = port, verdict, shadow = (
            self._port,
            self._verdict,
            self._shadow,
        )
        hold, taken, wanted = Signal(), Signal(), Signal()
        m.d.comb += [
            self.learner_samples.payload.eq(self.samples.payload),
            self.learner_samples.valid.eq(self.samples.valid & ~hold),
            self.samples.ready.eq(self.learner_samples.ready & ~hold),
            taken.eq(self.samples.valid & self.samples.ready),
            self.predictions.payload.eq(self.learner_predictions.payload),
            self.predictions.valid.eq(self.learner_predictions.valid),
            self.learner_freeze.eq(self.freeze | self.fault),
            wanted.eq(verdict.pending | shadow.busy),
        ]
        if not self.predictions.signature.always_ready:
            m.d.comb += self.learner_predictions.ready.eq(self.predictions.ready)
        released, adopted, due = Signal(), Signal(), Signal()
        interrupted = Const(0) if self.spec.restarts else self.fault & _begins(m)
        releasable = self.fault & ~wanted & ~interrupted
        if self._addressed:
            m.d.comb += [
                released.eq((self.release | port.release) & releasable),
                adopted.eq(port.adopt),
                port.status.eq(self.status),
                port.fault.eq(self.fault),
                port.error_sum.eq(self.error_sum),
                port.counts.eq(self.counts),
            ]
        else:
            m.d.comb += released.eq(self.release & releasable)
        connect(m, flipped(self.settings), port.settings)
        restarted = released | adopted
        # A sample that is taken in that cycle is one before: nothing is due after it.
        self._reach(m, taken & ~restarted, wanted, due)
        m.d.comb += hold.eq((due & wanted) | verdict.last)

        position, ended = Signal(range(self.settings_at_start.window)), Signal()
        m.d.comb += ended.eq(taken & ~self.fault & position.all())
        with m.If(restarted):
            m.d.sync += position.eq(0)
        with m.Elif(taken & ~self.fault):
            m.d.sync += position.eq(position + 1)
        total = self._add_errors(m, verdict.captured | restarted)
        m.d.comb += [
            verdict.begin.eq(ended | restarted),
            verdict.baseline.eq(restarted),
            verdict.errors.eq(total),
            verdict.cleared.eq(port.cleared),
            verdict.limits.eq(port.limits),
            self.error_sum.eq(verdict.error_sum),
        ]
        self._judge(m, taken, wanted, released, adopted, interrupted)
        return m

    def _reach(self, m: Module, taken: Value, wanted: Value, due: Signal) -> None:
        """Let the verdict, the copies and the user reach the learner."""
        port, verdict, shadow = self._port, self._verdict, self._shadow
        m.submodules.switch = switch = AccessSwitch(self.spec)
        connect(m, flipped(self.access), port.outer)
        connect(m, port.inner, switch.first)
        connect(m, switch.both, flipped(self.learner_access))
        request, response = switch.second.request, switch.second.response
        granted, reads, of_verdict = Signal(), Signal(), Signal()
        idle = Signal(range(IDLE_CYCLES + 1))
        m.d.comb += [
            port.wanted.eq(wanted),
            granted.eq(wanted & (due | port.waiting | (idle == IDLE_CYCLES))),
            reads.eq(verdict.pending),
            switch.second_only.eq(granted),
            request.valid.eq(granted & Mux(reads, verdict.access.request.valid, shadow.access.request.valid)),
            Value.cast(request.payload).eq(
                Mux(reads, Value.cast(verdict.access.request.payload), Value.cast(shadow.access.request.payload))
            ),
            verdict.access.request.ready.eq(request.ready & granted & reads),
            shadow.access.request.ready.eq(request.ready & granted & ~reads),
            response.ready.eq(1),
            verdict.access.response.payload.eq(response.payload),
            shadow.access.response.payload.eq(response.payload),
            verdict.access.response.valid.eq(response.valid & of_verdict),
            shadow.access.response.valid.eq(response.valid & ~of_verdict),
        ]
        with m.If(request.valid & request.ready):
            m.d.sync += of_verdict.eq(reads)
        with m.If(taken):
            m.d.sync += due.eq(1)
        with m.Elif((request.valid & request.ready) | ~wanted):
            m.d.sync += due.eq(0)
        with m.If(self.samples.valid):
            m.d.sync += idle.eq(0)
        with m.Elif(idle != IDLE_CYCLES):
            m.d.sync += idle.eq(idle + 1)

    def _judge(
        self, m: Module, taken: Value, wanted: Value, released: Value, adopted: Value, interrupted: Value
    ) -> None:
        """Begin and end faults, and copies."""
        port, verdict, shadow = self._port, self._verdict, self._shadow
        # A reset that leaves coefficients as they are ends no fault that was seen in them.
        outlasts = not self.spec.restarts
        fault, status = Signal(reset_less=outlasts), Signal(len(SIGNATURES), reset_less=outlasts)
        copies, healthy_window = Signal(), Signal()
        healthy = Signal(range(self.settings_at_start.copy_every), name="healthy_windows")
        seen = Signal(len(SIGNATURES))
        late = self._time(m, taken, wanted, seen.any())
        m.d.comb += [
            seen.eq(verdict.seen | late << (len(SIGNATURES) - 1)),
            self.fault.eq(fault),
            self.status.eq(status),
            healthy_window.eq(verdict.judged & ~fault & ~seen.any() & ~shadow.busy),
            copies.eq(healthy_window & (healthy == self.settings_at_start.copy_every - 1)),
            shadow.restore.eq((seen.any() & ~fault) | interrupted),
            shadow.confirm.eq(copies),
            shadow.copy.eq(copies | adopted),
            shadow.good.eq(adopted),
        ]
        with m.If(seen.any()):
            m.d.sync += fault.eq(1)
        with m.Elif(released):
            m.d.sync += fault.eq(0)
        with m.If(adopted | shadow.restore):
            m.d.sync += healthy.eq(0)
        with m.Elif(healthy_window):
            m.d.sync += healthy.eq(Mux(copies, 0, healthy + 1))
        m.d.sync += status.eq(Mux(released, 0, status) | seen)
        for index in range(len(SIGNATURES)):
            clear = self.clear | port.clear[index] if self._addressed else self.clear
            count_events(m, seen[index], clear, self.counts[index])

    def _add_errors(self, m: Module, restart: Value) -> Signal:
        """Add up the errors of the steps of a window."""
        total = Signal(self._error_bits, name="errors")
        # A register before the sum, so that no step waits for it.
        error = Signal(range(self.spec.n_out * -self.spec.formats.layers[-1].gradient.minimum + 1))
        stepped = Signal()
        m.d.sync += [error.eq(sum(abs(gradient.raw) for gradient in self.gradient)), stepped.eq(self.updated)]
        with m.If(restart):
            m.d.sync += total.eq(0)
        with m.Elif(stepped):
            m.d.sync += total.eq(total + error)
        return total

    def _time(self, m: Module, taken: Value, wanted: Value, failed: Value) -> Value:
        """Say when the slot is over that began with a sample, unless there was a fault since. For what the guard does
        itself time stands still."""
        slot = self._port.limits["slot"]
        cycles, begun = Signal(len(slot)), Signal()
        # A slot that is written begins with the write, so that the count does not run past it.
        with m.If(taken | self._port.slot_written):
            m.d.sync += cycles.eq(0)
        with m.Elif(~(wanted & self.samples.valid)):
            m.d.sync += cycles.eq(cycles + 1)
        with m.If(failed):
            m.d.sync += begun.eq(0)
        with m.Elif(taken & ~self.fault):
            m.d.sync += begun.eq(1)
        return begun & (slot != 0) & (cycles == slot)

    def count(self, parts: Parts) -> None:
        settings, spec = self.settings_at_start, self.spec
        addresses = AddressMap.of(spec)
        for part in (self._port, self._verdict, self._shadow):
            part.count(parts)
        gradient = spec.formats.layers[-1].gradient
        errors = self._error_bits + bits_for(spec.n_out * -gradient.minimum) + 1
        counters = clog2(settings.window) + clog2(settings.copy_every) + bits_for(IDLE_CYCLES)
        counters += len(self._port.limits["slot"]) + len(SIGNATURES) * COUNTER_WIDTH
        # Of the switch, whose request goes on: the user's, or one of the two others.
        parts.register(errors + counters + len(SIGNATURES) + 5 + (not spec.restarts), moved=False)
        parts.counts["counter"] += counters
        parts.adder(gradient.width, 2 * spec.n_out)
        parts.adder(self._error_bits)
        parts.adder(len(self._port.limits["slot"]))
        parts.choice(addresses.width + addresses.data_width + 2, 2, 2)


def _begins(m: Module) -> Value:
    """Whether this is the first cycle after a reset: what was being restored then is so no longer."""
    running = Signal()
    m.d.sync += running.eq(1)
    return ~running
