"""Functions of six bits as numbers, against rows written out."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kanrtl.lookup.rtl.truth_tables import (
    ALL_ROWS,
    INPUT_TRUTHS,
    INPUTS,
    cofactor,
    count_changes,
    count_support,
    split_rows,
)

truths = st.integers(0, ALL_ROWS)


@given(truths, st.integers(0, INPUTS - 1), st.integers(0, 1))
def test_cofactor_is_the_function_with_a_bit_held(truth: int, bit: int, value: int) -> None:
    found = cofactor(truth, bit, value)
    for row in range(64):
        held = row & ~(1 << bit) | value << bit
        assert found >> row & 1 == truth >> held & 1


@given(truths)
def test_support_and_changes_are_counted(truth: int) -> None:
    rows = [truth >> row & 1 for row in range(64)]
    depends = [any(rows[row] != rows[row ^ 1 << bit] for row in range(64)) for bit in range(INPUTS)]
    assert count_support(truth) == sum(depends)
    assert count_changes(truth) == sum(one != other for one, other in pairwise(rows))


def test_inputs_depend_on_themselves_alone() -> None:
    for bit, truth in enumerate(INPUT_TRUTHS):
        assert [truth >> row & 1 for row in range(64)] == [row >> bit & 1 for row in range(64)]
        assert count_support(truth) == 1
    assert count_support(0) == count_support(ALL_ROWS) == 0


@given(st.lists(truths, max_size=4))
def test_rows_are_split_by_the_values_of_signals(signals: list[int]) -> None:
    cells = list(split_rows(signals))
    assert len(cells) == 1 << len(signals)
    for row in range(64):
        number = sum((signal >> row & 1) << bit for bit, signal in enumerate(signals))
        assert [cell >> row & 1 for cell in cells] == [int(one == number) for one in range(len(cells))]
