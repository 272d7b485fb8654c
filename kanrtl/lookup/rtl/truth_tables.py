"""Functions of up to six bits as numbers of 64 bits: bit ``i`` is what the function gives for the inputs ``i``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["ALL_ROWS", "INPUTS", "INPUT_TRUTHS", "cofactor", "count_changes", "count_support", "split_rows"]

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
