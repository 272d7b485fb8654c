"""Widths: the bits that numbers take."""

from __future__ import annotations


def bits_for(limit: int) -> int:
    """The bits of an unsigned number up to ``limit``; at least one."""
    return max(1, int(limit).bit_length())


def clog2(count: int) -> int:
    """The bits that a sum of ``count`` equal terms has more than one term."""
    return (count - 1).bit_length()
