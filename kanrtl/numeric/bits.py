"""Arrays of codes as the bits of a port."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape

from .fixed import Format

__all__ = ["pack", "unpack"]


def pack(codes: npt.NDArray[np.int64], shape: Format | Shape) -> int:
    """The bits of an array of codes as the ports carry it: the first element lowest."""
    mask = (1 << shape.width) - 1
    return sum((int(code) & mask) << (place * shape.width) for place, code in enumerate(codes))


def unpack(bits: int, shape: Format | Shape, count: int) -> list[int]:
    """The ``count`` codes in ``bits``."""
    mask, top = (1 << shape.width) - 1, 1 << (shape.width - 1)
    fields = [(bits >> (place * shape.width)) & mask for place in range(count)]
    return [field - (mask + 1) if shape.signed and field & top else field for field in fields]
