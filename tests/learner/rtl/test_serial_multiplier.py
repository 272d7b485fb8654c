"""Serial products against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanrtl.fabric.blocks import families
from kanrtl.fabric.parts import Parts
from kanrtl.learner.rtl.serial_multiplier import SerialMultiplier, count_serial_multiplier
from kanrtl.numeric.fixed import SQ, UQ, Format
from support.components import convert, register_bits, simulate

formats = st.builds(Format, st.booleans(), st.integers(1, 6), st.integers(0, 6))


def operands(formats: list[Format], random: np.random.Generator) -> list[tuple[int, int]]:
    """Every pair of corners, and some between them."""
    corners = [[format.minimum, format.maximum, 0] for format in formats]
    pairs = [(a, b) for a in corners[0] for b in corners[1]]
    drawn = [random.integers(format.minimum, format.maximum + 1, 10).tolist() for format in formats]
    return pairs + list(zip(*drawn, strict=True))


@settings(max_examples=40, deadline=None)
@given(
    a=formats.filter(lambda a: a.signed),
    b=formats,
    more=st.integers(0, 3),
    gap=st.integers(0, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_serial_product_is_exact_and_in_time(a: Format, b: Format, more: int, gap: int, seed: int) -> None:
    """One multiplication directly after the other, or with cycles between them."""
    dut = SerialMultiplier(a.as_shape(), b.as_shape(), b.width + more)
    assert dut.latency == b.width + more

    async def bench(ctx: Any) -> None:
        for x, y in operands([a, b], np.random.default_rng(seed)):
            for cycle in range(dut.latency):
                ctx.set(dut.a, x)
                ctx.set(dut.b, y if cycle == 0 else ~y)  # taken with start
                ctx.set(dut.start, cycle == 0)
                ctx.set(dut.last, cycle == dut.latency - 1)
                await ctx.tick()
            ctx.set(dut.start, 0)
            assert ctx.get(dut.product) == x * y
            await ctx.tick().repeat(gap) if gap else None

    simulate(dut, bench)


@pytest.mark.parametrize(("b", "ports"), [(SQ(3, 2), 1), (UQ(3, 2), 0)])
def test_a_signed_operand_has_a_last_bit(b: Format, ports: int) -> None:
    """Whose sign costs no second adder, and which nothing looks at in an unsigned one."""
    a = SQ(4, 2)
    text = convert(SerialMultiplier(a.as_shape(), b.as_shape(), 7))
    assert "cell $mul " not in text
    assert text.count("connect \\A \\last ") == ports
    parts = Parts(families["ecp5"], multiplies=True)
    count_serial_multiplier(parts, a, b, 7, times=2)
    # The product has one bit more: where it ends in a register, that is never loaded with anything of its own.
    assert parts.counts["register"] == 2 * register_bits(text)
