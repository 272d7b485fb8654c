"""One session, any backend: the same calls give the same bits, and what cannot be used is refused in one line."""

import io
import json
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from kanrtl import (
    InputError,
    KANRegressor,
    LearnerSpec,
    LearningWarning,
    LookupNetwork,
    Model,
    Session,
    SpecError,
    connect,
)
from kanrtl.baselines import LmsSpec
from kanrtl.link.transports import is_address
from kanrtl.numeric.fixed import SQ, UQ, Format
from kanrtl.sessions.baseline_session import connect_baseline
from kanrtl.sessions.saved_learner import SavedLearner
from support.linked_boards import serve_board
from support.tiers import only, thorough

SMALL = LearnerSpec(
    layer_sizes=[2, 1],
    grid_range=(-2, 2),
    grid_size=3,
    spline_order=1,
    table_size=16,
    activation_format="SQ(3, 8)",
    update_rounding="stochastic",
)
SPECS = {
    "with_sample": SMALL,
    "after_prediction": SMALL.replace(teaching="after_prediction", memory="block"),
    "external, with_sample": SMALL.replace(loss="external"),
    "external, after_prediction": SMALL.replace(loss="external", teaching="after_prediction"),
    "streaming": SMALL.replace(schedule="streaming"),
    "logistic, counted": SMALL.replace(loss="logistic", counts=["lost", "outside"]),
    "folded": SMALL.replace(reuse_factor=2, update_rounding="half_up"),
}


# Each costs a compilation.
NATIVE = ["external, after_prediction", "streaming"]
LINKED = ["with_sample", "external, after_prediction", "streaming"]
# What is slow beside the model, and still tried in every run.
OFTEN = [
    ("with_sample", "pysim"),
    ("folded", "pysim"),
    ("external, after_prediction", "native"),
]


SERVED = ExitStack()
"""Simulated boards, and those who talk to them, until the tests of this file end."""


@pytest.fixture(scope="session", autouse=True)  # tests of a file may be dealt to a process in several parts
def boards_end() -> Iterator[None]:
    """A board whose simulation is freed while its thread runs on takes the whole process with it."""
    yield
    SERVED.close()


