"""A perceptron in integers: against backpropagation in floats, and on function tracking."""

import numpy as np
import pytest

from kanrtl import SpecError
from kanrtl.baselines import MlpSpec, create_model
from kanrtl.sim import TASKS


@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
def test_steps_are_those_of_backpropagation(activation: str) -> None:
    """As scikit-learn's or torch's SGD on half the squared error would take them, but for what is rounded."""
    spec = MlpSpec(n_in=3, n_out=2, hidden=6, activation=activation, width=18, guard_bits=8, seed=3)
    model, random = create_model(spec), np.random.default_rng(0)
    inner, outer = (
        layer.coefficient.to_float(codes) for layer, codes in zip(spec.sums, spec.initial_codes(), strict=True)
    )
    for _ in range(120):
        ones = np.append(random.uniform(-1, 1, 3), 1)
        knees = np.abs(inner @ ones) - (activation == "hard_tanh")
        if np.abs(knees).min() < 0.01:
            continue  # where rounding decides on which side of a knee it is
        x = spec.unit_format.quantise(ones[:-1])
        target = spec.target_format.quantise(random.uniform(-1, 1, 2))
        y = model.run(x[None], target[None], np.array([True]))[0]
        ones = np.append(spec.unit_format.to_float(x), 1)
        z = inner @ ones
        a = np.maximum(z, 0) if activation == "relu" else np.clip(z, -1, 1)
        slope = z > 0 if activation == "relu" else np.abs(z) < 1
        prediction = outer @ np.append(a, 1)
        step = 0.125 * (prediction - spec.target_format.to_float(target))
        down = slope * (outer[:, :-1].T @ step)
        outer = outer - np.outer(step, np.append(a, 1))
        inner = inner - np.outer(down, ones)
        assert spec.output_format.to_float(y) == pytest.approx(prediction, abs=2e-3)
    weights = [layer.coefficient.to_float(codes) for layer, codes in zip(spec.sums, model.weights, strict=True)]
    assert np.concatenate([layer.ravel() for layer in weights]) == pytest.approx(
        np.concatenate([inner.ravel(), outer.ravel()]), abs=2e-3
    )


def test_it_follows_a_function_that_switches() -> None:
    task = TASKS["track"](900, 0)
    spec = MlpSpec(n_in=1, hidden=16, input_range=(-2, 2), target_range=(-3, 3), learning_rate=0.125)
    codes = spec.input_format.quantise(task.x), spec.target_format.quantise(task.target)
    y = create_model(spec).run(*codes, np.ones(900, dtype=bool))
    assert np.mean((spec.output_format.to_float(y) - task.target)[200:300] ** 2) < 0.02


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden": 0}, "hidden = 0: must be an integer from 1 to 256"),
        ({"activation": "tanh"}, "activation = 'tanh': must be 'relu' or 'hard_tanh'"),
        ({"hidden_shift": -9}, "hidden_shift = -9: must be an integer from -8 to 8"),
        (
            {"n_in": 40, "hidden": 100},
            "n_in = 40, hidden = 100, n_out = 1: makes 4201 weights; at most 1024 are built, or 16384 folded: set "
            "reuse_factor",
        ),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as raised:
        MlpSpec(**{"n_in": 1, **fields})
    assert str(raised.value) == message


@pytest.mark.parametrize("activation", ["relu", "hard_tanh"])
def test_it_learns_the_same_on_every_scale(activation: str) -> None:
    """Code for code, where the scales of targets differ by a power of two, and the formats of all have fractions."""
    random, found = np.random.default_rng(1), {}
    x, target = random.uniform(-1, 1, (200, 2)), random.uniform(-1, 1, (200, 2))
    for reach in (-12, -3, 0, 5, 9):
        scale = 2.0**reach
        spec = MlpSpec(n_in=2, n_out=2, hidden=5, activation=activation, target_range=(-scale, scale))
        model = create_model(spec)
        codes = spec.input_format.quantise(x), spec.target_format.quantise(scale * target)
        y = model.run(*codes, np.ones(200, dtype=bool))
        found[reach] = (y.tolist(), [layer.tolist() for layer in model.weights], model.saturations)
    assert all(one == found[0] for one in found.values())
    assert np.ptp(found[0][0]) > 1000


@pytest.mark.parametrize("reach", [2.0**-12, 0.01, 1.0, 100.0, 2.0**12])
def test_what_it_starts_with_fits(reach: float) -> None:
    spec = MlpSpec(n_in=1, n_out=4, hidden=4, target_range=(-reach, reach))
    for layer, codes in zip(spec.sums, spec.initial_codes(), strict=True):
        assert np.abs(layer.coefficient.to_float(codes)).max() < -layer.coefficient.to_float(layer.coefficient.minimum)
        assert np.abs(codes).max() < layer.coefficient.maximum


def test_a_hidden_layer_that_learns_faster_takes_larger_steps() -> None:
    random = np.random.default_rng(0)
    x, target = random.uniform(-1, 1, (1, 1)), random.uniform(-1, 1, (1, 1))
    changes = {}
    for shift in (-4, 0, 4):
        spec = MlpSpec(n_in=1, hidden=4, hidden_shift=shift, width=18, guard_bits=10)
        model = create_model(spec)
        model.run(spec.input_format.quantise(x), spec.target_format.quantise(target), np.array([True]))
        first = spec.sums[0].coefficient
        changes[shift] = first.to_float(model.weights[0]) - first.to_float(spec.initial_codes()[0])
    assert np.abs(changes[0]).max() > 0.01
    assert changes[-4] == pytest.approx(16 * changes[0], rel=0.01, abs=1e-4)
    assert changes[4] == pytest.approx(changes[0] / 16, rel=0.02, abs=1e-5)
