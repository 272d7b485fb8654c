"""Learning rate times basis, in a folded layer."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue
from ..plan import LayerPlan
from .multiply import multiply_in_logic
from .narrowing import Narrowing, count_narrowing, flag_layout
from .pass_sequencer import StepTimes
from .step_flow import StepFlow, count_delay

__all__ = ["FoldedScale", "count_folded_scale"]


class FoldedScale(wiring.Component):  # type: ignore[misc]
    """Learning rate times basis: what the coefficients of a step move by for a gradient of one.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    basis : In, values by input lane and bank, at offset ``read``
    learning_rate : In
    times : In, see :class:`.StepTimes`
    moves : Out, in the format of a step, by input lane and bank, ``latency`` cycles after the bases; zero while
        something is written from outside
    saturated : Out, a bit for each
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, lanes = plan.layer, plan.passes.input_lanes
        super().__init__(
            {
                "basis": In(data.ArrayLayout(data.ArrayLayout(layer.formats.basis, layer.banks), lanes)),
                "learning_rate": In(layer.formats.learning_rate),
                "times": In(StepTimes(plan)),
                "moves": Out(data.ArrayLayout(data.ArrayLayout(layer.formats.step, layer.banks), lanes)),
                "saturated": Out(flag_layout(plan.saturating, step=lanes * layer.banks)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the bases to what they make coefficients move by."""
        return self._plan.passes.scaled - self._plan.passes.read

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes = self._plan.layer, self._plan.passes
        flow = StepFlow(m, passes, self.times.step)
        narrowing = Narrowing(self._plan.rounding, self._plan.saturating)
        updates = self.times.update[min(passes.read, passes.stepped)]
        for lane in range(passes.input_lanes):
            for bank in range(layer.banks):
                exact = multiply_in_logic(m, self.basis[lane][bank], self.learning_rate)
                step = narrowing.narrow("step", exact, layer.formats.step, when=updates)
                move = FixedValue(step.format, Mux(self.times.writing, 0, step.raw)[: step.format.width])
                move = flow.delay(move, passes.read, passes.scaled, f"move{lane}_{bank}")
                m.d.comb += self.moves[lane][bank].eq(move)
        narrowing.report(m, self.saturated)
        return m


def count_folded_scale(parts: Parts, plan: LayerPlan) -> None:
    """Count what a :class:`FoldedScale` has."""
    layer, passes, formats = plan.layer, plan.passes, plan.layer.formats
    times = passes.input_lanes * layer.banks
    parts.written_out(formats.basis, formats.learning_rate, times)
    count_narrowing(parts, plan, "step", layer.step_product, formats.step, times)
    count_delay(parts, passes, formats.step.width * times, passes.read, passes.scaled)
    parts.choice(formats.step.width, times=times)
