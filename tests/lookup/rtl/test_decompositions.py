"""Every decomposition makes the function that it is asked for, of signals that there are, in few LUTs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.lookup.rtl.decompositions import (
    Decomposition,
    Words,
    chain,
    drop_unneeded,
    find_lut,
    join_by_mux,
    make_lut,
    pair_luts,
    quarter,
    select_by_lut,
    use_four_luts,
)
from kanrtl.lookup.rtl.gates import ALL_ROWS, INPUT_TRUTHS, count_support, split_rows
from support.search import examples

A, B, C, D, E, F = INPUT_TRUTHS
POOL = np.array(INPUT_TRUTHS, dtype=np.uint64)
truths = st.integers(1, ALL_ROWS - 1)


def check(truth: int, nodes: Decomposition) -> None:
    """The last node has the truth table ``truth``; each takes from inputs and from nodes before it."""
    known = set(INPUT_TRUTHS)
    for node in nodes:
        assert set(node.inputs) <= known
        if node.init is None:
            low, high, select = node.inputs
            assert node.truth == low & ~select | high & select
        else:
            assert len(node.inputs) <= 4
            rows = enumerate(split_rows(node.inputs))
            assert node.truth == sum(cell for number, cell in rows if node.init >> number & 1)
        known.add(node.truth)
    assert nodes[-1].truth == truth


def luts(nodes: Decomposition) -> int:
    return sum(node.init is not None for node in nodes)


@given(truths)
def test_any_function_is_made_of_four_luts(truth: int) -> None:
    nodes = use_four_luts(truth)
    check(truth, nodes)
    assert (luts(nodes), len(nodes)) == (4, 7)
    assert [node.wide for node in nodes] == [False] * 6 + [True]


@given(truths)
def test_any_function_is_made_of_six_luts_without_multiplexers(truth: int) -> None:
    nodes = quarter(truth)
    check(truth, nodes)
    assert luts(nodes) == len(nodes) <= 6


@pytest.mark.parametrize(
    ("decompose", "truth", "count"),
    [
        (join_by_mux, (A & B & C & D) & ~F | (A ^ B ^ C ^ E) & F, 2),
        (select_by_lut, (A & B & C & D) & ~F | (A ^ B ^ C ^ E) & F, 3),
        (chain, (A ^ B ^ C ^ D) & E | F, 2),
        (chain, A ^ B ^ C ^ D ^ E ^ F, 2),
        (pair_luts, (A & B ^ C & D) & E ^ (A | B | C | D) & F, 3),
    ],
)
def test_functions_of_a_kind_are_recognised(
    decompose: Callable[[int, Words], Decomposition | None], truth: int, count: int
) -> None:
    assert count_support(truth) == 6
    nodes = decompose(truth, POOL)
    assert nodes is not None
    check(truth, nodes)
    assert luts(nodes) == count


@examples(20)
@given(truths)
def test_what_is_found_is_right(truth: int) -> None:
    """Most functions of six bits are of no such kind; those that are found are made."""
    for decompose in (join_by_mux, select_by_lut, chain, pair_luts):
        nodes = decompose(truth, POOL)
        if nodes is not None:
            check(truth, nodes)


def test_majority_of_six_is_of_no_cheap_kind() -> None:
    truth = sum(1 << row for row in range(64) if row.bit_count() >= 4)
    assert find_lut(truth, truth ^ ALL_ROWS, POOL) is None
    assert chain(truth, POOL) is None
    assert join_by_mux(truth, POOL) is None


def test_signals_of_the_pool_are_used() -> None:
    """A sum bit of what is there already is one LUT."""
    carry = A & B | C & (A | B)
    truth = carry ^ D ^ E
    pool = np.array([*INPUT_TRUTHS, carry], dtype=np.uint64)
    signals = find_lut(truth, truth ^ ALL_ROWS, pool)
    assert signals is not None
    assert set(signals) == {carry, D, E}
    assert make_lut(truth, signals, truth).truth == truth
    assert find_lut(truth, truth ^ ALL_ROWS, POOL) is None


def test_unneeded_signals_are_dropped() -> None:
    truth = A & B
    assert sorted(drop_unneeded([A, C, B, F], truth, truth ^ ALL_ROWS)) == sorted([A, B])
