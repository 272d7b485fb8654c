"""Constants of many learners, along a last axis."""

from types import SimpleNamespace

import numpy as np

from kanrtl.numeric.stacking import shift_left, stack_attributes, stack_shifts


def test_attributes_become_arrays() -> None:
    stacked = stack_attributes([SimpleNamespace(a=1, b=2, c=3), SimpleNamespace(a=4, b=5, c=6)], "a", "c")
    assert {name: array.tolist() for name, array in vars(stacked).items()} == {"a": [1, 4], "c": [3, 6]}


def test_every_learner_is_shifted_by_its_own_bits() -> None:
    codes = np.array([[1, -1], [3, -3]])
    assert shift_left(codes, stack_shifts([0, 2])).tolist() == [[1, -4], [3, -12]]
    # Where nothing is shifted, nothing is computed.
    assert shift_left(codes, stack_shifts([0, 0])) is codes
