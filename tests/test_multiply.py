"""Products written out, and serial ones, against numpy."""

from typing import Any

import numpy as np
from amaranth.hdl import Elaboratable, Module, Shape, Signal
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from kanrtl.fixed import Format
from kanrtl.rtl.multiply import product_in_logic, sum_of_three
from kanrtl.rtl.serial import SerialMultiplier

formats = st.builds(Format, st.booleans(), st.integers(1, 6), st.integers(0, 6))


def operands(formats: list[Format], random: np.random.Generator) -> list[tuple[int, int]]:
    """Every pair of corners, and some between them."""
    corners = [[format.minimum, format.maximum, 0] for format in formats]
    pairs = [(a, b) for a in corners[0] for b in corners[1]]
    drawn = [random.integers(format.minimum, format.maximum + 1, 10).tolist() for format in formats]
    return pairs + list(zip(*drawn, strict=True))


class Product(Elaboratable):  # type: ignore[misc]
    def __init__(self, a: Format, b: Format) -> None:
        self.a, self.b = Signal(a), Signal(b)
        self.format: Format | None = None
        self.result = Signal(Shape(a.width + b.width, a.signed or b.signed))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        product = product_in_logic(m, self.a, self.b)
        self.format = product.format
        m.d.comb += self.result.eq(product.raw)
        return m


@settings(max_examples=40, deadline=None)
@given(a=formats, b=formats, seed=st.integers(0, 2**32 - 1))
def test_a_product_in_logic_is_exact(a: Format, b: Format, seed: int) -> None:
    dut = Product(a, b)

    async def bench(ctx: Any) -> None:
        for x, y in operands([a, b], np.random.default_rng(seed)):
            ctx.set(dut.a.raw, x)
            ctx.set(dut.b.raw, y)
            assert ctx.get(dut.result) == x * y

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
    assert dut.format == Format(a.signed or b.signed, a.i + b.i, a.f + b.f)


@settings(max_examples=40, deadline=None)
@given(
    a=formats.filter(lambda a: a.signed),
    b=formats,
    more=st.integers(0, 3),
    gap=st.integers(0, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_serial_product_is_exact_and_in_time(a: Format, b: Format, more: int, gap: int, seed: int) -> None:
    """One multiplication directly after the other, or with clocks between them."""
    clocks = b.width + more
    dut = SerialMultiplier(a.as_shape(), b.as_shape(), clocks)

    async def bench(ctx: Any) -> None:
        for x, y in operands([a, b], np.random.default_rng(seed)):
            for clock in range(clocks):
                ctx.set(dut.a, x)
                ctx.set(dut.b, y if clock == 0 else ~y)  # taken with start
                ctx.set(dut.start, clock == 0)
                if b.signed:
                    ctx.set(dut.last, clock == clocks - 1)
                await ctx.tick()
            ctx.set(dut.start, 0)
            assert ctx.get(dut.product) == x * y
            await ctx.tick().repeat(gap) if gap else None

    simulator = Simulator(dut)
    simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()


class Sum(Elaboratable):  # type: ignore[misc]
    def __init__(self, widths: tuple[int, int, int], width: int, zeros: int) -> None:
        self.terms = [Signal(Shape(bits, True)) for bits in widths]
        self.width, self.zeros = width, zeros
        self.result = Signal(width)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.result.eq(sum_of_three(m, *self.terms, width=self.width, zeros=self.zeros))
        return m


@settings(max_examples=40, deadline=None)
@given(
    widths=st.tuples(st.integers(4, 10), st.integers(4, 10), st.integers(4, 10)),
    width=st.integers(4, 12),
    zeros=st.integers(0, 3),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_sum_of_three_is_exact(widths: tuple[int, int, int], width: int, zeros: int, seed: int) -> None:
    dut, random = Sum(widths, width, zeros), np.random.default_rng(seed)

    async def bench(ctx: Any) -> None:
        for _ in range(20):
            a, b, c = (int(random.integers(-(1 << bits - 1), 1 << bits - 1)) for bits in widths)
            c = c >> zeros << zeros
            for term, value in zip(dut.terms, (a, b, c), strict=True):
                ctx.set(term, value)
            assert ctx.get(dut.result) == (a + b + c) % (1 << width)

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
