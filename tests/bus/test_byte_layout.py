"""Numbers in whole bytes."""

import pytest
from amaranth.hdl import Cat, Const, Signal
from amaranth.lib import data
from amaranth.sim import Simulator
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import SQ, UQ
from kanrtl.bus.byte_layout import ByteLayout

SHAPE = data.StructLayout(
    {"x": data.ArrayLayout(SQ(3, 9), 2), "target": data.ArrayLayout(UQ(4, 4), 1), "wide": SQ(2, 31), "learn": 1}
)
LAYOUT = ByteLayout.of(SHAPE, "payload")


def test_numbers_lie_in_order() -> None:
    assert [(field.name, field.first, field.count, field.signed) for field in LAYOUT.fields] == [
        ("x_0", 0, 2, True),
        ("x_1", 2, 2, True),
        ("target_0", 4, 1, False),
        ("wide", 5, 5, True),
        ("learn", 10, 1, False),
    ]
    assert LAYOUT.size == 11
    assert LAYOUT.fields[0].format == SQ(3, 9)
    assert LAYOUT.to_bytes({"x_0": -2, "target_0": 255}) == bytes([0xFE, 0xFF, 0, 0, 255, 0, 0, 0, 0, 0, 0])


@given(st.tuples(*(st.integers(-(1 << 11), (1 << 11) - 1),) * 2, st.integers(0, 255), st.integers(-(1 << 32), 5)))
def test_bytes_come_back(codes: tuple[int, int, int, int]) -> None:
    named = dict(zip(("x_0", "x_1", "target_0", "wide"), codes, strict=True)) | {"learn": 1}
    assert LAYOUT.from_bytes(LAYOUT.to_bytes(named)) == named


@pytest.mark.parametrize("noise", [0, (1 << 88) - 1])
def test_hardware_does_the_same(noise: int) -> None:
    """What comes in may have anything above a number."""
    content, packed = Signal(88), Signal(SHAPE.size)
    wide = Signal(88)
    named = {"x_0": -2, "x_1": 1023, "target_0": 200, "wide": -(1 << 30), "learn": 1}
    above = int.from_bytes(LAYOUT.to_bytes(dict.fromkeys(named, -1)), "little")
    mask = sum(((1 << field.width) - 1) << 8 * field.first for field in LAYOUT.fields)

    async def bench(ctx) -> None:  # type: ignore[no-untyped-def]
        word = int.from_bytes(LAYOUT.to_bytes(named), "little")
        ctx.set(content, (word & mask) | (noise & above & ~mask))
        await ctx.delay(1e-9)
        ctx.set(packed, ctx.get(Cat(LAYOUT.narrow(content), Const(0, 1))[: SHAPE.size]))
        await ctx.delay(1e-9)
        ctx.set(wide, ctx.get(LAYOUT.widen(packed)))
        assert LAYOUT.from_bytes(ctx.get(wide).to_bytes(11, "little")) == named

    from amaranth.hdl import Module

    simulator = Simulator(Module())
    simulator.add_testbench(bench)
    simulator.run()
