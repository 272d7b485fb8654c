"""Sums of functions of one input each: what is imported is what the libraries compute."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kanrtl import InputError
from kanrtl.lookup import FloatKAN, from_additive, from_mlp
from support.importable import foreign

RANDOM = np.random.default_rng(21)
X = RANDOM.normal(0, 1, (500, 3))
Y = np.sin(2 * X[:, 0]) + X[:, 1] ** 2
LABELS = {2: (Y > 0.5).astype(int), 3: np.digitize(Y, [0.2, 1.0])}
STUMPS: dict[str, Any] = {"max_depth": 1, "random_state": 0}


def outputs(kan: FloatKAN, x: np.ndarray[Any, Any] = X) -> np.ndarray[Any, Any]:
    found = kan.evaluate(x)[-1]
    return found[:, 0] if found.shape[1] == 1 else found


@pytest.mark.parametrize("init", [None, "zero"])
def test_gradient_boosting(init: str | None, tmp_path: Path) -> None:
    model = GradientBoostingRegressor(n_estimators=60, init=init, **STUMPS).fit(X, Y)
    kan = from_additive(model)
    np.testing.assert_allclose(outputs(kan), model.predict(X), atol=1e-9)
    kan.save(tmp_path / "kan.npz")
    np.testing.assert_allclose(outputs(FloatKAN.load(tmp_path / "kan.npz")), model.predict(X), atol=1e-9)
    # Where a sample rounds to the other side of a threshold in single precision, as the library rounds it.
    cuts = kan.layers[0].functions[0].points[0]  # type: ignore[attr-defined]
    cuts = cuts[np.isfinite(cuts)]
    near = np.zeros((3 * len(cuts), 3))
    near[:, 0] = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf)])
    np.testing.assert_allclose(outputs(kan, near), model.predict(near), atol=1e-9)
    network = kan.calibrate(X, [8, 8]).quantise(kan)
    error = network.predict(X)[:, 0] - model.predict(X)
    assert np.sqrt((error**2).mean()) < 0.05 * model.predict(X).std()


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("histograms", [False, True])
def test_boosted_classifiers(classes: int, histograms: bool) -> None:
    kind = HistGradientBoostingClassifier if histograms else GradientBoostingClassifier
    model = kind(**{"max_iter" if histograms else "n_estimators": 40}, **STUMPS).fit(X, LABELS[classes])
    kan = from_additive(model)
    np.testing.assert_allclose(outputs(kan), model.decision_function(X), atol=1e-9)
    # Each cut lies between two neighbouring samples, which inputs of few bits would not tell apart.
    network = kan.calibrate(X, [12, 9]).quantise(kan, output="threshold" if classes == 2 else "argmax")
    assert (network.predict(X) == model.predict(X)).mean() > 0.97


@pytest.mark.parametrize("loss", ["squared_error", "poisson", "gamma"])
def test_histogram_boosting(loss: str) -> None:
    model = HistGradientBoostingRegressor(max_iter=40, max_leaf_nodes=2, min_samples_leaf=5, loss=loss)
    model.fit(X, Y if loss == "squared_error" else np.abs(Y) + 0.1)
    np.testing.assert_allclose(outputs(from_additive(model)), model.predict(X), atol=1e-9)


def test_histogram_boosting_beside_inputs_of_categories() -> None:
    """The trees take those first; here none of them splits by any."""
    x = np.column_stack([X[:, :2], np.arange(len(X)) % 3, X[:, 2], np.zeros(len(X))])
    model = HistGradientBoostingRegressor(max_iter=20, max_leaf_nodes=2, categorical_features=[2, 4]).fit(x, Y)
    kan = from_additive(model)
    assert set(np.flatnonzero(kan.layers[0].edges[0])) <= {0, 1, 3}
    np.testing.assert_allclose(outputs(kan, x), model.predict(x), atol=1e-9)


def test_trees_of_one_input_each_may_be_deep_and_stand_behind_a_scaler() -> None:
    model = make_pipeline(StandardScaler(), GradientBoostingRegressor(n_estimators=5, max_depth=4, random_state=0))
    model.fit(X[:, :1], Y)
    np.testing.assert_allclose(outputs(from_additive(model), X[:, :1]), model.predict(X[:, :1]), atol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: from_additive(GradientBoostingRegressor(n_estimators=20, max_depth=2, random_state=0).fit(X, Y)),
            r"estimators_\[\d+, 0\]: a tree that splits by the inputs \d and \d cannot be represented; train with",
        ),
        (
            lambda: from_additive(HistGradientBoostingRegressor(max_iter=3, max_depth=3).fit(X, Y)),
            "tree 0, 0: a tree that splits by the inputs",
        ),
        (
            lambda: from_additive(
                GradientBoostingRegressor(n_estimators=3, init=LinearRegression(), **STUMPS).fit(X, Y)
            ),
            "init: LinearRegression in front of the trees cannot be represented",
        ),
        (
            lambda: from_additive(
                HistGradientBoostingRegressor(max_iter=3, max_depth=1, categorical_features=[0]).fit(
                    np.abs(np.rint(X)), np.abs(np.rint(X[:, 0]))
                )
            ),
            "tree 0, 0: a split by categories cannot be represented",
        ),
        (lambda: from_additive(RandomForestRegressor(3).fit(X, Y)), "model: is of type RandomForestRegressor, or not"),
        (
            lambda: from_additive(GradientBoostingRegressor()),
            "model: is of type GradientBoostingRegressor, or not fitted",
        ),
        (lambda: from_mlp(GradientBoostingRegressor()), "model: is of type GradientBoostingRegressor; give a fitted"),
    ],
)
def test_what_cannot_be_is_refused_by_name(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_lightgbm() -> None:
    lightgbm = foreign("lightgbm")
    options: dict[str, Any] = {"num_leaves": 2, "n_estimators": 30, "verbose": -1}
    model = lightgbm.LGBMRegressor(**options).fit(X, Y)
    for one in (model, model.booster_):
        np.testing.assert_allclose(outputs(from_additive(one)), model.booster_.predict(X), atol=1e-5)
    model = lightgbm.LGBMClassifier(**options).fit(X, LABELS[3])
    np.testing.assert_allclose(outputs(from_additive(model)), model.booster_.predict(X, raw_score=True), atol=1e-5)
    model = lightgbm.LGBMRegressor(objective="poisson", **options).fit(X, np.abs(Y))
    np.testing.assert_allclose(outputs(from_additive(model)), model.booster_.predict(X), atol=1e-5)
    with pytest.raises(InputError, match="tree 0: a tree that splits by the inputs"):
        from_additive(lightgbm.LGBMRegressor(n_estimators=3, verbose=-1).fit(X, Y))


def test_what_lightgbm_makes_of_a_sum_is_represented_or_refused() -> None:
    lightgbm = foreign("lightgbm")
    options: dict[str, Any] = {"num_leaves": 2, "n_estimators": 10, "verbose": -1}
    forest: dict[str, Any] = {"boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.5}
    model = lightgbm.LGBMRegressor(**options, **forest).fit(X, Y)
    np.testing.assert_allclose(outputs(from_additive(model)), model.predict(X), atol=1e-5)
    model = lightgbm.LGBMClassifier(**options, **forest).fit(X, LABELS[3])
    np.testing.assert_allclose(softmax(outputs(from_additive(model)), axis=1), model.predict_proba(X), atol=1e-5)
    for field in ("linear_tree", "reg_sqrt", "zero_as_missing"):
        model = lightgbm.LGBMRegressor(**options, **{field: True}).fit(X, np.abs(Y))
        with pytest.raises(InputError, match=rf"^{field} = True: .* cannot be represented; train without$"):
            from_additive(model)


def test_xgboost() -> None:
    xgboost = foreign("xgboost")
    options: dict[str, Any] = {"max_depth": 1, "n_estimators": 30}
    model = xgboost.XGBRegressor(**options).fit(X, Y)
    for one in (model, model.get_booster()):
        np.testing.assert_allclose(outputs(from_additive(one)), model.predict(X), atol=1e-5)
    for classes in (2, 3):
        model = xgboost.XGBClassifier(**options).fit(X, LABELS[classes])
        np.testing.assert_allclose(outputs(from_additive(model)), model.predict(X, output_margin=True), atol=1e-5)
    model = xgboost.XGBRegressor(objective="count:poisson", **options).fit(X, np.abs(Y))
    np.testing.assert_allclose(outputs(from_additive(model)), model.predict(X), rtol=1e-5)


def test_trees_of_xgboost_belong_to_the_outputs_that_they_are_grown_for() -> None:
    xgboost = foreign("xgboost")
    options: dict[str, Any] = {"max_depth": 1, "n_estimators": 30, "learning_rate": 0.7, "n_jobs": 1}
    model = xgboost.XGBClassifier(**options, num_parallel_tree=2, subsample=0.5).fit(X, LABELS[3])
    np.testing.assert_allclose(outputs(from_additive(model)), model.predict(X, output_margin=True), atol=1e-5)
    several = np.stack([Y, X[:, 2]], axis=1)
    model = xgboost.XGBRegressor(**options).fit(X, several)
    np.testing.assert_allclose(outputs(from_additive(model)), model.predict(X), atol=1e-5)
    model = xgboost.XGBRegressor(**options | {"n_estimators": 300}, early_stopping_rounds=2)
    model.fit(X[:250], Y[:250], eval_set=[(X[250:], Y[250:])], verbose=False)
    assert model.best_iteration + 1 < model.get_booster().num_boosted_rounds()
    np.testing.assert_allclose(outputs(from_additive(model)), model.predict(X), atol=1e-5)
    for change, message in (
        ({"missing": 0.0}, r"^missing = 0\.0: a number that stands for none"),
        ({"multi_strategy": "multi_output_tree"}, "^multi_strategy = 'multi_output_tree': cannot be represented"),
    ):
        with pytest.raises(InputError, match=message):
            from_additive(xgboost.XGBRegressor(**options, **change).fit(X, several))


def test_explainable_boosting_machines() -> None:
    glassbox = foreign("interpret.glassbox")
    options: dict[str, Any] = {"interactions": 0, "outer_bags": 1, "n_jobs": 1, "max_rounds": 60}
    model = glassbox.ExplainableBoostingRegressor(**options).fit(X, Y)
    np.testing.assert_allclose(outputs(from_additive(model)), model.predict(X), atol=1e-5)
    for classes in (2, 3):
        model = glassbox.ExplainableBoostingClassifier(**options).fit(X, LABELS[classes])
        np.testing.assert_allclose(outputs(from_additive(model)), model.decision_function(X), atol=1e-5)
    model = glassbox.ExplainableBoostingRegressor(objective="poisson_deviance", **options).fit(X, np.abs(Y))
    np.testing.assert_allclose(outputs(from_additive(model)), model.predict(X), rtol=1e-5)
    model = glassbox.ExplainableBoostingRegressor(**options | {"interactions": 1}).fit(X, X[:, 0] * X[:, 1])
    with pytest.raises(InputError, match=r"term '.* & .*': an interaction cannot be represented"):
        from_additive(model)


def test_generalised_additive_models() -> None:
    pygam = foreign("pygam")
    first, second = pygam.s(0, n_splines=8), pygam.s(1, n_splines=8)
    model = pygam.LinearGAM(first + second + pygam.l(2)).fit(X, Y)
    np.testing.assert_allclose(outputs(from_additive(model)), model.predict(X), atol=1e-5)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pygam divides by chances that round to zero
        model = pygam.LogisticGAM(first + second).fit(X[:, :2], LABELS[2])
    chance = 1 / (1 + np.exp(-outputs(from_additive(model), X[:, :2])))
    np.testing.assert_allclose(chance, model.predict_proba(X[:, :2]), atol=1e-5)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of pygam's first step
        model = pygam.PoissonGAM(first + second).fit(X[:, :2], np.rint(np.abs(Y)))
    np.testing.assert_allclose(outputs(from_additive(model), X[:, :2]), model.predict(X[:, :2]), atol=1e-4)
    with pytest.raises(InputError, match=r"terms\[0\]: .* depends on two inputs together"):
        from_additive(pygam.LinearGAM(pygam.te(0, 1, n_splines=5)).fit(X, Y))
