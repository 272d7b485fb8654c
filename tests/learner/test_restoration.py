"""What is written into a learner to bring it to its start."""

import numpy as np

from kanrtl import LearnerSpec
from kanrtl.learner.address_map import AddressMap
from kanrtl.learner.restoration import Restoration
from kanrtl.numeric.lfsr import initial_state

SPEC = LearnerSpec(layer_sizes=[2, 3, 1], grid_range=(-2, 2), linear=[False, True], seed=5)


def test_coefficients_come_in_the_order_of_their_addresses() -> None:
    restoration = Restoration.of(SPEC)
    codes = SPEC.initial_codes()
    assert restoration.coefficients == tuple(np.concatenate([layer.ravel() for layer in codes]).tolist())
    assert len(set(restoration.coefficients)) > 30


def test_registers_are_rates_and_both_halves_of_the_noise() -> None:
    addresses, restoration = AddressMap.of(SPEC), Restoration.of(SPEC)
    state = initial_state(5)
    assert restoration.registers == (
        *((addresses.learning_rate(index), layer.learning_rate_code) for index, layer in enumerate(SPEC.layers)),
        (addresses.linear_rate(1), SPEC.rate_registers[2].code),
        (addresses.noise, state >> 16),
        (addresses.noise, state & 0xFFFF),
    )
    assert restoration.values == (*restoration.coefficients, *(value for _, value in restoration.registers))
    assert len(Restoration.of(SPEC.replace(update_rounding="floor")).registers) == 3
