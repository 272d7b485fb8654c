"""Sessions that several threads call: one call after another."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kanrtl import LearnerSpec, LearningWarning, LookupNetwork, Session, connect
from kanrtl.baselines import LmsSpec
from kanrtl.lookup import connect_network
from kanrtl.sessions.baseline_session import BaselineSession, connect_baseline
from kanrtl.sessions.exclusive import exclusive
from kanrtl.sessions.network_session import LookupSession
from support.tiers import thorough

SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))

NETWORK = LookupNetwork.of([1, 1], [2, 4], [1, 1], [{"source": [0], "node": [0], "table": [[0, 1, 2, 3]]}])

X = np.random.default_rng(0).uniform(-2, 2, (20_000, 1))


def run_together(*calls: Callable[[], Any]) -> list[Exception]:
    """Call each in a thread of its own; give what they raised."""
    raised = list[Exception]()

    def take(call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception as error:  # told by the test
            raised.append(error)

    threads = [threading.Thread(target=take, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("backend", "samples"), [("model", 2000), ("compiled", 20_000), thorough("native", 2000), ("pysim", 20)]
)
def test_calls_of_threads_follow_each_other(backend: str, samples: int) -> None:
    x = X[:samples]
    with connect(SPEC, backend) as session:
        # Zeros are learned from zeros: the order of the calls makes no difference.
        calls = [lambda: session.learn_many(x, 0 * x)] * 3
        assert not run_together(*calls, lambda: [session.learn(0.5, 0) for _ in range(10)], lambda: session.status)
        assert session.status["samples"] == 3 * samples + 10
        assert not any(layer.any() for layer in session.coefficients)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("backend", ["compiled", thorough("native")])
def test_a_session_is_closed_between_calls(backend: str) -> None:
    session = connect(SPEC, backend)
    raised = run_together(lambda: [session.learn_many(X[:2000], X[:2000]) for _ in range(5)], session.close)
    assert {str(error) for error in raised} <= {"this session is closed; connect again"}


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("backend", ["model", "compiled", "pysim", thorough("native")])
def test_every_call_of_a_closed_session_is_refused(backend: str) -> None:
    learner, network = connect(SPEC, backend), connect_network(NETWORK, backend.replace("compiled", "model"))
    baseline = connect_baseline(LmsSpec(n_in=1), backend.replace("compiled", "model"))
    calls: list[Callable[[], Any]] = [
        *(lambda call=call: call(0.5) for call in (learner.predict, baseline.predict)),
        *(lambda call=call: call(0.5, 1) for call in (learner.learn, baseline.learn)),
        lambda: learner.learn_many([[0.5]], [[1]]),
        lambda: learner.coefficients,
        lambda: setattr(learner, "frozen", True),
        lambda: learner.save("nothing.npz"),
        lambda: network.predict([0.5]),
        lambda: network.predict_codes([[0]]),
        lambda: network.status,
        lambda: setattr(baseline, "learning_rate", 0.5),
    ]
    for _twice in range(2):
        for session in (learner, network, baseline):
            session.close()
    for call in calls:
        with pytest.raises(RuntimeError, match=r"^this session is closed; connect again$"):
            call()
    assert "Session" in repr(learner)


def test_every_public_call_takes_the_lock() -> None:
    besides = {Session: {"predict", "learn", "backend"}, LookupSession: {"predict"}, BaselineSession: {"backend"}}
    for kind, names in besides.items():
        for name, member in vars(kind).items():
            if not name.startswith("_") and name not in names:
                function = member.fget if isinstance(member, property) else member
                assert hasattr(function, "__wrapped__"), (kind, name)


def test_what_is_wrapped_is_as_it_was() -> None:
    @exclusive(besides=("plain",))
    class Counter:
        def __init__(self) -> None:
            self._lock = threading.RLock()
            self._count = 0

        def _check_open(self) -> None: ...

        @property
        def count(self) -> int:
            """How many."""
            return self._count

        @count.setter
        def count(self, count: int) -> None:
            self._count = count

        def add(self, number: int = 1) -> int:
            """Add to it."""
            self.count += number
            return self.count

        def plain(self) -> None: ...

    counter = Counter()
    assert counter.add(number=2) == counter.count == 2
    assert (Counter.add.__doc__, Counter.count.__doc__) == ("Add to it.", "How many.")
    assert not hasattr(Counter.plain, "__wrapped__")


def test_warnings_name_the_line_of_the_user() -> None:
    calls: list[Callable[[Any], Any]] = [
        lambda session: session.learn(0.5, 100),
        lambda session: session.learn_many([[0.5]], [[100]]),
    ]
    for call in calls:
        for start in (lambda: connect(SPEC), lambda: connect_baseline(LmsSpec(n_in=1))):
            with warnings.catch_warnings(record=True) as found, start() as session:
                warnings.simplefilter("always")
                call(session)
            assert [(one.category, one.filename) for one in found] == [(LearningWarning, __file__)]
