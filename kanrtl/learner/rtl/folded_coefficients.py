"""The coefficients of a folded layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import Codes, Format
from ..plan import LayerPlan
from .coefficient_bank import CoefficientBank, window_row
from .coefficients import cell_bits
from .layer_signature import CoefficientAccess
from .multiply import multiply_by_constant
from .pass_sequencer import StepTimes, split_index
from .step_flow import StepFlow, count_delay

__all__ = ["FoldedCoefficients", "count_folded_coefficients", "lane_layout"]


def lane_layout(plan: LayerPlan, format: Format) -> data.ArrayLayout:
    """One value for each ``[node lane][input lane][bank]``."""
    banks = data.ArrayLayout(format, plan.layer.banks)
    return data.ArrayLayout(data.ArrayLayout(banks, plan.passes.input_lanes), plan.passes.node_lanes)


class FoldedCoefficients(wiring.Component):  # type: ignore[misc]
    """The coefficients of a folded layer: for every lane of the inputs, ``banks`` memories.

    Their words hold a coefficient for each lane of the nodes; they lie in the order of the forward pass with its nodes
    outermost, and for each step as in :class:`.Coefficients`.

    What a step reads is never written at the same edge: it writes in rows of its own alone, and after it has read them,
    and a pass takes every step once. Slopes are read before the update writes anything, and the next sample is taken
    when it has written all.

    Parameters
    ----------
    plan
        How the layer is built.
    initial
        Initial coefficient codes, ``(n_out, n_in, bases)``.

    Members
    -------
    input_part, node_part : In, the part of the inputs, and of the nodes, of the step that begins
    step : In, as that of :class:`.StepTimes`
    cell : In, grid cell of each lane, at offset ``located``
    read : Out, the step's window, by lanes in bank order, at ``read``
    old : Out, the same at ``written``
    write : In, the new window, at ``written``; write_enable : In(1), store it at the clock edge
    access : In, see :class:`.CoefficientAccess`: its part is that of the step; read at ``read``, written at any time
    """

    def __init__(self, plan: LayerPlan, initial: Codes) -> None:
        self._plan = plan
        self._initial = initial
        layer, passes = plan.layer, plan.passes
        window = lane_layout(plan, layer.formats.coefficient)
        super().__init__(
            {
                "input_part": In(range(passes.inputs)),
                "node_part": In(range(passes.nodes)),
                "step": In(StepTimes(plan).members["step"].shape),
                "cell": In(data.ArrayLayout(cell_bits(layer), passes.input_lanes)),
                "read": Out(window),
                "old": Out(window),
                "write": In(window),
                "write_enable": In(1),
                "access": In(CoefficientAccess(layer)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``cell`` to ``read``."""
        return self._plan.passes.read - self._plan.passes.located

    def _codes(self, lane: int, bank: int) -> Codes:
        """What a memory holds first, ``(rows, node lanes)``."""
        layer, passes = self._plan.layer, self._plan.passes
        codes = self._initial[:, lane :: passes.input_lanes, bank :: layer.banks]
        padded = np.zeros((layer.n_out, passes.inputs, layer.depth), dtype=np.int64)
        padded[:, :, : codes.shape[2]] = codes
        return padded.reshape(passes.nodes, passes.node_lanes, -1).transpose(0, 2, 1).reshape(-1, passes.node_lanes)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes, access = self._plan.layer, self._plan.passes, self.access
        flow = StepFlow(m, passes, self.step)
        depth = passes.steps * layer.depth
        part, base = Signal(range(passes.steps)), Signal(range(depth))
        m.d.comb += [
            part.eq(multiply_by_constant(self.node_part, passes.inputs) + self.input_part),
            base.eq(multiply_by_constant(part, layer.depth)),
        ]
        base = flow.delay(base, 0, passes.located, "base")
        node = split_index(access.output, layer.n_out, passes.node_lanes)[1]
        source = split_index(access.input, layer.n_in, passes.input_lanes)[1]
        bank_meant = access.index[: (layer.banks - 1).bit_length()]
        for lane in range(passes.input_lanes):
            for bank in range(layer.banks):
                name = f"input{lane}_bank{bank}"
                m.submodules[name] = rows = CoefficientBank(
                    layer.formats.coefficient, self._codes(lane, bank), depth, block=self._plan.block
                )
                address = Signal(range(depth), name=f"{name}_address")
                m.d.comb += [
                    address.eq(base + window_row(layer, self.cell[lane], bank)),
                    rows.address.eq(address),
                    rows.write_address.eq(flow.meet(address, passes.located, passes.written, f"{name}_written")),
                ]
                for number in range(passes.node_lanes):
                    name = f"coefficient{number}_{lane}_bank{bank}"
                    read = flow.delay(rows.read[number], passes.settled, passes.read, name)
                    meant = Cat(node == number, source == lane, bank_meant == bank).all()
                    m.d.comb += [
                        self.read[number][lane][bank].eq(read),
                        self.old[number][lane][bank].eq(flow.meet(read, passes.read, passes.written, f"{name}_old")),
                        rows.write[number].eq(self.write[number][lane][bank]),
                        rows.write_enable[number].eq(self.write_enable | (access.write & meant)),
                    ]
        window = Array(
            Array(Array(self.read[n][i][bank].raw for bank in range(layer.banks)) for i in range(passes.input_lanes))
            for n in range(passes.node_lanes)
        )
        m.d.comb += access.read_data.raw.eq(window[node][source][bank_meant])
        return m


def count_folded_coefficients(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`FoldedCoefficients` have."""
    layer, passes = plan.layer, plan.passes
    width, memories = layer.formats.coefficient.width, passes.input_lanes * layer.banks
    depth, word = passes.steps * layer.depth, width * passes.node_lanes
    parts.memory("coefficients", depth, word, block=plan.block, lanes=passes.node_lanes, count=memories)
    address = (depth - 1).bit_length()
    parts.sum(3 if passes.steps > 1 else 2, address, memories)
    parts.register_behind(word * memories * (passes.read - passes.settled), block=plan.block)
    if passes.steps > 1:
        count_delay(parts, passes, address * memories, passes.located, passes.written)
        count_delay(parts, passes, word * memories, passes.read, passes.written)
