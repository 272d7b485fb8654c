"""What every measurement has in common."""

from __future__ import annotations

import tomllib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from kanrtl import LearnerSpec, LookupNetwork, __version__
from kanrtl.build import build_network

__all__ = ["Family", "LearnerRow", "Progress", "Result", "Row", "build_summary", "network_summary", "seed_options"]

Progress = Callable[[str], None]
Result = dict[str, Any]


SPECS = Path(__file__).parent / "specs"
"""Holds the spec of every row that measures a learner."""


@dataclass(frozen=True)
class Row(ABC):
    """One measurement, which goes into ``results/<name>.json``."""

    name: str
    title: str

    @property
    def commands(self) -> tuple[str, ...]:
        """The command lines that give the figures again, from the top of the repository."""
        return (f"python -m bench {self.name}",)

    @property
    def needs(self) -> str:
        """What the commands need that is not in the repository; empty if nothing."""
        return ""

    @property
    def obstacle(self) -> str | None:
        """Why it cannot be measured here, for want of what it needs; None where it can."""
        return None

    def run(self, progress: Progress) -> Result:
        """Everything there is to know about the measurement."""
        result = self.measure(progress)
        tools = {"amaranth": version("amaranth"), **result.pop("tools", {})}
        about: Result = {"row": self.name, "title": self.title, "commands": list(self.commands)}
        about |= {"needs": self.needs} if self.needs else {}
        return {**about, "kanrtl": __version__, **result, "tools": tools}

    @abstractmethod
    def measure(self, progress: Progress) -> Result:
        """The figures."""


@dataclass(frozen=True)
class LearnerRow(Row):
    """A measurement of one learner, whose spec is ``specs/<name>.toml``."""

    @property
    def spec_file(self) -> str:
        """The file with the spec, from the top of the repository."""
        return (SPECS / f"{self.name}.toml").relative_to(SPECS.parents[1]).as_posix()

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the spec that are given."""
        return tomllib.loads((SPECS / f"{self.name}.toml").read_text())

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


def seed_options(seeds: Sequence[int]) -> list[str]:
    """The options of ``kanrtl build`` that name seeds that follow each other."""
    first, last = seeds[0], seeds[-1]
    return ["--seed", str(first)] if first == last else ["--seeds", f"{first}-{last}"]


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
