"""The curves that are drawn are those that the hardware computes."""

import numpy as np
import pytest

from kanrtl import LearnerSpec, connect
from kanrtl.sessions.edge_curves import evaluate_edges, find_layer_inputs

WIDE = {"grid_range": (-2, 2), "grid_size": 4, "table_size": 16}
SPECS = {
    "plain": LearnerSpec(layer_sizes=[2, 1], **WIDE),
    "linear": LearnerSpec(layer_sizes=[2, 2], linear=True, **WIDE),
    "periodic": LearnerSpec(layer_sizes=[1, 2], periodic=True, **WIDE),
    "hidden": LearnerSpec(layer_sizes=[2, 3, 1], **WIDE),
    "modulated": LearnerSpec(layer_sizes=[1, 2, 1], modulated=True, **WIDE),
    "complex": LearnerSpec(layer_sizes=[2, 2], modulated="complex", **WIDE),
}


@pytest.mark.parametrize("which", SPECS)
def test_sums_of_curves_are_predictions(which: str) -> None:
    spec, random = SPECS[which], np.random.default_rng(3)
    with connect(spec) as learner:
        coefficients = [random.integers(-2000, 2000, layer.shape) for layer in learner.coefficients]
        learner.coefficients = coefficients
        x = random.uniform(-3, 3, (40, spec.n_in))
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
