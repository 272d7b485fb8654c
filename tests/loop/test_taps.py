"""A tapped delay line alone: values, cycles, back-pressure, reset value."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import SQ, UQ, InputError
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.loop.pairs import Pairs
from kanrtl.loop.scale import Scale
from kanrtl.loop.taps import Taps
from support.components import convert, register_bits
from support.search import examples
from support.strategies import codes_in
from support.streams import bits_of, exchange, words_of


@examples(15)
@given(
    taps=st.integers(1, 4),
    channels=st.integers(1, 3),
    gaps=st.sampled_from([0.0, 0.3, 0.7]),
    seed=st.integers(0, 2**32 - 1),
)
def test_hardware_gives_what_the_integers_give(taps: int, channels: int, gaps: float, seed: int) -> None:
    format = SQ(3, 4)
    dut = Taps(format, taps, channels=channels, initial=-1.5)
    rows = codes_in(format, np.random.default_rng(seed), (12, channels))
    found = exchange(dut, {"i": bits_of(rows, format)}, {"o": 12}, gaps=gaps, seed=seed)
    model = dut.model()
    assert words_of(found["o"], format, taps * channels) == [model.step(row).tolist() for row in rows]
    if not gaps:
        assert [b - a for a, b in zip(found["i"].cycles, found["o"].cycles, strict=True)] == [dut.latency] * 12
        assert np.diff(found["i"].cycles).tolist() == [dut.interval] * 11


def test_newest_first_and_the_reset_value_before_the_first() -> None:
    model = Taps(SQ(4, 1), 3, channels=2, initial=[0.5, -1]).model()
    assert model.step([3, 4]).tolist() == [3, 4, 1, -2, 1, -2]
    assert model.step([5, 6]).tolist() == [5, 6, 3, 4, 1, -2]


def test_what_was_given_may_be_written_to() -> None:
    model = Taps(SQ(4, 4), 2).model()
    model.step([5])[:] = 0
    assert model.step([6]).tolist() == [6, 5]


def test_it_is_counted_to_the_flip_flop() -> None:
    dut = Taps(SQ(6, 10), 5, channels=2)
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    dut.count(parts)
    assert parts.counts["register"] == register_bits(convert(dut))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"taps": 0}, r"taps = 0: must be 1 or more"),
        ({"taps": 10**7}, "taps = 10000000: a vector has at most 65536 bits; give at most 13107"),
        ({"taps": 2, "channels": 1.5}, r"channels = 1.5: must be an integer"),
        ({"taps": 2, "initial": 9}, r"initial = 9: is beyond SQ\(4, 1\); give a wider format"),
        ({"taps": 2, "initial": [0, 0]}, r"initial = \[0, 0\]: must be one number, or 1"),
        ({"taps": 2, "initial": float("nan")}, r"initial = nan: must be finite"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        Taps(SQ(4, 1), **fields)  # type: ignore[arg-type]


def test_integers_of_numpy_are_plain_ones() -> None:
    taps = Taps(SQ(4, 1), np.int64(2), channels=np.uint8(3))
    assert type(taps.taps) is type(taps.channels) is int
    assert convert(taps)
    scale = Scale(SQ(4, 1), SQ(4, 1), channels=np.int32(3), registers=np.int8(2))
    assert type(scale.channels) is type(scale.latency) is int
    assert type(Pairs(SQ(4, 1), pairs=np.int64(2)).pairs) is int


def test_formats_beyond_the_integers_of_a_model_are_refused() -> None:
    with pytest.raises(InputError, match=r"^format = SQ\(-60, 65\): has more than 63 fraction bits; scale the signal$"):
        Taps("SQ(-60, 65)", 2)
    for format in (UQ(0, 64), SQ(1, 79)):
        with pytest.raises(InputError, match=r"^format = .*: has more than 63 bits besides a sign; use fewer$"):
            Taps(format, 2)
    assert Taps(SQ(1, 63), 1).model().step([2**63 - 1]).tolist() == [2**63 - 1]
