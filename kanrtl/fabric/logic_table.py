"""A table that never changes, as logic: nothing has to be stored before it can be read."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Const, Mux, Value

from ..numeric.bits import clog2


def look_up(address: Value, words: Sequence[int], width: int) -> Value:
    """Give the word at an address, of ``width`` bits.

    It is a tree of multiplexers, the address's highest bit at its root. Words that are equal are chosen without one. An
    address behind the last word gives any of them.

    Parameters
    ----------
    address
        At least as many bits as tell the words apart.
    words
        What the table holds, from address 0 on; the low ``width`` bits of each.
    width
        Bits of a word.
    """
    mask = (1 << width) - 1

    def choose(words: Sequence[int], bits: int) -> Value:
        if len(set(words)) == 1:
            return Const(words[0], width)
        half = 1 << (bits - 1)
        low = choose(words[:half], bits - 1)
        return Mux(address[bits - 1], choose(words[half:], bits - 1), low) if len(words) > half else low

    return choose([int(word) & mask for word in words], clog2(len(words)))
