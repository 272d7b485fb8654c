"""The logic of an iCE40 as Project IceStorm's ``icebox_vlog -s`` writes it: tables, carries, registers, memories."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import ToolError

__all__ = ["ChipLogic", "FlipFlop", "LogicCell", "Memory", "Table", "find_memories", "find_tables"]

Site = tuple[int, int, int]
"""A tile's column and row, and the number of a logic cell in it."""

_SITE = r"(\d+) +(\d+) +(\d+)"
_TABLE = re.compile(rf"^assign (\S+) *= /\* LUT +{_SITE} \*/ (.*);$", re.MULTILINE)
_MEMORY = re.compile(
    r"^(SB_RAM40_4K\w*) #\(\n(?:.*\n)*?\) ram40_(\d+)_(\d+) \(\n(?:.*\n)*?\);$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Table:
    """A logic cell's table: the line that it is, what it drives, and its logic."""

    line: str
    output: str
    logic: str


@dataclass(frozen=True)
class Memory:
    """A block memory: its kind, such as ``SB_RAM40_4K``, and the text that it is."""

    kind: str
    text: str

    def find(self, pattern: str) -> str:
        """What the group of a pattern is, which is somewhere in the text."""
        found = re.search(pattern, self.text)
        assert found is not None
        return found[1]

    def wires(self, port: str) -> list[str]:
        """The wires at a port, from the lowest; constants as ``1'b0`` and ``1'b1``."""
        return self.find(rf"\.{port}\((.*)\)").strip("{}").split(", ")[::-1]

    def row(self, number: int) -> str:
        """The line with a sixteenth of its content."""
        return self.find(rf"( *\.INIT_{number:X}\(.*\),?)\n")

    def mode(self, port: str) -> int:
        """How many bits of an address choose columns of a row, for ``READ`` or ``WRITE``."""
        return int(self.find(rf"{port}_MODE\((\d)\)"))


def find_tables(verilog: str) -> dict[Site, Table]:
    """Find the tables of a chip, by where they are."""
    return {(int(one[2]), int(one[3]), int(one[4])): Table(one[0], one[1], one[5]) for one in _TABLE.finditer(verilog)}


def find_memories(verilog: str) -> dict[tuple[int, int], Memory]:
    """Find the block memories of a chip, by their tiles."""
    return {(int(one[2]), int(one[3])): Memory(one[1], one[0]) for one in _MEMORY.finditer(verilog)}


@dataclass(frozen=True)
class FlipFlop:
    """A flip-flop, which takes ``reset ? value : data`` at an edge of ``clock`` where ``enable`` is high: expressions.

    ``edge`` is ``pos`` or ``neg``.
    """

    edge: str
    clock: str
    enable: str
    reset: str
    value: str
    data: str


@dataclass(frozen=True)
class LogicCell:
    """A logic cell: the wire that it drives, and its flip-flop; where it has none, ``logic`` is the wire behind its
    table."""

    output: str
    logic: str | None = None
    register: FlipFlop | None = None


@dataclass
class ChipLogic:
    """All that a chip's text says; expressions are Verilog's.

    Attributes
    ----------
    inputs, outputs : list of str
        The pins.
    wires : list of str
        All wires and flip-flops.
    logic : dict of str to str
        What other wires than those of ``cells`` and ``carries`` are assigned, those of pins among them.
    cells : dict
        The logic cells that drive anything, by where they are.
    carries : dict
        The carries: the wire and its logic.
    memories : dict
        The block memories, by their tiles.
    """

    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    wires: list[str] = field(default_factory=list)
    logic: dict[str, str] = field(default_factory=dict)
    cells: dict[Site, LogicCell] = field(default_factory=dict)
    carries: dict[Site, tuple[str, str]] = field(default_factory=dict)
    memories: dict[tuple[int, int], Memory] = field(default_factory=dict)

    @classmethod
    def of(cls, verilog: str) -> ChipLogic:
        """Read it.

        Raises
        ------
        ToolError
            If there is anything that this project's designs have not, such as a flip-flop with an asynchronous reset.
        """
        chip = cls(memories=find_memories(verilog))
        for line in _MEMORY.sub("", verilog).splitlines():
            if not line or line.startswith("//") or line == "endmodule":
                continue
            for pattern, take in _LINES:
                if (found := pattern.fullmatch(line)) is not None:
                    take(chip, found)
                    break
            else:
                raise ToolError(f"icebox_vlog gives logic of a kind that is not known: {line[:80]!r}")
        return chip

    def _take_ports(self, found: re.Match[str]) -> None:
        for direction, pin in re.findall(r"(\w+) (\w+)", found[1]):
            {"input": self.inputs, "output": self.outputs}[direction].append(pin)

    def _take_wires(self, found: re.Match[str]) -> None:
        self.wires += found[1].split(", ")

    def _take_registers(self, found: re.Match[str]) -> None:
        # They begin at zero, as the chip's do.
        self.wires += re.findall(r"(\S+) = 0", found[1])

    def _take_register(self, found: re.Match[str]) -> None:
        edge, clock, enable, output, reset, value, data = found.groups()[3:]
        self.cells[_site(found)] = LogicCell(output, register=FlipFlop(edge, clock, enable, reset, value, data))

    def _take_cell(self, found: re.Match[str]) -> None:
        self.cells[_site(found)] = LogicCell(found[4], logic=found[5])

    def _take_carry(self, found: re.Match[str]) -> None:
        wire, *_, logic = found.groups()
        self.carries[int(found[2]), int(found[3]), int(found[4])] = wire, logic

    def _take_logic(self, found: re.Match[str]) -> None:
        self.logic[found[1]] = found[2]


def _site(found: re.Match[str]) -> Site:
    return int(found[1]), int(found[2]), int(found[3])


_LINES: list[tuple[re.Pattern[str], Callable[[ChipLogic, re.Match[str]], None]]] = [
    (re.compile(r"module chip \(((?:(?:input|output) \w+(?:, )?)*)\);"), ChipLogic._take_ports),
    (re.compile(r"wire (.*);"), ChipLogic._take_wires),
    (re.compile(r"reg (\w+ = 0(?:, \w+ = 0)*);"), ChipLogic._take_registers),
    (
        re.compile(
            rf"/\* FF +{_SITE} \*/ always @\((pos|neg)edge (\S+)\) if \((\S+)\) (\S+) <= (\S+) \? (1'b[01]) : (\S+);"
        ),
        ChipLogic._take_register,
    ),
    (re.compile(rf"/\* FF +{_SITE} \*/ assign (\S+) = (\S+);"), ChipLogic._take_cell),
    (re.compile(rf"assign (\S+) *= /\* CARRY +{_SITE} \*/ (.*);"), ChipLogic._take_carry),
    (re.compile(r"assign (\S+) *= (?:/\* LUT .*? \*/ )?([^/]*);"), ChipLogic._take_logic),
]
"""What each line can be."""
