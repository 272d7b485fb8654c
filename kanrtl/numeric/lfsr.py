"""The random bits of stochastic rounding: one linear feedback shift register, the same in model and hardware.

The register is a 32-bit Fibonacci LFSR of maximal length (x^32 + x^9 + x^3 + x^2 + 1): a bit is the XOR of those 23,
29, 30 and 32 before it. With every learning step it moves on by 16 of them. None of these depends on another of them,
so they are 16 LUTs in hardware; the other flip-flops take what stands 16 below. 16 and the period 2^32 - 1 have no
common divisor, so it is the period in steps too.
Each lane (one coefficient memory bank of one edge) sees the word rotated by another amount.
"""

from __future__ import annotations

from functools import cache, reduce

import numpy as np
import numpy.typing as npt

from .fixed import Codes

WIDTH = 32

_MASK = (1 << WIDTH) - 1

_TAPS = (22, 28, 29, 31)  # the bits whose XOR is the next, from the latest

LEAP = 16
"""Positions that the register moves on with a learning step."""

_STRIDE = 7  # coprime to WIDTH: all 32 rotations come in turn, neighbours far from each other


def initial_state(seed: int) -> int:
    """The register's state before the first learning step; never zero, from which an LFSR cannot leave."""
    return (seed ^ 0x9E3779B9) & _MASK or 1


def _shift(state: int) -> int:
    return state << 1 & _MASK | sum(state >> tap for tap in _TAPS) & 1


@cache
def leap_taps(leaps: int = 1) -> tuple[tuple[int, ...], ...]:
    """The bits of a state whose XOR is a bit of the state so many leaps later, for each bit of that, the lowest
    first."""
    columns = []
    for bit in range(WIDTH):
        state = 1 << bit
        for _ in range(LEAP * leaps):
            state = _shift(state)
        columns.append(state)
    return tuple(tuple(bit for bit in range(WIDTH) if columns[bit] >> row & 1) for row in range(WIDTH))


def leap(state: int) -> int:
    """The state one learning step later."""
    return sum((sum(state >> bit for bit in taps) & 1) << row for row, taps in enumerate(leap_taps()))


@cache
def _leap_table(exponent: int) -> Codes:
    """What each byte of a state, the lowest first, becomes in ``2**exponent`` leaps; shape ``(4, 256)``. A leap is
    linear: the state after it is the XOR of what its bytes become."""
    if exponent:
        half = _leap_table(exponent - 1)
        return _leap_all(half, half)
    bits = [leap(1 << bit) for bit in range(WIDTH)]
    table = np.zeros((WIDTH // 8, 256), dtype=np.int64)
    for byte, row in enumerate(table):
        for bit in range(8):
            row[1 << bit : 2 << bit] = row[: 1 << bit] ^ bits[8 * byte + bit]
    return table


def _leap_all(states: Codes, table: Codes) -> Codes:
    parts = (table[byte].take(states >> 8 * byte & 0xFF) for byte in range(WIDTH // 8))
    return reduce(np.bitwise_xor, parts)


def states_from(first: Codes, count: int) -> Codes:
    """``first``, of shape ``(n,)``, and its states at the next learning steps; shape ``(count, n)``.

    Every round doubles their number, so that a long run takes a few array operations.
    """
    states, exponent = first[None], 0
    while len(states) < count:
        states = np.concatenate([states, _leap_all(states[: count - len(states)], _leap_table(exponent))])
        exponent += 1
    return states


def lane_rotation(lane: int) -> int:
    """The number of bits by which lane ``lane`` sees the word rotated to the left."""
    return lane * _STRIDE % WIDTH


def lane_noise(state: npt.ArrayLike, lanes: Codes, bits: npt.ArrayLike) -> Codes:
    """The low ``bits`` of the rotated word for each lane; the three are broadcast against each other."""
    word = np.asarray(state, dtype=np.uint64)
    doubled = word << np.uint64(WIDTH) | word
    shift = (WIDTH - lanes * _STRIDE % WIDTH).astype(np.uint64)
    mask = (np.uint64(1) << np.asarray(bits, dtype=np.uint64)) - np.uint64(1)
    return ((doubled >> shift) & mask).astype(np.int64)
