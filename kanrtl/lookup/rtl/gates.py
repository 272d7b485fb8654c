"""Functions of up to six bits as truth tables, and as LUTs of four inputs with the multiplexers behind them.

A truth table is a number of 64 bits: bit ``i`` is what the function gives for the inputs ``i``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

INPUTS = 6
"""How many bits a function has."""

ALL_ROWS = (1 << 64) - 1
"""The function that is one everywhere."""

INPUT_TRUTHS = [sum(1 << row for row in range(64) if row >> bit & 1) for bit in range(INPUTS)]
"""The functions that are one of the bits, lowest bit first."""


def count_support(truth: int) -> int:
    """Count the bits that a function depends on."""
    return sum(cofactor(truth, bit, 0) != cofactor(truth, bit, 1) for bit in range(INPUTS))


def cofactor(truth: int, bit: int, value: int) -> int:
    """Give the function that is left where ``bit`` has a value; it does not depend on that bit any more."""
    mask, shift = INPUT_TRUTHS[bit], 1 << bit
    half = truth & mask if value else truth & ~mask
    return half | (half >> shift if value else half << shift) & ALL_ROWS


def count_changes(truth: int) -> int:
    """Count how often a function changes from row to row."""
    return bin((truth ^ truth >> 1) & (ALL_ROWS >> 1)).count("1")


def split_rows(signals: Sequence[int]) -> Iterator[int]:
    """Give for every combination of the values of ``signals``, the first signal lowest, the rows that have it."""
    for row in range(1 << len(signals)):
        cell = ALL_ROWS
        for bit, signal in enumerate(signals):
            cell &= signal if row >> bit & 1 else signal ^ ALL_ROWS
        yield cell


@dataclass(frozen=True)
class Gate:
    """A cell.

    Attributes
    ----------
    inputs : tuple of int
        The numbers of the signals that it takes: inputs first, then gates by their number plus six. A multiplexer takes
        what it gives for 0, what it gives for 1, and what selects.
    init : int or None
        Bit ``i`` is what a LUT gives where its inputs, the first lowest, are ``i``; None for a multiplexer.
    wide : bool
        Whether it is a multiplexer of multiplexers.
    """

    inputs: tuple[int, ...]
    init: int | None
    wide: bool = False


@dataclass(frozen=True)
class Logic:
    """Gates, and which signal is which function.

    Attributes
    ----------
    gates : tuple of Gate
        Each stands after those that it takes from.
    outputs : tuple of int
        For every function the number of its signal. A constant zero is signal -1, a constant one signal -2.
    """

    gates: tuple[Gate, ...]
    outputs: tuple[int, ...]

    @property
    def luts(self) -> int:
        """The number of LUTs."""
        return sum(gate.init is not None for gate in self.gates)

    def evaluate(self) -> list[int]:
        """Compute the truth tables of the outputs."""
        values = list(INPUT_TRUTHS)
        for gate in self.gates:
            values.append(_evaluate_gate(gate, values))
        return [(0, ALL_ROWS)[-1 - output] if output < 0 else values[output] for output in self.outputs]


def _evaluate_gate(gate: Gate, values: Sequence[int]) -> int:
    signals = [values[signal] for signal in gate.inputs]
    if gate.init is None:
        low, high, select = signals
        return low & ~select | high & select
    return sum(rows for number, rows in enumerate(split_rows(signals)) if gate.init >> number & 1)