def serve_for_good(spec: LearnerSpec) -> str:
    """The address of a simulated board. A byte takes many cycles: to compile a little longer saves much."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXXFLAGS", "-O1 -fno-sanitize=all")
        return SERVED.enter_context(serve_board(spec, "tcp"))


class Pair:
    """The same learner on two backends; every call goes to both, and must give the same."""

    def __init__(self, spec: LearnerSpec, backend: str) -> None:
        self.spec = spec
        self.backend = serve_for_good(spec) if backend == "tcp" else backend
        self.sessions = [connect(spec, "model"), connect(spec, self.backend)]
        if is_address(self.backend):
            SERVED.callback(self.sessions[1].close)

    def __call__(self, call: Callable[[Session], Any]) -> Any:
        ours, theirs = (call(session) for session in self.sessions)
        np.testing.assert_equal(ours, theirs)
        return ours

    def reset(self) -> "Pair":
        """As it was at the start, except for counters and noise. A rate is written where it has changed alone, as all
        steps are then made anew."""
        self(lambda session: setattr(session, "coefficients", self.spec.initial_codes()))
        start = self.spec.formats.learning_rate.quantise([self.spec.learning_rate]).tolist()
        if self(lambda session: session.backend.read_learning_rates()) != start:
            self(lambda session: setattr(session, "learning_rate", self.spec.learning_rate))
        self(lambda session: setattr(session, "frozen", False))
        return self

    def state(self) -> dict[str, Any]:
        """Everything that the backends must have in common."""
        return self(contents)  # type: ignore[no-any-return]


def contents(session: Session) -> dict[str, Any]:
    """Everything in a session that all backends have in common."""
    status = session.status
    return {
        "coefficients": session.coefficients,
        "learning_rate": session.learning_rate,
        "noise": session.backend.read_noise(),
        **{key: status[key] for key in ("samples", "frozen", "saturations", "counts", "counters_full")},
        **{key: status[key] for key in ("inputs_saturated", "targets_saturated")},
    }


@cache
def pair_of(which: str, backend: str) -> Pair:
    """Made once, as simulations take their time to start."""
    return Pair(SPECS[which], backend)


@pytest.fixture(
    params=only(
        lambda param: param[1] == "compiled" or param in OFTEN,
        [(which, backend) for which in SPECS for backend in ("pysim", "compiled")]
        + [(which, "native") for which in NATIVE]
        + [(which, "tcp") for which in LINKED],
    ),
    ids=lambda param: f"{param[1]}, {param[0]}",
)
def pair(request: pytest.FixtureRequest, compiled: None) -> Pair:  # noqa: ARG001  native compiles for tests
    """The model and another backend, for every spec."""
    return pair_of(*request.param).reset()


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(11)


@pytest.fixture
def learner() -> Session:
    return connect(SMALL)


@pytest.fixture
def external() -> Session:
    return connect(SPECS["external, with_sample"])


# The same bits on every backend


def teach(pair: Pair, random: np.random.Generator, count: int = 12) -> None:
    """Lets a pair learn something, in whichever way its loss allows."""
    lowest = 0 if pair.spec.loss == "logistic" else -1
    x, target = random.uniform(-2, 2, (count, 2)), random.uniform(lowest, 1, (count, 1))
    if pair.spec.loss != "external":
        pair(lambda session: session.learn_many(x, target))
        return
    for row, wanted in zip(x, target, strict=True):
        prediction = pair(lambda session, row=row: session.predict(row))
        pair(lambda session, gradient=prediction - wanted: session.feedback(gradient))


def test_predict_and_learn(pair: Pair, random: np.random.Generator) -> None:
    before = pair.state()["coefficients"][0]
    prediction = pair(lambda session: session.predict([0.3, -1.1]))
    assert prediction.shape == (1,)
    assert np.array_equal(pair.state()["coefficients"][0], before)
    teach(pair, random)
    assert not np.array_equal(pair.state()["coefficients"][0], before)
    many = pair(lambda session: session.predict_many([[0.3, -1.1], [1, 1]]))
    assert many.shape == (2, 1)
    assert pair(lambda session: session.predict_many(np.zeros((0, 2)))).shape == (0, 1)


def test_learn_returns_the_prediction_before_its_step(pair: Pair) -> None:
    if pair.spec.loss == "external":
        prediction = pair(lambda session: session.predict([0.5, 0.5]))
        pair(lambda session: session.feedback(-0.5))
    else:
        prediction = pair(lambda session: session.predict([0.5, 0.5]))
        wanted = 1.0 if pair.spec.loss == "logistic" else prediction + 0.5
        assert pair(lambda session: session.learn([0.5, 0.5], wanted)) == prediction
    assert pair(lambda session: session.predict([0.5, 0.5])) > prediction


def test_coefficients_are_codes_that_can_be_given(pair: Pair, random: np.random.Generator) -> None:
    codes = random.integers(-300, 300, (1, 2, 4))
    pair(lambda session: setattr(session, "coefficients", [codes]))
    assert np.array_equal(pair.state()["coefficients"][0], codes)
    assert pair(lambda session: session.coefficients[0].dtype) == np.int64
    teach(pair, random)
    pair.state()


def test_learning_rate_can_change(pair: Pair, random: np.random.Generator) -> None:
    start = pair.state()["learning_rate"]
    pair(lambda session: setattr(session, "learning_rate", 0.25))
    assert pair.state()["learning_rate"] == (0.25,)
    teach(pair, random)
    pair(lambda session: setattr(session, "learning_rate", 0))
    before = pair.state()["coefficients"][0]
    teach(pair, random)
    assert np.abs(pair.state()["coefficients"][0] - before).max() == 0
    pair(lambda session: setattr(session, "learning_rate", start))
    assert pair.state()["learning_rate"] == start


def test_learning_rate_can_be_lowered_far() -> None:
    with connect(LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=0.25)) as session:
        with pytest.warns(LearningWarning, match="moves no coefficient of layer 0"):
            session.learning_rate = 2**-12
        assert session.learning_rate == (2**-12,)
        session.learning_rate = 2**-8
        assert session.learning_rate == (2**-8,)
        errors = 5 - session.learn_many(np.full((300, 1), 0.3), np.full((300, 1), 5))[:, 0]
    # Each step leaves 1 - 2**-8 sum b^2 of the error.
    layer = session.spec.layers[0]
    _, row, _ = layer.locator.locate(layer.formats.input.quantise(0.3))
    bases = layer.formats.basis.to_float(layer.basis_table[row])
    assert errors[-1] / errors[0] == pytest.approx((1 - 2**-8 * (bases**2).sum()) ** 299, rel=0.05)


def test_the_rate_of_linear_paths_can_be_lowered_far() -> None:
    fields = {"learning_rate": 0.25, "linear": True, "linear_step_format": "SQ(3, 6)"}
    with connect(LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), **fields)) as session:
        with pytest.warns(LearningWarning, match=r"^linear_rate = 0.000244141: moves no linear path of layer 0, "):
            session.linear_rate = 2**-12
        with pytest.warns(LearningWarning, match=r"give ([0-9.]+) or more") as caught:
            session.linear_rate = 2**-11
        told = re.search(r"give ([0-9.e-]+) or more", str(caught[0].message))
        assert told
        session.linear_rate = float(told[1])
        session.learn([2], [30])
        assert session.coefficients[0][0, 0, -1] != 0


@pytest.mark.parametrize("connected", [lambda: connect(SMALL), lambda: connect_baseline(LmsSpec(n_in=1))])
def test_frozen_is_a_truth_value(connected: Callable[[], Any]) -> None:
    with connected() as session:
        for value in (True, np.True_, 1, np.int64(1)):
            session.frozen = False
            session.frozen = value
            assert session.frozen is True
        session.frozen = 0
        for wrong in ("no", None, 2, 1.0, [], np.array([1, 2])):
            with pytest.raises(InputError, match=r"^frozen = .*: must be True or False$"):
                session.frozen = wrong
        assert session.frozen is False


def test_frozen_predicts_but_does_not_learn(pair: Pair, random: np.random.Generator) -> None:
    pair(lambda session: setattr(session, "frozen", True))
    before = pair.state()
    assert before["frozen"]
    teach(pair, random)
    after = pair.state()
    assert np.array_equal(after["coefficients"][0], before["coefficients"][0])
    assert after["noise"] == before["noise"]
    pair(lambda session: setattr(session, "frozen", False))
    teach(pair, random)
    assert not np.array_equal(pair.state()["coefficients"][0], before["coefficients"][0])


def test_status_counts(pair: Pair) -> None:
    before = pair.state()
    pair(lambda session: session.predict_many([[1, 1], [40, -np.inf], [1.999, 0]]))
    after = pair.state()
    assert after["samples"] == before["samples"] + 3
    assert after["inputs_saturated"] == before["inputs_saturated"] + 2
    # Coefficients at their highest make a sum that does not fit, for every sample.
    kept, highest = before["coefficients"], pair.spec.formats.coefficient.maximum
    pair(lambda session: setattr(session, "coefficients", [np.full((1, 2, 4), highest)]))
    assert pair(lambda session: session.predict([0, 0])) == pair.spec.formats.activation.to_float(
        pair.spec.formats.activation.maximum
    )
    assert pair.state()["saturations"]["activation"] == after["saturations"]["activation"] + 1
    pair(lambda session: setattr(session, "coefficients", kept))


def test_counters_are_cleared(pair: Pair) -> None:
    kept, highest = pair.state()["coefficients"], pair.spec.formats.coefficient.maximum
    pair(lambda session: setattr(session, "coefficients", [np.full((1, 2, 4), highest)]))
    pair(lambda session: session.predict_many([[0, 0], [40, 0]]))
    before = pair.state()
    assert before["saturations"]["activation"] >= 2
    assert before["inputs_saturated"] >= 1
    pair(lambda session: session.clear_counters())
    after = pair.state()
    assert set(after["saturations"].values()) == {0}
    assert after["inputs_saturated"] == after["targets_saturated"] == 0
    assert after["samples"] == before["samples"]
    pair(lambda session: session.predict([0, 0]))
    assert pair.state()["saturations"]["activation"] == 1
    pair(lambda session: setattr(session, "coefficients", kept))


def test_what_was_learned_is_forgotten(pair: Pair, random: np.random.Generator) -> None:
    pair(lambda session: session.restore())
    start = pair.state()
    again = np.random.default_rng(8)
    teach(pair, np.random.default_rng(8))
    taught = pair.state()
    teach(pair, random)
    pair(lambda session: session.predict([40, 0]))
    pair(lambda session: setattr(session, "learning_rate", 0.25))
    pair(lambda session: session.restore())
    np.testing.assert_equal({**pair.state(), "samples": 0}, {**start, "samples": 0})
    assert np.array_equal(start["coefficients"][0], pair.spec.initial_codes()[0])
    teach(pair, again)
    np.testing.assert_equal({**pair.state(), "samples": 0}, {**taught, "samples": 0})


@pytest.mark.parametrize("backend", ["model", "compiled", "pysim", thorough("native")])
def test_hardware_forgets_by_itself(backend: str, compiled: None) -> None:  # noqa: ARG001
    spec = SMALL.replace(initial="reset", table_memory="logic", layer_sizes=[2, 1, 1])
    x, target = np.random.default_rng(3).uniform(-1, 1, (2, 9, 2))
    with connect(spec, backend) as learner, connect(spec.replace(initial="memory")) as model:
        expected = model.learn_many(x, target[:, :1])
        np.testing.assert_array_equal(learner.learn_many(x, target[:, :1]), expected)
        np.testing.assert_equal(learner.coefficients, model.coefficients)
        learner.learning_rate = 0.5
        learner.frozen = True
        before = learner.backend.cycles
        learner.restore()
        after, least = learner.backend.cycles, spec.restart_cycles
        if before is not None and after is not None and least is not None:
            # Some more pass until the control register is read, written, and read again.
            assert 0 <= after - before - least < 24
        assert learner.frozen
        np.testing.assert_equal(learner.coefficients, spec.initial_codes())
        learner.frozen = False
        np.testing.assert_array_equal(learner.learn_many(x, target[:, :1]), expected)
        np.testing.assert_equal(learner.coefficients, model.coefficients)
        assert learner.backend.read_noise() == model.backend.read_noise()
        if before is not None:
            assert learner.status["observed"]["latency"] == [spec.latency]


@pytest.mark.parametrize("backend", ["model", "compiled", "pysim"])
def test_what_is_counted_on_demand(backend: str, compiled: None) -> None:  # noqa: ARG001
    spec = SMALL.replace(counts=["lost", "outside"], update_rounding="half_up", outside="hold")
    with connect(spec, backend) as learner:
        assert learner.status["counts"] == {"lost": 0, "outside": 0}
        learner.learn([0.5, -0.5], 1)
        learner.learn([3, -0.5], 1)  # the other edge moves
        assert learner.status["counts"] == {"lost": 0, "outside": 1}
        learner.learn([3, -3], 1)
        before = learner.coefficients[0]
        learner.learning_rate = 2**-12
        learner.learn([0.5, -0.5], learner.predict([0.5, -0.5]) + 0.25)
        assert learner.status["counts"] == {"lost": 1, "outside": 2}
        learner.learning_rate = 0
        learner.learn([0.5, -0.5], 1)
        assert learner.status["counts"] == {"lost": 1, "outside": 2}
        np.testing.assert_array_equal(learner.coefficients[0], before)
        learner.clear_counters()
        assert learner.status["counts"] == {"lost": 0, "outside": 0}


@pytest.mark.parametrize("backend", ["model", "compiled"])
def test_a_counter_that_stands_still_says_so(backend: str, compiled: None) -> None:  # noqa: ARG001
    with connect(SMALL, backend) as learner:
        learner.coefficients = [np.full((1, 2, 4), SMALL.formats.coefficient.maximum)]
        learner.predict_many(np.zeros((65534, 2)))
        assert learner.status["counters_full"] == []
        learner.predict_many(np.zeros((2, 2)))
        assert learner.status["saturations"]["activation"] == 65535
        assert learner.status["counters_full"] == ["activation"]
        learner.clear_counters()
        assert learner.status["counters_full"] == []


def test_cycles_are_the_schedules(pair: Pair, random: np.random.Generator) -> None:
    teach(pair, random)
    model, clocked = (session.status for session in pair.sessions)
    schedule = pair.spec.timing
    for status in (model, clocked):
        assert (status["latency"], status["interval"]) == (schedule.latency, schedule.interval)
        assert status["prediction_latency"] == schedule.prediction_latency
    assert (model["backend"], model["cycles"], model["observed"]) == ("model", None, {})
    assert clocked["backend"] == pair.backend
    if pair.backend == "compiled" or is_address(pair.backend):  # no clock is seen
        assert (clocked["cycles"], clocked["observed"]) == (None, {})
        return
    assert clocked["cycles"] > clocked["samples"] * schedule.prediction_interval
    assert clocked["observed"]["latency"] == [schedule.latency]
    assert clocked["observed"]["prediction_latency"] == [schedule.prediction_latency]


def test_saved_on_one_backend_goes_on_on_the_other(pair: Pair, random: np.random.Generator, tmp_path: Path) -> None:
    model, other = pair.sessions
    for writer, reader in ((model, other), (other, model)):
        writer.save(tmp_path / "learned.npz")
        saved = pair.state()
        teach(pair, random)
        pair(lambda session: setattr(session, "learning_rate", 0.5))
        assert not np.array_equal(reader.coefficients[0], saved["coefficients"][0])
        pair(lambda session: session.load(tmp_path / "learned.npz"))
        after = pair.state()
        for key in ("coefficients", "learning_rate", "noise"):
            np.testing.assert_equal(after[key], saved[key])
        teach(pair, random)
        pair.state()
    assert [path.name for path in tmp_path.iterdir()] == ["learned.npz"]


class SameBits(RuleBasedStateMachine):
    """Random calls in random order, on both backends."""

    reals = st.floats(-3, 3, width=16)
    pair: Pair

    def __init__(self) -> None:
        super().__init__()
        self.pair = pair_of("after_prediction", "pysim").reset()

    @rule(x=st.tuples(reals, reals))
    def predict(self, x: tuple[float, float]) -> None:
        self.pair(lambda session: session.predict(x))

    @rule(x=st.tuples(reals, reals), wanted=reals)
    def learn(self, x: tuple[float, float], wanted: float) -> None:
        self.pair(lambda session: session.learn(x, wanted))

    @rule(rows=st.lists(st.tuples(reals, reals, reals), max_size=5))
    def learn_many(self, rows: list[tuple[float, float, float]]) -> None:
        table = np.array(rows).reshape(-1, 3)
        self.pair(lambda session: session.learn_many(table[:, :2], table[:, 2:]))

    @rule(frozen=st.booleans())
    def freeze(self, frozen: bool) -> None:
        self.pair(lambda session: setattr(session, "frozen", frozen))

    @rule(code=st.integers(1, 2047))
    def change_learning_rate(self, code: int) -> None:
        rate = float(self.pair.spec.formats.learning_rate.to_float(code))
        self.pair(lambda session: setattr(session, "learning_rate", rate))

    @rule(seed=st.integers(0, 99), shrink=st.sampled_from([1, 16]))
    def give_coefficients(self, seed: int, shrink: int) -> None:
        highest = self.pair.spec.formats.coefficient.maximum // shrink
        codes = np.random.default_rng(seed).integers(-highest, highest, (1, 2, 4))
        self.pair(lambda session: setattr(session, "coefficients", [codes]))

    @invariant()
    def same_state(self) -> None:
        self.pair.state()


TestSameBits = SameBits.TestCase
TestSameBits.settings = settings(max_examples=5, stateful_step_count=10, deadline=None)


# What is refused


def test_connect_reads_a_spec_file(spec_file: Callable[..., Path], tracker: LearnerSpec) -> None:
    with connect(str(spec_file())) as learner:
        assert learner.spec == tracker
        assert learner.predict(0.5) == 0  # from zeros; a number is enough where there is one input
    with pytest.raises(SpecError, match=r"^spec file 'none.toml': No such file or directory; name a TOML file$"):
        connect("none.toml")


def test_what_is_no_learner_is_named() -> None:
    lms = LmsSpec(n_in=1, input_range=(-1, 1), target_range=(-1, 1))
    with pytest.raises(
        InputError, match=r"^spec: is of type LmsSpec; give a LearnerSpec, the path .*connect_baseline$"
    ):
        connect(lms)  # type: ignore[call-overload]
    with pytest.raises(InputError, match=r"^spec: is of type dict; give a LearnerSpec"):
        connect({"layer_sizes": [1, 1]})  # type: ignore[call-overload]
    with pytest.raises(InputError, match=r"^spec: is of type LmsSpec; give a LearnerSpec$"):
        Model(lms)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=r"^fields: not a mapping of names to values; give one such as"):
        LearnerSpec.from_dict([1])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^device: is of type int; give its name, such as \"LFE5U-25F\"$"):
        LearnerSpec(layer_sizes=[1, 1], grid_range=(-1, 1)).estimate(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", ["fpga", None, 5])
def test_unknown_backend(backend: Any) -> None:
    line = f"backend = {backend!r}: unknown; use one of 'model', 'compiled', 'pysim', 'native', or for a learner an "
    with pytest.raises(InputError, match=rf"^{line}address such as serial:///dev/ttyUSB0 or tcp://localhost:4000$"):
        connect(SMALL, backend)


NO_ROW = "not an array of numbers; give shape (2,)"
REFUSED: dict[str, tuple[Callable[[Session], Any], str]] = {
    "shape": (lambda s: s.predict([1, 2, 3]), "x: shape (3,); must be (2,)"),
    "number": (lambda s: s.predict(1), "x: shape (1,); must be (2,)"),
    "rows": (lambda s: s.predict_many([1, 2]), "x: shape (2,); must be (n, 2)"),
    "columns": (lambda s: s.predict_many([[1], [2]]), "x: shape (2, 1); must be (n, 2)"),
    "nan": (lambda s: s.predict([1, np.nan]), "x[1] = nan: give a number"),
    "nan in rows": (lambda s: s.predict_many([[1, 2], [np.nan, 1]]), "x[1, 0] = nan: give a number"),
    "text": (lambda s: s.predict(["1", "2"]), f"x: {NO_ROW}"),
    "none": (lambda s: s.predict(None), f"x: {NO_ROW}"),
    "complex": (lambda s: s.predict([1, 2j]), f"x: {NO_ROW}"),
    "ragged": (lambda s: s.predict([[1], [2, 3]]), "x: rows of different lengths; give shape (2,)"),
    "target": (lambda s: s.learn([1, 2], [1, 2]), "target: shape (2,); must be (1,)"),
    "target nan": (lambda s: s.learn([1, 2], np.nan), "target = nan: give a number"),
    "target infinite": (lambda s: s.learn([1, 2], np.inf), "target = inf: give a finite number"),
    "targets infinite": (
        lambda s: s.learn_many(np.zeros((2, 2)), [[0], [-np.inf]]),
        "target[1, 0] = -inf: give a finite number",
    ),
    "lengths": (
        lambda s: s.learn_many(np.zeros((3, 2)), np.zeros((2, 1))),
        "target: 2 rows for 3 samples; give one for each",
    ),
    "feedback": (
        lambda s: s.feedback(1),
        'feedback: the spec has loss = "squared"; set loss = "external", or call learn',
    ),
    "no list": (
        lambda s: setattr(s, "coefficients", 3),
        "coefficients: give a list of arrays, one for each layer, here 1",
    ),
    "layers": (
        lambda s: setattr(s, "coefficients", [np.zeros((1, 2, 4), int)] * 2),
        "coefficients: give a list of arrays, one for each layer, here 1",
    ),
    "coefficients' shape": (
        lambda s: setattr(s, "coefficients", [np.zeros((1, 2, 5), int)]),
        "coefficients[0]: shape (1, 2, 5); must be (1, 2, 4)",
    ),
    "coefficients' type": (
        lambda s: setattr(s, "coefficients", [np.zeros((1, 2, 4))]),
        "coefficients[0]: type float64; give integer codes (Format.quantise)",
    ),
    "ragged coefficients": (
        lambda s: setattr(s, "coefficients", [[[1], [2, 3]]]),
        "coefficients[0]: rows of different lengths; give shape (1, 2, 4)",
    ),
    "coefficients' range": (
        lambda s: setattr(s, "coefficients", [np.full((1, 2, 4), 1 << 14)]),
        "coefficients[0]: codes from 16384 to 16384 do not fit SQ(3, 12) (-16384 to 16383)",
    ),
    "rate": (
        lambda s: setattr(s, "learning_rate", 2),
        "learning_rate = 2.0: UQ(0, 12) holds 0 to 0.999755859375; set learning_rate_format in the spec with more "
        "integer bits",
    ),
    "negative rate": (
        lambda s: setattr(s, "learning_rate", -0.1),
        "learning_rate = -0.1: UQ(0, 12) holds 0 to 0.999755859375; give one of these",
    ),
    "tiny rate": (
        lambda s: setattr(s, "learning_rate", 1e-4),
        "learning_rate = 0.0001: rounds to zero in UQ(0, 12); give 0.000244140625 or more, or 0",
    ),
    "nan rate": (lambda s: setattr(s, "learning_rate", np.nan), "learning_rate = nan: give a number"),
    "infinite rate": (
        lambda s: setattr(s, "learning_rate", np.inf),
        "learning_rate = inf: UQ(0, 12) holds 0 to 0.999755859375; give one of these",
    ),
    "rates": (
        lambda s: setattr(s, "learning_rate", (0.1, 0.1)),
        "learning_rate: shape (2,); give one number for all layers, or 1",
    ),
    "text rate": (
        lambda s: setattr(s, "learning_rate", "fast"),
        "learning_rate: not an array of numbers; give one for all layers, or 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_in_one_line(case: str, learner: Session) -> None:
    call, line = REFUSED[case]
    before = contents(learner)
    with pytest.raises(InputError) as failure:
        call(learner)
    assert str(failure.value) == line
    np.testing.assert_equal(contents(learner), before)


TARGETS = {
    "given format": ({}, "activation_format of the spec is given: add integer bits, or leave it out and set "),
    "derived format": ({"activation_format": None}, "set target_range in the spec to the lowest and the highest"),
    "range": ({"activation_format": None, "target_range": (0, 3)}, "set target_range in the spec to the lowest"),
}


@pytest.mark.parametrize("case", TARGETS)
@pytest.mark.parametrize("backend", ["model", "compiled"])
def test_the_first_target_that_is_clipped_is_warned_of(case: str, backend: str, compiled: None) -> None:  # noqa: ARG001
    fields, mend = TARGETS[case]
    spec = SMALL.replace(**fields)
    format = spec.formats.output
    with connect(spec, backend) as learner:
        learner.learn([1, 1], format.to_float(format.maximum))
        with pytest.warns(LearningWarning) as caught:
            learner.learn([1, 1], 50.5)
        (line,) = [str(warning.message) for warning in caught]
        assert line.startswith(f"target = 50.5: clipped to what {format} holds, ")
        assert mend in line
        learner.learn([1, 1], -70)
        learner.learn_many(np.ones((3, 2)), [[80], [0], [-90]])
        assert learner.status["targets_saturated"] == 4


def test_a_gradient_that_is_clipped_is_warned_of(external: Session) -> None:
    external.predict([1, 1])
    with pytest.warns(LearningWarning, match=r"^gradient = 70: clipped to what SQ\(3, 13\) holds, .*gradient_format"):
        external.feedback(70)


def test_a_rate_that_is_rounded_much_is_warned_of(learner: Session) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        learner.learning_rate = 0.3
        assert learner.learning_rate == (0.300048828125,)
        learner.learning_rate = 0
        learner.learning_rate = 16.25 * 2**-12
    assert caught == []
    with pytest.warns(LearningWarning) as found:
        learner.learning_rate = 3e-4
    assert [str(warning.message) for warning in found] == [
        "learning_rate = 0.0003: becomes 0.000244140625 in its register, 19 % off; give a multiple of 0.000244140625, "
        "or set learning_rate_format, now UQ(0, 12), with more fraction bits"
    ]
    assert learner.learning_rate == (2**-12,)


def test_external_loss_takes_no_targets(external: Session) -> None:
    with pytest.raises(InputError) as failure:
        external.learn([1, 2], 1)
    mend = "call predict, then feedback with dL/dy, or feedback_many"
    assert str(failure.value) == f'learn: the spec has loss = "external"; {mend}'


def test_feedback_needs_a_prediction_of_its_own(external: Session, tmp_path: Path) -> None:
    line = r"^feedback: there is no prediction to give it for; call predict first$"
    with pytest.raises(InputError, match=line):
        external.feedback(1)
    external.save(tmp_path / "a.npz")
    for change in (
        lambda: external.feedback(1),
        lambda: external.load(tmp_path / "a.npz"),
        lambda: setattr(external, "coefficients", external.coefficients),
    ):
        external.predict([1, 2])
        change()
        with pytest.raises(InputError, match=line):
            external.feedback(1)


def test_feedback_is_a_step_for_the_last_sample(external: Session) -> None:
    spec, model = external.spec, Model(external.spec)
    external.predict_many([[1, 1], [-0.5, 1.5]])
    external.feedback(-0.75)
    model.learn(spec.formats.activation.quantise([-0.5, 1.5]), spec.formats.gradient.quantise([-0.75]))
    assert np.array_equal(external.coefficients[0], model.coefficients[0])
    assert model.coefficients[0].any()


def test_refused_feedback_can_be_given_again(external: Session) -> None:
    external.predict([1, 1])
    with pytest.raises(InputError, match=r"^gradient: shape \(2,\); must be \(1,\)$"):
        external.feedback([1, 2])
    external.feedback(-1)
    assert external.predict([1, 1]) > 0


@pytest.mark.parametrize(("x", "saturated"), [(3.998, 0), (3.999, 1), (4.0, 1), (-4.0019, 0), (-4.002, 1), (np.inf, 1)])
def test_an_input_saturates_where_its_nearest_code_is_beyond_the_format(
    x: float, saturated: int, learner: Session
) -> None:
    learner.predict([x, 0])
    assert learner.status["inputs_saturated"] == saturated


# Files


@pytest.fixture
def saved(learner: Session, tmp_path: Path, random: np.random.Generator) -> Path:
    """A file of a learner that has learned something."""
    learner.learn_many(random.uniform(-2, 2, (20, 2)), random.uniform(-1, 1, (20, 1)))
    path = tmp_path / "saved.npz"
    learner.save(path)
    return path


def refused(learner: Session, path: Path) -> str:
    """The line with which a file is refused; nothing may have changed."""
    before = contents(learner)
    with pytest.raises(InputError) as failure:
        learner.load(path)
    np.testing.assert_equal(contents(learner), before)
    line = str(failure.value)
    assert line.startswith(f"load: {str(path)!r}: ")
    assert "\n" not in line
    return line.removeprefix(f"load: {str(path)!r}: ")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"layer_sizes": [1, 1]}, "layer_sizes = (2, 1), but this learner has (1, 1)"),
        ({"grid_range": (-1, 2)}, "grid_range = ((-2.0, 2.0),), but this learner has ((-1.0, 2.0),)"),
        ({"grid_size": 4}, "grid_size = (3,), but this learner has (4,)"),
        ({"spline_order": 2}, "spline_order = (1,), but this learner has (2,)"),
        ({"coefficient_format": "SQ(3, 11)"}, "coefficient_format = SQ(3, 12), but this learner has SQ(3, 11)"),
        ({"learning_rate_format": "UQ(1, 11)"}, "learning_rate_format = UQ(0, 12), but this learner has UQ(1, 11)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_file_of_another_learner(changes: dict[str, Any], line: str, saved: Path) -> None:
    other = connect(SMALL.replace(**changes))
    assert refused(other, saved) == f"{line}; load it into one with the same"


def test_a_file_of_a_wider_format_loads_if_what_is_in_it_fits(saved: Path, learner: Session) -> None:
    narrower = connect(SMALL.replace(coefficient_format="SQ(2, 14)", learning_rate_format="UQ(0, 14)"))
    narrower.load(saved)
    assert np.array_equal(narrower.coefficients[0], learner.coefficients[0] << 2)
    assert narrower.learning_rate == learner.learning_rate
    (codes,) = learner.coefficients
    codes[-1, -1, -1] = 2 << 12  # SQ(2, 14) ends below 2
    with np.load(saved) as content:
        wide = saved.with_name("wide.npz")
        np.savez(wide, **{**content, "coefficients_0": codes})
    line = "coefficient_format = SQ(3, 12), but this learner has SQ(2, 14); load it into one with the same"
    assert refused(narrower, wide) == line
    codes[-1, -1, -1] = 1 << 52  # in 64 bits, nothing is left of it where it is shifted by 12
    with np.load(saved) as content:
        np.savez(wide, **{**content, "coefficients_0": codes, "coefficient_formats": ["SQ(60, 2)"]})
    assert refused(narrower, wide) == line.replace("SQ(3, 12)", "SQ(60, 2)")


@pytest.mark.parametrize("power", range(1, 13))
def test_a_rate_at_which_nothing_moves_is_warned_of(power: int) -> None:
    """Steps have the format that suits the rate of the spec."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=1.0)
    with connect(spec) as session, warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        session.learning_rate = 2.0**-power
        session.learn_many(np.linspace(-2, 2, 40)[:, None], np.full((40, 1), 30.0))
        said = any("moves no coefficient of layer 0, whose steps, in UQ(1, 9)," in str(one.message) for one in found)
        assert said != bool(session.coefficients[0].any())


