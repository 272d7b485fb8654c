"""Linear paths of a folded layer: memories of every edge's w, and the steps of a pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import Codes, FixedValue
from ..plan import LayerPlan
from .coefficient_bank import CoefficientBank
from .multiply import multiply_in_logic
from .narrowing import Narrowing, count_narrowing, flag_layout
from .pass_sequencer import StepFlow, StepTimes, count_delay


def edge_layout(plan: LayerPlan, shape: Any) -> data.ArrayLayout:
    """One value for each ``[node lane][input lane]``."""
    return data.ArrayLayout(data.ArrayLayout(shape, plan.passes.input_lanes), plan.passes.node_lanes)


class FoldedWeights(wiring.Component):  # type: ignore[misc]
    """The w of every edge of a folded layer: for every lane of the inputs a memory with a row for each step.

    Its words hold one for each lane of the nodes. Where a pass has a single step they lie in flip-flops.

    Parameters
    ----------
    plan
        How the layer is built.
    initial
        Initial codes, ``(n_out, n_in)``.

    Members
    -------
    part : In, which step begins, in the order of the forward pass with its nodes outermost
    step : In, as that of :class:`.StepTimes`
    read : Out, for each ``[node lane][input lane]``, at ``read``
    old : Out, the same at ``written``
    write : In, what is written, at ``written``; write_enable : In(1), store it at the clock edge
    access_enable : In, for each ``[node lane][input lane]``, the same for that one alone
    """

    def __init__(self, plan: LayerPlan, initial: Codes) -> None:
        self._plan = plan
        self._initial = initial
        weights = edge_layout(plan, plan.layer.formats.coefficient)
        super().__init__(
            {
                "part": In(range(plan.passes.steps)),
                "step": In(StepTimes(plan).members["step"].shape),
                "read": Out(weights),
                "old": Out(weights),
                "write": In(weights),
                "write_enable": In(1),
                "access_enable": In(edge_layout(plan, 1)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``part`` to ``read``."""
        return self._plan.passes.read

    def _codes(self, lane: int) -> Codes:
        """What a memory holds first, ``(rows, node lanes)``."""
        passes = self._plan.passes
        codes = self._initial[:, lane :: passes.input_lanes]
        if self._plan.restarts:
            codes = np.zeros_like(codes)
        by_part = codes.reshape(passes.nodes, passes.node_lanes, passes.inputs)
        return np.moveaxis(by_part, 1, 2).reshape(-1, passes.node_lanes)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for lane in range(self._plan.passes.input_lanes):
            if self._plan.passes.steps == 1:
                self._connect_registers(m, lane)
            else:
                self._connect_memory(m, lane)
        return m

    def _connect_registers(self, m: Module, lane: int) -> None:
        format, first = self._plan.layer.formats.coefficient, self._codes(lane)[0]
        for number, code in enumerate(first):
            init = float(format.to_float(code))
            weight = Signal(format, name=f"weight{number}_{lane}", init=init, reset_less=True)
            with m.If(self.write_enable | self.access_enable[number][lane]):
                m.d.sync += weight.eq(self.write[number][lane])
            m.d.comb += [self.read[number][lane].eq(weight), self.old[number][lane].eq(weight)]

    def _connect_memory(self, m: Module, lane: int) -> None:
        plan, passes = self._plan, self._plan.passes
        flow = StepFlow(m, passes, self.step)
        rows = CoefficientBank(plan.layer.formats.coefficient, self._codes(lane), passes.steps, block=plan.block)
        m.submodules[f"input{lane}"] = rows
        address = flow.delay(self.part, 0, passes.located, f"part{lane}")
        m.d.comb += [
            rows.address.eq(address),
            rows.write_address.eq(flow.meet(address, passes.located, passes.written, f"part{lane}_written")),
        ]
        for number in range(passes.node_lanes):
            name = f"weight{number}_{lane}"
            read = flow.delay(rows.read[number], passes.settled, passes.read, name)
            m.d.comb += [
                self.read[number][lane].eq(read),
                self.old[number][lane].eq(flow.meet(read, passes.read, passes.written, f"{name}_old")),
                rows.write[number].eq(self.write[number][lane]),
                rows.write_enable[number].eq(self.write_enable | self.access_enable[number][lane]),
            ]


def count_folded_weights(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`FoldedWeights` has, and the choice of what is read from outside."""
    passes, width = plan.passes, plan.layer.formats.coefficient.width
    word, lanes = width * passes.node_lanes, passes.input_lanes
    parts.union(width, passes.node_lanes * lanes + 1)
    if passes.steps == 1:
        parts.register(word * lanes, moved=False)
        return
    parts.memory("weights", passes.steps, word, block=plan.block, lanes=passes.node_lanes, count=lanes)
    address = (passes.steps - 1).bit_length()
    count_delay(parts, passes, address, 0, passes.written)
    parts.register_behind(word * lanes * (passes.read - passes.settled), block=plan.block)
    count_delay(parts, passes, word * lanes, passes.read, passes.written)


class FoldedLinearSteps(wiring.Component):  # type: ignore[misc]
    """The rate of the linear paths times the inputs of a step, as it goes along with the passes.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    rate : In, of the linear paths
    inputs : In, one for each input lane, at offset ``read``
    times : In, see :class:`.StepTimes`
    steps : Out, one for each input lane, at ``scaled``; zero while something is written from outside
    saturated : Out, a bit for each in a step of the update
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        lanes, linear = plan.passes.input_lanes, plan.linear
        super().__init__(
            {
                "rate": In(linear.rate),
                "inputs": In(data.ArrayLayout(linear.input, lanes)),
                "times": In(StepTimes(plan)),
                "steps": Out(data.ArrayLayout(linear.step, lanes)),
                "saturated": Out(flag_layout(plan.saturating, step=lanes)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``inputs`` to ``steps``."""
        return self._plan.passes.scaled - self._plan.passes.read

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        passes, format = self._plan.passes, self._plan.linear.step
        narrowing = Narrowing(self._plan.rounding, self._plan.saturating)
        updates = self.times.update[min(passes.read, passes.stepped)]
        flow = StepFlow(m, passes, self.times.step)
        for lane, x in enumerate(self.inputs):
            step = narrowing.narrow("step", multiply_in_logic(m, x, self.rate), format, when=updates)
            moved = Mux(self.times.writing, 0, step.raw)[: format.width].as_signed()
            delayed = flow.delay(FixedValue(format, moved), passes.read, passes.scaled, f"move{lane}")
            m.d.comb += self.steps[lane].eq(delayed)
        narrowing.report(m, self.saturated)
        return m


def count_folded_linear_steps(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`FoldedLinearSteps` has."""
    passes, linear = plan.passes, plan.linear
    lanes = passes.input_lanes
    parts.written_out(linear.input, linear.rate, lanes)
    count_narrowing(parts, plan, "step", linear.step_product, linear.step, lanes)
    count_delay(parts, passes, linear.step.width * lanes, passes.read, passes.scaled)
    parts.choice(linear.step.width, times=lanes)
