"""Derived widths hold what they must, and defaults are as documented."""

import re
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.errors import InputError
from kanrtl.learner.arithmetic import LayerArithmetic
from kanrtl.learner.formats import LearnerFormats
from kanrtl.learner.losses import find_loss
from kanrtl.learner.spec import LearnerSpec
from kanrtl.numeric.bits import bits_for, clog2
from kanrtl.numeric.fixed import SQ, UQ, Format
from kanrtl.numeric.sigmoid import Sigmoid
from support.reference_arithmetic import extremes, reference_narrow
from support.search import examples

layers = st.builds(
    lambda sizes, low, width, cells, order, table_size, coefficient, gradient, basis, slope, step, linear: LearnerSpec(
        layer_sizes=sizes,
        grid_range=(low, low + width),
        grid_size=cells,
        spline_order=order,
        table_size=table_size,
        coefficient_format=coefficient,
        gradient_format=gradient,
        basis_format=UQ(1, basis),
        slope_format=slope,
        step_format=step,
        **linear,
    ).layers[0],
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    low=st.sampled_from([-4.0, -1.3, 0.0, 0.25, 2.0]),
    width=st.sampled_from([0.01, 0.25, 0.3, 1.0, 2.0, 3.7, 8.0]),
    cells=st.sampled_from([1, 2, 3, 5, 8, 256]),
    order=st.integers(1, 3),
    table_size=st.sampled_from([2, 4, 16]),
    coefficient=st.builds(SQ, st.integers(1, 8), st.integers(0, 10)),
    gradient=st.builds(SQ, st.integers(1, 8), st.integers(0, 10)),
    basis=st.integers(6, 10),
    slope=st.none() | st.builds(SQ, st.integers(1, 18), st.integers(0, 10)),
    step=st.none() | st.builds(UQ, st.integers(0, 2), st.integers(5, 20)),
    linear=st.just({})
    | st.builds(
        lambda step, activation: {"linear": True, "linear_step_format": step, "activation_format": activation},
        st.none() | st.builds(SQ, st.integers(1, 6), st.integers(6, 12)),
        st.none() | st.builds(SQ, st.integers(5, 7), st.integers(15, 17)),
    ),
)


def extreme_dot(rows: np.ndarray[tuple[int, int], np.dtype[np.int64]], format: Format) -> tuple[int, int]:
    """The lowest and the highest sum of any table row times coefficients, over all their corners."""
    sums = [
        sum(int(entry) * corner for entry, corner in zip(row, corners, strict=True))
        for row in rows
        for corners in product(extremes(format), repeat=len(row))
    ]
    return min(sums), max(sums)


def exact_extremes(layer: LayerArithmetic) -> dict[str, tuple[int, int]]:
    """By name, the lowest and the highest code of each exact value, over all corners of its operands."""
    formats = layer.formats

    def products(a: Format, b: Format) -> tuple[int, int]:
        corners = [x * y for x, y in product(extremes(a), extremes(b))]
        return min(corners), max(corners)

    def difference(a: tuple[int, int], a_fraction: int, b: tuple[int, int], b_fraction: int) -> tuple[int, int]:
        fraction = max(a_fraction, b_fraction)
        a_low, a_high = (code << (fraction - a_fraction) for code in a)
        b_low, b_high = (code << (fraction - b_fraction) for code in b)
        return a_low - b_high, a_high - b_low

    edge = extreme_dot(layer.basis_table, formats.factor)
    slope = extreme_dot(layer.derivative_table, formats.factor)
    linear: dict[str, tuple[int, int]] = {}
    if layer.linear:
        one = layer.linear
        product_of_w = products(formats.factor, formats.input)
        up = layer.edge_sum.f - formats.factor.f - formats.basis.f, layer.edge_sum.f - one.product.f
        assert 0 in up
        edge = tuple((a << up[0]) + (b << up[1]) for a, b in zip(edge, product_of_w, strict=True))  # type: ignore[assignment]
        rows = np.column_stack([layer.derivative_table, np.full(layer.table_size, 1 << layer.slope_shift)])
        slope = extreme_dot(rows, formats.factor)
        update_of_w = products(formats.gradient, one.step)
        linear = {
            "linear_product": product_of_w,
            "linear_step_product": products(formats.input, one.rate),
            "linear_update_product": update_of_w,
            "linear_update_sum": difference(
                extremes(formats.coefficient), formats.coefficient.f, update_of_w, one.update_product.f
            ),
        }
    node = (edge[0] * layer.n_in, edge[1] * layer.n_in)
    downstream = products(formats.gradient, formats.slope)
    update = products(formats.gradient, formats.step)
    locator = layer.locator
    positions = [code * locator.scale + locator.offset for code in extremes(formats.input)]
    return {
        "position": (min(positions), max(positions)),
        "edge_sum": edge,
        "node_sum": node,
        "error_sum": difference(node, layer.node_sum.f, extremes(formats.output), formats.output.f),
        "slope_sum": slope,
        "downstream_sum": (downstream[0] * layer.n_out, downstream[1] * layer.n_out),
        "step_product": products(formats.basis, formats.learning_rate),
        "update_product": update,
        "update_sum": difference(extremes(formats.coefficient), formats.coefficient.f, update, layer.update_product.f),
    } | linear


