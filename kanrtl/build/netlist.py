"""A flat netlist, as yosys writes it."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..fabric.cell import Cell
from ..fabric.primitives import name_primitive


@dataclass(frozen=True)
class Netlist:
    """A flat module.

    Attributes
    ----------
    named : dict
        The cells by their names.
    input_bits, output_bits : set of int
        The nets at the ports of the module, without those of clock and reset.
    """

    named: dict[str, Cell]
    input_bits: set[int]
    output_bits: set[int]

    @property
    def cells(self) -> Iterable[Cell]:
        """All of them, without their names."""
        return self.named.values()

    def count(self, primitive: str) -> int:
        """The number of cells that are such a ``primitive``, such as ``block memory``."""
        return sum(name_primitive(cell.kind) == primitive for cell in self.cells)

    def find(self, name: str) -> Cell | None:
        """The cell that nextpnr calls ``name``: it appends to yosys' names where it packs cells."""
        return self.named.get(name) or self.named.get(re.sub(r"(\$[A-Z].*|_(DFF)?LC)$", "", name))


def read_netlist(path: Path, top: str) -> Netlist:
    """The module ``top`` in the file at ``path``."""
    return parse_netlist(json.loads(path.read_text()), top)


def parse_netlist(design: dict[str, Any], top: str) -> Netlist:
    """The module ``top`` of ``design``, which is what ``write_json`` of yosys has written."""
    module = design["modules"][top]
    cells = {}
    for name, entry in module["cells"].items():
        directions = entry["port_directions"]
        cells[name] = Cell(
            entry["type"],
            entry["parameters"],
            {port: bits for port, bits in entry["connections"].items() if directions[port] != "output"},
            {port: bits for port, bits in entry["connections"].items() if directions[port] == "output"},
            find_python(str(entry.get("attributes", {}).get("src", "")).split("|")),
        )
    # Reset arrives slowly by nature, and the clock is no data.
    ports = {name: port for name, port in module["ports"].items() if name not in ("clk", "rst")}
    bits = {
        direction: {
            bit
            for port in ports.values()
            if port["direction"] == direction
            for bit in port["bits"]
            if isinstance(bit, int)
        }
        for direction in ("input", "output")
    }
    return Netlist(cells, bits["input"], bits["output"])


def find_python(sources: Iterable[str]) -> str | None:
    """The first of ``sources`` that is a line of Python; the others are in the tools' own libraries."""
    return next((source for source in sources if source.partition(":")[0].endswith(".py")), None)


def cut_unused_carries(path: Path, top: str) -> None:
    """Disconnect every carry output of a CCU2C (ECP5) in the file at ``path`` that nothing takes, and every constant
    carry input that its cell does not look at (yosys connects what was left open).

    nextpnr would spend two LUTs at either end of each carry chain to bring the carry in and out. The file is written
    only if there is one.
    """
    design = json.loads(path.read_text())
    module = design["modules"][top]
    taken = {bit for port in module["ports"].values() for bit in port["bits"]}
    for cell in module["cells"].values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                taken.update(bits)
    adders = [cell for cell in module["cells"].values() if cell["type"] == "CCU2C"]
    unused = [(cell, "COUT") for cell in adders if taken.isdisjoint(cell["connections"]["COUT"])]
    unused += [(cell, "CIN") for cell in adders if _ignores_carry(cell, taken)]
    for cell, port in unused:
        cell["connections"][port] = ["x"]
    if unused:
        path.write_text(json.dumps(design))


def _ignores_carry(cell: dict[str, Any], taken: set[int | str]) -> bool:
    """Tell whether neither the carry out of a CCU2C nor a sum that is taken depends on its constant carry input.

    The carry of its first half is what comes in where a LUT is high, which with the input D high is so by no row of the
    upper half; else it is what the LUT's first four rows say of A and B (Project Trellis; yosys' ``cells_sim.v``).
    """
    connections, parameters = cell["connections"], cell.get("parameters", {})
    return (
        connections["CIN"][0] in ("0", "1")
        and connections.get("D0") == ["1"]
        and parameters.get("INJECT1_0") == "NO"
        and int(parameters["INIT0"], 2) >> 8 == 0
        and taken.isdisjoint(connections.get("S0", []))
    )


def remove_ports(path: Path, top: str) -> None:
    """Remove every port but the clock from ``top`` in the file at ``path``."""
    design = json.loads(path.read_text())
    ports = design["modules"][top]["ports"]
    design["modules"][top]["ports"] = {name: port for name, port in ports.items() if name == "clk"}
    path.write_text(json.dumps(design))
