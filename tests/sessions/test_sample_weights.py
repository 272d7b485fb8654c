"""Weights of samples: the learning rate registers times the weight, the same to the bit on every backend."""

from __future__ import annotations

import math
import re
import warnings
from typing import Any

import numpy as np
import pytest

from kanrtl import InputError, LearnerSpec, LearningWarning, Session, connect
from kanrtl.sessions.sample_weights import MOST_STEPS
from support.tiers import thorough

pytestmark = pytest.mark.usefixtures("compiled")

WEIGHTS = np.array([1, 0.5, 0.5, 0, 2, 1.3, 7, 1e-4, 1, 25, 0, 0, 0.25, 1, 1.0])

SPECS: dict[str, dict[str, Any]] = {
    "default": {},
    "smallest": {"layer_sizes": [1, 1], "spline_order": 1, "grid_size": 2},
    "hidden": {"layer_sizes": [2, 3, 1], "learning_rate": [0.2, 0.05]},
    "streaming": {"layer_sizes": [1, 2, 1], "schedule": "streaming", "pipeline": "all_registers"},
    "stochastic": {"update_rounding": "stochastic", "seed": 5},
    "logistic": {"loss": "logistic", "layer_sizes": [2, 2]},
}


def small(**fields: Any) -> LearnerSpec:
    """With few rows in its tables, as all steps are made anew where a weight differs from the last one."""
    given = {"layer_sizes": [2, 1], "grid_range": (-2, 2), "grid_size": 4, "spline_order": 2, "table_size": 8}
    return LearnerSpec(**given | {"seed": 1} | fields)


def samples(spec: LearnerSpec, count: int = len(WEIGHTS)) -> tuple[Any, Any]:
    random = np.random.default_rng(7)
    return random.uniform(-2, 2, (count, spec.n_in)), random.uniform(0, 1, (count, spec.n_out))


def contents(session: Session) -> dict[str, Any]:
    return {
        "coefficients": session.coefficients,
        "rates": session.learning_rate,
        "noise": session.backend.read_noise(),
        "status": {name: session.status[name] for name in ("samples", "saturations", "inputs_saturated")},
    }


def learned(spec: LearnerSpec, backend: str, weight: Any = WEIGHTS) -> tuple[Any, dict[str, Any]]:
    with connect(spec, backend=backend) as session, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # one of the weights rounds to zero
        predictions = session.learn_many(*samples(spec), weight=weight)
        return predictions, contents(session)


def assert_same(ours: Any, theirs: Any) -> None:
    np.testing.assert_equal(ours, theirs)


@pytest.mark.parametrize("fields", SPECS.values(), ids=SPECS)
def test_machine_code_weighs_as_numpy(fields: dict[str, Any]) -> None:
    spec = small(**fields)
    assert_same(learned(spec, "compiled"), learned(spec, "model"))


@pytest.mark.parametrize(("backend", "name"), [thorough("native", "streaming"), ("pysim", "smallest")])
def test_hardware_weighs_as_numpy(backend: str, name: str) -> None:
    spec = small(**SPECS[name])
    assert_same(learned(spec, backend), learned(spec, "model"))


@pytest.mark.parametrize("name", SPECS)
def test_one_sample_at_a_time_weighs_as_many(name: str) -> None:
    """Also what is outside of its format, and counted."""
    spec = small(**SPECS[name])
    x, target = samples(spec)
    x[3:6] *= 1000
    found = []
    for backend in ("model", "compiled"):
        with connect(spec, backend=backend) as session, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # one of the weights rounds to zero
            predictions = [session.learn(*one[:2], weight=one[2]) for one in zip(x, target, WEIGHTS, strict=True)]
            found.append((predictions, contents(session)))
    assert_same(*found)


@pytest.mark.thorough
def test_hardware_weighs_one_sample_as_numpy() -> None:
    spec = small(**SPECS["smallest"])
    found = []
    for backend in ("model", "native"):
        with connect(spec, backend=backend) as session:
            predictions = [
                session.learn(*one[:2], weight=one[2]) for one in zip(*samples(spec, 4), (0.5, 7, 1.0, 25), strict=True)
            ]
            found.append((predictions, contents(session)))
    assert_same(*found)


@pytest.mark.parametrize("backend", ["model", "compiled"])
def test_a_weight_is_the_register_times_it(backend: str) -> None:
    """Against the definition: registers that are set by hand, and large weights as several steps."""
    spec = small(layer_sizes=[2, 2, 1], learning_rate=[0.2, 0.05])
    x, target = samples(spec)
    predictions, weighted = learned(spec, backend)
    rate = spec.formats.learning_rate
    codes = np.array([layer.learning_rate_code for layer in spec.layers])
    counts = []
    with connect(spec) as by_hand:
        for sample, weight in enumerate(WEIGHTS):
            steps = max(1, math.ceil(max(weight * codes) / rate.maximum))
            counts.append(steps)
            code = np.rint(weight * codes / steps).astype(int)
            assert predictions[sample] == by_hand.predict(x[sample])
            if code.any():
                by_hand.backend.write_learning_rates(code.tolist())
                for _ in range(steps):
                    by_hand.learn(x[sample], target[sample])
        assert_same(weighted["coefficients"], by_hand.coefficients)
    assert max(counts) > 3
    assert weighted["rates"] == tuple(rate.to_float(codes))


