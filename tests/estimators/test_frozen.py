"""Lookup networks as estimators: what scikit-learn asks, and that the hardware's numbers are what is predicted."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.utils.estimator_checks import parametrize_with_checks

import kanrtl
from kanrtl import InputError, LookupClassifier, LookupRegressor
from kanrtl.estimators import frozen
from kanrtl.lookup import Search, network_size
from kanrtl.verilog.network_header import network_header
from support.tiers import thorough

# The least that learns what the checks ask for.
SMALL: dict[str, Any] = {"bits": 6, "epochs": 25, "fine_tuning_epochs": 3, "batch_size": 50, "learning_rate": 0.05}


EXPECTED = {
    f"check_sample_weight_equivalence_on_{kind}_data": "batches are drawn by chance, and a sample given twice may be "
    "in two of them"
    for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [LookupRegressor(**SMALL), LookupClassifier(**SMALL)], expected_failed_checks=lambda _: EXPECTED
)
def test_what_scikit_learn_asks(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def wine() -> Any:
    return train_test_split(*load_wine(return_X_y=True), random_state=0, stratify=load_wine(return_X_y=True)[1])


@pytest.fixture(scope="module")
def fitted(wine: Any) -> LookupClassifier:
    x, _, y, _ = wine
    return LookupClassifier(bits=(4, 7), epochs=60, fine_tuning_epochs=20, random_state=0).fit(x, y)


def test_tables_predict_about_as_well_as_floats(fitted: LookupClassifier, wine: Any) -> None:
    _, x, _, y = wine
    in_floats = (fitted.predict_float(x) == y).mean()
    assert in_floats > 0.93
    assert fitted.score(x, y) >= in_floats - 0.03  # one of the 45 samples
    assert fitted.network_.bits == (4, 7)
    assert fitted.search_ is None


def test_it_predicts_what_the_hardware_gives(fitted: LookupClassifier, wine: Any) -> None:
    x = wine[1][:12]
    with kanrtl.connect(fitted.network_, backend="pysim") as chip:
        assert np.array_equal(fitted.classes_[chip.predict(x)], fitted.predict(x))


def test_the_same_seed_gives_the_same_network(fitted: LookupClassifier, wine: Any) -> None:
    x, _, y, _ = wine
    again = LookupClassifier(bits=(4, 7), epochs=60, fine_tuning_epochs=20, random_state=0).fit(x, y)
    other = LookupClassifier(bits=(4, 7), epochs=60, fine_tuning_epochs=20, random_state=1).fit(x, y)
    tables = [one.network_.layers[0].table for one in (fitted, again, other)]
    assert np.array_equal(tables[0], tables[1])
    assert not np.array_equal(tables[0], tables[2])
    assert np.array_equal(pickle.loads(pickle.dumps(fitted)).predict(x), fitted.predict(x))


def test_training_with_codes_pays_where_these_are_few(wine: Any) -> None:
    x, held_x, y, held_y = wine
    before, after = (
        LookupClassifier(bits=(1, 3), epochs=60, fine_tuning_epochs=epochs, random_state=0).fit(x, y)
        for epochs in (0, 60)
    )
    assert after.score(x, y) > before.score(x, y)
    assert after.score(held_x, held_y) >= before.score(held_x, held_y)


@pytest.mark.parametrize("share", [0, 1, 2, 1.5, "half"])
def test_only_a_part_can_be_held_back(share: Any) -> None:
    model = LookupRegressor(early_stopping=True, validation_fraction=share)
    with pytest.raises(InputError, match=r"^validation_fraction = .*: must be a number above 0 and below 1$"):
        model.fit(np.eye(5), np.arange(5.0))


@pytest.mark.thorough
def test_bits_and_edges_are_searched_within_a_limit(wine: Any) -> None:
    x, _, y, _ = wine
    model = LookupClassifier(epochs=60, fine_tuning_epochs=10, tolerance=0.03, max_lut=400, random_state=0).fit(x, y)
    assert isinstance(model.search_, Search)
    assert model.score(x, y) >= model.search_.float_score - 0.05
    point = model.search_.best(400, 0.03)
    assert point.size.lut <= 400
    assert model.network_.bits == point.bits
    # It is trained on, so that entries may become wider by a little.
    assert network_size(model.network_).lut <= 1.25 * point.size.lut


def test_pruned_with_a_hidden_layer_and_early_stopping(wine: Any) -> None:
    x, held_x, y, held_y = wine
    model = LookupClassifier(
        (4,), bits=(4, 5, 7), edges=40, epochs=60, early_stopping=True, l1=1e-3, entropy=1e-3, random_state=0
    ).fit(x, y)
    assert model.network_.layer_sizes == (13, 4, 3)
    assert model.network_.edges <= 40
    assert model.score(held_x, held_y) > 0.9


def test_two_classes_by_name_have_one_output(wine: Any) -> None:
    x, _, y, _ = wine
    names = np.where(y == 0, "barolo", "other")
    model = LookupClassifier(bits=(4, 7), batch_size=50, random_state=0).fit(x, names)
    assert model.network_.output == "threshold"
    assert model.network_.n_out == 1
    assert model.score(x, names) > 0.97
    assert (model.predict_float(x) == names).mean() > 0.97


def test_several_outputs_of_different_sizes() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (300, 2))
    y = np.stack([100 * x[:, 0] ** 2 - 1000, 30 * np.sin(3 * x[:, 1])], axis=1)
    model = LookupRegressor(bits=(7, 9), l2=1e-5, batch_size=50, epochs=150, random_state=0).fit(x, y)
    assert model.predict(x).shape == (300, 2)
    assert model.score(x, y) > 0.99


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hidden_layer_sizes": 4}, "hidden_layer_sizes = 4: must be a tuple"),
        ({"hidden_layer_sizes": (0,)}, r"^hidden_layer_sizes\[0\] = 0: must be 1 or more"),
        ({"guard_bits": -1}, "^guard_bits = -1: must be 0 or more"),
        ({"guard_bits": "x"}, "^guard_bits = 'x': must be an integer"),
        ({"bits": (4, 4, 4)}, "bits: 3 values; give one for all, or 2"),
        ({"edges": 0}, "edges = 0: must be 1 or more"),
        ({"l1": -1}, "^l1 = -1: must be a number, 0 or more$"),
        ({"fine_tuning_epochs": -1}, "^fine_tuning_epochs = -1: must be 0 or more$"),
        ({"early_stopping": True, "n_iter_no_change": 0}, "^n_iter_no_change = 0: must be 1 or more$"),
        ({"learning_rate": "fast"}, "^learning_rate = 'fast': must be a number above 0$"),
        ({"hidden_layer_sizes": np.eye(30)}, "^hidden_layer_sizes = .{60}: must be a tuple of sizes"),
        ({"epochs": 0}, "epochs = 0"),
        thorough({"bits": None, "max_lut": 1, "epochs": 1}, "max_lut = 1: the smallest network"),
    ],
)
def test_wrong_parameters_are_refused(wine: Any, parameters: dict[str, Any], message: str) -> None:
    x, _, y, _ = wine
    with pytest.raises(InputError, match=message):
        LookupClassifier(**{"bits": 4, "epochs": 1} | parameters).fit(x, y)


def test_scores_agree_with_the_class_that_the_hardware_gives(fitted: LookupClassifier, wine: Any) -> None:
    x, _, y, _ = wine
    probabilities, logits = fitted.predict_proba(x), fitted.decision_function(x)
    assert probabilities.shape == logits.shape == (len(x), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    for scores in (probabilities, logits):
        assert np.array_equal(fitted.classes_[scores.argmax(axis=1)], fitted.predict(x))
    assert log_loss(y, probabilities) < 0.5
    assert roc_auc_score(y, probabilities, multi_class="ovr") > 0.98


@pytest.mark.parametrize("names", [["no", "yes"], [False, True]], ids=str)
def test_scores_of_two_classes(wine: Any, names: list[Any]) -> None:
    x, _, y, _ = wine
    labels = np.where(y == 0, names[1], names[0])
    model = LookupClassifier(bits=(4, 5), epochs=30, fine_tuning_epochs=5, random_state=0).fit(x, labels)
    network = model.network_
    for threshold in (network.thresholds[0], network.thresholds[0] + 3):  # as one whose code is not quite zero
        model.network_ = network.with_output("threshold", [threshold])
        logits, probabilities = model.decision_function(x), model.predict_proba(x)
        assert logits.shape == (len(x),)
        assert probabilities.shape == (len(x), 2)
        assert np.array_equal(model.classes_[(logits > 0).astype(int)], model.predict(x))
        assert np.array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(x))


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize("flat", [True, False], ids=["one column less", "columns"])
def test_network_file_header_and_chip_speak_the_units_of_the_data(flat: bool, tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
    y = np.stack([1000 + 40 * x[:, 0], -3e-5 * x[:, 1]], axis=1)
    model = LookupRegressor(bits=6, epochs=20, fine_tuning_epochs=2, batch_size=50, random_state=0)
    model.fit(x, y[:, 0] if flat else y)
    predictions = model.predict(x[:5]).reshape(5, -1)
    assert np.abs(predictions[:, 0] - y[:5, 0]).max() < 40  # they are about a thousand
    np.testing.assert_array_equal(model.network_.predict(x[:5]), predictions)
    assert np.abs(model.untuned_network_.predict(x[:5])[:, 0] - y[:5, 0]).max() < 40
    for backend in ("model", "pysim"):
        with kanrtl.connect(model.network_, backend) as chip:
            np.testing.assert_array_equal(chip.predict(x[:5]), predictions)
    model.network_.save(tmp_path / "a.npz")
    np.testing.assert_array_equal(kanrtl.LookupNetwork.load(tmp_path / "a.npz").predict(x[:5]), predictions)
    last = model.network_.layers[-1]
    assert f"{last.steps[0]:.9g}" in network_header(kanrtl.LookupCore(model.network_))
    state = model.__getstate__()  # a former version scaled what its network gave
    former = state | {"_scale": 2.0, "_middle": 5.0}
    restored = LookupRegressor()
    restored.__setstate__(former)
    np.testing.assert_allclose(restored.predict(x[:5]).reshape(5, -1), 2 * predictions + 5)


def test_outputs_that_are_compared_keep_one_scale(fitted: LookupClassifier) -> None:
    with pytest.raises(InputError, match=r"^scale_outputs: outputs that are compared share both"):
        fitted.network_.scale_outputs([1, 2, 3])
    for scale in (0, -1, np.nan):
        with pytest.raises(InputError, match="scale_outputs: scale"):
            fitted.network_.scale_outputs(scale)
    with pytest.raises(InputError, match=r"scale_outputs: offset: shape \(2,\); must be \(3,\)"):
        fitted.network_.scale_outputs(1, [0, 0])


# Weights of samples.


def two_curves() -> tuple[Any, Any, Any]:
    """Samples of two functions that contradict each other, and which of the two each is of."""
    x = np.linspace(-1, 1, 200)[:, None]
    first = np.arange(len(x)) % 2 == 0
    return x, np.where(first, x[:, 0] ** 2, 2 - x[:, 0]), first


@pytest.mark.parametrize("early_stopping", [False, True])
def test_weights_decide_what_is_learned(early_stopping: bool) -> None:
    x, y, first = two_curves()
    settings = SMALL | {"random_state": 0, "early_stopping": early_stopping, "batch_size": 20}
    for wanted in (first, ~first):
        weight = np.where(wanted, 1000.0, 1.0)
        model = LookupRegressor(**settings).fit(x, y, sample_weight=weight)
        assert model.score(x[wanted], y[wanted]) > 0.9 > 0.5 > model.score(x[~wanted], y[~wanted])
        labels = np.where(first, x[:, 0] > 0, x[:, 0] <= 0)
        classifier = LookupClassifier(**settings).fit(x, labels, sample_weight=weight)
        assert classifier.score(x[wanted], labels[wanted]) > 0.9
        assert classifier.score(x, labels, sample_weight=weight) > 0.9


@pytest.mark.parametrize("estimator", [LookupRegressor, LookupClassifier])
def test_weights_are_relative_and_zero_is_none(estimator: type[Any]) -> None:
    x, y, first = two_curves()
    y = y if estimator is LookupRegressor else (y > 0.7).astype(int)
    weight = np.where(first, 2.0, 1.0)
    wild = np.where(first[:, None], x, 1e6)

    def tables(x: Any, y: Any, sample_weight: Any = None) -> list[Any]:
        model = estimator(bits=5, epochs=5, fine_tuning_epochs=2, random_state=0).fit(x, y, sample_weight=sample_weight)
        return [layer.table.tolist() for layer in model.network_.layers]

    assert tables(x, y, weight) == tables(x, y, 8 * weight) != tables(x, y)
    assert tables(x, y, np.full(len(x), 3.0)) == tables(x, y, 7) == tables(x, y)
    assert tables(wild, y, first) == tables(x[first], y[first])


def test_a_search_scores_by_weights() -> None:
    x, y, first = two_curves()
    model = LookupRegressor(**SMALL | {"bits": None, "batch_size": 20, "random_state": 0}).fit(
        x, y, np.where(first, 1000.0, 1.0)
    )
    assert model.search_ is not None
    assert model.search_.float_score > 0.9


@pytest.mark.parametrize(
    ("weight", "line"),
    [
        ([0.0, 0.0, 0.0], "sample_weight: all weights are zero; give one above zero to learn from"),
        ([1.0, -1.0, 1.0], "sample_weight[1] = -1.0: must be finite, 0 or more"),
        ([1.0, 1.0], "sample_weight: shape (2,); must be (3,), a number for each sample"),
    ],
)
@pytest.mark.parametrize("estimator", [LookupRegressor, LookupClassifier])
def test_weights_that_cannot_be_are_refused(estimator: type[Any], weight: list[float], line: str) -> None:
    with pytest.raises(InputError) as refusal:
        estimator(**SMALL).fit([[0.0], [1.0], [2.0]], [0, 1, 0], sample_weight=weight)
    assert str(refusal.value) == line


def test_parameters_are_refused_before_training(wine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen, "train", None)
    for parameters, line in (
        ({"fine_tuning_epochs": -1}, "fine_tuning_epochs = -1: must be 0 or more"),
        ({"early_stopping": True, "n_iter_no_change": 0}, "n_iter_no_change = 0: must be 1 or more"),
        ({"max_lut": "9"}, "max_lut = '9': must be an integer"),
        ({"max_lut": 0}, "max_lut = 0: must be 1 or more"),
        ({"tolerance": None}, "tolerance = None: must be a number"),
        ({"tolerance": float("nan")}, "tolerance = nan: must be a number"),
        ({"tolerance": -0.1}, "tolerance = -0.1: must be 0 or more"),
        ({"l2": float("nan")}, "l2 = nan: must be a number, 0 or more"),
    ):
        with pytest.raises(InputError, match=f"^{re.escape(line)}$"):
            LookupClassifier(**SMALL | parameters).fit(wine[0], wine[2])


@pytest.mark.parametrize("constant", [7.0, 0.125, 1e-9, 0.0, -3e-300])
def test_a_constant_is_learned(constant: float) -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    alone = LookupRegressor(**SMALL).fit(x, np.full(40, constant)).predict(x)
    np.testing.assert_allclose(alone, constant, rtol=1e-12, atol=1e-140)
    beside = LookupRegressor(**SMALL).fit(x, np.c_[1e-6 * x[:, 0], np.full(40, constant)]).predict(x)
    np.testing.assert_allclose(beside[:, 1], constant, rtol=1e-12, atol=1e-140)
    assert np.abs(beside[:, 0]).max() < 1e-5


def test_masked_values_are_refused() -> None:
    x, y = np.linspace(-1, 1, 24).reshape(12, 2), np.linspace(-1, 1, 12)
    masked_x, masked_y = np.ma.masked_greater(x, 0.9), np.ma.masked_greater(y, 0.9)
    model = LookupRegressor(**SMALL)
    with pytest.raises(InputError, match=r"^X\[11, 0\] is masked; give a number, or leave the row out$"):
        model.fit(masked_x, y)
    with pytest.raises(InputError, match=r"^y\[11\] is masked; "):
        model.fit(x, masked_y)
    model.fit(np.ma.masked_greater(x, 9), np.ma.masked_greater(y, 9))
    with pytest.raises(InputError, match=r"^X\[11, 0\] is masked; "):
        model.predict(masked_x)


@pytest.mark.parametrize("estimator", [LookupRegressor, LookupClassifier])
def test_a_fit_that_is_refused_changes_nothing(estimator: type[Any]) -> None:
    x = np.linspace(-1, 1, 24)[:, None]
    settings: dict[str, Any] = {"bits": 4, "epochs": 2, "fine_tuning_epochs": 1, "random_state": 0}
    model = estimator(**settings).fit(x, (x[:, 0] > 0).astype(int))
    before = model.predict(x).tolist()
    targets = np.c_[x, x] if estimator is LookupRegressor else np.where(x[:, 0] > 0, "a", "b")
    for samples, weight in ((np.c_[x, x], -1), (1e200 * x, None)):
        with pytest.raises(InputError):
            model.fit(samples, targets, sample_weight=weight)
        assert model.predict(x).tolist() == before
    if estimator is LookupRegressor:
        with pytest.raises(InputError, match=r"^y\[0, 0\] = 1e\+200: must be 1e\+150 or less in magnitude"):
            model.fit(x, np.r_[1e200, x[1:, 0]])
