"""Registers and their fields."""

import pytest

from kanrtl.bus.register import Field, Register

REGISTER = Register("one", "One.", (Field("low", 0, 4, "low"), Field("sign", 4, 5, "signed", signed=True)))


def test_values_come_back() -> None:
    for low in (0, 1, 15):
        for sign in (-16, -1, 0, 15):
            word = REGISTER.pack(low=low, sign=sign)
            assert 0 <= word < 1 << 9
            assert REGISTER.unpack(word) == {"low": low, "sign": sign}
    assert REGISTER.pack(sign=-1) == 0x1F0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"low": 16}, "^low = 16: must be from 0 to 15$"),
        ({"low": -1}, "^low = -1: must be from 0 to 15$"),
        ({"sign": 16}, "^sign = 16: must be from -16 to 15$"),
        ({"sign": -17}, "^sign = -17: must be from -16 to 15$"),
    ],
)
def test_values_beyond_a_field_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        REGISTER.pack(**values)


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(KeyError, match="high"):
        REGISTER.pack(high=1)
