"""The update of a step's coefficients."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ...numeric.lfsr import lane_rotation
from ..plan import LayerPlan
from .folded_coefficients import lane_layout
from .narrowing import flag_layout
from .noise_register import lane_noise
from .pass_sequencer import StepTimes
from .pipeline_registers import name_signal
from .step_flow import choose
from .update import CoefficientUpdate, count_coefficient_update

__all__ = ["FoldedUpdate", "count_folded_update"]


class FoldedUpdate(wiring.Component):  # type: ignore[misc]
    """Changes the coefficients of a step, or gives what is written from outside.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    old : In, coefficients by node lane, input lane and bank
    change : In, what is subtracted, likewise
    noise : In(32), state of the noise register; only with stochastic rounding
    access_data : In, the coefficient that is written from outside
    times : In, see :class:`.StepTimes`; all others are there at offset ``written``
    new : Out, changed coefficients, in the same cycle; or what is written from outside
    saturated : Out, a bit for each, in a step of the update
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, passes = plan.layer, plan.passes
        window = lane_layout(plan, layer.formats.coefficient)
        lanes = passes.node_lanes * passes.input_lanes * layer.banks
        members: dict[str, Any] = {
            "old": In(window),
            "change": In(lane_layout(plan, layer.update_product)),
            "access_data": In(layer.formats.coefficient),
            "times": In(StepTimes(plan)),
            "new": Out(window),
            "saturated": Out(flag_layout(plan.saturating, coefficient=lanes)),
        }
        if plan.stochastic:
            members["noise"] = In(NOISE_WIDTH)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``old`` and ``change`` to ``new``: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes, writing = self._plan.layer, self._plan.passes, self.times.writing
        noise = self._rotate_noise(m) if self._plan.stochastic else Const(0, NOISE_WIDTH)
        flags = []
        for node in range(passes.node_lanes):
            for source in range(passes.input_lanes):
                for bank in range(layer.banks):
                    m.submodules[f"update{node}_{source}_{bank}"] = update = CoefficientUpdate(self._plan)
                    old, change = self.old[node][source][bank], self.change[node][source][bank]
                    chosen = Mux(writing, self.access_data.raw, old.raw)[: old.format.width]
                    if self._plan.serial:  # it multiplies when a step begins, not when something is written
                        change = FixedValue(change.format, Mux(writing, 0, change.raw)[: change.format.width])
                    lane = self._plan.first_lane + (node * layer.n_in + source) * layer.banks + bank
                    m.d.comb += [
                        update.coefficient.raw.eq(chosen),
                        update.product.eq(change),
                        update.noise.eq(lane_noise(noise, lane, len(update.noise))),
                        self.new[node][source][bank].eq(update.result),
                    ]
                    flags.append(update.saturated & self.times.update[passes.written])
        m.d.comb += self.saturated.coefficient.eq(Cat(flags))
        return m

    def _rotate_noise(self, m: Module) -> Value:
        """The noise, rotated as far as the lanes of the step are numbered on from those of the first.

        Numbers grow evenly from part to part, and so does the rotation.
        """
        layer, passes = self._plan.layer, self._plan.passes
        noise: Value = self.noise
        for part, parts, lanes in (
            (self.times.input_part.written, passes.inputs, passes.input_lanes * layer.banks),
            (self.times.node_part.written, passes.nodes, passes.node_lanes * layer.n_in * layer.banks),
        ):
            rotated = [noise.rotate_left(lane_rotation(number * lanes)) for number in range(parts)]
            noise = name_signal(m, choose(rotated, part), "rotated")
        return noise


def count_folded_update(parts: Parts, plan: LayerPlan) -> None:
    """Count what a :class:`FoldedUpdate` has."""
    passes, layer = plan.passes, plan.layer
    lanes = passes.node_lanes * passes.input_lanes * layer.banks
    count_coefficient_update(parts, plan, lanes)
    parts.choice(layer.formats.coefficient.width, times=lanes)
