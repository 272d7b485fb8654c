"""What a sample reads: bases, coefficients and steps; and what a step of a folded layer does."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue
from ..plan import LayerPlan
from .basis import Basis, count_basis, rotation_bits
from .coefficients import cell_bits, window_layout
from .locate import Locate, count_locate, position_bits
from .narrowing import cut_guard_bits, flag_layout
from .pass_sequencer import StepFlow, StepTimes, choose, count_delay
from .pipeline_registers import Stages, count_meeting, count_read, delay, end_read, hold, wire_members
from .steps import ScaledSteps, StepTables, count_scaled_steps, count_step_tables


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
    inside : Out(1), with it, whether x is on the grid; only with ``looks_outside``
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
            "x": In(plan.located.format if plan.located else formats.input),
            "load": In(1),
            "access_enable": In(1),
            "access_index": In(range(layer.coefficients)),
            "cell": Out(cell_bits(layer)),
            "first": Out(formats.basis),
            "basis": Out(data.ArrayLayout(formats.basis, layer.banks)),
        }
        if plan.looks_outside:
            members["inside"] = Out(1)
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
        m.submodules.table = table = Basis(
            layer, derivative=plan.hidden, block=plan.block_tables, restarts=plan.restarts
        )
        row, cell = self._locate(m, stages, table)
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
            for bank, value in enumerate(end_read(stages, plan, table.derivative, times.table, "derivative")):
                m.d.comb += self.derivative[bank].eq(value)
        return m

    def _locate(self, m: Module, stages: Stages, table: Basis) -> tuple[Value, Value]:
        """Table row and cell as ``table`` is to be read; drives ``cell``, and whether inside the grid."""
        plan, layer = self._plan, self._plan.layer
        registered = stages.ends("position")
        m.submodules.locate = locate = Locate(
            layer.locator, layer.formats.input, registered=registered, exact=plan.located
        )
        m.d.comb += locate.x.eq(self.x)
        if registered:
            m.d.comb += locate.take.eq(self.take)
        reached = Signal(cell_bits(layer))
        m.d.comb += reached.eq(Mux(self.access_enable, self.access_index, locate.cell))
        # A table needs not know of it; in the first layer, where nothing waits for it, it shares the registers.
        row, cell = locate.row, locate.cell if plan.hidden else reached
        if plan.looks_outside:
            inside = stages.end("locate", locate.inside, "inside_reached") if plan.hidden else locate.inside
            m.d.comb += self.inside.eq(inside)
        if plan.hidden:
            reached = stages.end("locate", reached, "reached_located")
            row, cell = stages.end("locate", row, "row_located"), stages.end("locate", cell, "cell_located")
            if not layer.periodic:
                inside = stages.end("locate", locate.inside, "inside_located")
                m.d.comb += table.inside.eq(delay(m, inside, int(plan.block_tables), "inside"))
        elif not plan.looks_up_early:
            row, cell = hold(m, row, self.load, "row_held"), hold(m, cell, self.load, "cell_held")
        m.d.comb += self.cell.eq(reached)
        return row, cell


def count_input_bases(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`InputBases` of all inputs of a layer have, and the registers of its coefficients' addresses,
    which hold its cells."""
    layer, times = plan.layer, plan.times
    count_locate(parts, plan, layer.n_in)
    cell = cell_bits(layer)
    position, inside = cell + layer.locator.row_bits, not layer.periodic
    if plan.ends("position"):
        parts.register(layer.n_in * position_bits(layer), moved=False)
    if plan.hidden and plan.ends("locate"):
        parts.register(layer.n_in * (position + inside), moved=False)
    if plan.hidden and plan.block_tables:
        parts.register(layer.n_in * ((cell if times.fetch == times.table else 0) + inside), moved=False)
    if not plan.hidden:
        parts.register(layer.n_in * layer.depth.bit_length() * layer.banks, moved=False)
        early = plan.block_tables and times.table == times.fetch
        if plan.block_tables or plan.block or plan.ends("locate"):
            parts.register(0 if early else layer.n_in * position, moved=False)
        else:
            parts.register(layer.n_in * layer.banks * layer.formats.basis.width, moved=False)
    count_basis(parts, plan, layer.n_in)
    bits = layer.banks * (layer.formats.basis.width + plan.hidden * layer.derivative.width) * layer.n_in
    count_read(parts, plan, bits, times.table, block=plan.block_tables)


