"""Files and pickles that version 0.1.0 wrote before the packages were arranged in storeys load, and mean the same.

``saved/`` holds a learner, networks and estimators, and in ``expected.npz`` what each predicted for the samples there.
"""

import importlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kanrtl
from kanrtl import KANRegressor, LearnerSpec, LookupNetwork, connect
from kanrtl.lookup import FloatKAN

SAVED = Path(__file__).with_name("saved")


@pytest.fixture
def expected() -> dict[str, Any]:
    with np.load(SAVED / "expected.npz") as arrays:
        return dict(arrays)


def unpickled(name: str) -> Any:
    return pickle.loads((SAVED / name).read_bytes())


def test_learner(expected: dict[str, Any]) -> None:
    spec = LearnerSpec(
        layer_sizes=[2, 2, 1],
        grid_range=(-2, 2),
        grid_size=5,
        learning_rate=0.125,
        update_rounding="stochastic",
        seed=3,
    )
    with connect(spec) as learner:
        learner.load(SAVED / "learner.npz")
        assert np.array_equal(learner.predict_many(expected["x"]), expected["learner"])


def test_networks(expected: dict[str, Any]) -> None:
    assert np.array_equal(LookupNetwork.load(SAVED / "network.npz").predict(expected["x"]), expected["network"])
    np.testing.assert_allclose(
        FloatKAN.load(SAVED / "float_kan.npz").evaluate(expected["x"])[-1], expected["float_kan"], rtol=1e-12
    )


def test_estimator(expected: dict[str, Any]) -> None:
    assert np.array_equal(KANRegressor.load(SAVED / "estimator.npz").predict(expected["x"]), expected["estimator"])


@pytest.mark.parametrize("name", ["estimator", "lookup_estimator"])
def test_pickled_estimators(name: str, expected: dict[str, Any]) -> None:
    # Outputs are scaled in one multiplication now, and were in two: the last bit of a real number may differ.
    np.testing.assert_allclose(
        unpickled(f"{name}.pickle").predict(expected["x"]), expected[name], rtol=1e-15, atol=1e-15
    )


def test_pickled_spec_and_networks(expected: dict[str, Any]) -> None:
    spec, network, kan = unpickled("parts.pickle")
    with connect(spec) as learner:
        learner.load(SAVED / "learner.npz")
        assert np.array_equal(learner.predict_many(expected["x"]), expected["learner"])
    assert np.array_equal(network.predict(expected["x"]), expected["network"])
    np.testing.assert_allclose(kan.evaluate(expected["x"])[-1], expected["float_kan"], rtol=1e-12)


@pytest.mark.parametrize(
    "name", ["FitError", "Frozen", "LookupSession", "Scaling", "Start", "connect_network", "freeze", "to_learner"]
)
def test_names_of_lookup(name: str) -> None:
    assert getattr(importlib.import_module("kanrtl.lookup"), name) is not None


def test_a_former_module_gives_what_has_taken_its_place() -> None:
    assert importlib.import_module("kanrtl.spec").LearnerSpec is kanrtl.LearnerSpec
    assert importlib.import_module("kanrtl.estimators.online").KANRegressor is kanrtl.KANRegressor
    with pytest.raises(AttributeError):
        importlib.import_module("kanrtl.spec").nothing  # noqa: B018


@pytest.mark.parametrize(
    ("module", "names"),
    [("freeze", ["Frozen", "Scaling"]), ("start", ["FitError", "Start"]), ("training", ["Penalty", "Trained"])],
)
def test_former_modules_of_lookup(module: str, names: list[str]) -> None:
    former, lookup = importlib.import_module(f"kanrtl.lookup.{module}"), importlib.import_module("kanrtl.lookup")
    for name in names:
        assert getattr(former, name) is getattr(lookup, name)
