"""Gradients that are computed elsewhere: for the last sample, for one before it, and for many at once."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from kanrtl import InputError, LearnerSpec, Model, Session, connect
from kanrtl.sessions.sample_history import REMEMBERED
from support.tiers import only

# Those of tests/sessions/test_learner_session.py, so that both compile them once.
SMALL = LearnerSpec(
    layer_sizes=[2, 1],
    grid_range=(-2, 2),
    grid_size=3,
    spline_order=1,
    table_size=16,
    activation_format="SQ(3, 8)",
    update_rounding="stochastic",
    loss="external",
)
AFTER = SMALL.replace(teaching="after_prediction")
CASES = {
    ("with_sample", "model"): SMALL,
    ("with_sample", "pysim"): SMALL,
    ("after_prediction", "pysim"): AFTER,
    ("after_prediction", "native"): AFTER,
    ("two layers", "model"): SMALL.replace(layer_sizes=[2, 2, 2]),
    ("two layers", "compiled"): SMALL.replace(layer_sizes=[2, 2, 2]),
}
X = np.random.default_rng(1).uniform(-2, 2, (9, 2))
GRADIENTS = np.random.default_rng(2).uniform(-1, 1, (9, 2))


@cache
def started(case: tuple[str, str]) -> Session:
    """A session that is made once, as simulations take their time to start."""
    return connect(CASES[case], case[1])


@pytest.fixture(params=only(lambda case: case[1] != "native", CASES), ids=" ".join)
def session(request: pytest.FixtureRequest, compiled: None) -> Session:  # noqa: ARG001  native compiles for tests
    """A session that has learned nothing, but for its numbers of samples."""
    session = started(request.param)
    session.coefficients = session.spec.initial_codes()
    session.backend.write_noise(1)
    return session


def model_of(session: Session) -> Model:
    model = Model(session.spec)
    model.noise_state = 1
    return model


def same(session: Session, model: Model) -> None:
    for ours, theirs in zip(session.coefficients, model.coefficients, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert session.backend.read_noise() == model.noise_state
    assert any(
        (codes != first).any() for codes, first in zip(model.coefficients, session.spec.initial_codes(), strict=True)
    )


def learn(model: Model, x: Any, gradient: Any) -> None:
    spec = model.spec
    model.learn(spec.formats.input.quantise(x), spec.target_format.quantise(gradient))


def test_a_gradient_reaches_the_sample_that_it_names(session: Session) -> None:
    gradients, model = GRADIENTS[:, : session.spec.n_out], model_of(session)
    session.predict(X[0])
    first = session.last_sample
    assert isinstance(first, int)
    session.predict_many(X[1:4])
    session.predict(X[4])
    assert session.last_sample == first + 4
    # Of one call and of another, backward and forward, twice, and then that of the last sample without its name.
    for number in (2, 0, 4, 3, 0):
        session.feedback(gradients[number], sample=np.int64(first + number))
        learn(model, X[number], gradients[number])
    with pytest.raises(InputError, match=r"^feedback: there is no prediction to give it for; call predict first$"):
        session.feedback(gradients[4])
    session.predict(X[5])
    session.feedback(gradients[1], sample=first + 1)
    session.feedback(gradients[5])
    for number in (1, 5):
        learn(model, X[number], gradients[number])
    same(session, model)


def test_many_gradients_are_a_loop(session: Session) -> None:
    gradients, model = GRADIENTS[:, : session.spec.n_out], model_of(session)
    found = session.feedback_many(X, gradients)
    expected = [model.predict(session.spec.formats.input.quantise(X[0]))]
    for x, gradient, after in zip(X, gradients, [*X[1:], X[0]], strict=True):
        learn(model, x, gradient)
        expected.append(model.predict(session.spec.formats.input.quantise(after)))
    np.testing.assert_array_equal(found, session.spec.formats.output.to_float(np.array(expected[:-1])))
    same(session, model)
    assert session.feedback_many(np.zeros((0, 2)), gradients[:0]).shape == (0, session.spec.n_out)


@pytest.mark.parametrize("backend", ["model", "pysim", "compiled"])
@pytest.mark.usefixtures("compiled")
def test_many_gradients_stream(backend: str) -> None:
    spec = SMALL.replace(schedule="streaming")
    session, model = connect(spec, backend), Model(spec)
    session.feedback_many(X, GRADIENTS[:, :1])
    x, gradients = spec.formats.input.quantise(X), spec.target_format.quantise(GRADIENTS[:, :1])
    model.run(x, gradients, np.ones(len(x), dtype=bool), range(len(x)))
    model.settle()
    np.testing.assert_array_equal(session.coefficients[0], model.coefficients[0])


def test_weights_scale_gradients() -> None:
    ours, theirs = connect(SMALL), connect(SMALL)
    theirs.learning_rate = 0.25
    ours.feedback_many(X, GRADIENTS[:, :1], weight=2)
    theirs.feedback_many(X, GRADIENTS[:, :1])
    np.testing.assert_array_equal(ours.coefficients[0], theirs.coefficients[0])


def test_what_is_long_ago_is_forgotten() -> None:
    session, model = connect(SMALL), Model(SMALL)
    x = np.random.default_rng(3).uniform(-2, 2, (REMEMBERED + 7, 2))
    session.predict_many(x[:5])
    session.predict_many(x[5:])
    for number in (7, REMEMBERED + 6, REMEMBERED):
        session.feedback(0.5, sample=number)
        learn(model, x[number], [0.5])
    np.testing.assert_array_equal(session.coefficients[0], model.coefficients[0])
    for number in (6, REMEMBERED + 7, -1):
        with pytest.raises(InputError) as failure:
            session.feedback(0.5, sample=number)
        assert str(failure.value) == (
            f"sample = {number}: those remembered are 7 to {REMEMBERED + 6}; name one of them, or give inputs to "
            "feedback_many"
        )
    np.testing.assert_array_equal(session.coefficients[0], model.coefficients[0])


def test_a_name_outlives_new_coefficients() -> None:
    session, model = connect(SMALL), Model(SMALL)
    session.predict(X[0])
    session.coefficients = session.coefficients
    session.feedback(-0.5, sample=0)
    learn(model, X[0], [-0.5])
    np.testing.assert_array_equal(session.coefficients[0], model.coefficients[0])


REFUSED = {
    'feedback: the spec has loss = "squared"; set loss = "external", or call learn': (
        "squared",
        lambda s: s.feedback(1, sample=0),
    ),
    'feedback_many: the spec has loss = "squared"; set loss = "external", or call learn_many': (
        "squared",
        lambda s: s.feedback_many(X, GRADIENTS[:, :1]),
    ),
    "sample = 0: nothing was predicted yet; call predict first": ("external", lambda s: s.feedback(1, sample=0)),
    "sample = 1.0: not the number of a sample; give an integer, such as last_sample": (
        "external",
        lambda s: s.feedback(1, sample=1.0),
    ),
    "sample = True: not the number of a sample; give an integer, such as last_sample": (
        "external",
        lambda s: s.feedback(1, sample=True),
    ),
    "gradient: 8 rows for 9 samples; give one for each": ("external", lambda s: s.feedback_many(X, GRADIENTS[:8, :1])),
    "gradient[3, 0] = nan: give a number": (
        "external",
        lambda s: s.feedback_many(X, np.where(np.arange(9)[:, None] == 3, np.nan, 0.0)),
    ),
    "weight = -1: must be finite, 0 or more": ("external", lambda s: s.feedback_many(X, GRADIENTS[:, :1], weight=-1)),
}


@pytest.mark.parametrize("line", REFUSED)
def test_refuses_in_one_line(line: str) -> None:
    loss, call = REFUSED[line]
    session = connect(SMALL.replace(loss=loss))
    assert session.last_sample is None
    with pytest.raises(InputError) as failure:
        call(session)
    assert str(failure.value).replace("-1.0", "-1") == line
    assert session.status["samples"] == 0


# Targets out of the range of their loss


@pytest.mark.parametrize("backend", ["model", "compiled"])
@pytest.mark.usefixtures("compiled")
def test_a_logistic_loss_takes_probabilities_alone(backend: str) -> None:
    session = connect(SMALL.replace(loss="logistic", layer_sizes=[2, 2]), backend)
    mend = 'loss = "logistic" takes 0 and 1; give classes so, or probabilities between'
    for name, call in {
        "target[1] = 1.5": lambda: session.learn(X[0], [0, 1.5]),
        "target[0] = -0.01": lambda: session.learn(X[0].tolist(), (-0.01, 1)),
        "target[2, 1] = 2": lambda: session.learn_many(X[:3], [[0, 1], [1, 0], [0.5, 2]]),
    }.items():
        with pytest.raises(InputError) as failure:
            call()
        assert str(failure.value) == f"{name}: {mend}"
    assert not any(layer.any() for layer in session.coefficients)
    assert session.status["samples"] == session.status["inputs_saturated"] == 0
    session.learn(X[0], [0.25, 1])
    session.learn(X[0], np.array([True, False]))
    assert session.status["samples"] == 2
    one = connect(SMALL.replace(loss="logistic"), backend)
    with pytest.raises(InputError, match=r"^target = 2: loss"):
        one.learn(X[0], 2)
