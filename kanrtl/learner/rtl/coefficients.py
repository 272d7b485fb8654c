"""Banked coefficient memories, of layers of either kind."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

import numpy as np
from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.bits import clog2
from ...numeric.fixed import Codes, Format
from ..arithmetic import LayerArithmetic
from ..plan import LayerPlan
from .coefficient_bank import CoefficientBank, StreamingBank, touched_banks, window_row
from .folded_linear import FoldedWeights, count_folded_weights, edge_layout
from .linear import LinearWeights, count_linear_weights
from .multiply import multiply_by_constant
from .pass_sequencer import StepFlow, StepTimes, count_delay, split_index
from .pipeline_registers import delay, hold


def window_layout(layer: LayerArithmetic, format: Format, *, differences: bool = False) -> data.Layout:
    """One value for each ``[node][input][bank]``; ``differences`` have none in bank 0."""
    return data.ArrayLayout(
        data.ArrayLayout(data.ArrayLayout(format, layer.banks - differences), layer.n_in), layer.n_out
    )


def cell_bits(layer: LayerArithmetic) -> int:
    """Bits of a cell, wide enough for the index of a coefficient instead."""
    return (layer.bases - 1).bit_length()


class CoefficientAccess(wiring.Signature):  # type: ignore[misc]
    """Reads or writes one coefficient from outside, while no sample is in work.

    Members
    -------
    enable : Out(1), the index replaces the cell of every input, as if it had been located: the window then begins with
        it
    output, input, index : Out, which coefficient: ``index`` in ``[0, bases)``, or behind them that of a linear path
    write : Out(1), write the window's coefficient at ``index`` at the clock edge
    read_data : In, code of the coefficient; read with the latency of a window
    """

    def __init__(self, layer: LayerArithmetic) -> None:
        super().__init__(
            {
                "enable": Out(1),
                "output": Out(range(layer.n_out)),
                "input": Out(range(layer.n_in)),
                "index": Out(range(layer.coefficients)),
                "write": Out(1),
                "read_data": In(layer.formats.coefficient),
            }
        )


class Coefficients(wiring.Component):  # type: ignore[misc]
    """The coefficients of a layer: for every input, ``banks`` memories that hold a word with one coefficient per node.

    Coefficient ``j`` of an edge lies in bank ``j % banks`` at row ``j // banks``, so any ``spline_order + 1``
    neighbours lie in different banks and are read, and written back, in one cycle. All nodes share the cell of an
    input, hence the wide word. Above the coefficients, every bank has a row of zeros: what is read from outside is then
    the disjunction of all banks, and no choice among them. In a layer that restarts no row begins with anything: there,
    what other banks give is masked.

    Where a sample is held a bank has one read and one write port, and reading and writing at the same edge does not
    occur, since a synchronous read is disabled by a write. Where samples stream, a window is changed
    :attr:`.LayerPlan.turnaround` cycles after it was addressed, while others are read: see :class:`.StreamingBank`.
    Whatever the memory, ``read`` is what was stored while it was addressed, and ``old`` what is stored now. An edge's w
    lies beside the memories, in :class:`.LinearWeights`.

    Parameters
    ----------
    plan
        How the layer is built.
    initial
        Initial coefficient codes, ``(n_out, n_in, coefficients)``.

    Members
    -------
    cell : In, grid cell for each input
    take : In(1), address the window at ``cell`` from the clock edge on; where addresses are not held, the window
        follows ``cell``
    read : Out, the window, in bank order, ``latency`` cycles after it is addressed
    old : Out, the window that is to be changed, as it is; zero with ``again``
    again : Out, for each ``[input][bank]``, whether what was written a cycle ago is to be changed instead; only where
        updates are written late
    write : In, new window; a cycle after ``old`` where updates are written late
    write_enable : In(1), with ``old``: store it, except that of inputs outside of the grid, where they hold it
    inside : In, reached : Out, a bit for every input, the first with ``cell``, the second with ``old``: whether it is
        on the grid; only with ``looks_outside``
    touched : Out, for each ``[input][bank]``, with ``old``: whether it is of the window; only with ``leaks_by_bank``
    weights, old_weights, weights_again, write_weights : with linear paths, as members of :class:`.LinearWeights`
    access : In, see :class:`.CoefficientAccess`
    """

    def __init__(self, plan: LayerPlan, initial: Codes) -> None:
        self._plan = plan
        self._initial = initial
        layer = plan.layer
        window = window_layout(layer, layer.formats.coefficient)
        weights = data.ArrayLayout(data.ArrayLayout(layer.formats.coefficient, layer.n_in), layer.n_out)
        factors = data.ArrayLayout(data.ArrayLayout(layer.formats.factor, layer.n_in), layer.n_out)
        linear = {
            "weights": Out(factors),
            "old_weights": Out(weights),
            "write_weights": In(weights),
            "weights_again": Out(1),
        }
        super().__init__(
            {
                "cell": In(data.ArrayLayout(cell_bits(layer), layer.n_in)),
                "take": In(1),
                "read": Out(window),
                "old": Out(window),
                **({"again": Out(data.ArrayLayout(layer.banks, layer.n_in))} if plan.writes_late else {}),
                **(linear if layer.linear else {}),
                **({"inside": In(layer.n_in), "reached": Out(layer.n_in)} if plan.looks_outside else {}),
                **({"touched": Out(data.ArrayLayout(layer.banks, layer.n_in))} if plan.leaks_by_bank else {}),
                "write": In(window),
                "write_enable": In(1),
                "access": In(CoefficientAccess(layer)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from addressing a window to ``read``; where addresses are held, they are from ``take`` on."""
        return int(self._plan.block)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer, access = self._plan, self._plan.layer, self.access
        if plan.looks_outside:  # as the addresses do it
            inside = hold(m, self.inside, self.take, "inside_held") if plan.holds_addresses else self.inside
            m.d.comb += self.reached.eq(delay(m, inside, plan.turnaround or 0, "inside"))
        named = []
        for source in range(layer.n_in):
            if plan.leaks_by_bank:
                touched, name = touched_banks(layer, self.cell[source]), f"input{source}_touched"
                touched = hold(m, touched, self.take, name) if plan.holds_addresses else touched
                m.d.comb += self.touched[source].eq(delay(m, touched, plan.turnaround or 0, name))
            named += [self._connect_bank(m, source, bank) for bank in range(layer.banks)]
        # Every bank but one reads its row of zeros then, and all of them where a linear path's w is meant.
        read = [[banks[bank].raw for banks in self.read[node] for bank in range(layer.banks)] for node in self._nodes]
        if plan.restarts:
            width = layer.formats.coefficient.width
            read = [[value & one.replicate(width) for value, one in zip(values, named, strict=True)] for values in read]
        if layer.linear:
            for values, weights in zip(read, self._connect_weights(m), strict=True):
                values += weights
        found = Array(reduce(or_, values) for values in read)
        m.d.comb += access.read_data.raw.eq(found[access.output])
        return m

    @property
    def _nodes(self) -> range:
        return range(self._plan.layer.n_out)

    def _connect_weights(self, m: Module) -> list[list[Value]]:
        """The linear paths; give what is read from outside by node and input, zeros where another is meant."""
        layer, access = self._plan.layer, self.access
        m.submodules.weights = weights = LinearWeights(self._plan, self._initial[:, :, -1])
        meant = Signal(layer.n_in, name="weight_meant")
        m.d.comb += [
            meant.eq(Cat((access.index == layer.bases) & (access.input == source) for source in range(layer.n_in))),
            self.weights.eq(weights.read),
            self.old_weights.eq(weights.old),
            self.weights_again.eq(weights.again),
            weights.write.eq(self.write_weights),
            weights.write_enable.eq(self.write_enable),
            *(
                weights.access_enable[node][source].eq(meant[source] & access.write & (access.output == node))
                for node in self._nodes
                for source in range(layer.n_in)
            ),
        ]
        return [
            [weight.raw & meant[source].replicate(weight.format.width) for source, weight in enumerate(inputs)]
            for inputs in weights.stored
        ]

    def _connect_bank(self, m: Module, source: int, bank: int) -> Value:
        """Memory ``bank`` of input ``source``, with its address; give whether what is accessed lies in it."""
        plan, layer, access, name = self._plan, self._plan.layer, self.access, f"input{source}_bank{bank}"
        named = Signal(name=f"{name}_named")
        address = Signal(range(plan.rows), name=f"{name}_address", reset_less=plan.holds_addresses)
        mine = access.index < layer.bases if layer.linear else Const(1)
        bank_meant = access.index[: (layer.banks - 1).bit_length()] == bank
        m.d.comb += named.eq(mine & (access.input == source) & bank_meant)
        reached = window_row(layer, self.cell[source], bank)
        if not plan.restarts:
            reached = Mux(access.enable & ~named, layer.depth, reached)
        if plan.holds_addresses:
            with m.If(self.take):
                m.d.sync += address.eq(reached)
        else:
            m.d.comb += address.eq(reached)
        accessed = Cat(named & access.write & (access.output == node) for node in range(layer.n_out))
        codes = self._initial[:, source, bank : layer.bases : layer.banks].T
        shape = layer.formats.coefficient, np.zeros_like(codes) if plan.restarts else codes, plan.rows
        enable = self.write_enable & self.reached[source] if layer.holds else self.write_enable
        rows: CoefficientBank | StreamingBank
        if plan.turnaround is None:
            rows = CoefficientBank(*shape, block=plan.block)
            old = rows.read
            m.d.comb += [
                rows.write_address.eq(address),
                rows.write_enable.eq(enable.replicate(layer.n_out) | accessed),
            ]
            if plan.block:
                m.d.comb += rows.enable.eq(~(self.write_enable | access.write))
        else:
            rows = StreamingBank(*shape, block=plan.block, turnaround=plan.turnaround, later=plan.writes_late)
            old = rows.old
            m.d.comb += [rows.write_enable.eq(enable), rows.access_enable.eq(accessed)]
            if plan.writes_late:
                m.d.comb += self.again[source][bank].eq(rows.again)
        m.submodules[name] = rows
        m.d.comb += rows.address.eq(address)
        for node in range(layer.n_out):
            m.d.comb += [
                self.read[node][source][bank].eq(rows.read[node]),
                self.old[node][source][bank].eq(old[node]),
                rows.write[node].eq(self.write[node][source][bank]),
            ]
        return named


