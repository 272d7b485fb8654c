"""Several functions of the same few bits as LUTs, fewer than one by one: each may use what was made for the others.

A function of up to six bits is a number of 64 bits, its truth table, so whether it can be made of four signals is a
matter of a few operations on words. Functions are taken one after another, and the cheapest decomposition is tried
first:

- one LUT of four signals;
- two LUTs and the multiplexer that joins them at no cost (PFUMX), or one LUT behind another;
- two LUTs of the same four inputs, and one of these and two signals;
- four LUTs and their multiplexers, which make any function of six bits.

Where a multiplexer is a LUT as any other (iCE40) the decompositions are the same, except for their order: the one that
adds the fewest LUTs is taken. Two LUTs select one of four signals.

Then each function is made anew with what there is of the others by then, and that is kept where it takes less, until
nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from .decompositions import (
    Decomposition,
    LogicNode,
    Words,
    chain,
    find_lut,
    join_by_mux,
    make_lut,
    pair_luts,
    quarter,
    select_by_lut,
    use_four_luts,
)
from .gates import ALL_ROWS, INPUT_TRUTHS, INPUTS, Gate, Logic, cofactor, count_changes, count_support

_POOL = 16
"""How many signals are looked at for one function; the time goes with the fourth power."""

_DEPTH = 2
"""How many LUTs stand behind each other at most; more would be fewer, and slower. Without multiplexers one more may."""


@lru_cache(maxsize=256)
def minimise(functions: tuple[int, ...], rounds: int = 2, *, muxes: bool = True) -> Logic:
    """Make logic for several functions at once.

    Parameters
    ----------
    functions : tuple of int
        Truth tables of 64 rows; those of functions of fewer bits are repeated to fill them.
    rounds
        How often all functions are made anew at most.
    muxes
        Whether there are multiplexers behind LUTs that cost nothing; else there are LUTs alone.

    Returns
    -------
    Logic
        Its outputs are the functions, in their order.
    """
    network = _SharedLogic(functions, muxes)
    # Of equals the one given first: low bits of a table come before high ones.
    different = dict.fromkeys(truth for truth in functions if truth not in (0, ALL_ROWS))
    order = sorted(different, key=lambda truth: (count_support(truth), count_changes(truth)))
    for truth in order:
        network.make(truth)
    for _ in range(rounds):
        before = network.luts
        for truth in sorted(network.made, key=lambda one: -len(network.made[one])):
            network.remake(truth)
        if network.luts == before:
            break
    return network.logic()


@dataclass
class _SharedLogic:
    """Functions while they are made: a truth table names the node that has it."""

    functions: tuple[int, ...]
    muxes: bool
    nodes: dict[int, LogicNode] = field(default_factory=dict)
    made: dict[int, list[int]] = field(default_factory=dict)  # by function, the nodes made for it

    @property
    def depth(self) -> int:
        """How many LUTs stand behind each other at most."""
        return _DEPTH if self.muxes else _DEPTH + 1

    @property
    def luts(self) -> int:
        """How many LUTs the nodes take.

        What a multiplexer takes in stands beside it, and no other can have it.
        """
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

    def _is_for(self, outer: LogicNode, signal: int) -> bool:
        """Tell whether a multiplexer can take a node as it is: a LUT, or if it is a wide one, a multiplexer of LUTs."""
        node = self.nodes.get(signal)
        return node is not None and not node.wide and (node.init is None) == outer.wide

    def _size(self, truth: int) -> int:
        """Count the LUTs of a node and of what is within it."""
        node = self.nodes[truth]
        if node.init is not None:
            return 1
        return sum(self._size(signal) if signal in self.nodes else 1 for signal in node.inputs[:2])

    def make(self, truth: int) -> None:
        """Make a function, if it is not there yet."""
        if truth in self.nodes or truth in INPUT_TRUTHS:
            return
        self._add(truth, self._cheapest(truth, self._pool(truth)))

    def _add(self, truth: int, decomposition: Decomposition) -> None:
        """Add the nodes of a function that are not there yet."""
        self.made[truth] = []
        for node in decomposition:
            if node.truth not in self.nodes and node.truth not in INPUT_TRUTHS:
                self.nodes[node.truth] = node
                self.made[truth].append(node.truth)

    def remake(self, truth: int) -> None:
        """Make a function again, and leave it as it was where that takes more."""
        old_nodes, old_made, before = dict(self.nodes), {key: list(one) for key, one in self.made.items()}, self.luts
        behind = self._behind(truth)
        del self.nodes[truth]
        self._remove_unused(truth)
        pool = self._pool(truth, behind)
        self._add(truth, self._cheapest(truth, pool))
        if self.luts > before or self._broken():
            self.nodes, self.made = old_nodes, old_made

    def _behind(self, truth: int) -> set[int]:
        """Find the nodes that depend on ``truth``, itself among them."""
        behind = {truth}
        while True:
            more = {one for one, node in self.nodes.items() if one not in behind and behind & set(node.inputs)}
            if not more:
                return behind
            behind |= more

    def _remove_unused(self, kept: int) -> None:
        """Remove what nothing uses, except functions."""
        wanted = set(self.functions) | {kept}
        while True:
            used = {signal for node in self.nodes.values() for signal in node.inputs} | wanted
            unused = [one for one in self.nodes if one not in used]
            if not unused:
                return
            for one in unused:
                del self.nodes[one]

    def _broken(self) -> bool:
        """Tell whether nodes are in a loop, lack an input, or stand too many behind each other."""
        return len(self._order()) < len(self.nodes) or max(self._depths().values()) > self.depth

    def _depths(self) -> dict[int, int]:
        """Count the LUTs behind each other up to every node."""
        depths = dict.fromkeys(INPUT_TRUTHS, 0)
        for one in self._order():
            node = self.nodes[one]
            depths[one] = max(depths[signal] for signal in node.inputs) + (node.init is not None)
        return depths

    def _order(self) -> list[int]:
        """Order the nodes, each behind its inputs.

        Those that are in a loop, or behind something that is not there, are left out.
        """
        done, order = set(INPUT_TRUTHS), []
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
        """Choose the signals to make ``truth`` of: the inputs, and the nodes that tell most about it."""
        depths = self._depths()
        candidates = [
            one for one in self.nodes if depths.get(one, self.depth) < self.depth and not (without and one in without)
        ]

        def count_told(one: int) -> int:
            agree = bin(one ^ truth).count("1")
            return max(agree, 64 - agree)

        candidates.sort(key=count_told, reverse=True)
        return np.array([*INPUT_TRUTHS, *candidates[: _POOL - INPUTS]], dtype=np.uint64)

    def _cheapest(self, truth: int, pool: Words) -> Decomposition:
        """Find the cheapest decomposition of a function into signals of the pool."""
        on, off = truth, truth ^ ALL_ROWS
        one = find_lut(on, off, pool)
        if one is not None:
            return [make_lut(truth, one, on)]
        for decompose in (join_by_mux, chain, pair_luts) if self.muxes else (chain,):
            found = decompose(truth, pool)
            if found is not None:
                return found
        if self.muxes:
            return use_four_luts(truth)
        several = [quarter(truth), pair_luts(truth, pool), select_by_lut(truth, pool), *self._halve(truth, pool)]
        return min((one for one in several if one is not None), key=self._count_new)

    def _count_new(self, decomposition: Decomposition) -> int:
        """Count the LUTs of a decomposition that are not there yet."""
        return len({node.truth for node in decomposition} - set(self.nodes))

    def _halve(self, truth: int, pool: Words) -> Iterator[Decomposition]:
        """Make LUTs that select from two functions of five bits, each of them one LUT or two behind each other."""
        for bit, select in enumerate(INPUT_TRUTHS):
            nodes: Decomposition = []
            halves = [cofactor(truth, bit, value) for value in range(2)]
            for half in halves:
                if half in self.nodes or half in INPUT_TRUTHS:
                    continue
                signals = find_lut(half, half ^ ALL_ROWS, pool)
                behind = [make_lut(half, signals, half)] if signals else chain(half, pool)
                if behind is None:
                    break
                nodes += behind
            else:
                yield [*nodes, make_lut(truth, [*halves, select], truth)]

    def logic(self) -> Logic:
        """Give the gates of all functions."""
        order = self._order()
        numbers = {truth: number for number, truth in enumerate(INPUT_TRUTHS)}
        gates: list[Gate] = []
        # A cell is there for itself where anything but a multiplexer of its kind takes it; else beside its multiplexer.
        beside, alone = set[int](), set(self.functions)
        for node in self.nodes.values():
            for number, signal in enumerate(node.inputs):
                fits = node.init is None and number < 2 and self._is_for(node, signal)
                (beside if fits else alone).add(signal)

        def append(inputs: Sequence[int], init: int | None, wide: bool = False) -> int:
            gates.append(Gate(tuple(inputs), init, wide))
            return INPUTS + len(gates) - 1

        def put_within(outer: LogicNode, signal: int) -> int:
            """Give a multiplexer what it takes: a cell of its own."""
            if self._is_for(outer, signal):
                return add(self.nodes[signal])
            buffers = [append([numbers[signal]], 2) for _ in range(2 if outer.wide else 1)]
            return append([*buffers, numbers[signal]], None) if outer.wide else buffers[0]

        def add(node: LogicNode) -> int:
            if node.init is not None:
                return append([numbers[signal] for signal in node.inputs], node.init)
            inner = [put_within(node, signal) for signal in node.inputs[:2]]
            return append([*inner, numbers[node.inputs[2]]], None, node.wide)

        for truth in order:
            if truth in alone or truth not in beside:
                numbers[truth] = add(self.nodes[truth])
        constants = {0: -1, ALL_ROWS: -2}
        return Logic(tuple(gates), tuple(constants.get(one, numbers.get(one, 0)) for one in self.functions))
