"""LUTs of tables, by what synthesis makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from kanrtl.fabric.families import FAMILIES
from kanrtl.lookup.rtl.table_area import count_tables


def noise(bits: int, width: int, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.random.default_rng(seed).integers(0, 1 << width, 1 << bits)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_small_tables_take_a_lut_for_each_bit(family: str) -> None:
    for bits in (2, 3, 4):
        assert count_tables([(0, noise(bits, 3))], bits, family) == 3


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_what_is_the_same_is_counted_once(family: str) -> None:
    table = noise(4, 3)
    once = count_tables([(0, table)], 4, family)
    assert count_tables([(0, table), (0, table)], 4, family) == once
    assert count_tables([(0, table), (0, 7 - table)], 4, family) == once  # inverted for nothing
    assert count_tables([(0, table), (1, table)], 4, family) == 2 * once


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("bits", [4, 6, 8])
def test_constant_tables_take_nothing(family: str, bits: int) -> None:
    assert count_tables([(0, np.full(1 << bits, 5))], bits, family) == 0


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_address_bit_takes_more(family: str) -> None:
    counts = [count_tables([(0, noise(bits, 1))], bits, family) for bits in range(4, 10)]
    assert counts == sorted(set(counts))