class Window(wiring.Component):  # type: ignore[misc]
    """Locates the inputs of a layer that is not folded, and gives what a sample reads, as it leaves the stage ``read``.

    The coefficients themselves lie beside it, in :class:`.Coefficients`. The bases sum to one, so an edge is
    ``c_0 + sum (c_j - c_0) b_j``; their derivatives sum to zero, so the same differences make its slope. With
    ``differences`` those are the factors that are multiplied.

    Parameters
    ----------
    plan
        How the layer is built; the times below are those of :class:`.LayerTimes`.

    Members
    -------
    x : In, ``n_in`` activations; or, with ``located``, exact sums of the layer before
    take : In(1), the first layer takes ``x`` at the clock edge; matters only where it is held
    access_enable : In(1), access_index : In, a coefficient's index that replaces the cell of every input
    learning_rate : In
    rate_written : In(1), the learning rate changes at the clock edge
    busy : Out(1), tables of steps are being made, and nothing else can be done
    load : Out(1), the coefficients are to be addressed from the clock edge on
    cell : Out, for every input, where the window begins that is to be addressed
    inside : Out, with it, a bit for every input: whether it is on the grid; only with ``looks_outside``
    stored : In, one coefficient for each ``[node][input][bank]``, as the memories give them
    basis, derivative : Out, for each ``[input][bank]``, at time ``read``; derivatives not in the first layer
    coefficients : Out, as ``stored``, at time ``read``
    factors : Out, what of them is multiplied: all, or differences without bank 0; at time ``read``
    steps : Out, for each ``[input][bank]``, at time ``step``
    saturated : Out, whether steps saturate, at time ``scaled`` of the plan
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        window = window_layout(layer, formats.coefficient)

        def banks(format: Any) -> data.Layout:
            return data.ArrayLayout(data.ArrayLayout(format, layer.banks), layer.n_in)

        members: dict[str, Any] = {
            "x": In(data.ArrayLayout(plan.located.format if plan.located else formats.input, layer.n_in)),
            "take": In(1),
            "access_enable": In(1),
            "access_index": In(range(layer.coefficients)),
            "learning_rate": In(formats.learning_rate),
            "rate_written": In(1),
            "busy": Out(1),
            "load": Out(1),
            "cell": Out(data.ArrayLayout(cell_bits(layer), layer.n_in)),
            **({"inside": Out(layer.n_in)} if plan.looks_outside else {}),
            "stored": In(window),
            "basis": Out(banks(formats.basis)),
            "coefficients": Out(window),
            "factors": Out(window_layout(layer, plan.factor, differences=plan.differences)),
            "steps": Out(banks(formats.step)),
            "saturated": Out(flag_layout(plan.saturating, step=1 if plan.block_tables else layer.n_in * layer.banks)),
        }
        if plan.hidden:
            members["derivative"] = Out(banks(layer.derivative))
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``x`` to ``basis``, ``coefficients`` and ``factors``; in the first layer from the cycle in which
        a sample is taken."""
        return self._plan.times.read - self._plan.arrival

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan = self._plan
        stages = Stages(m, plan.schedule, plan.index)
        take = Signal(name="take_input")
        m.d.comb += take.eq(self.take | self.access_enable if plan.held else 1)
        # What follows a held position is held with it.
        m.d.comb += self.load.eq(Const(1) if stages.ends("position") else take)
        inputs = []
        for source in range(plan.layer.n_in):
            bases = InputBases(plan, makes_steps=plan.block_tables and source == 0)
            m.submodules[f"input{source}"] = bases
            inputs.append(bases)
            m.d.comb += [
                bases.x.eq(self.x[source]),
                self.cell[source].eq(bases.cell),
                self.basis[source].eq(bases.basis),
            ]
            wire_members(m, bases, self, "load", "access_enable", "access_index")
            if plan.looks_outside:
                m.d.comb += self.inside[source].eq(bases.inside)
            if stages.ends("position"):
                m.d.comb += bases.take.eq(take)
            if plan.hidden:
                m.d.comb += self.derivative[source].eq(bases.derivative)
        self._give_steps(m, stages, inputs)
        self._give_coefficients(m, stages)
        return m

    def _give_steps(self, m: Module, stages: Stages, inputs: list[InputBases]) -> None:
        """Steps are read with the bases, and made from those of the first input; or computed."""
        plan = self._plan
        steps: StepTables | ScaledSteps
        if plan.block_tables:
            m.submodules.steps = steps = StepTables(plan)
            first = inputs[0]
            m.d.comb += [
                steps.remake.eq(self.rate_written),
                steps.enable.eq(self.load),
                self.busy.eq(steps.busy),
                # Where the table has a register at its end, so that it can be the memory's own.
                steps.basis.eq(first.basis[0] if plan.registers_table else first.first),
            ]
            wire_members(m, first, steps, "making_row", "making_rotation")
            for source, bases in enumerate(inputs):
                wire_members(m, bases, steps, "busy")
                m.d.comb += [steps.row[source].eq(bases.row), steps.rotation[source].eq(bases.rotation)]
        else:
            m.submodules.steps = steps = ScaledSteps(plan)
            wire_members(m, steps, self, "basis")
        wire_members(m, steps, self, "learning_rate")
        wire_members(m, self, steps, "saturated")
        for source, banks in enumerate(steps.steps):
            for bank, step in enumerate(banks):
                m.d.comb += self.steps[source][bank].eq(stages.end("step", step, f"step{source}_{bank}"))

    def _give_coefficients(self, m: Module, stages: Stages) -> None:
        plan = self._plan
        for node, inputs in enumerate(self.stored):
            for source, banks in enumerate(inputs):
                edge = f"{node}_{source}"
                read = end_read(stages, plan, banks, plan.times.fetch + plan.block, f"coefficient{edge}")
                factors = [cut_guard_bits(value, plan.layer.formats.factor) for value in read]
                if plan.differences:
                    first, *others = factors
                    factors = [
                        stages.wire(value - first, f"difference{edge}_{bank}")
                        for bank, value in enumerate(others, start=1)
                    ]
                for given, values in ((self.coefficients, read), (self.factors, factors)):
                    for bank, value in enumerate(values):
                        m.d.comb += given[node][source][bank].eq(value)


