"""Where the registers of a lookup network stand.

A sample passes one position after another; between two of them there is logic. A register can stand at every position,
and then stands there for all values of the sample alike::

    sample [codes] (table0 sum0.1 .. sum0.N node0) for every layer [compare1 .. compareN]

or, where the layers from one on are a single table, ``whole`` instead of all theirs.

``sample`` and the last position always have one, and so has the position before tables in block memory: there it is the
memory's own.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self, cast, get_args

from ...errors import InputError
from ..network import LookupNetwork
from ..number_checks import LAYERS, MAX_BITS, list_each
from ..quantiser import FixedQuantiser
from .network_plan import LookupLayerPlan

# Estimates of delays in ns, logic and routing, for ECP5 of speed grade 6; of other chips the proportions are much the
# same.
_LUT = 1.0

_CARRY = 0.03

_ADDER = 2.0

_SATURATION = 1.3

_BLOCK = 5.8

_TO_BLOCK = 1.5  # memories stand in columns of their own, further away

_MULTIPLY = 7.0

_REGISTER = 0.9  # from the clock to its output, to its input from the logic, and what more there is to route

Memory = Literal["auto", "logic", "block"]
"""Where the tables of a layer lie."""

_LOGIC_BITS = 8
"""How many address bits a table has at most that is cheaper in logic."""


def count_levels(operands: int) -> int:
    """Count the levels of a binary tree of so many operands."""
    return max(0, operands - 1).bit_length()


@dataclass(frozen=True)
class Pipeline:
    """The positions that a sample passes, and which of them have a register.

    Attributes
    ----------
    positions : tuple of (str, float)
        The names of the positions in order, each with the delay of the logic before it in ns.
    registers : frozenset of str
        The names of those that have a register.
    block : tuple of bool
        Whether the tables of each layer lie in block memory.
    least : int
        How few registers there can be.
    """

    positions: tuple[tuple[str, float], ...]
    registers: frozenset[str]
    block: tuple[bool, ...]
    least: int

    @classmethod
    def of(
        cls,
        network: LookupNetwork,
        plans: Sequence[LookupLayerPlan],
        latency: int | None = None,
        memory: str | Sequence[str] = "auto",
        whole_from: int | None = None,
    ) -> Self:
        """Choose the registers that make the longest stage shortest.

        Parameters
        ----------
        network, plans
            The network, and the plans of its layers.
        latency, memory, whole_from
            As of :class:`kanrtl.lookup.rtl.lookup_core.LookupCore`.

        Raises
        ------
        InputError
            If one of these cannot be.
        """
        choices = choose_memories(plans, memory)
        block = tuple(is_in_block_memory(plan, choice) for plan, choice in zip(plans, choices, strict=True))
        positions, forced = _list_positions(network, plans, block, _check_whole(network, whole_from))
        names = [name for name, _ in positions]
        least = max(1, len(forced))
        if latency is None:
            latency = min(range(least, len(positions) + 1), key=lambda count: _time(positions, forced, count))
        if isinstance(latency, bool) or not isinstance(latency, int) or not least <= latency <= len(positions):
            raise InputError(
                f"latency = {latency!r}: must be an integer from {least} to {len(positions)}: {', '.join(names)}"
            )
        return cls(tuple(positions), _balance(positions, forced, latency), block, least)

    @cached_property
    def latency(self) -> int:
        """Cycles from the edge that takes a sample to the edge from which its prediction is valid: one a register."""
        return len(self.registers)

    @cached_property
    def period(self) -> float:
        """The shortest cycle in ns on ECP5 of speed grade 6, by estimate."""
        return _longest_stage(self.positions, self.registers) + _REGISTER

    @property
    def interval(self) -> int:
        """Cycles from one sample to the next, which is one."""
        return 1


def choose_memories(plans: Sized, memory: str | Sequence[str]) -> tuple[Memory, ...]:
    """Check ``memory`` as :class:`kanrtl.lookup.rtl.lookup_core.LookupCore` takes it, and give it for each layer.

    Raises
    ------
    InputError
        If there is no such memory, or there are not as many entries as layers.
    """
    given = list_each("memory", memory, len(plans), LAYERS)
    choices = get_args(Memory)
    for choice in given:
        if choice not in choices:
            raise InputError(f"memory = {choice!r}: must be one of {', '.join(map(repr, choices))}")
    return cast(tuple[Memory, ...], tuple(given))


def is_in_block_memory(plan: LookupLayerPlan, choice: Memory, folded: bool = False) -> bool:
    """Tell whether a layer's tables lie in block memory; where they share a port, ``folded``, they do."""
    return bool(plan.terms) and holds_in_blocks(plan.bits_in, choice, folded)


