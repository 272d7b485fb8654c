"""Functions made of LUTs: what is made is what was asked for, in cells that the chip has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.lookup.rtl.gates import INPUTS, Logic
from kanrtl.lookup.rtl.minimise import minimise
from support.lookup_networks import SHAPES, table
from support.search import examples

EVERY_ROW = (1 << 64) - 1


def check(functions: tuple[int, ...], muxes: bool = True) -> Logic:
    logic = minimise(functions, muxes=muxes)
    assert muxes or all(gate.init is not None for gate in logic.gates)
    assert logic.evaluate() == list(functions)
    users: dict[int, int] = {}
    for output in logic.outputs:
        users[output] = users.get(output, 0) + 1
    for number, gate in enumerate(logic.gates):
        assert all(0 <= signal < INPUTS + number for signal in gate.inputs)
        for signal in gate.inputs:
            users[signal] = users.get(signal, 0) + 1
        if gate.init is not None:
            assert 1 <= len(gate.inputs) <= 4
            assert gate.init < 1 << (1 << len(gate.inputs))
            continue
        # A PFUMX stands behind two LUTs, an L6MUX21 behind two PFUMX, and no one else can see those.
        for signal in gate.inputs[:2]:
            before = logic.gates[signal - INPUTS]
            assert signal >= INPUTS
            assert (before.init is None) == gate.wide
            assert not before.wide
    for gate in logic.gates:
        if gate.init is None:
            assert all(users[signal] == 1 for signal in gate.inputs[:2])
    return logic


@examples(8)
@given(st.lists(st.integers(0, EVERY_ROW), min_size=1, max_size=2))
def test_any_functions(functions: list[int]) -> None:
    assert check(tuple(functions)).luts <= 4 * len(functions)
    # Without multiplexers two more LUTs select.
    assert check(tuple(functions), muxes=False).luts <= 6 * len(functions)


@examples(10)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, INPUTS), st.booleans())
def test_bits_of_tables(seed: int, count: int, bits: int, muxes: bool) -> None:
    random = np.random.default_rng(seed)
    functions = []
    for _ in range(count):
        values = np.tile(table(random, str(random.choice(SHAPES)), 1 << bits, 8) + 8, 1 << (INPUTS - bits))
        functions += [
            sum(1 << row for row, value in enumerate(values) if int(value) >> place & 1) for place in range(4)
        ]
    check(tuple(functions), muxes)


def of(function: object) -> int:
    """The truth table of a function of the address."""
    return sum(1 << row for row in range(64) if function(row))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("functions", "luts", "without_muxes"),
    [
        ([of(lambda u: u >> 3 & 1)], 0, 0),
        ([0, EVERY_ROW], 0, 0),
        ([of(lambda u: u & 15 == 9)], 1, 1),
        ([of(lambda u: u == 9)], 2, 2),
        ([of(lambda u: (u & 7) * (u >> 3 & 3) % 3 == 1)], 2, 2),
        ([of(lambda u: bin(u).count("1") & 1)], 2, 2),
        # The second is the first of another input.
        ([of(lambda u: bin(u & 15).count("1") & 1), of(lambda u: bin(u & 31).count("1") & 1)], 2, 2),
    ],
)
def test_known_functions_take_what_they_should(functions: list[int], luts: int, without_muxes: int) -> None:
    assert check(tuple(functions)).luts == luts
    assert check(tuple(functions), muxes=False).luts == without_muxes


def test_a_function_of_five_bits_takes_three_luts() -> None:
    """Two halves, and one that selects."""
    random = np.random.default_rng(2)
    half = int(random.integers(0, 1 << 32))
    assert check((half << 32 | half,)).luts == 2
    assert check((half << 32 | half,), muxes=False).luts == 3
