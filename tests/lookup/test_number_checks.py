"""Checks of numbers: what is no number is refused by the name of its field."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kanrtl import InputError
from kanrtl.lookup.number_checks import check_array, check_each_guard_bits, list_each


@pytest.mark.parametrize("values", [["1.5", "2"], "3", np.array([b"1"]), [None], [1j], [10**400]])
def test_what_is_no_number_is_refused(values: Any) -> None:
    with pytest.raises(InputError, match=r"^weight: not an array of numbers; give one$"):
        check_array("weight", values)


def test_rows_of_different_lengths_are_refused() -> None:
    with pytest.raises(InputError, match=r"^weight: rows of different lengths; give one$"):
        check_array("weight", [[1, 2], [3]])


def test_dates_and_masked_numbers_are_refused() -> None:
    with pytest.raises(InputError, match=r"^weight: not an array of numbers"):
        check_array("weight", np.array(["2020-01-01"], dtype="datetime64[D]"))
    with pytest.raises(InputError, match=r"^weight\[1\] is masked"):
        check_array("weight", np.ma.array([1.0, 2.0], mask=[0, 1]))
    with pytest.raises(InputError, match=r"^weight\[1\]\[0\] is masked"):
        check_array("weight", list(np.ma.array([[1.0, 2.0], [3.0, 4.0]], mask=[[0, 0], [1, 0]])))
    with pytest.raises(InputError, match=r"^weight\[0\]\[1\]\[1\] is masked"):
        check_array("weight", [[[1.0, 2.0], np.ma.array([1.0, 2.0], mask=[0, 1])]])


def test_one_for_all_or_a_list() -> None:
    assert list_each("bits", 3, 2, "for each layer") == [3, 3]
    assert list_each("bits", np.int64(3), 2, "for each layer") == [3, 3]
    assert list_each("bits", np.array([3, 4]), 2, "for each layer") == [3, 4]
    assert list_each("memory", "block", 2, "for each layer") == ["block", "block"]
    assert check_each_guard_bits("guard_bits", 3, 2, "for each layer") == [3, 3]
    assert check_each_guard_bits("guard_bits", (0, 30), 2, "for each layer") == [0, 30]
    with pytest.raises(InputError, match=r"^guard_bits\[1\] = -5: must be an integer from 0 to 30$"):
        check_each_guard_bits("guard_bits", [0, -5], 2, "for each layer")
    with pytest.raises(InputError, match=r"^bits: 1 values; give one for all, or 2, one for each layer$"):
        list_each("bits", [3], 2, "for each layer")