def holds_in_blocks(bits: int, choice: Memory, folded: bool = False) -> bool:
    """Tell whether tables of so many address bits lie in block memory, if there are any; as above."""
    return folded or choice == "block" or (choice == "auto" and bits > _LOGIC_BITS)


def _check_whole(network: LookupNetwork, start: int | None) -> int:
    """Give the first of the layers that are one table, or the number of layers where there is none."""
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


def _list_positions(
    network: LookupNetwork, plans: Sequence[LookupLayerPlan], block: Sequence[bool], whole: int
) -> tuple[list[tuple[str, float]], set[str]]:
    """List all positions behind ``sample``, with delays; and name those that must have a register."""
    positions: list[tuple[str, float]] = []
    forced: set[str] = set()
    if isinstance(network.quantiser, FixedQuantiser):
        positions.append(
            ("codes", _MULTIPLY if any(scale & (scale - 1) for scale in abs(network.quantiser.scale)) else 3.0)
        )
    last = len(plans) - 1
    for index, plan in enumerate(plans[:whole]):
        if block[index]:
            _register_before_memory(positions, forced)
        positions.append((f"table{index}", _BLOCK if block[index] else _LUT * (1 + 0.8 * max(0, plan.bits_in - 4))))
        positions += [
            (f"sum{index}.{level + 1}", _ADDER + _CARRY * plan.sum_width) for level in range(count_levels(plan.fan_in))
        ]
        if index < last or network.output != "threshold":
            positions.append((f"node{index}", _SATURATION if plan.saturates else 0.0))
    width = network.bits[-1]
    if whole < len(plans):
        _register_before_memory(positions, forced)
        positions.append(("whole", _BLOCK))
    elif network.output == "argmax":
        positions += [
            (f"compare{level + 1}", _ADDER + _CARRY * width + _LUT) for level in range(count_levels(network.n_out))
        ]
    elif network.output == "threshold":
        positions.append(("compare1", 0.0))  # a bit of the sum
    return positions, forced | {positions[-1][0]}


def _register_before_memory(positions: list[tuple[str, float]], forced: set[str]) -> None:
    """Put the memory's address register at the last position; at ``sample`` there is one anyway."""
    if positions:
        name, delay = positions[-1]
        positions[-1] = (name, delay + _TO_BLOCK)
        forced.add(name)


def _time(positions: Sequence[tuple[str, float]], forced: set[str], count: int) -> float:
    """Estimate the time in ns of a prediction with so many registers."""
    return count * (_longest_stage(positions, _balance(positions, forced, count)) + _REGISTER)


def _longest_stage(positions: Sequence[tuple[str, float]], registers: frozenset[str]) -> float:
    """Give the delay in ns of the logic between two registers that is longest."""
    longest = stage = 0.0
    for name, delay in positions:
        stage += delay
        longest = max(longest, stage)
        stage = 0.0 if name in registers else stage
    return longest


def _balance(positions: Sequence[tuple[str, float]], forced: set[str], count: int) -> frozenset[str]:
    """Choose the ``count`` positions with a register, the last among them, that make the longest stage shortest; of
    equal choices that with the least sum of squares."""
    delays = [delay for _, delay in positions]
    ends = list(itertools.accumulate(delays, initial=0.0))
    must = [name in forced for name, _ in positions]
    # By the number of registers and the index of the last: cost and the index before it.
    best: list[dict[int, tuple[tuple[float, float], int]]] = [{0: ((0.0, 0.0), 0)}]
    for _ in range(count):
        found: dict[int, tuple[tuple[float, float], int]] = {}
        for start, ((longest, squares), _) in best[-1].items():
            for end in range(start + 1, len(positions) + 1):
                stage = ends[end] - ends[start]
                cost = (max(longest, stage), squares + stage * stage)
                if end not in found or cost < found[end][0]:
                    found[end] = (cost, start)
                if must[end - 1]:
                    break
        best.append(found)
    end, chosen = len(positions), set()
    for found in reversed(best[1:]):
        chosen.add(positions[end - 1][0])
        end = found[end][1]
    return frozenset(chosen)
