"""What a baseline has learned, in a file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import InputError, LearnerSpec, LearningWarning, StabilityWarning, connect
from kanrtl.baselines import LmsSpec, MlpSpec
from kanrtl.baselines.baseline_spec import BaselineSpec
from kanrtl.sessions.baseline_session import BaselineSession, connect_baseline

FILTER = LmsSpec(n_in=2, n_out=2, degree=2, target_range=(-3, 3), normalisation="table")
PERCEPTRON = MlpSpec(n_in=2, n_out=2, hidden=4, seed=3, target_range=(-3, 3))


def teach(learner: BaselineSession) -> None:
    random = np.random.default_rng(2)
    x = random.uniform(-1, 1, (40, 2))
    learner.learn_many(x, 2 * x[:, ::-1])


@pytest.fixture(params=[FILTER, PERCEPTRON], ids=["filter", "perceptron"])
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, BaselineSession]:
    learner = connect_baseline(request.param)
    learner.learning_rate = 0.0625
    teach(learner)
    learner.save(tmp_path / "learned.npz")
    return tmp_path / "learned.npz", learner


@pytest.mark.parametrize("backend", ["model", "pysim"])
def test_what_was_saved_goes_on_learning_with_the_same_bits(backend: str, saved: tuple[Path, BaselineSession]) -> None:
    path, learner = saved
    x = np.random.default_rng(4).uniform(-1, 1, (9, 2))
    with connect_baseline(learner.spec, backend) as other:
        other.load(str(path))
        assert other.learning_rate == 0.0625
        assert other.predict_many(x).tolist() == learner.predict_many(x).tolist()
        assert other.learn_many(x, x).tolist() == learner.learn_many(x, x).tolist()
        assert [layer.tolist() for layer in other.weights] == [layer.tolist() for layer in learner.weights]


def test_another_step_may_go_on(saved: tuple[Path, BaselineSession]) -> None:
    path, learner = saved
    other: dict[str, Any] = {"learning_rate": 0.5, "rounding": "half_even", "pipeline": "all_registers"}
    own = {"normalisation": "none"} if isinstance(learner.spec, LmsSpec) else {"reuse_factor": 2, "hidden_shift": -2}
    with connect_baseline(replace(learner.spec, **other, **own)) as session:
        session.load(path)
        assert [layer.tolist() for layer in session.weights] == [layer.tolist() for layer in learner.weights]
        assert session.learning_rate == 0.0625


def test_a_rate_that_is_loaded_is_warned_of(tmp_path: Path) -> None:
    spec = LmsSpec(n_in=2)
    with connect_baseline(spec) as learner:
        with pytest.warns(StabilityWarning):
            learner.learning_rate = 0.75
        learner.save(tmp_path / "fast.npz")
    with connect_baseline(spec) as learner, pytest.warns(StabilityWarning, match="learning_rate"):
        learner.load(tmp_path / "fast.npz")


def refuse(spec: BaselineSpec, path: Path) -> str:
    """What is said where a file is not taken, after which everything is as it was."""
    with connect_baseline(spec) as learner:
        before, rate = [layer.tolist() for layer in learner.weights], learner.learning_rate
        with pytest.raises(InputError) as failure:
            learner.load(path)
        assert [layer.tolist() for layer in learner.weights] == before
        assert learner.learning_rate == rate
    start = f"load: {str(path)!r}: "
    assert str(failure.value).startswith(start)
    return str(failure.value).removeprefix(start)


@pytest.mark.parametrize(
    ("written", "fields", "line"),
    [
        (FILTER, {"degree": 3}, "degree = 2, but this baseline has 3"),
        (FILTER, {"n_out": 1}, "n_out = 2, but this baseline has 1"),
        (FILTER, {"polynomials": "powers"}, "polynomials = 'chebyshev', but this baseline has 'powers'"),
        (PERCEPTRON, {"activation": "hard_tanh"}, "activation = 'relu', but this baseline has 'hard_tanh'"),
        (PERCEPTRON, {"hidden": 8}, "hidden = 4, but this baseline has 8"),
        (PERCEPTRON, {"width": 14}, "width = 16, but this baseline has 14"),
        (PERCEPTRON, {"target_range": (-1, 1)}, "target_range = [-3.0, 3.0], but this baseline has [-1.0, 1.0]"),
    ],
)
def test_weights_of_another_meaning_are_not_taken(
    written: BaselineSpec, fields: dict[str, Any], line: str, tmp_path: Path
) -> None:
    path = tmp_path / "learned.npz"
    with connect_baseline(written) as learner:
        learner.save(path)
    assert refuse(replace(written, **fields), path) == f"{line}; load it into one with the same"


def test_another_kind_and_a_rate_that_no_register_holds_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "learned.npz"
    with connect_baseline(replace(FILTER, learning_rate=4)) as learner:
        learner.save(path)
    kind = "kind = 'LmsSpec', but this baseline has 'MlpSpec'"
    assert refuse(PERCEPTRON, path) == f"{kind}; load it into one with the same"
    rate = "learning_rate = 4.0: UQ(0, 12) holds 0 to 0.999755859375; give a higher learning_rate in the spec"
    assert refuse(FILTER, path) == rate


def test_a_rate_is_rounded_to_its_register_as_one_that_is_assigned(tmp_path: Path) -> None:
    path, spec = tmp_path / "learned.npz", LmsSpec(n_in=2)
    for rate, other in ((0.01, 0.125), (0.5, 2.0**-10)):
        with connect_baseline(replace(spec, learning_rate=rate)) as learner:
            learner.save(path)
            held = learner.learning_rate
        with connect_baseline(replace(spec, learning_rate=other)) as loaded:
            loaded.load(path)
            assert loaded.learning_rate == pytest.approx(held, rel=1 / 64)
    with connect_baseline(replace(spec, learning_rate=0.003)) as learner:
        learner.save(path)
    line = r"^learning_rate = 0\.00305176: becomes 0\.0029296875 in its register, 4 % off"
    with connect_baseline(spec) as loaded, pytest.warns(LearningWarning, match=line):
        loaded.load(path)
    with connect_baseline(replace(spec, learning_rate=2.0**-10)) as learner:
        learner.learning_rate = 2.0**-14
        learner.save(path)
    assert refuse(spec, path).startswith("learning_rate = 6.103515625e-05: rounds to zero in UQ(0, 12); give")


def test_a_linear_filter_has_no_products(tmp_path: Path) -> None:
    with connect_baseline(LmsSpec(n_in=2, polynomials="powers")) as learner:
        learner.save(tmp_path / "linear.npz")
    with connect_baseline(LmsSpec(n_in=2, mixed=True)) as other:
        other.load(tmp_path / "linear.npz")


def test_what_is_no_saved_baseline_is_not_taken(tmp_path: Path) -> None:
    path, no_baseline = tmp_path / "a.npz", "give a file that save of a baseline's session wrote"
    with connect(LearnerSpec(layer_sizes=[1, 1], grid_range=(-1, 1))) as learner:
        learner.save(path)
        assert refuse(FILTER, path) == f"not a saved baseline; {no_baseline}"
        with connect_baseline(FILTER) as other:
            other.save(path)
        with pytest.raises(InputError, match=r"not a saved learner; give a file that save wrote$"):
            learner.load(path)
    with np.load(path) as content:
        arrays = dict(content)

    def said(**changed: Any) -> str:
        np.savez(path, **{name: value for name, value in (arrays | changed).items() if value is not None})
        return refuse(FILTER, path)

    spec = FILTER.to_dict()
    assert said(weights_0=None) == f"not a saved baseline; {no_baseline}"
    assert said(weights_0=arrays["weights_0"][:1]) == "weights[0]: must be integer codes of shape (2, 5)"
    assert said(weights_0=arrays["weights_0"] + (1 << 40)).startswith("weights[0]: codes must be from ")
    assert said(format=2) == "is of format 2, and this version reads up to 1; use the kanrtl that saved it"
    for version in (0, 1.5, [1]):
        assert said(format=version) == f"not a saved baseline; {no_baseline}"
    for rate in (-1, 1 << 20, 0.5, [1]):
        assert said(learning_rate=rate) == f"learning_rate: must be an integer from 0 to 4095; {no_baseline}"
    for text, why in (
        (json.dumps({**spec, "kind": "RlsSpec"}), "kind = 'RlsSpec': must be 'LmsSpec' or 'MlpSpec'"),
        (json.dumps({**spec, "taps": 3}), "taps = 3: no field of LmsSpec; leave it out"),
        (json.dumps({**spec, "width": 99}), "width = 99: must be an integer from 8 to 18"),
    ):
        assert said(baseline=text) == f"the saved spec does not work here ({why}); save it again with this version"
    for text in ("{", "[]", "5"):
        assert said(baseline=text) == f"not a saved baseline; {no_baseline}"
    path.write_bytes(b"no archive")
    assert refuse(FILTER, path).endswith(no_baseline)
