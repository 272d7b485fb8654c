"""How large a lookup network is, without synthesis: counted from its plan."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ..network import LookupNetwork
from .network_plan import LookupLayerPlan, plan_layers

_LUT_INPUTS = 4


@dataclass(frozen=True)
class Size:
    """What there is of a network once tables are narrowed and equal ones merged (:mod:`.network_plan`).

    Attributes
    ----------
    edges : int
        The number of edges that are not constant.
    table_bits : int
        The number of bits in all tables that are left.
    lut : int
        The number of LUT4 of tables, sums, saturation and output stage, where all is logic: an estimate, to compare
        networks by.
    """

    edges: int
    table_bits: int
    lut: int

    def as_dict(self) -> dict[str, Any]:
        """Give the numbers by name."""
        return asdict(self)


def network_size(network: LookupNetwork) -> Size:
    """Estimate the size of ``network``. Registers, and a quantiser in hardware, are not counted."""
    plans = plan_layers(network)
    lut = sum(_count_tables(plan) + _count_sums(plan) + _count_saturation(plan) for plan in plans) + _count_output(
        network
    )
    return Size(
        edges=sum(len(node.terms) for plan in plans for node in plan.nodes),
        table_bits=sum(term.width * int(plan.reachable[term.source].sum()) for plan in plans for term in plan.terms),
        lut=lut,
    )


def _count_tables(plan: LookupLayerPlan) -> int:
    """Count the LUTs of all tables: every bit is a function of the address, made once for all tables of one input."""
    made = set[tuple[int, bytes]]()
    for term in plan.terms:
        for bit in range(term.width):
            truth = (term.values >> bit & 1).astype(np.int8)
            # A function and its inverse take the same, and what takes one can take the other.
            made.add((term.source, (truth ^ truth[0]).tobytes()))
    return sum(_count_function(truth) for _, truth in made)


@lru_cache(maxsize=1 << 16)
def _count_function(rows: bytes) -> int:
    """Count the LUTs of one function; multiplexers that join two cost nothing."""
    truth = np.frombuffer(rows, np.int8)
    halves = (truth.reshape(-1, 2, 1 << bit) for bit in range((len(truth) - 1).bit_length()))
    support = sum(bool((pair[:, 0] != pair[:, 1]).any()) for pair in halves)
    return 0 if support <= 1 else 1 << max(0, support - _LUT_INPUTS)


def _count_sums(plan: LookupLayerPlan) -> int:
    """Count one LUT for every bit of every sum, as :func:`kanrtl.lookup.rtl.nodes.add_pairs` pairs them."""
    total = 0
    for node in plan.nodes:
        row = [plan.terms[term].highest for term in node.terms] + [node.constant] * bool(node.constant)
        while len(row) > 1:
            order = sorted(row)
            row = [one + other for one, other in zip(order[0::2], order[1::2], strict=False)]
            total += sum(highest.bit_length() for highest in row)
            row += order[len(order) - len(order) % 2 :]
    return total


def _count_saturation(plan: LookupLayerPlan) -> int:
    """Count one LUT for every bit of a node that can saturate, and one for either end."""
    total = 0
    for node in plan.nodes:
        ends = (node.highest >> (plan.bits_out + plan.guard_bits) > node.pages_below) + bool(node.pages_below)
        total += (plan.bits_out + ends) if ends and node.address is None and node.above is None else 0
    return total


def _count_output(network: LookupNetwork) -> int:
    """Count the LUTs of the output stage."""
    if network.output != "argmax":  # a threshold is a bit of the sum
        return 0
    # A comparison, and what chooses value and index.
    bits, count = network.bits[-1], network.n_out
    return (count - 1) * (2 * bits + (count - 1).bit_length())
