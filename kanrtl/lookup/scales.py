"""Between real values and the codes of a lookup network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CodeScale"]

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CodeScale:
    """What the codes of a layer's inputs, or of its nodes, stand for: ``value = code * step + offset``.

    Attributes
    ----------
    bits : int
        Of a code, which is signed.
    step, offset : arrays ``(n,)``
        Of every input or node: the real value of one LSB, and that of code zero.
    """

    bits: int
    step: Reals
    offset: Reals

    @property
    def lowest(self) -> int:
        return -(1 << (self.bits - 1))

    @property
    def highest(self) -> int:
        return (1 << (self.bits - 1)) - 1

    def levels(self, place: int) -> Reals:
        """The values of all codes of one input or node, lowest code first."""
        codes = np.arange(1 << self.bits, dtype=np.float64) + self.lowest
        result: Reals = codes * self.step[place] + self.offset[place]
        return result

    def codes(self, values: Reals) -> Reals:
        """The nearest codes of real values ``(n_samples, n)``, half to even, saturated."""
        return np.clip(np.rint((values - self.offset) / self.step), self.lowest, self.highest)

    def rounded(self, values: Reals) -> Reals:
        """What is left of real values ``(n_samples, n)`` after they have been codes."""
        result: Reals = self.codes(values) * self.step + self.offset
        return result
