"""What is promised of a learner's memories, whatever comes and whatever its arithmetic gives: asserted at every bank of
coefficients, where it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from amaranth.hdl import Assert, Assume, Cat, Fragment, Module, Signal
from amaranth.lib import wiring

from kanrtl import LearnerSpec
from kanrtl.learner.rtl.coefficient_bank import CoefficientBank
from proofs.engine import Contract
from proofs.learner import FOLDED, SMALL, STREAMING, Break, Observed, State, Surrounded, thaw

Check = Callable[[Module, CoefficientBank], None]

BLOCK, FOLDED_BLOCK = SMALL.replace(memory="block"), FOLDED.replace(memory="block")


class Watched(wiring.Component):
    """A learner with free inputs, and something that must hold of every bank of its coefficients."""

    def __init__(self, spec: LearnerSpec, state: State, check: Check, broken: Break | None) -> None:
        self._inner = Surrounded(spec, Observed(spec, broken), state)
        self._check = check
        super().__init__(dict(self._inner.signature.members))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        elaborate, check, watched = CoefficientBank.elaborate, self._check, []

        def watch(bank: CoefficientBank, platform: Any) -> Module:
            inner = elaborate(bank, platform)
            check(inner, bank)
            watched.append(bank)
            return inner

        with patch.object(CoefficientBank, "elaborate", watch):
            m.submodules.inner = Fragment.get(self._inner, platform)
        assert watched
        for name in self.signature.members:
            m.d.comb += getattr(self._inner, name).eq(getattr(self, name))
        return m


def watch_memories(
    spec: LearnerSpec, state: State, check: Check, broken: Break | None, other: Check | None = None
) -> Callable[[bool], Watched]:
    """A function that makes the design of a contract: as it is, or with a learner or a check of banks that break it."""
    return lambda fault: Watched(spec, state, (other or check) if fault else check, broken if fault else None)


def assume_nothing(_m: Module, _top: Any, _learner: Observed) -> None: ...


def stay_frozen(m: Module, top: Any, _learner: Observed) -> None:
    m.d.comb += [Assume(top.freeze), Assume(~top.request_valid)]


def samples_alone(m: Module, top: Any, _learner: Observed) -> None:
    """Nothing is written from outside. What a folded layer reads then, all the time, is not used."""
    m.d.comb += Assume(~top.request_valid)


def never_collide(m: Module, bank: CoefficientBank) -> None:
    """No row is read at the edge at which it is written."""
    writes = bank.write_enable.any() & (bank.address == bank.write_address)
    m.d.comb += Assert(~(writes & bank.enable))


def read_always(m: Module, bank: CoefficientBank) -> None:
    """The same of a bank that nothing keeps from reading."""
    m.d.comb += Assert(~(bank.write_enable.any() & (bank.address == bank.write_address)))


def never_write(m: Module, bank: CoefficientBank) -> None:
    m.d.comb += Assert(~bank.write_enable.any())


def begin_early(m: Module, _learner: Observed) -> None:
    """A layer is given samples again and again while it updates."""
    past = Signal(4)
    m.d.sync += past.eq(Cat(m.submodules.sequencer.update[0], past))
    with m.If(past.any()):
        m.d.comb += m.submodules.layer0.take.eq(1)


def _contracts() -> list[Contract]:
    def promise(name: str, text: str, make: Callable[[bool], Watched], spec: LearnerSpec, unbounded: bool) -> Contract:
        depth = 26 if unbounded else 2 * spec.latency + 6 + spec.timing.access_cycles
        return Contract(name, text, make, depth=depth, unbounded=unbounded, values=False)

    collide = "no block memory of coefficients is read in a row at the edge at which that is written"
    frozen = "a learner that is frozen writes no coefficient into any memory"
    return [
        promise(
            "reads and writes",
            collide,
            watch_memories(BLOCK, assume_nothing, never_collide, None, read_always),
            BLOCK,
            False,
        ),
        promise(
            "reads and writes, folded",
            f"{collide} by a step of learning, where a layer is folded",
            watch_memories(FOLDED_BLOCK, samples_alone, never_collide, begin_early),
            FOLDED_BLOCK,
            False,
        ),
        *(
            promise(
                f"frozen memories{kind}",
                frozen + where,
                watch_memories(spec, stay_frozen, never_write, thaw),
                spec,
                True,
            )
            for kind, where, spec in (
                ("", "", SMALL),
                (", streaming", ", where samples stream", STREAMING),
                (", folded", ", where a layer is folded", FOLDED),
            )
        ),
    ]


CONTRACTS = _contracts()
