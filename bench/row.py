"""What every measurement has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from statistics import median
from typing import Any

from kanrtl import LearnerSpec, LookupNetwork, __version__
from kanrtl.build import build_network

__all__ = ["Family", "LearnerRow", "Progress", "Result", "Row", "T", "build_summary", "network_summary"]

Progress = Callable[[str], None]
Result = dict[str, Any]


# The reference paper's function tracking, and this project's standard of comparison.
T: dict[str, Any] = {
    "layer_sizes": [1, 1],
    "grid_range": [-2, 2],
    "grid_size": 5,
    "spline_order": 3,
    "learning_rate": 0.3,
}


@dataclass(frozen=True)
class Row(ABC):
    """One measurement, which goes into ``results/<name>.json``."""

    name: str
    title: str

    def run(self, progress: Progress) -> Result:
        """Everything there is to know about the measurement."""
        result = self.measure(progress)
        tools = {"amaranth": version("amaranth"), **result.pop("tools", {})}
        return {"row": self.name, "title": self.title, "kanrtl": __version__, **result, "tools": tools}

    @abstractmethod
    def measure(self, progress: Progress) -> Result:
        """The figures."""


@dataclass(frozen=True)
class LearnerRow(Row):
    """A measurement of one learner."""

    fields: dict[str, Any]
    """Of the spec."""

    @property
    def spec(self) -> LearnerSpec:
        """The spec as it is measured; raises where it cannot be."""
        return LearnerSpec(**self.fields)

    def run(self, progress: Progress) -> Result:
        return super().run(progress) | {"spec": LearnerSpec(**self.fields).to_dict()}


@dataclass(frozen=True)
class Family:
    """Rows that belong together."""

    name: str
    title: str
    rows: tuple[Row, ...]


def build_summary(reports: list[dict[str, Any]]) -> Result:
    """Median and spread of what placement changes; the rest is the same for every seed."""
    first = reports[0]
    speeds = [report["fmax_mhz"] for report in reports]
    known = [speed for speed in speeds if speed is not None]
    middle = median(known) if known else None
    typical = min(reports, key=lambda report: abs((report["fmax_mhz"] or 0) - (middle or 0)))
    latency, interval = first["latency_cycles"], first["interval_cycles"]
    return {
        "fmax_mhz": middle,
        "fmax_mhz_by_seed": speeds,
        "fmax_kind": first["fmax_kind"],
        "clock_mhz": first["clock_mhz"],
        "latency_cycles": latency,
        "interval_cycles": interval,
        "step_ns": round(latency * 1000 / middle, 2) if middle else None,
        "steps_per_second": round(middle * 1e6 / interval) if middle else None,
        **{name: first[name] for name in ("lut", "lutram", "ff", "dsp", "bram", "capacity", "notes", "tools")},
        "critical_path": typical["critical_path"]["summary"],
    }


def network_summary(
    network: LookupNetwork, device: str, seeds: Sequence[int], progress: Progress, **options: Any
) -> Result:
    """A network on a device: :func:`build_summary` of a build with every seed; ``options`` are those of
    :func:`kanrtl.build.build_network`."""
    reports = [build_network(network, device, seed=seed, progress=progress, **options).to_json() for seed in seeds]
    return {"device": device, "seeds": list(seeds), **build_summary(reports)}
