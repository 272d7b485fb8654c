"""Weights of samples in estimators, and kinds of arrays that scikit-learn's users give."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.datasets import make_moons

from kanrtl import InputError, KANClassifier, KANRegressor, connect

Estimator = type[KANRegressor] | type[KANClassifier]
BOTH = pytest.mark.parametrize("kind", [KANRegressor, KANClassifier])


def data(kind: Estimator, count: int = 30) -> tuple[Any, Any]:
    random = np.random.default_rng(3)
    x = random.normal(1, 2, (count, 2))
    return x, (x[:, 0] > 1).astype(int) if kind is KANClassifier else x[:, 0] + x[:, 1] ** 2


def made(kind: Estimator, **parameters: Any) -> Any:
    return kind(
        **{"grid_size": 4, "epochs": 2, "random_state": 0, "spec": {"update_rounding": "stochastic"}} | parameters
    )


def partial(model: Any, x: Any, y: Any, **weight: Any) -> Any:
    return model.partial_fit(x, y, **({"classes": [0, 1]} if isinstance(model, KANClassifier) else {}), **weight)


def state(model: Any) -> dict[str, Any]:
    learner = model._learner
    scales = learner.inputs.arrays("inputs") | (learner.targets.arrays("targets") if learner.targets else {})
    return {
        "coefficients": model.session_.coefficients,
        "rates": model.session_.learning_rate,
        "noise": model.session_.backend.read_noise(),
        **scales,
    }


@BOTH
@pytest.mark.parametrize("weight", [1, 1.0, np.ones(30), [1] * 30, pd.Series(np.ones(30))], ids=repr)
def test_weights_of_one_are_none_to_the_bit(kind: Estimator, weight: Any) -> None:
    x, y = data(kind)
    np.testing.assert_equal(state(made(kind).fit(x, y, sample_weight=weight)), state(made(kind).fit(x, y)))
    np.testing.assert_equal(state(partial(made(kind), x, y, sample_weight=weight)), state(partial(made(kind), x, y)))


@BOTH
def test_a_sample_of_weight_zero_is_none(kind: Estimator) -> None:
    x, y = data(kind)
    weight = np.random.default_rng(0).choice([0, 0.5, 1, 3], 30)
    kept = weight > 0
    wild = np.where(kept[:, None], x, 1e6)
    for ours, theirs in (
        (made(kind).fit(wild, y, sample_weight=weight), made(kind).fit(x[kept], y[kept], sample_weight=weight[kept])),
        (
            partial(made(kind), wild, y, sample_weight=weight),
            partial(made(kind), x[kept], y[kept], sample_weight=weight[kept]),
        ),
        (made(kind).fit(wild, y, sample_weight=kept), made(kind).fit(x[kept], y[kept])),
    ):
        np.testing.assert_equal(state(ours), state(theirs))
        assert ours.n_samples_seen_ == kept.sum()
    before = state(ours)
    partial(ours, x, y, sample_weight=0)
    ours.learn_one({0: 1.0, 1: 2.0, 2: 3.0}, 1, w=0)
    np.testing.assert_equal(state(ours), before)
    assert ours.n_features_in_ == 2


@BOTH
def test_one_by_one_is_the_same_to_the_bit_on_every_backend(kind: Estimator) -> None:
    x, y = data(kind)
    weight = np.random.default_rng(1).choice([0, 0.3, 1, 2, 9], 30)
    models = [made(kind, backend=backend) for backend in ("model", "compiled", "compiled")]
    for model in models[:2]:
        partial(model, x[:3], y[:3])
        partial(model, x[3:], y[3:], sample_weight=weight[3:])
    partial(models[2], x[:3], y[:3])
    for row, target, one in zip(x[3:], y[3:], weight[3:], strict=True):
        models[2].learn_one(dict(enumerate(row.tolist())), target, w=one)
    first, *others = map(state, models)
    for other in others:
        np.testing.assert_equal(other, first)
    fitted = [state(made(kind, backend=backend).fit(x, y, sample_weight=weight)) for backend in ("model", "compiled")]
    np.testing.assert_equal(*fitted)


@BOTH
def test_the_scaled_step_is_that_of_a_session_with_another_rate(kind: Estimator) -> None:
    x, y = data(kind)
    weighted, by_rate = (partial(made(kind), x, y) for _ in range(2))
    by_rate.session_.learning_rate = [rate / 2 for rate in by_rate.session_.learning_rate]
    full = weighted.session_.learning_rate
    partial(weighted, x, y, sample_weight=0.5)
    partial(by_rate, x, y)
    np.testing.assert_equal(state(weighted) | {"rates": None}, state(by_rate) | {"rates": None})
    assert weighted.session_.learning_rate == full


def test_weights_say_which_samples_count() -> None:
    """Of two curves that contradict each other, the heavier one is learned; so are rare classes."""
    x = np.tile(np.linspace(-1, 1, 100), 2)[:, None]
    y = np.where(np.arange(200) < 100, 1, -1) * x[:, 0]
    for heavy, sign in ((slice(100), 1), (slice(100, 200), -1)):
        weight = np.full(200, 0.05)
        weight[heavy] = 1
        model = KANRegressor(random_state=0).fit(x, y, sample_weight=weight)
        assert np.corrcoef(model.predict(x), sign * x[:, 0])[0, 1] > 0.95
    x, labels = make_moons(400, noise=0.35, random_state=0)
    rare = labels == 1
    kept = ~rare | (np.arange(400) % 10 == 0)
    x, labels = x[kept], labels[kept]
    plain, heavier = (
        KANClassifier(random_state=0, epochs=5).fit(x, labels, sample_weight=weight).predict(x)
        for weight in (None, np.where(labels == 1, 20.0, 1.0))
    )
    assert (heavier[labels == 1] == 1).mean() > (plain[labels == 1] == 1).mean()


@BOTH
@pytest.mark.parametrize(
    ("weight", "line"),
    [
        ([1, -1.0], "sample_weight[1] = -1.0: must be finite, 0 or more"),
        ([math.inf, 1], "sample_weight[0] = inf: must be finite, 0 or more"),
        ([1, math.nan], "sample_weight[1] = nan: give a number"),
        ([1], "sample_weight: shape (1,); must be (2,), a number for each sample"),
        ([[1], [1]], "sample_weight: shape (2, 1); must be (2,), a number for each sample"),
        (["a", "b"], "sample_weight: not an array of numbers; give one number, or one for each sample"),
    ],
)
def test_weights_that_cannot_be(kind: Estimator, weight: Any, line: str) -> None:
    x, y = data(kind)
    model = partial(made(kind), x, y)
    before = copy.deepcopy(state(model))
    for learn in (model.fit, model.partial_fit):
        with pytest.raises(InputError, match=rf"^{re.escape(line)}$"):
            learn([[0.0, 0.0], [1.0, 1.0]], [0, 1], sample_weight=weight)
    np.testing.assert_equal(state(model), before)


@BOTH
def test_weights_that_are_too_large(kind: Estimator) -> None:
    x, y = data(kind)
    model = partial(made(kind), x, y)
    before = copy.deepcopy(state(model))
    line = r"must be [\d.e+]+ or less; divide all weights by their mean$"
    for learn in (model.fit, model.partial_fit):
        with pytest.raises(InputError, match=rf"^sample_weight\[1\] = 1e\+09: {line}"):
            learn([[0.0, 0.0], [1.0, 1.0]], [0, 1], sample_weight=[0, 1e9])
    for untaught in (model, made(kind)):
        with pytest.raises(InputError, match=rf"^w = 1e\+09: {line}"):
            untaught.learn_one({0: 1.0, 1: 1.0, "new": 2.0}, 0, w=1e9)
    np.testing.assert_equal(state(model), before)
    assert model.n_features_in_ == 2
    with pytest.raises(InputError, match=r"^sample_weight: all weights are zero; give one above zero to learn from$"):
        model.fit(x, y, sample_weight=0)
    np.testing.assert_equal(state(model), before)


@BOTH
@pytest.mark.parametrize("weight", [-1, math.nan, math.inf, "1", None, [1, 2]])
def test_a_weight_that_cannot_be(kind: Estimator, weight: Any) -> None:
    with pytest.raises(InputError, match=r"^w(\[0\])?( = |: )[^\n]*$"):
        made(kind).learn_one({"a": 1.0}, 1, w=weight)


# Kinds of arrays.


@BOTH
@pytest.mark.parametrize(
    "make", [sparse.csr_matrix, sparse.csr_array, sparse.coo_array], ids=lambda make: make.__name__
)
def test_sparse_samples_are_refused_in_one_line(kind: Estimator, make: Callable[..., Any]) -> None:
    x, y = data(kind)
    model = made(kind)
    fitted = made(kind).fit(x, y)
    for use in (
        lambda: model.fit(make(x), y),
        lambda: partial(model, make(x), y),
        lambda: fitted.predict(make(x)),
    ):
        with pytest.raises(
            TypeError, match=r"^Sparse data was passed for X, but dense data is required. Use '.toarray\(\)'"
        ):
            use()


@BOTH
def test_columns_of_a_table_are_known_by_name(kind: Estimator) -> None:
    x, y = data(kind)
    table = pd.DataFrame(x, columns=["b", "a"])
    model = made(kind).fit(table, y)
    assert model.feature_names_in_.tolist() == ["b", "a"]
    for use in (lambda: model.predict(table[["a", "b"]]), lambda: partial(model, table[["a", "b"]], y)):
        with pytest.raises(ValueError, match="must be in the same order as they were in fit"):
            use()
    with pytest.raises(ValueError, match="Feature names unseen at fit time:\n- c"):
        model.predict(table.rename(columns={"a": "c"}))
    one = {"a": float(x[0, 1]), "b": float(x[0, 0])}
    assert model.predict_one(one) == model.predict(table[:1])[0]
    np.testing.assert_equal(state(made(kind).fit(x, y)), state(model))


def test_targets_of_one_column() -> None:
    x, y = data(KANRegressor)
    flat, column = made(KANRegressor).fit(x, y), made(KANRegressor).fit(x, y[:, None])
    assert column.predict(x).shape == (30, 1)
    np.testing.assert_array_equal(column.predict(x)[:, 0], flat.predict(x))
    assert made(KANRegressor).fit(x, pd.Series(y)).predict(x).shape == (30,)
    assert made(KANRegressor).fit(x, pd.DataFrame({"y": y})).predict(x).shape == (30, 1)
    with pytest.raises(InputError, match=r"^y: shape \(30, 1\); must be \(n,\), as at first$"):
        flat.partial_fit(x, y[:, None])
    with pytest.raises(InputError, match=r"^y: shape \(30,\); must be \(n, 1\), as at first$"):
        column.partial_fit(x, y)
    x, labels = data(KANClassifier)
    with pytest.warns(UserWarning, match="A column-vector y was passed when a 1d array was expected"):
        column = made(KANClassifier).fit(x, labels[:, None])
    np.testing.assert_equal(state(column), state(made(KANClassifier).fit(x, labels)))
    with pytest.raises(ValueError, match="1d array"):
        made(KANClassifier).fit(x, np.stack([labels, labels], axis=1))


def test_classes_that_a_first_batch_does_not_hold() -> None:
    x, labels = data(KANClassifier)
    model = made(KANClassifier).partial_fit(x[labels == 1], labels[labels == 1], classes=[2, 0, 1])
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict_proba(x).shape == (30, 3)
    model.partial_fit(x, labels).partial_fit(x, labels, classes=[0, 1, 2])
    assert set(model.predict(x).tolist()) == {0, 1}
    unheard = made(KANClassifier)
    with pytest.raises(InputError, match=r"^classes: must be given in the first call of partial_fit$"):
        unheard.partial_fit(x, labels)
    with pytest.raises(InputError, match=r"^y: 1 is none of the classes, \[0, 2\]$"):
        unheard.partial_fit(x, labels, classes=[0, 2])
    assert not unheard.__sklearn_is_fitted__()


def test_the_session_of_a_weighted_estimator_is_saved_with_its_own_rates(tmp_path: Any) -> None:
    x, y = data(KANRegressor)
    model = made(KANRegressor).fit(x, y, sample_weight=np.linspace(0.1, 3, 30))
    model.save(tmp_path / "model.npz")
    with connect(model.session_.spec) as session:
        before = session.learning_rate
        session.load(tmp_path / "model.npz")
        assert session.learning_rate == before == model.session_.learning_rate