def test_a_learner_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(SpecError, match=r"^layer_sizes = \[1024, 1024\]: a learner of \d+ coefficients, and may have"):
        LearnerSpec(layer_sizes=[1024, 1024], grid_range=(-2, 2), grid_size=4096)


def test_what_is_no_name_of_a_file_is_refused(learner: Session) -> None:
    for call in (learner.save, learner.load, LearnerSpec.from_toml, LookupNetwork.load, KANRegressor.load):
        with pytest.raises(InputError, match=r"^path: is of type NoneType; give the name of a file$"):
            call(None)  # type: ignore[arg-type]


def test_a_file_may_be_of_another_schedule(saved: Path, learner: Session) -> None:
    other = connect(SMALL.replace(memory="block", pipeline="no_registers", update_rounding="half_up", seed=5))
    other.load(saved)
    assert np.array_equal(other.coefficients[0], learner.coefficients[0])


def test_linear_paths_and_their_rates_are_saved(tmp_path: Path, random: np.random.Generator) -> None:
    spec = SMALL.replace(linear=True, linear_rate=0.25, linear_rate_format="UQ(0, 10)")
    learner = connect(spec)
    learner.linear_rate = 0.375
    learner.learn_many(random.uniform(-3, 3, (20, 2)), random.uniform(-1, 1, (20, 1)))
    assert learner.coefficients[0][:, :, -1].any()
    path = tmp_path / "linear.npz"
    learner.save(path)
    finer = connect(spec.replace(coefficient_format="SQ(3, 15)", linear_rate_format="UQ(0, 12)"))
    finer.load(path)
    assert np.array_equal(finer.coefficients[0], learner.coefficients[0] << 3)
    assert finer.linear_rate == learner.linear_rate == (0.375,)
    coarser = connect(spec.replace(linear_rate_format="UQ(0, 8)"))
    line = "linear_rate_format = UQ(0, 10), but this learner has UQ(0, 8); load it into one with the same"
    assert refused(coarser, path) == line
    line = "linear = (True,), but this learner has (False,); load it into one with the same"
    assert refused(connect(SMALL), path) == line
    assert refused(learner, rewritten(path, linear_rate_format=None)) == NOT_SAVED
    assert refused(learner, rewritten(path, linear_rates=None)) == NOT_SAVED


