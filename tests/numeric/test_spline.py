"""Splines against scipy, tables against exact values, and the cell that an input lies in."""

from collections.abc import Callable
from fractions import Fraction
from math import floor, log2

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from kanrtl.numeric.fixed import SQ, Format
from kanrtl.numeric.spline import ORDERS, Locator, basis_table, basis_values, derivative_table, derivative_values
from support.search import examples

SIZES = [1 << power for power in range(11)]

Reals = npt.NDArray[np.float64]


@pytest.fixture(params=ORDERS)
def order(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def in_cells(order: int) -> tuple[Callable[[Reals], BSpline], Reals, npt.NDArray[np.int64], Reals]:
    """scipy's spline on a uniform grid from -1.5 with cells of 0.75, and points with their cell and u."""
    cells, width, low = 6, 0.75, -1.5
    knots = low + width * np.arange(-order, cells + order + 1)
    cell, u = np.meshgrid(np.arange(cells), np.linspace(0, 1, 33)[:-1], indexing="ij")
    return (lambda c: BSpline(knots, c, order)), low + width * (cell + u), cell, u


def test_values_and_derivatives_equal_scipy(
    order: int, in_cells: tuple[Callable[[Reals], BSpline], Reals, npt.NDArray[np.int64], Reals]
) -> None:
    spline_of, x, cell, u = in_cells
    bases = 6 + order
    for index, c in enumerate(np.eye(bases)):
        window = index - cell
        inside = (0 <= window) & (window <= order)
        for values, scipys in [
            (basis_values(order, u), spline_of(c)(x)),
            (derivative_values(order, u) / 0.75, spline_of(c).derivative()(x)),
        ]:
            own = np.take_along_axis(values, np.clip(window, 0, order)[..., None], axis=-1)[..., 0]
            np.testing.assert_allclose(np.where(inside, own, 0), scipys, rtol=0, atol=1e-12)


@given(u=st.fractions(0, 1, max_denominator=1000))
def test_fractions_and_arrays_agree(u: Fraction) -> None:
    for order in ORDERS:
        for function, total in [(basis_values, 1), (derivative_values, 0)]:
            exact = function(order, u)
            assert all(isinstance(value, Fraction) for value in exact)
            assert sum(exact) == total
            np.testing.assert_allclose(function(order, np.array(float(u))), np.array(exact, dtype=float), atol=1e-12)


@pytest.mark.parametrize("fraction", [4, 8, 15, 24])
def test_basis_tables(order: int, fraction: int) -> None:
    for size in SIZES:
        table = basis_table(order, size, fraction)
        assert table.shape == (size, order + 1)
        assert (table >= 0).all()
        assert (table.sum(axis=1) == 1 << fraction).all()
        np.testing.assert_array_equal(table, table[::-1, ::-1])
        middle = (np.arange(size) + 0.5) / size
        assert np.abs(table - basis_values(order, middle) * 2.0**fraction).max() < 1


@pytest.mark.parametrize(
    ("cell_width", "fraction"),
    [(Fraction(1), 8), (Fraction(1, 8), 5), (Fraction(3, 7), 12), (Fraction(22, 5), 20)],
)
def test_derivative_tables(order: int, cell_width: Fraction, fraction: int) -> None:
    for size in SIZES:
        table = derivative_table(order, size, fraction, cell_width)
        assert table.shape == (size, order + 1)
        assert (table.sum(axis=1) == 0).all()
        np.testing.assert_array_equal(table, -table[::-1, ::-1])
        middle = (np.arange(size) + 0.5) / size
        exact = derivative_values(order, middle) * (2.0**fraction / float(cell_width))
        assert np.abs(table - exact).max() < 1


def test_tables_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="read-only"):
        basis_table(3, 16, 8)[0, 0] = 1


def bounds() -> st.SearchStrategy[tuple[float, float]]:
    """Grid ranges: with a power-of-two width or not, at zero or far from it, tiny or large."""
    powers = st.integers(-8, 12).map(lambda e: 2.0**e)
    widths = st.one_of(powers, st.floats(2.0**-8, 2.0**12))
    lows = st.one_of(widths.map(lambda width: -width / 2), st.integers(-40, 40).map(float), st.floats(-100, 100))
    return st.tuples(lows, widths).map(lambda pair: (pair[0], pair[0] + pair[1]))


