"""How a layer is folded onto few table ports, decided in integers before any of it is hardware.

The layer's inputs pass by, one at a time, and all its nodes look at each. Tables lie behind one another, and those of
all nodes side by side, so a single word has what an input adds to every node; its address is the input's code below the
number of the step. Every node accumulates its column::

    step 0     input 0   code 0     node 0 | node 1 | ...
                         ...
               input 0   last code
    step 1     input 1   code 0
                         ...

A ``reuse_factor`` of R lets at most R edges share a port. Up to the number of inputs, that is R inputs one after
another; inputs are divided among several such lanes, which work at once, and the nodes add what these give. Beyond
that, the inputs pass by several times, each time for other nodes, in narrower words.

The alternative, a lane of tables in order of node, would waste no word on an edge that is missing, but needs a selector
of all inputs for every lane: two LUTs for three inputs and each bit of a code, where here a chain of registers brings
the next input to the memory. Nor do two lanes share a memory with two ports: a block has no more bits for that, so it
would save blocks only where a lane's memory is shallower than any block's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...fabric.families import FAMILIES
from ..network import LookupNetwork
from ..number_checks import LAYERS, is_list, list_each
from ..quantiser import FixedQuantiser
from .network_plan import LookupLayerPlan
from .pipeline import Pipeline, choose_memories, count_levels, is_in_block_memory


@dataclass(frozen=True, eq=False)
class Lane:
    """Inputs that share a port.

    Attributes
    ----------
    sources : tuple of int
        The numbers of the inputs, in the order in which they pass by.
    words : array of non-negative integers ``(steps, 2**bits_in, columns)``
        What the port gives.
    """

    sources: tuple[int, ...]
    words: npt.NDArray[np.int64]

    @cached_property
    def highest(self) -> tuple[int, ...]:
        """The highest number in every column."""
        return tuple(int(value) for value in self.words.max(axis=(0, 1)))

    @property
    def depth(self) -> int:
        """How many words the port's memory has."""
        return int(self.words.shape[0] * self.words.shape[1])

    @property
    def width(self) -> int:
        """How many bits a word has."""
        return sum(value.bit_length() for value in self.highest)


