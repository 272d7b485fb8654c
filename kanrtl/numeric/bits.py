"""Bits: how many of them numbers take, and arrays of codes as the bits of a port."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Shape

from .fixed import Format


def bits_for(limit: int) -> int:
    """The bits of an unsigned number up to ``limit``; at least one."""
    return max(1, int(limit).bit_length())


def clog2(count: int) -> int:
    """The bits that a sum of ``count`` equal terms has more than one term."""
    return (count - 1).bit_length()


def pack(codes: npt.NDArray[np.int64], shape: Format | Shape) -> int:
    """The bits of codes ``(n,)`` as ports carry them: the first element lowest, each in the width of ``shape``."""
    mask = (1 << shape.width) - 1
    return sum((int(code) & mask) << (index * shape.width) for index, code in enumerate(codes))


def unpack(bits: int, shape: Format | Shape, count: int) -> list[int]:
    """The ``count`` codes in ``bits``, as :func:`pack` has put them there."""
    mask, top = (1 << shape.width) - 1, 1 << (shape.width - 1)
    fields = [(bits >> (index * shape.width)) & mask for index in range(count)]
    return [field - (mask + 1) if shape.signed and field & top else field for field in fields]