@examples(120)
@given(layer=layers)
def test_exact_formats_hold_every_corner(layer: LayerArithmetic) -> None:
    reached = exact_extremes(layer)
    formats = layer.exact_formats()
    assert formats.keys() == reached.keys()
    for name, (low, high) in reached.items():
        assert formats[name].minimum <= low <= high <= formats[name].maximum, name


@examples(120)
@given(layer=layers)
def test_error_bounds_are_reached(layer: LayerArithmetic) -> None:
    assert layer.error_bounds == exact_extremes(layer)["error_sum"]


@examples(200)
@given(
    layer=layers,
    rounding=st.sampled_from(["floor", "half_up", "half_even"]),
    hidden=st.booleans(),
    loss=st.sampled_from(["squared", "logistic", "external", None]),
)
def test_the_kinds_that_saturate_at_a_corner(
    layer: LayerArithmetic, rounding: str, hidden: bool, loss: str | None
) -> None:
    formats, reached = layer.formats, exact_extremes(layer)

    def saturates(exact: tuple[int, int], fraction: int, format: Format) -> bool:
        return any(reference_narrow(Fraction(code, 2**fraction), format, rounding)[1] for code in exact)

    kinds = {"coefficient"}
    if saturates(reached["node_sum"], layer.node_sum.f, formats.output):
        kinds.add("activation")
    steps = [formats.learning_rate.maximum * int(basis) for basis in layer.basis_table.flat]
    if saturates((min(steps), max(steps)), layer.step_product.f, formats.step):
        kinds.add("step")
    if layer.linear and saturates(reached["linear_step_product"], layer.linear.step_product.f, layer.linear.step):
        kinds.add("step")
    error = saturates(reached["error_sum"], layer.error_sum.f, formats.gradient)
    if hidden or loss == "logistic" or (loss == "squared" and error):
        kinds.add("gradient")
    low, high = reached["slope_sum"]
    if hidden and saturates((low, high), layer.slope_sum.f, formats.slope):
        kinds.add("slope")

    listed = layer.saturating(rounding, hidden=hidden)
    if loss and find_loss(loss).saturates(layer, rounding):
        listed |= {"gradient"}
    assert listed - {"slope"} == kinds - {"slope"}
    assert "slope" in listed or "slope" not in kinds
    # A slope is bounded as if the highest coefficient were one code higher, as the lowest is.
    row = int(np.abs(layer.derivative_table).sum(axis=1).max()) + (1 << layer.derivative.f if layer.linear else 0)
    beyond = (low - row // 2, high + row // 2)
    assert ("slope" in listed) == (hidden and saturates(beyond, layer.slope_sum.f, formats.slope))


@examples(120)
@given(layer=layers)
def test_tables_are_codes_of_their_formats(layer: LayerArithmetic) -> None:
    for table, format in [
        (layer.basis_table, layer.formats.basis),
        (layer.derivative_table, layer.derivative),
    ]:
        assert table.shape == (layer.table_size, layer.spline_order + 1)
        assert format.minimum <= table.min()
        assert table.max() <= format.maximum


def test_sums_are_as_wide_as_they_need() -> None:
    layer = LearnerSpec(layer_sizes=[4, 3], grid_range=(-2, 2)).layers[0]
    assert layer.edge_sum == SQ(6, 19)
    assert layer.node_sum == SQ(8, 19)
    assert layer.error_sum == SQ(9, 19)
    assert layer.downstream_sum == SQ(14, 20)
    assert layer.step_product == UQ(1, 21)
    assert layer.update_product == SQ(6, 22)
    assert layer.update_sum == SQ(7, 22)
    assert layer.noise_bits == 8


def test_shapes_of_the_memories() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))
    for cells, order, banks in [(8, 3, 4), (5, 2, 4), (9, 1, 2), (1, 3, 4), (256, 3, 4)]:
        layer = spec.replace(grid_size=cells, spline_order=order).layers[0]
        assert (layer.window, layer.bases, layer.banks) == (order + 1, cells + order, banks)
        # The last window ends at coefficient cells + order - 1, and begins no later than row depth - 1.
        assert layer.depth * banks >= layer.bases > (layer.depth - 1) * banks
        assert layer.cell_width == Fraction(4, cells)


