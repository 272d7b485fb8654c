"""Adder trees, saturation and comparisons: values of all sums, or of many, against plain integers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Const, Signal, Value
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.lookup.rtl.network_plan import LookupLayerPlan, NodePlan
from kanrtl.lookup.rtl.nodes import (
    Candidate,
    Operand,
    add_pairs,
    add_plainly,
    choose_higher,
    compare_sum,
    saturate_sum,
)
from support.components import evaluate
from support.search import examples


def layer_of(node: NodePlan, bits_out: int, guard_bits: int = 0) -> LookupLayerPlan:
    return LookupLayerPlan((), (node,), 1, bits_out, guard_bits, np.ones((1, 2), dtype=bool))


@examples(30)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_a_tree_of_pairs_gives_the_sum(highest: list[int], seed: int) -> None:
    signals = [Signal(range(one + 1)) for one in highest]
    operands = [Operand(signal, one) for signal, one in zip(signals, highest, strict=True)]
    while len(operands) > 1:
        before = sorted(operand.highest for operand in operands)
        operands = add_pairs(operands, add_plainly)
        # Narrow ones with narrow ones, and of an odd number the widest stays.
        pairs = [sum(before[index : index + 2]) for index in range(0, len(before), 2)]
        assert [operand.highest for operand in operands] == pairs
        assert all(len(operand.value) == operand.highest.bit_length() for operand in operands)
    random = np.random.default_rng(seed)
    rows = [[0] * len(highest), highest, *random.integers(0, np.array(highest) + 1, (20, len(highest))).tolist()]
    assert evaluate([operands[0].value], signals, rows) == [(sum(row),) for row in rows]


def test_sums_are_made_by_what_is_given() -> None:
    asked = []

    def add(one: Value, other: Value, width: int) -> Value:
        asked.append((len(one), len(other), width))
        return add_plainly(one, other, width)

    add_pairs([Operand(Signal(4), 9), Operand(Signal(1), 1), Operand(Signal(2), 3)], add)
    assert asked == [(1, 2, 3)]
    assert add_pairs([], add) == []
    assert len(asked) == 1


def test_a_plain_sum_has_the_width_that_it_is_given() -> None:
    one, other = Signal(3), Signal(2)
    total = add_plainly(one, other, 3)
    assert len(total) == 3
    rows = [row for row in itertools.product(range(8), range(4)) if sum(row) < 8]
    assert evaluate([total], [one, other], rows) == [(sum(row),) for row in rows]


@examples(30)
@given(st.integers(1, 4), st.integers(0, 3), st.integers(0, 2), st.integers(1, 200))
def test_sums_saturate(bits: int, guard_bits: int, pages_below: int, highest: int) -> None:
    node = NodePlan((), 0, highest, pages_below, None)
    total = Signal(range(highest + 1))
    address = saturate_sum(layer_of(node, bits, guard_bits), node, Operand(total, highest))
    assert len(address) == bits
    expected = [
        (min(max((number >> guard_bits) - pages_below * (1 << bits), 0), (1 << bits) - 1),)
        for number in range(highest + 1)
    ]
    assert evaluate([address], [total], [(number,) for number in range(highest + 1)]) == expected


def test_a_constant_node_is_its_address() -> None:
    node = NodePlan((), 0, 0, 0, 5)
    address = saturate_sum(layer_of(node, 4), node, Operand(Const(0), 0))
    assert isinstance(address, Const)
    assert (address.value, len(address)) == (5, 4)


@pytest.mark.parametrize("above", [0, 2, 4])
def test_a_bit_of_the_sum_is_above_the_threshold(above: int) -> None:
    node = NodePlan((), 0, 31, 0, None, above)
    total = Signal(5)
    found = compare_sum(layer_of(node, 3), node, Operand(total, 31), 1)
    assert evaluate([found], [total], [(number,) for number in range(32)]) == [
        (number >> above & 1,) for number in range(32)
    ]


def test_a_constant_node_is_above_the_threshold_or_not() -> None:
    """Addresses of three bits: the code is four below."""
    found = {}
    for address, threshold in itertools.product(range(8), range(-4, 4)):
        node = NodePlan((), 0, 0, 0, address)
        value: Any = compare_sum(layer_of(node, 3), node, Operand(Const(0), 0), threshold)
        assert len(value) == 1
        found[address - 4, threshold] = value.value
    assert found == {(code, threshold): code > threshold for code, threshold in found}


@pytest.mark.parametrize("indices", [(0, 1), (1, 2), (6, 0)])
def test_the_higher_of_two_is_chosen(indices: tuple[int, int]) -> None:
    values = [Signal(3), Signal(3)]
    given = [
        Candidate(value, Const(index, max(1, index.bit_length()))) for value, index in zip(values, indices, strict=True)
    ]
    chosen = choose_higher(*given)
    assert len(chosen.index) == max(1, *(index.bit_length() for index in indices))
    rows = list(itertools.product(range(8), range(8)))
    assert evaluate([chosen.value, chosen.index], values, rows) == [
        (max(row), indices[row.index(max(row))]) for row in rows
    ]
