"""The random register: an LFSR of maximal length, and what its lanes see."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kanrtl.numeric import lfsr as noise

POLYNOMIAL = 1 << 32 | 1 << 9 | 1 << 3 | 1 << 2 | 1

states = st.integers(1, 2**32 - 1)


def times(a: int, b: int) -> int:
    """The product of two polynomials over GF(2), modulo :data:`POLYNOMIAL`."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        b >>= 1
        a <<= 1
        if a >> 32:
            a ^= POLYNOMIAL
    return product


def power(base: int, exponent: int) -> int:
    result = 1
    while exponent:
        result = times(result, base) if exponent & 1 else result
        base = times(base, base)
        exponent >>= 1
    return result


@settings(max_examples=30)
@given(state=states)
def test_a_leap_is_16_bits_of_the_recurrence(state: int) -> None:
    bits = [state >> bit & 1 for bit in reversed(range(32))]
    for _ in range(16):
        bits.append(bits[-23] ^ bits[-29] ^ bits[-30] ^ bits[-32])
    # Times a power of x, where the recurrence is a remainder: s(n + 32) = s(n + 9) + s(n + 3) + s(n + 2) + s(n).
    assert noise.leap(state) == int("".join(map(str, bits[-32:])), 2)


def test_no_bit_of_a_leap_waits_for_another() -> None:
    assert [len(taps) for taps in noise.leap_taps()] == [4] * 16 + [1] * 16


def test_the_characteristic_polynomial_is_that_of_the_recurrence() -> None:
    """x^32 + x^9 + x^3 + x^2 + 1 takes every sequence of the register to zero."""
    sequence, state = [], noise.initial_state(1)
    for _ in range(20):
        sequence += [state >> bit & 1 for bit in reversed(range(16, 32))]
        state = noise.leap(state)
    exponents = [power for power in range(33) if POLYNOMIAL >> power & 1]
    assert not any(sum(sequence[at + power] for power in exponents) % 2 for at in range(len(sequence) - 32))


@settings(max_examples=30)
@given(first=st.lists(states, min_size=1, max_size=4), count=st.integers(1, 70))
def test_many_states_follow_each_other_as_leaps_do(first: list[int], count: int) -> None:
    found = noise.states_from(np.array(first), count)
    assert found.shape == (count, len(first))
    expected = first
    for row in found:
        assert row.tolist() == expected
        expected = [noise.leap(state) for state in expected]


def test_the_polynomial_is_primitive() -> None:
    """The order of x is 2^32 - 1: it divides that and none of its proper divisors."""
    period = 2**32 - 1
    factors = [3, 5, 17, 257, 65537]
    assert np.prod(factors, dtype=np.int64) == period
    assert power(2, period) == 1
    assert all(power(2, period // factor) != 1 for factor in factors)


def test_leaps_visit_every_state_too() -> None:
    assert np.gcd(noise.LEAP, 2**32 - 1) == 1


@given(state=states)
def test_the_register_never_stops(state: int) -> None:
    assert 0 < noise.leap(state) < 2**32


@given(seed=st.one_of(st.integers(0, 2**32 - 1), st.just(0x9E3779B9)))
def test_no_seed_starts_at_zero(seed: int) -> None:
    assert 0 < noise.initial_state(seed) < 2**32


def test_seeds_start_apart() -> None:
    assert len({noise.initial_state(seed) for seed in range(1000)}) == 1000


@given(
    state=states,
    lanes=st.lists(st.integers(0, 10**6), min_size=1, max_size=20),
    bits=st.integers(0, noise.WIDTH),
)
def test_a_lane_sees_the_word_rotated(state: int, lanes: list[int], bits: int) -> None:
    word = f"{state:032b}"
    rotated = [word[lane * 7 % 32 :] + word[: lane * 7 % 32] for lane in lanes]
    expected = [int(digits, 2) % 2**bits for digits in rotated]
    assert noise.lane_noise(state, np.array(lanes), bits).tolist() == expected
    assert [noise.lane_rotation(lane) for lane in lanes] == [lane * 7 % 32 for lane in lanes]


def test_32_neighbours_see_32_rotations() -> None:
    assert {noise.lane_rotation(lane) for lane in range(32)} == set(range(32))


def test_taps_are_the_leap() -> None:
    """Bit by bit, as hardware wires it."""
    state = 0xDEADBEEF
    leapt = [sum(state >> tap & 1 for tap in taps) % 2 for taps in noise.leap_taps()]
    assert sum(bit << index for index, bit in enumerate(leapt)) == noise.leap(state)


def test_noise_is_uniform() -> None:
    """The mean of 4-bit noise over many leaps is its expectation within four standard errors."""
    state, draws = noise.initial_state(0), []
    for _ in range(2000):
        draws.append(noise.lane_noise(state, np.arange(8), 4))
        state = noise.leap(state)
    mean, error = np.mean(draws), np.sqrt((16**2 - 1) / 12 / np.size(draws))
    assert abs(mean - 7.5) < 4 * error