@pytest.mark.parametrize("backend", ["model", "compiled"])
def test_weights_of_one_and_of_zero(backend: str) -> None:
    spec = small(update_rounding="stochastic")
    plain = learned(spec, backend, None)
    assert_same(learned(spec, backend, 1), plain)
    assert_same(learned(spec, backend, np.ones(len(WEIGHTS))), plain)
    with connect(spec, backend=backend) as session:
        x, target = samples(spec)
        before = contents(session)
        assert_same(session.learn_many(x, target, weight=0), session.predict_many(x))
        assert_same(session.learn(x[0], target[0], weight=0), session.predict(x[0]))
        after = contents(session)
        assert_same({**after, "status": None}, {**before, "status": None})
        one, half = (step_of(spec, backend, weight) for weight in (1, 0.5))
    # The gradient is 3; of a step half an LSB is rounded away, and of the half of one a quarter.
    rounded = 3 * 0.75 * spec.formats.step.lsb + 2 * spec.formats.coefficient.lsb
    np.testing.assert_allclose(half, one / 2, rtol=0, atol=rounded)
    assert np.abs(one).max() > 20 * spec.formats.coefficient.lsb


def step_of(spec: LearnerSpec, backend: str, weight: float) -> Any:
    """What one sample changes in the coefficients."""
    with connect(spec, backend=backend) as session:
        before = session.coefficients[0]
        session.learn([0.3, -0.4], [3], weight=weight)
        return spec.formats.coefficient.to_float(session.coefficients[0] - before)


def test_a_learning_rate_that_was_set_is_what_is_weighed() -> None:
    spec = small()
    x, target = samples(spec)
    with connect(spec, backend="compiled") as weighted, connect(spec) as plain:
        weighted.learning_rate, plain.learning_rate = 0.25, 0.125
        weighted.learn_many(x, target, weight=0.5)
        plain.learn_many(x, target)
        assert_same(weighted.coefficients, plain.coefficients)
        assert weighted.learning_rate == (0.25,)
        weighted.learning_rate = 0
        weighted.learn_many(x, target, weight=100)
        assert_same(weighted.coefficients, plain.coefficients)


@pytest.mark.parametrize("backend", ["model", "compiled"])
@pytest.mark.parametrize(
    ("weight", "line"),
    [
        ([1, -1.0], "weight[1] = -1.0: must be finite, 0 or more"),
        ([1, math.inf], "weight[1] = inf: must be finite, 0 or more"),
        ([math.nan, 1], "weight[0] = nan: give a number"),
        (-2, "weight = -2.0: must be finite, 0 or more"),
        ([1, 2, 3], "weight: shape (3,); must be (2,), a number for each sample"),
        ([[1, 2]], "weight: shape (1, 2); must be (2,), a number for each sample"),
        (["a", "b"], "weight: not an array of numbers; give one number, or one for each sample"),
        ([1, 1e6], "weight[1] = 1e+06: must be {highest} or less; divide all weights by their mean"),
        (1e300, "weight = 1e+300: must be {highest} or less; divide all weights by their mean"),
    ],
)
def test_refused_weights_change_nothing(weight: Any, line: str, backend: str) -> None:
    spec = small(learning_rate=0.25)
    highest = MOST_STEPS * spec.formats.learning_rate.to_float(spec.formats.learning_rate.maximum) / 0.25
    with connect(spec, backend=backend) as session:
        before = contents(session)
        with pytest.raises(InputError, match=rf"^{re.escape(line.format(highest=f'{highest:g}'))}$"):
            session.learn_many(*samples(spec, 2), weight=weight)
        assert_same(contents(session), before)
        session.learn_many(*samples(spec, 2), weight=[1, highest])
        assert session.status["samples"] == 1 + MOST_STEPS


@pytest.mark.parametrize("backend", ["model", "compiled"])
@pytest.mark.parametrize("loss", ["squared", "external"])
def test_refused_weights_do_not_count_what_saturates(loss: str, backend: str) -> None:
    with connect(small(layer_sizes=[1, 1], loss=loss), backend=backend) as session:
        calls = [session.learn, session.learn_many] if loss == "squared" else [session.feedback_many]
        for call in calls:
            sample = ([100.0], [100.0]) if call == session.learn else ([[100.0]], [[100.0]])
            with pytest.raises(InputError, match=r"^weight = 1e\+09: must be "):
                call(*sample, weight=1e9)
        assert (session.status["inputs_saturated"], session.status["targets_saturated"]) == (0, 0)
        with pytest.warns(LearningWarning, match=" = 100: clipped"):
            calls[-1]([[100.0]], [[100.0]], weight=0.5)
        assert (session.status["inputs_saturated"], session.status["targets_saturated"]) == (1, 1)


def test_weights_too_small_for_the_register_are_said() -> None:
    spec = small(learning_rate=0.25)
    with connect(spec) as session:
        before = contents(session)
        with pytest.warns(
            RuntimeWarning, match=r"^sample weights: the learning rate of 2 of 3 samples rounds to zero in"
        ):
            session.learn_many(*samples(spec, 3), weight=[1e-9, 0, 1e-9])
        assert_same(session.coefficients, before["coefficients"])


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("backend", ["model", "compiled"])
def test_weights_too_small_for_the_steps_are_said(backend: str) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=0.25)
    line = r"^sample weights: the learning rate of 1 of 1 samples is so low that their steps .* set step_format"
    with connect(spec, backend) as session:
        for call in (
            lambda: session.learn(0.3, 1, weight=0.001),
            lambda: session.learn_many([[0.3]], [[1]], weight=0.001),
        ):
            with pytest.warns(RuntimeWarning, match=line):
                call()
        assert not session.coefficients[0].any()
