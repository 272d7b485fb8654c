"""Formats that are derived: what is learned is learned equally well at every scale."""

import numpy as np
import pytest

from kanrtl.learner.model_batch import ModelBatch
from kanrtl.learner.spec import LearnerSpec

SCALES = (1e-6, 1e-3, 1.0, 1e3, 1e6)


def relative_errors(learners: list[LearnerSpec], inputs: list[float], targets: list[float]) -> list[float]:
    """Mean squared errors of a sine, once learned, in units of the square of its amplitude; scales by learner."""
    u = np.random.default_rng(4).uniform(-1, 1, (4000, 1))
    sine = np.sin(np.pi * u)
    x = [spec.formats.input.quantise(u * scale) for spec, scale in zip(learners, inputs, strict=True)]
    target = [spec.formats.output.quantise(sine * scale) for spec, scale in zip(learners, targets, strict=True)]
    predictions = ModelBatch(learners).learn_many(np.array(x), np.array(target))
    return [
        float(((spec.formats.output.to_float(codes) / scale - sine)[2000:] ** 2).mean())
        for spec, codes, scale in zip(learners, predictions, targets, strict=True)
    ]


@pytest.mark.parametrize("rate", [0.25, 2**-6])
def test_a_sine_is_learned_equally_well_on_grids_of_every_reach(rate: float) -> None:
    learners = [
        LearnerSpec(layer_sizes=[1, 1], grid_range=(-reach, reach), learning_rate=rate, seed=3) for reach in SCALES
    ]
    errors = relative_errors(learners, list(SCALES), [1.0] * len(SCALES))
    assert max(errors) < 1.3 * min(errors)
    assert max(errors) < (2e-4 if rate == 0.25 else 2e-3)


def test_a_sine_of_every_amplitude_is_learned_equally_well() -> None:
    learners = [
        LearnerSpec(layer_sizes=[1, 1], grid_range=(-1, 1), learning_rate=0.25, target_range=(-scale, scale))
        for scale in SCALES
    ]
    errors = relative_errors(learners, [1.0] * len(SCALES), list(SCALES))
    assert max(errors) < 1.3 * min(errors)


def test_hidden_layers_learn_equally_well_on_grids_of_every_reach() -> None:
    """The first layer's own grid is what is scaled, and the outputs."""
    learners = [
        LearnerSpec(
            layer_sizes=[1, 2, 1],
            grid_range=[(-scale, scale), (-2, 2)],
            learning_rate=0.125,
            target_range=(-1, 1),
            seed=1,
        )
        for scale in SCALES
    ]
    errors = relative_errors(learners, list(SCALES), [1.0] * len(SCALES))
    assert max(errors) < 1.3 * min(errors)
