"""A netlist with the places that nextpnr has found for it: what a bitstream, read back into logic, is compared with."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..fabric.cell import Cell
from .netlist import parse_netlist

__all__ = ["PLACED_NAME", "PlacedNetlist"]

PLACED_NAME = "placed.json.gz"
"""The file beside a bitstream."""

_SITE = re.compile(r"X(\d+)/Y(\d+)/(?:lc(\d)|ram)")


@dataclass(frozen=True)
class PlacedNetlist:
    """A flat netlist of an iCE40 whose logic cells and memories have places.

    nextpnr packs a LUT, a carry and a flip-flop into a logic cell, under names of its own: which logic cell something
    has come into is known by the net that comes out there, whose name stays.

    Attributes
    ----------
    cells : dict
        The cells of the netlist by their names, as yosys has made them.
    logic, carries : dict
        The nets that come out of logic cells and out of their carries, by tile and number ``(x, y, lc)``.
    memories : dict
        The names of memories, by tile.
    pins : dict
        The nets at the chip's pins, by their names in its package.
    names : dict
        Names of the nets, for people.
    """

    cells: dict[str, Cell]
    logic: dict[tuple[int, int, int], int]
    carries: dict[tuple[int, int, int], int]
    memories: dict[tuple[int, int], str]
    pins: dict[str, int]
    names: dict[int, str]

    @classmethod
    def of(cls, netlist: dict[str, Any], placed: dict[str, Any], constraints: str, top: str) -> PlacedNetlist:
        """Put together a netlist, as yosys has written it for nextpnr, what nextpnr has written of it, and the
        constraints of its pins."""
        module, packed = netlist["modules"][top], placed["modules"][top]
        nets = {name: bit for bit, name in _name_bits(module) if isinstance(bit, int)}
        known = {bit: nets[name] for bit, name in _name_bits(packed) if name in nets}
        cells = parse_netlist(netlist, top).named
        # Where a carry leaves its chain, nextpnr adds a logic cell: its output is no more than a copy.
        copied = {net for cell in cells.values() if cell.kind == "SB_CARRY" for net in cell.outputs["CO"]}
        logic: dict[tuple[int, int, int], int] = {}
        carries: dict[tuple[int, int, int], int] = {}
        memories: dict[tuple[int, int], str] = {}
        for name, cell in packed["cells"].items():
            site = _SITE.fullmatch(cell["attributes"].get("NEXTPNR_BEL", ""))
            if site is None:
                continue
            x, y = int(site[1]), int(site[2])
            if site[3] is None:
                memories[x, y] = name.removesuffix("_RAM")
                continue
            for port, nets_there in (("O", logic), ("COUT", carries)):
                for bit in cell["connections"].get(port, []):
                    if bit in known and (port == "COUT" or known[bit] not in copied):
                        nets_there[x, y, int(site[3])] = known[bit]
        ports = {name: port["bits"] for name, port in module["ports"].items()}
        pins = {}
        for name, pin in re.findall(r"^set_io (\S+) (\S+)$", constraints, re.MULTILINE):
            port, _, index = name.partition("[")
            if port in ports:
                pins[pin] = ports[port][int(index.rstrip("]") or 0)]
        names: dict[int, str] = {}
        for bit, name in sorted(_name_bits(module), key=lambda one: (one[1].startswith("$"), len(one[1]))):
            names.setdefault(bit, name)
        return cls(cells, logic, carries, memories, pins, names)

    def write(self, path: Path) -> None:
        """Write it into a compressed file."""
        content = {
            "cells": {name: vars(cell) for name, cell in self.cells.items()},
            "logic": [[*site, net] for site, net in self.logic.items()],
            "carries": [[*site, net] for site, net in self.carries.items()],
            "memories": [[*tile, name] for tile, name in self.memories.items()],
            "pins": self.pins,
            "names": list(self.names.items()),
        }
        path.write_bytes(gzip.compress(json.dumps(content).encode(), compresslevel=3, mtime=0))

    @classmethod
    def read(cls, path: Path) -> PlacedNetlist:
        """Read what :meth:`write` has written."""
        content = json.loads(gzip.decompress(path.read_bytes()))
        return cls(
            {name: Cell(**cell) for name, cell in content["cells"].items()},
            {(x, y, number): net for x, y, number, net in content["logic"]},
            {(x, y, number): net for x, y, number, net in content["carries"]},
            {(x, y): name for x, y, name in content["memories"]},
            content["pins"],
            dict(content["names"]),
        )


def _name_bits(module: dict[str, Any]) -> list[tuple[Any, str]]:
    """The nets of a module and their names; those of several bits have a number each."""
    named = []
    for name, net in module["netnames"].items():
        first, bits = net.get("offset", 0), net["bits"]
        named += [(bit, name if len(bits) == 1 else f"{name}[{first + at}]") for at, bit in enumerate(bits)]
    return named
