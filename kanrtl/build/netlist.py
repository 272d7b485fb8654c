"""A flat netlist, as yosys writes it."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Cell", "Netlist", "cut_unused_carries", "parse_netlist", "python_place", "read_netlist", "remove_ports"]

_SEQUENTIAL = re.compile(
    r"TRELLIS_FF|DP16KD|PDPW16KD|SB_DFF\w*|SB_RAM\w*|SB_SPRAM\w*|EHXPLLL|SB_PLL\w*|DCCA|SB_GB|"
    r"SB_[HL]FOSC|OSCG"
)


@dataclass(frozen=True)
class Cell:
    """A primitive of the device.

    Attributes
    ----------
    kind : str
        Its type, such as ``LUT4``.
    parameters : dict
        As yosys writes them.
    inputs, outputs : dict
        Nets at every port, by number; constants are text.
    place : str or None
        The line of Python that it comes from.
    """

    kind: str
    parameters: dict[str, str]
    inputs: dict[str, list[Any]]
    outputs: dict[str, list[Any]]
    place: str | None

    @property
    def sequential(self) -> bool:
        """Whether no path goes through it; what depends on its parameters is not counted."""
        return _SEQUENTIAL.fullmatch(self.kind) is not None

    def flag(self, name: str) -> bool:
        """Whether any bit of the parameter ``name`` is set."""
        return "1" in str(self.parameters.get(name, "0"))

    def bits(self, ports: Iterable[str] | None = None) -> Iterable[int]:
        """Nets at the inputs; constants are no nets."""
        names = self.inputs if ports is None else [name for name in self.inputs if name in ports]
        return (bit for name in names for bit in self.inputs[name] if isinstance(bit, int))

    @property
    def output_bits(self) -> Iterable[int]:
        """Nets at the outputs."""
        return (bit for bits in self.outputs.values() for bit in bits if isinstance(bit, int))


@dataclass(frozen=True)
class Netlist:
    """The cells by their names, and the nets at the ports of the design, those of clock and reset left out."""

    named: dict[str, Cell]
    input_bits: set[int]
    output_bits: set[int]

    @property
    def cells(self) -> Iterable[Cell]:
        """All of them, without their names."""
        return self.named.values()

    def count(self, wanted: Callable[[str], bool]) -> int:
        """The number of cells of the kinds that are ``wanted``."""
        return sum(wanted(cell.kind) for cell in self.cells)

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
        direction = entry["port_directions"]
        cells[name] = Cell(
            entry["type"],
            entry["parameters"],
            {port: bits for port, bits in entry["connections"].items() if direction[port] != "output"},
            {port: bits for port, bits in entry["connections"].items() if direction[port] == "output"},
            python_place(str(entry.get("attributes", {}).get("src", "")).split("|")),
        )
    # Reset arrives slowly by nature, and the clock is no data.
    ports = {name: port for name, port in module["ports"].items() if name not in ("clk", "rst")}
    bits = {
        way: {
            bit for port in ports.values() if port["direction"] == way for bit in port["bits"] if isinstance(bit, int)
        }
        for way in ("input", "output")
    }
    return Netlist(cells, bits["input"], bits["output"])


def python_place(places: Iterable[str]) -> str | None:
    """The first of ``places`` that is Python; the others are in the tools' own libraries."""
    return next((place for place in places if place.partition(":")[0].endswith(".py")), None)


def cut_unused_carries(path: Path, top: str) -> None:
    """Disconnect every carry output of a CCU2C in the file at ``path`` that nothing takes.

    nextpnr would spend two LUTs at the end of each carry chain to bring the carry out of it.
    """
    design = json.loads(path.read_text())
    module = design["modules"][top]
    taken = {bit for port in module["ports"].values() for bit in port["bits"]}
    for cell in module["cells"].values():
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] != "output":
                taken.update(bits)
    for cell in module["cells"].values():
        if cell["type"] == "CCU2C" and taken.isdisjoint(cell["connections"]["COUT"]):
            cell["connections"]["COUT"] = ["x"]
    path.write_text(json.dumps(design))


def remove_ports(path: Path, top: str) -> None:
    """Remove every port but the clock from ``top`` in the file at ``path``."""
    design = json.loads(path.read_text())
    ports = design["modules"][top]["ports"]
    design["modules"][top]["ports"] = {name: port for name, port in ports.items() if name == "clk"}
    path.write_text(json.dumps(design))
