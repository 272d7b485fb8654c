"""Several functions of the same few bits as LUTs, fewer than one by one: each may use what was made for the others.

A function of up to six bits is a number of 64 bits, its truth table, so whether it can be made of four signals is a
matter of a few operations on words. Functions are taken one after another, cheapest way first:

- one LUT of four signals;
- two LUTs and the multiplexer that joins them at no cost (PFUMX), or one LUT behind another;
- two LUTs of the same four inputs, and one of these and two signals;
- four LUTs and their multiplexers, which make any function of six bits.

Where a multiplexer is a LUT as any other (iCE40) the same, but for their order: the way that adds the fewest. Two LUTs
select one of four signals.

Then each is made anew with what there is of the others by then, and that is kept where it takes less, until nothing
changes. Decompositions of the second and the third kind are Ashenhurst's and Curtis'.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["INPUTS", "Gate", "Logic", "minimise"]

Words = npt.NDArray[np.uint64]

INPUTS = 6

_ALL = (1 << 64) - 1

_INPUT = [sum(1 << row for row in range(64) if row >> bit & 1) for bit in range(INPUTS)]

_POOL, _PAIRED_POOL = 16, 9
"""Signals that are looked at for one function; the time goes with the fourth power."""

_DEPTH = 2
"""LUTs behind each other at most; more would be fewer, and slower. Without multiplexers, one more."""


@dataclass(frozen=True)
class Gate:
    """A cell.

    Attributes
    ----------
    inputs : tuple of int
        Signals: inputs first, then gates by their number plus six. Of a multiplexer what it gives for 0, for 1, and
        what selects.
    init : int or None
        Bit ``i`` is what a LUT gives where its inputs, the first lowest, are ``i``; None for a multiplexer.
    wide : bool
        Whether it is a multiplexer of multiplexers.
    """

    inputs: tuple[int, ...]
    init: int | None
    wide: bool = False


@dataclass(frozen=True)
class Logic:
    """Gates, each after those that it takes from, and which signal is which function. A constant is signal -1 or -2:
    zero or one."""

    gates: tuple[Gate, ...]
    outputs: tuple[int, ...]

    @property
    def luts(self) -> int:
        return sum(gate.init is not None for gate in self.gates)

    def evaluate(self) -> list[int]:
        """Truth tables of the outputs."""
        values = list(_INPUT)
        for gate in self.gates:
            values.append(_evaluate(gate, values))
        return [(0, _ALL)[-1 - output] if output < 0 else values[output] for output in self.outputs]


def _evaluate(gate: Gate, values: Sequence[int]) -> int:
    if gate.init is None:
        low, high, select = (values[signal] for signal in gate.inputs)
        return low & ~select | high & select
    result = 0
    for row in range(1 << len(gate.inputs)):
        if gate.init >> row & 1:
            cell = _ALL
            for place, signal in enumerate(gate.inputs):
                cell &= values[signal] if row >> place & 1 else ~values[signal]
            result |= cell
    return result


@lru_cache(maxsize=256)
def minimise(functions: tuple[int, ...], rounds: int = 2, *, muxes: bool = True) -> Logic:
    """Logic for truth tables of 64 rows; those of functions of fewer bits are repeated to fill them.

    ``muxes``: whether there are multiplexers behind LUTs that cost nothing; else there are LUTs alone.
    """
    network = _Network(functions, muxes)
    order = sorted(set(functions) - {0, _ALL}, key=lambda truth: (_support(truth), -_runs(truth)))
    for truth in order:
        network.make(truth)
    for _ in range(rounds):
        before = network.luts
        for truth in sorted(network.made, key=lambda one: -len(network.made[one])):
            network.remake(truth)
        if network.luts == before:
            break
    return network.logic()


def _support(truth: int) -> int:
    return sum(_cofactor(truth, bit, 0) != _cofactor(truth, bit, 1) for bit in range(INPUTS))


def _cofactor(truth: int, bit: int, value: int) -> int:
    mask, shift = _INPUT[bit], 1 << bit
    half = truth & mask if value else truth & ~mask
    return half | (half >> shift if value else half << shift) & _ALL


def _runs(truth: int) -> int:
    """How rarely it changes from row to row."""
    return -bin((truth ^ truth >> 1) & (_ALL >> 1)).count("1")


@dataclass
class _Node:
    """A gate of the network while it is made."""

    truth: int
    inputs: tuple[int, ...]  # truth tables, which name their nodes
    init: int | None
    wide: bool = False


# One way to make a function: its nodes, the last of them the function itself.
_Way = list[_Node]


@dataclass
class _Network:
    """Functions as they are made: a truth table names the node that has it."""

    functions: tuple[int, ...]
    muxes: bool
    nodes: dict[int, _Node] = field(default_factory=dict)
    made: dict[int, list[int]] = field(default_factory=dict)  # by function, the nodes made for it

    @property
    def depth(self) -> int:
        """LUTs behind each other at most."""
        return _DEPTH if self.muxes else _DEPTH + 1

    @property
    def luts(self) -> int:
        """How many LUTs the nodes take. What a multiplexer takes in stands beside it, and no other can have it."""
        muxed: dict[int, int] = {}
        free = set(self.functions)
        for node in self.nodes.values():
            inner = node.inputs[:2] if node.init is None else ()
            for signal in inner:
                muxed[signal] = muxed.get(signal, 0) + 1
            free.update(node.inputs[len(inner) :])
        return sum(
            self._size(truth) * (muxed[truth] - 1 + (truth in free)) for truth in muxed if truth in self.nodes
        ) + sum(node.init is not None for node in self.nodes.values())

    def _is_for(self, outer: _Node, signal: int) -> bool:
        """Whether a multiplexer can take a node as it is: a LUT, or if it is a wide one, a multiplexer of LUTs."""
        node = self.nodes.get(signal)
        return node is not None and not node.wide and (node.init is None) == outer.wide

    def _size(self, truth: int) -> int:
        """LUTs of a node and of what is within it."""
        node = self.nodes[truth]
        if node.init is not None:
            return 1
        return sum(self._size(signal) if signal in self.nodes else 1 for signal in node.inputs[:2])

    def make(self, truth: int) -> None:
        if truth in self.nodes or truth in _INPUT:
            return
        self._add(truth, self._cheapest(truth, self._pool(truth)))

    def _add(self, truth: int, way: _Way) -> None:
        self.made[truth] = []
        for node in way:
            if node.truth not in self.nodes and node.truth not in _INPUT:
                self.nodes[node.truth] = node
                self.made[truth].append(node.truth)

    def remake(self, truth: int) -> None:
        """Makes a function again, and leaves it as it was where that takes more."""
        old_nodes, old_made, before = dict(self.nodes), {key: list(one) for key, one in self.made.items()}, self.luts
        behind = self._behind(truth)
        del self.nodes[truth]
        self._sweep(truth)
        pool = self._pool(truth, behind)
        self._add(truth, self._cheapest(truth, pool))
        if self.luts > before or self._broken():
            self.nodes, self.made = old_nodes, old_made

    def _behind(self, truth: int) -> set[int]:
        """Nodes that depend on ``truth``, itself among them."""
        behind = {truth}
        while True:
            more = {one for one, node in self.nodes.items() if one not in behind and behind & set(node.inputs)}
            if not more:
                return behind
            behind |= more

    def _sweep(self, kept: int) -> None:
        """Removes what nothing uses, but for functions."""
        wanted = set(self.functions) | {kept}
        while True:
            used = {signal for node in self.nodes.values() for signal in node.inputs} | wanted
            unused = [one for one in self.nodes if one not in used]
            if not unused:
                return
            for one in unused:
                del self.nodes[one]

    def _broken(self) -> bool:
        """Whether nodes are in a loop, lack an input, or stand too many behind each other."""
        return len(self._order()) < len(self.nodes) or max(self._depths().values()) > self.depth

    def _depths(self) -> dict[int, int]:
        """LUTs behind each other up to every node."""
        depths = dict.fromkeys(_INPUT, 0)
        for one in self._order():
            node = self.nodes[one]
            depths[one] = max(depths[signal] for signal in node.inputs) + (node.init is not None)
        return depths

    def _order(self) -> list[int]:
        """Nodes, each behind its inputs; without those that are in a loop, or behind something that is not there."""
        done, order = set(_INPUT), []
        waiting = list(self.nodes)
        while waiting:
            ready = [one for one in waiting if all(signal in done for signal in self.nodes[one].inputs)]
            if not ready:
                break
            done.update(ready)
            order += ready
            waiting = [one for one in waiting if one not in done]
        return order

    def _pool(self, truth: int, without: set[int] | None = None) -> Words:
        """Signals to make ``truth`` of: the inputs, and the nodes that tell most about it."""
        depths = self._depths()
        candidates = [
            one for one in self.nodes if depths.get(one, self.depth) < self.depth and not (without and one in without)
        ]

        def told(one: int) -> int:
            agree = bin(one ^ truth).count("1")
            return max(agree, 64 - agree)

        candidates.sort(key=told, reverse=True)
        return np.array([*_INPUT, *candidates[: _POOL - INPUTS]], dtype=np.uint64)

    def _cheapest(self, truth: int, pool: Words) -> _Way:
        on, off = truth, truth ^ _ALL
        one = _lut_of(on, off, pool)
        if one is not None:
            return [_lut(truth, one, on)]
        for way in (_joined, _chained, _paired) if self.muxes else (_chained,):
            found = way(truth, pool)
            if found is not None:
                return found
        if self.muxes:
            return _any(truth)
        ways = [_quartered(truth), _paired(truth, pool), _selected(truth, pool), *self._halved(truth, pool)]
        return min((way for way in ways if way is not None), key=self._new)

    def _new(self, way: _Way) -> int:
        """How many LUTs of a way are not there yet."""
        return len({node.truth for node in way} - set(self.nodes))

    def _halved(self, truth: int, pool: Words) -> Iterator[_Way]:
        """A LUT that selects from two functions of five bits, each one LUT or two behind each other."""
        for bit, select in enumerate(_INPUT):
            way: _Way = []
            halves = [_cofactor(truth, bit, value) for value in range(2)]
            for half in halves:
                if half in self.nodes or half in _INPUT:
                    continue
                signals = _lut_of(half, half ^ _ALL, pool)
                behind = [_lut(half, signals, half)] if signals else _chained(half, pool)
                if behind is None:
                    break
                way += behind
            else:
                yield [*way, _lut(truth, [*halves, select], truth)]

    def logic(self) -> Logic:
        order = self._order()
        numbers = {truth: number for number, truth in enumerate(_INPUT)}
        gates: list[Gate] = []
        # A cell is there for itself where anything but a multiplexer of its kind takes it; else beside its multiplexer.
        beside, alone = set[int](), set(self.functions)
        for node in self.nodes.values():
            for place, signal in enumerate(node.inputs):
                fits = node.init is None and place < 2 and self._is_for(node, signal)
                (beside if fits else alone).add(signal)

        def append(inputs: Sequence[int], init: int | None, wide: bool = False) -> int:
            gates.append(Gate(tuple(inputs), init, wide))
            return INPUTS + len(gates) - 1

        def within(outer: _Node, signal: int) -> int:
            """What a multiplexer takes: a cell of its own."""
            if self._is_for(outer, signal):
                return add(self.nodes[signal])
            buffers = [append([numbers[signal]], 2) for _ in range(2 if outer.wide else 1)]
            return append([*buffers, numbers[signal]], None) if outer.wide else buffers[0]

        def add(node: _Node) -> int:
            if node.init is not None:
                return append([numbers[signal] for signal in node.inputs], node.init)
            inner = [within(node, signal) for signal in node.inputs[:2]]
            return append([*inner, numbers[node.inputs[2]]], None, node.wide)

        for truth in order:
            if truth in alone or truth not in beside:
                numbers[truth] = add(self.nodes[truth])
        constants = {0: -1, _ALL: -2}
        return Logic(tuple(gates), tuple(constants.get(one, numbers.get(one, 0)) for one in self.functions))


def _lut(truth: int | None, signals: Sequence[int], on: int) -> _Node:
    """A LUT of these signals that is one on ``on``, and zero where no row of ``on`` leads; ``truth`` is then found."""
    init = 0
    result = 0
    for row in range(1 << len(signals)):
        cell = _ALL
        for place, signal in enumerate(signals):
            cell &= signal if row >> place & 1 else signal ^ _ALL
        if cell & on:
            init |= 1 << row
            result |= cell
    assert truth is None or result == truth
    return _Node(result, tuple(signals), init)


@lru_cache(maxsize=64)
def _subsets(count: int, size: int) -> npt.NDArray[np.intp]:
    return np.array(list(itertools.combinations(range(count), size)), dtype=np.intp)


def _lut_of(on: int, off: int, pool: Words) -> list[int] | None:
    """Up to four signals that tell ``on`` from ``off``."""
    if not on or not off:
        return [int(pool[0])]
    chosen = _subsets(len(pool), 4)
    for block in range(0, len(chosen), 1 << 14):
        part = chosen[block : block + (1 << 14)]
        for row in range(16):
            cell = np.full(len(part), np.uint64(_ALL))
            for place in range(4):
                signal = pool[part[:, place]]
                cell &= signal if row >> place & 1 else ~signal
            good = ((cell & np.uint64(on)) == 0) | ((cell & np.uint64(off)) == 0)
            part = part[good]
            if not len(part):
                break
        if len(part):
            return _fewest([int(pool[index]) for index in part[0]], on, off)
    return None


def _fewest(signals: list[int], on: int, off: int) -> list[int]:
    """Without those that are not needed."""
    for signal in list(signals):
        fewer = [one for one in signals if one != signal]
        if fewer and _tells(fewer, on, off):
            signals = fewer
    return signals


def _tells(signals: Sequence[int], on: int, off: int) -> bool:
    return all(not (cell & on and cell & off) for cell in _cells(signals))


def _cells(signals: Sequence[int]) -> Iterator[int]:
    """For every combination of the signals, the rows that have it."""
    for row in range(1 << len(signals)):
        cell = _ALL
        for place, signal in enumerate(signals):
            cell &= signal if row >> place & 1 else signal ^ _ALL
        yield cell


def _joined(truth: int, pool: Words) -> _Way | None:
    """Two LUTs and a multiplexer."""
    off = truth ^ _ALL
    for select in map(int, pool):
        halves = []
        for where in (select ^ _ALL, select):
            signals = _lut_of(truth & where, off & where, pool)
            if signals is None:
                break
            halves.append(_lut(None, signals, truth & where))
        if len(halves) == 2 and halves[0].truth != halves[1].truth:
            return [*halves, _Node(truth, (halves[0].truth, halves[1].truth, select), None)]
    return None


def _selected(truth: int, pool: Words) -> _Way | None:
    """Two LUTs, and one that selects."""
    joined = _joined(truth, pool)
    if joined is None:
        return None
    *halves, mux = joined
    return [*halves, _lut(truth, mux.inputs, truth)]


def _quartered(truth: int) -> _Way:
    """Four LUTs of four inputs, those that are different, and two that select with the others."""
    ways = []
    for pair in itertools.combinations(range(INPUTS), 2):
        first, second = (_INPUT[bit] for bit in pair)
        others = [signal for signal in _INPUT if signal not in (first, second)]
        quarters = [_cofactor(_cofactor(truth, pair[0], row & 1), pair[1], row >> 1) for row in range(4)]
        way = [_lut(quarter, others, quarter) for quarter in dict.fromkeys(quarters) if quarter not in (0, _ALL)]
        # Where the second input is high, the inner LUT passes on the first: two LUTs select one of four signals.
        inner = second & first | ~second & (first & quarters[1] | ~first & quarters[0])
        for result, given in ((inner, [*quarters[:2], first, second]), (truth, [inner, *quarters[2:], second])):
            way.append(_lut(result, [signal for signal in given if signal not in (0, _ALL)], result))
        ways.append(way)
    return min(ways, key=len)


_PLACES = np.uint64(1) << np.arange(8, dtype=np.uint64)

_SQUARE = np.array([sum(1 << 8 * place for place in range(8) if row >> place & 1) for row in range(256)], np.uint64)
"""Bit ``i`` of a number at ``8 * i``: times a second number, every bit of one with every bit of the other."""

_BOUND = [tuple(_INPUT[bit] for bit in bits) for bits in itertools.combinations(range(INPUTS), 4)]


def _chained(truth: int, pool: Words) -> _Way | None:
    """A LUT of four inputs, and one of it and three signals.

    The three signals divide the rows into eight cells; one in which the function is constant needs nothing else. In the
    others, of rows that the first LUT takes for the same, those where the function is one lie in other cells than those
    where it is zero; and in which of two cells the first LUT has to be upside down is the same for all of them.
    """
    off = truth ^ _ALL
    triples = pool[_subsets(len(pool), 3)]
    cells = np.empty((8, len(triples)), dtype=np.uint64)
    for row in range(8):
        cell = np.full(len(triples), np.uint64(_ALL))
        for place in range(3):
            cell &= triples[:, place] if row >> place & 1 else ~triples[:, place]
        constant = ((cell & np.uint64(truth)) == 0) | ((cell & np.uint64(off)) == 0)
        cells[row] = np.where(constant, np.uint64(0), cell)
    for bound in _bounds(truth):
        index, there = np.arange(len(triples)), cells
        # Pairs of cells, as squares of eight bits: which have to agree, and which have to differ.
        agree, differ = (np.zeros(len(triples), np.uint64) for _ in range(2))
        for rows in _cells(bound):
            one, zero = (_PLACES @ ((there & np.uint64(rows & which)) != 0) for which in (truth, off))
            agree |= _SQUARE[one] * one | _SQUARE[zero] * zero
            differ |= _SQUARE[one] * zero | _SQUARE[zero] * one
            alive = (agree & differ) == 0
            if not alive.all():
                index, there, agree, differ = index[alive], there[:, alive], agree[alive], differ[alive]
            if not len(index):
                break
        for place, number in enumerate(index):
            flipped = _flipped_cells(int(agree[place]), int(differ[place]))
            if flipped is None:
                continue
            flip = sum(int(there[cell, place]) for cell in range(8) if flipped >> cell & 1)
            matters = sum(int(cell) for cell in there[:, place])
            inner = sum(rows for rows in _cells(bound) if rows & matters & (truth ^ flip))
            if inner in (0, _ALL):
                continue
            node = _lut(inner, _fewest(list(bound), inner, inner ^ _ALL), inner)
            signals = [inner, *(int(one) for one in triples[number])]
            return [node, _lut(truth, _fewest(signals, truth, off), truth)]
    return None


def _flipped_cells(agree: int, differ: int) -> int | None:
    """Which of eight cells are upside down, as bits, where pairs have to agree and to differ; None if none can be."""
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
    """Fours of the inputs that are worth a LUT in front of ``truth``."""
    used = [signal for bit, signal in enumerate(_INPUT) if _cofactor(truth, bit, 0) != _cofactor(truth, bit, 1)]
    return [bound for bound in _BOUND if len(set(bound) & set(used)) == min(4, len(used))]


def _paired(truth: int, pool: Words) -> _Way | None:
    """Two LUTs of the same four inputs, and one of them and two signals."""
    off = truth ^ _ALL
    for pair in itertools.combinations(map(int, pool[:_PAIRED_POOL]), 2):
        groups = list(_cells(pair))
        for bound in _BOUND:
            classes: list[tuple[list[int], int, int]] = []  # rows of the class, where it is one, where zero
            for rows in _cells(bound):
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
                nodes = [_lut(one, _fewest(list(bound), one, one ^ _ALL), one) for one in inner if one not in (0, _ALL)]
                signals = [*(node.truth for node in nodes), *pair]
                return [*nodes, _lut(truth, _fewest(signals, truth, off), truth)]
    return None


def _any(truth: int) -> _Way:
    """Four LUTs and three multiplexers."""
    quarter = []
    for row in range(4):
        part = truth
        for place, bit in enumerate((4, 5)):
            part = _cofactor(part, bit, row >> place & 1)
        quarter.append(_lut(part, _INPUT[:4], part))
    halves = [
        _Node(
            _mix(quarter[2 * half], quarter[2 * half + 1], _INPUT[4]),
            (quarter[2 * half].truth, quarter[2 * half + 1].truth, _INPUT[4]),
            None,
        )
        for half in range(2)
    ]
    return [*quarter, *halves, _Node(truth, (halves[0].truth, halves[1].truth, _INPUT[5]), None, wide=True)]


def _mix(low: _Node, high: _Node, select: int) -> int:
    return low.truth & (select ^ _ALL) | high.truth & select