def count_window(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`Window` has, and what delays its steps until gradients are there."""
    layer, formats, times = plan.layer, plan.layer.formats, plan.times
    edges, steps = layer.n_in * layer.n_out, layer.n_in * layer.banks
    count_input_bases(parts, plan)
    bits = formats.coefficient.width * edges * layer.banks
    count_read(parts, plan, bits, times.fetch + plan.block, block=plan.block)
    if plan.differences:
        parts.adder(plan.factor.width, edges * plan.factors)
    if plan.block_tables:
        count_step_tables(parts, plan)
        word = (plan.step_bits + ("step" in plan.saturating)) * steps
        if plan.ends("step"):
            parts.register_behind(word, block=True)
    else:
        count_scaled_steps(parts, plan)
        word = formats.step.width * steps
        if plan.ends("step"):
            parts.register(word, moved=False)
    count_meeting(parts, plan, word, times.step, plan.multiplied)


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
    inside : Out, likewise a bit for every lane: whether its input is on the grid; only with ``looks_outside``
    basis : Out, values by lane and bank, at ``read``
    derivative : Out, as those; not in the first layer
    inputs : Out, as they came in, for each lane at ``read``; only with linear paths
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, lanes = plan.layer, plan.passes.input_lanes
        members: dict[str, Any] = {
            "take": In(1),
            "x": In(data.ArrayLayout(layer.formats.input, layer.n_in)),
            "access_enable": In(1),
            "access_index": In(range(layer.coefficients)),
            "times": In(StepTimes(plan)),
            "cell": Out(data.ArrayLayout(cell_bits(layer), lanes)),
            "basis": Out(data.ArrayLayout(data.ArrayLayout(layer.formats.basis, layer.banks), lanes)),
        }
        if plan.hidden:
            members["derivative"] = Out(data.ArrayLayout(data.ArrayLayout(layer.derivative, layer.banks), lanes))
        if layer.linear:
            members["inputs"] = Out(data.ArrayLayout(layer.linear.input, lanes))
        if plan.looks_outside:
            members["inside"] = Out(lanes)
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
        held = inputs
        if not passes.hidden and (layer.linear or not passes.held_position):
            held = [hold(m, x, self.take, f"x{source}") for source, x in enumerate(inputs)]
        if not passes.held_position:
            inputs = held
        for lane in range(passes.input_lanes):
            m.submodules[f"locate{lane}"] = locate = Locate(layer.locator, layer.formats.input)
            mine = [x.raw for x in inputs[lane :: passes.input_lanes]]
            m.d.comb += locate.x.raw.eq(choose(mine, self.times.input_part.begun))
            if layer.linear:
                reached = choose([x.raw for x in held[lane :: passes.input_lanes]], self.times.input_part.begun)
                x = FixedValue(layer.linear.input, reached[: layer.linear.input.width].as_signed())
                x = x if passes.held_position else flow.delay(x, 0, passes.read, f"x{lane}_read")
                m.d.comb += self.inputs[lane].eq(x)
            cell = Signal(cell_bits(layer), name=f"reached{lane}")
            m.d.comb += cell.eq(Mux(self.access_enable, self.access_index, locate.cell))
            position = {"cell": cell, "row": locate.row}
            if not layer.periodic:
                position["inside"] = locate.inside
            for name, value in position.items():
                if passes.held_position:
                    position[name] = hold(m, value, begins, f"{name}{lane}")
                else:
                    position[name] = flow.delay(value, 0, passes.located, f"{name}{lane}")
            m.d.comb += self.cell[lane].eq(position["cell"])
            if self._plan.looks_outside:
                m.d.comb += self.inside[lane].eq(position["inside"])
            m.submodules[f"basis{lane}"] = table = Basis(
                layer, derivative=passes.hidden, block=self._plan.block, restarts=self._plan.restarts
            )
            if self._plan.block:  # what is used beside the table's output comes a cycle later
                m.d.comb += table.enable.eq(1)
                if "inside" in position:
                    inside = flow.meet(position["inside"], passes.located, passes.settled, f"inside{lane}_read")
                    position["inside"] = inside
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
    if not passes.hidden and (layer.linear or not passes.held_position):
        parts.register(formats.input.width * layer.n_in)
    if layer.linear and not passes.held_position:
        count_delay(parts, passes, formats.input.width * lanes, 0, passes.read)
    parts.choice(formats.input.width, passes.inputs, lanes)
    count_locate(parts, plan, lanes)
    if passes.held_position:
        parts.register(position * lanes, moved=False)
    else:
        count_delay(parts, passes, position * lanes, 0, passes.located)
    count_basis(parts, plan, lanes)
    values = layer.banks * (formats.basis.width + passes.hidden * layer.derivative.width)
    parts.register_behind(values * lanes * (passes.read - passes.settled), block=plan.block)
