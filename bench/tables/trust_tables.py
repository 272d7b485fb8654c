"""The ledger of the campaign, ``results/campaign.json``, added up over its runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..stored import result
from .markdown import table

WORKS = ("build", "simulate", "sweep", "save")


def campaign() -> str:
    """What was compared, how often, and how often it was wrong."""
    runs: list[dict[str, Any]] = result("campaign")["runs"]
    kinds = {kind: [run for run in runs if run["kind"] == kind] for kind in {run["kind"] for run in runs}}
    rows: list[list[str]] = []

    def add(what: str, count: int, wrong: int | str) -> None:
        if count:
            rows.append([what, f"{count:,}", str(wrong)])

    random = _sum(kinds.get("random", []))
    add("learners on `native` beside the model", random["learners"], random["mismatches"])
    add("of these on `pysim` too", random["learners pysim"], "")
    add("networks on `native` beside the model", random["networks"], "")
    add("of these on `pysim` too", random["networks pysim"], "")
    netlists = _sum(kinds.get("netlists", []))
    add("netlists for ECP5", netlists["netlists ecp5"], netlists["mismatches"])
    add("netlists for iCE40", netlists["netlists ice40"], "")
    bitstreams = _sum(kinds.get("bitstreams", []))
    add("bitstreams for iCE40", bitstreams["bitstreams"], bitstreams["mismatches"])
    readers = kinds.get("readers", [])
    files = sum((Counter(run["files"]) for run in readers), Counter[str]())
    for reader, count in files.items():
        own = [run for run in readers if reader in run["files"]]
        peak = max(run["peak_mb"] for run in own)
        # A run of several readers counts its failures together.
        add(f"damaged files, {reader}; peak of memory {peak} MB", count, sum(run["failures"] for run in own))
    kills = _sum(kinds.get("kills", []))
    for work in WORKS:
        count = sum(number for name, number in kills.items() if name.split()[0] == work)
        add(f"kills of `{work}`", count, "")
    if kills:
        add("whole runs after kills", kills["whole runs"], kills["failures"])
    return table(["what", "how many", "differ or fail"], rows)


def _sum(runs: list[dict[str, Any]]) -> Counter[str]:
    """The figures of runs, added."""
    total: Counter[str] = Counter()
    for run in runs:
        total.update({name: figure for name, figure in run.items() if isinstance(figure, int)})
    return total
