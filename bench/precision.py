"""What bits and table rows are worth: the error of function tracking against both."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from kanrtl.experiments.axes import BITS
from kanrtl.experiments.sweep import sweep

from .row import Family, LearnerRow, Progress, Result

__all__ = ["PRECISION", "SEEDS", "Swept"]

SEEDS = 10


@dataclass(frozen=True)
class Swept(LearnerRow):
    """The task ``track``, 1500 samples, learned with several values of one field."""

    axis: str
    values: tuple[Any, ...]

    @property
    def commands(self) -> tuple[str, ...]:
        over = f"{self.axis}={','.join(map(str, self.values))}"
        runs = ["--task", "track", "--samples", "1500", "--seeds", str(SEEDS)]
        return (shlex.join(["kanrtl", "sweep", self.spec_file, "--over", over, *runs]),)

    def measure(self, progress: Progress) -> Result:
        found = sweep(
            self.spec,
            {self.axis: self.values},
            task="track",
            samples=1500,
            seeds=SEEDS,
            jobs=os.cpu_count() or 1,
            progress=lambda done, total: progress(f"{done} of {total} learners"),
        )
        return {"tools": {"numpy": version("numpy")}, **found.to_json()}


PRECISION = Family(
    "precision",
    "function tracking by bits and by rows of the basis table",
    (
        Swept("precision-bits", "bits of activations and coefficients", BITS, (8, 9, 10, 12, 16)),
        Swept("precision-table", "rows of the basis table", "table_size", (8, 16, 32, 64, 256)),
    ),
)
