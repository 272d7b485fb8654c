"""What the pages show of plants: every method beside the others, and how large and fast each is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAMES = {
    "none": "none",
    "kan": "KAN",
    "nlms": "NLMS",
    "polynomial": "polynomial LMS",
    "mlp": "MLP",
}

TRACKERS = {
    "kan": ("KAN, 5 cells", "t-stochastic"),
    "polynomial-5": ("polynomial LMS, degree 5", "track-polynomial-5"),
    "mlp-2": ("MLP, 2 hidden nodes", "track-mlp-2"),
    "mlp-8": ("MLP, 8 hidden nodes", "track-mlp-8"),
    "mlp-16": ("MLP, 16 hidden nodes", ""),
}
"""What each method on ``track`` is called, and the row that has built it."""


def _read(folder: Path, name: str) -> Any:
    path = folder / f"{name}.json"
    return json.loads(path.read_text()) if name and path.exists() else None


def _built(core: Any) -> list[str]:
    """LUTs, multipliers and nanoseconds of a step; dashes for what has not been placed and routed."""
    return [str(core["lut"]), str(core["dsp"]), f"{core['step_ns']:.1f}"] if core else ["-"] * 3


def plant_rows(folder: Path, plants: list[str]) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table of plants; the least error of a plant after adaptation is bold."""
    rows = []
    for plant in plants:
        data = _read(folder, f"plant-{plant}")
        if data is None:
            rows.append([plant, "not measured", *["-"] * 8])
            continue
        least = min(method["adapted"] for method in data["methods"])
        for method in data["methods"]:
            adapted = f"{method['adapted']:.3g}"
            name = NAMES[method["method"]] + (", float64" if "float64" in method["name"] else "")
            microseconds = method["recovery_us"]
            settles = method["method"] != "none"
            core = None if "float64" in method["name"] else _read(folder, f"plant-{plant}-{method['method']}")
            rows.append(
                [
                    f"{plant}, {data['unit']}",
                    name,
                    f"**{adapted}**" if method["adapted"] == least else adapted,
                    f"{method['drifting']:.3g}",
                    f"{method['recovery_samples']:.0f}" if settles else "-",
                    f"{microseconds:,.0f}" if settles else "-",
                    f"{method['cycle_ns']:.0f}{'' if method['clock_measured'] or not settles else ' (assumed)'}",
                    *_built(core),
                ]
            )
    head = ["plant, error in", "method", "adapted", "drifting", "samples to recover", "µs to recover", "ns a cycle"]
    return [*head, "LUT", "DSP", "ns a step"], rows


def track_rows(folder: Path) -> tuple[list[str], list[list[str]]]:
    """Head and lines of the table of ``track``; the least error over the whole run is bold."""
    methods = _read(folder, "track-baselines")["methods"]
    least = min(method["mse"]["all"] for method in methods)
    rows = []
    for method in methods:
        name, row = TRACKERS[method["name"]]
        errors = [f"{value:.2g}" for value in method["mse"].values()]
        if method["mse"]["all"] == least:
            errors[-1] = f"**{errors[-1]}**"
        rows.append([name, f"{method['learning_rate']:g}", *errors, *_built(_read(folder, row))])
    head = ["method", "rate", "regime 1", "regime 2", "regime 3", "whole run"]
    return [*head, "LUT", "DSP", "ns a step"], rows
