"""Truth tables as logic or in block memory: what several outputs have in common is there once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, Value, unsigned
from amaranth.lib.memory import Memory

from ...fabric.families import block_width
from ...numeric.fixed import Codes
from .cells import CELLS, Cells
from .gates import INPUTS
from .minimise import minimise
from .network_plan import Term
from .nodes import add_plainly


def make_logic_tables(m: Module, address: Value, terms: Sequence[Term], name: str) -> list[Value]:
    """Make tables of logic, and give their values at one ``address``, in as many bits as each has.

    Equal bits are made once.
    """
    made: dict[int, Value] = {}
    results = []
    for number, term in enumerate(terms):
        bits = []
        for bit in range(term.width):
            truth = _truth(term, bit)
            if truth not in made:
                made[truth] = _make_bit(m, address, truth, f"{name}_{number}_bit{bit}")
            bits.append(made[truth])
        results.append(Cat(bits))
    return results


def _make_bit(m: Module, address: Value, truth: int, name: str) -> Value:
    """Make a bit that depends on ``address``: row ``u`` is bit ``u`` of ``truth``."""
    rows = 1 << len(address)
    if truth in (0, (1 << rows) - 1):
        return Const(truth & 1, 1)
    bit = Signal(name=name)
    m.d.comb += bit.eq(Const(truth, rows).bit_select(address, 1))
    return bit


def make_cell_tables(cells: Cells, address: Value, terms: Sequence[Term], name: str) -> list[Value]:
    """Make tables as :func:`make_logic_tables` does, in a family's own cells, for an address of at most six bits."""
    rows = 1 << len(address)
    fill = (1 << 64) // ((1 << rows) - 1) if rows < 64 else 1  # repeats a shorter truth table
    truths = [[_truth(term, bit) * fill for bit in range(term.width)] for term in terms]
    logic = minimise(tuple(truth for bits in truths for truth in bits), muxes=cells.muxes)
    signals: list[Value] = [address[bit] if bit < len(address) else Const(0, 1) for bit in range(INPUTS)]
    for number, gate in enumerate(logic.gates):
        signals.append(cells.gate(gate, signals, f"{name}_cell{number}"))
    outputs = iter(Const(-1 - output, 1) if output < 0 else signals[output] for output in logic.outputs)
    return [Cat(next(outputs) for _ in bits) for bits in truths]


def _truth(term: Term, bit: int) -> int:
    """Give a bit of a table as a number: row ``u`` is its bit ``u``."""
    return sum(1 << row for row, value in enumerate(term.values) if int(value) >> bit & 1)


def make_block_words(
    m: Module, address: Value, rows: Codes, highest: Sequence[int], name: str, *, family: str
) -> list[Value]:
    """Make block memory, and give the columns of the row at ``address``, one cycle later: the memory registers it.

    For a family by name there are memories of which each is one block, if it can be: synthesis would save a block here
    and there by a multiplexer behind others, in the slowest path there is.

    Parameters
    ----------
    m : Module
        The module that it is written into.
    address : Value
    rows : array of non-negative integers ``(words, columns)``
        What the memory holds.
    highest : sequence of int
        The highest number of each column.
    name : str
        The beginning of the memories' names.
    family : str
        ``"ecp5"``, ``"ice40"`` or another.
    """
    depth, widths = len(rows), [one.bit_length() for one in highest]
    offsets = [sum(widths[:column]) for column in range(len(widths))]
    width = sum(widths)
    words = [sum(int(value) << offset for value, offset in zip(row, offsets, strict=True)) for row in rows]
    part = min(width, block_width(family, depth) or width)
    parts: list[Value] = []
    for low in range(0, width, max(1, part)):
        bits = min(part, width - low)
        init = [word >> low & (1 << bits) - 1 for word in words]
        memory: Any = Memory(shape=unsigned(bits), depth=depth, init=init, attrs={"ram_style": "block"})
        m.submodules[f"{name}{low}"] = memory
        port = memory.read_port()
        m.d.comb += port.addr.eq(address)
        parts.append(port.data)
    word = Cat(parts)
    return [word[offset : offset + width] for offset, width in zip(offsets, widths, strict=True)]


class Tables:
    """Tables and sums in the cells that a family has.

    Parameters
    ----------
    m : Module
        The module that they are written into.
    family : str
        A name of :data:`.cells.CELLS`; for any other, synthesis chooses the cells.

    Attributes
    ----------
    add : callable
        Gives the sum of two values in so many bits, which it has to fit.
    """

    def __init__(self, m: Module, family: str) -> None:
        self._m = m
        self.family = family
        self._cells = CELLS[family](m) if family in CELLS else None
        self.add: Callable[[Value, Value, int], Value] = self._cells.add if self._cells else add_plainly

    def logic(self, address: Value, terms: Sequence[Term], name: str) -> list[Value]:
        """Make tables of logic, and give their values at one ``address``."""
        if self._cells and len(address) <= INPUTS:
            return make_cell_tables(self._cells, address, terms, name)
        return make_logic_tables(self._m, address, terms, name)

    def block(self, address: Value, terms: Sequence[Term], name: str) -> list[Value]:
        """Make tables of block memory, and give their values at the address that was there one cycle ago."""
        rows = np.stack([term.values for term in terms], axis=1)
        return self.words(address, rows, [term.highest for term in terms], name)

    def words(self, address: Value, rows: Codes, highest: Sequence[int], name: str) -> list[Value]:
        """Make block memory, and give its columns one cycle later; see :func:`make_block_words`."""
        return make_block_words(self._m, address, rows, highest, name, family=self.family)
