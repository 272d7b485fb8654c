"""The user's side of a guard's access to its learner: the guard's own registers, and whose turn it is."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...fabric.counted_component import CountedComponent
from ...fabric.parts import Parts
from ...fabric.run_time import settings_stream
from ..address_map import (
    CONTROL_RESTORE,
    COUNTER_WIDTH,
    GUARD_ADOPT,
    GUARD_RELEASE,
    AddressMap,
)
from ..guard_settings import LIMITS, SIGNATURES, GuardSettings
from ..spec import LearnerSpec
from .access import AccessPort

__all__ = ["GuardPort", "counted_kinds"]


def counted_kinds(spec: LearnerSpec) -> tuple[str, ...]:
    """The learner's counters that a guard reads, in this order."""
    return ("coefficient", "gradient", "lost") if "lost" in spec.counts else ("coefficient", "gradient")


class GuardPort(CountedComponent):
    """Holds the limits of a guard, and leads the user's requests to them and to the learner.

    A request is led on when the answer to the one before was taken, so that one that nobody takes does not keep the
    guard from the learner; and only while the guard does not want to reach it. A write to the guard's status is led on,
    too: it does what it says when the learner takes it, between samples, so that all steps before are done.

    Parameters
    ----------
    spec
        The learner.
    settings
        What the limits begin with.
    addressed
        Whether limits, status and counters are registers of the access port, as
        :class:`kanrtl.learner.address_map.AddressMap` has them; otherwise it has none of these addresses.

    Members
    -------
    outer : In, inner : Out, :class:`.AccessPort`
        Of the user, and to the learner.
    wanted : In(1)
        The guard wants to reach the learner: no request goes on.
    waiting : Out(1)
        A request of the user waits to go on.
    cleared : Out, a bit for each of :func:`counted_kinds`
        The user sets this counter of the learner to zero.
    settings : In, as that of :class:`.Guard`
    limits : Out, one for each of :data:`.LIMITS`
        A code that a limit's register does not hold, also one below zero, is written as the highest, and so answered.
    slot_written : Out(1)
        The limit ``slot`` is written.
    status : In, fault : In(1), error_sum : In, counts : In
        Those of :class:`.Guard`, to be read; only where ``addressed``.
    clear : Out, a bit for each counter; release, adopt : Out(1)
        What is written: the counter is set to zero, the fault ends, the coefficients are good as they are; only where
        ``addressed``.
    """

    def __init__(self, spec: LearnerSpec, settings: GuardSettings, *, addressed: bool) -> None:
        self._spec, self._addressed = spec, addressed
        gradient = spec.formats.layers[-1].gradient
        self._codes = settings.codes(spec.n_out, gradient, spec.counts)
        self._widths = settings.widths(spec.n_out, gradient)
        port = AccessPort(spec)
        members: dict[str, Any] = {
            "outer": In(port),
            "inner": Out(port),
            "wanted": In(1),
            "waiting": Out(1),
            "cleared": Out(len(counted_kinds(spec))),
            "settings": In(settings_stream(len(LIMITS), 1, max(self._widths.values()) + 1)),
            "limits": Out(data.StructLayout(self._widths)),
            "slot_written": Out(1),
        }
        if addressed:
            members |= {
                "status": In(len(SIGNATURES)),
                "fault": In(1),
                "error_sum": In(self._widths["error"]),
                "counts": In(data.ArrayLayout(COUNTER_WIDTH, len(SIGNATURES))),
                "clear": Out(len(SIGNATURES)),
                "release": Out(1),
                "adopt": Out(1),
            }
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clock cycles that it adds to the answer of the learner."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        request, response = self.outer.request, self.outer.response
        addresses = AddressMap.of(self._spec)
        kept, own, taken = Signal(), Signal(), Signal()
        answer = Signal(signed(addresses.data_width))
        m.d.comb += [
            self.waiting.eq(request.valid & ~kept & ~response.valid),
            Value.cast(self.inner.request.payload).eq(Value.cast(request.payload)),
            self.inner.request.valid.eq(self.waiting & ~self.wanted & ~own),
            request.ready.eq(self.waiting & ~self.wanted & (own | self.inner.request.ready)),
            self.inner.response.ready.eq(1),
            taken.eq(request.valid & request.ready),
        ]
        with m.If(self.inner.response.valid):
            m.d.sync += [response.payload.eq(self.inner.response.payload), response.valid.eq(1), kept.eq(0)]
        with m.Elif(taken & own):
            m.d.sync += [response.payload.eq(answer), response.valid.eq(1)]
        with m.Elif(response.ready):
            m.d.sync += response.valid.eq(0)
        with m.If(taken & ~own):
            m.d.sync += kept.eq(1)
        self._see_clearing(m, taken & request.payload.write, addresses)
        limits = self._hold_limits(m)
        if self._addressed:
            self._serve(m, taken & request.payload.write, addresses, own, answer, limits)
        return m

    def _see_clearing(self, m: Module, written: Value, addresses: AddressMap) -> None:
        """See that the user sets counters to zero, one by one, or all with what restores."""
        payload, restores = self.outer.request.payload, Signal()
        if self._spec.restarts:
            m.d.comb += restores.eq(
                (payload.address == addresses.control) & payload.data[CONTROL_RESTORE.bit_length() - 1]
            )
        for index, kind in enumerate(counted_kinds(self._spec)):
            named = payload.address == addresses.saturations(kind)
            m.d.comb += self.cleared[index].eq(written & (named | restores))

    def _hold_limits(self, m: Module) -> dict[str, Signal]:
        found, payload = {}, self.settings.payload
        highest, beyond = Signal.like(payload.code), Signal()
        code = _fit(payload.code, highest, beyond)
        # As learning rates, what was set outlasts a reset, unless that restores everything.
        outlasts = not self._spec.restarts
        for name, width in self._widths.items():
            found[name] = register = Signal(width, name=f"{name}_limit", init=self._codes[name], reset_less=outlasts)
            m.d.comb += self.limits[name].eq(register)
        with m.Switch(payload.number):
            for number, (name, register) in enumerate(found.items()):
                with m.Case(number):
                    m.d.comb += [
                        highest.eq((1 << len(register)) - 1),
                        beyond.eq(payload.code[len(register) :].any()),
                    ]
                    with m.If(self.settings.valid):
                        m.d.comb += self.slot_written.eq(name == "slot")
                        m.d.sync += register.eq(code)
        return found

    def _serve(
        self, m: Module, written: Value, addresses: AddressMap, own: Signal, answer: Signal, limits: dict[str, Signal]
    ) -> None:
        """Read and write the guard's own registers."""
        payload = self.outer.request.payload
        number = payload.address[:-1]
        beyond = Signal()
        read, highest, stored = (Signal.like(answer, name=name) for name in ("read", "highest", "stored"))
        m.d.comb += [
            highest.eq(-1),
            stored.eq(_fit(payload.data, highest, beyond)),
            answer.eq(Mux(payload.write, stored, read)),
        ]

        def at(address: int) -> Any:
            return m.Case(address & ((1 << len(number)) - 1))

        with m.If(payload.address[-1]), m.Switch(number):
            with at(addresses.guard_status):
                m.d.comb += [
                    own.eq(~payload.write),
                    read.eq(self.status | self.fault << len(SIGNATURES)),
                    self.release.eq(written & payload.data[GUARD_RELEASE.bit_length() - 1]),
                    self.adopt.eq(written & payload.data[GUARD_ADOPT.bit_length() - 1]),
                ]
            with at(addresses.guard_error_sum):
                m.d.comb += [own.eq(1), read.eq(self.error_sum)]
            for name, register in limits.items():
                with at(addresses.guard_limit(name)):
                    m.d.comb += [own.eq(1), read.eq(register), highest.eq((1 << len(register)) - 1)]
                    m.d.comb += beyond.eq(payload.data[len(register) :].any())
                    with m.If(written):
                        if name == "slot":
                            m.d.comb += self.slot_written.eq(1)
                        m.d.sync += register.eq(stored)
            for index, signature in enumerate(SIGNATURES):
                with at(addresses.guard_count(signature)):
                    m.d.comb += [own.eq(1), read.eq(self.counts[index]), self.clear[index].eq(written)]

    def count(self, parts: Parts) -> None:
        addresses, limits = AddressMap.of(self._spec), sum(self._widths.values())
        parts.register(limits + addresses.data_width + 2, moved=False)
        # What is beyond a limit's register is written as its highest.
        parts.choice(max(self._widths.values()))
        parts.union(1, max(self._widths.values()) + 1 - min(self._widths.values()))
        if self._addressed:
            widths = (
                len(SIGNATURES) + 1,
                self._widths["error"],
                *self._widths.values(),
                *[COUNTER_WIDTH] * len(SIGNATURES),
            )
            # An answer is what is written, or one of these. What limits take is chosen once: nothing comes over the
            # stream of settings there.
            for bit in range(addresses.data_width):
                parts.choice(1, 1 + sum(width > bit for width in widths))


def _fit(code: Value, highest: Value, beyond: Value) -> Value:
    """Give a code as a register holds it whose highest that is, all ones: itself, or the highest where it is beyond."""
    return (code | beyond.replicate(len(code))) & highest
