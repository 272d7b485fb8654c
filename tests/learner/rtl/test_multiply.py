"""Products written out, and sums, against numpy."""

from typing import Any

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Cat, Const, Elaboratable, Module, Shape, Signal
from amaranth.sim import Simulator
from hypothesis import example, given
from hypothesis import strategies as st

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LayerPlan
from kanrtl.learner.rtl.multiply import (
    ChainTerm,
    Offset,
    add_in_chains,
    add_offsets,
    add_pairs,
    add_three,
    carry_chain_barrier,
    count_chains,
    count_offsets,
    multiply_by_constant,
    multiply_in_logic,
    multiply_window,
)
from kanrtl.learner.rtl.pipeline_registers import Stages
from kanrtl.numeric.fixed import Format
from support.components import simulate
from support.layers import plan_of, random_codes
from support.search import examples

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


@examples(40)
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


@examples(40)
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
        sums = add_offsets(m, self.terms, offsets, widths=[self.width] * len(offsets))
        sums.append(add_in_chains(m, self.terms, self.width))
        m.d.comb += [result.eq(total) for result, total in zip(self.results, sums, strict=True)]
        return m


@examples(30)
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


class Window(Elaboratable):  # type: ignore[misc]
    """Products of a window, added in pairs; and one value behind a barrier, and times a constant."""

    def __init__(self, plan: LayerPlan, constant: int, *, in_logic: bool) -> None:
        layer = plan.layer
        self.plan, self.constant, self.in_logic = plan, constant, in_logic
        self.factors = [Signal(plan.factor, name=f"factor{bank}") for bank in range(plan.factors)]
        self.values = [Signal(layer.formats.basis, name=f"value{bank}") for bank in range(layer.banks)]
        self.width = plan.factor.width + layer.formats.basis.width + 1
        self.pairs = [Signal(Shape(self.width, True), name=f"pair{n}") for n in range((plan.factors + 1) // 2)]
        self.barred, self.scaled = Signal(Shape(plan.factor.width, True)), Signal(Shape(30, True))

    def elaborate(self, platform: Any) -> Module:
        m, first = Module(), self.factors[0].raw
        stages = Stages(m, self.plan.schedule, self.plan.index)
        products = multiply_window(m, stages, self.factors, self.values, in_logic=self.in_logic, name="product")
        pairs = add_pairs(stages, products, self.width, "pair")
        m.d.comb += [signal.eq(pair) for signal, pair in zip(self.pairs, pairs, strict=True)]
        m.d.comb += [
            self.barred.eq(carry_chain_barrier(m, first, self.plan.factor.width)),
            self.scaled.eq(multiply_by_constant(first, self.constant)),
        ]
        return m


@pytest.mark.parametrize("edge_sums", ["products", "differences"])
@pytest.mark.parametrize("pipeline", ["no_registers", ["multiply"], ["multiply", "add"]])
@pytest.mark.parametrize("in_logic", [False, True])
def test_products_of_a_window_are_added_in_pairs(edge_sums: str, pipeline: Any, in_logic: bool) -> None:
    plan, random = plan_of(edge_sums=edge_sums, pipeline=pipeline), np.random.default_rng(16)
    constant = int(random.integers(1, 1000))
    dut = Window(plan, constant, in_logic=in_logic)

    async def bench(ctx: Any) -> None:
        for _ in range(20):
            factors = random_codes(random, plan.factor, plan.factors)
            values = random_codes(random, plan.layer.formats.basis, plan.layer.banks)
            for signals, codes in ((dut.factors, factors), (dut.values, values)):
                for signal, code in zip(signals, codes, strict=True):
                    ctx.set(signal.raw, int(code))
            assert ctx.get(dut.barred) == factors[0]
            assert ctx.get(dut.scaled) == factors[0] * constant
            await ctx.tick().repeat(len(pipeline) if pipeline != "no_registers" else 1)
            products = (factors * values[len(values) - len(factors) :]).tolist()
            expected = [sum(products[first : first + 2]) for first in range(0, len(products), 2)]
            assert [ctx.get(pair) for pair in dut.pairs] == expected

    simulate(dut, bench)


@pytest.mark.parametrize("terms", range(1, 10))
@pytest.mark.parametrize("offsets", [1, 2])
def test_adders_of_offsets_are_counted(terms: int, offsets: int) -> None:
    """A tree has one adder less than terms; every offset one, and where it meets one term before the others, its own
    from there on."""
    m, values = Module(), [Signal(Shape(8, True), name=f"term{n}") for n in range(terms)]
    sums = add_offsets(m, values, [Offset(Signal(Shape(8, True))) for _ in range(offsets)], widths=[12] * offsets)
    m.d.comb += [Signal(12).eq(total) for total in sums]
    text = rtlil.convert(m, ports=values)
    assert text.count("cell $add ") == count_offsets(terms, offsets)


@pytest.mark.parametrize(
    ("terms", "width", "bits", "total"),
    [
        ([ChainTerm(8)], 12, 0, ChainTerm(8)),
        ([ChainTerm(8), ChainTerm(8)], 12, 9, ChainTerm(9)),
        # What is below the point of one of them bypasses the adder.
        ([ChainTerm(8), ChainTerm(9, 4)], 12, 6, ChainTerm(10)),
        ([ChainTerm(8, 2), ChainTerm(9, 4)], 12, 6, ChainTerm(10, 2)),
        ([ChainTerm(8), ChainTerm(8), ChainTerm(8)], 12, 9 + 10, ChainTerm(10)),
        # Never wider than what is wanted of the sum.
        ([ChainTerm(8), ChainTerm(8), ChainTerm(8), ChainTerm(8)], 9, 9 + 9 + 9, ChainTerm(9)),
    ],
)
def test_chains_are_as_wide_as_their_terms(terms: list[ChainTerm], width: int, bits: int, total: ChainTerm) -> None:
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    assert count_chains(parts, terms, width, times=3) == total
    assert (parts.counts["adder"], parts.counts["chain"]) == (3 * bits, 3 * (len(terms) - 1))