NEAR = LearnerSpec(layer_sizes=[1, 1], grid_range=(-1e-3, 1e-3), grid_size=4, table_size=4, linear=True)
HIDDEN = NEAR.replace(layer_sizes=[1, 2, 1], grid_range=[(-2, 2), (-1e-3, 1e-3)])


@pytest.mark.parametrize(
    ("spec", "field", "wide", "narrow"),
    [
        (NEAR, "input_format", "SQ(-7, 23)", "SQ(-7, 12)"),
        (HIDDEN, "activation_format", "SQ(6, 23)", "SQ(6, 12)"),
        (NEAR, "activation_format", "SQ(6, 23)", "SQ(6, 12)"),
    ],
)
def test_a_file_of_linear_paths_of_another_scale(
    spec: LearnerSpec, field: str, wide: str, narrow: str, tmp_path: Path, random: np.random.Generator
) -> None:
    """They take x times a power of two that depends on its format: what they give stays, or the file is refused."""
    given = {"factor_format": "SQ(6, 10)", "coefficient_format": "SQ(6, 14)", "output_format": "SQ(6, 10)"}
    path, last = tmp_path / "linear.npz", spec.n_layers - 1
    learner = connect(spec.replace(**given, **{field: wide}))
    learner.coefficients = [random.integers(1, 1 << 16, codes.shape) for codes in learner.coefficients]
    learner.save(path)
    scale = 2.0 ** learner.spec.layers[last].linear.input_shift

    other = connect(spec.replace(**given, **{field: narrow}))
    other.load(path)
    ours = 2.0 ** other.spec.layers[last].linear.input_shift
    assert ours == scale / 2
    weights = [session.coefficients[last][:, :, -1] for session in (learner, other)]
    assert np.array_equal(weights[1], 2 * weights[0])
    for a, b in zip(learner.coefficients, other.coefficients, strict=True):
        assert np.array_equal(a[..., :-1], b[..., :-1])
    assert other.linear_rate[last] == 4 * learner.linear_rate[last]
    assert other.linear_rate[:-1] == learner.linear_rate[:-1]

    other.save(path)
    connect(other.spec).load(path)  # of one scale nothing changes
    back = connect(learner.spec)
    back.load(path)
    for a, b in zip(learner.coefficients, back.coefficients, strict=True):
        assert np.array_equal(a, b)
    assert back.linear_rate == learner.linear_rate

    codes = other.coefficients
    codes[last][0, 0, -1] |= 1
    other.coefficients = codes
    other.save(path)
    assert refused(back, path) == (
        f"{field} = {narrow}, but this learner has {wide}, with which its linear paths take x times another power of "
        "two; load it into one with the same"
    )


