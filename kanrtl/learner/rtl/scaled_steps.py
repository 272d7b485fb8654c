"""Learning rate times basis, in logic."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ..plan import LayerPlan
from .multiply import multiply_in_logic
from .narrowing import Narrowing, count_narrowing, flag_layout
from .pipeline_registers import Stages

__all__ = ["ScaledSteps", "count_scaled_steps"]


class ScaledSteps(wiring.Component):  # type: ignore[misc]
    """Computes steps beside the forward pass, so that nothing waits for them.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    learning_rate : In
    basis : In, one for each ``[input][bank]``
    steps : Out, likewise, ``latency`` cycles after ``basis``
    saturated : Out, a bit for every step, where they can saturate, with them
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        super().__init__(
            {
                "learning_rate": In(formats.learning_rate),
                "basis": In(data.ArrayLayout(data.ArrayLayout(formats.basis, layer.banks), layer.n_in)),
                "steps": Out(data.ArrayLayout(data.ArrayLayout(formats.step, layer.banks), layer.n_in)),
                "saturated": Out(flag_layout(plan.saturating, step=layer.n_in * layer.banks)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``basis`` to ``steps``."""
        return int(self._plan.ends("scale"))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan = self._plan
        stages = Stages(m, plan.schedule, plan.index)
        narrowing = Narrowing(plan.rounding, plan.saturating)
        for source, banks in enumerate(self.basis):
            for bank, basis in enumerate(banks):
                name = f"scaled{source}_{bank}"
                exact = multiply_in_logic(
                    m,
                    basis,
                    self.learning_rate,
                    lambda part, half, name=name: stages.end("scale", part, f"{name}_{half}"),  # type: ignore[misc]
                )
                step = narrowing.narrow("step", stages.wire(exact, name), plan.layer.formats.step)
                m.d.comb += self.steps[source][bank].eq(step)
        narrowing.report(m, self.saturated)
        return m


def count_scaled_steps(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`ScaledSteps` has."""
    layer, formats = plan.layer, plan.layer.formats
    times = layer.n_in * layer.banks
    parts.written_out(formats.basis, formats.learning_rate, times)
    count_narrowing(parts, plan, "step", layer.step_product, formats.step, times)
    if plan.ends("scale"):
        parts.register((layer.step_product.width + formats.basis.width) * times, moved=False)
