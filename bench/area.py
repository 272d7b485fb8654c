"""Learners whose area is measured, to fit the estimate to: ``python -m bench.area`` measures those that lack it.

Synthesised and packed, but not placed. The results stay in ``results/area.json`` under a hash of the design and the
tools: what has not changed is not measured again, and what was begun goes on where it was stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from kanrtl import Learner, LearnerSpec, SpecError
from kanrtl.build import Device
from kanrtl.build.out_of_context import Area, AreaJob
from kanrtl.files import write_whole
from kanrtl.learner.folded_schedule import folds
from kanrtl.learner.formats import exponent
from kanrtl.learner.stages import PRESETS, STAGES

from .stored import RESULTS

__all__ = ["AREAS", "SAMPLES", "Area", "Sample", "load", "measure"]

AREAS = RESULTS / "area.json"
ECP5, UP5K, HX8K = "LFE5U-85F", "iCE40UP5K", "iCE40HX8K"


@dataclass(frozen=True)
class Sample:
    """A learner on a device."""

    device: str
    fields: dict[str, Any]
    is_new: bool = False
    """Whether it has the defaults of now."""

    @property
    def name(self) -> str:
        return f"{self.device} {json.dumps(self.fields, sort_keys=True)}{', with defaults' if self.is_new else ''}"

    @property
    def complete(self) -> dict[str, Any]:
        """The fields with those that have other defaults now, as they were when most of it was measured."""
        if self.is_new:
            return self.fields
        ranges, rates = self.fields["grid_range"], self.fields["learning_rate"]
        whole = max(6, exponent(max(map(abs, ranges))) + 2)
        activation = self.fields.get("activation_format", f"SQ({whole}, {16 - whole})")
        return {
            "update_rounding": "half_up",
            "learning_rate_format": f"UQ({max(0, exponent(2 * rates))}, {max(4, 5 - exponent(rates))})",
            "activation_format": activation,
            "coefficient_format": activation,
        } | self.fields

    @property
    def spec(self) -> LearnerSpec:
        """As it is built."""
        return LearnerSpec(**self.complete).for_device(Device.parse(self.device))


BASE: dict[str, Any] = {"layer_sizes": [1, 1], "grid_range": [-2, 2], "grid_size": 5, "learning_rate": 0.3}
ROUND = {"grid_size": 8, "learning_rate": 0.125}
SWEPT = {"share_multipliers": True, "pipeline": ["step"]}

# One thing at a time, or two where they meet.
CHANGES: tuple[dict[str, Any], ...] = (
    {},
    ROUND,
    {"pipeline": "few_registers"},
    SWEPT,
    {"spline_order": 1},
    {"table_memory": "logic"},
    {"pipeline": "all_registers"},
    {"schedule": "streaming"},
    {"update_rounding": "stochastic"},
    {"loss": "external"},
    {"layer_sizes": [2, 1]},
    {"memory": "block"},
    {"multiplier": "serial", "share_multipliers": True, "spline_order": 1, **ROUND},
    {"pipeline": "most_registers"},
    {"teaching": "after_prediction"},
    {"loss": "logistic"},
    {"activation_format": "SQ(4, 8)"},
    {"layer_sizes": [1, 1, 1]},
    {"multiplier": "lut", "activation_format": "SQ(4, 8)"},
    SWEPT | {"memory": "block", "pipeline": "most_registers"},
    {"layer_sizes": [2, 1], "reuse_factor": 2},
    {"layer_sizes": [1, 2]},
    {"grid_size": 64},
    {"rounding": "half_even", "update_rounding": "half_even"},
    {"pipeline": ["locate"]},
    {"pipeline": ["position"]},
    {"pipeline": ["sum", "error"]},
    {"spline_order": 2},
    SWEPT | ROUND,
    {"table_memory": "logic", "table_size": 16},
    {"layer_sizes": [1, 1, 1], **ROUND, "spline_order": 1},
    {"schedule": "streaming", "pipeline": "no_registers"},
    SWEPT | {"update_rounding": "stochastic"},
    {"multiplier": "serial"},
    {"activation_format": "SQ(6, 14)"},
    {"rounding": "floor", "update_rounding": "floor"},
    {"grid_range": [-1.3, 1.7], "grid_size": 7},
    {"layer_sizes": [4, 1], "reuse_factor": 4, "pipeline": "most_registers"},
    {"grid_size": 1024, "activation_format": "SQ(3, 13)"},
    {"step_format": "UQ(0, 8)"},
    {"learning_rate": 0.01, "grid_range": [0, 1]},
    {"layer_sizes": [8, 1], "reuse_factor": 8, "memory": "block", "spline_order": 1, "grid_size": 256},
    {"layer_sizes": [1, 1, 1], "pipeline": "few_registers"},
    {"schedule": "streaming", "memory": "block"},
    {"table_memory": "logic", "learning_rate": 0.125, "pipeline": "all_registers", "spline_order": 1},
    SWEPT | {"activation_format": "SQ(4, 8)"},
    {"layer_sizes": [2, 2], "spline_order": 1},
    {"learning_rate_format": "UQ(2, 10)"},
    {"gradient_format": "SQ(3, 9)"},
    {"basis_format": "UQ(1, 12)"},
    {"layer_sizes": [1, 2, 1], "reuse_factor": 2, "spline_order": 1},
    {"grid_size": 16},
    {"table_size": 256},
    {"multiplier": "serial", "layer_sizes": [2, 1], "reuse_factor": 2},
    {"activation_format": "SQ(6, 18)", "gradient_format": "SQ(8, 16)"},
    {"schedule": "streaming", "table_memory": "logic", "spline_order": 1},
    {"layer_sizes": [3, 1], "pipeline": "most_registers", "spline_order": 1},
    {"layer_sizes": [1, 1, 1], "schedule": "streaming", "spline_order": 1},
    {"layer_sizes": [1, 4], "reuse_factor": 4, "pipeline": "few_registers"},
    {"layer_sizes": [4, 1], "reuse_factor": 4, "memory": "block", "spline_order": 1, "grid_size": 4096},
    {"layer_sizes": [2, 2, 1], "reuse_factor": [4, 2], "share_multipliers": True, "pipeline": "most_registers"},
    {"layer_sizes": [2, 2, 1], "pipeline": "few_registers"},
    {"table_memory": "logic", "table_size": 256},
    {"multiplier": "lut"},
)
# What was added later, with the formats that are derived now.
HALF_UP = {"update_rounding": "half_up"}
NEW_CHANGES: tuple[dict[str, Any], ...] = (
    {},
    {"linear": True},
    {"leak": 4},
    HALF_UP | {"counts": ["lost"]},
    HALF_UP | {"linear": True, "leak": 4, "counts": ["lost", "outside"], "gradient_limit": 0.7},
    {"layer_sizes": [1, 2], "modulated": "complex", "leak": 4},
    HALF_UP | {"leak": 4},
    {"periodic": True, "grid_size": 8},
    HALF_UP | {"linear": True},
    {"layer_sizes": [2, 1], "linear": True, "leak": 4},
    {"layer_sizes": [2, 1], "modulated": True},
    {"layer_sizes": [4, 1], "reuse_factor": 4, "linear": True, "leak": 4, "pipeline": "most_registers"},
    {"linear": True, "schedule": "streaming"},
    HALF_UP | {"counts": ["lost", "outside"], "spline_order": 2},
)
NEW_ON_ICE40 = tuple(change for change in NEW_CHANGES if change.get("layer_sizes", [1, 1]) in ([1, 1], [4, 1]))

# Multipliers are few there: two layers only where they are folded or of a low order, and one node instead of two.
ICE40_CHANGES = tuple(
    change | {"layer_sizes": [1, 1]} if change.get("layer_sizes") in ([1, 2], [2, 2]) else change
    for change in CHANGES
    if len(change.get("layer_sizes", [1, 1])) == 2 or "reuse_factor" in change or "spline_order" in change
)


def _drawn(count: int, device: str, seed: int) -> list[Sample]:
    """Everything at once, at random: small learners that a device of this family can have."""
    random = np.random.default_rng(seed)

    def one_of(*values: Any) -> Any:
        return values[int(random.integers(len(values)))]

    samples: list[Sample] = []
    while len(samples) < count:
        sizes = one_of([1, 1], [1, 1], [1, 1], [2, 1], [1, 2], [1, 1, 1])
        kind = one_of("sequential", "sequential", "swept", "swept", "streaming")
        activation = one_of("SQ(6, 10)", "SQ(6, 10)", "SQ(4, 8)", "SQ(5, 13)", "SQ(8, 8)", "SQ(3, 11)")
        fields: dict[str, Any] = {
            "layer_sizes": sizes,
            "grid_range": one_of([-2, 2], [-2, 2], [0, 1], [-1.3, 1.7]),
            "grid_size": one_of(4, 5, 8, 12, 32, 100),
            "spline_order": one_of(1, 2, 3, 3, 3),
            "learning_rate": one_of(0.3, 0.125, 0.05, 1.0),
            "table_size": one_of(32, 64, 64, 128),
            "activation_format": activation,
            "update_rounding": one_of("half_up", "half_up", "floor", "half_even", "stochastic"),
            "rounding": one_of("half_up", "half_up", "floor", "half_even"),
            "loss": one_of("squared", "squared", "squared", "logistic", "external"),
            "pipeline": one_of(*PRESETS, *PRESETS, [str(stage) for stage in STAGES if random.integers(2)]),
        }
        if kind == "streaming":
            fields["schedule"] = kind
        elif not random.integers(4):
            fields["teaching"] = "after_prediction"
        if kind == "swept":
            fields["reuse_factor"] = [int(one_of(*folds(a, b))) for a, b in pairwise(sizes)]
            fields["share_multipliers"] = bool(random.integers(2))
            fields["multiplier"] = one_of("auto", "auto", "serial")
            fields["memory"] = one_of("auto", "block")
        else:
            fields["table_memory"] = one_of("auto", "auto", "auto", "logic")
        sample = Sample(device, fields)
        with suppress(SpecError):
            if sample.spec.folded or device == ECP5 or sum(sizes) == 2:
                samples.append(sample)
    return samples


def _interleaved(*lists: Sequence[Sample]) -> tuple[Sample, ...]:
    """Some of each, whenever it is stopped; each once."""
    longest = max(map(len, lists))
    mixed = [each[n] for n in range(longest) for each in lists if n < len(each)]
    return tuple({sample.name: sample for sample in mixed}.values())


_ON_ECP5 = [Sample(ECP5, BASE | change) for change in CHANGES]
SAMPLES = _interleaved(
    [Sample(ECP5, BASE | change, is_new=True) for change in NEW_CHANGES],
    [Sample(UP5K, BASE | change, is_new=True) for change in NEW_ON_ICE40],
) + _interleaved(
    _ON_ECP5[::2],
    _ON_ECP5[1::2],
    [Sample(UP5K, BASE | change) for change in ICE40_CHANGES[::2]],
    _drawn(16, ECP5, 1),
    [Sample(HX8K, BASE | change) for change in ICE40_CHANGES if {"multiplier", "share_multipliers"} & set(change)][::3],
    _drawn(10, UP5K, 2),
)


def load(path: Path = AREAS) -> dict[str, Any]:
    """What has been measured, by the samples' names."""
    return json.loads(path.read_text()) if path.exists() else {}  # type: ignore[no-any-return]


