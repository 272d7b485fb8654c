"""What the builds of one design with several seeds come to: placement is luck, so a speed is a median."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from .report import Report

__all__ = ["summarise_seeds", "table_of_seeds"]


def summarise_seeds(reports: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Median and spread of what placement changes; the rest is the same for every seed.

    Parameters
    ----------
    reports
        Of :meth:`Report.to_json`, one for each seed.
    """
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


def table_of_seeds(reports: Sequence[Report]) -> list[tuple[str, str]]:
    """Label and value of everything that a person wants to see, in order."""
    summary = summarise_seeds([report.to_json() for report in reports])
    speeds = [speed for speed in summary["fmax_mhz_by_seed"] if speed is not None]
    spread = f"{min(speeds):.1f} to {max(speeds):.1f}" if speeds else ""
    kind = "" if summary["fmax_kind"] == "measured" else f" ({summary['fmax_kind']})"
    changed = {
        "device": f"{reports[0].device}, seeds {', '.join(str(report.seed) for report in reports)}",
        "fmax": f"{summary['fmax_mhz']:.1f} MHz{kind}, the median of {spread}" if speeds else "unknown",
        "clock asked for": f"{summary['clock_mhz']:g} MHz",
        "one step": f"{summary['step_ns']:g} ns" if speeds else "",
        "critical path": summary["critical_path"],
    }
    return [(name, changed.get(name, value)) for name, value in reports[0].table()]
