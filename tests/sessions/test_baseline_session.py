"""The session of a baseline: the same calls and the same bits on every backend."""

import warnings
from importlib import import_module

import numpy as np
import pytest

from kanrtl import InputError, LearnerSpec, LearningWarning, connect
from kanrtl.baselines import LmsSpec, MlpSpec
from kanrtl.baselines.baseline_spec import BaselineSpec
from kanrtl.sessions.baseline_session import connect_baseline

SPEC = LmsSpec(n_in=2, n_out=2, degree=2, normalisation="table", learning_rate=0.7)


def run(backend: str) -> dict[str, object]:
    random = np.random.default_rng(0)
    x, target = random.uniform(-1.2, 1.2, (24, 2)), random.uniform(-2.5, 2.5, (24, 2))
    with connect_baseline(SPEC, backend) as learner:
        with pytest.warns(
            LearningWarning, match=r"^target = .*: clipped to what SQ\(2, 14\) holds, .* a wider target_range"
        ):
            predictions = [learner.learn_many(x[:16], target[:16])]
        predictions.append(learner.predict_many(x[16:]))
        learner.frozen = True
        predictions.append(learner.learn_many(x[16:], target[16:]))
        learner.frozen, learner.learning_rate = False, 0.25
        predictions.append(learner.learn(x[0], target[0])[None])
        learner.weights = [layer + 3 for layer in learner.weights]
        predictions.append(learner.predict(x[1])[None])
        keys = ("samples", "saturations", "inputs_saturated", "targets_saturated")
        status = {key: learner.status[key] for key in keys}
        return {
            "predictions": np.concatenate(predictions).tolist(),
            "weights": [layer.tolist() for layer in learner.weights],
            "rate": learner.learning_rate,
            **status,
        }


def test_a_counter_that_is_full_says_so() -> None:
    with connect_baseline(LmsSpec(n_in=1, target_range=(-0.1, 0.1))) as learner:
        learner.weights = [np.full((1, 2), learner.spec.sums[0].coefficient.maximum)]
        assert learner.status["counters_full"] == []
        learner.predict_many(np.ones((70_000, 1)))
        status = learner.status
    assert status["saturations"][status["counters_full"][0]] == 65535


@pytest.mark.usefixtures("compiled")
def test_all_backends_do_the_same() -> None:
    found = {backend: run(backend) for backend in ("model", "pysim", "native")}
    assert found["pysim"] == found["model"]
    assert found["native"] == found["model"]
    assert found["model"]["inputs_saturated"]
    assert found["model"]["targets_saturated"]


@pytest.mark.parametrize("spec", [SPEC, MlpSpec(n_in=2, n_out=2, hidden=3, seed=4, target_range=(-2, 2))])
@pytest.mark.parametrize("backend", ["model", "pysim"])
def test_what_is_restored_does_the_same_again(backend: str, spec: BaselineSpec) -> None:
    x = np.random.default_rng(1).uniform(-3, 3, (12, 2))
    with connect_baseline(spec, backend) as learner, warnings.catch_warnings():
        warnings.simplefilter("ignore", LearningWarning)
        start = [layer.tolist() for layer in learner.weights]
        first, status = learner.learn_many(x, x), learner.status
        assert status["inputs_saturated"]
        learner.learning_rate = learner.learning_rate / 2
        learner.clear_counters()
        cleared = learner.status
        assert not (cleared["inputs_saturated"])
        assert not (cleared["targets_saturated"])
        assert not (any(cleared["saturations"].values()))
        assert [layer.tolist() for layer in learner.weights] != start
        learner.restore()
        assert [layer.tolist() for layer in learner.weights] == start
        assert learner.learn_many(x, x).tolist() == first.tolist()
        kinds = "saturations", "inputs_saturated", "targets_saturated"
        assert {kind: learner.status[kind] for kind in kinds} == {kind: status[kind] for kind in kinds}


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InputError, match=r"^backend = 'verilator': must be 'model', 'pysim' or 'native'$"):
        connect_baseline(SPEC, "verilator")
    for backend in (None, 5, []):
        with pytest.raises(InputError, match=r"^backend = .*: must be 'model', 'pysim' or 'native'$"):
            connect_baseline(SPEC, backend)  # type: ignore[arg-type]
    with connect_baseline(SPEC) as learner:
        with pytest.raises(InputError, match="x: shape"):
            learner.learn([1], [1, 1])
        uneven, other = "rows of different lengths", "not an array of numbers"
        for x, what in (([[1, 2], [3]], uneven), (None, other), ("x", other)):
            with pytest.raises(InputError, match=rf"^x: {what}; give shape \(2,\)$"):
                learner.predict(x)  # type: ignore[arg-type]
            with pytest.raises(InputError, match=rf"^target: {what}; give shape \(2,\)$"):
                learner.learn([1, 1], x)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="target: shape"):
            learner.learn([1, 1], [1])
        with pytest.raises(InputError, match=r"target.* = inf: give a finite"):
            learner.learn([1, 1], [1, float("inf")])
        with pytest.raises(InputError, match="weights: give a list of arrays, one for each layer, here 1"):
            learner.weights = [np.zeros((2, 5), dtype=int)] * 2
        for weights in (5, None, "w"):
            with pytest.raises(InputError, match=r"^weights: give a list of arrays, one for each layer, here 1$"):
                learner.weights = weights  # type: ignore[assignment]
        with pytest.raises(InputError, match=r"weights\[0\]: must be integer codes of shape \(2, 5\)"):
            learner.weights = [np.zeros((2, 5))]
        with pytest.raises(InputError, match=r"weights\[0\]: rows of different lengths; give integer codes"):
            learner.weights = [[[1, 2], [3]]]  # type: ignore[list-item]
        with pytest.raises(InputError, match=r"weights\[0\]: codes must be from"):
            learner.weights = [np.full((2, 5), 1 << 40)]
        with pytest.raises(InputError, match="learning_rate = 9"):
            learner.learning_rate = 9


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("backend", ["model", "pysim", "native"])
def test_feedback_teaches_the_sample_that_was_predicted(backend: str) -> None:
    """Gradients that are what a squared loss has give the same weights."""
    random, fields = np.random.default_rng(0), {"n_in": 2, "learning_rate": 0.25}
    x, target = random.uniform(-1, 1, (8, 2)), random.uniform(-0.5, 0.5, (8, 1))
    with connect_baseline(LmsSpec(**fields)) as learner:
        wanted = learner.learn_many(x, target)
        weights = learner.weights
    spec = LmsSpec(**fields, loss="external")
    with connect_baseline(spec, backend) as learner:
        found = []
        for sample, goal in zip(x, target, strict=True):
            found.append(learner.predict(sample))
            learner.feedback(found[-1] - goal)
            with pytest.raises(InputError, match=r"^feedback: there is no prediction to give it for; call predict"):
                learner.feedback([0.0])
        assert np.abs(np.array(found) - wanted).max() < 3 * spec.output_format.lsb
        assert np.abs(learner.weights[0] - weights[0]).max() < 3 << spec.guard_bits
        assert learner.status["samples"] == 16
    with connect_baseline(spec, backend) as learner:
        assert learner.feedback_many(x, np.array(found) - target).tolist() == np.array(found).tolist()


