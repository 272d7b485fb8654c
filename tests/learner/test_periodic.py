"""Periodic grids: an angle goes around, and nothing is seen of where it began."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kanrtl import SQ, InputError, LearnerSpec, Model, SpecError, connect
from kanrtl.learner.spec_file import derived, to_toml
from kanrtl.numeric.fixed import Format
from kanrtl.numeric.spline import Locator
from kanrtl.transfer.addressing import edge_sums
from kanrtl.transfer.edge_fit import EdgeFit
from support.search import examples

Reals = npt.NDArray[np.float64]

ANGLE = {"layer_sizes": [1, 1], "grid_range": (-2, 2), "grid_size": 16, "periodic": True, "learning_rate": 0.25}
"""An angle in quarter turns."""

FULL_SCALE = {"activation_format": "SQ(2, 14)"}


def test_an_edge_has_a_coefficient_for_each_cell() -> None:
    spec = LearnerSpec(**ANGLE)
    (layer,) = spec.layers
    assert (layer.bases, layer.banks, layer.depth) == (16, 4, 4)
    assert Model(spec).coefficients[0].shape == (1, 1, 16)
    (about,) = derived(spec)["layers"]
    assert (about["periodic"], about["coefficients"], about["bank_rows"]) == (True, 16, 4)
    assert "modulo 1024" in to_toml(spec)
    assert LearnerSpec.from_dict(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"grid_size": 6}, "grid_size = 6: periodic with spline_order 3, it has to be a multiple of 4; use 4 or 8"),
        ({"grid_size": 1}, "grid_size = 1: periodic with spline_order 3, it has to be a multiple of 4; use 4"),
        (
            {"grid_size": 7, "spline_order": 1},
            "grid_size = 7: periodic with spline_order 1, it has to be a multiple of 2; use 6 or 8",
        ),
        (
            {"grid_size": 4095, "spline_order": 2},
            "grid_size = 4095: periodic with spline_order 2, it has to be a multiple of 4; use 4092 or 4096",
        ),
        ({"periodic": 1}, "periodic = 1: must be true or false"),
        ({"periodic": [True, False]}, "periodic = [True, False]: must be one value or a list of 1, one per layer"),
        (
            {"activation_format": "SQ(2, 14)", "grid_range": (0, 3)},
            "activation_format = SQ(2, 14): does not reach the grid_range (0.0, 3.0); add integer bits",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as refused:
        LearnerSpec(**ANGLE | fields)
    assert str(refused.value).replace("(True, False)", "[True, False]") == message


def test_a_grid_that_is_not_periodic_takes_any_number_of_cells() -> None:
    spec = LearnerSpec(layer_sizes=[1, 2, 1], grid_range=(-2, 2), grid_size=[5, 8], periodic=[False, True])
    assert [layer.bases for layer in spec.layers] == [8, 8]


@examples(80)
@given(
    low=st.sampled_from([-2.0, 0.0, -1.3, 0.1, -4.0]),
    width=st.sampled_from([4.0, 1.0, 3.0, 2.3, 6.283185307179586, 8.0]),
    cells=st.sampled_from([4, 8, 12, 20, 64, 100]),
    rows=st.sampled_from([1, 4, 64]),
    x=st.builds(SQ, st.integers(4, 7), st.integers(0, 10)),
)
@example(low=-4.0, width=8.0, cells=8, rows=64, x=SQ(3, 13))
@example(low=0.0, width=8.0, cells=12, rows=64, x=SQ(3, 13))
def test_every_code_is_located_modulo_the_range(low: float, width: float, cells: int, rows: int, x: Format) -> None:
    locator = Locator.of(Fraction(low), Fraction(low + width), cells, rows, x, periodic=True)
    codes = np.unique(
        np.concatenate([np.linspace(x.minimum, x.maximum, 400), [x.minimum, -1, 0, x.maximum]]).astype(int)
    )
    cell, row, inside = locator.locate(codes)
    assert inside.all()
    step = (Fraction(low + width) - Fraction(low)) / (cells * rows)
    exact = [((code * Fraction(x.lsb) - Fraction(low)) / step) % (cells * rows) for code in codes.tolist()]
    # How far the position's middle is from the exact one, around the circle.
    half = Fraction(cells * rows, 2)
    apart = [
        abs((int(c) * rows + int(r) + Fraction(1, 2) - at + half) % (2 * half) - half)
        for c, r, at in zip(cell, row, exact, strict=True)
    ]
    assert max(apart) <= Fraction(3, 4)
    if step.numerator.bit_count() == step.denominator.bit_count() == 1:
        assert locator.scale.bit_count() == 1
        assert (cell * rows + row == np.array([int(at) for at in exact])).all()
    unrolled = locator.unroll(x)
    own_cell, own_row, within = unrolled.locate(codes)
    assert within.all()
    np.testing.assert_array_equal((own_cell % cells, own_row), (cell, row))


def float_model(sizes: list[int], **fields: Any) -> Model:
    spec = LearnerSpec(layer_sizes=sizes, grid_range=(-1.1, 0.9), grid_size=4, periodic=True, table_size=4, **fields)
    model = Model(spec, numeric="float64")
    random = np.random.default_rng(3)
    model.coefficients = [random.uniform(-1, 1, layer.shape) for layer in model.coefficients]
    return model


@pytest.mark.parametrize("order", [1, 2, 3])
def test_gradients_across_the_seam_equal_finite_differences(order: int) -> None:
    """Hidden values and inputs lie in the last cell, whose window goes on in the first, and periods away from it."""
    model = float_model([3, 2, 1], spline_order=order)
    x, target = np.array([0.85, 12.81, -17.2]), np.array([0.4])
    gradients = model.gradients(x, target)
    for coefficients, gradient in zip(model.coefficients, gradients, strict=True):
        for place, value in np.ndenumerate(coefficients):
            losses = []
            for sign in (1, -1):
                coefficients[place] = value + sign * 1e-6
                losses.append(float(((model.predict(x) - target) ** 2).sum() / 2))
            coefficients[place] = value
            assert gradient[place] == pytest.approx((losses[0] - losses[1]) / 2e-6, abs=1e-6)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_a_float_edge_goes_on_smoothly(order: int) -> None:
    model = float_model([1, 1], spline_order=order)
    around = np.array([-1e-7, 0, 1e-7])
    values = [[float(model.predict([end + shift])[0]) for shift in around] for end in (-1.1, 0.9, 2.9, -5.1)]
    np.testing.assert_allclose(values, np.tile(values[0], (4, 1)), rtol=0, atol=1e-12)
    left, right = values[0][1] - values[0][0], values[0][2] - values[0][1]
    if order > 1:
        assert left == pytest.approx(right, abs=1e-12)


def ripple(turns: Reals) -> Reals:
    return 0.6 * np.sin(2 * np.pi * turns + 0.7) + 0.3 * np.cos(6 * np.pi * turns + 0.2)


@pytest.mark.parametrize("formats", [{}, FULL_SCALE])
def test_a_ripple_is_learned_across_the_seam_as_elsewhere(formats: dict[str, str]) -> None:
    spec = LearnerSpec(**ANGLE | formats)
    random = np.random.default_rng(0)
    angle = random.uniform(-2, 2, (6000, 1))
    target = ripple(angle / 4) + random.normal(0, 0.02, angle.shape)
    with connect(spec, "model") as learner:
        errors = np.abs(learner.learn_many(angle, target) - target)[2000:, 0]
    seam = np.abs(np.abs(angle[2000:, 0]) - 2) < 0.25
    assert seam.sum() > 200
    assert errors[seam].mean() <= 1.1 * errors.mean()
    assert errors.mean() < 0.03


def test_a_clamped_grid_has_no_such_seam() -> None:
    """The same without ``periodic``: a sample at the end teaches nothing about the beginning."""
    taught = []
    for periodic in (False, True):
        with connect(LearnerSpec(**ANGLE | {"periodic": periodic}), "model") as learner:
            learner.learn_many(np.full((50, 1), 1.99), np.ones((50, 1)))
            taught.append(float(learner.predict([-1.99])[0]))
    assert taught[0] == 0
    assert taught[1] > 0.5


@pytest.mark.parametrize("fields", [{"grid_size": 12}, FULL_SCALE])
@pytest.mark.parametrize("backend", ["model", "compiled"])
def test_periods_away_is_the_same_input(backend: str, fields: dict[str, Any]) -> None:
    """Also beyond the format of the inputs, one sample at a time or many."""
    spec = LearnerSpec(**ANGLE | fields)
    with connect(spec, backend) as learner:
        random = np.random.default_rng(1)
        x = random.uniform(-2, 2, (200, 1))
        learner.learn_many(x, ripple(x / 4))
        x = np.round(x * 1024) / 1024
        expected = learner.predict_many(x)
        for periods in (-70, -7, -1, 1, 6, 1000):
            np.testing.assert_array_equal(learner.predict_many(x + 4 * periods), expected)
            np.testing.assert_array_equal(learner.predict(x[7] + 4 * periods), expected[7])
        assert learner.status["inputs_saturated"] == 0
        learner.predict([np.inf])
        learner.predict_many([[-np.inf]])
        assert learner.status["inputs_saturated"] == 2


@pytest.mark.parametrize("fields", [{}, {"grid_size": 12}, FULL_SCALE, FULL_SCALE | {"grid_range": (0, 4)}])
def test_a_periodic_learner_is_frozen_to_the_bit_and_starts_again(fields: dict[str, Any]) -> None:
    spec = LearnerSpec(**ANGLE | fields)
    random = np.random.default_rng(2)
    low = spec.per_layer("grid_range")[0][0]
    x = random.uniform(low, low + 4, (2000, 1))
    with connect(spec, "model") as learner:
        learner.learn_many(x, ripple(x / 4))
        frozen, before = learner.freeze(), learner.predict_many(x)
    assert frozen.exact
    codes = spec.formats.activation.quantise(x, spec.input_period)
    values = frozen.network.values_of(frozen.network.predict_codes(frozen.network.quantiser.codes_of_raw(codes)))
    np.testing.assert_array_equal(values, before)
    reals = spec.formats.activation.to_float(codes)
    start = spec.start_from(frozen.network, reals)
    assert start.error.max <= 4 * spec.formats.activation.lsb
    assert start.coefficients[0].shape == (1, 1, spec.grid_size)


def test_what_no_table_can_hold_is_not_frozen() -> None:
    spec = LearnerSpec(**ANGLE | {"grid_size": 1024, "table_size": 1024})
    with (
        connect(spec, "model") as learner,
        pytest.raises(InputError, match=r"^input_format = SQ"),
    ):
        learner.freeze()


@pytest.mark.parametrize(("order", "cells"), [(1, 2), (1, 6), (2, 4), (3, 4), (3, 8)])
def test_a_fit_finds_the_coefficients_of_an_edge_that_goes_around(order: int, cells: int) -> None:
    (layer,) = LearnerSpec(**ANGLE | {"layer_sizes": [1, 2], "grid_size": cells, "spline_order": order}).layers
    codes = np.random.default_rng(order).integers(-2000, 2000, (2, 1, cells))
    target = edge_sums(layer, codes, 0, layer.locator) * layer.node_sum.lsb
    found = EdgeFit(layer, np.full(layer.locator.end, 1 / layer.locator.end), target).coefficients()
    np.testing.assert_allclose(found, codes[:, 0] * layer.formats.coefficient.lsb, rtol=0, atol=1e-3)
