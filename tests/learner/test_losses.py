"""Losses: what each gives fits together, and one more of them is one more file."""

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import InputError, LearnerSpec, Model, SpecError, connect
from kanrtl.discovery import modules_of
from kanrtl.learner import losses, validation
from kanrtl.learner.losses import LOSSES, find_loss
from kanrtl.numeric.fixed import SQ, fits, narrow
from support.added_loss import ABSOLUTE
from support.search import examples
from support.strategies import codes_in, specs
from support.tiers import thorough

PLAIN: dict[str, Any] = {"layer_sizes": [2, 1], "grid_range": (-2, 2), "table_size": 16}


def gradients(spec: LearnerSpec, values: Any, targets: Any) -> Any:
    """Exact gradients of one learner, for codes of shape ``(samples, n_out)``."""
    integers = find_loss(spec.loss).in_integers(spec.layers[-1:])
    return integers(values[..., None], targets[..., None])[..., 0]


def stimulus(spec: LearnerSpec, seed: int) -> tuple[Any, Any, Any]:
    """The format of values, and codes of 50 values and targets."""
    random, last = np.random.default_rng(seed), spec.layers[-1]
    value = last.formats.output if find_loss(spec.loss).reads_outputs else last.node_sum
    return value, *(codes_in(format, random, (50, last.n_out)) for format in (value, spec.target_format))


def test_names() -> None:
    assert LOSSES == ("squared", "logistic", "external")
    assert LearnerSpec(**PLAIN).loss == "squared"


@pytest.mark.parametrize("loss", ["cubic", "Squared", "", 1, None, ["squared"], np.array(["squared", "logistic"])])
def test_others_are_refused_by_name(loss: Any) -> None:
    with pytest.raises(SpecError, match=r": must be 'squared', 'logistic' or 'external'$") as failure:
        LearnerSpec(**PLAIN, loss=loss)
    assert str(failure.value).startswith("loss = ")


@examples(60)
@given(spec=specs(), loss=st.sampled_from(LOSSES), seed=st.integers(0, 2**32 - 1))
def test_integers_lie_near_real_numbers(spec: LearnerSpec, loss: str, seed: int) -> None:
    spec = spec.replace(loss=loss)
    value, values, targets = stimulus(spec, seed)
    exact = find_loss(loss).gradient_format(spec.layers[-1])
    found = exact.to_float(gradients(spec, values, targets))
    real = find_loss(loss).in_reals(value.to_float(values), spec.target_format.to_float(targets))
    # Only the logistic loss is rounded: to the middle of a row, and to the gradient's fraction.
    formats = spec.layers[-1].formats
    reach = 2 ** (min(4, formats.output.i) - 1)
    room = 2 * reach / min(256, 2 * reach << formats.output.f) / 8 + formats.gradient.lsb
    inside = np.abs(value.to_float(values)) < reach
    assert np.abs(found - real)[inside].max(initial=0) <= (room if loss == "logistic" else 0)


@examples(60)
@given(spec=specs(), loss=st.sampled_from(LOSSES), seed=st.integers(0, 2**32 - 1))
def test_gradients_fit_their_format_and_saturate_only_where_a_loss_says_so(
    spec: LearnerSpec, loss: str, seed: int
) -> None:
    spec = spec.replace(loss=loss)
    last, found = spec.layers[-1], find_loss(loss)
    _, values, targets = stimulus(spec, seed)
    exact = found.gradient_format(last)
    codes = gradients(spec, values, targets)
    assert fits(int(codes.min()), int(codes.max()), exact.f, exact, "floor")
    if loss == "squared":  # sums of windows reach less than their format
        codes = np.clip(codes, *last.error_bounds)
    saturated = narrow(codes, exact.f, last.formats.gradient, spec.rounding).saturated.any()
    assert found.saturates(last, spec.rounding) or not saturated


def test_side_by_side_learners_have_formats_of_their_own() -> None:
    specs = [LearnerSpec(**PLAIN, loss="logistic", activation_format=name) for name in ("SQ(6, 10)", "SQ(4, 6)")]
    layers = [spec.layers[-1] for spec in specs]
    together = find_loss("logistic").in_integers(layers)(np.array([[700, 40]]), np.array([[1024, 64]]))
    alone = [
        gradients(spec, np.array([y]), np.array([t])) for spec, y, t in zip(specs, (700, 40), (1024, 64), strict=True)
    ]
    assert together[0].tolist() == [int(gradient[0]) for gradient in alone]


# One more


@pytest.fixture
def absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A file beside the other losses, as far as Python can tell."""
    (tmp_path / "absolute.py").write_text(ABSOLUTE)
    monkeypatch.setattr(losses, "__path__", [*losses.__path__, str(tmp_path)])
    names = modules_of(losses.__path__, first=LOSSES)
    for module in (losses, validation):
        monkeypatch.setattr(module, "LOSSES", names)
    yield "absolute"
    sys.modules.pop(f"{losses.__name__}.absolute", None)
    vars(losses).pop("absolute", None)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"schedule": "streaming"},
        thorough({"teaching": "after_prediction", "pipeline": "most_registers"}),
        thorough({"reuse_factor": 2, "update_rounding": "stochastic"}),
    ],
    ids=["sequential", "streaming", "after_prediction", "folded"],
)
def test_one_file_adds_a_loss(absolute: str, fields: dict[str, Any]) -> None:
    spec = LearnerSpec(**PLAIN | {"loss": absolute, "learning_rate": 0.06, "grid_size": 2} | fields)
    random = np.random.default_rng(1)
    x = random.uniform(-2, 2, (200, 2))
    target = x[:, :1] / 2
    predictions = {}
    for backend in ("model", "pysim"):
        with connect(spec, backend) as learner:
            predictions[backend] = learner.learn_many(x, target)
    assert np.array_equal(predictions["model"], predictions["pysim"])
    errors = np.abs(predictions["model"] - target)
    assert errors[-50:].mean() < errors[:20].mean() / 2


def test_what_else_knows_of_an_added_loss(absolute: str) -> None:
    spec = LearnerSpec(**PLAIN, loss=absolute)
    assert LearnerSpec.from_dict(spec.to_dict()) == spec
    assert spec.estimate("LFE5U-25F").lut > spec.replace(loss="external").estimate("LFE5U-25F").lut
    with (
        connect(spec) as learner,
        pytest.raises(InputError, match='the spec has loss = "absolute"; set loss = "external"'),
    ):
        learner.feedback([0.5])
    with pytest.raises(SpecError, match=r"must be 'squared', 'logistic', 'external' or 'absolute'$"):
        LearnerSpec(**PLAIN, loss="relative")


def test_a_gradient_that_is_too_wide_is_refused(absolute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(find_loss(absolute)), "gradient_format", lambda *_: SQ(50, 13))
    with pytest.raises(SpecError, match=r"^loss = 'absolute': its gradient would need 63 bits, the limit is 62$"):
        LearnerSpec(**PLAIN, loss=absolute)


@pytest.mark.parametrize("loss", ["squared", "logistic", "external"])
def test_a_model_goes_to_other_processes(loss: str) -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), loss=loss)
    model = Model(spec)
    teaching = spec.target_format.quantise([1.0])
    model.learn(spec.formats.input.quantise([0.5]), teaching)
    other = pickle.loads(pickle.dumps(model))
    for each in (model, other):
        each.learn(spec.formats.input.quantise([0.25]), teaching)
    assert [layer.tolist() for layer in other.coefficients] == [layer.tolist() for layer in model.coefficients]
