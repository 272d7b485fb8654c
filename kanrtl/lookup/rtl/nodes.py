"""From table values to addresses and predictions: adder trees, saturation, comparisons; all without sign."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Mux, Value

from .network_plan import LookupLayerPlan, NodePlan


@dataclass(frozen=True)
class Operand:
    """An unsigned value in hardware, and the highest that it can have."""

    value: Value
    highest: int


def add_pairs(operands: Sequence[Operand], add: Callable[[Value, Value, int], Value]) -> list[Operand]:
    """Make one level of an adder tree: narrow operands with narrow ones; of an odd number the widest is left as it is.

    ``add`` gives the sum of two values in so many bits, which it has to fit.
    """
    order = sorted(operands, key=lambda operand: operand.highest)
    sums = []
    for one, other in zip(order[0::2], order[1::2], strict=False):
        highest = one.highest + other.highest
        sums.append(Operand(add(one.value, other.value, highest.bit_length()), highest))
    return sums + order[len(order) - len(order) % 2 :]


def add_plainly(one: Value, other: Value, width: int) -> Value:
    """Add two values in ``width`` bits, and leave the adder to synthesis."""
    return (one + other)[:width]


def saturate_sum(plan: LookupLayerPlan, node: NodePlan, total: Operand) -> Value:
    """Give what the sum of a node addresses in the next layer: saturated, where it can be outside."""
    bits = plan.bits_out
    if node.address is not None:
        return Const(node.address, bits)
    rounded = total.value[plan.guard_bits :]
    address, page = rounded[:bits], rounded[bits:]
    if len(address) < bits:
        address = Cat(address, Const(0, bits - len(address)))
    last_page = total.highest >> (plan.guard_bits + bits)
    if last_page > node.pages_below:
        address = Mux(page > node.pages_below, Const((1 << bits) - 1, bits), address)
    if node.pages_below:
        address = Mux(page < node.pages_below, Const(0, bits), address)
    return address


def compare_sum(plan: LookupLayerPlan, node: NodePlan, total: Operand, threshold: int) -> Value:
    """Tell whether a node's code is above the code ``threshold``: by a bit of its sum, which begins where that does."""
    if node.address is not None:
        return Const(node.address > threshold + (1 << (plan.bits_out - 1)), 1)
    assert node.above is not None
    return total.value[node.above]


@dataclass(frozen=True)
class Candidate:
    """The highest of some outputs in hardware, and its index."""

    value: Value
    index: Value


def choose_higher(first: Candidate, second: Candidate) -> Candidate:
    """Choose the higher of two; the first of equals."""
    wins = second.value > first.value
    width = max(len(first.index), len(second.index))
    index = [Cat(one.index, Const(0, width - len(one.index))) for one in (first, second)]
    return Candidate(Mux(wins, second.value, first.value), Mux(wins, index[1], index[0]))
