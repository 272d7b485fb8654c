"""The estimators: what scikit-learn and river ask of them, growth, files, and the bits of the hardware."""

from __future__ import annotations

import copy
import json
import math
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import datasets, evaluate, metrics
from river import preprocessing as river_preprocessing
from river.checks import yield_checks
from sklearn.base import clone
from sklearn.datasets import make_friedman1, make_moons
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from sklearn.utils.estimator_checks import parametrize_with_checks

from kanrtl import InputError, KANClassifier, KANRegressor, LearnerSpec, LearningWarning, Session, connect
from kanrtl.estimators import scaled_learner
from kanrtl.loop import GuardSettings
from support.search import examples

# The smallest that learns what the checks ask for.
SMALL: dict[str, Any] = {"grid_size": 4, "spline_order": 1, "epochs": 2}

EXPECTED_FAILURES = {
    "check_estimator_tags_renamed": "river's own base class has a method with the name of one that scikit-learn had",
    "check_sample_weight_equivalence_on_dense_data": "a sample given twice takes two steps, in an order of chance; one "
    "of weight 2 takes one, twice as long, as with scikit-learn's SGDRegressor",
}


@parametrize_with_checks(
    [KANRegressor(**SMALL), KANClassifier(**SMALL)], expected_failed_checks=lambda _: EXPECTED_FAILURES
)
def test_what_scikit_learn_asks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def river_checks(model: Any, *left_out: str) -> list[Any]:
    """river's checks but for those of some names."""
    kept = [check for check in yield_checks(model) if check.__name__ not in left_out]
    return [pytest.param(check, id=f"{index}-{check.__name__}") for index, check in enumerate(kept)]


@pytest.mark.parametrize("check", river_checks(KANRegressor()))
def test_what_river_asks_of_a_regressor(check: Callable[[Any], None]) -> None:
    check(KANRegressor(**SMALL))


# Memory is held by what both estimators share, and the check of it needs thousands of samples.
@pytest.mark.parametrize("check", river_checks(KANClassifier(), "check_bounded_memory_growth"))
def test_what_river_asks_of_a_classifier(check: Callable[[Any], None]) -> None:
    check(KANClassifier(**SMALL))


# Learning.


@pytest.mark.filterwarnings("ignore:target = :kanrtl.LearningWarning")  # the narrowest format clips some targets
@examples(6)
@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 2**16),
    st.sampled_from([None, (2,)]),
    st.sampled_from([{}, {"update_rounding": "stochastic"}, {"activation_format": "SQ(4, 8)"}]),
)
def test_partial_fit_is_sample_by_sample(
    n_in: int, cuts: int, seed: int, hidden: tuple[int, ...] | None, spec: dict[str, Any]
) -> None:
    """Whether samples come in arrays, however cut, or one by one as dicts: the same bits."""
    random = np.random.default_rng(seed)
    x, y = random.normal(0, 3, (24, n_in)), random.normal(10, 2, 24)
    whole, cut, single = (KANRegressor(hidden, spec=spec, random_state=1, grid_size=4) for _ in range(3))
    whole.partial_fit(x, y)
    for rows, targets in zip(np.array_split(x, cuts), np.array_split(y, cuts), strict=True):
        cut.partial_fit(rows, targets)
    for row, target in zip(x, y, strict=True):
        single.learn_one(dict(enumerate(row)), target)
    np.testing.assert_array_equal(whole.predict(x), cut.predict(x))
    assert [single.predict_one(dict(enumerate(row))) for row in x] == whole.predict(x).tolist()


@pytest.mark.thorough
def test_two_backends_are_equal_to_the_bit() -> None:
    x, y = make_friedman1(40, n_features=5, random_state=0)
    x = x[:, 3:]  # those two enter the target as they are
    estimators = [
        KANRegressor((2,), grid_size=4, backend=name, epochs=1, random_state=3) for name in ("model", "pysim")
    ]
    for estimator in estimators:
        estimator.fit(x[:12], y[:12]).partial_fit(x[12:20], y[12:20])
    np.testing.assert_array_equal(*(estimator.predict(x) for estimator in estimators))
    for ours, theirs in zip(*(estimator.session_.coefficients for estimator in estimators), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert estimators[1].session_.status["cycles"] > 20
    estimators[1].close()
    with pytest.raises(ValueError, match="not fitted yet"):
        estimators[1].predict(x)


@pytest.mark.parametrize("backend", ["auto", "model"])
def test_missing_values_in_arrays_are_those_of_dicts(backend: str) -> None:
    random = np.random.default_rng(5)
    x = random.normal(0, 2, (40, 3))
    x[random.random(x.shape) < 0.3] = np.nan
    x[0], x[:, 2] = np.nan, np.nan  # also a sample, and a feature, of which nothing is known
    y = random.normal(3, 1, 40)
    arrays, dicts = (KANRegressor(random_state=0, backend=backend) for _ in range(2))
    arrays.partial_fit(x, y)
    for row, target in zip(x, y, strict=True):
        dicts.learn_one(dict(enumerate(row.tolist())), target)
    np.testing.assert_equal(arrays.session_.coefficients, dicts.session_.coefficients)
    assert arrays.predict(x).tolist() == [dicts.predict_one(dict(enumerate(row.tolist()))) for row in x]
    labels = y > 3
    classifier = KANClassifier(epochs=1, random_state=0, backend=backend).fit(x, labels)
    assert np.isfinite(classifier.partial_fit(x, labels).predict_proba(x)).all()
    with pytest.raises(ValueError, match="infinity"):
        arrays.partial_fit([[np.inf, 0, 0]], [1])
    with pytest.raises(ValueError, match="NaN"):
        arrays.partial_fit([[1, 0, 0]], [np.nan])


def test_machine_code_learns_the_same_as_numpy() -> None:
    """By either API, with features and classes that come late, missing values, and values of other kinds."""
    random = np.random.default_rng(4)
    models = [KANClassifier(grid_size=4, backend=name, random_state=0) for name in ("model", "auto")]
    regressors = [KANRegressor(grid_size=4, backend=name, random_state=0) for name in ("model", "auto")]
    labels = ["a", "b", "c"]
    for step in range(60):
        x: dict[str, Any] = dict(zip("pq", random.normal(0, 3, 2).tolist(), strict=True))
        if step % 7 == 3:
            x["q"] = None
        if step % 11 == 5:
            x = {"p": int(10 * x["p"]), "q": True}
        if step > 30:
            x["late"] = np.float32(step)
        label = labels[step * 5 % len(labels)]
        assert models[0].predict_proba_one(x) == models[1].predict_proba_one(x)
        assert regressors[0].predict_one(x) == regressors[1].predict_one(x)
        for model, regressor in zip(models, regressors, strict=True):
            model.learn_one(x, label)
            regressor.learn_one(x, step * 10)
    for pair in (models, regressors):
        np.testing.assert_equal(*(model.session_.coefficients for model in pair))
        np.testing.assert_equal(*(model._learner.inputs.arrays("x") for model in pair))


def test_without_a_compiler_it_learns_in_numpy_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaled_learner, "_without_compiler", lambda: "install one")
    with pytest.warns(RuntimeWarning, match=r'^backend = "auto": learning in numpy.*: install one$'):
        model = KANRegressor().fit([[1.0], [2.0]], [1, 2])
    assert model.session_.status["backend"] == "model"
    monkeypatch.undo()
    assert KANRegressor().fit([[1.0], [2.0]], [1, 2]).session_.status["backend"] == "compiled"


