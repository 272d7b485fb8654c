"""What the codes of a lookup network stand for in real values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import Reals
from ..errors import InputError


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


def check_scales(scales: Sequence[CodeScale], layer_sizes: Sequence[int]) -> None:
    """Raise :exc:`InputError` where scales are not those of a network: one for each input, then for each node of every
    layer; outputs that are compared may share one."""
    if len(scales) != len(layer_sizes):
        raise InputError(f"scales: {len(scales)}; give {len(layer_sizes)}, for the inputs and every layer")
    for index, (scale, size) in enumerate(zip(scales, layer_sizes, strict=True)):
        allowed = (1, size) if index + 1 == len(layer_sizes) else (size,)
        if len(scale.step) not in allowed or len(scale.offset) not in allowed:
            raise InputError(
                f"scales[{index}]: are of {len(scale.step)} values, and the network has {size} there; give those that "
                "were found for it"
            )
