"""Dense networks as lookup networks: what is imported is what scikit-learn and torch compute."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

import kanrtl
from kanrtl import InputError, LookupNetwork
from kanrtl.lookup import FloatKAN, from_mlp
from support.torch_files import write_safetensors

RANDOM = np.random.default_rng(11)
X = RANDOM.normal(3.0, 2.0, (300, 4))
Y = np.stack([np.sin(X[:, 0]) + X[:, 1], X[:, 2] * X[:, 3]], axis=1)


def fitted(model: Any, x: Any = X, y: Any = Y) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(x, y)


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_regressors_of_scikit_learn(activation: str, tmp_path: Path) -> None:
    model = fitted(MLPRegressor(hidden_layer_sizes=(7, 5), activation=activation, max_iter=30, random_state=0))
    kan = from_mlp(model)
    assert kan.layer_sizes == (4, 7, 5, 2)
    np.testing.assert_allclose(kan.evaluate(X)[-1], model.predict(X), rtol=0, atol=1e-9)
    kan.save(tmp_path / "kan.npz")
    np.testing.assert_allclose(FloatKAN.load(tmp_path / "kan.npz").evaluate(X)[-1], model.predict(X), atol=1e-9)
    network = kan.calibrate(X, [10, 10, 10, 12]).quantise(kan)
    error = np.sqrt(((network.predict(X) - model.predict(X)) ** 2).mean(axis=0)) / model.predict(X).std(axis=0)
    assert error.max() < 0.03


@pytest.mark.parametrize("classes", [2, 3])
def test_classifiers_of_scikit_learn(classes: int) -> None:
    labels = np.digitize(Y[:, 0], np.quantile(Y[:, 0], np.arange(1, classes) / classes))
    model = fitted(MLPClassifier(hidden_layer_sizes=(6,), max_iter=60, random_state=0), y=labels)
    outputs = from_mlp(model).evaluate(X)[-1]
    powers = np.exp(np.concatenate([np.zeros((len(X), 1)), outputs], axis=1) if classes == 2 else outputs)
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), model.predict_proba(X), atol=1e-9)


@pytest.mark.parametrize(
    "scaler", [StandardScaler(), StandardScaler(with_mean=False), MinMaxScaler((-1, 1)), MaxAbsScaler(), RobustScaler()]
)
def test_scalers_in_front_become_a_part_of_the_quantiser(scaler: Any) -> None:
    model = fitted(
        make_pipeline(
            scaler, StandardScaler(with_std=False), MLPRegressor(hidden_layer_sizes=(4,), max_iter=20, random_state=1)
        )
    )
    np.testing.assert_allclose(from_mlp(model).evaluate(X)[-1], model.predict(X), atol=1e-9)


def test_digits_lose_less_than_a_point() -> None:
    x, y = load_digits(return_X_y=True)
    model = fitted(
        MLPClassifier(hidden_layer_sizes=(16,), alpha=1.0, max_iter=120, learning_rate_init=0.005, random_state=0),
        x[:1200],
        y[:1200],
    )
    kan = from_mlp(model)
    network = kan.calibrate(x[:300], [4, 5, 7]).quantise(kan, output="argmax")
    right = [float((classes == y[1200:]).mean()) for classes in (model.predict(x[1200:]), network.predict(x[1200:]))]
    assert right[1] >= right[0] - 0.01
    assert right[0] > 0.9


def test_arrays_and_state_dicts() -> None:
    weights = [RANDOM.normal(size=(5, 4)), RANDOM.normal(size=(3, 5)), RANDOM.normal(size=(2, 3))]
    biases = [RANDOM.normal(size=len(array)) for array in weights]
    expected = np.maximum(X @ weights[0].T + biases[0], 0)
    expected = np.tanh(expected @ weights[1].T + biases[1]) @ weights[2].T + biases[2]
    for names in (["relu", "tanh"], ["relu", "tanh", "identity"]):
        np.testing.assert_allclose(from_mlp(weights, names, biases=biases).evaluate(X)[-1], expected)
    state = {f"{2 * index}.weight": array for index, array in enumerate(weights)}
    state |= {f"{2 * index}.bias": bias for index, bias in enumerate(biases)}
    ordered = dict(sorted(state.items()))
    np.testing.assert_allclose(from_mlp(ordered, ["relu", "tanh"]).evaluate(X)[-1], expected)
    behind = from_mlp(weights, ["relu", "tanh", "sigmoid"], biases=biases)
    np.testing.assert_allclose(behind.evaluate(X)[-1], 1 / (1 + np.exp(-expected)))
    assert behind.layer_sizes == (4, 5, 3, 2, 2)
    assert behind.layers[-1].edges.tolist() == [[True, False], [False, True]]


def test_a_file_that_sorts_names_has_another_order_than_its_network(tmp_path: Path) -> None:
    weights = [RANDOM.normal(size=(4, 4)).astype(np.float32) for _ in range(7)]
    expected = X
    for array in weights[:-1]:
        expected = np.maximum(expected @ array.T, 0)
    expected = expected @ weights[-1].T
    sequential = {f"net.{2 * index}.weight": array for index, array in enumerate(weights)}
    named = {f"fc{index + 8}.weight": array for index, array in enumerate(weights)}
    for state in (sequential, named):
        path = write_safetensors(tmp_path / "a.safetensors", state)
        np.testing.assert_allclose(from_mlp(path, "relu").evaluate(X)[-1], expected)
    # As the library itself gives them.
    np.testing.assert_allclose(from_mlp(dict(sorted(sequential.items())), "relu").evaluate(X)[-1], expected)
    parts = {f"{name}.weight": array for name, array in zip(("input", "hidden", "output"), weights, strict=False)}
    with pytest.raises(InputError, match="input: whether it stands before or behind hidden is not in the file"):
        from_mlp(write_safetensors(tmp_path / "b.safetensors", parts), "relu")
    assert from_mlp(parts, "relu").layers[0].weights[:, :, 0].tolist() == weights[0].tolist()


def test_a_file_that_sorts_formats_has_another_order_than_its_network(tmp_path: Path) -> None:
    norm = {f"1.{field}": np.full(4, value) for field, value in (("running_mean", 1.0), ("running_var", 4.0))}
    state = {"0.weight": np.eye(4), **norm, "3.weight": np.ones((1, 4))}
    path = write_safetensors(tmp_path / "a.safetensors", state, kinds={"0.weight": "F16", "3.weight": "F16"})
    np.testing.assert_allclose(from_mlp(path, "relu").evaluate(X)[-1], from_mlp(state, "relu").evaluate(X)[-1])


def test_a_batch_norm_in_a_state_dict() -> None:
    norm = {"weight": [2.0, 0.5], "bias": [0.1, -3.0], "running_mean": [0.3, 0.4], "running_var": [4.0, 0.25]}
    linear, last = RANDOM.normal(size=(2, 4)), RANDOM.normal(size=(1, 2))
    state = {"0.weight": linear, **{f"1.{name}": values for name, values in norm.items()}, "1.num_batches_tracked": 7}
    kan = from_mlp({**state, "3.weight": last}, "relu")
    scale = np.array(norm["weight"]) / np.sqrt(np.array(norm["running_var"]) + 1e-5)
    hidden = (X @ linear.T - norm["running_mean"]) * scale + norm["bias"]
    np.testing.assert_allclose(kan.evaluate(X)[-1], np.maximum(hidden, 0) @ last.T)
    # By its number the normalisation may also stand behind the function.
    behind = {name.replace("1.", "2.", 1): values for name, values in state.items()}
    kan = from_mlp({**behind, "3.weight": last}, "relu")
    hidden = (np.maximum(X @ linear.T, 0) - norm["running_mean"]) * scale + norm["bias"]
    np.testing.assert_allclose(kan.evaluate(X)[-1], hidden @ last.T)
    with pytest.raises(InputError, match="2: whether the function between layers stands before or behind it"):
        from_mlp({**behind, "5.weight": last}, "relu")


@pytest.mark.parametrize("name", ["weight", "bias", "running_mean", "running_var"])
def test_a_batch_norm_is_as_wide_as_its_layer(name: str) -> None:
    norm = {field: [1.0, 2.0] for field in ("weight", "bias", "running_mean", "running_var")}
    state = {"0.weight": np.ones((2, 4)), **{f"1.{field}": values for field, values in norm.items()}}
    with pytest.raises(InputError, match=rf"^1.{name}: shape \(1,\); must be \(2,\)$"):
        from_mlp({**state, f"1.{name}": [1.0], "3.weight": np.ones((1, 2))}, "relu")


def test_what_a_state_dict_does_not_tell_is_said() -> None:
    norm = {"1.running_mean": np.zeros(2), "1.running_var": np.ones(2)}
    state = {"0.weight": WEIGHTS[0], **norm, "3.weight": WEIGHTS[1]}
    (note,) = from_mlp(state, "leaky_relu(0.25)").notes
    assert (note.kind, note.field, note.value) == ("assumed", "1.eps", 1e-5)
    scale = 1 / np.sqrt(1 + 1e-5)
    hidden = X.sum(axis=1) * scale * np.where(X.sum(axis=1) > 0, 1, 0.25)
    np.testing.assert_allclose(from_mlp(state, "leaky_relu(0.25)").evaluate(X)[-1][:, 0], 2 * hidden)
    dropped = from_mlp({"model": state, "scaler_mean": np.zeros(4), "epoch": 3}, "relu").notes
    assert [note.field for note in dropped] == ["scaler_mean", "epoch", "1.eps"]
    assert "inputs must be scaled" in str(dropped[0])


def test_of_several_networks_one_is_named() -> None:
    one, other = ({f"{2 * index}.weight": factor * array for index, array in enumerate(WEIGHTS)} for factor in (1, 2))
    with pytest.raises(InputError, match="holds 2 networks, in 'model', 'ema'; say which is meant: entry"):
        from_mlp({"model": one, "ema": other}, "relu")
    both = {"model": one, "ema": other}
    np.testing.assert_array_equal(
        from_mlp(both, "relu", entry="ema").evaluate(X)[-1], from_mlp(other, "relu").evaluate(X)[-1]
    )
    twins = from_mlp({"model": one, "ema": dict(one)}, "relu")
    np.testing.assert_array_equal(twins.evaluate(X)[-1], from_mlp(one, "relu").evaluate(X)[-1])
    with pytest.raises(InputError, match="entry = 'best': no network stands there"):
        from_mlp(both, "relu", entry="best")


def test_weights_that_torch_has_pruned() -> None:
    mask = np.array([[1, 0, 1, 1], [0, 0, 1, 0]])
    state = {"0.weight_orig": WEIGHTS[0] * 3, "0.weight_mask": mask, "2.weight": WEIGHTS[1]}
    kan = from_mlp(state, "relu")
    np.testing.assert_array_equal(kan.evaluate(X)[-1], np.maximum(X @ (3.0 * mask).T, 0).sum(axis=1, keepdims=True))
    assert kan.layers[0].edges.sum() == mask.sum()


def test_binary_and_ternary_networks_are_exact() -> None:
    """Weights of -1, 0 and 1, signs between layers: sums are integers, and codes hold all of them."""
    first, last = RANDOM.choice([-1, 0, 1], (9, 16)), RANDOM.choice([-1, 1], (3, 9))
    kan = from_mlp([first, last], "sign", biases=[np.full(9, 0.5), np.zeros(3)])
    x = RANDOM.choice([-1.0, 1.0], (200, 16))
    expected = np.sign(x @ first.T + 0.5) @ last.T
    assert np.array_equal(kan.evaluate(x)[-1], expected)
    assert kan.layers[0].edges.sum() == np.count_nonzero(first)
    network = kan.quantise([1, 6, 6], [2.0, 1.0, 1.0], offsets=[1.0, 0.5, 0.0], saturate=False)
    assert np.array_equal(network.predict(x), expected)


def test_on_the_chip_it_is_the_model(tmp_path: Path) -> None:
    kan = from_mlp(fitted(MLPRegressor(hidden_layer_sizes=(3,), max_iter=20, random_state=0)))
    network = kan.calibrate(X, [4, 4, 5]).quantise(kan)
    network.save(tmp_path / "network.npz")
    with kanrtl.connect(LookupNetwork.load(tmp_path / "network.npz"), backend="pysim", latency=2) as chip:
        assert np.array_equal(chip.predict(X[:30]), network.predict(X[:30]))


WEIGHTS = [np.ones((2, 4)), np.ones((1, 2))]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_mlp(WEIGHTS), "activations: arrays do not have them"),
        (lambda: from_mlp(WEIGHTS, "relu(2)"), r"activations\[0\]: 'relu' has no parameter"),
        (lambda: from_mlp(WEIGHTS, "softmax"), r"activations\[0\]: 'softmax' cannot be represented"),
        (lambda: from_mlp(WEIGHTS, ["relu"] * 3), "activations: 3 names for 2 layers; give 1, or 2"),
        (lambda: from_mlp(WEIGHTS, "relu", biases=[[0, 0]]), "biases: 1 for 2 layers"),
        (
            lambda: from_mlp(WEIGHTS, "relu", biases=[[0, 0, 0], [0]]),
            r"weights\[0\]: bias: shape \(3,\); must be \(2,\)",
        ),
        (
            lambda: from_mlp([np.ones((2, 4)), np.ones((1, 3))], "relu"),
            r"weights\[1\]: weight of shape \(1, 3\) behind 2",
        ),
        (lambda: from_mlp([np.ones((2, 4, 3, 3))]), r"weights\[0\]: weight of shape .* a dense layer has"),
        (lambda: from_mlp({"0.weight": np.ones((2, 4)), "1.gain": np.ones(2)}), "1.gain: cannot be represented"),
        (
            lambda: from_mlp({"0.weight": np.ones((2, 4)), "0.bias": np.ones(1)}),
            r"0: bias: shape \(1,\); must be \(2,\)",
        ),
        (lambda: from_mlp({"a": np.ones(3)}), "a: cannot be represented"),
        (lambda: from_mlp(3), "model: is of type int; give a fitted MLPClassifier"),
        (lambda: from_mlp(MLPRegressor()), "model: is of type MLPRegressor; give a fitted"),
        (
            lambda: from_mlp(fitted(make_pipeline(Normalizer(), MLPRegressor(hidden_layer_sizes=(2,), max_iter=2)))),
            "normalizer: Normalizer cannot be represented",
        ),
        (
            lambda: from_mlp(
                fitted(make_pipeline(MinMaxScaler(clip=True), MLPRegressor(hidden_layer_sizes=(2,), max_iter=2)))
            ),
            r"minmaxscaler: MinMaxScaler\(clip=True\) cannot be represented",
        ),
        (
            lambda: from_mlp(fitted(MLPRegressor(hidden_layer_sizes=(2,), max_iter=2)), "relu"),
            "activations: scikit-learn's model has its own; leave it out",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()