def test_several_targets_are_learned_at_once() -> None:
    x, y = make_friedman1(100, n_features=5, random_state=0)
    both = KANRegressor(random_state=0, epochs=5).fit(x, np.stack([y, -100 * y], axis=1))
    alone = KANRegressor(random_state=0, epochs=5).fit(x, y)
    assert both.predict(x).shape == (100, 2)
    np.testing.assert_array_equal(both.predict(x)[:, 0], alone.predict(x))
    assert both.score(x, np.stack([y, -100 * y], axis=1)) > 0.7


def test_scores_without_any_setting() -> None:
    x, y = make_friedman1(500, n_features=5, noise=0.5, random_state=0)
    learn, test = slice(300), slice(300, None)
    additive, hidden = (
        KANRegressor(sizes, epochs=5, random_state=0).fit(x[learn], y[learn]).score(x[test], y[test])
        for sizes in (None, (8,))
    )
    assert additive > 0.8
    assert hidden > additive  # the first two features act together
    x, y = make_moons(300, noise=0.1, random_state=0)
    assert KANClassifier(random_state=0, epochs=5).fit(x[:200], y[:200]).score(x[200:], y[200:]) > 0.95


def test_pipelines_and_searches() -> None:
    x, y = make_friedman1(120, n_features=5, random_state=0)
    pipeline = make_pipeline(PolynomialFeatures(2, interaction_only=True, include_bias=False), KANRegressor(epochs=3))
    assert pipeline.fit(x, y).score(x, y) > 0.5
    search = GridSearchCV(KANRegressor(epochs=2, random_state=0), {"grid_size": [2, 4], "spline_order": [1, 3]}, cv=2)
    assert search.fit(x, y).best_params_.keys() == {"grid_size", "spline_order"}
    assert len(cross_val_score(KANClassifier(epochs=1), x, y > y.mean(), cv=3)) == 3


def test_features_are_the_same_by_either_face() -> None:
    model = KANRegressor()
    for value in (1.0, 2.0, 4.0):
        model.learn_one({"b": value, "a": -value}, value)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        assert model.predict([[-2.0, 2.0]]).tolist() == [model.predict_one({"a": -2, "b": 2})]
    plain = KANRegressor(epochs=1).fit([[1.0, 2.0], [3.0, 5.0]], [1, 2])
    assert plain.predict_one({1: 5.0, 0: 3.0}) == plain.predict([[3.0, 5.0]])[0]
    assert not hasattr(plain, "feature_names_in_")


def test_river_evaluates_it() -> None:
    model = river_preprocessing.StandardScaler() | KANRegressor()
    metric = evaluate.progressive_val_score(datasets.TrumpApproval().take(300), model, metrics.MAE())
    assert metric.get() < 1
    accuracy = evaluate.progressive_val_score(datasets.Phishing().take(400), KANClassifier(), metrics.Accuracy())
    assert accuracy.get() > 0.8
    assert KANRegressor(()).clone().hidden_layer_sizes is None


def test_progress_is_shown_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    x, y = make_friedman1(10, n_features=5, random_state=0)
    KANRegressor(epochs=2).fit(x, y)
    assert capsys.readouterr().out == ""
    KANRegressor(epochs=2, verbose=True).fit(x, y)
    assert "epochs" in capsys.readouterr().out


# What comes late, and what is missing.


def taught(model: Any, random: np.random.Generator, labels: list[Any], samples: int = 60) -> Any:
    for _ in range(samples):
        place = int(random.integers(len(labels)))
        model.learn_one({0: random.normal(2 * place, 0.3), 1: random.normal(-place, 0.3)}, labels[place])
    return model


