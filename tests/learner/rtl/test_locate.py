"""The position of an input on the grid, against the integer specification."""

import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import example, given
from hypothesis import strategies as st

from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.learner.plan import LocatedSum
from kanrtl.learner.rtl.locate import Locate, count_locate
from kanrtl.numeric.fixed import SQ, Format, narrow
from kanrtl.numeric.spline import Locator
from support.components import convert, register_bits
from support.layers import plan_of
from support.search import examples

GRIDS = [(-2.0, 2.0), (0.0, 1.0), (-1.3, 1.7), (0.1, 3.6), (-8.0, 8.0)]


def located(dut: Locate, codes: np.ndarray) -> list[tuple[int, int, int]]:
    """Cell, row and inside for every code of x."""
    found = []

    async def bench(ctx: Any) -> None:
        for code in codes:
            ctx.set(dut.x.raw, int(code))
            found.append((ctx.get(dut.cell), ctx.get(dut.row), ctx.get(dut.inside)))

    simulator = Simulator(dut)
    simulator.add_testbench(bench)
    simulator.run()
    return found


@examples(20)
@given(
    grid=st.sampled_from(GRIDS),
    cells=st.integers(1, 9),
    rows=st.sampled_from([1, 4, 64]),
    x=st.builds(SQ, st.integers(2, 6), st.integers(0, 8)),
    more=st.tuples(st.integers(0, 3), st.integers(0, 6)),
    rounding=st.sampled_from(["floor", "half_up"]),
    seed=st.integers(0, 2**32 - 1),
)
@example(grid=(-2.0, 2.0), cells=5, rows=64, x=SQ(6, 10), more=(1, 9), rounding="half_up", seed=0)
@example(grid=(-2.0, 2.0), cells=8, rows=64, x=SQ(6, 10), more=(2, 9), rounding="half_up", seed=0)
def test_a_sum_is_located_as_what_it_is_rounded_to(
    grid: tuple[float, float],
    cells: int,
    rows: int,
    x: Format,
    more: tuple[int, int],
    rounding: str,
    seed: int,
) -> None:
    locator = Locator.of(Fraction(grid[0]), Fraction(grid[1]), cells, rows, x)
    total = SQ(x.i + more[0], x.f + more[1])
    exact = LocatedSum.of(locator, x, total, rounding)
    cell, row, inside = locator.locate(np.array([x.minimum, x.maximum]))
    if exact is None:  # then a bound of the format lies in the grid, or right beside it
        assert inside.any() or cell[0] > 0 or (cell[1], row[1]) < (cells - 1, rows - 1)
        return
    random = np.random.default_rng(seed)
    around = [total.minimum, total.maximum, x.minimum << more[1], x.maximum << more[1]]
    codes = np.concatenate(
        [
            random.integers(total.minimum, total.maximum + 1, 40),
            random.integers(x.minimum << more[1], (x.maximum << more[1]) + 1, 40),
            np.clip([bound + step for bound in around for step in range(-3, 4)], total.minimum, total.maximum),
        ]
    )
    expected = zip(*locator.locate(narrow(codes, total.f, x, rounding).result), strict=True)
    assert located(Locate(locator, x, exact=exact), codes + exact.added) == list(expected)


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize("cells", [4, 5])
def test_every_input_is_located(cells: int, registered: bool) -> None:
    x = SQ(3, 5)
    locator = Locator.of(Fraction(-1), Fraction(2), cells, 4, x)
    codes = np.arange(x.minimum, x.maximum + 1)
    dut, found = Locate(locator, x, registered=registered), []

    async def bench(ctx: Any) -> None:
        for code in codes:
            ctx.set(dut.x.raw, int(code))
            if registered:
                ctx.set(dut.take, 1)
                await ctx.tick()
                ctx.set(dut.take, 0)
                ctx.set(dut.x.raw, ~int(code))  # what comes later is not taken
            found.append((ctx.get(dut.cell), ctx.get(dut.row), ctx.get(dut.inside)))

    simulator = Simulator(dut)
    if registered:
        simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == list(zip(*locator.locate(codes), strict=True))