def formats_of(**fields: Any) -> LearnerFormats:
    return LearnerSpec(**({"layer_sizes": [1, 1], "grid_range": (-2, 2)} | fields)).formats


@pytest.mark.parametrize(
    ("bound", "x"),
    [
        (1e-6, SQ(-17, 33)),
        (1e-3, SQ(-7, 23)),
        (0.25, SQ(0, 16)),
        (0.5, SQ(6, 10)),
        (16, SQ(6, 10)),
        (17, SQ(7, 9)),
        (300, SQ(11, 5)),
        (2**20, SQ(22, 0)),
    ],
)
def test_the_default_input_holds_twice_the_grid(bound: float, x: Format) -> None:
    formats = formats_of(grid_range=(-bound / 4, bound))
    assert formats.input == x
    assert x.holds(-2 * bound)
    assert x.holds(1.99 * bound)
    assert formats.output == SQ(6, 10)


@pytest.mark.parametrize(
    ("cells", "x"), [(64, SQ(6, 10)), (128, SQ(3, 13)), (512, SQ(3, 13)), (1024, SQ(3, 14)), (4096, SQ(3, 16))]
)
def test_the_default_input_tells_rows_of_the_basis_table_apart(cells: int, x: Format) -> None:
    assert formats_of(grid_size=cells).input == x
    assert 4 / cells / 64 >= x.lsb


@pytest.mark.parametrize(
    ("target", "output"),
    [((-1e-4, 0), SQ(-11, 27)), ((-1, 1), SQ(2, 14)), ((0, 500), SQ(11, 5)), ((0, 1e6), SQ(22, 0))],
)
def test_a_target_range_gives_the_scale_of_outputs(target: tuple[float, float], output: Format) -> None:
    formats = formats_of(target_range=target)
    assert formats.output == formats.factor == formats.gradient == output
    assert formats.coefficient == SQ(output.i, output.f + 4)
    assert formats.input == SQ(6, 10)


def test_defaults_of_sixteen_bits() -> None:
    formats = formats_of()
    assert formats.activation == formats.factor == formats.slope == formats.gradient == SQ(6, 10)
    assert formats.coefficient == SQ(6, 14)
    assert (formats.basis, formats.step, formats.learning_rate) == (UQ(1, 9), UQ(0, 12), UQ(0, 12))


