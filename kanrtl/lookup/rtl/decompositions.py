"""Functions of six bits, made of a few LUTs and of signals that are there already.

Most decompositions take a ``pool`` of signals, an array of truth tables, and give the nodes that make a function of
them, or None where there are none. Those of :func:`chain` and :func:`pair_luts` are Ashenhurst's and Curtis'.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .gates import ALL_ROWS, INPUT_TRUTHS, INPUTS, cofactor, split_rows

Words = npt.NDArray[np.uint64]

_PAIRED_POOL = 9
"""How many signals are looked at for :func:`pair_luts`; the time goes with the fourth power."""


@dataclass
class LogicNode:
    """A gate while logic is made.

    Attributes
    ----------
    truth : int
        Its truth table, by which others name it.
    inputs : tuple of int
        The truth tables of the signals that it takes.
    init, wide
        As of a :class:`~.gates.Gate`.
    """

    truth: int
    inputs: tuple[int, ...]
    init: int | None
    wide: bool = False


Decomposition = list[LogicNode]
"""The nodes that make a function, the last of them the function itself."""


def make_lut(truth: int | None, signals: Sequence[int], on: int) -> LogicNode:
    """Make the LUT of these signals that is one on the rows ``on``, and zero where no row of ``on`` leads.

    ``truth`` is what it has to be, or None where any function will do that is so.
    """
    init = 0
    result = 0
    for row, cell in enumerate(split_rows(signals)):
        if cell & on:
            init |= 1 << row
            result |= cell
    assert truth is None or result == truth
    return LogicNode(result, tuple(signals), init)


@lru_cache(maxsize=64)
def _subsets(count: int, size: int) -> npt.NDArray[np.intp]:
    return np.array(list(itertools.combinations(range(count), size)), dtype=np.intp)


def find_lut(on: int, off: int, pool: Words) -> list[int] | None:
    """Find up to four signals of the pool that tell the rows ``on`` from the rows ``off``."""
    if not on or not off:
        return [int(pool[0])]
    chosen = _subsets(len(pool), 4)
    for block in range(0, len(chosen), 1 << 14):
        part = chosen[block : block + (1 << 14)]
        for row in range(16):
            cell = np.full(len(part), np.uint64(ALL_ROWS))
            for bit in range(4):
                signal = pool[part[:, bit]]
                cell &= signal if row >> bit & 1 else ~signal
            good = ((cell & np.uint64(on)) == 0) | ((cell & np.uint64(off)) == 0)
            part = part[good]
            if not len(part):
                break
        if len(part):
            return drop_unneeded([int(pool[index]) for index in part[0]], on, off)
    return None


def drop_unneeded(signals: list[int], on: int, off: int) -> list[int]:
    """Drop the signals that are not needed to tell the rows ``on`` from the rows ``off``."""
    for signal in list(signals):
        fewer = [one for one in signals if one != signal]
        if fewer and _tells_apart(fewer, on, off):
            signals = fewer
    return signals


def _tells_apart(signals: Sequence[int], on: int, off: int) -> bool:
    """Tell whether the signals differ between any row of ``on`` and any of ``off``."""
    return all(not (cell & on and cell & off) for cell in split_rows(signals))


def join_by_mux(truth: int, pool: Words) -> Decomposition | None:
    """Make a function of two LUTs and a multiplexer."""
    off = truth ^ ALL_ROWS
    for select in map(int, pool):
        halves = []
        for where in (select ^ ALL_ROWS, select):
            signals = find_lut(truth & where, off & where, pool)
            if signals is None:
                break
            halves.append(make_lut(None, signals, truth & where))
        if len(halves) == 2 and halves[0].truth != halves[1].truth:
            return [*halves, LogicNode(truth, (halves[0].truth, halves[1].truth, select), None)]
    return None


def select_by_lut(truth: int, pool: Words) -> Decomposition | None:
    """Make a function of two LUTs, and one that selects."""
    joined = join_by_mux(truth, pool)
    if joined is None:
        return None
    *halves, mux = joined
    return [*halves, make_lut(truth, mux.inputs, truth)]


def quarter(truth: int) -> Decomposition:
    """Make a function of four LUTs of four inputs, or those of them that differ, and two that select by the others."""
    found = []
    for pair in itertools.combinations(range(INPUTS), 2):
        first, second = (INPUT_TRUTHS[bit] for bit in pair)
        others = [signal for signal in INPUT_TRUTHS if signal not in (first, second)]
        quarters = [cofactor(cofactor(truth, pair[0], row & 1), pair[1], row >> 1) for row in range(4)]
        nodes = [make_lut(one, others, one) for one in dict.fromkeys(quarters) if one not in (0, ALL_ROWS)]
        # Where the second input is high, the inner LUT passes on the first: two LUTs select one of four signals.
        inner = second & first | ~second & (first & quarters[1] | ~first & quarters[0])
        for result, given in ((inner, [*quarters[:2], first, second]), (truth, [inner, *quarters[2:], second])):
            nodes.append(make_lut(result, [signal for signal in given if signal not in (0, ALL_ROWS)], result))
        found.append(nodes)
    return min(found, key=len)


_WEIGHTS = np.uint64(1) << np.arange(8, dtype=np.uint64)

_SQUARE = np.array([sum(1 << 8 * bit for bit in range(8) if row >> bit & 1) for row in range(256)], np.uint64)
"""Numbers whose bit ``i`` has moved to ``8 * i``: such a number times another has every bit of one with every bit of
the other."""

_FOURS = [tuple(INPUT_TRUTHS[bit] for bit in bits) for bits in itertools.combinations(range(INPUTS), 4)]


def chain(truth: int, pool: Words) -> Decomposition | None:
    """Make a function of a LUT of four inputs, and one of it and three signals.

    The three signals divide the rows into eight cells; one in which the function is constant needs nothing else. In the
    others, of rows that the first LUT takes for the same, those where the function is one lie in other cells than those
    where it is zero; and in which of two cells the first LUT has to be upside down is the same for all of them.
    """
    off = truth ^ ALL_ROWS
    triples = pool[_subsets(len(pool), 3)]
    cells = np.empty((8, len(triples)), dtype=np.uint64)
    for row in range(8):
        cell = np.full(len(triples), np.uint64(ALL_ROWS))
        for bit in range(3):
            cell &= triples[:, bit] if row >> bit & 1 else ~triples[:, bit]
        constant = ((cell & np.uint64(truth)) == 0) | ((cell & np.uint64(off)) == 0)
        cells[row] = np.where(constant, np.uint64(0), cell)
    for bound in _bounds(truth):
        index, there = np.arange(len(triples)), cells
        # Pairs of cells, as squares of eight bits: which have to agree, and which have to differ.
        agree, differ = (np.zeros(len(triples), np.uint64) for _ in range(2))
        for rows in split_rows(bound):
            one, zero = (_WEIGHTS @ ((there & np.uint64(rows & which)) != 0) for which in (truth, off))
            agree |= _SQUARE[one] * one | _SQUARE[zero] * zero
            differ |= _SQUARE[one] * zero | _SQUARE[zero] * one
            alive = (agree & differ) == 0
            if not alive.all():
                index, there, agree, differ = index[alive], there[:, alive], agree[alive], differ[alive]
            if not len(index):
                break
        for column, number in enumerate(index):
            flipped = _find_flipped_cells(int(agree[column]), int(differ[column]))
            if flipped is None:
                continue
            flip = sum(int(there[cell, column]) for cell in range(8) if flipped >> cell & 1)
            matters = sum(int(cell) for cell in there[:, column])
            inner = sum(rows for rows in split_rows(bound) if rows & matters & (truth ^ flip))
            if inner in (0, ALL_ROWS):
                continue
            node = make_lut(inner, drop_unneeded(list(bound), inner, inner ^ ALL_ROWS), inner)
            signals = [inner, *(int(one) for one in triples[number])]
            return [node, make_lut(truth, drop_unneeded(signals, truth, off), truth)]
    return None


def _find_flipped_cells(agree: int, differ: int) -> int | None:
    """Find which of eight cells are upside down, as bits, where pairs have to agree and to differ.

    None says that there is no such choice.
    """
    known, flipped = 0, 0
    for start in range(8):
        if known >> start & 1:
            continue
        known |= 1 << start
        waiting = [start]
        while waiting:
            cell = waiting.pop()
            same, other = (square >> 8 * cell & 255 for square in (agree, differ))
            if flipped >> cell & 1:
                same, other = other, same
            # What follows for its neighbours: the ones upside down are `other`.
            if flipped & same or known & ~flipped & other:
                return None
            waiting += [one for one in range(8) if (same | other) & ~known & 1 << one]
            known, flipped = known | same | other, flipped | other
    return flipped


def _bounds(truth: int) -> list[tuple[int, ...]]:
    """Give the fours of the inputs that are worth a LUT in front of ``truth``."""
    used = [signal for bit, signal in enumerate(INPUT_TRUTHS) if cofactor(truth, bit, 0) != cofactor(truth, bit, 1)]
    return [bound for bound in _FOURS if len(set(bound) & set(used)) == min(4, len(used))]


def pair_luts(truth: int, pool: Words) -> Decomposition | None:
    """Make a function of two LUTs of the same four inputs, and one of them and two signals."""
    off = truth ^ ALL_ROWS
    for pair in itertools.combinations(map(int, pool[:_PAIRED_POOL]), 2):
        groups = list(split_rows(pair))
        for bound in _FOURS:
            classes: list[tuple[list[int], int, int]] = []  # rows of the class, where it is one, where zero
            for rows in split_rows(bound):
                one = sum(1 << number for number, group in enumerate(groups) if group & rows & truth)
                zero = sum(1 << number for number, group in enumerate(groups) if group & rows & off)
                if one & zero:
                    break
                for number, (members, high, low) in enumerate(classes):
                    if not (one & low or zero & high):
                        classes[number] = ([*members, rows], high | one, low | zero)
                        break
                else:
                    classes.append(([rows], one, zero))
                    if len(classes) > 4:
                        break
            else:
                inner = []
                for bit in range(2):
                    inner.append(
                        sum(sum(members) for number, (members, _, _) in enumerate(classes) if number >> bit & 1)
                    )
                nodes = [
                    make_lut(one, drop_unneeded(list(bound), one, one ^ ALL_ROWS), one)
                    for one in inner
                    if one not in (0, ALL_ROWS)
                ]
                signals = [*(node.truth for node in nodes), *pair]
                return [*nodes, make_lut(truth, drop_unneeded(signals, truth, off), truth)]
    return None


def use_four_luts(truth: int) -> Decomposition:
    """Make any function of four LUTs and three multiplexers."""
    quarters = []
    for row in range(4):
        part = truth
        for number, bit in enumerate((4, 5)):
            part = cofactor(part, bit, row >> number & 1)
        quarters.append(make_lut(part, INPUT_TRUTHS[:4], part))
    halves = [
        LogicNode(
            _mix(quarters[2 * half], quarters[2 * half + 1], INPUT_TRUTHS[4]),
            (quarters[2 * half].truth, quarters[2 * half + 1].truth, INPUT_TRUTHS[4]),
            None,
        )
        for half in range(2)
    ]
    return [*quarters, *halves, LogicNode(truth, (halves[0].truth, halves[1].truth, INPUT_TRUTHS[5]), None, wide=True)]


def _mix(low: LogicNode, high: LogicNode, select: int) -> int:
    return low.truth & (select ^ ALL_ROWS) | high.truth & select
