"""When things happen: the stages of a learning step, where registers stand, and the cycles that follow.

A sample flows through these stages; ``pipeline`` names those that end in a register::

            locate     read      multiply    sum
    x ----> cell k --> c, b, b' --> c*b --> node sum --> y ----------------> prediction
            row u                              |                             (always a register)
                                               |  error     step      product
                                  target --> dL/dy ----> eta*g ----> s*b ----> c - s*b --> written
                                               |  downstream
                                               +-> g*d ----> dL/dy of the layer below ...

A sample's register before ``locate``, the prediction's register and the coefficient memories are always there, so
with no stage named a whole step takes one clock cycle. Every register adds one cycle; block memories have a register at
``read`` that cannot be left out. The sum of the last layer and its error need no cycle of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .spec import LearnerSpec

__all__ = ["PRESETS", "STAGES", "Schedule"]

STAGES = ("locate", "read", "multiply", "sum", "error", "step", "product", "downstream")

PRESETS: dict[str, tuple[str, ...]] = {
    "auto": ("read", "sum", "step"),
    "single": (),
    "low_latency": ("read", "sum", "step"),
    "high_clock": STAGES,
}

# Up to this depth a bank is smaller in LUTs than what a block memory costs in latency.
DISTRIBUTED_DEPTH = 16


@dataclass(frozen=True)
class Schedule:
    """The sequential schedule: one sample at a time, the next is taken as the update of the last is written.

    All figures are clock cycles between edges: from the edge that takes a sample (or a teaching word) to the edge that
    loads the prediction, or writes the coefficients.
    """

    pipeline: frozenset[str]
    block_memory: tuple[bool, ...]
    """For every layer, whether its coefficients and tables lie in block memory."""
    after_prediction: bool

    @classmethod
    def of(cls, spec: LearnerSpec) -> Schedule:
        stages = PRESETS[spec.pipeline] if isinstance(spec.pipeline, str) else spec.pipeline
        block = tuple(
            memory == "block" or (memory == "auto" and layer.depth > DISTRIBUTED_DEPTH)
            for memory, layer in zip(spec.per_layer("memory"), spec.layers, strict=True)
        )
        return cls(frozenset(stages), block, spec.teaching == "after_prediction")

    def _registers(self, *stages: str) -> int:
        return sum(stage in self.pipeline for stage in stages)

    def reads_through_register(self, layer: int) -> bool:
        return self.block_memory[layer] or "read" in self.pipeline

    @property
    def prediction_latency(self) -> int:
        """From taking a sample to its prediction."""
        layers = len(self.block_memory)
        reads = sum(self.reads_through_register(layer) for layer in range(layers))
        return 1 + reads + layers * self._registers("locate", "multiply", "sum")

    @property
    def backward_registers(self) -> int:
        """Registers between the last layer's sum and the last of the coefficient memories."""
        layers = len(self.block_memory)
        return (
            layers * self._registers("error")
            + (layers - 1) * self._registers("downstream")
            + self._registers("step", "product")
        )

    @property
    def teaching_latency(self) -> int:
        """With ``after_prediction``, from taking a teaching word to the written update."""
        return 1 + self.backward_registers

    @property
    def latency(self) -> int:
        """From taking a sample to its written update; a teaching word is assumed to wait already."""
        if self.after_prediction:
            return self.prediction_latency + 1 + self.teaching_latency
        return self.prediction_latency + self.backward_registers

    @property
    def interval(self) -> int:
        """From taking a taught sample to taking the next."""
        return self.latency

    @property
    def prediction_interval(self) -> int:
        """From taking a sample that is not taught to taking the next."""
        return self.prediction_latency