def test_a_new_class_leaves_the_odds_of_the_others() -> None:
    random = np.random.default_rng(0)
    model = taught(KANClassifier(), random, ["no", "yes"])
    x = {0: 1.1, 1: -0.4}
    before = model.predict_proba_one(x)
    logit = math.log(before["yes"] / before["no"])
    model.add_class("perhaps")
    assert sorted(model.classes_[:2]) == ["no", "yes"]
    assert model.classes_[2] == "perhaps"
    outputs = model.decision_function([[1.1, -0.4]])[0]
    yes, no = (list(model.classes_).index(label) for label in ("yes", "no"))
    assert outputs[yes] == -outputs[no]
    assert abs(outputs[yes]) == pytest.approx(abs(logit), abs=1e-9)
    model.add_class("never")
    np.testing.assert_array_equal(model.decision_function([[1.1, -0.4]])[0][:3], outputs)
    with pytest.raises(InputError, match=r"^add_class: 'never' is a class already$"):
        model.add_class("never")
    late = taught(model, random, ["no", "yes", "perhaps", "never"], 200)
    assert [late.predict_one({0: 2 * place, 1: -place}) for place in range(4)] == ["no", "yes", "perhaps", "never"]


def test_one_class_is_certain() -> None:
    model = KANClassifier()
    assert model.predict_one({"a": 1}) is None
    assert model.predict_proba_one({"a": 1}) == {}
    model.learn_one({"a": 1}, "only")
    assert model.predict_proba_one({"a": 5}) == {"only": 1.0}


def test_a_linear_path_goes_on_beyond_what_was_seen() -> None:
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (3000, 2))
    y = 3 * x[:, 0] - x[:, 1] + 0.2 * np.sin(2 * x[:, 0])
    far = np.array([[4.0, 0.0], [-4.0, 0.0], [0.0, 5.0]])
    errors = {}
    for linear in (False, True):
        model = KANRegressor(linear=linear, epochs=3, random_state=0).fit(x, y)
        errors[linear] = np.abs(model.predict(far) - (3 * far[:, 0] - far[:, 1])).max(), (model.predict(x) - y).std()
    assert errors[True][0] < 1 < 4 < errors[False][0]
    assert errors[True][1] < 0.05 < 0.3 < errors[False][1]


@pytest.mark.parametrize(("hidden", "linear"), [(None, False), ((3,), False), (None, True)])
def test_a_new_feature_changes_no_prediction_until_it_is_learned(hidden: tuple[int, ...] | None, linear: bool) -> None:
    random = np.random.default_rng(0)
    model = KANRegressor(hidden, linear=linear, random_state=0)
    samples = [({"x": float(a), 2: float(b)}, float(a + b * b)) for a, b in random.normal(0, 1, (80, 2))]
    for x, y in samples:
        model.learn_one(x, y)
    before = [model.predict_one(x) for x, _ in samples]
    assert before == [model.predict_one(x | {"new": 7.0}) for x, _ in samples]
    coefficients = model.session_.coefficients
    model.add_features(["new"])
    assert model.n_features_in_ == 3
    assert [model.predict_one(x) for x, _ in samples] == before
    np.testing.assert_array_equal(model.session_.coefficients[0][:, :2], coefficients[0])


def test_a_missing_feature_counts_as_its_mean() -> None:
    model = KANRegressor()
    for a in (1.0, 2.0, 3.0, 6.0):
        model.learn_one({"a": a, "b": -a}, a)
    assert model.n_samples_seen_ == 4
    at_mean = model.predict_one({"a": 3.0, "b": -1.0})
    for missing in ({"b": -1.0}, {"a": None, "b": -1.0}, {"a": math.nan, "b": -1.0}):
        assert model.predict_one(missing) == at_mean


# Files and copies.


def regressor_with_everything() -> KANRegressor:
    return KANRegressor(
        (2,), horizon=50, random_state=5, spec={"update_rounding": "stochastic", "activation_format": "SQ(5, 9)"}
    )


def continued(model: Any) -> list[float]:
    random = np.random.default_rng(9)
    predictions = []
    for row in random.normal(1, 2, (40, 2)):
        x = {"a": float(row[0]), "b": float(row[1])}
        predictions.append(model.predict_one(x))
        model.learn_one(x, float(row.sum() ** 2))
    return predictions


@pytest.mark.parametrize("way", ["file", "pickle", "copy"])
def test_what_is_restored_goes_on_to_the_bit(way: str, tmp_path: Path) -> None:
    model = regressor_with_everything()
    continued(model)
    if way == "file":
        model.save(tmp_path / "model.npz")
        other = KANRegressor.load(tmp_path / "model.npz")
        assert other.get_params() == model.get_params()
    else:
        other = pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)
    assert other.session_ is not model.session_
    assert continued(other) == continued(model)
    assert other.n_samples_seen_ == 80


def test_a_session_loads_the_file_and_another_backend_too(tmp_path: Path) -> None:
    model = KANRegressor(grid_size=4, random_state=0)
    continued(model)
    model.save(tmp_path / "model.npz")
    with connect(model.session_.spec) as session:
        session.load(tmp_path / "model.npz")
        assert all(
            (ours == theirs).all()
            for ours, theirs in zip(session.coefficients, model.session_.coefficients, strict=True)
        )
    other = KANRegressor.load(tmp_path / "model.npz", backend="pysim")
    assert isinstance(other.session_, Session)
    assert other.session_.status["backend"] == "pysim"
    assert other.predict_one({"a": 0.5, "b": 0.1}) == model.predict_one({"a": 0.5, "b": 0.1})


