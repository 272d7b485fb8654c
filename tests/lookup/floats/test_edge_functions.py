"""Edges of any functions of one variable: by name, by values, of Python; and what is done with layers of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from kanrtl import InputError
from kanrtl.lookup import (
    FloatKAN,
    FloatLayer,
    NamedFunctions,
    PythonFunctions,
    SampledFunctions,
    Splines,
    edge_effects,
    train,
)
from kanrtl.lookup.floats.named_functions import FUNCTIONS
from support.kan_checkpoints import knots

RANDOM = np.random.default_rng(5)
X = RANDOM.uniform(-0.9, 0.9, (300, 2))

WITHIN = {"log": (0.2, 3.0), "sqrt": (0.2, 3.0)}
"""Where functions are defined that are not everywhere."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_slopes_are_those_of_finite_differences(name: str) -> None:
    x = np.random.default_rng(1).uniform(*WITHIN.get(name, (-0.95, 0.95)), (200, 1))
    functions = NamedFunctions.of(name, 1, scale=1.02, offset=0.003)
    step = 1e-6
    away = np.abs(x * 1.02 + 0.003) > 1e-4  # where a slope may jump
    difference = (functions.values(x + step) - functions.values(x - step)) / (2 * step)
    np.testing.assert_allclose(functions.slopes(x)[away], difference[away], atol=1e-5)


def test_chains_are_functions_of_functions() -> None:
    inner = NamedFunctions.of("tanh", 2, scale=[[2.0], [0.5]])
    chain = inner.then(NamedFunctions.of("leaky_relu", 2, offset=0.25, parameter=0.1))
    inside = np.tanh(X * [2.0, 0.5]) + 0.25
    np.testing.assert_allclose(chain.values(X)[:, :, 0], np.where(inside > 0, inside, 0.1 * inside))
    step = 1e-6
    near = (chain.values(X + step) - chain.values(X - step)) / (2 * step)
    np.testing.assert_allclose(chain.slopes(X), near, atol=1e-5)


def test_families_are_those_of_their_definitions() -> None:
    degree, size = 4, 3
    found = NamedFunctions.chebyshev(2, degree).values(X)
    np.testing.assert_allclose(found, chebyshev.chebvander(np.tanh(X), degree), atol=1e-12)
    found = NamedFunctions.fourier(2, size).values(X)
    expected = [wave(k * X) for wave in (np.cos, np.sin) for k in (1, 2, 3)]
    np.testing.assert_allclose(found, np.stack(expected, axis=2), atol=1e-12)
    centres = np.linspace(-2, 2, 5)
    found = NamedFunctions.radial(2, centres, 0.5).values(X)
    np.testing.assert_allclose(found, np.exp(-(((X[:, :, None] - centres) / 0.5) ** 2)), atol=1e-12)


def test_sampled_functions_hold_their_ends() -> None:
    functions = SampledFunctions.of("layer", [[0.0, 1.0, 3.0], [2.0]])
    layer = FloatLayer.of_functions("layer", functions, [[[5.0, 6.0, 2.0], [7.0, 0.0, 0.0]]])
    x = np.array([-9.0, 0.0, 0.5, 2.0, 3.0, 9.0])
    assert layer.edge_values(0, x)[0].tolist() == [5.0, 5.0, 5.5, 4.0, 2.0, 2.0]
    assert layer.edge_values(1, x)[0].tolist() == [7.0] * 6
    assert functions.slopes(np.array([[0.5, 0.0]]))[0, 0].tolist() == [-1.0, 1.0, 0.0]
    for interpolation, at in (("at", [1.0, 2.0, 2.0]), ("above", [1.0, 1.0, 2.0])):
        steps = SampledFunctions.of("layer", [[0.0]], interpolation)
        edge = FloatLayer.of_functions("layer", steps, [[[1.0, 2.0]]])
        assert edge.edge_values(0, np.array([-0.1, 0.0, 0.1]))[0].tolist() == at


def mixed() -> FloatKAN:
    """Splines beside formulas, then a chain, then values between points."""
    random = np.random.default_rng(3)
    functions = [
        Splines.of("first", knots(4, 3, 2), 2, 7),
        NamedFunctions.of([["sin", "exp"], ["power", "abs"]], 2, count=2, scale=1.5, parameter=[[0, 0], [3, 0]]),
    ]
    chain = NamedFunctions.of("sigmoid", 3, scale=[[1], [2], [3]]).then(NamedFunctions.of("tanh", 3, offset=-0.5))
    values = SampledFunctions.of("last", [np.linspace(-2, 2, 9), [-1.0, 1.0]])
    return FloatKAN.of(
        [
            FloatLayer.of_functions("first", functions, random.normal(0, 0.5, (3, 2, 9)), bias=[0.1, -0.2, 0.3]),
            FloatLayer.of_functions("middle", chain, random.normal(0, 1, (2, 3))),
            FloatLayer.of_functions("last", values, random.normal(0, 1, (2, 2, 9))),
        ],
        input_scale=[1.1, 0.9],
        input_offset=0.05,
    )


