"""Tables of steps are made anew, whole, before a learner takes anything."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from kanrtl import LearnerSpec
from kanrtl.learner.rtl.steps import StepTables
from proofs.engine import Contract

SPEC = LearnerSpec(
    layer_sizes=[1, 1],
    grid_range=(-2, 2),
    grid_size=2,
    spline_order=1,
    table_size=2,
    activation_format="SQ(3, 3)",
    learning_rate_format="UQ(0, 2)",
    learning_rate=0.5,
    table_memory="block",
)


class Shown(StepTables):
    """Tables that show when an entry of them is written; with a fault, they are no longer busy while the last is."""

    def __init__(self, fault: bool) -> None:
        super().__init__(SPEC.plans[0])
        self._fault = fault
        self.written = Signal()

    def elaborate(self, platform: Any) -> Module:
        m = super().elaborate(platform)
        if self._fault:
            last = (1 << len(self.making_row)) - 1
            with m.If(self.written & (self.making_row == last) & (self.making_rotation == 1)):
                m.d.comb += self.busy.eq(0)
        return m

    def _make(self, m: Module) -> tuple[Signal, Signal]:
        word, write = super()._make(m)
        m.d.comb += self.written.eq(write)
        return word, write


class Made(wiring.Component):
    """Tables of which any entry may be chosen, and their making, which begins whenever it may."""

    def __init__(self, tables: Shown) -> None:
        self._tables = tables
        members = {"remake": In(1), "row": In(len(tables.making_row)), "rotation": In(len(tables.making_rotation))}
        super().__init__(members | {"basis": In(len(tables.basis.raw)), "rate": In(len(tables.learning_rate.raw))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.tables = tables = self._tables
        m.d.comb += [
            tables.remake.eq(self.remake),
            tables.basis.raw.eq(self.basis),
            tables.learning_rate.raw.eq(self.rate),
            Assume(~(self.remake & tables.busy)),
        ]
        # The entry is the same all the time.
        known, row, rotation = Signal(), Signal(len(self.row)), Signal(len(self.rotation))
        m.d.sync += [known.eq(1), row.eq(self.row), rotation.eq(self.rotation)]
        with m.If(known):
            m.d.comb += Assume((self.row == row) & (self.rotation == rotation))
        fresh, cycles = Signal(init=1), Signal(range(tables.duration + 2))
        with m.If(tables.written & (tables.making_row == self.row) & (tables.making_rotation == self.rotation)):
            m.d.sync += fresh.eq(1)
        with m.If(self.remake):
            m.d.sync += [fresh.eq(0), cycles.eq(0)]
        with m.Elif(tables.busy):
            m.d.sync += cycles.eq(cycles + 1)
            m.d.comb += Assert(cycles < tables.duration)
        began = Signal()
        m.d.sync += began.eq(self.remake)
        with m.If(began):
            m.d.comb += Assert(tables.busy)
        with m.If(~tables.busy):
            m.d.comb += Assert(fresh)
        return m


CONTRACTS = [
    Contract(
        "step tables",
        "tables of steps are busy from the cycle after their rate has changed until every entry has been written, in "
        "the cycles that the spec says",
        lambda fault: Made(Shown(fault)),
        depth=SPEC.plans[0].making_cycles + 8,
        unbounded=False,
        values=False,
    )
]