@pytest.mark.parametrize("way", ["file", "pickle"])
def test_a_former_version_names_presets_otherwise(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = KANRegressor(random_state=5, spec={"pipeline": "few_registers"})
    continued(model)
    path = tmp_path / "model.npz"
    if way == "file":
        model.save(path)
        with np.load(path) as content:
            arrays = dict(content)
        for name in ("spec", "estimator"):
            assert "few_registers" in str(arrays[name])
            arrays[name] = np.array(str(arrays[name]).replace("few_registers", "low_latency"))
        np.savez(path, **arrays)
        other = KANRegressor.load(path)
    else:
        former = copy.deepcopy(model)
        former.spec = {"pipeline": "low_latency"}
        del former._started
        fields = LearnerSpec.to_dict
        with monkeypatch.context() as patch:
            patch.setattr(LearnerSpec, "to_dict", lambda spec: fields(spec) | {"pipeline": "low_latency"})
            saved = pickle.dumps(former)
        assert b"few_registers" not in saved
        other = pickle.loads(saved)
    assert other.spec == {"pipeline": "few_registers"}
    assert other.session_.spec == model.session_.spec
    assert continued(other) == continued(model)


@pytest.mark.parametrize("labels", [[0, 1, 2], ["a", "b"], [True, False], [1.0, 2.0, 7.0]])
def test_classes_come_back_as_they_were(labels: list[Any], tmp_path: Path) -> None:
    x = np.arange(24.0).reshape(12, 2)
    model = KANClassifier(epochs=1).fit(x, (labels * 12)[:12])
    model.save(tmp_path / "model.npz")
    other = KANClassifier.load(tmp_path / "model.npz")
    assert other.classes_.dtype == model.classes_.dtype
    np.testing.assert_array_equal(other.predict(x), model.predict(x))
    np.testing.assert_array_equal(other.predict_proba(x), model.predict_proba(x))


@pytest.mark.parametrize("label", [2**63, 1e308, float("inf"), "a", None])
def test_a_label_that_is_another_is_refused(label: Any, tmp_path: Path) -> None:
    KANClassifier(epochs=1).fit([[0.0], [1.0]], [0, 1]).save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as content:
        arrays = dict(content)
    about = json.loads(str(arrays["estimator"]))
    about["state"]["_labels"][0] = label
    np.savez(tmp_path / "other.npz", **{**arrays, "estimator": np.array(json.dumps(about))})
    with pytest.raises(InputError, match=r"^load: '.*': not a saved KANClassifier; give a file that save wrote$"):
        KANClassifier.load(tmp_path / "other.npz")


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "model.npz"
    with pytest.raises(InputError, match=r"^load: '.*': No such file or directory; give a file that save wrote$"):
        KANRegressor.load(path)
    KANClassifier(epochs=1).fit([[0.0], [1.0]], [0, 1]).save(path)
    with pytest.raises(InputError, match=r"^load: '.*': holds a KANClassifier, format 1; use the class that saved it$"):
        KANRegressor.load(path)
    connect(KANRegressor().fit([[0.0], [1.0]], [0, 1]).session_.spec).save(path)
    with pytest.raises(InputError, match=r"^load: '.*': not a saved KANRegressor; give a file that save wrote$"):
        KANRegressor.load(path)
    KANRegressor(epochs=1).fit([[0.0], [1.0]], [0, 1]).save(path)
    with np.load(path) as content:
        arrays = {**content, "coefficients_0": np.array(7)}
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=r"^load: '.*': not a saved KANRegressor; give a file that save wrote$"):
        KANRegressor.load(path)
    model = KANRegressor(epochs=1, random_state=np.random.RandomState(0)).fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(InputError, match=r"^save: RandomState\(MT19937\).* cannot be written to a file; use numbers"):
        model.save(path)
    with pytest.raises(InputError, match=r"^save: '.*/none/a\.npz': there is no folder '.*/none'; make it first$"):
        clone(model).set_params(random_state=0).fit([[0.0], [1.0]], [0, 1]).save(tmp_path / "none" / "a.npz")


@pytest.mark.parametrize("way", ["file", "pickle", "copy"])
def test_a_frozen_estimator_stays_so(way: str, tmp_path: Path) -> None:
    model = KANRegressor(grid_size=4, random_state=0)
    continued(model)
    model.session_.frozen = True
    if way == "file":
        model.save(tmp_path / "model.npz")
        other = KANRegressor.load(tmp_path / "model.npz")
    else:
        other = pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)
    assert other.session_.frozen
    other.learn_one({"a": 0.5, "b": 0.1}, 9.0)
    assert other.session_.coefficients[0].tolist() == model.session_.coefficients[0].tolist()


def failed(model: Any, *labels: Any) -> Any:
    """The model after its guard has seen a fault."""
    random = np.random.default_rng(0)
    model.set_params(grid_size=4, random_state=0, spec={"guard": {"window": 16, "error": 0.4}})
    for _ in range(100):
        model.learn_one({"a": float(random.normal())}, random.choice(labels).item())
        if model.session_.status["guard"]["fault"]:
            return model
    raise AssertionError("no fault")


@pytest.mark.parametrize("way", ["file", "pickle", "copy"])
def test_a_copy_of_a_learner_in_fault_is_frozen(way: str, tmp_path: Path) -> None:
    model = failed(KANRegressor(), -9.0, 9.0)

    def copied() -> KANRegressor:
        if way == "file":
            model.save(tmp_path / "model.npz")
            return KANRegressor.load(tmp_path / "model.npz")
        return pickle.loads(pickle.dumps(model)) if way == "pickle" else copy.deepcopy(model)

    with pytest.warns(
        LearningWarning, match=r"^the guard has seen divergence, and a copy does not hold that: it is fr"
    ):
        other = copied()
    assert other.session_.frozen
    assert not other.session_.status["guard"]["fault"]
    before = other.session_.coefficients[0].tolist()
    other.learn_one({"a": 0.5}, 9.0)
    assert other.session_.coefficients[0].tolist() == before
    other.session_.frozen = False
    other.learn_one({"a": 0.5}, 9.0)
    assert other.session_.coefficients[0].tolist() != before


@pytest.mark.parametrize("backend", ["model", "compiled", "pysim"])
def test_what_a_frozen_estimator_sees_moves_nothing(backend: str) -> None:
    model = KANRegressor(grid_size=4, random_state=0, backend=backend)
    continued(model)
    model.session_.frozen = True
    _stays_under_samples(model)
    model.session_.frozen = False
    before = model.predict_one({"a": 0.5, "b": 0.1})
    model.learn_one({"a": 500.0, "b": -70.0}, 90.0)
    assert model.predict_one({"a": 0.5, "b": 0.1}) != before


