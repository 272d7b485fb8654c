"""How many bits numbers take."""

from __future__ import annotations


def bits_for(limit: int) -> int:
    """Bits of an unsigned number up to ``limit``."""
    return max(1, int(limit).bit_length())


def clog2(count: int) -> int:
    """The bits that a sum of ``count`` equal terms has more than one term."""
    return (count - 1).bit_length()
