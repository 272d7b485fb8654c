"""What a guard promises, whatever the learner and its user do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Assert, Assume, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from kanrtl.learner.address_map import AddressMap
from kanrtl.learner.guard_settings import SIGNATURES
from kanrtl.learner.rtl.guard import Guard
from kanrtl.learner.rtl.guard_shadow import GuardShadow
from proofs.engine import Contract
from proofs.learner import SMALL as LEARNER

SMALL = LEARNER.replace(pipeline="no_registers")
SETTINGS = {"window": 8, "copy_every": 1, "error": 0.5, "slot": 40}
GUARDED = SMALL.replace(guard=SETTINGS)

Break = Callable[[Module, Any], None]


class Broken(wiring.Component):
    """A part with free inputs, what must hold of it, and something added that breaks it, or nothing.

    Parameters
    ----------
    part
        The part; its inputs become those of this.
    state
        Asserts what must hold.
    add
        Breaks it; None for nothing.
    """

    def __init__(self, part: Any, state: Break, add: Break | None) -> None:
        self._part, self._state, self._add = part, state, add
        self._inputs = [
            ("__".join(map(str, path)), value)
            for path, member, value in part.signature.flatten(part)
            if member.flow is In
        ]
        super().__init__({name: In(len(_bits(value))) for name, value in self._inputs})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        inner = self._part.elaborate(platform)
        if self._add is not None:
            self._add(inner, self._part)
        m.submodules.part = inner
        m.d.comb += [_bits(value).eq(getattr(self, name)) for name, value in self._inputs]
        self._state(m, self._part)
        return m


def _bits(value: Any) -> Any:
    return value.as_value() if hasattr(value, "as_value") else value


def broken(make: Callable[[], Any], state: Break, add: Break) -> Callable[[bool], Broken]:
    """A function that makes the design of a contract: as it is, or with what breaks it."""
    return lambda fault: Broken(make(), state, add if fault else None)


def _guard() -> Guard:
    return Guard(GUARDED, SETTINGS, addressed=True)


# What is frozen stays so.


def freeze_until_released(m: Module, guard: Any) -> None:
    """A fault stays until it is released, and as long as it is there the learner is frozen."""
    before, told = Signal(), Signal()
    write = guard.access.request.valid & guard.access.request.ready & guard.access.request.payload.write
    own = guard.access.request.payload.address == AddressMap.of(GUARDED).guard_status
    m.d.sync += [before.eq(guard.fault), told.eq(guard.release | (write & own))]
    m.d.comb += [Assert(~before | told | guard.fault), Assert(~guard.fault | guard.learner_freeze)]


def forgive(m: Module, guard: Any) -> None:
    with m.If(guard.samples.valid & guard.samples.ready):
        m.d.sync += guard.fault.eq(0)


# Counters count.


def count_one_by_one(m: Module, guard: Any) -> None:
    """A counter goes up by one, only where its signature was seen, and stops at its highest value; down to zero only
    where it is cleared."""
    write = guard.access.request.valid & guard.access.request.ready & guard.access.request.payload.write
    for index, signature in enumerate(SIGNATURES):
        before, told = Signal(16, name=f"before{index}"), Signal(name=f"told{index}")
        own = guard.access.request.payload.address == AddressMap.of(GUARDED).guard_count(signature)
        m.d.sync += [before.eq(guard.counts[index]), told.eq(guard.clear | (write & own))]
        now = guard.counts[index]
        with m.If(told):
            m.d.comb += Assert(now == 0)
        with m.Else():
            m.d.comb += Assert((now == before) | ((now == before + 1) & ~before.all() & guard.status[index]))


def count_samples(m: Module, guard: Any) -> None:
    with m.If(guard.samples.valid & guard.samples.ready):
        m.d.sync += guard.counts[0].eq(guard.counts[0] + 1)


# What is restored was copied.


def restore_what_was_copied(m: Module, shadow: Any) -> None:
    """Whatever is adopted is what is written back, coefficient by coefficient, until more is adopted; at first the
    start is. Copies that are interrupted are not adopted."""
    request, response = shadow.access.request, shadow.access.response
    followed = AddressMap.of(SMALL).coefficient(0, 0, 0, 1)
    asked, reads, copied = Signal(), Signal(), Signal(shadow.access.response.payload.shape())
    start = int(SMALL.initial_codes()[0][0, 0, 1])
    kept, complete, given_up = Signal.like(copied, init=start), Signal(), Signal(init=1)
    answers = Signal(range(shadow.accesses + 2))
    taken = request.valid & request.ready
    m.d.comb += [
        Assume(~(shadow.copy & shadow.busy)),
        Assume(~shadow.copy | shadow.good),
        Assume(~shadow.confirm),
        Assume(~response.valid | asked),
        # As wide as a coefficient.
        Assume(response.payload == response.payload[: SMALL.layers[0].formats.coefficient.width].as_signed()),
        Assume(~(shadow.copy & shadow.restore)),
    ]
    with m.If(taken):
        m.d.sync += [asked.eq(1), reads.eq((request.payload.address == followed) & ~request.payload.write)]
    with m.Elif(response.valid):
        m.d.sync += asked.eq(0)
    m.d.comb += Assume(~(taken & asked & ~response.valid))
    with m.If(response.valid & reads):
        m.d.sync += copied.eq(response.payload)
    m.d.comb += complete.eq((answers == shadow.accesses) & ~given_up)
    with m.If(response.valid):
        m.d.sync += answers.eq(answers + 1)
    with m.If(complete):
        m.d.sync += kept.eq(copied)
    with m.If(complete | shadow.restore):
        m.d.sync += given_up.eq(1)
    with m.If(shadow.copy):
        m.d.sync += [answers.eq(0), given_up.eq(0)]
    now = Mux(complete, copied, kept)
    with m.If(request.valid & request.payload.write & (request.payload.address == followed)):
        m.d.comb += Assert(request.payload.data == now)


def write_the_other(m: Module, shadow: Any) -> None:
    with m.If(shadow.access.request.payload.write & (shadow.access.request.payload.address == 1)):
        m.d.comb += shadow.access.request.payload.data.eq(0)


CONTRACTS = [
    Contract(
        "guard, frozen",
        "what a guard has frozen stays frozen until it is released",
        broken(_guard, freeze_until_released, forgive),
        depth=5,
        unbounded=True,
    ),
    Contract(
        "guard, counters",
        "a counter of a guard counts what was seen, one by one, and stops at its highest value",
        broken(_guard, count_one_by_one, count_samples),
        depth=4,
        unbounded=True,
    ),
    Contract(
        "guard, restore",
        "a guard writes back exactly what it copied",
        broken(lambda: GuardShadow(SMALL), restore_what_was_copied, write_the_other),
        depth=26,
        unbounded=False,
    ),
]
