"""When things happen: the stages of a learning step, where registers stand, and the cycles that follow.

A sample flows through these stages; ``pipeline`` names those that end in a register::

             locate      read         multiply    sum
    x -----> cell k ---> c, b, b' --> c*b ------> node sum --> y -------------------> prediction
             row u       |                        |  error                            (always a register)
                         |  step      target ---> dL/dy --------+
                         +> eta*b ------------------------------+--> g*s --> c - g*s --> written
                                                  |  downstream      product
                                                  +-> g*d ----> dL/dy of the layer below ...

A sample is located as it is taken, so the first layer's ``locate`` always ends in a register, which costs no cycle: it
holds the addresses of the coefficients and, unless ``locate`` is named or the table is a block memory, the basis too.
In the other layers ``locate`` ends in a register where it is named. The prediction's register and the coefficient
memories are always there too. With no stage named a whole step takes one clock cycle; every register on the longest way
adds one. Block memories have a register at ``read`` that cannot be left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .spec import LearnerSpec

__all__ = ["PRESETS", "STAGES", "Schedule"]

STAGES = ("locate", "read", "multiply", "sum", "error", "step", "product", "downstream")

PRESETS: dict[str, tuple[str, ...]] = {
    "single": (),
    "low_latency": ("sum", "step"),
    "high_clock": STAGES,
}
"""From the fewest nanoseconds for a step to the highest clock."""

AUTO = "single"
"""What ``auto`` stands for where no clock is asked for: registers only add to the time of a step."""

# A deeper bank takes more LUTs than are worth the cycle that a block memory adds.
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
        named = AUTO if spec.pipeline == "auto" else spec.pipeline
        stages = PRESETS[named] if isinstance(named, str) else named
        block = tuple(
            memory == "block" or (memory == "auto" and folded * layer.depth > DISTRIBUTED_DEPTH)
            for memory, layer, folded in zip(
                spec.per_layer("memory"), spec.layers, spec.per_layer("reuse_factor"), strict=True
            )
        )
        return cls(frozenset(stages), block, spec.teaching == "after_prediction")

    def _registers(self, *stages: str) -> int:
        return sum(stage in self.pipeline for stage in stages)

    def reads_through_register(self, layer: int) -> bool:
        return self.block_memory[layer] or "read" in self.pipeline

    @cached_property
    def _settled(self) -> tuple[list[int], list[int]]:
        """For every layer, the registers between its sample and what it reads, and its sums."""
        read, summed, now = [], [], 0
        for layer in range(len(self.block_memory)):
            now += self.reads_through_register(layer) + (self._registers("locate") if layer else 0)
            read.append(now)
            now += self._registers("multiply", "sum")
            summed.append(now)
        return read, summed

    @property
    def prediction_latency(self) -> int:
        """From taking a sample to its prediction."""
        return 1 + self._settled[1][-1]

    def _backward(self, gradient: int) -> int:
        """Registers up to the last of the coefficient memories, where the last layer's dL/dy has passed
        ``gradient``."""
        read, _ = self._settled
        written = 0
        for layer in reversed(range(len(read))):
            step = read[layer] + self._registers("step")
            written = max(written, max(gradient, step) + self._registers("product"))
            gradient += self._registers("downstream", "error")
        return written

    @property
    def teaching_latency(self) -> int:
        """With ``after_prediction``, from taking a teaching word to the written update."""
        # Everything forward has settled by then, but a step that nothing waits for may need its register still.
        begin = self.prediction_latency + 1
        return 1 + self._backward(begin + self._registers("error")) - begin

    @property
    def latency(self) -> int:
        """From taking a sample to its written update; a teaching word is assumed to wait already."""
        if self.after_prediction:
            return self.prediction_latency + 1 + self.teaching_latency
        return 1 + self._backward(self._settled[1][-1] + self._registers("error"))

    @property
    def interval(self) -> int:
        """From taking a taught sample to taking the next."""
        return self.latency

    @property
    def access_cycles(self) -> int:
        """From a request's first cycle to the end of that in which it is answered: one to reach the place, two to read
        it, through the register after ``locate`` and that of a block memory."""
        return 3

    @property
    def prediction_interval(self) -> int:
        """From taking a sample that is not taught to taking the next."""
        return self.prediction_latency
