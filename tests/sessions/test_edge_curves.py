"""The curves that are drawn are those that the hardware computes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kanrtl import LearnerSpec, connect
from kanrtl.sessions.edge_curves import evaluate_edges, find_layer_inputs

WIDE = {"grid_range": (-2, 2), "grid_size": 4, "table_size": 16}
SPECS = {
    "plain": LearnerSpec(layer_sizes=[2, 1], **WIDE),
    "linear": LearnerSpec(layer_sizes=[2, 2], linear=True, **WIDE),
    "periodic": LearnerSpec(layer_sizes=[1, 2], periodic=True, **WIDE),
    "hidden": LearnerSpec(layer_sizes=[2, 3, 1], **WIDE),
    "far": LearnerSpec(layer_sizes=[2, 3, 1], grid_range=[(-100, 100), (-2, 2)], linear=True, outside="learn"),
    "saturated": LearnerSpec(
        layer_sizes=[2, 3, 1],
        periodic=[False, True],
        activation_format="SQ(2, 14)",
        coefficient_format=["SQ(6, 8)", "SQ(6, 14)"],
        **WIDE,
    ),
    "modulated": LearnerSpec(layer_sizes=[1, 2, 1], modulated=True, **WIDE),
    "complex": LearnerSpec(layer_sizes=[2, 2], modulated="complex", **WIDE),
}


@pytest.mark.parametrize("which", SPECS)
def test_sums_of_curves_are_predictions(which: str) -> None:
    spec, random = SPECS[which], np.random.default_rng(3)
    with connect(spec) as learner:
        coefficients = [random.integers(-2000, 2000, layer.shape) for layer in learner.coefficients]
        learner.coefficients = coefficients
        x = random.uniform(-1.5, 1.5, (40, spec.n_in)) * spec.layers[0].grid_max
        expected = learner.predict_many(x)
    seen = find_layer_inputs(spec, coefficients, x)
    assert [rows.shape for rows in seen] == [(40, layer.n_in) for layer in spec.layers]
    last = spec.layers[-1]
    curves = evaluate_edges(last, coefficients[-1], seen[-1])
    if which == "complex":
        u = x.reshape(40, 2, 3)[:, :, 0] + 1j * x.reshape(40, 2, 3)[:, :, 1]
        y = ((curves[:, 0] + 1j * curves[:, 1]) * u).sum(axis=1)
        found = np.stack([y.real, y.imag], axis=1)
    else:
        found = curves.sum(axis=2)
    # Hidden layers are rounded, which the curves leave out.
    assert np.abs(found - expected).max() < (0.01 if spec.n_layers == 1 else 0.1)


@st.composite
def one_layers(draw: st.DrawFn) -> LearnerSpec:
    kind: dict[str, Any] = draw(st.sampled_from([{}, {"linear": True}, {"periodic": True, "grid_size": 8}]))
    return LearnerSpec(
        layer_sizes=[draw(st.integers(1, 3)), draw(st.integers(1, 2))],
        grid_range=draw(st.sampled_from([(-2, 2), (-1, 1), (0, 3), (-100, 100), (-1e-6, 1e-6), (0.1, 30)])),
        spline_order=draw(st.integers(1, 3)),
        **kind,
    )


@settings(max_examples=25)
@given(one_layers(), st.integers(0, 1 << 32))
@example(LearnerSpec(layer_sizes=[1, 1], grid_range=(-100, 100), linear=True, target_range=(-2, 2)), 0)
@example(LearnerSpec(layer_sizes=[1, 1], grid_range=(-1, 1), grid_size=8, periodic=True, input_format="SQ(1, 15)"), 0)
def test_one_layer_predicts_the_sums_of_its_curves(spec: LearnerSpec, seed: int) -> None:
    (layer,), random = spec.layers, np.random.default_rng(seed)
    low, high = spec.per_layer("grid_range")[0]
    x = random.uniform(2 * low - high, 2 * high - low, (20, spec.n_in))
    shape = (layer.n_out, layer.n_in, layer.coefficients)
    with connect(spec) as learner:
        learner.coefficients = coefficients = [random.integers(-2000, 2000, shape)]
        predicted = learner.predict_many(x)
    output = layer.formats.output
    sums = evaluate_edges(layer, coefficients[0], x).sum(axis=2)
    limits = output.to_float([output.minimum, output.maximum])
    assert np.abs(np.clip(sums, *limits) - predicted).max() <= output.lsb
