"""Where the tables of a node begin: of all offsets that make the same sum, those that take the fewest LUTs.

A table's bits change with what is added to it, and some are simpler than others. How many LUTs a bit takes is estimated
by how its function of six bits falls apart, without regard to what it might share with others.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...numeric.fixed import Codes
from .gates import INPUTS

Bits = npt.NDArray[np.bool_]

_ONES = np.array([number.bit_count() for number in range(1 << 16)])


def find_cheapest_offsets(
    start: int, tables: Sequence[Codes], highest: Sequence[int], muxes: bool
) -> tuple[int, list[int]]:
    """Find the offsets with which tables of up to six address bits take the fewest LUTs.

    Parameters
    ----------
    start : int
        The sum of the offsets, none of which is negative.
    tables : sequence of arrays ``(2**bits,)``
        The tables, of non-negative integers.
    highest : sequence of int
        What no value of each table may be above. There have to be offsets that leave it so.
    muxes : bool
        Whether the chip has multiplexers behind LUTs; see :func:`kanrtl.lookup.rtl.minimise.minimise`.

    Returns
    -------
    luts : int
        How many LUTs the tables then take, by estimate.
    offsets : list of int
        One for each table.
    """
    rooms = _find_rooms(tables, highest)
    offsets = [np.arange(one.start, one.stop) for one in _list_offsets(start, rooms)]
    # By the sum of the offsets so far, of those from `low` on that can still become `start`: the least cost, and the
    # offset of each table that leads there.
    low, best = 0, np.zeros(1)
    chosen = []
    for number, (given, costs) in enumerate(zip(offsets, _cost_tables(tables, offsets, muxes), strict=True)):
        first, last = max(0, start - sum(rooms[number + 1 :])), min(start, sum(rooms[: number + 1]))
        following, choice = np.full(last - first + 1, np.inf), np.zeros(last - first + 1, dtype=np.int64)
        for offset, cost in zip(given.tolist(), costs, strict=True):
            begin, end = max(first, low + offset), min(last + 1, low + len(best) + offset)
            total = best[begin - offset - low : end - offset - low] + cost
            there = slice(begin - first, end - first)
            better = total < following[there]
            following[there][better] = total[better]
            choice[there][better] = offset
        chosen.append((first, choice))
        low, best = first, following
    assert (low, len(best)) == (start, 1)
    offsets_of, left = [], start
    for first, choice in reversed(chosen):
        offsets_of.append(int(choice[left - first]))
        left -= offsets_of[-1]
    return int(best[0]), offsets_of[::-1]


def count_choices(start: int, tables: Sequence[Codes], highest: Sequence[int]) -> int:
    """Count what :func:`find_cheapest_offsets` with these arguments would work through: numbers that it computes."""
    rooms = _find_rooms(tables, highest)
    count, size = 0, 1
    for number, (table, given) in enumerate(zip(tables, _list_offsets(start, rooms), strict=True)):
        first, last = max(0, start - sum(rooms[number + 1 :])), min(start, sum(rooms[: number + 1]))
        bits = (int(table.max()) + given.stop - 1).bit_length()
        count += len(given) * (size + bits * (1 << INPUTS))
        size = last - first + 1
    return count


def _find_rooms(tables: Sequence[Codes], highest: Sequence[int]) -> list[int]:
    """The highest offset that each table can have."""
    return [limit - int(table.max()) for table, limit in zip(tables, highest, strict=True)]


def _list_offsets(start: int, rooms: Sequence[int]) -> list[range]:
    """The offsets of each table: from what the others leave where they take all they can, to all there is."""
    return [range(max(0, start - sum(rooms) + room), min(start, room) + 1) for room in rooms]


def _cost_tables(tables: Sequence[Codes], offsets: Sequence[Codes], muxes: bool) -> list[npt.NDArray[np.float64]]:
    """Estimate the LUTs of each table by what is added to it, of ``offsets`` that follow each other."""
    functions, numbers = [], []
    for number, (table, given) in enumerate(zip(tables, offsets, strict=True)):
        values = np.tile(table[None] + given[:, None], (1, (1 << INPUTS) // len(table)))
        for bit in range(int(values.max()).bit_length()):
            # A bit comes back where twice its weight is added.
            bits = np.packbits(values[: 2 << bit] >> bit & 1, axis=1)
            functions.append(bits.view(np.uint64)[:, 0])
            numbers.append(number)
    costs = [np.zeros(len(given)) for given in offsets]
    if not functions:
        return costs
    # Many are the same: estimating is what takes time.
    kinds, which = np.unique(np.concatenate(functions), return_inverse=True)
    luts = estimate_luts(np.unpackbits(kinds[:, None].view(np.uint8), axis=1).astype(bool), muxes)[which]
    ends = np.cumsum([len(one) for one in functions])
    for number, once in zip(numbers, np.split(luts, ends[:-1]), strict=True):
        costs[number] += np.resize(once, len(costs[number]))
    return costs


def estimate_luts(functions: Bits, muxes: bool) -> npt.NDArray[np.int64]:
    """Estimate how many LUTs functions of six bits take, each alone.

    Parameters
    ----------
    functions : array of booleans ``(n, 64)``
        Truth tables.
    muxes : bool
        Whether the chip has multiplexers behind LUTs.

    Returns
    -------
    array of integers ``(n,)``
    """
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
        found = _count_distinct(kinds.reshape(count, 16))
        luts = np.where(found <= 4, np.minimum(luts, 3), luts)
        chained = found <= 2
        for axis in range(1, 5):
            halves = [np.take(kinds, value, axis=axis).reshape(count, 8) for value in range(2)]
            chained |= (_count_distinct(halves[0]) <= 2) & (_count_distinct(halves[1]) <= 2)
        # Where a bit has no part in it, the second LUT has an input more to see what the first sees.
        spare = ~(_depends(cube, free[0]) & _depends(cube, free[1]))
        for pair in itertools.combinations(range(4), 2) if spare.any() else ():
            rest = [axis for axis in range(4) if axis not in pair]
            parts = kinds.transpose((0, *(1 + axis for axis in (*pair, *rest)))).reshape(count, 4, 4)
            chained |= spare & np.all([_count_distinct(parts[:, number]) <= 2 for number in range(4)], axis=0)
        luts = np.where(chained, np.minimum(luts, 2), luts)
    if not muxes and (large := luts > 3).any():
        luts[large] = np.minimum(luts[large], _halve_luts(cube[large]))
    several = sum(_depends(cube, axis).astype(int) for axis in range(1, INPUTS + 1))
    # Of a single bit a function is that bit, or its inverse.
    least = np.where(several == 1, functions[:, 0].astype(int), 0)
    return np.where(several <= 1, least, np.where(several <= 4, 1, luts))


def _halve_luts(cube: Bits) -> npt.NDArray[np.int64]:
    """Count the LUTs where one selects from two functions of five bits, each one LUT or two behind each other."""
    luts = np.full(len(cube), 6)
    for axis in range(1, INPUTS + 1):
        halves = [np.repeat(np.take(cube, [value], axis=axis), 2, axis=axis) for value in range(2)]
        each = [estimate_luts(half.reshape(-1, 1 << INPUTS), False) for half in halves]
        fits = (each[0] <= 2) & (each[1] <= 2)
        luts = np.where(fits, np.minimum(luts, 1 + each[0] + each[1]), luts)
    return luts


def _depends(cube: Bits, axis: int) -> Bits:
    """Tell which functions depend on the bit along an axis."""
    differing = np.take(cube, 0, axis=axis) != np.take(cube, 1, axis=axis)
    result: Bits = differing.any(axis=tuple(range(1, differing.ndim)))
    return result


def _count_distinct(kinds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Count the different powers of two in a row."""
    result: npt.NDArray[np.int64] = _ONES[np.bitwise_or.reduce(kinds, axis=1)]
    return result
