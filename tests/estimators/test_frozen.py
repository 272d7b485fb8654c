"""Lookup networks as estimators: what scikit-learn asks, and that the hardware's numbers are what is predicted."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.utils.estimator_checks import parametrize_with_checks

import kanrtl
from kanrtl import InputError, LookupClassifier, LookupRegressor
from kanrtl.lookup import Search, network_size

# The least that learns what the checks ask for.
SMALL: dict[str, Any] = {"bits": 6, "epochs": 25, "fine_tuning_epochs": 3, "batch_size": 50, "learning_rate": 0.05}


@parametrize_with_checks([LookupRegressor(**SMALL), LookupClassifier(**SMALL)])
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
        ({"bits": (4, 4, 4)}, "bits: 3 values; give 2"),
        ({"edges": 0}, "edges = 0: must be an integer, 1 or more"),
        ({"l1": -1}, "penalty.l1 = -1"),
        ({"epochs": 0}, "epochs = 0"),
        ({"bits": None, "max_lut": 1, "epochs": 1}, "max_lut = 1: the smallest network"),
    ],
)
def test_wrong_parameters_are_refused(wine: Any, parameters: dict[str, Any], message: str) -> None:
    x, _, y, _ = wine
    with pytest.raises(InputError, match=message):
        LookupClassifier(**{"bits": 4, "epochs": 1} | parameters).fit(x, y)