def count_coefficients(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`Coefficients` has, its addresses without their registers."""
    layer = plan.layer
    if layer.linear:
        count_linear_weights(parts, plan)
    width, memories = layer.formats.coefficient.width, layer.n_in * layer.banks
    later = plan.writes_late
    turnaround = plan.turnaround or 0
    if plan.restarts:
        parts.choice(layer.n_out * width, times=memories)
    parts.memory(
        "coefficients",
        plan.rows,
        layer.n_out * width,
        block=plan.block,
        lanes=layer.n_out,
        reads=2 if turnaround else 1,
        count=memories,
    )
    if plan.looks_outside:
        parts.register(layer.n_in * (plan.holds_addresses + turnaround), moved=False)
    if plan.leaks_by_bank:
        parts.counts["detection"] += memories * (layer.banks - 1).bit_length()
        parts.register(memories * (plan.holds_addresses + turnaround), moved=False)
    address = clog2(plan.rows)
    parts.adder(address, memories)
    parts.choice(0 if plan.restarts else address, times=memories)
    count_seam(parts, layer, memories)
    if plan.streaming:
        parts.register(memories * address * (turnaround + later))
        if later:
            # What has just been changed is changed again.
            parts.counts["detection"] += address * memories
            parts.choice(width * layer.n_out, times=memories)
            parts.register(2 * memories, moved=False)
        if turnaround:
            parts.counts["detection"] += address * memories
            parts.choice(width * layer.n_out, times=memories)
            parts.register(0 if plan.block else width * layer.n_out * memories, moved=False)


def count_seam(parts: Parts, layer: LayerArithmetic, memories: int) -> None:
    """Count what leads the addresses of so many memories from the end of a periodic grid to its beginning."""
    if layer.periodic and layer.depth & (layer.depth - 1):
        parts.counts["detection"] += clog2(layer.depth) * memories
        parts.choice(clog2(layer.depth), times=memories)


def lane_layout(plan: LayerPlan, format: Format) -> data.ArrayLayout:
    """One value for each ``[node lane][input lane][bank]``."""
    banks = data.ArrayLayout(format, plan.layer.banks)
    return data.ArrayLayout(data.ArrayLayout(banks, plan.passes.input_lanes), plan.passes.node_lanes)


class FoldedCoefficients(wiring.Component):  # type: ignore[misc]
    """The coefficients of a folded layer: for every lane of the inputs, ``banks`` memories.

    Their words hold a coefficient for each lane of the nodes; they lie in the order of the forward pass with its nodes
    outermost, and for each step as in :class:`.Coefficients`. An edge's w lies beside them, in :class:`.FoldedWeights`.

    What a step reads is never written at the same edge: it writes in rows of its own alone, and after it has read them,
    and a pass takes every step once. Slopes are read before the update writes anything, and the next sample is taken
    when it has written all.

    Parameters
    ----------
    plan
        How the layer is built.
    initial
        Initial coefficient codes, ``(n_out, n_in, coefficients)``.

    Members
    -------
    input_part, node_part : In, the part of the inputs, and of the nodes, of the step that begins
    step : In, as that of :class:`.StepTimes`
    cell : In, grid cell of each lane, at offset ``located``
    read : Out, the step's window, by lanes in bank order, at ``read``
    old : Out, the same at ``written``
    write : In, the new window, at ``written``; write_enable : In(1), store it at the clock edge, except that of inputs
        outside of the grid, where they hold it
    inside : In, at ``located``, reached : Out, at ``written``, a bit for every lane: whether its input is on the grid;
        only with ``looks_outside``
    touched : Out, at ``written``, for each lane and bank: whether it is of the window; only with ``leaks_by_bank``
    weights, old_weights, write_weights : with linear paths, as members of :class:`.FoldedWeights`
    access : In, see :class:`.CoefficientAccess`: its part is that of the step; read at ``read``, written at any time
    """

    def __init__(self, plan: LayerPlan, initial: Codes) -> None:
        self._plan = plan
        self._initial = initial
        layer, passes = plan.layer, plan.passes
        window = lane_layout(plan, layer.formats.coefficient)
        weights = edge_layout(plan, layer.formats.coefficient)
        linear = {"weights": Out(weights), "old_weights": Out(weights), "write_weights": In(weights)}
        super().__init__(
            {
                **(linear if layer.linear else {}),
                **({"inside": In(passes.input_lanes)} if plan.looks_outside else {}),
                **({"reached": Out(passes.input_lanes)} if plan.looks_outside else {}),
                **({"touched": Out(data.ArrayLayout(layer.banks, passes.input_lanes))} if plan.leaks_by_bank else {}),
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
        codes = self._initial[:, lane :: passes.input_lanes, bank : layer.bases : layer.banks]
        if self._plan.restarts:
            codes = np.zeros_like(codes)
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
        in_banks = access.index < layer.bases if layer.linear else Const(1)
        if self._plan.looks_outside:
            m.d.comb += self.reached.eq(flow.meet(self.inside, passes.located, passes.written, "inside_written"))
        for lane in range(passes.input_lanes):
            if self._plan.leaks_by_bank:
                touched = touched_banks(layer, self.cell[lane])
                touched = flow.meet(touched, passes.located, passes.written, f"touched{lane}")
                m.d.comb += self.touched[lane].eq(touched)
            enable = self.write_enable & self.reached[lane] if layer.holds else self.write_enable
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
                    meant = Cat(in_banks, node == number, source == lane, bank_meant == bank).all()
                    m.d.comb += [
                        self.read[number][lane][bank].eq(read),
                        self.old[number][lane][bank].eq(flow.meet(read, passes.read, passes.written, f"{name}_old")),
                        rows.write[number].eq(self.write[number][lane][bank]),
                        rows.write_enable[number].eq(enable | (access.write & meant)),
                    ]
        window = Array(
            Array(Array(self.read[n][i][bank].raw for bank in range(layer.banks)) for i in range(passes.input_lanes))
            for n in range(passes.node_lanes)
        )
        found: Value = window[node][source][bank_meant]
        if layer.linear:
            found = Mux(in_banks, found, self._connect_weights(m, part, node, source, access.write & ~in_banks))
        m.d.comb += access.read_data.raw.eq(found)
        return m

    def _connect_weights(self, m: Module, part: Value, node: Value, source: Value, write: Value) -> Value:
        """The linear paths; give the w that is read from outside, of the lanes ``node`` and ``source``."""
        passes = self._plan.passes
        m.submodules.weights = weights = FoldedWeights(self._plan, self._initial[:, :, -1])
        m.d.comb += [
            weights.part.eq(part),
            weights.step.eq(self.step),
            self.weights.eq(weights.read),
            self.old_weights.eq(weights.old),
            weights.write.eq(self.write_weights),
            weights.write_enable.eq(self.write_enable),
            *(
                weights.access_enable[number][lane].eq(write & (node == number) & (source == lane))
                for number in range(passes.node_lanes)
                for lane in range(passes.input_lanes)
            ),
        ]
        read = Array(Array(weight.raw for weight in inputs) for inputs in weights.read)
        return read[node][source]


def count_folded_coefficients(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`FoldedCoefficients` have."""
    layer, passes = plan.layer, plan.passes
    if layer.linear:
        count_folded_weights(parts, plan)
    width, memories = layer.formats.coefficient.width, passes.input_lanes * layer.banks
    depth, word = passes.steps * layer.depth, width * passes.node_lanes
    parts.memory("coefficients", depth, word, block=plan.block, lanes=passes.node_lanes, count=memories)
    if plan.looks_outside and passes.steps > 1:
        count_delay(parts, passes, passes.input_lanes, passes.located, passes.written)
    if plan.leaks_by_bank:
        parts.counts["detection"] += memories * (layer.banks - 1).bit_length()
        count_delay(parts, passes, memories if passes.steps > 1 else 0, passes.located, passes.written)
    address = (depth - 1).bit_length()
    parts.sum(3 if passes.steps > 1 else 2, address, memories)
    count_seam(parts, layer, memories)
    parts.register_behind(word * memories * (passes.read - passes.settled), block=plan.block)
    if passes.steps > 1:
        count_delay(parts, passes, address * memories, passes.located, passes.written)
        count_delay(parts, passes, word * memories, passes.read, passes.written)
