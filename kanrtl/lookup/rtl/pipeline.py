"""Where the registers of a lookup network stand.

A sample passes places one after another; between two of them there is logic. A register can stand at every place, and
then stands there for all values of the sample alike::

    sample [codes] (table0 sum0.1 .. sum0.N node0) for every layer [compare1 .. compareN]

or, where the layers from one on are a single table, ``whole`` in the place of all theirs.

``sample`` and the last place always have one, and so has the place before tables in block memory: there it is the
memory's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self, cast, get_args

from ...errors import InputError
from ..network import MAX_BITS, LookupNetwork
from ..quantiser import FixedQuantiser
from .network_plan import LayerPlan

__all__ = ["Pipeline", "in_block_memory", "levels", "memory_of_layers"]

# Estimates of delays in ns, logic and routing, for ECP5 of speed grade 6; only their proportions matter.
_LUT = 1.0

_CARRY = 0.03

_ADDER = 2.0

_SATURATION = 1.3

_BLOCK = 5.8

_TO_BLOCK = 1.5  # memories stand in columns of their own, further away

_MULTIPLY = 7.0

Memory = Literal["auto", "logic", "block"]

_LOGIC_BITS = 8
"""Of an address, up to which a table is cheaper in logic."""


def levels(operands: int) -> int:
    """Of a binary tree."""
    return max(0, (operands - 1).bit_length())


@dataclass(frozen=True)
class Pipeline:
    """The places that a sample passes, and which of them have a register.

    Attributes
    ----------
    places : tuple of (str, float)
        In order, each with the delay of the logic before it.
    registers : frozenset of str
    block : tuple of bool
        For each layer whether its tables lie in block memory.
    least : int
        How few registers there can be.
    """

    places: tuple[tuple[str, float], ...]
    registers: frozenset[str]
    block: tuple[bool, ...]
    least: int

    @classmethod
    def of(
        cls,
        network: LookupNetwork,
        plans: Sequence[LayerPlan],
        latency: int | None = None,
        memory: str | Sequence[str] = "auto",
        whole_from: int | None = None,
    ) -> Self:
        """The registers that make the longest stage shortest; see :class:`kanrtl.lookup.rtl.lookup_core.LookupCore`."""
        choices = memory_of_layers(plans, memory)
        block = tuple(in_block_memory(plan, choice) for plan, choice in zip(plans, choices, strict=True))
        places, forced = _places(network, plans, block, _whole(network, whole_from))
        names = [name for name, _ in places]
        least = max(1, len(forced))
        if latency is None:
            latency = max(least, min(len(places), 2 * len(plans)))
        if isinstance(latency, bool) or not isinstance(latency, int) or not least <= latency <= len(places):
            raise InputError(
                f"latency = {latency!r}: must be an integer from {least} to {len(places)}: {', '.join(names)}"
            )
        return cls(tuple(places), _balanced(places, forced, latency), block, least)

    @cached_property
    def latency(self) -> int:
        return len(self.registers)

    @property
    def interval(self) -> int:
        """Clock cycles from one sample to the next."""
        return 1


def memory_of_layers(plans: Sequence[LayerPlan], memory: str | Sequence[str]) -> tuple[Memory, ...]:
    """``memory`` as :class:`kanrtl.lookup.rtl.lookup_core.LookupCore` takes it, checked, for each layer."""
    given = [memory] * len(plans) if isinstance(memory, str) else list(memory)
    choices = get_args(Memory)
    if len(given) != len(plans):
        raise InputError(f"memory: {len(given)} entries; give one for all layers, or one for each of the {len(plans)}")
    for choice in given:
        if choice not in choices:
            raise InputError(f"memory = {choice!r}: must be one of {', '.join(map(repr, choices))}")
    return cast(tuple[Memory, ...], tuple(given))


def in_block_memory(plan: LayerPlan, choice: Memory, folded: bool = False) -> bool:
    """Whether a layer's tables lie in block memory; where they share a port they do."""
    return bool(plan.terms) and (folded or choice == "block" or (choice == "auto" and plan.bits_in > _LOGIC_BITS))


