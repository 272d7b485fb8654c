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
        ({"hidden_shift": -1}, "hidden_shift = -1: must be an integer from 0 to 8"),
        ({"n_in": 40, "hidden": 100}, "n_in = 40: makes 4201 weights; at most 1024 are built"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError) as raised:
        MlpSpec(**{"n_in": 1, **fields})
    assert str(raised.value) == message
