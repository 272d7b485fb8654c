"""The stages of a learning step that can end in a register, and presets of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__all__ = ["PRESETS", "STAGES"]

STAGES = (
    "position",
    "locate",
    "read",
    "multiply",
    "add",
    "sum",
    "error",
    "scale",
    "step",
    "product",
    "change",
    "update",
    "downstream",
)

PRESETS: dict[str, tuple[str, ...]] = {
    "single": (),
    "low_latency": ("sum", "step"),
    "high_clock": tuple(stage for stage in STAGES if stage not in ("position", "add", "change", "update")),
    "full": STAGES,
}
"""From the fewest nanoseconds for a step to the highest clock."""

AUTO = {"sequential": "single", "streaming": "full"}
"""What ``auto`` stands for where no clock is asked for, by schedule: registers add to the time of a step, and to the
samples that a streaming learner takes in a second."""
