"""The update of a step's coefficients."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ..plan import LayerPlan
from .folded_coefficients import lane_layout
from .narrowing import flag_layout
from .noise_register import lane_noise
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
    noise : In(32), as the lanes of the first step would see it; only looked at with stochastic rounding
    update : In(1), the step is one of the update
    writing : In(1), a coefficient is written from outside, so that nothing else is changed
    access_data : In, that coefficient
    new : Out, changed coefficients, in the same cycle
    saturated : Out, a bit for each, while ``update`` is high
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, passes = plan.layer, plan.passes
        window = lane_layout(plan, layer.formats.coefficient)
        self._lanes = passes.node_lanes * passes.input_lanes * layer.banks
        super().__init__(
            {
                "old": In(window),
                "change": In(lane_layout(plan, layer.update_product)),
                "noise": In(NOISE_WIDTH),
                "update": In(1),
                "writing": In(1),
                "access_data": In(layer.formats.coefficient),
                "new": Out(window),
                "saturated": Out(flag_layout(plan.saturating, coefficient=self._lanes)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``old`` and ``change`` to ``new``: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes = self._plan.layer, self._plan.passes
        flags = []
        for node in range(passes.node_lanes):
            for source in range(passes.input_lanes):
                for bank in range(layer.banks):
                    place = node, source, bank
                    m.submodules["update{}_{}_{}".format(*place)] = update = CoefficientUpdate(self._plan)
                    old, change = self.old[node][source][bank], self.change[node][source][bank]
                    chosen = Mux(self.writing, self.access_data.raw, old.raw)[: old.format.width]
                    if self._plan.serial:  # it multiplies when a step begins, not when something is written
                        change = FixedValue(change.format, Mux(self.writing, 0, change.raw)[: change.format.width])
                    lane = self._plan.first_lane + (node * layer.n_in + source) * layer.banks + bank
                    m.d.comb += [
                        update.coefficient.raw.eq(chosen),
                        update.product.eq(change),
                        update.noise.eq(lane_noise(self.noise, lane, len(update.noise))),
                        self.new[node][source][bank].eq(update.result),
                    ]
                    flags.append(update.saturated & self.update)
        m.d.comb += self.saturated.coefficient.eq(Cat(flags))
        return m


def count_folded_update(parts: Parts, plan: LayerPlan) -> None:
    """Count what a :class:`FoldedUpdate` has."""
    passes, layer = plan.passes, plan.layer
    lanes = passes.node_lanes * passes.input_lanes * layer.banks
    count_coefficient_update(parts, plan, lanes)
    parts.choice(layer.formats.coefficient.width, times=lanes)
