"""Where tables begin: sums stay what they are, and LUTs are as many as was thought."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import LookupNetwork
from kanrtl.lookup.rtl.minimise import minimise
from kanrtl.lookup.rtl.network_plan import plan_layers
from kanrtl.lookup.rtl.offsets import estimate_luts, find_cheapest_offsets
from support.lookup_networks import SHAPES, networks, table
from support.search import examples


def bits_of(values: np.ndarray) -> list[np.ndarray]:
    return [values >> place & 1 == 1 for place in range(int(values.max()).bit_length())]


def luts_of(values: np.ndarray, muxes: bool) -> int:
    """By the estimate, bit by bit."""
    return sum(int(estimate_luts(np.tile(bit, 64 // len(bit))[None], muxes)[0]) for bit in bits_of(values))


@examples(30)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.sampled_from(SHAPES), st.booleans())
def test_a_function_alone_takes_no_more_than_was_thought(seed: int, bits: int, shape: str, muxes: bool) -> None:
    values = np.tile(table(np.random.default_rng(seed), shape, 1 << bits, 16) + 16, 64 >> bits)
    functions = bits_of(values)
    estimates = estimate_luts(np.array(functions, dtype=bool).reshape(-1, 64), muxes)
    for function, estimate in zip(functions, estimates, strict=True):
        truth = sum(1 << int(row) for row in np.flatnonzero(function))
        assert minimise((truth,), muxes=muxes).luts <= estimate <= minimise((truth,), muxes=muxes).luts + 1


@examples(15)
@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3), st.booleans())
def test_the_cheapest_of_all_offsets_is_found(seed: int, shapes: list[str], muxes: bool) -> None:
    random = np.random.default_rng(seed)
    tables = [table(random, shape, 16, 4) for shape in shapes]
    tables = [one - one.min() for one in tables]
    highest = [int(one.max() + random.integers(0, 5)) for one in tables]
    room = [limit - int(one.max()) for one, limit in zip(tables, highest, strict=True)]
    start = int(random.integers(0, sum(room) + 1))
    cost, offsets = find_cheapest_offsets(start, tables, highest, muxes)
    assert sum(offsets) == start
    assert all(0 <= offset <= most for offset, most in zip(offsets, room, strict=True))
    costs = {
        ways: sum(luts_of(one + offset, muxes) for one, offset in zip(tables, ways, strict=True))
        for ways in itertools.product(*(range(most + 1) for most in room))
        if sum(ways) == start
    }
    assert cost == costs[tuple(offsets)] == min(costs.values())


@examples(12)
@given(networks(), st.booleans())
def test_only_the_beginning_of_tables_changes(network: LookupNetwork, muxes: bool) -> None:
    for plain, cheaper in zip(plan_layers(network), plan_layers(network, muxes), strict=True):
        assert [(node.highest, node.pages_below, node.constant, node.address) for node in plain.nodes] == [
            (node.highest, node.pages_below, node.constant, node.address) for node in cheaper.nodes
        ]
        assert plain.fan_in == cheaper.fan_in
        for one, other in zip(plain.nodes, cheaper.nodes, strict=True):
            for mine, theirs in zip(one.terms, other.terms, strict=True):
                before, after = plain.terms[mine], cheaper.terms[theirs]
                assert before.source == after.source
                reached = plain.reachable[before.source]
                assert len(set((before.values - after.values)[reached].tolist())) == 1
                assert min(before.values.min(), after.values.min()) >= 0
