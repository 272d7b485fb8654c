"""Recordings simulated and swept in Python, and the methods that a learner is compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import InputError, LearnerSpec, Model
from kanrtl.experiments.float_references import MOST_TERMS, MOST_WEIGHTS, find_polynomial, run_float_references
from kanrtl.experiments.simulate_learner import simulate
from kanrtl.experiments.sweep import sweep
from kanrtl.sim import Recording

NOISE = np.random.default_rng(5)
X = NOISE.uniform(-3, 1, (600, 2))
LINEAR = 7 + X @ np.array([2.0, -1.0])


def rms(predictions: np.ndarray, target: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predictions[-100:, 0] - target[-100:]) ** 2)))


def test_linear_filters_learn_what_is_linear() -> None:
    found = run_float_references(Recording(X, LINEAR))
    assert [reference.name for reference in found] == ["NLMS", "RLS", "polynomial of degree 3, 10 terms, RLS"]
    assert all(rms(reference.predictions, LINEAR) < 1e-3 for reference in found)
    # The first prediction is made of nothing: the middle of the range, in the units of the target.
    low, high = LINEAR[:150].min(), LINEAR[:150].max()
    assert found[0].predictions[0, 0] == pytest.approx((low + high) / 2)


@pytest.mark.parametrize("unit", [1.0, 1e-3, 1e3])
def test_what_is_not_scaled_for_a_learner_is_for_filters(unit: float) -> None:
    scaled = run_float_references(Recording(X, LINEAR))
    for ours, theirs in zip(run_float_references(Recording(X * unit, LINEAR, scale=False)), scaled, strict=True):
        assert ours.setting == theirs.setting
        np.testing.assert_allclose(ours.predictions, theirs.predictions, rtol=1e-6)


def test_only_the_polynomial_learns_what_is_curved() -> None:
    target = X[:, 0] ** 2 * X[:, 1]
    nlms, rls, polynomial = run_float_references(Recording(X, target))
    assert rms(polynomial.predictions, target) < 1e-3
    assert min(rms(reference.predictions, target) for reference in (nlms, rls)) > 0.5


def test_each_target_is_learned_for_itself() -> None:
    both = run_float_references(Recording(X, np.stack([LINEAR, X[:, 0] ** 3], axis=1)))
    alone = run_float_references(Recording(X, LINEAR))
    for ours, theirs in zip(both, alone, strict=True):
        assert len(ours.setting) == 2
        np.testing.assert_allclose(ours.predictions[:, 0], theirs.predictions[:, 0])


def test_nothing_later_than_a_sample_changes_its_prediction() -> None:
    later = LINEAR.copy()
    later[400:] += 5
    for ours, theirs in zip(
        run_float_references(Recording(X, later)), run_float_references(Recording(X, LINEAR)), strict=True
    ):
        np.testing.assert_array_equal(ours.predictions[:401], theirs.predictions[:401])
        assert not np.array_equal(ours.predictions[402:], theirs.predictions[402:])


def test_polynomials_stay_small() -> None:
    assert find_polynomial(2) == (
        3,
        [(0,), (1,), (0, 0), (0, 1), (1, 1), *((0, 0, 0), (0, 0, 1), (0, 1, 1), (1, 1, 1))],
    )
    for n_in in range(1, 200):
        degree, terms = find_polynomial(n_in)
        products = any(len(set(term)) > 1 for term in terms)
        assert len(terms) < (MOST_TERMS if products else MOST_WEIGHTS)
        assert all(len(term) <= degree for term in terms)
        assert len(set(terms)) == len(terms)
    assert [find_polynomial(n_in)[0] for n_in in (5, 6, 10, 11, 53, 54, 79, 80)] == [3, 2, 2, 3, 3, 2, 2, 0]


def test_too_many_inputs_leave_nlms() -> None:
    x = NOISE.uniform(-1, 1, (40, MOST_WEIGHTS))
    assert [reference.name for reference in run_float_references(Recording(x, x[:, 0]))] == ["NLMS"]


@pytest.mark.parametrize("schedule", ["sequential", "streaming"])
def test_a_recording_is_learned_as_the_model_does(schedule: str) -> None:
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-1, 1), learning_rate=0.25, schedule=schedule)
    task = Recording(X[:80], LINEAR[:80]).fit_to((-1, 1), (-1, 1))
    found = simulate(spec, Recording(X[:80], LINEAR[:80]), "model")
    model, exact = Model(spec), Model(spec, numeric="float64")
    format = spec.formats.activation
    for part in (slice(0, 20), slice(20, 80)):  # after each, what is in flight lands
        x, target, learn = task.x[part], task.target[part], np.ones(part.stop - part.start, dtype=bool)
        edges = range(len(x)) if spec.timing.streaming else None
        codes = model.run(format.quantise(x), format.quantise(target), learn, edges)
        np.testing.assert_array_equal(format.to_float(codes), found.predictions[part])
        np.testing.assert_array_equal(exact.run(x, target, learn, edges), found.predictions_float64[part])
        for each in (model, exact):
            each.settle()


def test_errors_are_in_units_whatever_the_grid() -> None:
    task = Recording(X, LINEAR)
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-1, 1), learning_rate=0.25)
    ours, theirs = (
        simulate(spec.replace(grid_range=grid), task, "model").to_json()["methods"][1]["rms"]["targets"]
        for grid in ((-1, 1), (-4, 4))
    )
    assert ours == pytest.approx(theirs)


def test_classes_have_no_range() -> None:
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-1, 1), loss="logistic")
    with pytest.raises(
        InputError, match=r'^target_range = \(-1\.0, 1\.0\): with loss = "logistic" targets are classes'
    ):
        simulate(spec, Recording(X, LINEAR > np.median(LINEAR), target_range=(-1, 1)), "model")


@pytest.mark.parametrize(
    ("fields", "given", "onto"),
    [
        ({}, None, (-1, 1)),
        ({"target_range": (-3, 2)}, None, (-3, 2)),
        ({"target_range": (-3, 2)}, (0, 1), (0, 1)),
        # A grid that the format of targets cannot hold well, or of which it has few codes.
        ({"grid_range": (0, 100)}, None, (-16, 16)),
        ({"grid_range": (-1e-3, 1e-3)}, None, (-2, 2)),
        ({"output_format": "SQ(1, 15)"}, None, (-0.5, 0.5)),
    ],
)
def test_targets_are_scaled_onto_the_target_range(
    fields: dict[str, Any], given: tuple[float, float] | None, onto: tuple[float, float]
) -> None:
    spec = LearnerSpec(**{"layer_sizes": [2, 1], "grid_range": (-1, 1), "learning_rate": 0.25, **fields})
    task = Recording(X, LINEAR, target_range=given)
    found = simulate(spec, task, "model")
    assert isinstance(found.task, Recording)
    assert (found.task.scales[-1].low, found.task.scales[-1].high) == onto
    # Errors are in the units of the recording all the same: about as large whatever the scale.
    assert found.to_json()["methods"][0]["rms"]["targets"] < 0.5
    (row,) = sweep(spec, {"learning_rate": [0.25]}, task).rows
    np.testing.assert_array_equal(row.mse[0], found.to_json()["mse"])


def test_targets_of_a_sweep_have_the_range_of_each_learner() -> None:
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-1, 1), learning_rate=0.25, output_format="SQ(6, 10)")
    found = sweep(spec, {"target_range": [(-1, 1), (-3, 2)]}, Recording(X, LINEAR))
    for row in found.rows:
        np.testing.assert_array_equal(row.mse[0], simulate(row.spec, Recording(X, LINEAR), "model").to_json()["mse"])


def test_targets_of_different_units_count_alike() -> None:
    spec = LearnerSpec(layer_sizes=[2, 2], grid_range=(-1, 1), learning_rate=0.25)
    errors = []
    for unit in (1, 1e6):
        task = Recording(X, np.stack([LINEAR, unit * X[:, 0] ** 3], axis=1))
        data = simulate(spec, task, "model").to_json()
        found = sweep(spec, {"learning_rate": [0.25]}, task)
        assert data["mse_in"] == found.to_json()["mse_in"] == "variances"
        np.testing.assert_array_equal(found.rows[0].mse[0], data["mse"])
        errors.append([*data["mse"], data["mse_all"], data["mse_all_float64"]])
    np.testing.assert_allclose(*errors)
    assert 0 < errors[0][1] < 0.2
    assert simulate(spec.replace(layer_sizes=[2, 1]), Recording(X, LINEAR), "model").to_json()["mse_in"] == "units"


def test_one_table_has_errors_of_one_kind() -> None:
    spec = LearnerSpec(layer_sizes=[2, 2], grid_range=(-1, 1))
    task = Recording(X[:20], (X[:20] > 0).astype(int))
    assert sweep(spec, {"loss": ["logistic"]}, task).to_json()["mse_in"] == "units"
    assert sweep(spec.replace(loss="logistic"), {"loss": ["squared", "external"]}, task).in_variances
    with pytest.raises(InputError) as caught:
        sweep(spec, {"loss": ["squared", "logistic"]}, task)
    assert str(caught.value) == (
        "over loss = logistic: errors of several targets are in units, and with squared in parts of their variances; "
        "sweep them apart"
    )


@pytest.mark.parametrize("loss", ["logistic", "squared", "external"])
def test_classes_are_told(loss: str) -> None:
    classes = (X[:, 0] + NOISE.normal(0, 0.1, 600) > -1).astype(int)
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-1, 1), learning_rate=0.5, loss=loss)
    task = Recording(X, classes)
    found = simulate(spec, task, "model")
    (ours, *_) = found.to_json()["methods"]
    if loss == "logistic":
        told = found.predictions[task.first :, 0] > 0
        assert ours["wrong"] == {"targets": pytest.approx(np.mean(told != (classes[task.first :] == 1)))}
        assert ours["wrong"]["targets"] < 0.15
    else:
        assert "wrong" not in ours
    (row,) = sweep(spec, {"learning_rate": [0.5]}, task).rows
    np.testing.assert_array_equal(row.mse[0], found.to_json()["mse"])


def test_what_is_no_class_is_refused() -> None:
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-1, 1), loss="logistic")
    with pytest.raises(InputError, match=r"^sample 1 of 'targets' is .*: loss = \"logistic\" takes 0 and 1; give"):
        simulate(spec, Recording(X, LINEAR), "model")


def test_targets_that_go_constant_have_no_variance(tmp_path: Path) -> None:
    target = np.where(np.arange(600) < 150, LINEAR, 0.1)
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-1, 1))
    found = simulate(spec, Recording(X, target), "model")
    assert found.to_json()["methods"][0]["nmse"] == {"targets": None}
    found.plot(tmp_path / "run.svg")
    assert (tmp_path / "run.svg").read_bytes().startswith(b"<?xml")


def test_seeds_of_a_sweep_are_those_of_the_learner() -> None:
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-1, 1), update_rounding="stochastic")
    found = sweep(spec, {"learning_rate": [0.25]}, Recording(X[:60], LINEAR[:60]), seeds=2)
    (row,) = found.rows
    assert row.mse[0].tolist() != row.mse[1].tolist()
    assert row.mse_float64[0].tolist() == row.mse_float64[1].tolist()
    assert (found.task, found.samples) == ("recording", 60)


@pytest.mark.parametrize(("field", "value"), [("periodic", True), ("modulated", True)])
def test_what_scaling_would_move_is_not_scaled(field: str, value: object) -> None:
    spec = LearnerSpec(layer_sizes=[1 if field == "modulated" else 2, 1], grid_range=(-3, 1), **{field: value})
    with pytest.raises(InputError, match=f"^{field} = True: a recording is scaled"):
        simulate(spec, Recording(X, LINEAR), "model")
    assert simulate(spec, Recording(X, LINEAR, scale=False), "model").mismatches == 0


def test_the_numbers_of_modulated_inputs_are_counted() -> None:
    spec = LearnerSpec(layer_sizes=[2, 1], grid_range=(-3, 1), modulated=True)
    with pytest.raises(InputError, match=r"^modulated = True: a sample has 2 numbers for each input, 4 of 2, and 1"):
        simulate(spec, Recording(X, LINEAR), "model")