@pytest.mark.usefixtures("saved")
def test_a_file_without_noise_leaves_it(learner: Session, tmp_path: Path) -> None:
    plain = connect(SMALL.replace(update_rounding="half_up"))
    plain.learn([1, 1], 1)
    plain.save(tmp_path / "plain.npz")
    before = contents(learner)
    learner.load(tmp_path / "plain.npz")
    assert contents(learner)["noise"] == before["noise"]
    assert np.array_equal(learner.coefficients[0], plain.coefficients[0])


def test_a_file_of_a_former_version_names_presets_otherwise(saved: Path, learner: Session) -> None:
    for former, now in (("low_latency", "few_registers"), (["full"], ["all_registers"]), (["sum"], ["sum"])):
        path = rewritten(saved, spec=np.array(json.dumps(SMALL.to_dict() | {"pipeline": former})))
        assert SavedLearner.read(path).spec == SMALL.replace(pipeline=now)
        other = connect(SMALL)
        other.load(path)
        assert np.array_equal(other.coefficients[0], learner.coefficients[0])


@pytest.mark.parametrize(
    "finer",
    [
        {"coefficient_format": "SQ(4, 15)", "factor_format": "SQ(4, 8)", "learning_rate_format": "UQ(1, 14)"},
        {"coefficient_format": "SQ(3, 12)", "factor_format": "SQ(3, 8)"},
    ],
)
def test_a_file_is_converted_to_finer_formats(finer: dict[str, str], saved: Path, learner: Session) -> None:
    learner.learning_rate = 0.3
    learner.save(saved)
    other = connect(SMALL.replace(**finer))
    other.load(saved)
    values = [
        session.spec.formats.coefficient.to_float(session.coefficients[0]).tolist() for session in (learner, other)
    ]
    assert values[0] == values[1]
    assert other.learning_rate == learner.learning_rate
    x = np.linspace(-2, 2, 40).reshape(20, 2)
    np.testing.assert_array_equal(other.predict_many(x), learner.predict_many(x))


