"""Truth tables as logic: what several outputs have in common is there once."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Instance, Module, Signal, Value, unsigned
from amaranth.lib.memory import Memory

from .functions import INPUTS, Gate, minimise
from .plan import Term

__all__ = ["block_tables", "ecp5_tables", "logic_tables"]


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


def ecp5_tables(m: Module, address: Value, terms: list[Term], name: str) -> list[Value]:
    """As :func:`logic_tables`, in ECP5's cells: LUT4, and the multiplexers PFUMX and L6MUX21 behind them."""
    rows = 1 << len(address)
    fill = (1 << 64) // ((1 << rows) - 1) if rows < 64 else 1  # repeats a shorter truth table
    truths = [[_truth(term, place) * fill for place in range(term.width)] for term in terms]
    logic = minimise(tuple(truth for bits in truths for truth in bits))
    signals: list[Value] = [address[bit] if bit < len(address) else Const(0, 1) for bit in range(INPUTS)]
    for number, gate in enumerate(logic.gates):
        signals.append(_cell(m, gate, signals, f"{name}_cell{number}"))
    outputs = iter(Const(-1 - output, 1) if output < 0 else signals[output] for output in logic.outputs)
    return [Cat(next(outputs) for _ in bits) for bits in truths]


def _truth(term: Term, place: int) -> int:
    """A bit of a table: row ``u`` is bit ``u``."""
    return sum(1 << row for row, value in enumerate(term.values) if int(value) >> place & 1)


def _cell(m: Module, gate: Gate, signals: list[Value], name: str) -> Value:
    """One LUT4, or the multiplexer of two of them or of two such pairs; gives its output."""
    output = Signal(name=name)
    if gate.init is not None:
        pins = {f"i_{pin}": signals[signal] for pin, signal in zip("ABCD", gate.inputs, strict=False)}
        # Pins that are left are low, so only the first rows matter.
        m.submodules[name] = Instance("LUT4", p_INIT=Const(gate.init, 16), **_LOW | pins, o_Z=output)
        return output
    low, high, select = (signals[signal] for signal in gate.inputs)
    if gate.wide:
        m.submodules[name] = Instance("L6MUX21", i_D0=low, i_D1=high, i_SD=select, o_Z=output)
    else:
        m.submodules[name] = Instance("PFUMX", i_BLUT=low, i_ALUT=high, i_C0=select, o_Z=output)
    return output


_LOW = {f"i_{pin}": Const(0, 1) for pin in "ABCD"}


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
