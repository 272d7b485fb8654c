"""The trainer: gradients, what it learns, what it leaves alone, and the rounding that it foresees."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import InputError
from kanrtl.lookup import CodeScale, FloatKAN, Penalty, calibrate, initial_kan, train
from kanrtl.lookup.floats.named_functions import BASE_SLOPES, BASES
from kanrtl.lookup.floats.sampled_functions import bases, slopes
from kanrtl.lookup.floats.training import loss_and_gradients
from kanrtl.lookup.floats.training_losses import LOSSES
from kanrtl.lookup.floats.training_state import FirstLayerFeatures, TrainingState
from support.float_kans import kans, random_kan, samples
from support.search import examples

STEP = 1e-6


@pytest.mark.parametrize("name", sorted(BASES))
def test_slopes_of_what_stands_beside_the_splines(name: str) -> None:
    x = np.linspace(-3.05, 3.05, 60)  # not zero, where relu has none
    difference = (BASES[name](x + STEP) - BASES[name](x - STEP)) / (2 * STEP)
    np.testing.assert_allclose(BASE_SLOPES[name](x), difference, atol=1e-8)


@pytest.mark.parametrize("order", range(5))
def test_slopes_of_splines(order: int) -> None:
    random = np.random.default_rng(order)
    knots = np.cumsum(random.uniform(0.2, 1, (2, 8 + order)), axis=1)
    x = random.uniform(knots.min() - 1, knots.max() + 1, (300, 2))
    x = x[(np.abs(x[:, :, None] - knots) > 1e-4).all(axis=(1, 2))]
    difference = (bases(x + STEP, knots, order) - bases(x - STEP, knots, order)) / (2 * STEP)
    np.testing.assert_allclose(slopes(x, knots, order), difference, atol=1e-7)


def targets(loss: str, kan: FloatKAN, count: int) -> Any:
    random = np.random.default_rng(5)
    if loss == "cross_entropy":
        return random.integers(0, kan.layer_sizes[-1], count)
    shape = (count, kan.layer_sizes[-1])
    return random.integers(0, 2, shape).astype(float) if loss == "logistic" else random.normal(0, 1, shape)


KINKED = {"relu", "relu6", "leaky_relu", "hardtanh", "abs", "selu"}
"""Base functions whose slope jumps, where finite differences across the jump are of neither side."""


@examples(25)
# Of order 2 and more: slopes are then continuous, and no sample need keep away from knots.
@given(kans(min_order=2), st.sampled_from(sorted(LOSSES)), st.booleans(), st.integers(0, 2**32 - 1))
def test_gradients_are_those_of_finite_differences(kan: FloatKAN, loss: str, penalised: bool, seed: int) -> None:
    kan = replace(
        kan, layers=tuple(layer.with_splines(base="silu") if layer.base in KINKED else layer for layer in kan.layers)
    )
    x = samples(kan, 12)
    y = targets(loss, kan, len(x))
    penalty = Penalty(0.3, 0.2, 0.1) if penalised else None
    _, gradients = loss_and_gradients(kan, x, y, loss, penalty)
    random = np.random.default_rng(seed)
    # Along a random direction over the parameters of all edges that there are.
    directions = []
    for layer in kan.layers:
        there = layer.edges.astype(float)
        directions.append(
            (
                random.normal(0, 1, layer.weights.shape) * there[:, :, None],
                random.normal(0, 1, layer.n_out),
            )
        )

    def moved(distance: float) -> float:
        layers = [
            layer.with_parameters(layer.weights + distance * a, layer.bias + distance * b)
            for layer, (a, b) in zip(kan.layers, directions, strict=True)
        ]
        return loss_and_gradients(replace(kan, layers=tuple(layers)), x, y, loss, penalty)[0]

    expected = sum(
        float((gradient * direction).sum())
        for found, along in zip(gradients, directions, strict=True)
        for gradient, direction in zip(found, along, strict=True)
    )
    assert (moved(STEP) - moved(-STEP)) / (2 * STEP) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@examples(12)
@given(kans(), st.data())
def test_training_with_codes_sees_what_the_network_gives(kan: FloatKAN, data: st.DataObject) -> None:
    count = len(kan.layers)
    x = samples(kan, 60)
    calibration = calibrate(kan, x, data.draw(st.lists(st.integers(1, 7), min_size=count + 1, max_size=count + 1)))
    guards = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    network = calibration.quantise(kan, guards)
    state = TrainingState(kan, calibration.scales, guards)
    outputs, _ = state.forward(FirstLayerFeatures(state, x).features(...))
    codes = calibration.scales[0].codes(kan.scale_inputs(x)).astype(np.int64)
    for layer in network.layers[:-1]:
        codes = layer.evaluate(codes)
    last = network.layers[-1]
    found = last.sums(codes) * last.steps / 2**last.guard_bits + last.offsets
    np.testing.assert_allclose(outputs, found, rtol=1e-9, atol=1e-9)


def curve() -> tuple[Any, Any]:
    x = np.random.default_rng(0).uniform(-1, 3, (300, 2))
    return x, np.sin(2 * x[:, 0]) + x[:, 1] ** 2 / 4


def test_it_learns() -> None:
    x, y = curve()
    for hidden in ([], [3]):
        kan = initial_kan([2, *hidden, 1], x)
        trained = train(kan, x, y, epochs=150, batch_size=50).kan
        error = trained.evaluate(x)[-1][:, 0] - y
        assert error.var() < 0.002 * y.var()


def test_the_same_seed_gives_the_same_network() -> None:
    x, y = curve()
    kans = [train(initial_kan([2, 2, 1], x, seed=3), x, y, epochs=3, seed=seed).kan for seed in (1, 1, 2)]
    arrays = [[layer.coefficients for layer in kan.layers] for kan in kans]
    assert all(map(np.array_equal, arrays[0], arrays[1]))
    assert not any(map(np.array_equal, arrays[0], arrays[2]))


def test_pruned_edges_stay_away_and_a_group_penalty_empties_more() -> None:
    x = np.random.default_rng(0).uniform(-1, 1, (300, 5))
    y = np.sin(2 * x[:, 0]) + x[:, 1]
    pruned = initial_kan([5, 1], x).prune(x, edges=4)
    there = pruned.layers[0].edges
    trained = train(pruned, x, y, epochs=20).kan.layers[0]
    assert np.array_equal(trained.edges, there)
    assert not trained.coefficients[~there].any()
    free, held = (
        train(initial_kan([5, 1], x), x, y, epochs=100, penalty=Penalty(l1=l1)).kan.layers[0].coefficients
        for l1 in (0.0, 0.02)
    )
    # Inputs 2 to 4 play no part.
    assert np.abs(held[0, 2:]).max() < 0.2 * np.abs(free[0, 2:]).max()
    assert np.abs(held[0, :2]).max() > 5 * np.abs(held[0, 2:]).max()


def test_early_stopping_keeps_the_best() -> None:
    random = np.random.default_rng(0)
    x, y = random.uniform(-1, 1, (30, 6)), random.normal(0, 1, 30)  # nothing to be learned but noise
    held = random.uniform(-1, 1, (200, 6)), random.normal(0, 1, 200)
    told: list[int] = []
    found = train(
        initial_kan([6, 1], x),
        x,
        y,
        epochs=400,
        validation=held,
        patience=5,
        progress=lambda done, _: told.append(done),
    )
    best = int(np.argmin(found.validation))
    assert len(found.validation) == best + 6 < 400
    assert told == list(range(1, best + 7))
    outputs = found.kan.evaluate(held[0])[-1]
    assert LOSSES["squared"](outputs, held[1][:, None])[0] == pytest.approx(min(found.validation))


def fit(**options: Any) -> None:
    x, y = curve()
    train(initial_kan([2, 1], x), **{"x": x, "y": y, "epochs": 2} | options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(x=[[1, 2, 3]]), r"x: shape \(1, 3\); must be \(n, 2\)"),
        (lambda: fit(x=[[1, np.nan]]), r"x\[0, 1\] = nan: give a finite number"),
        (lambda: fit(y=[1, 2]), "y: shape"),
        (lambda: fit(loss="hinge"), "loss = 'hinge': must be one of 'squared'"),
        (lambda: fit(loss="cross_entropy"), "give 300 integers, the classes"),
        (lambda: fit(loss="cross_entropy", y=np.ones(300, int)), "classes from 1 to 1; must lie within 0 and 0"),
        (lambda: fit(loss="logistic"), "not all zeros and ones"),
        (lambda: fit(epochs=0), "epochs = 0: must be 1 or more"),
        (lambda: fit(learning_rate=-1), "learning_rate = -1: must be a number above 0"),
        (lambda: fit(learning_rate=1e300), "training diverged in epoch 1; give a smaller one"),
        (lambda: fit(scales=[]), "scales: 0; give 2"),
        (
            lambda: fit(scales=[CodeScale(4, np.ones(n), np.zeros(n)) for n in (3, 1)]),
            r"scales\[0\]: are of 3 values, and the network has 2 there; give those that were found for it",
        ),
        (lambda: fit(seed=-1), "seed = -1: must be 0 or more"),
        (lambda: fit(penalty={"l2": 1}), "penalty: is of type dict; give a Penalty, or None"),
        (lambda: fit(validation=(curve()[0],)), "validation: give samples and targets, and weights if they have any"),
        (
            lambda: fit(scales=[CodeScale(4, np.ones(n), np.zeros(n)) for n in (2, 1)], guard_bits=-5),
            "guard_bits = -5: must be an integer from 0 to 30",
        ),
        (lambda: fit(y=np.ma.masked_array(curve()[1], np.arange(300) == 7)), r"y\[7\] is masked; give a number"),
        (lambda: fit(y=["a"] * 300), r"y: not an array of numbers; give shape \(300, 1\)"),
        (lambda: fit(loss="cross_entropy", y=[[1], [2, 3]]), "y: rows of different lengths; give 300 integers"),
        (lambda: Penalty(l1=-1), "penalty.l1 = -1: must be a number, 0 or more"),
        (lambda: initial_kan([2], [[0, 1]]), "layer_sizes"),
        (lambda: initial_kan(2, [[0, 1]]), "layer_sizes = 2: give the inputs and the nodes"),  # type: ignore[arg-type]
        (lambda: initial_kan([2, True], [[0, 1]]), r"layer_sizes\[1\] = True: must be an integer"),
        (lambda: initial_kan([2, 1], [[0, 1]], seed=-1), "seed = -1: must be 0 or more"),
        (lambda: initial_kan([2, 1], [[0, 1]], grid_size=0), "grid_size = 0: must be an integer from 1"),
        (lambda: random_kan([2, 1], 1, "none", 0), "base = 'none'"),
    ],
)
def test_what_cannot_be_is_refused(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call()


def test_guard_bits_are_by_default_those_of_the_network() -> None:
    x, y = curve()
    kan = train(initial_kan([2, 3, 1], x), x, y, epochs=30).kan
    calibration = kan.calibrate(x, [4, 4, 10], "range")
    told, given = (
        train(kan, x, y, scales=calibration.scales, guard_bits=guards, validation=(x, y), epochs=1, learning_rate=1e-12)
        for guards in (None, [2, 0])
    )
    assert told.validation == given.validation


def test_a_calibration_is_of_one_network() -> None:
    x, _ = curve()
    other = initial_kan([2, 1, 1], x).calibrate(x, 6)
    with pytest.raises(
        InputError, match=r"^scales\[1\]: are of 1 values, and the network has 2 there; give those that"
    ):
        other.quantise(initial_kan([2, 2, 1], x))
