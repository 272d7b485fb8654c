"""Where the multipliers of an ECP5 stand, decided before nextpnr places the rest around them.

The multipliers of a large die lie in rows of 52, a quarter of a chip apart, and nextpnr's placers spread them over all
of it: what a hidden node multiplies may end up a chip away from what it updates. Here each stands near those it works
with::

    netlist -> blocks and the longest path from each to each -> pulls, stronger where paths are long
                     ^                                             | what is no multiplier stands where it is pulled
                     | distances                                   v
                     +------------------------------- a site for every multiplier

Without the grid of sites the cheapest squared wire length is a quadratic form of all places (Hall, "An r-dimensional
quadratic placement algorithm", Management Science 17, 1970). What is no multiplier may stand where that is least, so it
is eliminated from the form (Kron reduction), and what remains couples multiplier with multiplier. To give them sites is
then a quadratic assignment problem. It is solved some times over, with pulls from the path lengths of the last places,
and the places with the shortest longest path are taken.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import quadratic_assignment

from ..fabric.device import Device

__all__ = ["MOST_LEFT_ALONE", "Site", "multiplier_sites", "place_multipliers"]

Matrix = npt.NDArray[np.float64]

MOST_LEFT_ALONE = 24
"""Fewer multipliers, or as many, nextpnr places well by itself."""

_STARTS, _ROUNDS = 2, 4
"""How often places are sought from the beginning, and how often anew with the path lengths of the last."""

_SHARPNESS = 16
"""A path pulls with this power of its length over the longest."""

# By die: rows, and the columns where four multipliers begin; the same for all lines and packages of nextpnr 0.9.
_DIES = {
    "85k": ((10, 34, 58), (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)),
    "45k": ((22, 46), (4, 13, 22, 31, 42, 51, 60, 69, 78)),
    "25k": ((13,), (4, 13, 22, 33, 42, 51, 60)),
}

# Columns from the first, and the number in a pair of DSP slices.
_OF_FOUR = ((0, 0), (1, 1), (4, 4), (5, 5))

# Delays in ns, speed grade 6, rounded: Project Trellis, timing/speed_6/cells.json. What they are for matters, not how
# exact they are.
_THROUGH = {"LUT4": 0.24, "PFUMX": 0.2, "L6MUX21": 0.2}

_CARRY = {"in": 0.45, "along": 0.07, "out": 0.44, "sum": 0.24, "next sum": 0.7}

_START = {"TRELLIS_FF": 0.5, "DP16KD": 5.8}

_BLOCK = {"MULT18X18D": 3.9, "TRELLIS_DPR16X4": 0.24}

# Of a wire between neighbours, and more for every tile: read off routed designs.
_WIRE, _TILE = 1.0, 0.05

_NO_DATA = re.compile(r"CLK[AB]?\d?|WCK|LSR|RST\d?|CE\d?")

_NEVER = -1e9


@dataclass(frozen=True)
class Site:
    """A place for a MULT18X18D."""

    x: int
    y: int
    name: str
    """As nextpnr's attribute ``BEL`` takes it."""


def multiplier_sites(device: Device) -> list[Site]:
    """All of an ECP5's."""
    die = device.die.rpartition("-")[2]
    rows, columns = _DIES["25k" if die == "12k" else die]
    return [
        Site(column + beside, row, f"X{column + beside}/Y{row}/MULT18_{number}")
        for row in rows
        for column in columns
        for beside, number in _OF_FOUR
    ]


def place_multipliers(path: Path, top: str, device: Device) -> int:
    """Give every multiplier in the module ``top`` of the netlist at ``path`` a site; return how many.

    None if there are so few that nextpnr does well, or more than there are sites.
    """
    design = json.loads(path.read_text())
    cells = design["modules"][top]["cells"]
    multipliers = [name for name, cell in cells.items() if cell["type"] == "MULT18X18D"]
    sites = multiplier_sites(device)
    if not MOST_LEFT_ALONE < len(multipliers) <= len(sites):
        return 0
    blocks = _Blocks(cells)
    places = _assigned(blocks, [blocks.number[name] for name in multipliers], sites)
    for name, place in zip(multipliers, places, strict=True):
        cells[name]["attributes"]["BEL"] = sites[place].name
    path.write_text(json.dumps(design))
    return len(multipliers)