@pytest.mark.parametrize("backend", ["model", "compiled", "pysim"])
def test_what_an_estimator_in_fault_sees_moves_nothing(backend: str) -> None:
    _stays_under_samples(failed(KANRegressor(backend=backend), -9.0, 9.0))


def _stays_under_samples(model: KANRegressor) -> None:
    names = model.feature_names_in_
    before = model.predict_one(dict.fromkeys(names, 0.5))
    model.learn_one(dict.fromkeys(names, 500.0), 90.0)
    model.partial_fit(pd.DataFrame([dict.fromkeys(names, -70.0)]), [70.0])
    assert model.predict_one(dict.fromkeys(names, 0.5)) == before


@pytest.mark.parametrize("backend", ["model", "compiled"])
@pytest.mark.parametrize(("window", "weight"), [(16, None), (64, None), (64, 5.0)])
def test_samples_at_once_move_as_much_as_one_by_one_where_a_fault_comes_among_them(
    backend: str, window: int, weight: float | None
) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(200, 1)), random.choice([-9.0, 9.0], 200)
    spec = {"guard": {"window": window, "error": 0.4}}
    at_once, by_one = (KANRegressor(grid_size=4, random_state=0, spec=spec, backend=backend) for _ in range(2))
    weights = None if weight is None else np.full(len(x), weight)
    at_once.partial_fit(x, y, sample_weight=weights)
    for row, target in zip(x, y, strict=True):
        by_one.partial_fit([row], [target], sample_weight=None if weight is None else [weight])
    assert at_once.session_.status["guard"]["fault"]
    assert at_once.predict(x).tolist() == by_one.predict(x).tolist()


def test_a_learner_in_fault_does_not_grow() -> None:
    model, three = failed(KANRegressor(), -9.0, 9.0), failed(KANClassifier(), 0, 1)
    refusal = r"^the guard has seen divergence, which a learner with .* forget; call session_\.release\(\) before$"
    for grow in (
        lambda: model.add_features(["b"]),
        lambda: model.learn_one({"a": 0.5, "b": 1.0}, 9.0),
        lambda: three.add_class(2),
        lambda: three.learn_one({"a": 0.5}, 2),
    ):
        with pytest.raises(InputError, match=refusal):
            grow()
    assert model.session_.status["guard"]["fault"]
    assert (model.n_features_in_, len(three.classes_)) == (1, 2)
    model.learn_one({"a": 0.5}, 9.0)  # goes on predicting
    model.session_.release()
    model.add_features(["b"])
    assert model.n_features_in_ == 2


@pytest.mark.parametrize("spec", [{}, {"learning_rate": 0.125}])
def test_growth_keeps_what_registers_hold(spec: dict[str, Any]) -> None:
    model = KANRegressor((2,), random_state=0, grid_size=4, spec={"update_rounding": "stochastic"} | spec)
    continued(model)
    session = model.session_
    session.learning_rate = tuple(rate / factor for rate, factor in zip(session.learning_rate, (4, 2), strict=True))
    session.frozen = True
    rates, noise = session.learning_rate, session.backend.read_noise()
    share = 1 if spec else 2 / 4  # without a rate in the spec it is divided by the number of inputs
    model.add_features(["c", "d"])
    assert model.session_.frozen
    assert model.session_.learning_rate == pytest.approx((rates[0] * share, rates[1]), rel=0.05)
    assert model.session_.backend.read_noise() == noise
    model.session_.learning_rate = 0
    model.add_features(["e"])
    assert model.session_.learning_rate == (0, 0)


def test_names_that_a_file_cannot_hold(tmp_path: Path) -> None:
    model = KANRegressor()
    model.learn_one({("a", 1): 1.0, ("b", 2): 2.0}, 1.0)
    with pytest.raises(InputError, match=r"^save: \('a', 1\) is a tuple; give features and classes names of numbers"):
        model.save(tmp_path / "model.npz")
    classifier = KANClassifier()
    classifier.learn_one({"a": 1.0}, (1, 2))
    with pytest.raises(InputError, match=r"^save: \(1, 2\) is a tuple"):
        classifier.save(tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())


# Errors.


@pytest.mark.parametrize(
    ("parameters", "samples", "weight"),
    [
        ({"epochs": 0}, [[0.0], [1.0]], None),
        ({"backend": "bogus"}, [[0.0], [1.0]], None),
        ({"backend": None}, [[0.0], [1.0]], None),
        ({}, [[0.0, 1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]], 0),
        ({}, [[1e200], [1.0]], None),
    ],
)
@pytest.mark.parametrize("kind", [KANRegressor, KANClassifier])
def test_a_fit_that_is_refused_changes_nothing(
    kind: Any, parameters: dict[str, Any], samples: list[list[float]], weight: Any
) -> None:
    x = [[0.0, 2.0], [1.0, 0.0], [0.5, 1.0]]
    model = kind(grid_size=4, epochs=2, random_state=0).fit(x, [0, 1, 1])
    before = model.predict(x).tolist()
    targets = [[0.0, 1.0], [1.0, 2.0]] if kind is KANRegressor else ["a", "b"]
    with pytest.raises(InputError):
        model.set_params(**parameters).fit(samples, targets, sample_weight=weight)
    assert model.n_features_in_ == 2
    assert model.predict(x).tolist() == before
    assert model.partial_fit(x, [0, 1, 1]).n_samples_seen_ == 6