def test_targets_and_gradients_are_not_confused() -> None:
    with connect_baseline(LmsSpec(n_in=1, loss="external")) as learner:
        with pytest.raises(InputError, match=r'^learn: the spec has loss = "external"; call predict, then feedback$'):
            learner.learn([0.5], [0.5])
        with pytest.raises(InputError, match=r'^learn_many: the spec has loss = "external"; call feedback_many$'):
            learner.learn_many([[0.5]], [[0.5]])
        learner.predict([0.5])
        for gradient in ([np.nan], [0.1, 0.2], "x"):
            with pytest.raises(InputError, match=r"^gradient"):
                learner.feedback(gradient)
        assert learner.status["samples"] == 1
        learner.feedback([0.5])
    with connect_baseline(LmsSpec(n_in=1)) as learner:
        with pytest.raises(InputError, match=r'^feedback: the spec has loss = "squared"; set loss = "external", or'):
            learner.feedback([0.5])
        with pytest.raises(InputError, match=r"^feedback_many: .* or call learn_many$"):
            learner.feedback_many([[0.5]], [[0.5]])


def test_the_ends_of_a_range_are_within_it() -> None:
    with connect_baseline(LmsSpec(n_in=2, input_range=(-2, 4))) as learner:
        learner.predict_many([[4.0, -2.0], [4, 4]])
        assert learner.status["inputs_saturated"] == 0
        learner.predict([4.01, -5])  # the format goes down to -4
        assert learner.status["inputs_saturated"] == 2


def test_a_rate_that_is_rounded_names_what_can_be_set() -> None:
    with connect_baseline(LmsSpec(n_in=1)) as learner, pytest.warns(LearningWarning) as caught:
        learner.learning_rate = 0.0003
    [message] = [str(warning.message) for warning in caught]
    assert message.endswith("give a multiple of 0.000244140625, or give a lower learning_rate in the spec")


def test_a_learner_is_no_baseline() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-1, 1))
    with pytest.raises(InputError, match=r"^spec: is of type LearnerSpec; give the spec of a baseline; kanrtl.connect"):
        connect_baseline(spec)  # type: ignore[arg-type]


def test_a_refused_call_counts_nothing() -> None:
    with connect_baseline(LmsSpec(n_in=1)) as learner:
        for x, target in (
            ([[9.0]], [[0.0], [0.0]]),
            ([[9.0]], [[np.nan]]),
            ([[9.0]], [[np.inf]]),
            ([[9.0]], [[1.0, 1]]),
        ):
            with pytest.raises(InputError, match=r"^target"):
                learner.learn_many(x, target)
        assert (learner.status["inputs_saturated"], learner.status["samples"]) == (0, 0)
        learner.learn_many([[9.0]], [[0.0]])
        assert (learner.status["inputs_saturated"], learner.status["samples"]) == (1, 1)


def test_the_way_to_it_is_told() -> None:
    with pytest.raises(InputError) as raised:
        connect(LmsSpec(n_in=1))  # type: ignore[call-overload]
    path = str(raised.value).rpartition(" ")[2]
    module, _, name = path.rpartition(".")
    assert getattr(import_module(module), name) is connect_baseline


def test_what_was_predicted_before_is_not_taught_after_a_restart() -> None:
    with connect_baseline(LmsSpec(n_in=1, loss="external")) as learner:
        for forget in (learner.restore, lambda: setattr(learner, "weights", learner.weights)):
            learner.predict([0.5])
            forget()
            with pytest.raises(InputError, match=r"^feedback: there is no prediction to give it for; call predict"):
                learner.feedback([0.5])
