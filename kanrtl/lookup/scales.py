"""What the codes of a lookup network stand for in real values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..arrays import Reals


@dataclass(frozen=True, eq=False)
class CodeScale:
    """What the codes of a layer's inputs, or of its nodes, stand for: ``value = code * step + offset``.

    Attributes
    ----------
    bits : int
        How many bits a code has; codes are signed.
    step, offset : arrays ``(n,)``
        The real value of one LSB, and that of code zero, for every input or node.
    """

    bits: int
    step: Reals
    offset: Reals

    @property
    def lowest(self) -> int:
        """The lowest code."""
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:
        """The highest code."""
        return (1 << (self.bits - 1)) - 1

    def levels(self, number: int) -> Reals:
        """Give the real values ``(2**bits,)`` of all codes of one input or node, lowest code first."""
        codes = np.arange(1 << self.bits, dtype=np.float64) + self.lowest
        result: Reals = codes * self.step[number] + self.offset[number]
        return result

    def codes(self, values: Reals) -> Reals:
        """Give the nearest codes of real values ``(n_samples, n)``, half to even, saturated."""
        return np.clip(np.rint((values - self.offset) / self.step), self.lowest, self.highest)

    def round(self, values: Reals) -> Reals:
        """Give what is left of real values ``(n_samples, n)`` after they have been codes."""
        result: Reals = self.codes(values) * self.step + self.offset
        return result
