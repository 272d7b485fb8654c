"""Learning rate times basis: from a table, or computed."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Rounding, narrow, rounding_constant
from ..plan import LayerPlan
from .basis import rotated_words, rotation_bits
from .multiply import multiply_in_logic
from .narrowing import Narrowing, count_narrowing, flag_layout
from .pass_sequencer import StepFlow, StepTimes, count_delay
from .pipeline_registers import Stages


class StepTables(wiring.Component):  # type: ignore[misc]
    """Block memories of steps, laid out as :class:`.Basis` lays out its table, and what makes them anew.

    They begin with the steps of the layer's own learning rate. When it changes, every value is computed again: the
    basis is read from its table, which nothing else may read then, multiplied a bit a cycle, and written in every
    rotation. Like the coefficients, the tables outlast a reset; so does this work, and so must the learning rate. In a
    layer that restarts they hold nothing until the learning rate is written, which has to be done after every reset.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    learning_rate : In
    remake : In(1), the learning rate changes at the clock edge
    busy : Out(1), the tables are being made, for ``duration`` cycles after that edge
    making_row, making_rotation : Out, where the basis table is to be read at every edge while ``busy``; else zero
    basis : In, what it reads for bank 0, with ``registers_table`` through one more register
    row, rotation : In, for every input, where its steps are read
    enable : In(1), read at the clock edge; not while ``busy``
    steps : Out, one step for each ``[input][bank]``, ``latency`` cycles after ``row`` and ``rotation``
    saturated : Out, whether any of them has saturated, where they can
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        row, rotation = layer.locator.row_bits, rotation_bits(layer)
        # From reading the basis table to `basis`.
        self._basis_delay = 1 + plan.registers_table
        # A value, and above it whether it has saturated.
        self._lane_bits = plan.step_bits + ("step" in plan.saturating)
        super().__init__(
            {
                "learning_rate": In(formats.learning_rate),
                "remake": In(1),
                "busy": Out(1),
                "making_row": Out(row),
                "making_rotation": Out(rotation),
                "basis": In(formats.basis),
                "row": In(data.ArrayLayout(row, layer.n_in)),
                "rotation": In(data.ArrayLayout(rotation, layer.n_in)),
                "enable": In(1),
                "steps": Out(data.ArrayLayout(data.ArrayLayout(formats.step, layer.banks), layer.n_in)),
                "saturated": Out(flag_layout(plan.saturating, step=1)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``row`` and ``rotation`` to ``steps``."""
        return 1

    @property
    def duration(self) -> int:
        """Cycles for which the tables are made after the learning rate has changed."""
        return self._plan.making_cycles

    def _initial(self) -> list[int]:
        layer = self._plan.layer
        exact = layer.learning_rate_code * layer.basis_table
        values, saturated = narrow(exact, layer.step_product.f, layer.formats.step, self._plan.rounding)
        flagged = values + (saturated.astype(np.int64) << self._plan.step_bits)
        return rotated_words(layer, flagged, self._lane_bits)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        word, write = self._make(m)
        initial, bits = self._initial(), self._lane_bits
        depth, contents = len(initial), [] if self._plan.restarts else initial
        flags = []
        for source in range(self._plan.layer.n_in):
            table = memory.Memory(shape=len(word), depth=depth, init=contents, attrs={"ram_style": "block"})
            m.submodules[f"table{source}"] = table
            # The register becomes that of the memory. Only in this form yosys sees that there is never a reading and a
            # writing at one edge, and spends no logic on what would be read then.
            read, written = table.read_port(domain="comb"), table.write_port()
            found = Signal(len(word), name=f"found{source}", reset_less=True)
            with m.If(self.enable & ~write):
                m.d.sync += found.eq(read.data)
            m.d.comb += [
                read.addr.eq(Cat(self.row[source], self.rotation[source])),
                written.addr.eq(Cat(self.making_row, self.making_rotation)),
                written.data.eq(word),
                written.en.eq(write),
            ]
            for bank in range(self._plan.layer.banks):
                lane = found[bank * bits : (bank + 1) * bits]
                m.d.comb += self.steps[source][bank].raw.eq(lane[: self._plan.step_bits])
                flags.append(lane[self._plan.step_bits :].any())
        m.d.comb += self.saturated.eq(Cat(flags).any())
        return m

    def _make(self, m: Module) -> tuple[Signal, Signal]:
        """Go through the table; give the word to be written, and when."""
        layer, outlasts = self._plan.layer, not self._plan.restarts
        busy = Signal(reset_less=outlasts)
        # In a row, first every basis is multiplied and joins the word, then the word is written in every rotation.
        position = Signal(layer.locator.row_bits + 1 + rotation_bits(layer), reset_less=outlasts)
        rotation, storing = position[: rotation_bits(layer)], position[rotation_bits(layer)]
        # One to begin, one for each bit of the learning rate, the last to take the product, and above it those to wait
        # for the next basis.
        last = layer.formats.learning_rate.width + 1
        first = last + self._basis_delay
        beat = Signal(range(first + 1), init=first, reset_less=outlasts)
        word = Signal(self._lane_bits * layer.banks, reset_less=True)
        write, onward = Signal(), Signal()
        m.d.comb += [
            self.busy.eq(busy),
            self.making_row.eq(position[-layer.locator.row_bits :] if layer.locator.row_bits else 0),
            # The word moves down by a bank each time: it is filled with the bases in rising order, which the rotations
            # bring to bank 0 in falling order; and it is written in the order in which that rotates it.
            self.making_rotation.eq(-rotation),
            write.eq(busy & storing),
            onward.eq(busy & (storing | (beat == last))),
        ]
        lane = self._product(m, beat)
        with m.If(self.remake):
            m.d.sync += busy.eq(1)
        with m.If(onward):
            m.d.sync += [
                Cat(position, busy).eq(Cat(position, busy) + 1),
                word.eq(Cat(word[self._lane_bits :], Mux(storing, word[: self._lane_bits], lane))),
                beat.eq(first),
            ]
        with m.Elif(busy):
            m.d.sync += beat.eq(Mux(beat == last + 1, 0, Mux(beat > last, beat - 1, beat + 1)))
        return word, write

    def _product(self, m: Module, beat: Signal) -> Any:
        """The step of the basis that was read, by a bit of the learning rate in every beat after the first."""
        layer, rate = self._plan.layer, self._plan.layer.formats.learning_rate
        product = Signal(layer.step_product.width, reset_less=True)
        rounds = rounding_constant(self._plan.rounding, layer.step_product.f - layer.formats.step.f)
        rounding: str = Rounding.FLOOR
        if rounds is None or rounds > self.basis.shape().maximum:
            rounds, rounding = 0, self._plan.rounding
        chosen, factor = Signal(name="chosen", reset_less=True), Signal(self.basis.shape(), name="factor")
        m.d.sync += chosen.eq(self.learning_rate.raw.bit_select(beat, 1))
        m.d.comb += factor.raw.eq(Mux(chosen, self.basis.raw, 0))
        with m.If(beat == 0):
            # What rounds it, where that is a constant, goes in beforehand and moves down with the rest.
            m.d.sync += product.eq(rounds << rate.width)
        with m.Else():
            m.d.sync += product.eq(Cat(product[1 : rate.width], product[rate.width :] + factor.raw))
        exact = FixedValue(layer.step_product, product)
        narrowing = Narrowing(rounding, self._plan.saturating)
        step = narrowing.narrow("step", exact, layer.formats.step)
        return Cat(step.raw[: self._plan.step_bits], *narrowing.flags["step"])


def count_step_tables(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`StepTables` has."""
    layer, formats = plan.layer, plan.layer.formats
    word = (plan.step_bits + ("step" in plan.saturating)) * layer.banks
    rows = layer.table_size * layer.banks
    parts.memory("steps", rows, word, block=True, lanes=1, count=layer.n_in)
    position = rows.bit_length()
    rate = formats.learning_rate.width
    beat = (rate + 3).bit_length()
    parts.counts["counter"] += position + beat
    parts.register(position + beat + word + layer.step_product.width + 2, moved=False)
    parts.choice(word // layer.banks)
    parts.adder(layer.formats.basis.width + 1)
    parts.choice(rate)
    count_narrowing(parts, plan, "step", layer.step_product, formats.step, 1, rounds=False)
    parts.choice(layer.locator.row_bits + (layer.banks - 1).bit_length())


class ScaledSteps(wiring.Component):  # type: ignore[misc]
    """Computes steps beside the forward pass, so that nothing waits for them.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    learning_rate : In
    basis : In, one for each ``[input][bank]``; in a folded layer for each ``[input lane][bank]``, at offset ``read``
    times : In, see :class:`.StepTimes`; only in a folded layer
    steps : Out, as the bases, ``latency`` cycles later; in a folded layer zero while something is written from outside
    saturated : Out, a bit for every step, where they can saturate, with them; in a folded layer a bit for each in a
        step of the update
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        inputs = plan.passes.input_lanes if plan.folded else layer.n_in
        members: dict[str, Any] = {
            "learning_rate": In(formats.learning_rate),
            "basis": In(data.ArrayLayout(data.ArrayLayout(formats.basis, layer.banks), inputs)),
            "steps": Out(data.ArrayLayout(data.ArrayLayout(formats.step, layer.banks), inputs)),
            "saturated": Out(flag_layout(plan.saturating, step=inputs * layer.banks)),
        }
        if plan.folded:
            members["times"] = In(StepTimes(plan))
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``basis`` to ``steps``."""
        plan = self._plan
        return plan.passes.scaled - plan.passes.read if plan.folded else int(plan.ends("scale"))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        narrowing = Narrowing(self._plan.rounding, self._plan.saturating)
        scale = self._scale_in_passes if self._plan.folded else self._scale
        for source, banks in enumerate(self.basis):
            for bank, basis in enumerate(banks):
                m.d.comb += self.steps[source][bank].eq(scale(m, narrowing, basis, f"{source}_{bank}"))
        narrowing.report(m, self.saturated)
        return m

    def _scale(self, m: Module, narrowing: Narrowing, basis: FixedValue, name: str) -> FixedValue:
        """The step of a basis, in a layer that is not folded."""
        plan, name = self._plan, f"scaled{name}"
        stages = Stages(m, plan.schedule, plan.index)
        exact = multiply_in_logic(
            m, basis, self.learning_rate, lambda part, half: stages.end("scale", part, f"{name}_{half}")
        )
        return narrowing.narrow("step", stages.wire(exact, name), plan.layer.formats.step)

    def _scale_in_passes(self, m: Module, narrowing: Narrowing, basis: FixedValue, name: str) -> FixedValue:
        """The step of a basis, as it goes along with the passes of a folded layer."""
        passes = self._plan.passes
        exact = multiply_in_logic(m, basis, self.learning_rate)
        updates = self.times.update[min(passes.read, passes.stepped)]
        step = narrowing.narrow("step", exact, self._plan.layer.formats.step, when=updates)
        move = FixedValue(step.format, Mux(self.times.writing, 0, step.raw)[: step.format.width])
        flow = StepFlow(m, passes, self.times.step)
        return flow.delay(move, passes.read, passes.scaled, f"move{name}")  # type: ignore[no-any-return]


def count_scaled_steps(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`ScaledSteps` has."""
    layer, formats = plan.layer, plan.layer.formats
    times = (plan.passes.input_lanes if plan.folded else layer.n_in) * layer.banks
    parts.written_out(formats.basis, formats.learning_rate, times)
    count_narrowing(parts, plan, "step", layer.step_product, formats.step, times)
    if plan.folded:
        count_delay(parts, plan.passes, formats.step.width * times, plan.passes.read, plan.passes.scaled)
        parts.choice(formats.step.width, times=times)
    elif plan.ends("scale"):
        parts.register((layer.step_product.width + formats.basis.width) * times, moved=False)