def _whole(network: LookupNetwork, start: int | None) -> int:
    """The first of the layers that are one table; their number where there is none."""
    count = len(network.layers)
    if start is None:
        return count
    if isinstance(start, bool) or not isinstance(start, int) or not 0 <= start < count:
        raise InputError(f"whole_from = {start!r}: must be a layer from 0 to {count - 1}, or None")
    layer = network.layers[start]
    if layer.n_in * layer.bits_in > MAX_BITS:
        raise InputError(
            f"whole_from = {start}: layer {start} takes {layer.n_in} codes of {layer.bits_in} bits, and a table has "
            f"{MAX_BITS} address bits at most; begin at a later layer, or leave it out"
        )
    return start


def _places(
    network: LookupNetwork, plans: Sequence[LayerPlan], block: Sequence[bool], whole: int
) -> tuple[list[tuple[str, float]], set[str]]:
    """All places behind ``sample``, with delays; and those that must have a register."""
    places: list[tuple[str, float]] = []
    forced: set[str] = set()
    if isinstance(network.quantiser, FixedQuantiser):
        places.append(
            ("codes", _MULTIPLY if any(scale & (scale - 1) for scale in abs(network.quantiser.scale)) else 3.0)
        )
    last = len(plans) - 1
    for index, plan in enumerate(plans[:whole]):
        if block[index]:
            _before_memory(places, forced)
        places.append((f"table{index}", _BLOCK if block[index] else _LUT * (1 + 0.8 * max(0, plan.bits_in - 4))))
        places += [
            (f"sum{index}.{level + 1}", _ADDER + _CARRY * plan.sum_width) for level in range(levels(plan.fan_in))
        ]
        if index < last or network.output != "threshold":
            places.append((f"node{index}", _SATURATION if plan.saturates else 0.0))
    width = network.bits[-1]
    if whole < len(plans):
        _before_memory(places, forced)
        places.append(("whole", _BLOCK))
    elif network.output == "argmax":
        places += [(f"compare{level + 1}", _ADDER + _CARRY * width + _LUT) for level in range(levels(network.n_out))]
    elif network.output == "threshold":
        places.append(("compare1", 0.0))  # a bit of the sum
    return places, forced | {places[-1][0]}


def _before_memory(places: list[tuple[str, float]], forced: set[str]) -> None:
    """The last place has the memory's address register; at ``sample`` there is one anyway."""
    if places:
        name, delay = places[-1]
        places[-1] = (name, delay + _TO_BLOCK)
        forced.add(name)


def _balanced(places: Sequence[tuple[str, float]], forced: set[str], count: int) -> frozenset[str]:
    """The ``count`` places with a register, the last among them, that make the longest stage shortest; of equal ones
    that with the least sum of squares."""
    delays = [delay for _, delay in places]
    ends = list(itertools.accumulate(delays, initial=0.0))
    must = [name in forced for name, _ in places]
    # By the number of registers and the place of the last: cost and the place before it.
    best: list[dict[int, tuple[tuple[float, float], int]]] = [{0: ((0.0, 0.0), 0)}]
    for _ in range(count):
        found: dict[int, tuple[tuple[float, float], int]] = {}
        for start, ((longest, squares), _) in best[-1].items():
            for end in range(start + 1, len(places) + 1):
                stage = ends[end] - ends[start]
                cost = (max(longest, stage), squares + stage * stage)
                if end not in found or cost < found[end][0]:
                    found[end] = (cost, start)
                if must[end - 1]:
                    break
        best.append(found)
    end, chosen = len(places), set()
    for found in reversed(best[1:]):
        chosen.add(places[end - 1][0])
        end = found[end][1]
    return frozenset(chosen)