def test_numbers_that_no_scale_can_hold() -> None:
    huge = 10**400
    model = KANRegressor()
    for known in (False, True):
        with pytest.raises(InputError, match=r"^x\['a'\]: above 1\.8e\+308; scale it$"):
            model.learn_one({"a": huge}, 1.0)
        with pytest.raises(InputError, match=r"^y: above 1\.8e\+308; scale it$"):
            model.learn_one({"a": 1.0}, huge)
        with pytest.raises(InputError, match=r"^x\['a'\] = 1e\+200: must be 1e\+150 or less in magnitude"):
            model.learn_one({"a": 1e200}, 1.0)
        with pytest.raises(InputError, match=r"^x\['b'\] = -1e\+200: must be 1e\+150 or less in magnitude"):
            model.learn_one({"a": 0.0, "b": -1e200}, 1.0)
        with pytest.raises(InputError, match=r"^y = 1e\+200: must be 1e\+150 or less in magnitude"):
            model.learn_one({"a": 1.0}, 1e200)
        if not known:
            model.learn_one({"a": 1.0}, 1.0)
    assert (model.n_samples_seen_, model.n_features_in_) == (1, 1)
    assert model.predict_one({"a": 1e200}) == 1.0
    good = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 3.0]])
    for call in (KANRegressor().fit, KANRegressor().partial_fit):
        with pytest.raises(InputError, match=r"^X\[0, 0\] = 1e\+200: must be 1e\+150 or less in magnitude"):
            call(good * [1e200, 1], [1, 2, 3])
        with pytest.raises(InputError, match=r"^y\[0, 0\] = 1e\+200: must be 1e\+150 or less in magnitude"):
            call(good, [1e200, 2e200, 3])
        with pytest.raises(InputError, match=r"^X\[:, 1\]: varies by 2e-170 alone, whose square is no number"):
            call(good * [1, 1e-170], [1, 2, 3])
        with pytest.raises(
            InputError, match=r"^y: varies by 2e-170 alone, whose square is no number above zero; scale"
        ):
            call(good, [1e-170, 2e-170, 3e-170])
    for size in (1e-149, 1e149):
        scaled = (
            KANRegressor(epochs=3, random_state=0).fit(good * size, np.array([1, 2, 3]) * size).predict(good * size)
        )
        np.testing.assert_allclose(
            scaled / size, KANRegressor(epochs=3, random_state=0).fit(good, [1, 2, 3]).predict(good)
        )


def test_the_largest_logit_is_the_class() -> None:
    x = np.arange(6.0)[:, None]
    model = KANClassifier(epochs=1).fit(x, [0, 1, 2] * 2)
    spec = model.session_.spec
    coefficients = np.stack([np.full((1, spec.layers[0].bases), code) for code in (31.98, 31.97, 31.99)])
    model.session_.coefficients = [spec.layers[0].formats.coefficient.quantise(coefficients)]
    logits = model.decision_function(x)
    assert len(set(logits[0])) == 3
    assert len(set(np.round(model.predict_proba(x)[0], 12))) == 1
    assert model.predict(x).tolist() == [2] * 6 == model.freeze().network.predict(x).tolist()
    assert model.predict_one({0: 1.0}) == 2


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({"epochs": 0}, "epochs = 0: must be an integer, 1 or more"),
        ({"horizon": 1}, "horizon = 1: must be an integer, 2 or more"),
        ({"learning_rate": -1}, "learning_rate = -1: must be a number, above 0"),
        ({"hidden_layer_sizes": (0,)}, "hidden_layer_sizes[0] = 0: must be 1 or more"),
        ({"hidden_layer_sizes": (2,) * 4}, "hidden_layer_sizes = (2, 2, 2, 2): are 4 layers; give 3 at most"),
        ({"hidden_layer_sizes": (2, 1.5)}, "hidden_layer_sizes[1] = 1.5: must be an integer"),
        ({"hidden_layer_sizes": 3}, "hidden_layer_sizes = 3: must be a tuple of sizes, such as (8,), or None"),
        ({"spline_order": 4}, "spline_order = 4: must be 3 or less"),
        ({"grid_size": 0}, "grid_size = 0: must be 1 or more"),
        ({"spec": {"loss": "squared"}}, "spec['loss']: follows from the data and the other parameters; leave it out"),
        ({"spec": []}, "spec = []: must be a dict of fields of LearnerSpec"),
        (
            {"spec": np.zeros((9, 99))},
            f"spec = array([[{'0., ' * 12}0...: must be a dict of fields of LearnerSpec",
        ),
        (
            {"hidden_layer_sizes": np.zeros((9, 99))},
            f"hidden_layer_sizes = array([[{'0., ' * 12}0...: must be a tuple of sizes, such as (8,), or None",
        ),
        ({"spec": 1}, "spec = 1: must be a dict of fields of LearnerSpec"),
        ({"spec": {1: 1}}, "spec = {1: 1}: must be a dict of fields of LearnerSpec"),
        (
            {"spec": {"modulated": True}},
            "spec['modulated']: a column is one input here, and not a pair; connect such a spec",
        ),
        ({"spline_order": [3, 2]}, "spline_order = (3, 2): must be one value or a list of 1, one per layer"),
        ({"spec": {"grid_sise": 2}}, "grid_sise = 2: unknown field; did you mean 'grid_size'?"),
    ],
)
def test_parameters_that_cannot_be(parameters: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=rf"^{re.escape(line)}$"):
        KANRegressor(**parameters).fit([[0.0], [1.0]], [0, 1])


def test_unknown_backend() -> None:
    with pytest.raises(InputError, match=r"^backend = 'none': unknown; use one of 'model'"):
        KANRegressor(backend="none").fit([[0.0], [1.0]], [0, 1])


