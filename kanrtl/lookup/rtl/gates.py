"""Logic as it is written into a module: LUTs of four inputs and the multiplexers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .truth_tables import ALL_ROWS, INPUT_TRUTHS, split_rows

__all__ = ["Gate", "Logic"]


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
