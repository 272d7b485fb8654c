"""The stages of a learning step that can end in a register, and presets of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    "no_registers": (),
    "few_registers": ("sum", "step"),
    "most_registers": tuple(stage for stage in STAGES if stage not in ("position", "add", "change", "update")),
    "all_registers": STAGES,
}
"""From the fewest registers to the most: mostly from the fewest nanoseconds for a step to the highest clock."""

AUTO = {"sequential": "no_registers", "streaming": "all_registers"}
"""What ``auto`` stands for where no clock is asked for, by schedule: registers add to the time of a step, and to the
samples that a streaming learner takes in a second."""

FORMER_PRESETS = {
    "single": "no_registers",
    "low_latency": "few_registers",
    "high_clock": "most_registers",
    "full": "all_registers",
}
"""What presets are called now, by the names that files of former versions have for them."""


def rename_presets(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a spec that a former version may have saved, with presets as they are called now."""

    def rename(pipeline: Any) -> Any:
        if isinstance(pipeline, (list, tuple)):
            return type(pipeline)(map(rename, pipeline))
        return FORMER_PRESETS.get(pipeline, pipeline) if isinstance(pipeline, str) else pipeline

    renamed = {**fields}
    if "pipeline" in renamed:
        renamed["pipeline"] = rename(renamed["pipeline"])
    return renamed