@pytest.mark.parametrize(
    ("fields", "coefficient", "rate"),
    [
        ({}, SQ(6, 10), UQ(0, 8)),
        ({"grid_range": (-2, 30), "coefficient_format": "SQ(7, 13)"}, SQ(7, 13), UQ(0, 8)),
        ({"grid_range": (-2, 30), "factor_format": "SQ(7, 9)"}, SQ(7, 9), UQ(0, 8)),
        ({"activation_format": "SQ(3, 8)"}, SQ(3, 8), UQ(0, 8)),
        ({"learning_rate": 0.01}, SQ(6, 10), UQ(0, 11)),
        ({"learning_rate": 3}, SQ(6, 10), UQ(3, 4)),
        ({"layer_sizes": [1, 2, 1], "learning_rate": [2, 0.5]}, SQ(6, 10), UQ(2, 6)),
        ({"learning_rate_format": "UQ(0, 20)"}, SQ(6, 10), UQ(0, 20)),
    ],
)
def test_a_file_of_a_former_version_says_no_formats(
    fields: dict[str, Any], coefficient: Format, rate: Format, tmp_path: Path, random: np.random.Generator
) -> None:
    """Its codes are in the defaults of that version, and keep their values."""
    learner = connect(LearnerSpec(**{"layer_sizes": [2, 1], "grid_range": (-2, 2)} | fields))
    layers = learner.spec.layers
    codes = [
        random.integers(coefficient.minimum, coefficient.maximum + 1, (layer.n_out, layer.n_in, layer.bases))
        for layer in layers
    ]
    rates = random.integers(1, rate.maximum + 1, len(layers))
    learner.save(tmp_path / "saved.npz")
    former = rewritten(
        tmp_path / "saved.npz",
        coefficient_formats=None,
        learning_rate_format=None,
        noise=None,
        learning_rates=rates,
        **{f"coefficients_{index}": layer for index, layer in enumerate(codes)},
    )
    learner.load(former)
    for layer, ours, theirs in zip(layers, learner.coefficients, codes, strict=True):
        np.testing.assert_array_equal(layer.formats.coefficient.to_float(ours), coefficient.to_float(theirs))
    assert learner.learning_rate == tuple(rate.to_float(rates))


