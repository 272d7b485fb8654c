"""Every row that is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from kanrtl import LearnerSpec
from kanrtl.boards import BOARDS
from kanrtl.build import build_exercise, build_learner
from kanrtl.sim import TASKS
from kanrtl.simulate import simulate

Progress = Callable[[str], None]
Result = dict[str, Any]

SEEDS = (1, 2, 3, 4, 5)
"""Of nextpnr: placement is luck, so every figure about speed is a median of these."""

# The reference paper's function tracking, and this project's standard of comparison.
T: dict[str, Any] = {
    "layer_sizes": [1, 1],
    "grid_range": [-2, 2],
    "grid_size": 5,
    "spline_order": 3,
    "learning_rate": 0.3,
}


@dataclass(frozen=True)
class Row:
    """One measurement: ``measure`` gives what goes into ``results/<name>.json``."""

    name: str
    title: str
    measure: Callable[[Progress], Result]


def core(name: str, title: str, device: str, fields: dict[str, Any], seeds: tuple[int, ...] = SEEDS) -> Row:
    """A learner alone on a device, a register on every port: so the way of a sample into its register is timed too."""

    def measure(progress: Progress) -> Result:
        spec = LearnerSpec(**fields)
        reports = [
            build_learner(spec, device, seed=seed, register_ports=True, progress=progress).to_json() for seed in seeds
        ]
        return {"spec": spec.to_dict(), "device": device, "seeds": list(seeds), **_summary(reports)}

    return Row(name, title, measure)


def on_board(name: str, title: str, fields: dict[str, Any]) -> Row:
    """A board that teaches itself, at its own clock; row ``board-NAME``."""

    def measure(progress: Progress) -> Result:
        board = BOARDS[name.removeprefix("board-")]
        spec = LearnerSpec(**fields)
        report = build_exercise(spec, board, progress=progress).to_json()
        return {"spec": spec.to_dict(), "device": board.device, "seeds": [1], **_summary([report])}

    return Row(name, title, measure)


def track(name: str, title: str, fields: dict[str, Any], backend: str) -> Row:
    """The task ``track``, 1500 samples, seed 0."""

    def measure(progress: Progress) -> Result:
        progress("simulating")
        simulation = simulate(LearnerSpec(**fields), TASKS["track"](1500, 0), backend)
        return {"spec": fields, **simulation.to_json()}

    return Row(name, title, measure)


def _summary(reports: list[dict[str, Any]]) -> Result:
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


# As T, with the gradient as wide as an error can be, so that it needs no saturation; 17 bits suit an ECP5's multiplier.
T_ECP5 = T | {"gradient_format": "SQ(7, 10)"}
TWO_LAYERS = T_ECP5 | {"layer_sizes": [2, 4, 1], "pipeline": "low_latency"}
T8_ECP5 = T_ECP5 | {"grid_size": 8}

ROWS: list[Row] = [
    track("track", "function tracking on the RTL", T, "pysim"),
    core("t-single", "T, one clock", "LFE5U-85F-6", T_ECP5 | {"pipeline": "single"}),
    core("t-single-8", "T, one clock", "LFE5U-85F-8", T_ECP5 | {"pipeline": "single"}),
    core("t8-single", "T with 8 cells, one clock", "LFE5U-85F-6", T8_ECP5 | {"pipeline": "single"}),
    core("t8-single-8", "T with 8 cells, one clock", "LFE5U-85F-8", T8_ECP5 | {"pipeline": "single"}),
    core("t-low-latency", "T, low_latency", "LFE5U-85F-6", T_ECP5 | {"pipeline": "low_latency"}),
    core("t-high-clock", "T, high_clock", "LFE5U-85F-6", T_ECP5 | {"pipeline": "high_clock"}),
    core("t-up5k", "T, high_clock", "iCE40UP5K", T),
    core("two-layers", "layers [2, 4, 1], low_latency", "LFE5U-85F-6", TWO_LAYERS, seeds=(1, 2, 3)),
    on_board("board-ulx3s-85f", "T on a ULX3S", T),
    on_board("board-icebreaker", "T on an iCEBreaker", T),
]
