"""A ledger of what hardware takes before it is synthesised: memories, multipliers, and the units that LUTs go to."""

from __future__ import annotations

from collections import Counter
from math import ceil

from ..numeric.bits import clog2
from ..numeric.fixed import Format, Rounding
from .blocks import Blocks, MemoryDemand, multipliers

KINDS = {
    "adder": "bits of sums that are formed in a carry chain",
    "chain": "carry chains",
    "compressor": "bits of a third and further operand of one sum, which is reduced to two without a carry",
    "term": "bits of the terms of a product that is written out",
    "product": "bits of the terms of a product that synthesis makes of LUTs",
    "serial": "bits of what multiplies by one bit in a cycle",
    "choice": "bits chosen from two; from more, as many as a tree of LUTs has",
    "limit": "bits that are kept within a format's limits",
    "detection": "bits looked at to see what is beyond them",
    "truth table": "bits of tables in logic, in units of a LUT's 16",
    "counter": "bits of counters that can be cleared",
    "parity": "bits that are an exclusive or",
    "register": "flip-flops",
    "moved": "flip-flops that take what no LUT has formed",
    "collision": "bits of what is written to a memory block and may be read at that edge, held to be read after it",
    "lane": "lanes of a folded layer",
    "layer": "layers",
    "learner": "one",
}
"""What LUTs go to, and in which unit it is counted."""


class Parts:
    """Memories, multipliers, and whatever else there is, in the units of :data:`KINDS`. Every method adds to it.

    Parameters
    ----------
    fabric
        The blocks of a family, which multipliers and memories are made of.
    multiplies
        Whether a product that is left to synthesis gets multipliers.
    """

    def __init__(self, fabric: Blocks, *, multiplies: bool) -> None:
        self.fabric = fabric
        self._multiplies = multiplies
        self.counts: Counter[str] = Counter()
        self.memories: list[MemoryDemand] = []
        self.multipliers = 0

    def memory(
        self, name: str, depth: int, width: int, *, block: bool, lanes: int = 0, reads: int = 1, count: int = 1
    ) -> None:
        """Add ``count`` memories, as :class:`MemoryDemand` describes them, with the logic around their blocks."""
        memory = MemoryDemand(name, depth, width, lanes, reads, block, count)
        self.memories.append(memory)
        segments = memory.segments(self.fabric)
        self.choice(width, segments, reads * count)
        if segments > 1 and lanes:
            # Each segment is written when it is meant.
            self.union(segments, 2 + clog2(segments), lanes * count)
        if segments > 1 and block:
            self.register(clog2(segments) * reads * count)
        if name == "coefficients" and block:
            self.counts["collision"] += (width + (depth - 1).bit_length() + 1) * count

    def blocks(self, *, block: bool) -> int:
        """The memory blocks of all memories so far, or their groups of LUTs with a memory in each."""
        return sum(memory.blocks(self.fabric) for memory in self.memories if memory.block == block)

    def register(self, bits: int, *, moved: bool = True) -> None:
        """Add flip-flops.

        They are ``moved`` where they hold what comes from a register, a multiplier or a memory, or is needed elsewhere.
        """
        self.counts["register"] += bits
        self.counts["moved"] += bits if moved else 0

    def register_behind(self, bits: int, *, block: bool) -> None:
        """Add flip-flops behind a memory, which are its own where it is a block that has them."""
        if not (block and self.fabric.registered):
            self.register(bits)

    def adder(self, bits: int, times: int = 1) -> None:
        """Add an adder of so many bits, in a carry chain of its own."""
        if bits > 0:
            self.counts["adder"] += bits * times
            self.counts["chain"] += times

    def sum(self, operands: int, bits: int, times: int = 1) -> None:
        """Add one sum of several operands."""
        if operands > 1:
            self.adder(bits, times)
            self.counts["compressor"] += (operands - 2) * bits * times

    def choice(self, bits: int, inputs: int = 2, times: int = 1) -> None:
        """Add a choice of one of several inputs: a LUT4 chooses from two, and two of them from four."""
        self.counts["choice"] += bits * times * (inputs - 1 if inputs <= 2 else ceil(2 * (inputs - 1) / 3))

    def union(self, bits: int, inputs: int, times: int = 1) -> None:
        """Add an OR of several inputs: four in a LUT4, three more in each further one."""
        self.counts["choice"] += bits * times * ceil((inputs - 1) / 3)

    def times_constant(self, bits: int, constant: int) -> None:
        """Add a :func:`kanrtl.learner.rtl.multiply.multiply_by_constant` of an operand of so many bits."""
        digits = bin(constant ^ 3 * constant).count("1")
        self.sum(digits, bits + constant.bit_length())

    def product(self, a: Format, b: Format, *, in_logic: bool, times: int = 1) -> None:
        """Add a :func:`kanrtl.learner.rtl.multiply.multiply`, in a multiplier or written out."""
        if in_logic:
            self.written_out(a, b, times)
            return
        mixed = a.signed != b.signed
        widths = [format.width + (mixed and not format.signed) for format in (a, b)]
        count = multipliers(widths[0], widths[1], self.fabric) if self._multiplies else 0
        if count:
            self.multipliers += count * times
            # What is cut into pieces is added up again.
            self.adder(sum(widths), (count - 1) * times)
        else:
            self.counts["product"] += widths[0] * widths[1] * times

    def written_out(self, a: Format, b: Format, times: int = 1) -> None:
        """Add a :func:`kanrtl.learner.rtl.multiply.multiply_in_logic`."""
        if a.signed != b.signed:
            a, b = (a, b) if a.signed else (b, a)
        elif b.signed and a.width < b.width:
            a, b = b, a
        self.counts["term"] += a.width * b.width * times
        self.adder(a.width + 1, times * (b.width - 1))

    def narrowed(
        self, value: Format, format: Format, rounding: str, *, saturates: bool, times: int = 1, rounds: bool = True
    ) -> None:
        """Add a :func:`kanrtl.numeric.fixed.narrow`; ``rounds`` is not set where a sum holds what rounds it."""
        dropped = value.f - format.f
        if rounds and dropped > 0 and rounding != Rounding.FLOOR:
            self.adder(max(0, value.width - (dropped - 1 if rounding == Rounding.HALF_UP else 0)), times)
        if saturates:
            self.counts["limit"] += format.width * times
            self.counts["detection"] += max(0, value.width - dropped - format.width) * times