def test_samples_that_cannot_be() -> None:
    model = KANRegressor()
    with pytest.raises(InputError, match=r"^x\['kind'\] = 'H': not a number; make it one, for example with"):
        model.learn_one({"kind": "H"}, 1)
    with pytest.raises(InputError, match=r"^x: has no features"):
        model.learn_one({}, 1)
    with pytest.raises(InputError, match=r"^y = nan: not a number; leave the sample out$"):
        model.learn_one({"a": 1}, math.nan)
    with pytest.raises(InputError, match=r"^y = 'x': not a number; give a number, or classes to KANClassifier$"):
        model.learn_one({"a": 1}, "x")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^y = inf: must be finite; leave the sample out$"):
        model.learn_one({"a": 1}, math.inf)
    assert model.predict_one({"a": 1}) == 0
    model.learn_one({"a": 1}, 1)
    with pytest.raises(InputError, match=r"^x\['a'\] = inf: must be finite; leave it out"):
        model.learn_one({"a": math.inf}, 1)
    with pytest.raises(InputError, match=r"^x\['b'\] = '1': not a number"):
        model.learn_one({"a": 1, "b": "1"}, 1)
    assert (model.n_samples_seen_, model.n_features_in_) == (1, 1)
    for use in (lambda: model.learn_one([1.0], 1.0), lambda: model.predict_one(np.ones(1))):
        with pytest.raises(InputError, match=r"^x: is of type (list|ndarray); give a dict of features by their names"):
            use()
    model.learn_one({}, 1.0, w=0)  # as with any other weight, once there are features
    with pytest.raises(InputError, match=r"^names = 'wind': must be a list of names, such as \['wind'\]$"):
        model.add_features("wind")
    with pytest.raises(InputError, match=r"^names: is of type int; give a list of names$"):
        model.add_features(3)
    with pytest.raises(InputError, match=r"^names: is of type list; give names that are numbers or strings$"):
        model.add_features(["b", ["q"]])
    assert model.n_features_in_ == 1
    two = KANRegressor(epochs=1).fit([[0.0], [1.0]], [[0, 1], [2, 3]])
    for use in (lambda: two.predict_one({0: 1.0}), lambda: two.learn_one({0: 1.0}, 1.0)):
        with pytest.raises(InputError, match=r"^learn_one and predict_one: this estimator has 2 outputs; use partial"):
            use()
    with pytest.raises(InputError, match=r"^y: shape \(1, 3\); must be \(n, 2\), as at first$"):
        two.partial_fit([[0.0]], [[1, 2, 3]])


def test_classes_that_cannot_be() -> None:
    model = KANClassifier()
    with pytest.raises(InputError, match=r"^classes: must be given in the first call of partial_fit$"):
        model.partial_fit([[0.0]], ["a"])
    model.partial_fit([[0.0], [1.0]], ["a", "b"], classes=["a", "b", "c"])
    assert model.predict_proba([[0.0]]).shape == (1, 3)
    with pytest.raises(InputError, match=r"^y: 'd' is none of the classes, \['a', 'b', 'c'\]$"):
        model.partial_fit([[0.0]], ["d"])
    with pytest.raises(InputError, match=r"^classes = \['a'\]: were \['a', 'b', 'c'\] before; leave them out$"):
        model.partial_fit([[0.0]], ["a"], classes=["a"])
    with pytest.raises(
        InputError, match=r"^classes = array\(\[.{50}\.\.\.: were \['a', 'b', 'c'\] before; leave them out$"
    ):
        model.partial_fit([[0.0]], ["a"], classes=np.arange(200))
    late = KANClassifier()
    refusal = r"^y = .*: (is no class; leave samples without one out|a (list|ndarray) cannot be a)"
    labels = (math.nan, None, [1], np.array([1, 2]), pd.NA, pd.NaT)
    for label in labels:
        with pytest.raises(InputError, match=refusal):
            late.learn_one({"a": 1.0}, label)
    assert late.predict_one({"a": 1.0}) is None
    late.learn_one({"a": 1.0}, 0)
    for label in labels:
        with pytest.raises(InputError, match=refusal):
            late.learn_one({"a": 1.0}, label)
    assert late.classes_.tolist() == [0]


@pytest.mark.parametrize("model", [KANRegressor(**SMALL), KANClassifier(**SMALL)])
def test_masked_values_are_refused(model: Any) -> None:
    x, y = np.linspace(-1, 1, 24).reshape(12, 2), np.arange(12) % 2
    masked = np.ma.masked_greater(x, 0.9)
    refusal = r"^X\[11, 0\] is masked; give a number, or leave the row out$"
    with pytest.raises(InputError, match=refusal):
        model.fit(masked, y)
    with pytest.raises(InputError, match=r"^y\[1\] is masked; "):
        model.fit(x, np.ma.masked_equal(y, 1))
    model.fit(np.ma.masked_greater(x, 9), y)
    for use in (model.predict, lambda x: model.partial_fit(x, y), lambda x: model.freeze(X=x)):
        with pytest.raises(InputError, match=refusal):
            use(masked)


def test_a_masked_class_is_refused() -> None:
    model, classes = KANClassifier(**SMALL), np.ma.masked_equal([0, 1, 2], 2)
    with pytest.raises(InputError, match=r"^classes\[2\] is masked; "):
        model.partial_fit([[0.0]], [0], classes=classes)
    model.partial_fit([[0.0]], [0], classes=np.ma.masked_equal([0, 1], 2))
    assert model.classes_.tolist() == [0, 1]


def test_classes_may_be_tuples_or_of_several_kinds() -> None:
    model = KANClassifier()
    for label in ((1, 2), (3,), "a", 4):
        model.learn_one({0: 1.0}, label)
    assert model.classes_.tolist() == [(1, 2), (3,), "a", 4]
    assert model.predict([[1.0]])[0] == model.predict_one({0: 1.0})


