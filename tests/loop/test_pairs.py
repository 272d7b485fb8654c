"""Power and phase of complex numbers alone: values, cycles, back-pressure, accuracy."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import SQ, UQ, InputError
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.loop.pairs import Pairs
from support.components import convert, register_bits
from support.search import examples
from support.strategies import codes_in
from support.streams import bits_of, exchange, words_of


@examples(12)
@given(
    pairs=st.integers(1, 2),
    second=st.sampled_from(["power", "phase"]),
    gaps=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 2**32 - 1),
)
def test_hardware_gives_what_the_integers_give(pairs: int, second: str, gaps: float, seed: int) -> None:
    format = SQ(3, 5)
    dut = Pairs(format, pairs=pairs, second=second)
    rows = codes_in(format, np.random.default_rng(seed), (8, 2 * pairs))
    rows[0] = 0
    found = exchange(dut, {"i": bits_of(rows, format)}, {"o": 8}, gaps=gaps, seed=seed)
    model = dut.model()
    assert words_of(found["o"], format, 3 * pairs) == [model.step(row).tolist() for row in rows]
    if not gaps:
        assert [b - a for a, b in zip(found["i"].cycles, found["o"].cycles, strict=True)] == [dut.latency] * 8
        assert np.diff(found["i"].cycles).tolist() == [dut.interval] * 7


def test_power_is_exact_rounded_once_and_saturated() -> None:
    """For every complex number of a small format, against fractions."""
    model, saturated = Pairs(SQ(2, 2)).model(), 0
    for i in range(-8, 8):
        for q in range(-8, 8):
            rounded = np.floor((i * i + q * q) / 4 + 0.5)
            assert model.step([i, q]).tolist() == [i, q, min(rounded, 7)]
            saturated += rounded > 7
    assert model.saturations == saturated


@pytest.mark.parametrize(("format", "turn"), [(SQ(6, 10), 1.0), (SQ(3, 5), 4.0), (SQ(2, 14), 1.0), (SQ(4, 4), 16.0)])
def test_phase_is_within_one_code_of_the_angle(format: Any, turn: float) -> None:
    random = np.random.default_rng(1)
    u = random.integers(format.minimum, format.maximum + 1, (400, 2))
    u = np.vstack([u, [[1, 0], [-1, 0], [0, 1], [0, -1], [format.minimum, format.minimum], [1, format.minimum]]])
    model = Pairs(format, second="phase", turn=turn).model()
    found = np.array([model.step(row)[2] for row in u]) * format.lsb
    exact = np.arctan2(u[:, 1], u[:, 0]) / (2 * np.pi) * turn
    error = (found - exact + turn / 2) % turn - turn / 2
    assert np.abs(error).max() <= format.lsb
    assert found.min() >= -turn / 2
    assert found.max() < turn / 2
    assert model.step([0, 0])[2] == 0


@pytest.mark.parametrize("second", ["power", "phase"])
def test_it_is_counted_to_the_flip_flop(second: str) -> None:
    dut = Pairs(SQ(6, 10), pairs=2, second=second)
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    dut.count(parts)
    assert parts.counts["register"] == register_bits(convert(dut))
    assert parts.multipliers == (4 if second == "power" else 0)


@pytest.mark.parametrize(
    ("format", "fields", "message"),
    [
        (SQ(4, 4), {"second": "angle"}, r"second = 'angle': must be power or phase"),
        (SQ(4, 4), {"second": "phase", "turn": 3}, r"turn = 3: must be a power of two, with 8 codes .*"),
        (SQ(4, 4), {"second": "phase", "turn": 32}, r"turn = 32: must be a power of two, with 8 codes .*"),
        (SQ(4, 4), {"second": "phase", "turn": 0}, r"turn = 0: must be a power of two, with 8 codes .*"),
        (SQ(4, 4), {"second": "phase", "turn": "1"}, r"turn = '1': must be a power of two, with 8 codes .*"),
        (SQ(4, 4), {"second": "phase", "turn": None}, r"turn = None: must be a power of two, with 8 codes .*"),
        (SQ(4, 4), {"second": "phase", "turn": float("nan")}, r"turn = nan: must be a power of two, with 8 codes .*"),
        (SQ(4, 4), {"second": "phase", "turn": 2**2000}, r"turn = \d+\.\.\.: must be a power of two, with 8 codes .*"),
        (SQ(4, 4), {"second": "phase", "turn": [1.0]}, r"turn = \[1.0\]: must be a power of two, with 8 codes .*"),
        (SQ(4, 4), {"second": np.array(["power", "phase"])}, r"second = array.*: must be power or phase"),
        (UQ(4, 4), {}, r"format = UQ\(4, 4\): I and Q have signs; use SQ"),
        (SQ(4, 4), {"pairs": 0}, r"pairs = 0: must be 1 or more"),
    ],
)
def test_what_cannot_be_is_refused(format: Any, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        Pairs(format, **fields)


def test_a_phase_is_as_wide_as_its_angle_lets_it_be() -> None:
    """There is no sum of squares in it, whose bits would be 65."""
    found = Pairs(SQ(1, 31), second="phase").model().step([1 << 20, 1 << 20])
    assert found.tolist() == [1 << 20, 1 << 20, pytest.approx(1 << 28, abs=1)]
    with pytest.raises(InputError, match=r"^Pairs: its exact sum has 65 bits, and may have 63; use fewer in format$"):
        Pairs(SQ(1, 31))
    with pytest.raises(InputError, match=r"^Pairs: .*; use fewer in format$"):
        Pairs(SQ(1, 62), second="phase")
