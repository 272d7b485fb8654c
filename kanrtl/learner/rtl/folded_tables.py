"""What a step of a folded layer reads for its inputs."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ..plan import LayerPlan
from .basis import Basis, count_basis
from .coefficients import cell_bits
from .locate import Locate, count_locate
from .pass_sequencer import StepTimes
from .pipeline_registers import hold
from .step_flow import StepFlow, choose, count_delay

__all__ = ["FoldedTables", "count_folded_tables"]


class FoldedTables(wiring.Component):  # type: ignore[misc]
    """Locates the inputs of a step, a lane each, and reads bases and derivatives.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    take : In(1), the forward pass begins in the next cycle; the first layer takes ``x``
    x : In, ``n_in`` activations; held in the other layers
    access_enable : In(1), access_index : In
        The index replaces the cell of every lane, as if it had been located.
    times : In, see :class:`.StepTimes`
    cell : Out, the cell of every lane, at offset ``located``
    basis : Out, values by lane and bank, at ``read``
    derivative : Out, as those; not in the first layer
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, lanes = plan.layer, plan.passes.input_lanes
        members: dict[str, Any] = {
            "take": In(1),
            "x": In(data.ArrayLayout(layer.formats.activation, layer.n_in)),
            "access_enable": In(1),
            "access_index": In(range(layer.bases)),
            "times": In(StepTimes(plan)),
            "cell": Out(data.ArrayLayout(cell_bits(layer), lanes)),
            "basis": Out(data.ArrayLayout(data.ArrayLayout(layer.formats.basis, layer.banks), lanes)),
        }
        if plan.hidden:
            members["derivative"] = Out(data.ArrayLayout(data.ArrayLayout(layer.derivative, layer.banks), lanes))
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from a step's beginning to its bases."""
        return self._plan.passes.read

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes = self._plan.layer, self._plan.passes
        flow = StepFlow(m, passes, self.times.step)
        begins = Signal()
        m.d.comb += begins.eq(self.take | self.access_enable)
        inputs = [self.x[source] for source in range(layer.n_in)]
        if not passes.hidden and not passes.held_position:
            inputs = [hold(m, x, self.take, f"x{source}") for source, x in enumerate(inputs)]
        for lane in range(passes.input_lanes):
            m.submodules[f"locate{lane}"] = locate = Locate(layer.locator, layer.formats.activation)
            mine = [x.raw for x in inputs[lane :: passes.input_lanes]]
            m.d.comb += locate.x.raw.eq(choose(mine, self.times.input_part.begun))
            cell = Signal(cell_bits(layer), name=f"reached{lane}")
            m.d.comb += cell.eq(Mux(self.access_enable, self.access_index, locate.cell))
            position = {"cell": cell, "row": locate.row, "inside": locate.inside}
            for name, value in position.items():
                if passes.held_position:
                    position[name] = hold(m, value, begins, f"{name}{lane}")
                else:
                    position[name] = flow.delay(value, 0, passes.located, f"{name}{lane}")
            m.d.comb += self.cell[lane].eq(position["cell"])
            m.submodules[f"basis{lane}"] = table = Basis(layer, derivative=passes.hidden, block=self._plan.block)
            if self._plan.block:  # what is used beside the table's output comes a cycle later
                inside = flow.meet(position["inside"], passes.located, passes.settled, f"inside{lane}_read")
                position["inside"] = inside
                m.d.comb += table.enable.eq(1)
            m.d.comb += [getattr(table, name).eq(value) for name, value in position.items()]
            for bank in range(layer.banks):
                value = flow.delay(table.basis[bank], passes.settled, passes.read, f"basis{lane}_bank{bank}")
                m.d.comb += self.basis[lane][bank].eq(value)
                if passes.hidden:
                    rise = table.derivative[bank]
                    value = flow.delay(rise, passes.settled, passes.read, f"derivative{lane}_bank{bank}")
                    m.d.comb += self.derivative[lane][bank].eq(value)
        return m


def count_folded_tables(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`FoldedTables` have."""
    layer, passes, formats = plan.layer, plan.passes, plan.layer.formats
    lanes = passes.input_lanes
    position = (layer.bases - 1).bit_length() + layer.locator.row_bits
    if not passes.hidden and not passes.held_position:
        parts.register(formats.activation.width * layer.n_in)
    parts.choice(formats.activation.width, passes.inputs, lanes)
    count_locate(parts, plan, lanes)
    if passes.held_position:
        parts.register(position * lanes, moved=False)
    else:
        count_delay(parts, passes, position * lanes, 0, passes.located)
    count_basis(parts, plan, lanes)
    values = layer.banks * (formats.basis.width + passes.hidden * layer.derivative.width)
    parts.register_behind(values * lanes * (passes.read - passes.settled), block=plan.block)
