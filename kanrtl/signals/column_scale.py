"""A straight line from the units of a column to those of a learner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Reals
from ..errors import InputError

LEAST, MOST = 1e-100, 1e100
"""The least range and the largest magnitude of a column, so that squares of errors are numbers, and above zero."""


@dataclass(frozen=True)
class ColumnScale:
    """Maps what a column holds at first, ``lowest`` to ``highest``, onto ``low`` to ``high``; other values lie beyond.

    Attributes
    ----------
    name
        The name of the column.
    lowest, highest
        In the user's units.
    low, high
        In the learner's.
    outside
        The share of the samples after the first part that lie beyond.
    """

    name: str
    lowest: float
    highest: float
    low: float
    high: float
    outside: float

    @classmethod
    def find(
        cls, name: str, values: Reals, first: int, onto: tuple[float, float] | None, *, used: bool = True
    ) -> ColumnScale:
        """The scale of a column ``(rows,)`` by its ``first`` rows; with ``onto=None`` units stay as they are.

        Raises :exc:`InputError` where all rows are the same, which teaches nothing, or where these are, so that they
        have no scale, if that is to be ``used``.
        """
        part, rest = values[:first], values[first:]
        lowest, highest = float(part.min()), float(part.max())
        if (values == lowest).all():
            raise InputError(f"column {name!r} is constant ({lowest:g} in all rows); leave it out")
        if used and lowest == highest:
            changed = int(np.flatnonzero(values != lowest)[0]) + 1
            raise InputError(
                f"column {name!r} is constant in the first part ({lowest:g} in {first} rows), which gives scales; "
                f"choose first so that it ends well after row {changed}"
            )
        if max(abs(float(values.min())), abs(float(values.max()))) > MOST:
            raise InputError(
                f"column {name!r}: {values.min():g} to {values.max():g} is too wide a range; scale it down"
            )
        if used and highest - lowest < LEAST:
            raise InputError(f"column {name!r}: {lowest:g} to {highest:g} is too narrow a range; scale it up")
        outside = float(np.mean((rest < lowest) | (rest > highest))) if len(rest) else 0.0
        low, high = onto or (lowest, highest)
        return cls(name, lowest, highest, low, high, outside)

    @property
    def unit(self) -> float:
        """What one unit of the learner is in those of the user."""
        if (self.low, self.high) == (self.lowest, self.highest):
            return 1.0
        return (self.highest - self.lowest) / (self.high - self.low)

    def apply(self, values: Reals) -> Reals:
        """Values in the user's units in those of the learner."""
        if (self.low, self.high) == (self.lowest, self.highest):
            return values
        # The ends come out exactly.
        part = (values - self.lowest) / (self.highest - self.lowest)
        return self.low * (1 - part) + self.high * part

    def invert(self, values: Reals) -> Reals:
        """Values in the learner's units in those of the user."""
        return self.lowest + (values - self.low) * self.unit

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "column": self.name,
            "lowest": self.lowest,
            "highest": self.highest,
            "onto": [self.low, self.high],
            "outside_later": self.outside,
        }
