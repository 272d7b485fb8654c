"""Learners that were built, and what is estimated of them."""

from __future__ import annotations

from typing import Any

from ..fit import rows_built
from ..rows import ROWS
from ..stored import PEERS, result
from .markdown import speed, table, used

BUILDS = (
    "t-no-registers",
    "t-no-registers-8",
    "t8-no-registers",
    "t-logic",
    "t8-logic",
    "t8-logic-8",
    "t-few-registers",
    "t-most-registers",
    "t-all-registers",
    "t-up5k",
    "two-layers",
    "board-ulx3s-85f",
    "board-icebreaker",
)

SCHEDULES = (
    "t-streaming",
    "t-streaming-up5k",
    "amplifier-streaming",
    "t-shared",
    "two-layers-folded",
    "smallest-hx1k",
)

SCALE = ("large", "largest-85f", "largest-25f", "largest-up5k", "largest-hx8k", "largest-hx1k")


def builds() -> str:
    rows = [
        [
            peer["name"],
            peer["device"],
            peer["cycles"],
            peer["speed"],
            peer["step"],
            peer["lut"],
            peer["ff"],
            peer["dsp"],
            peer["memory"],
            "",
        ]
        for peer in PEERS["builds"]
    ]
    for name in BUILDS:
        data = result(name)
        rows.append(
            [
                f"**{data['title']}**",
                data["device"],
                str(data["latency_cycles"]),
                speed(data),
                f"**{data['step_ns']:.1f} ns**",
                *used(data),
                f"`{name}`",
            ]
        )
    header = ["one learning step", "device", "cycles", "clock", "time", "LUT", "FF", "DSP", "memory", "row"]
    return table(header, rows)


def schedules() -> str:
    rows = []
    for name in SCHEDULES:
        data = result(name)
        rows.append(
            [
                f"**{data['title']}**",
                data["device"],
                speed(data),
                f"{data['latency_cycles']}, {data['interval_cycles']}",
                f"{data['step_ns']:.1f} ns",
                f"**{data['steps_per_second'] / 1e6:.1f} M**",
                *used(data),
                f"`{name}`",
            ]
        )
    header = ["", "device", "clock", "cycles: latency, interval", "latency", "steps a second"]
    return table([*header, "LUT", "FF", "DSP", "memory", "row"], rows)


def coefficients(spec: dict[str, Any]) -> int:
    """How many a learner of one layer has."""
    inputs, outputs = spec["layer_sizes"]
    return int(inputs * outputs * (spec["grid_size"] + spec["spline_order"]))


def scale() -> str:
    rows = []
    for name in SCALE:
        data = result(name)
        spec = data["spec"]
        inputs, outputs = spec["layer_sizes"]
        rows.append(
            [
                f"**{coefficients(spec):,}**",
                f"[{inputs}, {outputs}], {spec['grid_size']} cells",
                data["device"],
                data["title"],
                str(data["latency_cycles"]),
                speed(data),
                f"**{data['step_ns']:.0f} ns**",
                *(f"{data[kind]} of {data['capacity'][kind]}" for kind in ("lut", "dsp", "bram")),
                f"`{name}`",
            ]
        )
    header = ["coefficients", "layers", "device", "", "cycles", "clock", "time", "LUT", "DSP", "memory blocks", "row"]
    return table(header, rows)


def estimates() -> str:
    """What the estimate says of the learners that were built, beside what they take."""
    rows = []
    for build in rows_built():
        found, built = build.spec.estimate(build.device), build.measured
        exact = {name: f"{getattr(found, name)} / {built[name]}" for name in ("dsp", "bram", "lutram")}
        cycles = f"{found.latency} / {result(build.name)['latency_cycles']}"
        error = f"{100 * (found.lut / built['lut'] - 1):+.0f} %"
        lut, ff = (f"{getattr(found, name)} / {built[name]}" for name in ("lut", "ff"))
        rows.append(
            [ROWS[build.name].title, build.device, lut, f"**{error}**", ff, *exact.values(), cycles, f"`{build.name}`"]
        )
    header = ["estimate / build", "device", "LUT", "error", "FF", "DSP", "memory blocks", "LUTs as memory", "cycles"]
    return table([*header, "row"], rows)


def summary() -> str:
    """What README.md shows of builds: the fastest step, the most steps, the smallest chip, the most coefficients, and a
    learner that was frozen."""
    words = (
        ("t-no-registers", "learns, a step in one cycle"),
        ("t-streaming", "learns, a sample every cycle"),
        ("t-up5k", "learns, on a small chip"),
        ("large", f"learns, {coefficients(result('large')['spec']):,} coefficients"),
        ("frozen-t8", "predicts what was learned, frozen"),
    )
    rows = []
    for name, what in words:
        data = result(name)
        device = data["device"].removesuffix("-6")
        rate = f"{data['steps_per_second'] / 1e6:.1f} million"
        used = [str(data[kind]) for kind in ("lut", "dsp")]
        rows.append([what, device, f"**{data['step_ns']:.1f} ns**", rate, *used, f"`{name}`"])
    return table(["", "device", "latency", "samples a second", "LUT", "DSP", "row"], rows)
