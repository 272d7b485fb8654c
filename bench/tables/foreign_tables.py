"""What foreign tools say of what is written."""

from __future__ import annotations

from collections.abc import Sequence

from kanrtl.bus.register_map import RegisterMap
from kanrtl.bus.writers import DescribedMap
from kanrtl.bus.writers.map_table import write_markdown
from kanrtl.cli.learner_commands import DEMO_SPEC

from .. import compatibility as bench_compatibility
from .. import shells as bench_shells
from .. import stored
from ..stored import result
from .markdown import table


def compatibility() -> str:
    """Every kind of file by every foreign tool: yes, or why not."""
    return _verdicts([row.name for row in bench_compatibility.FAMILY.rows])


def shells() -> str:
    """Every core behind a bus by every foreign tool: yes, or why not."""
    return _verdicts([row.name for row in bench_shells.FAMILY.rows])


def socs() -> str:
    """A learner in a SoC, placed and routed."""
    data = result("litex-ulx3s")
    clock = f"{data['fmax_mhz']:.1f} / {data['clock_mhz']:g} MHz"
    sizes = [str(data[name]) for name in ("lut", "ff", "dsp", "bram")]
    tools = ", ".join(f"{name} {version}" for name, version in data["tools"].items() if name != "amaranth")
    row = [data["title"], *sizes, clock, f"`{data['row']}`"]
    head = ["what", "LUT", "FF", "DSP", "memory blocks", "clock, and that of the board", "row"]
    return f"{table(head, [row])}\n\n{tools}."


def _verdicts(names: Sequence[str]) -> str:
    """What tools say of the files of some rows, of those that have been measured."""
    data = [result(name) for name in names if (stored.RESULTS / f"{name}.json").is_file()]
    if not data:
        return "None of these rows has been measured with this version yet."
    tools = list(dict.fromkeys(tool for one in data for tool in one["verdicts"] if ", " not in tool))
    # Both yosys at one flow share a cell where they agree, or where only one was asked.
    flows = list(dict.fromkeys(tool.partition(", ")[0] for one in data for tool in one["verdicts"] if ", " in tool))
    rows = []
    for one in data:
        verdicts = one["verdicts"]
        cells = [verdicts.get(tool, "") for tool in tools]
        for flow in flows:
            said = {name: verdicts.get(f"{flow}, {name.lower()}") for name in ("native", "YoWASP")}
            said = {name: verdict for name, verdict in said.items() if verdict is not None}
            differ = len(set(said.values())) > 1
            cells.append(
                "; ".join(f"{name}: {verdict}" for name, verdict in said.items())
                if differ
                else next(iter(said.values()))
            )
        rows.append([one["title"], str(one["samples"] or ""), *cells, f"`{one['row']}`"])
    versions = {name: version for one in data for name, version in one["tools"].items() if name != "amaranth"}
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return (
        table(["what is in the file", "samples", *(f"`{name}`" for name in (*tools, *flows)), "row"], rows)
        + f"\n\n{told}."
    )


def registers() -> str:
    """The register map of the learner that ``kanrtl spec`` writes, behind Wishbone."""
    map = RegisterMap.of(DEMO_SPEC, streams=False)
    text = write_markdown(DescribedMap(map, "learner", 0, "Registers of a learner behind Wishbone"))
    return text.partition("\n\n")[2].rstrip()  # without the title
