"""Truth tables as logic: what several outputs have in common is there once."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value, unsigned
from amaranth.lib.memory import Memory

from .cells import Cells
from .functions import INPUTS, minimise
from .plan import Term

__all__ = ["block_tables", "cell_tables", "logic_tables"]


def logic_tables(m: Module, address: Value, terms: list[Term], name: str) -> list[Value]:
    """The values of all tables over one ``address``, in as many bits as each has. Equal bits are made once."""
    made: dict[int, Value] = {}
    results = []
    for number, term in enumerate(terms):
        bits = []
        for place in range(term.width):
            truth = _truth(term, place)
            if truth not in made:
                made[truth] = _function(m, address, truth, f"{name}_{number}_bit{place}")
            bits.append(made[truth])
        results.append(Cat(bits))
    return results


def _function(m: Module, address: Value, truth: int, name: str) -> Value:
    """One bit that depends on ``address``: row ``u`` is bit ``u`` of ``truth``."""
    rows = 1 << len(address)
    if truth in (0, (1 << rows) - 1):
        return Const(truth & 1, 1)
    bit = Signal(name=name)
    m.d.comb += bit.eq(Const(truth, rows).bit_select(address, 1))
    return bit


def cell_tables(cells: Cells, address: Value, terms: list[Term], name: str) -> list[Value]:
    """As :func:`logic_tables`, in a family's own cells, over an address of at most six bits."""
    rows = 1 << len(address)
    fill = (1 << 64) // ((1 << rows) - 1) if rows < 64 else 1  # repeats a shorter truth table
    truths = [[_truth(term, place) * fill for place in range(term.width)] for term in terms]
    logic = minimise(tuple(truth for bits in truths for truth in bits), muxes=cells.muxes)
    signals: list[Value] = [address[bit] if bit < len(address) else Const(0, 1) for bit in range(INPUTS)]
    for number, gate in enumerate(logic.gates):
        signals.append(cells.gate(gate, signals, f"{name}_cell{number}"))
    outputs = iter(Const(-1 - output, 1) if output < 0 else signals[output] for output in logic.outputs)
    return [Cat(next(outputs) for _ in bits) for bits in truths]


def _truth(term: Term, place: int) -> int:
    """A bit of a table: row ``u`` is bit ``u``."""
    return sum(1 << row for row, value in enumerate(term.values) if int(value) >> place & 1)


_ECP5_BLOCK_WIDTHS = {10: 18, 11: 9, 12: 4, 13: 2, 14: 1}
"""Bits of a word that one DP16KD has, by address bits; up to nine of these, 36."""


def block_tables(m: Module, address: Value, terms: list[Term], name: str, *, ecp5: bool) -> list[Value]:
    """The values of all tables over one ``address``, from memory that holds the address itself: they are those of the
    address one clock ago.

    For ``ecp5`` in memories of which each is one block: synthesis would save a block here and there by a multiplexer
    behind others, in the slowest path there is.
    """
    width, depth = sum(term.width for term in terms), 1 << len(address)
    rows = [0] * depth
    offset = 0
    for term in terms:
        for row, value in enumerate(term.values):
            rows[row] |= int(value) << offset
        offset += term.width
    part = width
    if ecp5:
        part = min(width, 36 if len(address) < 10 else _ECP5_BLOCK_WIDTHS.get(len(address), width))
    words = []
    for low in range(0, width, max(1, part)):
        bits = min(part, width - low)
        init = [row >> low & (1 << bits) - 1 for row in rows]
        memory: Any = Memory(shape=unsigned(bits), depth=depth, init=init, attrs={"ram_style": "block"})
        m.submodules[f"{name}{low}"] = memory
        port = memory.read_port()
        m.d.comb += port.addr.eq(address)
        words.append(port.data)
    word = Cat(words)
    results, offset = [], 0
    for term in terms:
        results.append(word[offset : offset + term.width])
        offset += term.width
    return results
