"""Products written out, and sums, against numpy."""

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Elaboratable, Module, Shape, Signal
from amaranth.sim import Simulator
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kanrtl.learner.rtl.multiply import Offset, add_in_chains, add_offsets, add_three, multiply_in_logic
from kanrtl.numeric.fixed import Format

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
        product = multiply_in_logic(m, self.a, self.b)
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


class Sum(Elaboratable):  # type: ignore[misc]
    def __init__(self, widths: tuple[int, int, int], width: int, zeros: int) -> None:
        self.terms = [Signal(Shape(bits, True)) for bits in widths]
        self.width, self.zeros = width, zeros
        self.result = Signal(width)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.result.eq(add_three(m, *self.terms, width=self.width, zeros=self.zeros))
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


class Sums(Elaboratable):  # type: ignore[misc]
    """Of terms with a constant and with a value, and of the terms alone."""

    def __init__(self, widths: list[int], constant: int, zeros: int, width: int) -> None:
        self.terms = [Signal(Shape(bits, True)) for bits in widths]
        self.high = Signal(Shape(8, True))
        self.constant, self.zeros, self.width = constant, zeros, width
        self.results = [Signal(width) for _ in range(3)]

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        value = Cat(Const(0, self.zeros), self.high).as_signed()
        offsets = [Offset.of(self.constant), Offset(value, self.zeros)]
        sums = [*add_offsets(m, self.terms, offsets, width=self.width), add_in_chains(m, self.terms, self.width)]
        m.d.comb += [result.eq(total) for result, total in zip(self.results, sums, strict=True)]
        return m


@settings(max_examples=60, deadline=None)
@given(
    widths=st.lists(st.integers(4, 10), min_size=1, max_size=9),
    constant=st.integers(-300, 300),
    zeros=st.integers(0, 4),
    more=st.integers(-3, 2),
    seed=st.integers(0, 2**32 - 1),
)
@example(widths=[4, 4], constant=32, zeros=0, more=-1, seed=0)  # more zeros below the offset than the sum has bits
@example(widths=[4, 4], constant=32, zeros=0, more=0, seed=0)  # more than the terms have
def test_sums_of_any_number_of_terms_are_exact(
    widths: list[int], constant: int, zeros: int, more: int, seed: int
) -> None:
    width = max(widths) + (len(widths) - 1).bit_length() + more
    dut, random = Sums(widths, constant, zeros, max(width, zeros + 1)), np.random.default_rng(seed)

    async def bench(ctx: Any) -> None:
        for _ in range(10):
            values = [int(random.integers(-(1 << bits - 1), 1 << bits - 1)) for bits in widths]
            high, total = int(random.integers(-128, 128)), sum(values)
            for term, value in zip(dut.terms, values, strict=True):
                ctx.set(term, value)
            ctx.set(dut.high, high)
            whole = total + constant, total + (high << zeros), total
            assert [ctx.get(result) for result in dut.results] == [exact % (1 << dut.width) for exact in whole]

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
