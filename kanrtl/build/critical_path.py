"""The critical path of a design, in words and with the lines of Python that it comes from."""

from collections.abc import Iterable
from typing import Any

from ..fabric.cell import Cell
from ..fabric.primitives import name_primitive
from .netlist import Netlist, find_python

_CARRY_PORTS = {"FCI", "FCO", "CIN", "COUT"}


def critical_path(nextpnr: dict[str, Any], clock: str, netlist: Netlist, *, whole: bool) -> dict[str, Any]:
    """The longest path from register to register of ``clock``, as in :attr:`Report.critical_path`.

    ``nextpnr`` is its report; the dictionary is empty where there is no such path. Unless nextpnr has timed the
    ``whole`` design, it is only the longest of those that it has.
    """
    paths = [
        path
        for path in nextpnr["critical_paths"]
        if clock and path["from"].endswith(f" {clock}") and path["to"].endswith(f" {clock}")
    ]
    if not paths:
        return {}
    hops = _merge_carries(list(_hops(paths[0]["path"], netlist)))
    total = sum(hop["delay_ns"] for hop in hops)
    routing = sum(hop["delay_ns"] for hop in hops if hop["kind"] == "routing")
    for hop in hops:
        hop["delay_ns"] = round(hop["delay_ns"], 3)
    return {
        "summary": ("" if whole else "longest path that is timed: ") + _summary(hops, total, routing),
        "delay_ns": round(total, 3),
        "routing_ns": round(routing, 3),
        "hops": hops,
    }


def _hops(path: list[dict[str, Any]], netlist: Netlist) -> Iterable[dict[str, Any]]:
    for number, step in enumerate(path):
        carry = bool({step["from"]["port"], step["to"]["port"]} & _CARRY_PORTS)
        routing = step["type"] == "routing" and not carry
        # A net is named after what drives it, so a cell comes from the same line as the net after it.
        after = path[number + 1] if step["type"] != "routing" and number + 1 < len(path) else step
        cell = netlist.find(step["to"]["cell"])
        source = find_python(after.get("sources", ())) or (cell.source if cell and not routing else None)
        word = "wire" if routing else "carry chain" if carry else _cell_word(step, cell)
        kind = "routing" if routing else "logic"
        yield {"kind": kind, "cell": word, "delay_ns": float(step["delay"]), "source": source}


def _cell_word(step: dict[str, Any], cell: Cell | None) -> str:
    """What a hardware designer calls the cell of a logic hop."""
    kind = cell.kind if cell else "TRELLIS_RAMW" if "RAMW" in step["to"]["cell"] else "LUT4"
    word = name_primitive(kind)
    # A logic cell holds a LUT and a flip-flop under one name; a path begins and ends in the latter.
    return "register" if word in ("LUT", "adder") and step["type"] in ("clk-to-q", "setup") else word


def _merge_carries(hops: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make one hop of every run along a carry chain."""
    merged: list[dict[str, Any]] = []
    for hop in hops:
        if merged and merged[-1]["cell"] == hop["cell"] == "carry chain":
            merged[-1]["delay_ns"] += hop["delay_ns"]
            merged[-1]["source"] = merged[-1]["source"] or hop["source"]
        else:
            merged.append(dict(hop))
    return merged


def _summary(hops: list[dict[str, Any]], total: float, routing: float) -> str:
    """One sentence: where the time goes, and through what."""
    steps: list[list[Any]] = []  # cell, line of source, how many alike in a row
    for hop in hops:
        if hop["kind"] == "routing" or (hop["delay_ns"] == 0 and hop is not hops[-1]):
            continue
        line = hop["source"].rpartition("/")[2] if hop["source"] else ""
        if steps and steps[-1][:2] == [hop["cell"], line]:
            steps[-1][2] += 1
        else:
            steps.append([hop["cell"], line, 1])
    words = [
        cell + (f" x{number}" if number > 1 else "") + (f" ({line})" if line else "") for cell, line, number in steps
    ]
    share = 100 * routing / total if total else 0.0
    return f"{total:.1f} ns: {share:.0f}% routing, {' -> '.join(words)}"
