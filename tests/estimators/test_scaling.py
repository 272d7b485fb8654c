"""Scaling of inputs and targets, sample by sample."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.estimators.scaling import BEYOND, OUTLIER, RunningScale

FINITE = st.floats(-1e12, 1e12, allow_subnormal=False)
COLUMN = st.lists(FINITE, min_size=1, max_size=30)


@given(COLUMN, st.none() | st.integers(2, 40))
def test_scale_is_deterministic_and_finite(column: list[float], horizon: int | None) -> None:
    rows = np.array(column)[:, None]
    scale, again = RunningScale(1, horizon), RunningScale(1, horizon)
    scaled = scale.learn_many(rows)
    for row, expected in zip(rows, scaled, strict=True):
        again.learn(row)
        np.testing.assert_array_equal(again.to_unit(row), expected)
    assert np.isfinite(scaled).all()
    assert (np.abs(scaled) <= BEYOND).all()
    assert scale.variance >= 0
    arrays = scale.arrays("x")
    restored = RunningScale.from_arrays("x", arrays, horizon)
    np.testing.assert_array_equal(restored.to_unit(rows), scale.to_unit(rows))


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40))
def test_scale_is_that_of_all_samples(column: list[float]) -> None:
    """Where nothing counts as an outlier: no sample of a few lies eight deviations off, once there are some."""
    rows = np.array(column)[:, None]
    scale = RunningScale(1)
    limited = False
    for row in rows:
        limited |= bool(scale.deviation[0] > 0 and abs(row[0] - scale.mean[0]) > OUTLIER * scale.deviation[0])
        limited |= 0 < scale.deviation[0] < 1e-6
        scale.learn(row)
    if not limited:
        assert scale.mean[0] == pytest.approx(np.mean(column), abs=1e-9)
        assert scale.deviation[0] == pytest.approx(np.std(column), rel=1e-6, abs=1e-9)


@given(FINITE, st.integers(1, 50))
def test_constant_columns_are_zero(value: float, count: int) -> None:
    scale = RunningScale(1)
    assert not scale.learn_many(np.full((count, 1), value)).any()
    assert not scale.to_unit(np.array([[1e300]])).any()


@given(FINITE)
def test_missing_values_count_for_nothing(value: float) -> None:
    rows = np.array([[1.0, 5.0], [2.0, np.nan], [value, 7.0], [np.nan, np.nan]])
    scale, first, second = RunningScale(2), RunningScale(1), RunningScale(1)
    scaled = scale.learn_many(rows)
    first.learn_many(rows[:3, :1])
    second.learn_many(rows[[0, 2], 1:])
    assert (scale.mean == [first.mean[0], second.mean[0]]).all()
    assert (scale.variance == [first.variance[0], second.variance[0]]).all()
    assert (scaled[[1, 3, 3], [1, 0, 1]] == 0).all()


@given(
    st.lists(
        st.tuples(*[st.one_of(st.floats(allow_infinity=False), FINITE, st.just(2.5))] * 2), min_size=1, max_size=25
    ),
    st.none() | st.integers(2, 10),
)
def test_machine_code_gives_the_same_bits(rows: list[tuple[float, float]], horizon: int | None) -> None:
    """Also row by row, after columns were added, and in a copy."""
    ours, theirs, single = (RunningScale(2, horizon) for _ in range(3))
    theirs.compile()
    single.compile()
    values = np.array(rows)
    with np.errstate(over="ignore"):
        expected = ours.learn_many(values)
    np.testing.assert_array_equal(theirs.learn_many(values), expected)
    for row, scaled in zip(rows, expected, strict=True):
        assert single.row.fill(row)
        np.testing.assert_array_equal(single.scale_row(True), scaled)
    copied = copy.deepcopy(single)
    copied.compile()
    more = np.hstack([values, values[:, :1]])[::-1]
    for scale in (ours, theirs, single, copied):
        scale.grow(3)
    with np.errstate(over="ignore"):
        expected = ours.learn_many(more)
    for scale in (theirs, single, copied):
        np.testing.assert_array_equal(scale.learn_many(more), expected)
        np.testing.assert_equal(scale.arrays("x"), ours.arrays("x"))


def test_an_outlier_squeezes_nothing_and_a_drift_is_followed() -> None:
    random = np.random.default_rng(0)
    scale = RunningScale(1)
    scale.learn_many(random.normal(0, 1, (1000, 1)))
    scale.learn(np.array([1e30]))
    assert scale.deviation[0] < 1.1
    forgetful = RunningScale(1, horizon=200)
    for regime in (random.normal(0, 1, (1000, 1)), random.normal(1e4, 1, (3000, 1))):
        forgetful.learn_many(regime)
        scale.learn_many(regime)
    assert forgetful.mean[0] == pytest.approx(1e4, abs=1)
    assert forgetful.deviation[0] < 10
    assert abs(float(scale.to_unit(np.array([1e4]))[0])) < 2


def test_scale_way_back() -> None:
    scale = RunningScale(2)
    rows = np.random.default_rng(0).normal(3, 5, (50, 2))
    scale.learn_many(rows)
    np.testing.assert_allclose(scale.from_unit(scale.to_unit(rows)), rows)