def test_codes_beyond_the_formats_of_a_former_version(tmp_path: Path) -> None:
    learner = connect(LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2)))
    learner.save(tmp_path / "saved.npz")
    former = {"coefficient_formats": None, "learning_rate_format": None, "learning_rates": np.array([32])}
    codes = np.full((1, 1, 11), 1 << 15)
    assert refused(learner, rewritten(tmp_path / "saved.npz", **former, coefficients_0=codes)) == (
        "coefficients[0]: codes from 32768 to 32768 do not fit SQ(6, 10) (-32768 to 32767)"
    )
    assert refused(learner, rewritten(tmp_path / "saved.npz", **former | {"learning_rates": np.array([256])})) == (
        "learning_rates: must be integers from 0 to 255; give a file that save wrote"
    )


def rewritten(saved: Path, **arrays: Any) -> Path:
    """The file with some of its arrays replaced, or left out where None."""
    with np.load(saved) as content:
        merged = {name: array for name, array in {**content, **arrays}.items() if array is not None}
    path = saved.with_name("rewritten.npz")
    np.savez(path, **merged)
    return path


NOT_SAVED = "not a saved learner; give a file that save wrote"


@pytest.mark.parametrize(
    ("arrays", "line"),
    [
        ({"spec": None}, NOT_SAVED),
        ({"spec": np.array("{")}, NOT_SAVED),
        ({"spec": np.array("[1]")}, NOT_SAVED),
        ({"coefficients_0": None}, NOT_SAVED),
        (
            {"coefficients_0": np.array([{"a": 1}])},  # an object array, which only pickle can read
            "'coefficients_0' in it holds Python objects, which are never loaded; save numbers alone",
        ),
        (
            {"coefficients_0": np.zeros((1, 2, 4))},
            "coefficients[0]: type float64; give integer codes (Format.quantise)",
        ),
        ({"coefficients_0": np.zeros((2, 4), int)}, "coefficients[0]: shape (2, 4); must be (1, 2, 4)"),
        (
            {"learning_rate_format": np.array("UQ(0, 9999)")},
            "learning_rate_format: UQ(0, 9999) has more bits than codes in a file, 62; give a file that save wrote",
        ),
        (
            {"coefficients_0": np.full((1, 2, 4), -20000)},
            "coefficients[0]: codes from -20000 to -20000 do not fit SQ(3, 12) (-16384 to 16383)",
        ),
        ({"learning_rates": None}, NOT_SAVED),
        ({"learning_rates": np.array([1, 2])}, "learning_rates: shape (2,); must be (1,)"),
        (
            {"learning_rates": np.array([-1])},
            "learning_rates: must be integers from 0 to 4095; give a file that save wrote",
        ),
        (
            {"learning_rates": np.array([0.5])},
            "learning_rates: must be integers from 0 to 4095; give a file that save wrote",
        ),
        (
            {"noise": np.array(1 << 32)},
            "noise: must be integers from 0 to 4294967295; give a file that save wrote",
        ),
        ({"noise": np.array([1, 2])}, NOT_SAVED),
        (
            {"coefficient_formats": np.array(["SQ"])},
            "coefficient_formats: 'SQ' is not a format; write SQ(i, f) for signed or UQ(i, f) for unsigned; "
            "give a file that save wrote",
        ),
        (
            {"coefficient_formats": np.array(["SQ(3, 12)"] * 2)},
            "coefficient_formats: 2 for 1 layers; give a file that save wrote",
        ),
        (
            {"coefficient_formats": np.array(["UQ(3, 12)"])},
            "coefficient_formats: UQ(3, 12) is unsigned; give a file that save wrote",
        ),
        (
            {"learning_rate_format": np.array("SQ(1, 12)")},
            "learning_rate_format: SQ(1, 12) is signed; give a file that save wrote",
        ),
        ({"coefficient_formats": np.array("SQ(3, 12)")}, NOT_SAVED),
        ({"learning_rate_format": None}, NOT_SAVED),
        ({"format": np.array(2)}, "is of format 2, and this version reads up to 1; use the kanrtl that saved it"),
        ({"format": np.array("new")}, NOT_SAVED),
    ],
)
def test_a_file_with_wrong_contents(arrays: dict[str, Any], line: str, saved: Path, learner: Session) -> None:
    assert refused(learner, rewritten(saved, **arrays)) == line