class _Blocks:
    """The blocks that paths lead to and through, and the longest way from each to each.

    The bits of a register, and the LUTs of a memory, are one block. A memory in LUTs is read within a path, and written
    at the end of one: it counts as two blocks in one place.

    Attributes
    ----------
    number : dict
        Of a multiplier, a memory block or a group's name.
    delay : array
        Longest way through LUTs and carry chains from block to block, in ns; far below zero if there is no way.
    together : list
        Pairs of blocks in one place.
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
            starts.append(_START.get(kind, 0.0))
            through.append(_BLOCK.get(kind, _NEVER))
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
        """Notes the ways to a cell of a block."""
        for pin, bits in _inputs(cell):
            # What is not the address of a memory in LUTs is written to it.
            end = block + (cell["type"] == "TRELLIS_DPR16X4" and pin != "RAD")
            for bit in bits:
                arrival = self._arrival(bit)
                if arrival is not None:
                    self.delay[:, end] = np.maximum(self.delay[:, end], arrival + _WIRE)

    def _arrival(self, bit: Any) -> Matrix | None:
        """The longest way from every block to a net; None where no cell drives it. Of a loop the end is left out."""
        begun: set[Any] = set()
        waiting = [bit]
        while waiting:
            net = waiting[-1]
            if net in self._arrivals:
                waiting.pop()
                continue
            ways = self._ways_to(net)
            missing = [source for source, _ in ways if source not in self._arrivals and source not in begun]
            begun.add(net)
            waiting += missing
            if not missing:
                self._arrivals[net] = self._longest(net, ways)
        return self._arrivals[bit]

    def _ways_to(self, net: Any) -> list[tuple[int, float]]:
        if net not in self._drivers:
            return []
        name, pin = self._drivers[net]
        cell = self._cells[name]
        return [] if _group(name, cell) is not None else list(_ways(cell, pin))

    def _longest(self, net: Any, ways: list[tuple[int, float]]) -> Matrix | None:
        if net not in self._drivers:
            return None
        name, _ = self._drivers[net]
        longest = np.full(len(self._starts), _NEVER)
        if (group := _group(name, self._cells[name])) is not None:
            longest[self.number[group]] = 0
        for source, delay in ways:
            if (arrival := self._arrivals.get(source)) is not None:
                np.maximum(longest, arrival + delay, out=longest)
        return longest

    def paths(self, distance: Matrix) -> Matrix:
        """From block to block, the longest path that goes this way; zero where there is no way.

        ``distance``: from block to block, in tiles.
        """
        ways = self.delay + _TILE * distance
        arrival, rest = self._starts, np.zeros_like(self._starts)
        for _ in self._starts:  # no path goes through more
            later = np.maximum(self._starts, (arrival[:, None] + ways).max(axis=0) + self._through)
            longer = np.maximum(0, self._through + (ways + rest).max(axis=1))
            if np.allclose(later, arrival) and np.allclose(longer, rest):
                break
            arrival, rest = later, longer
        return np.maximum(0, np.where(self.delay > _NEVER, arrival[:, None] + ways + rest, 0))


def _group(name: str, cell: dict[str, Any]) -> str | None:
    """The block that a cell belongs to; None for what paths lead through."""
    kind = cell["type"]
    if kind in _THROUGH or kind == "CCU2C":
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


def _ways(cell: dict[str, Any], output: str) -> Iterator[tuple[int, float]]:
    """The nets that decide an output of a LUT or carry cell, and how long each takes."""
    for pin, bits in _inputs(cell):
        if cell["type"] != "CCU2C":
            # From a LUT to the multiplexer behind it there is no wire.
            behind = cell["type"] != "LUT4" and pin not in ("C0", "SD")
            delay = _THROUGH[cell["type"]] + (0 if behind else _WIRE)
        elif pin == "CIN":
            delay = _CARRY["along" if output == "COUT" else "out"]
        elif output == "COUT":
            delay = _CARRY["in"] + _WIRE
        elif pin[-1] == output[-1]:
            delay = _CARRY["sum"] + _WIRE
        elif output == "S1":
            delay = _CARRY["next sum"] + _WIRE
        else:
            continue
        yield from ((bit, delay) for bit in bits)


def _assigned(blocks: _Blocks, multipliers: list[int], sites: list[Site]) -> list[int]:
    """For every multiplier the number of a site."""
    places = np.array([(site.x, site.y) for site in sites], dtype=np.float64)
    squared = np.abs(places[:, None] - places[None]).sum(axis=-1) ** 2
    best, shortest = np.zeros(0, dtype=np.int64), np.inf
    nowhere = np.zeros_like(blocks.delay)
    for start in range(_STARTS):
        random = np.random.default_rng(start)
        paths = blocks.paths(nowhere)
        pulls = _pulls(paths)
        for _ in range(_ROUNDS):
            coupling, followed = _reduced(pulls + pulls.T, multipliers, blocks.together)
            taken = _quadratic(coupling, squared, random, randomized=start > 0)
            where = followed @ places[taken]
            paths = blocks.paths(np.abs(where[:, None] - where[None]).sum(axis=-1))
            if paths.max() < shortest:
                best, shortest = taken, paths.max()
            pulls = (pulls + _pulls(paths)) / 2
    return [int(place) for place in best]


def _pulls(paths: Matrix) -> Matrix:
    """How strongly a block pulls at the one that it leads to."""
    longest = paths.max() or 1.0  # nothing leads anywhere
    pulls: Matrix = (paths / longest) ** _SHARPNESS
    return pulls


def _reduced(pulls: Matrix, kept: list[int], together: list[tuple[int, int]]) -> tuple[Matrix, Matrix]:
    """How strongly the blocks ``kept`` pull at each other, through all the others; and what every block's place is made
    of, by those of the blocks kept."""
    held, pulls = np.array(kept), pulls.copy()
    for first, second in together:
        pulls[first, second] = pulls[second, first] = 1
    np.fill_diagonal(pulls, 0)
    laplacian = np.diag(pulls.sum(axis=0)) - pulls
    free = np.setdiff1d(np.arange(len(pulls)), held)
    # What hangs together with nothing that is kept may be anywhere: a trace holds it.
    inner = laplacian[np.ix_(free, free)] + 1e-6 * np.eye(len(free))
    followed = np.zeros((len(pulls), len(kept)))
    followed[held] = np.eye(len(held))
    followed[free] = np.linalg.solve(inner, -laplacian[np.ix_(free, held)])
    reduced = laplacian[held] @ followed
    coupling = np.maximum(0, -(reduced + reduced.T) / 2)
    np.fill_diagonal(coupling, 0)
    return coupling, followed


def _quadratic(coupling: Matrix, squared: Matrix, random: np.random.Generator, *, randomized: bool) -> Any:
    """A site for each, such that the sum of coupling times squared distance is small."""
    # What has no multiplier has something that nothing pulls at.
    padded = np.zeros_like(squared)
    padded[: len(coupling), : len(coupling)] = coupling
    begin = {"rng": random, "P0": "randomized" if randomized else "barycenter"}
    found = quadratic_assignment(padded, squared, method="faq", options=begin)
    guess = np.stack([np.arange(len(squared)), found.col_ind], axis=1)
    found = quadratic_assignment(padded, squared, method="2opt", options={"rng": random, "partial_guess": guess})
    return found.col_ind[: len(coupling)]