def measure(samples: Sequence[Sample], path: Path = AREAS) -> list[str]:
    """Measure those of ``samples`` that have not been, or are another design now; return the names of failures."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    names = {sample.name for sample in samples}
    areas = {name: area for name, area in load(path).items() if name in names}
    failed = []
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=len(samples))
        for sample in samples:
            bar.update(task, description=sample.device)
            try:
                job = AreaJob.of(Learner(sample.spec), sample.device)
                if areas.get(sample.name, {}).get("design") != job.digest:
                    area = asdict(job.run(lambda _: None))
                    areas[sample.name] = {"design": job.digest, "fields": sample.complete, **area}
                    write_whole(path, _text(areas))
                    console.print(f"{area['lut']} LUT: {sample.name}", markup=False)
            except Exception as error:  # the others are worth having all the same
                failed.append(sample.name)
                console.print(f"failed: {sample.name}: {type(error).__name__}: {error}", style="red", markup=False)
            bar.advance(task)
    write_whole(path, _text(areas))
    return failed


def _text(areas: dict[str, Any]) -> bytes:
    return (json.dumps(areas, indent=1) + "\n").encode()


@click.command(help=__doc__)
def main() -> None:
    if failed := measure(SAMPLES):
        raise SystemExit(f"failed: {len(failed)} of {len(SAMPLES)}")


if __name__ == "__main__":
    main()
