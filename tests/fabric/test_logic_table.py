"""Tables as logic: every word at its address, and no more multiplexers than there are differences."""

from typing import Any

import pytest
from amaranth.hdl import Const, Module, Signal, signed

from kanrtl.fabric.logic_table import look_up
from support.components import evaluate


@pytest.mark.parametrize("words", [[7], [3, 9], [1, 2, 3, 4, 5], [5, 5, 5, 6, 0, 0, 0, 0, 15], [-1, -8, 7]])
def test_every_word_is_at_its_address(words: list[int]) -> None:
    m, address, word = Module(), Signal(4), Signal(signed(4))
    m.d.comb += word.eq(look_up(address, words, 4).as_signed())
    found = evaluate([word], [address], [(row,) for row in range(len(words))], m)
    assert [one for (one,) in found] == [one - 16 if one > 7 else one for one in words]


def test_what_is_the_same_everywhere_is_a_constant() -> None:
    value: Any = look_up(Signal(3), [6] * 7, 4)
    assert isinstance(value, Const)
    assert value.value == 6
    assert repr(look_up(Signal(3, name="at"), [6] * 4 + [1] * 4, 4)).count("(sig at)") == 1
    assert repr(look_up(Signal(3, name="at"), [1, 2, 3, 4, 5, 6, 7, 8], 4)).count("(sig at)") == 7
