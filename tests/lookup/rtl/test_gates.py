"""Functions of up to six bits, and gates that compute them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kanrtl.lookup.rtl.gates import (
    ALL_ROWS,
    INPUT_TRUTHS,
    INPUTS,
    Gate,
    Logic,
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


A, B, C, D, E, F = INPUT_TRUTHS


def test_luts_multiplexers_and_constants() -> None:
    logic = Logic(
        gates=(
            Gate((0, 1), 0b1000),  # signal 6: a & b
            Gate((2, 3, 6), 0b1001_0110),  # signal 7: c ^ d ^ signal 6
            Gate((6, 7, 4), None),  # signal 8: signal 7 where e is high, else signal 6
            Gate((8, 8, 5), None, wide=True),  # signal 9: signal 8
        ),
        outputs=(-1, -2, 5, 6, 7, 8, 9),
    )
    both = A & B
    odd = C ^ D ^ both
    chosen = odd & E | both & ~E
    assert logic.evaluate() == [0, ALL_ROWS, F, both, odd, chosen, chosen]
    assert logic.luts == 2


def test_missing_inputs_of_a_lut_are_low() -> None:
    assert Logic((Gate((3,), 0b01),), (6,)).evaluate() == [D ^ ALL_ROWS]
