"""What a bus without streams submits stays as it is until the core has taken it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Const, Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from kanrtl.bus.register_map import RegisterMap
from kanrtl.bus.rtl.number_registers import NumberRegisters
from kanrtl.learner.rtl.learner_members import learner_members
from proofs.engine import Contract, keep
from support.small_cores import SPECS


class Submitted(wiring.Component):
    """Registers between a bus and a core that do anything, except that no prediction comes before its sample."""

    def __init__(self, kind: str, make: type[NumberRegisters]) -> None:
        members = learner_members(SPECS[kind])
        teaching = members["teaching"].flip().signature if "teaching" in members else None
        streams = members["samples"].flip().signature, members["predictions"].signature, teaching
        self._numbers = make(RegisterMap.of(SPECS[kind], streams=False), *streams)
        # All that the bus and the core drive is free.
        flat = self._numbers.signature.flatten(self._numbers)
        self._driven = {"_".join(path): signal for path, member, signal in flat if member.flow is In}
        super().__init__({name: In(len(Value.cast(signal))) for name, signal in self._driven.items()})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.numbers = numbers = self._numbers
        m.d.comb += [Value.cast(signal).eq(getattr(self, name)) for name, signal in self._driven.items()]
        samples, pending = numbers.samples, numbers.pending
        m.d.comb += [
            Assume(~numbers.predictions.valid | (pending & ~samples.valid)),
            Assert(~samples.valid | pending),
        ]
        keep(m, samples.valid, samples.ready, [samples.payload], Assert)
        return m


class _Overwritten(NumberRegisters):
    """Registers that are written at any time."""

    def _written(self, m: Module, name: str, held: Value) -> list[tuple[int, Value]]:
        return super()._written(m, name, Const(0))


CONTRACTS = [
    Contract(
        f"submitted sample, {kind}",
        "a sample that is submitted through registers is offered, unchanged, until the core takes it",
        lambda fault, kind=kind: Submitted(kind, _Overwritten if fault else NumberRegisters),
        depth=4,
        unbounded=True,
    )
    for kind in ("folded", "after prediction")
]
