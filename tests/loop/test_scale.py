"""Gain and offset alone: values, cycles, back-pressure, registers at run time, what saturates."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import SQ, UQ, Format, InputError
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.loop.scale import Scale
from support.components import convert, record, register_bits
from support.search import examples
from support.strategies import codes_in, signed
from support.streams import bits_of, exchange, words_of


@examples(20)
@given(
    input=signed(1, 5, fraction=0) | st.just(UQ(8, 0)),
    output=signed(1, 5, fraction=0) | st.just(UQ(3, 4)),
    channels=st.integers(1, 3),
    registers=st.integers(1, 2),
    rounding=st.sampled_from(["floor", "half_up", "half_even"]),
    gaps=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 2**32 - 1),
)
def test_hardware_gives_what_the_integers_give(
    input: Format, output: Format, channels: int, registers: int, rounding: str, gaps: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    numbers = {"gain": random.integers(-192, 193, channels) / 64, "offset": random.uniform(-0.4, 0.4, channels)}
    dut = Scale(
        input, output, channels=channels, registers=registers, rounding=rounding, gain_format=SQ(3, 6), **numbers
    )
    rows, model = codes_in(input, random, (10, channels)), dut.model()
    words = bits_of(rows, input)
    found = exchange(dut, {"i": words}, {"o": 10}, gaps=gaps, seed=seed)
    assert words_of(found["o"], output, channels) == [model.step(row).tolist() for row in rows]
    if not gaps:
        assert [b - a for a, b in zip(found["i"].cycles, found["o"].cycles, strict=True)] == [dut.latency] * 10
        assert dut.latency == registers
        assert np.diff(found["i"].cycles).tolist() == [dut.interval] * 9


def test_the_sum_is_exact_and_rounded_once() -> None:
    """For every input, against fractions."""
    dut = Scale(SQ(2, 4), SQ(2, 2), gain=0.71875, offset=0.25, gain_format=SQ(2, 5))
    model = dut.model()
    for code in range(-32, 32):
        exact = code * 23 / 2**9 + 0.25
        assert model.step([code]).tolist() == [int(np.clip(np.floor(exact * 4 + 0.5), -8, 7))]


def test_registers_at_run_time_and_what_saturates_is_counted() -> None:
    dut = Scale(SQ(3, 2), SQ(3, 2), channels=2, gain_format=SQ(3, 2))
    word = 4 | 4 << 5  # 1 in both channels
    set_gain = {"settings.valid": 1, "settings.payload": 1 | 0 << 1 | 8 << 2}  # channel 1, gain, 2.0
    set_offset = {"settings.valid": 1, "settings.payload": 0 | 1 << 1 | (-12 & 31) << 2}  # channel 0, offset -3
    cycles = [
        {"i.valid": 1, "i.payload": word, "o.ready": 1, **set_gain},  # this word has the gain before
        {**set_offset},
        {"settings.valid": 0, "i.payload": 15 | 15 << 5},
        {"i.payload": 15 | 15 << 5, "clear": 0},
        {"i.valid": 0},
        {"clear": 1},
        {"clear": 0},
    ]
    found = record(dut, cycles, ["o.payload", "o.valid", "saturations"])
    model, expected = dut.model(), []
    expected.append(model.step([4, 4]))
    model.write(1, 0, 8)
    expected.append(model.step([4, 4]))
    model.write(0, 1, -12)
    expected += [model.step([15, 15]), model.step([15, 15])]
    payloads = [(int(row[0]) & 31) | (int(row[1]) & 31) << 5 for row in expected]
    assert found["o.payload"][1:5] == payloads
    assert found["o.valid"] == [0, 1, 1, 1, 1, 0, 0]
    assert found["saturations"] == [0, 0, 0, 1, 2, 2, 0]
    assert model.saturations == 2
    assert [row.tolist() for row in expected] == [[4, 4], [4, 8], [3, 15], [3, 15]]


@pytest.mark.parametrize(
    ("gain_format", "output", "number", "code", "value"),
    [
        (SQ(4, 0), SQ(12, 0), 0, 8, 7),
        (SQ(4, 0), SQ(12, 0), 0, -2048, -8),
        (SQ(4, 0), SQ(12, 0), 0, -8, -8),
        (SQ(8, 0), SQ(4, 0), 1, 127, 6),
        (SQ(8, 0), UQ(4, 0), 1, 127, 14),
    ],
)
def test_a_setting_beyond_its_register_becomes_the_nearest(
    gain_format: Format, output: Format, number: int, code: int, value: int
) -> None:
    """It wrapped, so that a gain could change its sign; here of words of 1 with gain 1, or of -1 with an offset."""
    dut = Scale(SQ(4, 0), output, gain_format=gain_format)
    width = max(gain_format.width, output.width + (not output.signed))
    written = {"settings.valid": 1, "settings.payload": number << 1 | (code & ((1 << width) - 1)) << 2}
    word = 15 if number else 1
    found = record(dut, [{"i.valid": 1, "i.payload": word, "o.ready": 1, **written}, {}, {}], ["o.payload"])
    assert found["o.payload"][2] & ((1 << output.width) - 1) == value & ((1 << output.width) - 1)
    with pytest.raises(InputError, match=r"^code = \["):
        dut.model().write(0, number, 1 << 20)


def test_settings_take_luts_where_a_register_is_narrower() -> None:
    limits = []
    for gain_format in (SQ(4, 4), SQ(4, 6)):
        parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
        Scale(SQ(4, 4), SQ(4, 4), gain_format=gain_format).count(parts)
        limits.append(parts.counts["limit"])
    assert limits == [8, 8 + 8]


@pytest.mark.parametrize("registers", [1, 2])
def test_it_is_counted_to_the_flip_flop(registers: int) -> None:
    dut = Scale(SQ(6, 10), SQ(4, 8), channels=2, registers=registers)
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    dut.count(parts)
    assert parts.counts["register"] == register_bits(convert(dut))
    assert parts.multipliers == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": 10**6}, "channels = 1000000: a vector has at most 65536 bits; give at most 8192"),
        ({"gain": 1e-4}, r"gain = 0.0001: becomes 0 in SQ\(8, 10\); give a gain_format with more fraction bits"),
        (
            {"gain": [1, -2e-4], "channels": 2},
            r"gain = \[1, -0.0002\]: becomes 0 in SQ\(8, 10\); give a gain_format with more fraction bits",
        ),
        ({"gain": "much"}, "gain: not an array of numbers; give one number, or 1"),
        ({"gain": 200}, r"gain = 200: is beyond SQ\(8, 10\); give a wider format"),
        (
            {"channels": 40, "gain": np.full(40, 1e9)},
            r"gain = array.{52}\.\.\.: is beyond SQ\(8, 10\); give a wider format",
        ),
        ({"offset": 9}, r"offset = 9: is beyond SQ\(4, 4\); give a wider format"),
        ({"registers": 3}, r"registers = 3: must be 1 or 2"),
        ({"registers": 0}, r"registers = 0: must be 1 or 2"),
        ({"registers": 2.0}, r"registers = 2.0: must be an integer"),
        ({"registers": True}, r"registers = True: must be an integer"),
        ({"rounding": np.array(["floor", "floor"])}, r"rounding = array.*: must be one of floor, half_up, half_even"),
        ({"rounding": "stochastic"}, r"rounding = 'stochastic': must be one of floor, half_up, half_even"),
        ({"gain_format": UQ(8, 10)}, r"gain_format = UQ\(8, 10\): gains have signs; use SQ"),
        (
            {"gain_format": SQ(30, 30)},
            r"Scale: its exact sum has \d+ bits, and may have 63; use fewer in input, gain_format or output",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        Scale(SQ(4, 4), SQ(4, 4), **fields)


def test_formats_are_written_as_in_a_spec_too() -> None:
    text = Scale("SQ(4, 4)", "SQ(2, 3)", gain_format="SQ(3, 2)")
    assert (text.input, text.output, text.gain_format) == (SQ(4, 4), SQ(2, 3), SQ(3, 2))
    with pytest.raises(InputError, match=r"^input = 'SQ\(2 4\)' is not a format; write SQ\(i, f\) for signed or UQ"):
        Scale("SQ(2 4)", SQ(4, 4))
    with pytest.raises(InputError, match=r"^output: is of type NoneType; give a format, such as SQ\(1, 11\)$"):
        Scale(SQ(4, 4), None)  # type: ignore[arg-type]


def test_the_model_refuses_what_are_no_codes() -> None:
    model = Scale(SQ(4, 4), SQ(4, 4)).model()
    with pytest.raises(InputError, match=r"^codes = \[128\]: codes of SQ\(4, 4\) are -128 to 127$"):
        model.step([128])
    with pytest.raises(InputError, match=r"^codes: must be 1 integer codes, not an array \(1,\) of float64$"):
        model.step([0.5])
    with pytest.raises(InputError, match=r"^codes: rows of different lengths; give 1 integer codes$"):
        model.step([[1], [2, 3]])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((-1, 0, 1), "channel = -1: must be 0 to 1"),
        ((2, 0, 1), "channel = 2: must be 0 to 1"),
        ((0, 2, 1), "number = 2: must be 0 to 1"),
        ((0, -1, 1), "number = -1: must be 0 to 1"),
        ((0.0, 0, 1), "channel = 0.0: must be an integer"),
    ],
)
def test_the_model_writes_no_register_that_is_not_there(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}$"):
        Scale(SQ(4, 4), SQ(4, 4), channels=2).model().write(*arguments)
