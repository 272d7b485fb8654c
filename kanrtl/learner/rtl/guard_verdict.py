"""Reads what a learner has counted in a window, and judges it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from ...fabric.counted_component import CountedComponent
from ...fabric.parts import Parts
from ...numeric.bits import bits_for
from ..address_map import COUNTER_WIDTH, AddressMap
from ..guard_settings import LIMITS, SIGNATURES, GuardSettings
from ..spec import LearnerSpec
from .access import AccessPort
from .guard_port import counted_kinds

__all__ = ["GuardVerdict"]


class GuardVerdict(CountedComponent):
    """Reads the learner's counters one after another, and says which signatures a window has.

    A counter is read as it stands; what it has counted is how much more that is than the last time. One that has come
    to half of what it can count is then set to zero: what is counted between its read and that is not seen.

    Parameters
    ----------
    spec
        The learner.
    settings
        The window, and so the widths of the limits.

    Members
    -------
    begin : In(1)
        It reads all counters, and judges then.
    baseline : In(1)
        With ``begin``: it only takes note of where they stand.
    pending : Out(1)
        It has not ended.
    last : Out(1)
        It ends with the answer that is awaited, or with this cycle: no sample is to be taken, as that may be the first
        of a learner that is frozen.
    access : Out, :class:`.AccessPort`
        Requests are valid until they are taken.
    captured : Out(1)
        The first answer is there: all that the window's steps did is done and counted.
    errors : In
        The sum of the window's errors, which is looked at then.
    error_sum : Out
        That, of the last window that was judged.
    cleared : In, a bit for every counter
        It is set to zero by someone else.
    limits : In, one for each of :data:`.LIMITS`
    judged : Out(1), seen : Out(3)
        For one cycle, and which signatures except the deadline the window has.
    """

    def __init__(self, spec: LearnerSpec, settings: GuardSettings) -> None:
        self._spec = spec
        self._kinds = counted_kinds(spec)
        self._widths = settings.widths(spec.n_out, spec.formats.layers[-1].gradient)
        super().__init__(
            {
                "begin": In(1),
                "baseline": In(1),
                "pending": Out(1),
                "last": Out(1),
                "access": Out(AccessPort(spec)),
                "captured": Out(1),
                "errors": In(self._widths["error"]),
                "error_sum": Out(self._widths["error"]),
                "cleared": In(len(self._kinds)),
                "limits": In(data.StructLayout(self._widths)),
                "judged": Out(1),
                "seen": Out(len(SIGNATURES) - 1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the last answer to the verdict."""
        return 1

    @property
    def accesses(self) -> int:
        """How many accesses a verdict takes at the most."""
        return 2 * len(self._kinds)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        kinds, addresses = self._kinds, AddressMap.of(self._spec)
        request, response = self.access.request, self.access.response
        counted = {kind: Signal(COUNTER_WIDTH, name=f"counted_{kind}") for kind in kinds}
        before = {kind: Signal(COUNTER_WIDTH, name=f"before_{kind}") for kind in kinds}
        # Even numbers are reads; odd ones set the counter to zero that was read, if it has come far.
        number = Signal(range(self.accesses))
        reading, asked, judging, baseline = Signal(), Signal(), Signal(), Signal()
        answer = response.payload[:COUNTER_WIDTH]
        answered, far, ends = Signal(), Signal(), Signal()
        m.d.comb += [
            request.valid.eq(reading & ~asked),
            request.payload.write.eq(number[0]),
            response.ready.eq(1),
            answered.eq(asked & response.valid),
            far.eq(answer[-1] & ~number[0]),
            ends.eq((number[1:] == len(kinds) - 1) & ~far),
            self.pending.eq(reading | judging),
            self.last.eq((asked & (number[1:] == len(kinds) - 1)) | judging),
            self.captured.eq(answered & (number == 0) & ~baseline),
            self.judged.eq(judging),
        ]
        with m.Switch(number[1:]):
            for index, kind in enumerate(kinds):
                with m.Case(index):
                    m.d.comb += request.payload.address.eq(addresses.saturations(kind))
        m.d.sync += judging.eq(answered & ends & ~baseline)
        with m.If(request.valid & request.ready):
            m.d.sync += asked.eq(1)
        with m.If(answered):
            m.d.sync += [asked.eq(0), number.eq(number + 2 - (far | number[0]))]
            with m.If(ends):
                m.d.sync += [reading.eq(0), number.eq(0)]
        for index, kind in enumerate(kinds):
            with m.If(self.cleared[index]):
                m.d.sync += before[kind].eq(0)
            with m.Elif(answered & (number[1:] == index)):
                with m.If(number[0]):
                    m.d.sync += before[kind].eq(0)
                with m.Else():
                    m.d.sync += [counted[kind].eq(answer - before[kind]), before[kind].eq(answer)]
        with m.If(self.captured):
            m.d.sync += self.error_sum.eq(self.errors)
        with m.If(self.begin):
            m.d.sync += [reading.eq(1), baseline.eq(self.baseline)]
        m.d.comb += self.seen.eq(Cat(*self._judge(counted)) & judging.replicate(len(self.seen)))
        return m

    def _judge(self, counted: dict[str, Signal]) -> list[Value]:
        """Say which signatures there are, by what was counted in the window."""
        limits = {name: self.limits[name] for name in LIMITS}
        found = [_reaches(self.error_sum, limits["error"]) | _reaches(counted["coefficient"], limits["rails"])]
        if "lost" in counted:
            stagnates = _reaches(counted["lost"], limits["stagnant_lost"])
            found += [
                stagnates & _reaches(self.error_sum, limits["stagnant_error"]),
                _reaches(counted["lost"] + counted["gradient"], limits["imprecise"]),
            ]
        return found

    def count(self, parts: Parts) -> None:
        kinds = len(self._kinds)
        parts.register(2 * kinds * COUNTER_WIDTH + self._widths["error"] + bits_for(self.accesses - 1) + 4, moved=False)
        parts.adder(COUNTER_WIDTH, kinds)
        for name in LIMITS[:-1]:
            parts.adder(self._widths[name])


def _reaches(value: Value, limit: Value) -> Value:
    return (limit != 0) & (value >= limit)
