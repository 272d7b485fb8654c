"""The blocks of a device that yosys cuts memories and products into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil


@dataclass(frozen=True)
class BlockShape:
    """A memory block, in one of the shapes that it can have."""

    width: int
    rows: int
    byte: int
    """Bits that are written together: a word is padded to a multiple of them, and every lane of it."""


@dataclass(frozen=True)
class Blocks:
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

    read_only: tuple[BlockShape, ...]
    written: tuple[BlockShape, ...]
    cost: int
    distributed: tuple[BlockShape, ...]
    operand: int
    least_product: int
    registered: bool

    def widest_word(self, depth: int) -> int | None:
        """The bits of the widest word of a memory of ``depth`` words in one block; None where it takes more than
        one."""
        return max((shape.width for shape in self.read_only if shape.rows >= depth), default=None)


def block_shapes(kbit: int, widths: Sequence[int], byte: int | None) -> tuple[BlockShape, ...]:
    """A block of so many kbit in all its widths, of which each has half the rows of the one before; ``byte`` is the
    number of bits that are written together, or None where nothing is written."""
    rows = kbit * 1024 // widths[0]
    return tuple(
        BlockShape(width, rows >> step, 1 if byte is None else min(byte, width)) for step, width in enumerate(widths)
    )


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

    def blocks(self, fabric: Blocks) -> int:
        """The memory blocks, or with ``block`` not set groups of LUTs, that all of them take.

        The word is cut into the blocks' words, across the ends of segments as well (``handle_geom`` in
        yosys' ``memory_libmap.cc``): of all widths the cheapest, the choice between segments included.
        """
        return self._best(fabric)[1] * self.reads * self.count if self.width else 0

    def segments(self, fabric: Blocks) -> int:
        """The number of parts that its rows are cut into: from what they read, one is chosen."""
        return self._best(fabric)[2] if self.width else 1

    def _best(self, fabric: Blocks) -> tuple[float, int, int]:
        shapes = fabric.distributed if not self.block else fabric.written if self.lanes else fabric.read_only
        cost = fabric.cost if self.block else 4
        return min(self._cut(shape, cost) for shape in shapes)

    def _cut(self, shape: BlockShape, cost: int) -> tuple[float, int, int]:
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


def multipliers(a: int, b: int, fabric: Blocks) -> int:
    """The multipliers that a product of ``a`` by ``b`` bits takes, a sign bit in each where one has one.

    An operand that is too wide is cut into pieces, and what is left of it may be too short for a multiplier
    (yosys' ``mul2dsp.v``).
    """
    return sum(_whole(x, y, fabric) for x in _pieces(max(a, b), fabric) for y in _pieces(min(a, b), fabric))


def _pieces(bits: int, fabric: Blocks) -> Iterator[int]:
    while bits > fabric.operand:
        yield fabric.operand
        bits -= fabric.operand
    yield bits


def _whole(a: int, b: int, fabric: Blocks) -> int:
    return int(min(a, b) >= 2 and a + b >= fabric.least_product)