def test_columns_are_features_by_their_numbers() -> None:
    """Whatever the order in which they came."""
    x = np.random.default_rng(3).normal(size=(60, 12))
    model = KANRegressor(**SMALL, random_state=0)
    model.learn_one({3: 0.5}, 1.0)
    for row in x:
        model.learn_one(dict(enumerate(row)), row[2])
    assert model._names == [3, 0, 1, 2, *range(4, 12)]
    assert model.predict(x).tolist() == [model.predict_one(dict(enumerate(row))) for row in x]
    again = copy.deepcopy(model)
    model.partial_fit(x[:9], x[:9, 2])
    for row in x[:9]:
        again.learn_one(dict(enumerate(row)), row[2])
    assert model.predict(x).tolist() == again.predict(x).tolist()
    for samples in (None, x):
        frozen = model.freeze(X=samples).network.predict(x)[:, 0]
        np.testing.assert_allclose(frozen, model.predict(x), rtol=1e-12)
    model.add_features([20])
    assert model.freeze().network.layer_sizes[0] == 13
    with pytest.raises(InputError, match=r"^X: its columns have the numbers 0 to 12, and features \[0, .*, 20\] are"):
        model.predict(np.ones((1, 13)))


@pytest.mark.parametrize(
    "changed", [{"grid_size": 16}, {"hidden_layer_sizes": (3,)}, {"horizon": 10}, {"linear": True}]
)
def test_parameters_that_are_set_count_from_the_next_fit_on(changed: dict[str, Any], tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    x, later = random.normal(size=(2, 20, 2))
    model = KANRegressor(**SMALL, random_state=0).fit(x, x[:, 0])
    plain = copy.deepcopy(model)
    model.set_params(**changed).save(tmp_path / "set.npz")
    loaded = KANRegressor.load(tmp_path / "set.npz")
    assert loaded.get_params() == model.get_params()
    for one in (model, loaded, plain):
        one.add_features([2])
        one.partial_fit(np.c_[later, later[:, :1]], later[:, 0])
    expected = plain.predict(np.c_[later, later[:, :1]]).tolist()
    assert model.predict(np.c_[later, later[:, :1]]).tolist() == expected
    assert loaded.predict(np.c_[later, later[:, :1]]).tolist() == expected
    assert loaded.fit(x, x[:, 0]).session_.spec != plain.session_.spec or "horizon" in changed


def test_the_rate_follows_the_order_of_the_spec() -> None:
    x = np.arange(6.0)[:, None]
    by_spec, by_parameter = KANRegressor(spec={"spline_order": 1}), KANRegressor(spline_order=1)
    rates = [model.fit(x, x[:, 0]).session_.learning_rate for model in (by_spec, by_parameter)]
    assert rates[0] == rates[1]


WITHOUT = """
import sys
import kanrtl
assert "sklearn" not in sys.modules and "river" not in sys.modules
sys.modules["sklearn"] = None
try:
    kanrtl.KANRegressor
except ImportError as error:
    assert str(error) == "KANRegressor: scikit-learn is not installed; run `pip install 'kanrtl[sklearn]'`", error
else:
    raise SystemExit("no error")
del sys.modules["sklearn"]
sys.modules["river"] = None
model = kanrtl.KANRegressor()
model.learn_one({"a": 1}, 2.0)
assert model.predict_one({"a": 1}) == 2.0
print([base.__module__.partition(".")[0] for base in type(model).__mro__])
"""


@pytest.mark.thorough
def test_neither_library_is_imported_before_it_is_needed() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert (done.returncode, "river" in done.stdout) == (0, False), done.stderr


@pytest.mark.parametrize("way", ["file", "pickle", "copy", "growth", "release"])
def test_limits_that_were_set_stay(way: str, tmp_path: Path) -> None:
    model = KANRegressor(grid_size=4, random_state=0, spec={"guard": {"window": 16, "error": 0.4}})
    model.learn_one({"a": 0.5}, 1.0)
    model.session_.set_limits(error=0.1, rails=3)
    match way:
        case "file":
            model.save(tmp_path / "model.npz")
            model = KANRegressor.load(tmp_path / "model.npz")
        case "pickle":
            model = pickle.loads(pickle.dumps(model))
        case "copy":
            model = copy.deepcopy(model)
        case "growth":
            model.add_features(["b"])
        case "release":
            model.session_.release()
    limits = model.session_.status["guard"]["limits"]
    assert limits["error"] == pytest.approx(0.1, abs=1e-3)
    assert limits["rails"] == 3


def test_limits_in_a_file_that_are_none_are_refused(tmp_path: Path) -> None:
    model = KANRegressor(grid_size=4, random_state=0, spec={"guard": {"window": 16, "error": 0.4}})
    model.learn_one({"a": 0.5}, 1.0)
    model.session_.set_limits(rails=3)
    model.save(tmp_path / "model.npz")
    with np.load(tmp_path / "model.npz") as file:
        arrays = dict(file)
    for limits, message in (
        ('{"rail": 3}', r"rail = 3: the guard has no such limit; it has [^\n]*"),
        ("[3]", r"not a saved KANRegressor; give a file that save wrote"),
    ):
        np.savez(tmp_path / "other.npz", **arrays | {"limits": np.array(limits)})
        with pytest.raises(InputError, match=rf"^load: '[^']*': {message}$"):
            KANRegressor.load(tmp_path / "other.npz")


def test_a_guard_that_is_given_as_an_object_is_saved(tmp_path: Path) -> None:
    settings = GuardSettings(window=16, error=2.0)
    model = KANRegressor(epochs=1, spec={"guard": settings}, random_state=0).fit([[0.0], [0.5], [1.0]], [0, 0.2, 1])
    model.save(tmp_path / "model.npz")
    loaded = KANRegressor.load(tmp_path / "model.npz")
    assert loaded.session_.spec.guard == settings
    assert np.array_equal(loaded.predict([[0.3]]), model.predict([[0.3]]))
