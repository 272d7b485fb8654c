"""LMS filters in hardware: to the bit what the model says, in the cycles that the spec says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.baselines import LmsSpec, create_learner
from kanrtl.baselines.rtl.lms_learner import LmsLearner
from kanrtl.sessions.baseline_session import connect_baseline
from support.baselines import check_equality
from support.search import examples

SPECS = st.builds(
    LmsSpec,
    n_in=st.integers(1, 2),
    n_out=st.integers(1, 2),
    degree=st.integers(1, 3),
    polynomials=st.sampled_from(["chebyshev", "powers"]),
    mixed=st.booleans(),
    normalisation=st.sampled_from(["none", "power_of_two", "table"]),
    input_range=st.sampled_from([(-2, 2), (-0.3, 0.1), (0, 30)]),
    target_range=st.sampled_from([(-3, 3), (-0.1, 0.1)]),
    learning_rate=st.sampled_from([0.9, 0.125, 1.5, 2**-9]),
    loss=st.sampled_from(["squared", "external"]),
    width=st.integers(10, 18),
    guard_bits=st.integers(0, 6),
    headroom=st.integers(0, 2),
    rounding=st.sampled_from(["half_up", "half_even", "floor"]),
    pipeline=st.lists(st.sampled_from(LmsSpec.STAGES), unique=True),
)


@examples(5)
@given(spec=SPECS, seed=st.integers(0, 2**31))
def test_it_is_the_model_to_the_bit(spec: LmsSpec, seed: int) -> None:
    check_equality(spec, seed)


@pytest.mark.parametrize(
    ("fields", "cycles"),
    [
        ({"degree": 1}, (1, 1)),
        ({"degree": 5, "pipeline": "all_registers"}, (5, 7)),
        ({"degree": 1, "pipeline": "all_registers", "normalisation": "table"}, (2, 4)),
        ({"degree": 3, "pipeline": ["features", "step"]}, (3, 4)),
    ],
)
def test_a_step_takes_its_cycles(fields: dict[str, object], cycles: tuple[int, int]) -> None:
    spec = LmsSpec(n_in=1, **fields)
    assert (spec.timing.prediction_latency, spec.latency, spec.interval) == (*cycles, cycles[1])
    with connect_baseline(spec, "pysim") as learner:
        learner.learn_many(np.full((4, 1), 0.5), np.full((4, 1), 0.5))
        observed = learner.status["observed"]
    assert observed == {"prediction_latency": [cycles[0]], "latency": [cycles[1]], "interval": [cycles[1]]}


@pytest.mark.usefixtures("unelaborated")
def test_a_spec_makes_it() -> None:
    learner = create_learner(LmsSpec(n_in=1, pipeline="all_registers"))
    assert isinstance(learner, LmsLearner)
    assert learner.latency == 4
