"""What all sessions have in common: their settings, and that they are one of a kind."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kanrtl import LearnerSpec, connect
from kanrtl.baselines import LmsSpec
from kanrtl.sessions.baseline_session import connect_baseline
from support.lookup_networks import pair

SPEC = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))
LEARNS = "it has coefficients, frozen, learning_rate, linear_rate"

SESSIONS: dict[str, Callable[[], Any]] = {
    "learner": lambda: connect(SPEC),
    "network": lambda: connect(pair()),
    "baseline": lambda: connect_baseline(LmsSpec(n_in=1)),
}


@pytest.mark.parametrize(
    ("kind", "name", "line"),
    [
        ("learner", "freeze", "freeze = 1: no such setting of a Session; did you mean 'frozen'?"),
        ("learner", "learning_rte", "learning_rte = 1: no such setting of a Session; did you mean 'learning_rate'?"),
        ("learner", "spec", f"spec = 1: no such setting of a Session; {LEARNS}"),
        ("learner", "noise", f"noise = 1: no such setting of a Session; {LEARNS}"),
        ("network", "predict", "predict = 1: no such setting of a LookupSession; it has none"),
        ("baseline", "freeze", "freeze = 1: no such setting of a BaselineSession; did you mean 'frozen'?"),
    ],
)
def test_what_is_no_setting_is_not_set(kind: str, name: str, line: str) -> None:
    with SESSIONS[kind]() as session:
        before = dict(session.__dict__)
        with pytest.raises(AttributeError) as refusal:
            setattr(session, name, 1)
        assert str(refusal.value) == line
        assert session.__dict__ == before


@pytest.mark.parametrize("kind", SESSIONS)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_session_is_not_duplicated(kind: str, duplicate: Callable[[Any], Any]) -> None:
    with SESSIONS[kind]() as session, pytest.raises(TypeError, match=r"^a \w+ is bound to what it runs on; connect an"):
        duplicate(session)


def test_a_learner_keeps_its_settings() -> None:
    with connect(SPEC) as session:
        session.frozen = True
        session.learning_rate = 0.5
        session.coefficients = [np.full_like(layer, 3) for layer in session.coefficients]
        assert (session.frozen, session.learning_rate, session.coefficients[0].max()) == (True, (0.5,), 3)
