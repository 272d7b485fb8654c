"""The logistic function, as a table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .bits import clog2
from .fixed import UQ, Codes, Format


@dataclass(frozen=True)
class Sigmoid:
    """The table of the logistic function: rows over ``-reach <= y < reach``, each sampled at the middle of its step.

    An output beyond the table takes its first or last row. Values are unsigned, with the fraction bits of a gradient.
    """

    reach: int
    row_bits: int
    row_shift: int
    value: Format

    @classmethod
    def of(cls, activation: Format, gradient: Format, table_size: int = 256) -> Sigmoid:
        """The table for outputs in one format and gradients in another, with at most ``table_size`` rows."""
        integer_bits = min(4, activation.i)  # sigmoid(8) = 0.9997: beyond, an output has been decided
        row_bits = min(clog2(table_size), integer_bits + activation.f)
        return cls(1 << (integer_bits - 1), row_bits, integer_bits + activation.f - row_bits, UQ(1, gradient.f))

    @cached_property
    def table(self) -> Codes:
        """Values by row; shape ``(2**row_bits,)``; row 0 is the lowest y."""
        rows = 1 << self.row_bits
        y = (np.arange(rows) + 0.5) * (2 * self.reach / rows) - self.reach
        return self.value.quantise(1 / (1 + np.exp(-y)))

    def row(self, y: Codes) -> Codes:
        """The rows that output codes of any shape address."""
        half = 1 << (self.row_bits - 1)
        row: Codes = np.clip(y >> self.row_shift, -half, half - 1) + half
        return row