@examples(250)
@given(
    grid_range=bounds(),
    grid_size=st.one_of(st.sampled_from([1, 2, 5, 8, 256, 4096]), st.integers(1, 4096)),
    table_size=st.sampled_from(SIZES),
    fraction=st.integers(0, 20),
    data=st.data(),
)
def test_positions_are_within_a_quarter_of_a_step(
    grid_range: tuple[float, float], grid_size: int, table_size: int, fraction: int, data: st.DataObject
) -> None:
    low, high = map(Fraction, grid_range)
    x_format = SQ(14, fraction)
    lsb = Fraction(1, 2**fraction)
    first, last = -floor(-low / lsb), -floor(-high / lsb) - 1
    assume(first <= last)
    locator = Locator.of(low, high, grid_size, table_size, x_format)
    picks = [first, last, *data.draw(st.lists(st.integers(first, last), min_size=8, max_size=8))]
    cell, row, inside = locator.locate(np.array(picks))
    step = (high - low) / (grid_size * table_size)
    steps = grid_size * table_size
    slack = 0 if step.numerator.bit_count() == step.denominator.bit_count() == 1 else Fraction(1, 4)
    for code, found_cell, found_row, found_inside in zip(picks, cell, row, inside, strict=True):
        exact = (code * lsb - low) / step
        position = found_cell * table_size + found_row
        assert 0 <= found_row < table_size
        assert 0 <= found_cell < grid_size
        assert max(0, floor(exact - slack)) <= position <= min(steps - 1, floor(exact + slack))
        assert found_inside or min(exact, steps - exact) <= slack


@pytest.mark.parametrize(
    ("grid_range", "grid_size", "x_format"),
    [((-2, 2), 8, SQ(6, 10)), ((-1, 3), 256, SQ(6, 10)), ((0, 0.5), 16, SQ(4, 14)), ((-64, 64), 1, SQ(9, 3))],
)
def test_a_power_of_two_step_is_a_choice_of_bits(
    grid_range: tuple[float, float], grid_size: int, x_format: Format
) -> None:
    low, high = map(Fraction, grid_range)
    locator = Locator.of(low, high, grid_size, 16, x_format)
    codes = np.arange(*x_format.quantise(grid_range))
    step = (high - low) * 2**x_format.f / (grid_size * 16)
    if step >= 1:
        assert (locator.scale, locator.shift) == (1, log2(step))
    else:
        assert (locator.scale, locator.shift) == (1 / step, 0)
    cell, row, inside = locator.locate(codes)
    assert inside.all()
    assert (cell * 16 + row == (codes - codes[0]) // step).all()


def test_a_grid_that_starts_between_codes_is_exact_too() -> None:
    """From 0.3 in units of 1/4, in steps of 1/2: codes 2 and 3 (0.5 and 0.75) lie in the first step."""
    locator = Locator.of(Fraction(3, 10), Fraction(23, 10), 4, 1, SQ(4, 2))
    cell, _, inside = locator.locate(np.arange(1, 11))
    assert cell.tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert inside.tolist() == [False] + [True] * 8 + [False]


@pytest.mark.parametrize("grid_range", [(-2, 2), (-1, 2), (0.25, 7)])
def test_outside_the_grid_is_clamped(grid_range: tuple[float, float]) -> None:
    x_format = SQ(6, 6)
    locator = Locator.of(Fraction(grid_range[0]), Fraction(grid_range[1]), 6, 32, x_format)
    low, high = x_format.quantise(grid_range)
    codes = np.array([x_format.minimum, low - 1, low, high - 1, high + 1, x_format.maximum])
    cell, row, inside = locator.locate(codes)
    assert cell.tolist() == [0, 0, 0, 5, 5, 5]
    assert row[:3].tolist() == [0, 0, 0]
    assert row[4:].tolist() == [31, 31]
    assert inside.tolist() == [False, False, True, True, False, False]
    assert locator.end == 6 * 32


def test_locate_keeps_the_shape_of_codes() -> None:
    locator = Locator.of(Fraction(-2), Fraction(2), 8, 16, SQ(4, 8))
    assert [part.shape for part in locator.locate(np.zeros((2, 3), dtype=np.int64))] == [(2, 3)] * 3
