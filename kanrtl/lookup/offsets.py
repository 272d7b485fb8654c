"""Where the tables of a node begin: of all ways to begin that make the same sum, that which takes the fewest LUTs.

A table's bits change with what is added to it, and some are simpler than others. How many LUTs a bit takes is estimated
by how its function of six bits falls apart, without regard to what it might share with others.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..fixed import Codes
from .functions import INPUTS

__all__ = ["cheapest_offsets", "estimated_luts"]

Bits = npt.NDArray[np.bool_]

_ONES = np.array([number.bit_count() for number in range(1 << 16)])


def cheapest_offsets(start: int, tables: Sequence[Codes], highest: Sequence[int], muxes: bool) -> tuple[int, list[int]]:
    """Offsets of tables of up to six address bits, not negative, that make ``start``, and lift none above ``highest``;
    before them the LUTs that the tables then take.

    There has to be a way. ``muxes`` as for :func:`kanrtl.lookup.functions.minimise`.
    """
    # By the sum of the offsets so far the least cost, and the offset of each table that leads there.
    best = np.full(start + 1, np.inf)
    best[0] = 0.0
    chosen = []
    for table, limit in zip(tables, highest, strict=True):
        room = min(start, limit - int(table.max()))
        offsets = np.arange(room + 1)
        costs = _costs(table, offsets, muxes)
        following, choice = np.full(start + 1, np.inf), np.zeros(start + 1, dtype=np.int64)
        for offset, cost in zip(offsets, costs, strict=True):
            total = best[: start + 1 - offset] + cost
            better = total < following[offset:]
            following[offset:][better] = total[better]
            choice[offset:][better] = offset
        chosen.append(choice)
        best = following
    assert np.isfinite(best[start])
    offsets_of, left = [], start
    for choice in reversed(chosen):
        offsets_of.append(int(choice[left]))
        left -= offsets_of[-1]
    return int(best[start]), offsets_of[::-1]


def _costs(table: Codes, offsets: Codes, muxes: bool) -> npt.NDArray[np.float64]:
    """LUTs of a table by what is added to it."""
    values = np.tile(table[None] + offsets[:, None], (1, (1 << INPUTS) // len(table)))
    cost = np.zeros(len(offsets))
    for place in range(int(values.max()).bit_length()):
        # A bit comes back where twice its weight is added.
        period = 2 << place
        once = estimated_luts((values[:period] >> place & 1).astype(bool), muxes)
        cost += once[np.arange(len(offsets)) % len(once)] if len(once) == period else once
    return cost


def estimated_luts(functions: Bits, muxes: bool) -> npt.NDArray[np.int64]:
    """LUTs that functions ``(n, 64)`` of six bits take, each alone."""
    count = len(functions)
    cube = functions.reshape((count, *(2,) * INPUTS))  # the last axis is the lowest bit
    joined, quarters = (2, 4) if muxes else (3, 6)
    luts = np.full(count, quarters)
    for axis in range(1, INPUTS + 1):
        halves = [np.take(cube, value, axis=axis) for value in range(2)]
        small = [sum(_depends(half, other).astype(int) for other in range(1, INPUTS)) <= 4 for half in halves]
        luts = np.where(small[0] & small[1], np.minimum(luts, joined), luts)
    for bound in itertools.combinations(range(1, INPUTS + 1), 4):
        free = [axis for axis in range(1, INPUTS + 1) if axis not in bound]
        columns = cube.transpose((0, *bound, *free)).reshape(count, 2, 2, 2, 2, 4) @ (1 << np.arange(4))
        kinds = 1 << columns
        found = _distinct(kinds.reshape(count, 16))
        luts = np.where(found <= 4, np.minimum(luts, 3), luts)
        chained = found <= 2
        for axis in range(1, 5):
            halves = [np.take(kinds, value, axis=axis).reshape(count, 8) for value in range(2)]
            chained |= (_distinct(halves[0]) <= 2) & (_distinct(halves[1]) <= 2)
        # Where a bit has no part in it, the second LUT has an input more to see what the first sees.
        spare = ~(_depends(cube, free[0]) & _depends(cube, free[1]))
        for pair in itertools.combinations(range(4), 2) if spare.any() else ():
            rest = [axis for axis in range(4) if axis not in pair]
            parts = kinds.transpose((0, *(1 + axis for axis in (*pair, *rest)))).reshape(count, 4, 4)
            chained |= spare & np.all([_distinct(parts[:, place]) <= 2 for place in range(4)], axis=0)
        luts = np.where(chained, np.minimum(luts, 2), luts)
    if not muxes and (large := luts > 3).any():
        luts[large] = np.minimum(luts[large], _halved(cube[large]))
    several = sum(_depends(cube, axis).astype(int) for axis in range(1, INPUTS + 1))
    # Of a single bit a function is that bit, or its inverse.
    least = np.where(several == 1, functions[:, 0].astype(int), 0)
    return np.where(several <= 1, least, np.where(several <= 4, 1, luts))


def _halved(cube: Bits) -> npt.NDArray[np.int64]:
    """LUTs of one that selects from two functions of five bits, each one LUT or two behind each other."""
    luts = np.full(len(cube), 6)
    for axis in range(1, INPUTS + 1):
        halves = [np.repeat(np.take(cube, [value], axis=axis), 2, axis=axis) for value in range(2)]
        each = [estimated_luts(half.reshape(-1, 1 << INPUTS), False) for half in halves]
        fits = (each[0] <= 2) & (each[1] <= 2)
        luts = np.where(fits, np.minimum(luts, 1 + each[0] + each[1]), luts)
    return luts


def _depends(cube: Bits, axis: int) -> Bits:
    differing = np.take(cube, 0, axis=axis) != np.take(cube, 1, axis=axis)
    result: Bits = differing.any(axis=tuple(range(1, differing.ndim)))
    return result


def _distinct(kinds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """How many different powers of two there are in a row."""
    result: npt.NDArray[np.int64] = _ONES[np.bitwise_or.reduce(kinds, axis=1)]
    return result
