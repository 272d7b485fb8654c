"""One sample at a time in machine code, where it goes as real numbers: the bits, counts and refusals of numpy."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kanrtl import InputError, LearnerSpec, Session, connect
from kanrtl.arrays import RowBuffer, as_reals

SPEC = LearnerSpec(
    layer_sizes=[2, 1],
    grid_range=(-2, 2),
    grid_size=3,
    spline_order=1,
    table_size=16,
    activation_format="SQ(3, 8)",
    update_rounding="stochastic",
)
# Those of tests/sessions/test_learner_session.py, so that both compile them once.
SPECS = {
    "squared": SPEC.replace(schedule="streaming"),
    "external": SPEC.replace(loss="external", teaching="after_prediction"),
}

LSB = 2.0**-8
EXTREME = st.one_of(
    st.floats(allow_nan=False),
    st.sampled_from([math.inf, -math.inf, 1.7e308, -1.7e308, 5e-324, -0.0, 4.0, -4.0, 4 - LSB]),
    st.integers(-1100, 1100).map(lambda half: half * LSB / 2),  # codes, and ties between two of them
    st.tuples(st.integers(-1100, 1100), st.sampled_from([-math.inf, math.inf])).map(
        lambda near: math.nextafter(near[0] * LSB / 2, near[1])
    ),
)


@cache
def pair(which: str, backend: str) -> tuple[Session, Session]:
    """The integer model and the same learner in machine code, which are made once."""
    return connect(SPECS[which]), connect(SPECS[which], backend)


@pytest.fixture(params=["compiled", "native"])
def pairs(request: pytest.FixtureRequest, compiled: None) -> Any:  # noqa: ARG001  compiled quickly for tests
    return lambda which: pair(which, request.param)


def state(session: Session) -> dict[str, Any]:
    """What the two must have in common."""
    status = session.status
    return {
        "coefficients": session.coefficients,
        "noise": session.backend.read_noise(),
        **{key: status[key] for key in ("samples", "saturations", "inputs_saturated", "targets_saturated")},
    }


def both(sessions: tuple[Session, Session], call: Any) -> Any:
    ours, theirs = (call(session) for session in sessions)
    np.testing.assert_array_equal(ours, theirs)
    assert ours.dtype == theirs.dtype == np.float64
    return ours


@pytest.mark.filterwarnings("ignore::kanrtl.LearningWarning")
def test_extreme_values_become_the_same_codes(pairs: Any) -> None:
    squared, external = pairs("squared"), pairs("external")

    @settings(max_examples=100, deadline=None)
    @given(st.tuples(EXTREME, EXTREME), EXTREME.filter(math.isfinite))
    def check(x: tuple[float, float], y: float) -> None:
        both(squared, lambda session: session.predict(x))
        both(squared, lambda session: session.learn(list(x), y))
        both(external, lambda session: session.predict(np.array(x)))
        for session in external:
            session.feedback([y])

    check()
    for sessions in (squared, external):
        np.testing.assert_equal(*map(state, sessions))
        assert sessions[0].status["inputs_saturated"] > 20
        assert sessions[0].status["targets_saturated"] > 3  # as many as are drawn: about twenty


@pytest.mark.parametrize(
    "x",
    [
        [0.5, -1],
        (1, 2),
        np.array([0.5, 1.25], dtype=np.float32),
        np.array([1, -2], dtype=np.int8),
        np.array([2**63, 1], dtype=np.uint64),
        np.array([True, False]),
        np.array([0.1, 9, 0.7, 9])[::2],
        [np.float64(0.3), 1.0],
        [np.float32(0.3), np.int64(1)],
        [True, 0.25],
        [2**60, 1],
        np.ma.masked_array([0.5, 1.5], [False, False]),
        range(2),
    ],
    ids=repr,
)
def test_every_kind_of_numbers_is_taken(pairs: Any, x: Any) -> None:
    sessions = pairs("squared")
    both(sessions, lambda session: session.predict(x))
    for target in (1, 0.5, [0.25], (1,), np.array(0.5), np.array([1]), np.float64(0.1), np.float32(0.1), True):
        both(sessions, lambda session, target=target: session.learn(x, target))
    np.testing.assert_equal(*map(state, sessions))


@pytest.mark.parametrize(
    ("x", "target"),
    [
        ([0.5], 1.0),
        ([0.5, math.nan], 1.0),
        ([0.5, math.nan], [math.nan]),
        ([0.5, 1.0], math.nan),
        ([0.5, 1.0], math.inf),
        ([0.5, 1.0], [-math.inf]),
        ([math.nan, 1.0], [1.0, 2.0]),
        (np.array([math.nan, 0]), 1),
        (np.ma.masked_array([0.5, 1.5], [False, True]), 1.0),
        ([[0.5, 1.0]], 1.0),
        ("12", 1.0),
        (["1", "2"], 1.0),
        ([0.5, 2**70], 1.0),
        ([0.5, -(10**400)], 1.0),
        ([math.nan, 10**400], 1.0),
        (list(np.ma.masked_array([0.5, 1.5], [False, True])), 1.0),
        ([0.5, None], 1.0),
        ([0.5, 1j], 1.0),
        ([[1], [1, 2]], 1.0),
        (3.0, 1.0),
        ([0.5, 1.0], [1.0, 2.0]),
        ([0.5, 1.0], "1"),
        ([0.5, 1.0], None),
        ([0.5, 1.0], 2**70),
    ],
    ids=repr,
)
def test_what_is_refused_is_refused_alike(pairs: Any, x: Any, target: Any) -> None:
    sessions = pairs("squared")
    before = [state(session) for session in sessions]
    messages = []
    for session in sessions:
        with pytest.raises(InputError) as caught:
            session.learn(x, target)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    np.testing.assert_equal([state(session) for session in sessions], before)


def test_predictions_are_arrays_of_their_own(pairs: Any) -> None:
    _, native = pairs("squared")
    first = native.predict([0.5, -0.5])
    kept = first.copy()
    native.learn([1.0, 1.0], 3.0)
    native.predict([-1.0, -1.0])
    np.testing.assert_array_equal(first, kept)


def test_feedback_is_for_the_last_prediction_whichever_call_made_it(pairs: Any) -> None:
    sessions = pairs("external")
    for session in sessions:
        session.predict([1.5, -1.5])
        session.predict_many([[0.1, 0.2], [-0.4, 0.6]])
        with pytest.raises(InputError, match=r"^gradient = nan: give a number$"):
            session.feedback(math.nan)
        with pytest.raises(InputError, match=r"^gradient = -inf: give a finite number$"):
            session.feedback(-math.inf)
        session.feedback(-0.75)
        with pytest.raises(InputError, match="there is no prediction"):
            session.feedback(1.0)
        with pytest.raises(InputError, match='loss = "external"'):
            session.learn([0.1, 0.2], 1.0)
    np.testing.assert_equal(*map(state, sessions))


@pytest.mark.parametrize("backend", ["compiled", "native"])
def test_a_frozen_and_a_closed_session(backend: str, compiled: None) -> None:  # noqa: ARG001
    session = connect(SPECS["squared"], backend)
    session.frozen = True
    before = session.coefficients
    session.learn([0.5, 0.5], 2.0)
    np.testing.assert_equal(session.coefficients, before)
    session.close()
    for call in (
        lambda: session.predict([0.5, 0.5]),
        lambda: session.learn([0.5, 0.5], 1.0),
        lambda: session.predict_many([[0, 0]]),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            call()


@given(
    st.one_of(
        EXTREME,
        st.integers(-(2**80), 2**80),
        st.booleans(),
        st.none(),
        st.text(max_size=2),
        st.lists(st.one_of(EXTREME, st.just(math.nan), st.integers(-(2**80), 2**80), st.booleans()), max_size=3),
    ),
    st.integers(1, 3),
)
def test_a_buffer_takes_what_numpy_takes(values: Any, count: int) -> None:
    """What it takes is what :func:`as_reals` makes of it, except that NaN is not looked at."""
    buffer = RowBuffer(count)
    if not buffer.fill(values):
        return
    given = np.atleast_1d(np.asarray(values))
    assert given.dtype.kind in "biuf"
    np.testing.assert_array_equal(buffer.row, given.astype(np.float64))
    if not np.isnan(buffer.row).any():
        np.testing.assert_array_equal(np.atleast_1d(as_reals("x", values, "numbers")), buffer.row)


@pytest.mark.usefixtures("compiled")
def test_inputs_of_more_bits_than_a_float_saturate_at_their_ends() -> None:
    spec = LearnerSpec(
        layer_sizes=[1, 1],
        grid_range=(-2, 2),
        input_format="SQ(3, 52)",
        initial_coefficients=[[[list(range(-5, 6))]]],
    )
    x = np.array([[3.99], [4.0], [10.0], [-4.0], [-4.1]])
    found = []
    for backend in ("model", "compiled", "pysim"):
        with connect(spec, backend) as session:
            one_by_one = [session.predict(row).tolist() for row in x]
            assert session.predict_many(x).tolist() == one_by_one
            found.append((one_by_one, session.status["inputs_saturated"]))
    assert found[1] == found[0]
    assert found[2] == found[0]
    assert found[0][1] == 6
