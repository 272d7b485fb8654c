"""Bits of an iCE40's configuration in IceStorm's text format: where tables and memories are; and one inverted."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["COLUMNS", "Bit", "find_bits", "invert_bit"]

# IceStorm's documentation, "iCE40 logic tile": of a logic cell's 20 bits, in two rows from column 36 on, those of its
# table in the order of its entries.
FIRST_COLUMN, ROW_BITS = 36, 10
TABLE_BITS = (4, 14, 15, 5, 6, 16, 17, 7, 3, 13, 12, 2, 1, 11, 10, 0)
CELLS = 8

DIGIT_BITS = 4

COLUMNS, LINE_BITS = 16, 256
"""Bits of a memory's row, and of a line with sixteen of them."""


@dataclass(frozen=True)
class Bit:
    """One bit of a configuration.

    Attributes
    ----------
    kind : str
        ``table``, of a logic cell, or ``memory``.
    x, y : int
        The tile.
    row, column : int
        Its line in the tile's section and, of a table, the character; of a memory, the bit from the line's lowest.
    """

    kind: str
    x: int
    y: int
    row: int
    column: int

    @property
    def cell(self) -> tuple[int, int, int]:
        """Of a table: the tile, and the number of the logic cell in it."""
        return self.x, self.y, self.row // 2

    @property
    def address(self) -> int:
        """Of a memory: the number of the bit among all of the memory, by rows of :data:`COLUMNS`."""
        return self.row * LINE_BITS + self.column


def _sections(configuration: str, kind: str) -> list[tuple[int, int, list[str]]]:
    found = re.findall(rf"^\.{kind} (\d+) (\d+)\n((?:[0-9a-f]+\n)+)", configuration, re.MULTILINE)
    return [(int(x), int(y), lines.split()) for x, y, lines in found]


def find_bits(configuration: str) -> list[Bit]:
    """Find the bits of all tables that are neither all zeros nor all ones, and of all memories that hold anything."""
    bits = []
    for x, y, lines in _sections(configuration, "logic_tile"):
        for cell in range(CELLS):
            places = [(2 * cell + bit // ROW_BITS, FIRST_COLUMN + bit % ROW_BITS) for bit in TABLE_BITS]
            if len({lines[row][column] for row, column in places}) == 2:
                bits += [Bit("table", x, y, row, column) for row, column in places]
    for x, y, lines in _sections(configuration, "ram_data"):
        if any(int(line, 16) for line in lines):
            width = DIGIT_BITS * len(lines[0])
            bits += [Bit("memory", x, y, row, column) for row in range(len(lines)) for column in range(width)]
    return bits


def invert_bit(configuration: str, bit: Bit) -> str:
    """Invert one bit.

    Raises
    ------
    ValueError
        If there is no such tile.
    """
    head = f".{'logic_tile' if bit.kind == 'table' else 'ram_data'} {bit.x} {bit.y}\n"
    before, found, rest = configuration.partition(head)
    if not found:
        raise ValueError(f"there is no tile {head.strip()}")
    lines = rest.split("\n")
    line = lines[bit.row]
    if bit.kind == "table":
        inverted = "1" if line[bit.column] == "0" else "0"
        lines[bit.row] = line[: bit.column] + inverted + line[bit.column + 1 :]
    else:
        lines[bit.row] = f"{int(line, 16) ^ 1 << bit.column:0{len(line)}x}"
    return before + found + "\n".join(lines)
