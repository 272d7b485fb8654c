"""The noise of a step's lanes."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ...numeric.lfsr import lane_rotation
from ..plan import LayerPlan
from .step_flow import choose

__all__ = ["PartNoise"]


class PartNoise(wiring.Component):  # type: ignore[misc]
    """The noise, rotated as far as the lanes of a step are numbered on from those of the first.

    Numbers grow evenly from part to part, and so does the rotation.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    noise : In(32), state of the noise register
    input_part, node_part : In, the parts that the step has
    rotated : Out(32), the noise as the first step's lanes would see it, for this one
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        super().__init__(
            {
                "noise": In(NOISE_WIDTH),
                "input_part": In(range(plan.passes.inputs)),
                "node_part": In(range(plan.passes.nodes)),
                "rotated": Out(NOISE_WIDTH),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``noise`` to ``rotated``: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes = self._plan.layer, self._plan.passes
        noise: Value = self.noise
        for part, parts, lanes in (
            (self.input_part, passes.inputs, passes.input_lanes * layer.banks),
            (self.node_part, passes.nodes, passes.node_lanes * layer.n_in * layer.banks),
        ):
            chosen = Signal(NOISE_WIDTH, name=f"by_{part.name}")
            m.d.comb += chosen.eq(
                choose([noise.rotate_left(lane_rotation(number * lanes)) for number in range(parts)], part)
            )
            noise = chosen
        m.d.comb += self.rotated.eq(noise)
        return m
