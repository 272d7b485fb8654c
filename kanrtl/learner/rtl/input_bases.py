"""The bases of one input, from its position on the grid."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ..plan import LayerPlan
from .basis import Basis, count_basis, rotation_bits
from .coefficients import cell_bits
from .locate import Locate, count_locate
from .pipeline_registers import Stages, count_read, delay, end_read, hold

__all__ = ["InputBases", "count_input_bases"]


class InputBases(wiring.Component):  # type: ignore[misc]
    """Locates one input of a layer that is not folded, and reads its bases from the table, with registers between.

    The times are those of :class:`.LayerTimes`. In a layer behind another one nothing but the stages' registers stands
    between input and table. In the first a sample is held behind its cell, or behind the table's values where that is
    logic.

    Parameters
    ----------
    plan
        How the layer is built.
    makes_steps
        Whether the tables of steps are made from what this input reads; they lie in block memory then.

    Members
    -------
    x : In, activation, or with ``located`` an exact sum of the layer before
    take : In(1), hold the position at the clock edge; only with the stage ``position``
    load : In(1), hold what follows from it at the clock edge; in the first layer
    access_enable : In(1), access_index : In, a coefficient's index that replaces the cell
    busy : In(1), tables of steps are being made; only with tables in block memory
    making_row, making_rotation : In, where the table is then to be read, else zero; only with ``makes_steps``
    cell : Out, where the window begins, for coefficients that are addressed at time ``fetch``
    row, rotation : Out, where the table is read; only with tables in block memory
    first : Out, what the table gives for bank 0, at time ``table``
    basis : Out, one value for each bank, at time ``read``
    derivative : Out, likewise; not in the first layer
    """

    def __init__(self, plan: LayerPlan, *, makes_steps: bool = False) -> None:
        self._plan = plan
        self._makes_steps = makes_steps
        layer, formats = plan.layer, plan.layer.formats
        row, rotation = layer.locator.row_bits, rotation_bits(layer)
        members: dict[str, Any] = {
            "x": In(plan.located.format if plan.located else formats.activation),
            "load": In(1),
            "access_enable": In(1),
            "access_index": In(range(layer.bases)),
            "cell": Out(cell_bits(layer)),
            "first": Out(formats.basis),
            "basis": Out(data.ArrayLayout(formats.basis, layer.banks)),
        }
        if plan.ends("position"):
            members["take"] = In(1)
        if plan.block_tables:
            members |= {"busy": In(1), "row": Out(row), "rotation": Out(rotation)}
        if makes_steps:
            members |= {"making_row": In(row), "making_rotation": In(rotation)}
        if plan.hidden:
            members["derivative"] = Out(data.ArrayLayout(layer.derivative, layer.banks))
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``x`` to ``basis``; in the first layer from the cycle in which a sample is taken."""
        return self._plan.times.read - self._plan.arrival

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer, times = self._plan, self._plan.layer, self._plan.times
        stages = Stages(m, plan.schedule, plan.index)
        row, cell, inside = self._locate(m, stages)
        m.submodules.table = table = Basis(layer, derivative=plan.hidden, block=plan.block_tables)
        if plan.block_tables:
            if self._makes_steps:
                row = Mux(self.busy, 0, row) | self.making_row
                cell = Mux(self.busy, 0, cell) | self.making_rotation
            m.d.comb += [table.enable.eq(self.load | self.busy), self.row.eq(row), self.rotation.eq(cell)]
        m.d.comb += [table.row.eq(row), table.cell.eq(cell), self.first.eq(table.basis[0])]
        values = list(table.basis)
        if plan.looks_up_early and not plan.block_tables:
            values = [hold(m, value, self.load, f"basis_bank{bank}") for bank, value in enumerate(values)]
        for bank, value in enumerate(end_read(stages, plan, values, times.table, "basis")):
            m.d.comb += self.basis[bank].eq(value)
        if plan.hidden:
            m.d.comb += table.inside.eq(delay(m, inside, int(plan.block_tables), "inside"))
            for bank, value in enumerate(end_read(stages, plan, table.derivative, times.table, "derivative")):
                m.d.comb += self.derivative[bank].eq(value)
        return m

    def _locate(self, m: Module, stages: Stages) -> tuple[Value, Value, Value]:
        """Table row, cell, and whether inside the grid, as the table is to be read; drives ``cell``."""
        plan, layer = self._plan, self._plan.layer
        registered = stages.ends("position")
        m.submodules.locate = locate = Locate(
            layer.locator, layer.formats.activation, registered=registered, exact=plan.located
        )
        m.d.comb += locate.x.eq(self.x)
        if registered:
            m.d.comb += locate.take.eq(self.take)
        reached = Signal(cell_bits(layer))
        m.d.comb += reached.eq(Mux(self.access_enable, self.access_index, locate.cell))
        # A table needs not know of it; in the first layer, where nothing waits for it, it shares the registers.
        row, cell, inside = locate.row, locate.cell if plan.hidden else reached, locate.inside
        if plan.hidden:
            reached = stages.end("locate", reached, "reached_located")
            row, cell, inside = (
                stages.end("locate", value, name)
                for name, value in (("row_located", row), ("cell_located", cell), ("inside_located", inside))
            )
        elif not plan.looks_up_early:
            row, cell = hold(m, row, self.load, "row_held"), hold(m, cell, self.load, "cell_held")
        m.d.comb += self.cell.eq(reached)
        return row, cell, inside


def count_input_bases(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`InputBases` of all inputs of a layer have, and the registers of its coefficients' addresses,
    which hold its cells."""
    layer, times = plan.layer, plan.times
    count_locate(parts, plan, layer.n_in)
    cell = cell_bits(layer)
    located = cell + layer.locator.row_bits + 1
    if plan.ends("position"):
        parts.register(layer.n_in * (layer.position.width - layer.position.f), moved=False)
    if plan.hidden and plan.ends("locate"):
        parts.register(layer.n_in * located, moved=False)
    if plan.hidden and plan.block_tables:
        parts.register(layer.n_in * ((cell if times.fetch == times.table else 0) + 1), moved=False)
    if not plan.hidden:
        parts.register(layer.n_in * layer.depth.bit_length() * layer.banks, moved=False)
        early = plan.block_tables and times.table == times.fetch
        if plan.block_tables or plan.block or plan.ends("locate"):
            parts.register(0 if early else layer.n_in * (located - 1), moved=False)
        else:
            parts.register(layer.n_in * layer.banks * layer.formats.basis.width, moved=False)
    count_basis(parts, plan, layer.n_in)
    bits = layer.banks * (layer.formats.basis.width + plan.hidden * layer.derivative.width) * layer.n_in
    count_read(parts, plan, bits, times.table, block=plan.block_tables)
