"""Truth tables as logic: what several outputs have in common is there once."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value, unsigned
from amaranth.lib.memory import Memory

from .plan import Term

__all__ = ["block_tables", "logic_tables"]


def logic_tables(m: Module, address: Value, terms: list[Term], name: str) -> list[Value]:
    """The values of all tables over one ``address``, in as many bits as each has. Equal bits are made once."""
    made: dict[int, Value] = {}
    results = []
    for number, term in enumerate(terms):
        bits = []
        for place in range(term.width):
            truth = sum(1 << row for row, value in enumerate(term.values) if int(value) >> place & 1)
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


def block_tables(m: Module, address: Value, terms: list[Term], name: str) -> list[Value]:
    """The values of all tables over one ``address``, from one word of a memory that holds the address itself: they are
    those of the address one clock ago."""
    width = sum(term.width for term in terms)
    rows = [0] * (1 << len(address))
    offset = 0
    for term in terms:
        for row, value in enumerate(term.values):
            rows[row] |= int(value) << offset
        offset += term.width
    memory: Any = Memory(shape=unsigned(width), depth=len(rows), init=rows, attrs={"ram_style": "block"})
    m.submodules[name] = memory
    port = memory.read_port()
    m.d.comb += port.addr.eq(address)
    results, offset = [], 0
    for term in terms:
        results.append(port.data[offset : offset + term.width])
        offset += term.width
    return results
