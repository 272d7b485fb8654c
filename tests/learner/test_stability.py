"""The bounds of stable rates: beside learners that stay within them, and beyond."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kanrtl import LearnerSpec, Model, StabilityWarning, connect
from kanrtl.cli.command_line import run
from kanrtl.learner.spec_file import derived, to_toml
from support.search import examples

STREAMING: dict[str, Any] = {"grid_range": (-2, 2), "schedule": "streaming"}


def growth(spec: LearnerSpec, rate: float, x: np.ndarray) -> float:
    """By what factor the error of a target that an output can reach grows from one half of the samples to the other."""
    model = Model(spec.replace(learning_rate=rate), numeric="float64")
    target = np.full((len(x), 1), 1e-3)  # the model in floats does not saturate
    predictions = model.run(x, target, np.ones(len(x), dtype=bool), range(len(x)))
    errors = np.abs(predictions - target)[:, 0]
    half = len(x) // 2
    return float(errors[half:].max() / errors[:half].max())


@pytest.mark.parametrize(
    "fields",
    [
        {"layer_sizes": [1, 1]},
        {"layer_sizes": [5, 1]},
        {"layer_sizes": [2, 1], "spline_order": 1, "pipeline": "few_registers"},
        {"layer_sizes": [3, 1], "spline_order": 2, "pipeline": "most_registers"},
        {"layer_sizes": [2, 1], "linear": True},
    ],
    ids=str,
)
def test_inputs_at_rest_diverge_from_the_critical_rate_on(fields: dict[str, Any]) -> None:
    spec = LearnerSpec(**STREAMING, table_size=4096, learning_rate=2.0**-6, **fields)
    # Bases have their largest sum of squares on a knot, those of order 2 between two; x of linear paths is largest at
    # the end of the grid.
    worst = -2.0 + 1e-9 if spec.linear_layers else 0.25 if spec.spline_order == 2 else 0.0
    x = np.full((400 * spec.delays[-1], spec.n_in), worst)
    critical = spec.stability.critical_learning_rate

    def scaled(factor: float) -> LearnerSpec:
        linear = {"linear_rate": spec.layers[0].linear.linear_rate * factor} if spec.layers[0].linear else {}
        return spec.replace(**linear)

    factor = critical / spec.learning_rate
    assert spec.delays[-1] > 1
    assert growth(scaled(0.97 * factor), 0.97 * critical, x) < 0.5
    assert growth(scaled(1.03 * factor), 1.03 * critical, x) > 2


@examples(15)
@given(seed=st.integers(0, 1 << 31), n_in=st.integers(1, 3), period=st.integers(1, 30))
def test_no_inputs_diverge_at_the_stable_rate(seed: int, n_in: int, period: int) -> None:
    """Inputs that repeat could swing each other up."""
    spec = LearnerSpec(layer_sizes=[n_in, 1], **STREAMING, pipeline="few_registers")
    x = np.resize(np.random.default_rng(seed).uniform(-2, 2, (period, n_in)), (1200, n_in))
    assert growth(spec, spec.stability.stable_learning_rate, x) <= 1 + 1e-6


def test_bounds_follow_from_delay_inputs_and_loss() -> None:
    one = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))
    assert one.stability.gain == pytest.approx(one.learning_rate * 0.5, rel=1e-2)
    assert one.stability.stable_learning_rate == one.stability.critical_learning_rate == pytest.approx(4, rel=1e-2)
    assert one.replace(loss="logistic").stability.stable_learning_rate == pytest.approx(16, rel=1e-2)
    late = one.replace(layer_sizes=[5, 1], schedule="streaming")
    periods = 2 * late.delays[0] - 1
    assert late.stability.any_inputs == 2 / periods
    assert late.stability.at_rest == 2 * math.sin(math.pi / 2 / periods)
    # Rates of linear paths count too, and both move together.
    line = one.replace(linear=True, linear_rate=0.5)
    assert line.stability.gain == pytest.approx(one.stability.gain + 0.5 * 4)
    assert line.stability_at(0.25, 1.0).stable_learning_rate == pytest.approx(line.stability.stable_learning_rate)
    hidden = one.replace(layer_sizes=[2, 4, 1])
    assert hidden.stability.stable_learning_rate == pytest.approx(1, rel=1e-2)


def test_a_spec_says_its_bounds() -> None:
    spec = LearnerSpec(layer_sizes=[2, 4, 1], **STREAMING)
    first, last = derived(spec)["layers"]
    assert first["stable_learning_rate"] is first["critical_learning_rate"] is None
    assert last["stable_learning_rate"] == spec.stability.stable_learning_rate
    assert last["critical_learning_rate"] == spec.stability.critical_learning_rate
    text = to_toml(spec)
    stable, critical = spec.stability.stable_learning_rate, spec.stability.critical_learning_rate
    assert text.count("depends on the slopes of the layers behind it\n") == 1
    assert f"up to {stable:.3g} with any inputs, below {critical:.3g} with inputs that stand still\n" in text
    exact = to_toml(LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), loss="external"))
    assert "#   stable at rates up to 4 with any inputs, if d2L/dy2 is at most 1\n" in exact


# Warnings

FAST = LearnerSpec(layer_sizes=[5, 1], **STREAMING, learning_rate=0.3)
SLOW = FAST.replace(learning_rate=1 / 32)


def one_line(caught: Any) -> str:
    (warning,) = caught
    assert warning.filename == __file__
    return str(warning.message)


def test_a_session_warns_of_its_rate_at_the_line_that_gave_it(tmp_path: Path) -> None:
    with pytest.warns(StabilityWarning) as caught:
        fast = connect(FAST)
    assert one_line(caught) == (
        "learning_rate = 0.3: diverges where inputs stand still, as updates are seen 10 samples later; it is stable up "
        "to 0.0421: give a lower one, or fewer registers"
    )
    fast.save(tmp_path / "fast.npz")
    slow = connect(SLOW)
    with pytest.warns(StabilityWarning, match=r"^learning_rate = 0.0500\d*: diverges with some inputs, as ") as caught:
        slow.learning_rate = 0.05
    one_line(caught)
    with pytest.warns(StabilityWarning, match=r"^learning_rate = 0.3\d*: diverges where") as caught:
        slow.load(tmp_path / "fast.npz")
    one_line(caught)
    with pytest.warns(
        StabilityWarning, match=r": diverges where inputs stand still; it is stable up to 4: give a lower"
    ):
        connect(LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=4.5))


def test_rates_of_linear_paths_are_warned_of_by_their_name() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), linear=True, linear_rate=0.25)
    with connect(spec) as learner:
        learner.learning_rate = 0
        with pytest.warns(StabilityWarning) as caught:
            learner.linear_rate = 0.75
        assert one_line(caught) == (
            "linear_rate = 0.75: diverges where inputs stand still; it is stable up to 0.5: give a lower one"
        )
        learner.linear_rate = 0
        learner.learning_rate = 0.25
        with pytest.warns(StabilityWarning) as caught:
            learner.linear_rate = 0.625
        stability = learner.spec.stability_at(0.25, 0.625)
        assert one_line(caught) == (
            "learning_rate = 0.25 and linear_rate = 0.625: diverges where inputs stand still; it is stable up to "
            f"{stability.stable_learning_rate:.3g} and {stability.stable_linear_rate:.3g}: give lower ones"
        )
        below = spec.stability_at(stability.stable_learning_rate, stability.stable_linear_rate)
        assert below.gain == pytest.approx(below.any_inputs)


@pytest.mark.filterwarnings("error")
def test_stable_rates_and_unknown_losses_are_not_warned_of() -> None:
    with connect(SLOW) as learner:
        learner.learning_rate = 1 / 25
    connect(FAST.replace(loss="external")).close()
    connect(SLOW.replace(loss="logistic", learning_rate=1 / 8)).close()


@pytest.mark.parametrize("command", [["spec"], ["verilog", "-o", "t.v"], ["simulate", "--backend", "model"]])
def test_commands_warn_in_one_line(
    command: list[str],
    spec_file: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = spec_file("fast.toml", layer_sizes="[1, 1]", schedule='"streaming"', learning_rate="1.5")
    status = run([command[0], str(path), *command[1:]])
    assert status == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "stable" in line]
    assert len(lines) == 1
    assert lines[0].startswith(
        "kanrtl: warning: learning_rate = 1.5: diverges where inputs stand still, as updates are seen 10 "
    )