@pytest.mark.parametrize(
    ("rounding", "x", "total"),
    [
        ("half_even", SQ(6, 10), SQ(7, 19)),  # no constant
        ("half_up", SQ(2, 10), SQ(4, 19)),  # saturates within the grid
        ("half_up", SQ(6, 10), SQ(7, 9)),  # coarser than an input
    ],
)
def test_what_is_not_a_constant_or_could_be_seen_is_rounded_before(rounding: str, x: Format, total: Format) -> None:
    locator = Locator.of(Fraction(-2), Fraction(2), 5, 64, x)
    assert LocatedSum.of(locator, x, total, rounding) is None


@pytest.mark.parametrize("registered", [False, True])
def test_a_register_holds_the_position(registered: bool) -> None:
    layer = plan_of().layer
    dut = Locate(layer.locator, layer.formats.input, registered=registered)
    assert dut.latency == registered
    # Before what is constant or equal goes.
    bits = layer.position.width - layer.position.f
    assert register_bits(convert(dut)) >= bits if registered else "dff" not in convert(dut)


@pytest.mark.parametrize("index", [0, 1])
def test_sums_that_locate_are_counted(index: int) -> None:
    plan, parts = plan_of(index), Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_locate(parts, plan, 2)
    once = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_locate(once, plan, 1)
    assert parts.counts == {unit: 2 * count for unit, count in once.counts.items()}
    assert once.counts["chain"] > 0


@pytest.mark.parametrize("registered", [False, True])
@pytest.mark.parametrize(
    ("grid", "cells", "x"),
    [
        ((-4, 4), 8, SQ(3, 4)),  # of full scale
        ((0, 8), 8, SQ(3, 4)),
        ((-1, 1), 4, SQ(3, 4)),
        ((0, 1), 12, SQ(3, 4)),
        ((-1.3, 1.7), 20, SQ(4, 3)),
        ((2, 3), 6, SQ(3, 5)),
    ],
)
def test_every_input_is_located_on_a_periodic_grid(
    grid: tuple[float, float], cells: int, x: Format, registered: bool
) -> None:
    locator = Locator.of(Fraction(grid[0]), Fraction(grid[1]), cells, 4, x, periodic=True)
    codes = np.arange(x.minimum, x.maximum + 1)
    dut, found = Locate(locator, x, registered=registered), []
    assert "inside" not in dut.signature.members

    async def bench(ctx: Any) -> None:
        for code in codes:
            ctx.set(dut.x.raw, int(code))
            if registered:
                ctx.set(dut.take, 1)
                await ctx.tick()
            found.append((ctx.get(dut.cell), ctx.get(dut.row)))

    simulator = Simulator(dut)
    if registered:
        simulator.add_clock(1e-8)
    simulator.add_testbench(bench)
    simulator.run()
    assert found == list(zip(*locator.locate(codes)[:2], strict=True))


@pytest.mark.parametrize("low", [-4, 0])
def test_a_phase_word_of_full_scale_takes_no_logic(low: int) -> None:
    """Its high bits are the cell and the row; from half a turn below zero the highest is inverted."""
    x = SQ(3, 9)
    locator = Locator.of(Fraction(low), Fraction(low + 8), 16, 64, x, periodic=True)
    assert (locator.scale, locator.shift) == (1, 2)
    plan = plan_of(
        0, layer_sizes=[1, 1], grid_range=(low, low + 8), grid_size=16, periodic=True, input_format="SQ(3, 9)"
    )
    parts = Parts(FAMILIES["ecp5"].blocks, multiplies=True)
    count_locate(parts, plan, 1)
    assert set(+parts.counts) == {"choice"}  # from outside an index replaces the cell
    cells = re.findall(r"^ *cell (\S+)", convert(Locate(locator, x)), re.MULTILINE)
    assert set(cells) - {"$sshr"} == ({"$xor"} if low else set())  # a shift by a constant is wires
