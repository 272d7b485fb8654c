"""Perceptrons in hardware: to the bit what the model says, in the cycles that the spec says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl.baselines import MlpSpec, create_learner
from kanrtl.baselines.rtl.mlp_learner import MlpLearner
from kanrtl.sessions.baseline_session import connect_baseline
from support.baselines import check_equality
from support.search import examples

SPECS = st.builds(
    MlpSpec,
    n_in=st.integers(1, 2),
    n_out=st.integers(1, 2),
    hidden=st.integers(1, 3),
    activation=st.sampled_from(["relu", "hard_tanh"]),
    hidden_shift=st.integers(-3, 2),
    seed=st.integers(0, 99),
    input_range=st.sampled_from([(-2, 2), (0, 30)]),
    target_range=st.sampled_from([(-3, 3), (-0.1, 0.1), (0, 30)]),
    learning_rate=st.sampled_from([0.9, 0.125, 2**-9]),
    loss=st.sampled_from(["squared", "external"]),
    width=st.integers(10, 18),
    guard_bits=st.integers(0, 6),
    rounding=st.sampled_from(["half_up", "half_even", "floor"]),
    pipeline=st.lists(st.sampled_from(MlpSpec.STAGES), unique=True),
)


@examples(3)
@given(spec=SPECS, seed=st.integers(0, 2**31))
def test_it_is_the_model_to_the_bit(spec: MlpSpec, seed: int) -> None:
    check_equality(spec, seed)


@pytest.mark.parametrize(
    ("pipeline", "cycles"), [("no_registers", (1, 1)), ("all_registers", (3, 6)), (["hidden", "step"], (2, 3))]
)
def test_a_step_takes_its_cycles(pipeline: str | list[str], cycles: tuple[int, int]) -> None:
    spec = MlpSpec(n_in=1, hidden=1, pipeline=pipeline)
    with connect_baseline(spec, "pysim") as learner:
        learner.learn_many(np.full((4, 1), 0.5), np.full((4, 1), 0.5))
        observed = learner.status["observed"]
    assert observed == {"prediction_latency": [cycles[0]], "latency": [cycles[1]], "interval": [cycles[1]]}


@pytest.mark.usefixtures("unelaborated")
def test_a_spec_makes_it() -> None:
    learner = create_learner(MlpSpec(n_in=1, pipeline="all_registers"))
    assert isinstance(learner, MlpLearner)
    assert learner.latency == 6
