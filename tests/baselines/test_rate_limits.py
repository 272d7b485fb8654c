"""Rates of filters and perceptrons: up to which they are stable, and from which on they learn."""

import warnings
from dataclasses import replace

import numpy as np
import pytest

from kanrtl import LearningWarning, StabilityWarning
from kanrtl.baselines import LmsSpec, MlpSpec
from kanrtl.baselines.baseline_spec import BaselineSpec
from kanrtl.baselines.rate_limits import find_least_rate, find_stable_rate, warn_of_rate
from kanrtl.sessions.baseline_session import connect_baseline


def remaining(spec: LmsSpec) -> float:
    """The error after many samples at the end of the range, over the first."""
    x = np.full((60, spec.n_in), spec.input_range[1] * (1 - 1e-4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        with connect_baseline(spec) as learner:
            y = learner.learn_many(x, np.full((60, 1), 0.01))[:, 0]
    return float(np.abs(y[-10:] - 0.01).max() / 0.01)


@pytest.mark.parametrize(
    "fields",
    [
        {"n_in": 1},
        {"n_in": 4},
        {"n_in": 3, "input_range": (-3, 3)},
        {"n_in": 2, "degree": 3},
        {"n_in": 4, "normalisation": "table"},
        {"n_in": 1, "normalisation": "table", "input_range": (-0.2475, 0.2475), "width": 18, "guard_bits": 8},
    ],
)
def test_a_filter_diverges_beyond_the_rate_up_to_which_it_is_stable(fields: dict[str, object]) -> None:
    stable = find_stable_rate(LmsSpec(**fields))
    assert remaining(LmsSpec(**fields, learning_rate=0.9 * stable)) < 0.5
    assert remaining(LmsSpec(**fields, learning_rate=1.15 * stable)) > 5


def test_nothing_is_known_of_perceptrons_and_of_gradients() -> None:
    assert find_stable_rate(MlpSpec(n_in=1)) == np.inf
    assert find_stable_rate(LmsSpec(n_in=1, loss="external")) == np.inf


def test_a_table_that_gives_too_much_is_known() -> None:
    """At E = 1.0613 the reciprocal of its row is 3 % too large."""
    spec = LmsSpec(n_in=1, normalisation="table", width=18, guard_bits=8)
    assert 1.93 < find_stable_rate(spec) < 1.95
    x = np.full((2000, 1), 0.2475)

    def error(rate: float) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StabilityWarning)
            with connect_baseline(replace(spec, learning_rate=rate)) as learner:
                return float(np.abs(learner.learn_many(x, np.full((2000, 1), 0.01))[-1, 0] - 0.01))

    assert error(1.0 * find_stable_rate(spec) - 0.02) < 0.001
    assert error(1.97) > 0.5


def test_a_rate_that_the_format_of_a_step_rounds_to_nothing_is_warned_of() -> None:
    """The format follows from the rate of the spec, and the session's may be far lower."""
    x, target = np.tile([[0.9], [-0.9]], (300, 1)), np.tile([[1.0], [-1.0]], (300, 1))
    for spec in (LmsSpec(n_in=1, width=8, learning_rate=1), MlpSpec(n_in=1, width=12, learning_rate=8)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StabilityWarning)
            learner = connect_baseline(spec)
        with learner:
            before = [layer.tolist() for layer in learner.weights]
            with pytest.warns(LearningWarning, match=r"moves no weight .* a lower learning_rate, or a higher width"):
                learner.learning_rate = 0.9 * find_least_rate(spec)
            learner.learn_many(x, target)
            assert [layer.tolist() for layer in learner.weights] == before


@pytest.mark.parametrize("spec", [LmsSpec(n_in=1, width=8, guard_bits=0), MlpSpec(n_in=1, width=10, guard_bits=0)])
def test_below_the_least_rate_nothing_is_learned(spec: BaselineSpec) -> None:
    least = find_least_rate(spec)
    assert 2**-16 < least < 1
    x, target = np.full((50, 1), 0.9), np.full((50, 1), spec.target_range[1])
    for rate, moves in ((0.7 * least, False), (4 * least, True)):
        fields = {**spec.to_dict(), "learning_rate": rate}
        del fields["kind"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LearningWarning)
            with connect_baseline(type(spec)(**fields)) as learner:
                before = learner.weights[-1]
                learner.learn_many(x, target)
                assert bool((learner.weights[-1] != before).any()) == moves


def test_floor_moves_weights_at_any_rate() -> None:
    assert find_least_rate(LmsSpec(n_in=1, width=8, guard_bits=0, rounding="floor")) == 0


@pytest.mark.parametrize(
    ("spec", "category", "message"),
    [
        (
            LmsSpec(n_in=4, learning_rate=8),
            StabilityWarning,
            "learning_rate = 8: diverges where inputs stay at the ends of their range; it is stable up to 0.4: give a "
            'lower one, or set normalisation = "table" in the spec',
        ),
        (
            LmsSpec(n_in=4, learning_rate=3, normalisation="power_of_two"),
            StabilityWarning,
            "learning_rate = 3: diverges where inputs stay at the ends of their range; it is stable up to 2: give a "
            "lower one",
        ),
        (
            LmsSpec(n_in=1, learning_rate=2**-12, width=8, guard_bits=0),
            LearningWarning,
            "learning_rate = 0.000244141: moves no weight of the last layer, whose updates round to zero; give 0.00781 "
            "or more, or set a lower learning_rate, or a higher width or guard_bits, in the spec",
        ),
        (
            LmsSpec(n_in=70, learning_rate=2**-10, normalisation="table"),
            LearningWarning,
            "learning_rate = 0.000976562: over a squared norm of up to 71 the step size, in multiples of 3.05176e-05, "
            "is up to zero; give 0.0347 or more, or fewer features",
        ),
        (
            LmsSpec(n_in=7, learning_rate=2**-9, normalisation="table"),
            LearningWarning,
            "learning_rate = 0.00195312: over a squared norm of up to 8 the step size, in multiples of 3.05176e-05, is "
            "up to 6 % off; give 0.00391 or more, or fewer features",
        ),
    ],
)
def test_rates_at_which_something_is_lost_are_warned_of(
    spec: BaselineSpec, category: type[Warning], message: str
) -> None:
    with pytest.warns(category) as caught, connect_baseline(spec):
        pass
    assert [str(warning.message) for warning in caught] == [message]


def test_others_are_not_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for spec in (LmsSpec(n_in=15), LmsSpec(n_in=40, learning_rate=1.0, normalisation="table"), MlpSpec(n_in=3)):
            warn_of_rate(spec, spec.learning_rate)
            warn_of_rate(spec, 0.0)
