"""The blocks of a device that yosys cuts memories and products into."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class _Ram:
    """A memory block, in one of the shapes that it can have."""

    width: int
    rows: int
    byte: int
    """Bits that are written together: a word is padded to a multiple of them, and every lane of it."""


@dataclass(frozen=True)
class Family:
    """The blocks of a family, as yosys maps to them.

    Attributes
    ----------
    read_only, written : tuple
        Shapes of a memory block, by whether anything is written.
    cost : int
        The cost of one block, in the unit in which a bit of a 2:1 choice costs a half.
    distributed : tuple
        Shapes of a memory in LUTs.
    operand : int
        The bits of an operand of a multiplier.
    least_product : int
        The bits of the shortest product that is worth a multiplier.
    registered : bool
        Whether a register behind a memory block becomes the block's own.
    """

    read_only: tuple[_Ram, ...]
    written: tuple[_Ram, ...]
    cost: int
    distributed: tuple[_Ram, ...]
    operand: int
    least_product: int
    registered: bool


def _shapes(kbit: int, widths: tuple[int, ...], byte: int | None) -> tuple[_Ram, ...]:
    """A block in all its widths, of which each has half the rows of the one before."""
    rows = kbit * 1024 // widths[0]
    return tuple(
        _Ram(width, rows >> step, 1 if byte is None else min(byte, width)) for step, width in enumerate(widths)
    )


_DP16KD = (1, 2, 4, 9, 18, 36)

families = {
    # The widest word of a DP16KD takes both its ports.
    "ecp5": Family(_shapes(16, _DP16KD, None), _shapes(16, _DP16KD, 9), 128, (_Ram(4, 16, 4),), 18, 9, True),
    "ice40": Family(_shapes(4, (2, 4, 8, 16), None), _shapes(4, (2, 4, 8, 16), 1), 64, (), 16, 11, False),
}


def block_width(family: str, depth: int) -> int | None:
    """The widest word of a memory of ``depth`` words in one block.

    None where it takes more than one, or the family is not known.
    """
    shapes = families[family].read_only if family in families else ()
    return max((shape.width for shape in shapes if shape.rows >= depth), default=None)


@dataclass(frozen=True)
class MemoryDemand:
    """A memory as a design describes it.

    Attributes
    ----------
    name : str
        What it holds.
    depth, width : int
        Rows, and bits of a row that are not the same in every one.
    lanes : int
        Parts of a row that are written by themselves; 0 if nothing is ever written.
    reads : int
        Ports that read. There is one that writes, and one that reads beside it: every further one takes a copy.
    block : bool
        Whether it is in memory blocks, rather than in LUTs.
    count : int
        How many there are.
    """

    name: str
    depth: int
    width: int
    lanes: int
    reads: int
    block: bool
    count: int

    def blocks(self, family: Family) -> int:
        """The memory blocks, or with ``block`` not set groups of LUTs, that all of them take.

        The word is cut into the blocks' words, across the ends of segments as well (``handle_geom`` in
        yosys' ``memory_libmap.cc``): of all widths the cheapest, the choice between segments included.
        """
        return self._best(family)[1] * self.reads * self.count if self.width else 0

    def segments(self, family: Family) -> int:
        """The number of parts that its rows are cut into: from what they read, one is chosen."""
        return self._best(family)[2] if self.width else 1

    def _best(self, family: Family) -> tuple[float, int, int]:
        shapes = family.distributed if not self.block else family.written if self.lanes else family.read_only
        cost = family.cost if self.block else 4
        return min(self._cut(shape, cost) for shape in shapes)

    def _cut(self, shape: _Ram, cost: int) -> tuple[float, int, int]:
        """What it costs in blocks of that shape, how many there are, and in how many segments."""
        lanes = max(1, self.lanes)
        word = lanes * ceil(self.width // lanes / shape.byte) * shape.byte
        segments = ceil(self.depth / shape.rows)
        blocks = ceil(segments * word / shape.width)
        choices = (segments - 1) * self.width * self.reads + (segments > 1 and self.lanes > 0) * segments * lanes
        return cost * blocks * self.reads + choices / 2, blocks, segments

    @property
    def bits(self) -> int:
        """The bits of all of them together."""
        return self.depth * self.width * self.count


def multipliers(a: int, b: int, family: Family) -> int:
    """The multipliers that a product of ``a`` by ``b`` bits takes, a sign bit in each where one has one.

    An operand that is too wide is cut into pieces, and what is left of it may be too short for a multiplier
    (yosys' ``mul2dsp.v``).
    """
    return sum(_whole(x, y, family) for x in _pieces(max(a, b), family) for y in _pieces(min(a, b), family))


def _pieces(bits: int, family: Family) -> Iterator[int]:
    while bits > family.operand:
        yield family.operand
        bits -= family.operand
    yield bits


def _whole(a: int, b: int, family: Family) -> int:
    return int(min(a, b) >= 2 and a + b >= family.least_product)