def test_scales_meet_between_layers() -> None:
    formats = formats_of(layer_sizes=[2, 3, 1], grid_range=[(-1e-3, 1e-3), (-1000, 1000)], target_range=(-1, 1))
    first, last = formats.layers
    assert (first.input, first.output, first.factor) == (SQ(-7, 23), SQ(12, 4), SQ(12, 4))
    assert (last.input, last.output, last.factor) == (SQ(12, 4), SQ(2, 14), SQ(2, 14))
    # What is a thousandth as steep has ten bits less, and its gradients too.
    assert (last.slope, first.gradient, last.downstream) == (SQ(-4, 20), SQ(-8, 24), SQ(-8, 24))
    with pytest.raises(InputError, match=re.escape("coefficient: layers have different formats, SQ(12, 8), SQ(2, 18)")):
        _ = formats.coefficient


def test_defaults_follow_what_is_given() -> None:
    formats = formats_of(
        learning_rate=0.01, activation_format=SQ(5, 16), coefficient_format=SQ(4, 20), grid_range=(-2, 2)
    )
    assert (formats.activation, formats.coefficient, formats.factor) == (SQ(5, 16), SQ(4, 20), SQ(4, 20))
    assert formats.basis == UQ(1, 12)
    assert (formats.slope, formats.gradient) == (SQ(4, 20), SQ(5, 16))
    assert formats.step == UQ(0, 16)
    assert formats.learning_rate == UQ(0, 12)
    formats = formats_of(input_format=SQ(4, 9), output_format=SQ(5, 7), factor_format=SQ(6, 5), learning_rate=4)
    assert (formats.input, formats.output, formats.coefficient) == (SQ(4, 9), SQ(5, 7), SQ(6, 5))
    assert (formats.gradient, formats.learning_rate) == (SQ(5, 11), UQ(3, 12))


@given(rates=st.lists(st.floats(2.0**-12, 256), min_size=1, max_size=3))
def test_the_default_step_holds_the_largest_step(rates: list[float]) -> None:
    formats = formats_of(layer_sizes=[1] * (len(rates) + 1), learning_rate=rates)
    # As the register does, up to just below twice the largest rate: a basis is one at most.
    for rate, step in zip(rates, (layer.step for layer in formats.layers), strict=True):
        for format in (step, formats.learning_rate):
            assert format.holds(rate)
            assert format.holds(max(0, 2 * rate - format.lsb))
        assert formats.basis.f <= step.f
        assert step.width <= max(16, step.i + formats.basis.f)
        # The rate leaves a basis all its significant bits, within sixteen of the step.
        assert step.width >= 16 or rate * 2**step.f > 2 ** (formats.basis.f - 1)


@pytest.mark.parametrize("gradient", [SQ(2, 6), SQ(6, 10), SQ(2, 14)])
@pytest.mark.parametrize("activation", [SQ(2, 0), SQ(2, 4), SQ(3, 13), SQ(4, 4), SQ(6, 10), SQ(9, 2)])
def test_sigmoid(activation: Format, gradient: Format) -> None:
    sigmoid = Sigmoid.of(activation, gradient)
    rows = 1 << sigmoid.row_bits
    assert sigmoid.table.shape == (rows,)
    assert rows <= 256
    assert sigmoid.value == UQ(1, gradient.f)
    assert (np.diff(sigmoid.table) >= 0).all()
    assert (sigmoid.table + sigmoid.table[::-1] == 1 << gradient.f).all()
    assert sigmoid.table.min() >= 0

    y = np.arange(activation.minimum, activation.maximum + 1)
    row = sigmoid.row(y)
    assert (np.diff(row) >= 0).all()
    assert (row.min(), row.max()) == (0, rows - 1)
    outside = np.abs(activation.to_float(y) + activation.lsb / 2) > sigmoid.reach
    assert np.isin(row[outside], [0, rows - 1]).all()
    # Within the table a row is half a step off at most, where the slope is a quarter at most.
    step = 2 * sigmoid.reach / rows
    error = sigmoid.value.to_float(sigmoid.table[row]) - 1 / (1 + np.exp(-activation.to_float(y)))
    assert np.abs(error[~outside]).max() <= step / 8 + gradient.lsb / 2


@pytest.mark.parametrize(("count", "extra"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10)])
def test_bits_of_sums(count: int, extra: int) -> None:
    assert clog2(count) == extra
    assert bits_for(count) == len(f"{count:b}")
    assert bits_for(0) == 1
