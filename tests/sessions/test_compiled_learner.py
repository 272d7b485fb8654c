"""The integer model in machine code: the same bits as in numpy, whatever the spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import InputError, LearnerSpec, LookupNetwork, Session, connect
from kanrtl.learner.loss import Loss
from kanrtl.sessions import compiled_learner
from support.search import examples

pytestmark = pytest.mark.usefixtures("compiled")

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "layer_sizes": st.sampled_from([[1, 1], [2, 3, 2], [3, 2, 2, 1]]),
    "loss": st.sampled_from(["squared", "logistic", "external"]),
    "schedule": st.sampled_from(["sequential", "streaming"]),
    "rounding": st.sampled_from(["half_up", "half_even", "floor"]),
    "update_rounding": st.sampled_from(["half_up", "half_even", "floor", "stochastic"]),
    "spline_order": st.integers(1, 3),
    "grid_size": st.integers(1, 6),
    "grid_range": st.sampled_from([(-2, 2), (-0.7, 1.1), (0, 3)]),
    "learning_rate": st.sampled_from([0.2, 1.5, 2**-9]),
    "seed": st.integers(0, 2**31),
}
FORMATS = {
    "activation_format": "SQ(3, 6)",
    "input_format": "SQ(4, 8)",
    "output_format": "SQ(5, 7)",
    "gradient_format": "SQ(1, 8)",
    "coefficient_format": "SQ(2, 9)",
    "factor_format": "SQ(2, 6)",
}


def everything(session: Session) -> dict[str, Any]:
    backend = session.backend
    return {
        "coefficients": session.coefficients,
        "noise": backend.read_noise(),
        "saturations": backend.read_saturations(),
        "samples": session.status["samples"],
    }


@examples(40)
@given(st.fixed_dictionaries(FIELDS), st.sets(st.sampled_from(sorted(FORMATS))), st.data())
def test_any_spec_gives_the_same_bits(fields: dict[str, Any], formats: set[str], data: st.DataObject) -> None:
    spec = LearnerSpec(**fields, **{name: FORMATS[name] for name in formats})
    random = np.random.default_rng(data.draw(st.integers(0, 2**16)))
    sessions = connect(spec), connect(spec, "compiled")
    for count in (25, 1, 0, 9):
        x = spec.formats.input.quantise(random.uniform(-5, 5, (count, spec.n_in)))
        teaching = spec.target_format.quantise(random.uniform(-6, 6, (count, spec.n_out)))
        learn = random.random(count) < 0.8
        ours, theirs = (session.backend.run(x, teaching, learn) for session in sessions)
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_equal(*map(everything, sessions))


def test_a_long_run_goes_through_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = LearnerSpec(layer_sizes=[1, 2, 1], grid_range=(-2, 2), grid_size=4, schedule="streaming")
    x = np.random.default_rng(0).uniform(-2, 2, (50, 1))
    sessions = connect(spec), connect(spec, "compiled")
    monkeypatch.setattr(compiled_learner, "SAMPLES", 7)
    np.testing.assert_array_equal(*(session.learn_many(x, np.sin(x)) for session in sessions))
    np.testing.assert_equal(*map(everything, sessions))


def test_counters_stop_at_their_highest_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_learner, "COUNTER_WIDTH", 3)
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=4, coefficient_format="SQ(1, 9)")
    with connect(spec, "compiled") as session:
        session.learn_many(np.zeros((30, 1)), np.full((30, 1), 30.0))
        assert session.status["saturations"]["coefficient"] == 7


def test_learners_are_independent_and_files_move_between_backends(tmp_path: Path) -> None:
    spec = LearnerSpec(layer_sizes=[2, 2, 1], grid_range=(-2, 2), grid_size=4, update_rounding="stochastic")
    first, second, model = connect(spec, "compiled"), connect(spec, "compiled"), connect(spec)
    x = np.random.default_rng(1).uniform(-2, 2, (20, 2))
    target = x[:, :1] * x[:, 1:]
    before = second.coefficients
    first.learning_rate = 0.5
    first.learn_many(x, target)
    np.testing.assert_equal(second.coefficients, before)
    first.save(tmp_path / "a.npz")
    for other in (second, model):
        other.load(tmp_path / "a.npz")
        other.learn_many(x, target)
    first.learn_many(x, target)
    np.testing.assert_equal(first.coefficients, second.coefficients)
    np.testing.assert_equal(first.coefficients, model.coefficients)


def test_what_it_cannot_do_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=4)
    with pytest.raises(InputError, match=r'^trace: backend "compiled" has no signals; use "pysim" or "native"$'):
        connect(spec, "compiled", trace=tmp_path / "a.vcd")
    network: LookupNetwork = connect(spec).freeze(6).network
    with pytest.raises(InputError, match=r'^backend = "compiled": runs learners only'):
        connect(network, "compiled")
    monkeypatch.setattr("kanrtl.learner.losses.squared._Squared.compiled", Loss.compiled)
    with pytest.raises(InputError, match=r'^backend = "compiled": does not know loss = "squared"'):
        connect(spec, "compiled")
