"""The paths between the multipliers, registers and memories of an ECP5, before anything is placed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..fabric.families.ecp5 import CARRY_NS, LUT_NS, START_NS, THROUGH_NS, TILE_NS, WIRE_NS

Matrix = npt.NDArray[np.float64]
"""A number for every block, or from every block to every block."""

_NO_DATA = re.compile(r"CLK[AB]?\d?|WCK|LSR|RST\d?|CE\d?")

_NEVER = -1e9


class BlockPaths:
    """The blocks that paths lead to and through, and the longest connection from each to each.

    The bits of a register, and the LUTs of a memory, are one block. A memory in LUTs is read within a path, and written
    at the end of one: it counts as two blocks at one position.

    Parameters
    ----------
    cells : dict
        The cells of a flat module, as yosys writes them, by name.

    Attributes
    ----------
    number : dict
        The number of a block, by the name of a multiplier, a memory block or a group of cells.
    delay : array
        The longest connection through LUTs and carry chains from block to block, in ns; far below zero if there is
        none.
    together : list
        Pairs of blocks at one position.
    """

    def __init__(self, cells: dict[str, Any]) -> None:
        self._cells = cells
        self.number: dict[str, int] = {}
        self.together: list[tuple[int, int]] = []
        starts: list[float] = []
        through: list[float] = []
        for name, cell in cells.items():
            kind, group = cell["type"], _group(name, cell)
            if group is None or group in self.number:
                continue
            self.number[group] = len(starts)
            starts.append(START_NS.get(kind, 0.0))
            through.append(THROUGH_NS.get(kind, _NEVER))
            if kind == "TRELLIS_DPR16X4":
                self.together.append((len(starts) - 1, len(starts)))
                starts.append(_NEVER)
                through.append(_NEVER)
        self._starts, self._through = np.array(starts), np.array(through)
        self._drivers = {
            bit: (name, pin)
            for name, cell in cells.items()
            for pin, bits in cell["connections"].items()
            if cell["port_directions"][pin] == "output"
            for bit in bits
        }
        self._arrivals: dict[Any, Matrix | None] = {}
        self.delay = np.full((len(starts), len(starts)), _NEVER)
        for name, cell in cells.items():
            if (group := _group(name, cell)) is not None:
                self._reach(self.number[group], cell)

    def _reach(self, block: int, cell: dict[str, Any]) -> None:
        """Notes the connections to a cell of a block."""
        for pin, bits in _inputs(cell):
            # What is not the address of a memory in LUTs is written to it.
            end = block + (cell["type"] == "TRELLIS_DPR16X4" and pin != "RAD")
            for bit in bits:
                arrival = self._arrival(bit)
                if arrival is not None:
                    self.delay[:, end] = np.maximum(self.delay[:, end], arrival + WIRE_NS)

    def _arrival(self, bit: Any) -> Matrix | None:
        """The longest delay from every block to a net; None where no cell drives it. Of a loop the end is left out."""
        begun: set[Any] = set()
        waiting = [bit]
        while waiting:
            net = waiting[-1]
            if net in self._arrivals:
                waiting.pop()
                continue
            arcs = self._arcs_to(net)
            missing = [source for source, _ in arcs if source not in self._arrivals and source not in begun]
            begun.add(net)
            waiting += missing
            if not missing:
                self._arrivals[net] = self._longest(net, arcs)
        return self._arrivals[bit]

    def _arcs_to(self, net: Any) -> list[tuple[int, float]]:
        if net not in self._drivers:
            return []
        name, pin = self._drivers[net]
        cell = self._cells[name]
        return [] if _group(name, cell) is not None else list(_arcs(cell, pin))

    def _longest(self, net: Any, arcs: list[tuple[int, float]]) -> Matrix | None:
        if net not in self._drivers:
            return None
        name, _ = self._drivers[net]
        longest = np.full(len(self._starts), _NEVER)
        if (group := _group(name, self._cells[name])) is not None:
            longest[self.number[group]] = 0
        for source, delay in arcs:
            if (arrival := self._arrivals.get(source)) is not None:
                np.maximum(longest, arrival + delay, out=longest)
        return longest

    def paths(self, distance: Matrix) -> Matrix:
        """From block to block, the longest path in ns that takes this connection; zero where there is none.

        ``distance`` holds the tiles from block to block.
        """
        connections = self.delay + TILE_NS * distance
        arrival, rest = self._starts, np.zeros_like(self._starts)
        for _ in self._starts:  # no path goes through more
            later = np.maximum(self._starts, (arrival[:, None] + connections).max(axis=0) + self._through)
            longer = np.maximum(0, self._through + (connections + rest).max(axis=1))
            if np.allclose(later, arrival) and np.allclose(longer, rest):
                break
            arrival, rest = later, longer
        return np.maximum(0, np.where(self.delay > _NEVER, arrival[:, None] + connections + rest, 0))


def _group(name: str, cell: dict[str, Any]) -> str | None:
    """The block that a cell belongs to; None for what paths lead through."""
    kind = cell["type"]
    if kind in LUT_NS or kind == "CCU2C":
        return None
    if kind == "TRELLIS_FF":
        return re.sub(r"_TRELLIS_FF_Q(_\d+)?$", " register", name)
    return re.sub(r"\.\d+$", " memory", name) if kind == "TRELLIS_DPR16X4" else name


def _inputs(cell: dict[str, Any]) -> Iterator[tuple[str, list[Any]]]:
    return (
        (pin, [bit for bit in bits if isinstance(bit, int)])
        for pin, bits in cell["connections"].items()
        if cell["port_directions"][pin] == "input" and not _NO_DATA.fullmatch(pin)
    )


def _arcs(cell: dict[str, Any], output: str) -> Iterator[tuple[int, float]]:
    """The nets that decide an output of a LUT or carry cell, and how long each takes."""
    for pin, bits in _inputs(cell):
        if cell["type"] != "CCU2C":
            # From a LUT to the multiplexer behind it there is no wire.
            behind = cell["type"] != "LUT4" and pin not in ("C0", "SD")
            delay = LUT_NS[cell["type"]] + (0 if behind else WIRE_NS)
        elif pin == "CIN":
            delay = CARRY_NS["along" if output == "COUT" else "out"]
        elif output == "COUT":
            delay = CARRY_NS["in"] + WIRE_NS
        elif pin[-1] == output[-1]:
            delay = CARRY_NS["sum"] + WIRE_NS
        elif output == "S1":
            delay = CARRY_NS["next sum"] + WIRE_NS
        else:
            continue
        yield from ((bit, delay) for bit in bits)
