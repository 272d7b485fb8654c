"""Netlists beside the model, and bits of bitstreams that were inverted."""

from __future__ import annotations

from .. import stored
from ..stored import result
from .markdown import table


def _measured(family: str) -> list[str]:
    """The names of a family's rows that have been measured."""
    from ..rows import FAMILIES  # they need what these tables need

    (rows,) = (one.rows for one in FAMILIES if one.name == family)
    return [row.name for row in rows if (stored.RESULTS / f"{row.name}.json").is_file()]


def netlists() -> str:
    """Every netlist that was simulated beside the model."""
    rows = []
    for name in [*_measured("netlists"), *_measured("network-netlists")]:
        data = result(name)
        cells = ", ".join(f"{count} {kind}" for kind, count in data["cells"].items())
        count = f"{len(data['networks'])} networks, " if "networks" in data else ""
        equal = "equal" if data["matches"] else "differs"
        rows.append([data["title"], data["device"], f"{count}{data['samples']:,}", cells, equal, f"`{name}`"])
    return table(["netlist", "device", "samples", "cells", "beside the model", "row"], rows)


def inverted_bits() -> str:
    """How many inverted bits of bitstreams were found, and why others were not."""
    rows = []
    for name in _measured("bitstreams"):
        data = result(name)
        inverted, found = data["inverted"], data["found"]
        whole = sum(inverted.values())
        shares = [f"{found.get(kind, 0)} of {count}" for kind, count in inverted.items()]
        simulated = f"{data['found_by'].get('simulation', 0) / whole:.0%}"
        share = f"{sum(found.values()) / whole:.0%}"
        beside = [str(sum(data[why].values())) for why in ("unreachable", "not_chosen")]
        rows.append([data["title"], *shares, share, simulated, *beside, f"`{name}`"])
    if not rows:
        return "None of these rows has been measured with this version yet."
    headings = ["bitstream", "tables", "memories", "found", "without the proof", "unreachable", "not chosen", "row"]
    return table(headings, rows)