@dataclass(frozen=True, eq=False)
class LayerFold:
    """One folded layer of a lookup network.

    Attributes
    ----------
    plan : LookupLayerPlan
        What the layer is made of.
    lanes : tuple of Lane
        The lanes that work at once. There are none where all nodes are constant.
    groups : tuple of tuples of int
        The nodes that are summed at once, by column. The inputs pass by once for each group.
    block : bool
        Whether the words lie in block memory, which takes a cycle.
    word_register : bool
        Whether there is a register behind that.
    """

    plan: LookupLayerPlan
    lanes: tuple[Lane, ...]
    groups: tuple[tuple[int, ...], ...]
    block: bool
    word_register: bool

    @classmethod
    def of(cls, index: int, plan: LookupLayerPlan, reuse_factor: int, block: bool, word_register: bool) -> Self:
        """Fold a layer.

        Parameters
        ----------
        index, plan
            The number of the layer, and what it is made of. The inputs of layer 0 are codes as they are; those of all
            others are addresses.
        reuse_factor
            How many edges share a port at most.
        block
            Whether the words lie in block memory.
        word_register
            Whether there is a register behind that.
        """
        live = plan.sources
        summed = [number for number, node in enumerate(plan.nodes) if node.terms]
        count = -(-len(live) // reuse_factor)
        passes = max(1, min(reuse_factor // max(1, len(live)), len(summed)))
        columns = -(-len(summed) // passes)
        groups = tuple(tuple(summed[start : start + columns]) for start in range(0, len(summed), max(1, columns)))
        steps = -(-len(live) // max(1, count))
        lanes = tuple(
            Lane(live[start : start + steps], _make_words(index, plan, live[start : start + steps], steps, groups))
            for start in range(0, len(live), max(1, steps))
        )
        return cls(plan, _add_constants(plan, lanes, groups), groups, block, word_register)

    @property
    def inputs_per_pass(self) -> int:
        """How many inputs pass by a lane for one group of nodes."""
        return len(self.lanes[0].sources) if self.lanes else 1

    @property
    def steps(self) -> int:
        """For how many cycles a sample's inputs pass by."""
        return max(1, self.inputs_per_pass * len(self.groups))

    @property
    def words_after(self) -> int:
        """Cycles from a step to its words' sum over the lanes."""
        return self.block + self.word_register + count_levels(len(self.lanes))

    @property
    def latency(self) -> int:
        """Cycles from the edge that takes the inputs to that which takes the nodes."""
        return self.steps + self.words_after


def _make_words(
    index: int, plan: LookupLayerPlan, sources: Sequence[int], steps: int, groups: Sequence[Sequence[int]]
) -> npt.NDArray[np.int64]:
    """Make what a lane's port gives, ``(steps of all passes, codes, columns)``; zero where there is no edge."""
    columns = max((len(group) for group in groups), default=0)
    words = np.zeros((len(groups) * steps, 1 << plan.bits_in, columns), dtype=np.int64)
    step_of = {source: step for step, source in enumerate(sources)}
    for number, group in enumerate(groups):
        for column, node in enumerate(group):
            for one in plan.nodes[node].terms:
                term = plan.terms[one]
                if term.source in step_of:
                    values = term.by_code().values if index == 0 else term.values
                    words[number * steps + step_of[term.source], :, column] += values
    return words


def _add_constants(plan: LookupLayerPlan, lanes: tuple[Lane, ...], groups: Sequence[Sequence[int]]) -> tuple[Lane, ...]:
    """Add the nodes' constants to what the first input adds: sums begin at zero."""
    if lanes:
        steps = len(lanes[0].sources)
        for number, group in enumerate(groups):
            for column, node in enumerate(group):
                lanes[0].words[number * steps, :, column] += plan.nodes[node].constant
    return lanes


@dataclass(frozen=True, eq=False)
class Folding:
    """A folded network.

    Attributes
    ----------
    layers : tuple of LayerFold
        The layers, first layer first.
    before : int
        Cycles from taking a sample to taking it into the first layer.
    after : int
        Cycles from taking the last layer's nodes to the prediction.
    registers : frozenset of str
        The positions behind the last layer that have a register, by the names of :mod:`kanrtl.lookup.rtl.pipeline`.
    """

    layers: tuple[LayerFold, ...]
    before: int
    after: int
    registers: frozenset[str]

    @classmethod
    def of(
        cls,
        network: LookupNetwork,
        plans: Sequence[LookupLayerPlan],
        latency: int | None,
        memory: str | Sequence[str],
        reuse_factor: int | Sequence[int],
        word_registers: bool,
    ) -> Folding | None:
        """Fold a network, or give None where no edges share a port.

        Parameters
        ----------
        network, plans
            The network, and the plans of its layers.
        latency, memory, reuse_factor
            As of :class:`.LookupCore`.
        word_registers
            Whether words are registered where ``latency`` leaves it open.

        Raises
        ------
        InputError
            If a parameter cannot be.
        """
        factors = _check_factors(reuse_factor, plans)
        if all(factor == 1 for factor in factors):
            return None
        choices = choose_memories(plans, memory)
        for index, (factor, choice) in enumerate(zip(factors, choices, strict=True)):
            if factor > 1 and choice == "logic":
                raise InputError(
                    f"memory = 'logic': the tables of layer {index} share a port, as reuse_factor = {factor} has it, "
                    f"and so lie in block memory; leave memory at 'auto'"
                )
        block = [
            is_in_block_memory(plan, choice, factor > 1)
            for plan, choice, factor in zip(plans, choices, factors, strict=True)
        ]
        last = len(plans) - 1
        after = count_levels(network.n_out) if network.output == "argmax" else 0
        before = int(isinstance(network.quantiser, FixedQuantiser))
        registers = frozenset([f"node{last}", *(f"compare{level}" for level in range(1, max(after, 1) + 1))])

        def fold(registered: int) -> Folding:
            """Fold with a register behind the words of so many layers."""
            left, layers = registered, []
            for index, (plan, factor, one) in enumerate(zip(plans, factors, block, strict=True)):
                layers.append(LayerFold.of(index, plan, factor, one, one and left > 0))
                left -= one
            return cls(tuple(layers), before, after, registers)

        least, most = fold(0).latency, fold(sum(block)).latency
        if latency is None:
            latency = most if word_registers else least
        if isinstance(latency, bool) or not isinstance(latency, int) or not least <= latency <= most:
            raise InputError(
                f"latency = {latency!r}: must be an integer from {least} to {most}, with this reuse_factor; each cycle "
                f"above {least} is a register behind the memory of a layer"
            )
        return fold(latency - least)

    @property
    def latency(self) -> int:
        """Cycles from the edge that takes a sample to the edge from which its prediction is valid."""
        return self.before + sum(layer.latency for layer in self.layers) + self.after

    @property
    def interval(self) -> int:
        """Cycles from one sample to the next: those of the slowest layer, as each works on a sample of its own."""
        return max(layer.steps for layer in self.layers)


CORE_DEFAULTS: dict[str, Any] = {"latency": None, "memory": "auto", "whole_from": None, "reuse_factor": 1}
"""What can be chosen for the core of a network, whatever the chip, and what every network can have."""


def drop_defaults(network: LookupNetwork, options: Mapping[str, Any]) -> dict[str, Any]:
    """What is not at its default; a list of the default for every layer is that, too."""

    def is_default(name: str, value: Any) -> bool:
        each = value if isinstance(value, (list, tuple)) and len(value) == len(network.layers) else [value]
        return all(type(one) is type(CORE_DEFAULTS[name]) and one == CORE_DEFAULTS[name] for one in each)

    return {name: value for name, value in options.items() if name not in CORE_DEFAULTS or not is_default(name, value)}


def schedule_core(
    network: LookupNetwork,
    plans: Sequence[LookupLayerPlan],
    latency: int | None = None,
    memory: str | Sequence[str] = "auto",
    whole_from: int | None = None,
    reuse_factor: int | Sequence[int] = 1,
    family: str = "any",
) -> Pipeline | Folding:
    """Decide where the registers of a core stand, and whether it is folded.

    The parameters are those of :class:`.LookupCore`, beside the plans of the layers.

    Raises
    ------
    InputError
        If a parameter cannot be.
    """
    families = ("any", *FAMILIES)
    if family not in families:
        raise InputError(f"family = {family!r}: must be one of {', '.join(map(repr, families))}")
    # A register behind a memory is in the memory on ECP5, and a logic cell for each bit on iCE40.
    words_registered = family not in FAMILIES or FAMILIES[family].blocks.registered
    folding = Folding.of(network, plans, latency, memory, reuse_factor, word_registers=words_registered)
    if folding is None:
        return Pipeline.of(network, plans, latency, memory, whole_from)
    if whole_from is not None:
        raise InputError(f"whole_from = {whole_from}: not with reuse_factor = {reuse_factor}; leave one of them out")
    return folding


def _check_factors(reuse_factor: int | Sequence[int], plans: Sequence[LookupLayerPlan]) -> list[int]:
    """Check the factor of each layer. One for all layers may be more than some of them have edges."""
    edges = [max(1, sum(len(node.terms) for node in plan.nodes)) for plan in plans]
    if not is_list(reuse_factor):
        factor = _check_factor("reuse_factor", reuse_factor, max(edges))
        return [min(factor, most) for most in edges]
    factors = list_each("reuse_factor", reuse_factor, len(plans), LAYERS)
    return [
        _check_factor(f"reuse_factor[{index}]", factor, most)
        for index, (factor, most) in enumerate(zip(factors, edges, strict=True))
    ]


def _check_factor(field: str, value: Any, edges: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 1 <= value <= edges:
        raise InputError(f"{field} = {value!r}: must be an integer from 1 to {edges}, the edges that can share a port")
    return int(value)
