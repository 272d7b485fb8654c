"""The streaming schedule: delayed SGD, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest

from kanrtl import LearnerSpec, Model, connect
from kanrtl.learner.stages import PRESETS
from kanrtl.sim import TASKS, Task


def one_edge(**fields: object) -> LearnerSpec:
    return LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=0.25, schedule="streaming", **fields)


@pytest.mark.parametrize("pipeline", PRESETS)
@pytest.mark.parametrize("memory", ["distributed", "block"])
def test_an_update_is_seen_after_the_delay_and_not_before(pipeline: str, memory: str) -> None:
    spec = one_edge(pipeline=pipeline, memory=memory)
    (delay,) = spec.delays
    with connect(spec, "pysim") as learner:
        predictions = learner.learn_many(np.full((delay + 2, 1), 0.3), np.ones((delay + 2, 1)))
        assert learner.status["observed"]["interval"] == [1]
    assert predictions[:delay].tolist() == [[0.0]] * delay
    assert 0 < predictions[delay, 0] < predictions[delay + 1, 0]


def test_updates_in_flight_add_up() -> None:
    """All were made from the same coefficients, and all land."""
    spec = one_edge(update_rounding="floor", coefficient_format="SQ(6, 20)", step_format="UQ(1, 12)")
    (delay,) = spec.delays
    x, target = spec.formats.activation.quantise(np.array([0.3])), spec.formats.activation.quantise(np.array([1.0]))
    alone, together = Model(spec), Model(spec)
    alone.learn(x, target)
    for edge in range(delay):
        together.learn(x, target, edge)
    assert not together.coefficients[0].any()
    together.settle()
    assert np.array_equal(together.coefficients[0], delay * alone.coefficients[0])
    assert alone.coefficients[0].any()


def test_a_sample_taken_alone_is_learned_at_once() -> None:
    random = np.random.default_rng(1)
    x, target = random.uniform(-2, 2, (40, 1)), random.uniform(-1, 1, (40, 1))
    streaming = one_edge()
    with connect(streaming) as alone, connect(streaming.replace(schedule="sequential")) as exact:
        one_by_one = [alone.learn(*sample) for sample in zip(x, target, strict=True)]
        assert np.array_equal(one_by_one, exact.learn_many(x, target))


def test_pauses_are_seen_too() -> None:
    """An update is late in edges, not in samples."""
    spec = one_edge()
    (delay,) = spec.delays
    model = Model(spec)
    code = spec.formats.activation.quantise(np.array([1.0]))
    model.learn(code, code, 3)
    assert model.predict(code, 3 + delay - 1) == [0]
    assert model.predict(code, 3 + delay) > [0]
    with pytest.raises(
        ValueError, match=rf"^edge = {3 + delay}: must be above that of the sample before, {3 + delay}$"
    ):
        model.predict(code, 3 + delay)


def errors(task: Task, spec: LearnerSpec) -> list[float]:
    """Those at the end of each regime, and that of the whole run."""
    model, activation = Model(spec), spec.formats.activation
    predictions = [
        model.learn(x, target, edge)
        for edge, (x, target) in enumerate(
            zip(activation.quantise(task.x), activation.quantise(task.target), strict=True)
        )
    ]
    error = activation.to_float(np.array(predictions)) - task.target
    return [*task.regime_errors(error), float((error**2).mean())]


@pytest.mark.thorough
def test_track_is_learned_nearly_as_well() -> None:
    """An update seen some samples late leaves an error of what was not yet known: within a quarter of what has settled,
    and a half where all is learned anew, mean of seeds."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, spline_order=3, learning_rate=0.3)
    tasks = [TASKS["track"](1500, seed) for seed in range(4)]
    exact = np.mean([errors(task, spec) for task in tasks], axis=0)
    late = np.mean([errors(task, spec.replace(schedule="streaming")) for task in tasks], axis=0)
    assert (late[:-1] < 1.25 * exact[:-1]).all()
    assert 1.25 * exact[-1] < late[-1] < 1.5 * exact[-1]


def test_the_pipeline_changes_nothing_in_what_is_learned_sequentially() -> None:
    random = np.random.default_rng(2)
    x, target = random.uniform(-2, 2, (30, 1)), random.uniform(-1, 1, (30, 1))
    results = []
    for pipeline in PRESETS:
        spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), pipeline=pipeline)
        with connect(spec, "pysim") as learner:
            results.append((learner.learn_many(x, target).tolist(), learner.coefficients[0].tolist()))
    assert all(result == results[0] for result in results[1:])