def test_a_layer_of_any_functions_is_saved_and_loaded(tmp_path: Path) -> None:
    kan = mixed()
    kan.save(tmp_path / "kan.npz")
    loaded = FloatKAN.load(tmp_path / "kan.npz")
    assert all(map(np.array_equal, loaded.evaluate(X), kan.evaluate(X)))
    with np.load(tmp_path / "kan.npz") as content:
        arrays = dict(content)
    for name in ("weights_1", "knots_0_0", "scale_1_0", "points_2_0"):
        np.savez(tmp_path / "damaged.npz", **{other: array for other, array in arrays.items() if other != name})
        with pytest.raises(InputError, match=f"'{name}' is missing"):
            FloatKAN.load(tmp_path / "damaged.npz")
    about = json.loads(str(arrays["kan"]))
    about["functions"].pop()
    for name, wrong, message in [
        ("scale_1_0", arrays["scale_1_0"][:0], r"layer 1.functions\[0\].scale: shape \(0, 3, 1\); must be \(2, 3, 1\)"),
        (
            "kan",
            np.array(json.dumps(about)),
            "functions: of 2 layers; there are 3; give a file that FloatKAN.save wrote",
        ),
    ]:
        np.savez(tmp_path / "damaged.npz", **arrays | {name: wrong})
        with pytest.raises(InputError, match=message):
            FloatKAN.load(tmp_path / "damaged.npz")


@pytest.mark.thorough
def test_calibrated_pruned_searched_and_trained() -> None:
    kan = mixed()
    exact = kan.evaluate(X)[-1]
    network = kan.calibrate(X, [9, 9, 9, 10]).quantise(kan)
    assert ((network.predict(X) - exact) ** 2).mean() < 1e-3 * exact.var()
    effects = edge_effects(kan, X)
    pruned = kan.prune(X, edges=8)
    assert sum(int(layer.edges.sum()) for layer in pruned.layers) <= 8 < sum(effect.size for effect in effects)
    found = kan.search(X, bits=5, guard_bits=1, least_bits=4, loss=0.05)
    assert found.float_score == pytest.approx(1)
    trained = train(kan, X, exact * 0.5, epochs=15, learning_rate=0.01)
    assert trained.losses[-1] < 0.3 * trained.losses[0]


def test_any_function_of_python_is_an_edge(tmp_path: Path) -> None:
    layer = FloatLayer.of_callables("layer", [[np.sin, None], [lambda x: x**2, np.arctan]], bias=[1.0, 0.0])
    kan = FloatKAN.of([layer])
    expected = np.stack([np.sin(X[:, 0]) + 1, X[:, 0] ** 2 + np.arctan(X[:, 1])], axis=1)
    np.testing.assert_allclose(kan.evaluate(X)[0], expected)
    assert layer.edges.tolist() == [[True, False], [True, True]]
    network = kan.calibrate(X, [8, 9]).quantise(kan)
    assert np.abs(network.predict(X) - expected).max() < 0.02
    np.testing.assert_allclose(layer.slopes(X)[:, 0, 0], np.cos(X[:, 0]), atol=1e-6)
    with pytest.raises(InputError, match="functions: those of Python cannot be saved"):
        kan.save(tmp_path / "kan.npz")
    assert not (tmp_path / "kan.npz").exists()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NamedFunctions.of("bessel", 2), "functions = 'bessel': not a function that is known"),
        (lambda: NamedFunctions.of("sin", 2, scale=[1, 2, 3]), r"functions.scale: shape \(3,\); must be \(2, 1\)"),
        (lambda: SampledFunctions.of("layer", [[1.0, 1.0]]), r"layer.points\[0\]: must be numbers in ascending"),
        (lambda: SampledFunctions.of("layer", [[]]), r"layer.points\[0\]"),
        (lambda: SampledFunctions.of("layer", [[1.0]], "cubic"), "layer.interpolation = 'cubic'"),
        (lambda: PythonFunctions.of([[np.sin], []]), "functions: give one row for each input"),
        (lambda: PythonFunctions.of([["sin"]]), r"functions\[0\]\[0\] = 'sin': cannot be called"),
        (lambda: FloatLayer.of_callables("layer", [[np.sin], []]), "layer.edges: give a row for each node"),
        (
            lambda: FloatLayer.of_functions("layer", NamedFunctions.of("sin", 2), [[1.0]]),
            r"layer.weights: shape \(1, 1, 1\); must be \(n_out, 2, 1\)",
        ),
        (lambda: mixed().layers[1].knots, "a layer of named functions has no splines"),
        (
            lambda: FloatKAN.of([FloatLayer.of_callables("layer", [[lambda x: x[:1]]])]).evaluate(X[:, :1]),
            r"functions\[0\]\[0\]: gives shape \(1,\) for points",
        ),
        (lambda: logarithm().quantise([4, 4], [0.25, 0.25]), "the edge from input 0 to node 0 is nan at -2, which a"),
        (lambda: logarithm().calibrate(X[:, :1], [4, 4]), r"x\[\d+\]: node 0 of layer 0 gives nan; leave it out"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def logarithm() -> FloatKAN:
    return FloatKAN.of([FloatLayer.of_functions("layer", NamedFunctions.of("log", 1), [[1.0]])])
