"""What the pages show of guards."""

from __future__ import annotations

from typing import Any

from ..guards import FAMILY, BitFlips, FaultRow, HealthyRow
from ..stored import RESULTS, load
from .markdown import table

__all__ = ["guard_faults", "guard_flips", "healthy_plants"]


def _measured(kind: type) -> list[dict[str, Any]]:
    """The results of the rows of a kind that have been measured."""
    names = [row.name for row in FAMILY.rows if isinstance(row, kind)]
    return [load(RESULTS, name) for name in names if (RESULTS / f"{name}.json").exists()]


def guard_faults() -> str:
    """Every fault: when it is seen and restored, and the error with a guard and without."""
    rows = []
    for data in _measured(FaultRow):
        errors = data["errors"]
        rows.append(
            [
                data["signature"],
                f"{data['plant']}: {data['about']}",
                str(data["seen_after"]),
                str(data["restored_after"]),
                f"{errors['before']:.3g} {data['unit']}",
                f"{data['bound']:.3g}",
                f"{errors['alone']:.3g}",
                f"{errors['guarded']:.3g}",
            ]
        )
    head = ["fault", "provoked by", "periods until seen", "then until restored", "error before", "bound"]
    return table([*head, "without a guard", "with it"], rows)


def healthy_plants() -> str:
    """False alarms on plants that are healthy."""
    rows = [
        [data["plant"], f"{data['samples']:,}", f"{data['guard']['error']:g}", str(sum(data["alarms"].values()))]
        for data in _measured(HealthyRow)
    ]
    return table(["plant", "samples", "limit of the mean error", "false alarms"], rows)


def guard_flips() -> str:
    """Errors after a bit has flipped, by samples since."""
    rows: list[list[str]] = []
    results = _measured(BitFlips)
    if not results:
        return "Not measured yet."
    for data in results:
        for name, title in (("alone", "no"), ("guarded", "yes")):
            found = data[name]
            rows.append(
                [
                    f"{data['learning_rate']:g}",
                    title,
                    *(f"{error:.4f}" for error in found["errors"]),
                    f"{found['settled']:.4f}",
                    f"{100 * found['seen'] / data['trials']:.1f} %" if name == "guarded" else "-",
                ]
            )
    spans = results[0]["spans"]
    return table(["rate", "guard", *(f"{a} to {b}" for a, b in spans), "typical at the end", "seen"], rows)
