"""What a sample reads: bases, coefficients and steps."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ..plan import LayerPlan
from .coefficients import cell_bits, window_layout
from .input_bases import InputBases, count_input_bases
from .narrowing import flag_layout
from .pipeline_registers import Stages, count_meeting, count_read, end_read, wire_members
from .scaled_steps import ScaledSteps, count_scaled_steps
from .step_tables import StepTables, count_step_tables

__all__ = ["Window", "count_window"]


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
            "x": In(data.ArrayLayout(plan.located.format if plan.located else formats.activation, layer.n_in)),
            "take": In(1),
            "access_enable": In(1),
            "access_index": In(range(layer.bases)),
            "learning_rate": In(formats.learning_rate),
            "rate_written": In(1),
            "busy": Out(1),
            "load": Out(1),
            "cell": Out(data.ArrayLayout(cell_bits(layer), layer.n_in)),
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
                factors = read
                if plan.differences:
                    first, *others = read
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