@pytest.mark.parametrize("name", ["noise", "learning_rates", "format"])
def test_a_member_that_is_no_array(name: str, saved: Path, learner: Session) -> None:
    path = rewritten(saved, **{name: None})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"xx")
    assert refused(learner, path) == NOT_SAVED


def test_a_saved_spec_that_does_not_work(saved: Path, learner: Session) -> None:
    line = refused(learner, rewritten(saved, spec=np.array('{"layer_sizes": [1, 1]}')))
    assert line == (
        "the saved spec does not work here (grid_range: missing; give it, for example grid_range = [-2, 2]); "
        "save it again with this version"
    )


@pytest.mark.usefixtures("saved")
def test_files_that_are_none(learner: Session, tmp_path: Path) -> None:
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("layer_sizes = [1, 1]")
    np.save(tmp_path / "array.npy", np.zeros(3))
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme", "hello")
    for name, what in (
        ("empty.npz", " but empty"),
        ("text.npz", " but text"),
        ("array.npy", " but a single array, as .npy files are"),
        ("other.zip", ""),
    ):
        assert refused(learner, tmp_path / name) == f"not a saved learner{what}; give a file that save wrote"
    assert refused(learner, tmp_path / "none.npz") == "No such file or directory; give a file that save wrote"
    assert refused(learner, tmp_path) == "Is a directory; give a file that save wrote"


def test_every_damaged_file_is_refused_or_read_whole(
    saved: Path, learner: Session, random: np.random.Generator
) -> None:
    """Cut anywhere, it is refused; with any byte changed, it is refused or holds the same."""
    whole, expected = saved.read_bytes(), contents(learner)
    damaged = saved.with_name("damaged.npz")
    for end in random.integers(0, len(whole), 60):
        damaged.write_bytes(whole[:end])
        assert refused(learner, damaged)
    lines = []
    for place in random.integers(0, len(whole), 300):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ random.integers(1, 256)]) + whole[place + 1 :])
        try:
            learner.load(damaged)
        except InputError as error:
            lines.append(str(error))
        np.testing.assert_equal(contents(learner), expected)
    assert len(lines) > 200
    assert not any("\n" in line for line in lines)


def test_failed_save_leaves_an_old_file_and_nothing_else(
    saved: Path, learner: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(InputError) as failure:
        learner.save(saved)
    assert str(failure.value) == (
        f"save: {str(saved)!r}: No space left on device; make room there, or name an output elsewhere"
    )
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("saved.npz", before)]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("none/a.npz", "there is no folder '{folder}/none'; make it first"),
        ("none/deep/a.npz", "there is no folder '{folder}/none/deep'; make it first"),
        ("saved.npz/a.npz", "Not a directory; name an output that can be written"),
        ("folder", "is a folder; name a file in it"),
        ("a" * 300, "File name too long; name an output that can be written"),
    ],
)
@pytest.mark.usefixtures("saved")
def test_save_where_nothing_can_be_written(name: str, why: str, learner: Session, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError) as failure:
        learner.save(tmp_path / name)
    assert str(failure.value) == f"save: {str(tmp_path / name)!r}: {why.format(folder=tmp_path)}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "saved.npz"]
    assert not list((tmp_path / "folder").iterdir())


def test_saved_file_has_the_name_and_permissions_of_any_other(learner: Session, tmp_path: Path) -> None:
    learner.save(tmp_path / "plain")
    (tmp_path / "other").touch()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "plain"]
    assert (tmp_path / "plain").stat().st_mode == (tmp_path / "other").stat().st_mode
    assert zipfile.is_zipfile(io.BytesIO((tmp_path / "plain").read_bytes()))
