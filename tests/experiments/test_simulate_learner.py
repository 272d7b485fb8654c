"""Tasks, and runs of them beside the integer model and float64."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from kanrtl import InputError, LearnerSpec, connect
from kanrtl.experiments.simulate_learner import simulate
from kanrtl.numeric.fixed import Codes
from kanrtl.plots.canvas import check_picture, keep_in_view, make_figure, running_mean_square
from kanrtl.sessions.backend import BackendKind
from kanrtl.sessions.backends.model import ModelLearner, ModelNetwork
from kanrtl.sessions.standalone_model import Model
from kanrtl.sim import TASKS, Equalise, Recording, Track
from kanrtl.sim.task import Regime

FORMULAS = (
    lambda x: np.sin(x) + 0.3 * x**2,
    lambda x: 1 - np.cos(2 * x) + 0.1 * x**3,
    lambda x: np.exp(-0.5 * (x - 1) ** 2) + 0.05 * x**3,
)


def test_a_guarded_learner_is_simulated() -> None:
    """The reference in float64 has no guard."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=0.1, guard={"window": 8, "error": 0.01})
    found = simulate(spec, Track(60, 0), "model")
    plain = simulate(spec.replace(guard=None), Track(60, 0), "model")
    np.testing.assert_array_equal(found.predictions_float64, plain.predictions_float64)
    assert not np.array_equal(found.predictions, plain.predictions)  # it has tripped, and the learner is frozen


@pytest.mark.usefixtures("compiled")
def test_what_is_read_when_all_is_learned_is_no_sample_that_is_late() -> None:
    spec = LearnerSpec(
        layer_sizes=[1, 1],
        grid_range=(-2, 2),
        grid_size=2,
        spline_order=1,
        table_size=4,
        guard={"window": 8, "slot": 64},
    )
    found = simulate(spec, Track(60, 0), "native")
    assert found.mismatches == 0
    guard = found.status["guard"]
    assert (guard["fault"], guard["seen"], guard["limits"]["slot"]) == (False, [], 64)


def test_floats_that_diverge_behind_a_hidden_layer_are_no_numbers() -> None:
    model = Model(LearnerSpec(layer_sizes=[1, 3, 1], grid_range=(-2, 2), learning_rate=3), numeric="float64")
    task = Track(1500, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(model.run(task.x, task.target, np.ones(len(task.x), dtype=bool))).any()


def test_track_is_reproducible() -> None:
    one, same, other = Track(300, 4), Track(300, 4), Track(300, 5)
    assert np.array_equal(one.x, same.x)
    assert np.array_equal(one.target, same.target)
    assert not np.array_equal(one.x, other.x)


@pytest.mark.parametrize("samples", [3, 100, 1500])
def test_track_has_three_regimes_with_their_formulas(samples: int) -> None:
    task = Track(samples, 1)
    assert task.x.shape == task.target.shape == (samples, 1)
    assert task.x.min() >= -2
    assert task.x.max() < 2
    assert [stop for _, stop in task.regimes] == [samples // 3, samples * 2 // 3, samples]
    assert [start for start, _ in task.regimes] == [0, samples // 3, samples * 2 // 3]
    for index, ((start, stop), formula) in enumerate(zip(task.regimes, FORMULAS, strict=True)):
        assert np.allclose(task.target[start:stop], formula(task.x[start:stop]), rtol=0, atol=1e-15)
        assert np.array_equal(task.curve(task.x[start:stop], index), task.target[start:stop])


def test_track_needs_three_samples() -> None:
    with pytest.raises(InputError, match=r"^samples = 2: track has three regimes; use 3 or more$"):
        Track(2)


def test_regime_errors_look_at_the_last_samples_of_each_regime() -> None:
    task = Track(600)
    error = np.zeros((600, 1))
    error[[99, 100, 199, 200, 500]] = [[50], [2], [4], [50], [1]]
    assert task.regime_errors(error) == [pytest.approx((4 + 16) / 100), 0, pytest.approx(1 / 100)]


def test_every_task_is_known_by_its_name() -> None:
    assert all(name == task.name for name, task in TASKS.items())
    assert TASKS["track"] is Track


def test_equalise_is_the_channel_of_its_paper() -> None:
    task = Equalise(400, 3, snr=200)
    d = task.target[:, 0]
    assert set(d) == {-3, -1, 1, 3}
    taps = {-2: 0.08, -1: -0.12, 0: 1, 1: 0.18, 2: -0.1, 3: 0.091, 4: -0.05, 5: 0.04, 6: 0.03, 7: 0.01}
    for n in range(20, 380):
        for column, ahead in enumerate(range(3, -7, -1)):
            q = sum(weight * d[n + ahead - back] for back, weight in taps.items())
            assert task.x[n, column] == pytest.approx(q + 0.036 * q**2 - 0.011 * q**3, abs=1e-8)
    assert np.array_equal(Equalise(400, 3).target, task.target)
    noise = Equalise(30_000, 3).x[:, 0] - Equalise(30_000, 3, snr=200).x[:, 0]
    assert 10 * np.log10(np.var(task.x) / np.var(noise)) == pytest.approx(32, abs=0.3)
    assert np.abs(Equalise(30_000).x).max() < 6
    assert Equalise.decide(np.array([-9, -2.1, -1.9, 0.1, 1.9, 2.1])).tolist() == [-3, -3, -1, 1, 1, 3]
    with pytest.raises(InputError, match=r"^samples = 2: too few to learn from; use 3 or more$"):
        Equalise(2)


# simulate


@pytest.mark.parametrize("loss", ["squared", "external"])
def test_simulate_gives_the_models_and_float64s_predictions(loss: str, tracker: LearnerSpec) -> None:
    task, done = Track(130), []
    result = simulate(tracker.replace(loss=loss), task, "model", done.append)
    integer, exact = Model(tracker), Model(tracker, numeric="float64")
    activation = tracker.formats.activation
    for x, target, ours, theirs in zip(
        task.x, task.target, result.predictions, result.predictions_float64, strict=True
    ):
        assert np.array_equal(exact.learn(x, target), theirs)
        if loss == "squared":
            codes = integer.learn(activation.quantise(x), activation.quantise(target))
            assert np.array_equal(activation.to_float(codes), ours)
    # An external gradient is formed of the rounded prediction, hence the room.
    assert np.abs(result.predictions - result.predictions_float64).max() < 0.02
    assert result.mismatches == 0
    assert sum(done) == 130
    assert len(result.curves) == len(result.curves_float64) == 3
    assert np.abs(result.curves[2] - result.curves_float64[2]).max() < 0.02


def test_counts_are_those_of_the_samples_alone() -> None:
    """Curves are drawn at inputs that no one gave."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=0.25, input_format="SQ(2, 14)")
    x = np.random.default_rng(0).uniform(-1, 1, 60)
    with connect(spec, "pysim") as session:
        session.learn_many(x[:, None], np.sin(x)[:, None])
        alone = session.status
    found = simulate(spec, Recording(x, np.sin(x), scale=False), "pysim").to_json()
    for name in ("inputs_saturated", "saturations"):
        assert found[name] == alone[name], name
    assert alone["inputs_saturated"] == 0
    assert alone["cycles"] <= found["cycles"] < alone["cycles"] + 10  # it is sent them in parts


def test_a_running_error_is_that_of_samples_before_it() -> None:
    for count in (1, 10, 60, 3000):
        at, mean = running_mean_square(2 * np.ones(count), 25)
        assert (at[-1], mean.tolist()) == (count, [4.0] * len(at))
    at, mean = running_mean_square(np.repeat([0.0, 1.0, np.inf], [50, 50, 1]), 25)
    assert mean[[49, 50, 73, 74]].tolist() == [0, 1 / 25, 24 / 25, 1]
    assert np.isnan(mean[100])


def test_gradients_from_elsewhere_are_waited_for_in_float64_too() -> None:
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=1.0, schedule="streaming", loss="external")
    result = simulate(spec, Track(130), "model")
    exact = simulate(spec.replace(schedule="sequential"), Track(130), "model")
    np.testing.assert_array_equal(result.predictions, exact.predictions)
    np.testing.assert_array_equal(result.predictions_float64, exact.predictions_float64)


def test_what_is_no_task_or_spec_is_refused(tracker: LearnerSpec) -> None:
    with pytest.raises(InputError, match=r"^task: is of type str; give a Task, such as "):
        simulate(tracker, "track", "model")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"^spec: is of type str; give a LearnerSpec$"):
        simulate("lamp.toml", Track(60), "model")  # type: ignore[arg-type]


def test_samples_stream_without_a_pause() -> None:
    """Pauses within a regime would hide a streaming learner's divergence where inputs stand still."""
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), learning_rate=0.4, schedule="streaming")
    x, target = 0.5 + 1e-3 * np.random.default_rng(0).normal(size=400), np.sin(np.arange(400) / 7)
    regimes = slice(0, 40), slice(40, 400)
    with connect(spec) as session:
        alone = [session.learn_many(x[part, None], target[part, None]) for part in regimes]
    found = simulate(spec, Recording(x, target, scale=False, first=40), "model")
    np.testing.assert_array_equal(found.predictions, np.concatenate(alone))


def test_simulate_json_holds_the_errors(tracker: LearnerSpec) -> None:
    task = Track(90)
    result = simulate(tracker, task, "model")
    data = result.to_json()
    squares = (result.predictions - task.target) ** 2
    assert data["mse"] == [pytest.approx(squares[start:stop].mean()) for start, stop in task.regimes]
    assert data["mse_all"] == pytest.approx(squares.mean())
    assert data["mse_all_float64"] == pytest.approx(((result.predictions_float64 - task.target) ** 2).mean())
    assert (data["samples"], data["seed"], data["backend"], data["cycles"]) == (90, 0, "model", None)


class OneWrongPrediction(ModelLearner):
    """Flips the lowest bit of the fifth prediction."""

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        predictions = super().run(x, teaching, learn)
        if not getattr(self, "flipped", False):
            predictions[4] ^= 1
            self.flipped = True
        return predictions


class OneWrongCurve(ModelLearner):
    """Flips the lowest bit of a prediction without learning."""

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        predictions = super().run(x, teaching, learn)
        if not learn.any() and not getattr(self, "flipped", False):
            predictions[50] ^= 1
            self.flipped = True
        return predictions


class OneWrongCoefficient(ModelLearner):
    """Flips the lowest bit of one coefficient."""

    def read_coefficients(self) -> list[Codes]:
        coefficients = super().read_coefficients()
        coefficients[0][0, 0, 3] ^= 1
        return coefficients


@pytest.mark.parametrize("faulty", [OneWrongPrediction, OneWrongCurve, OneWrongCoefficient])
def test_one_wrong_bit_is_one_mismatch(
    faulty: type[ModelLearner], tracker: LearnerSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kanrtl.sessions.backends.pysim.BACKEND", BackendKind(faulty, ModelNetwork))
    assert simulate(tracker, Track(30), "pysim").mismatches == 1
    assert simulate(tracker, Track(30), "model").mismatches == 0


@pytest.mark.parametrize("sizes", [[2, 1], [1, 3, 2]])
def test_simulate_refuses_a_task_that_does_not_fit(sizes: list[int]) -> None:
    spec = LearnerSpec(layer_sizes=sizes, grid_range=(-2, 2))
    with pytest.raises(InputError) as failure:
        simulate(spec, Track(30), "model")
    assert str(failure.value) == (
        f"layer_sizes = {sizes}: task 'track' has 1 input(s) and 1 output(s); use [1, ..., 1]"
    )


# Pictures


@pytest.mark.parametrize(("name", "signature"), [("run.png", b"\x89PNG\r\n\x1a\n"), ("run.pdf", b"%PDF-")])
def test_plot_is_a_picture(name: str, signature: bytes, tracker: LearnerSpec, tmp_path: Path) -> None:
    simulate(tracker, Track(30), "model").plot(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(signature)


def test_a_task_without_a_formula_is_drawn(tmp_path: Path) -> None:
    spec = LearnerSpec(layer_sizes=[10, 1], grid_range=(-6, 6))
    simulate(spec, Equalise(40), "model").plot(tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["run", "run.xyz", "run.png.txt"])
def test_plot_refuses_other_files(name: str) -> None:
    with pytest.raises(InputError, match=r"^plot: '.*': unknown kind of picture; end its name in .png, .svg, .pdf$"):
        check_picture(Path(name))


def test_plot_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    absent: Any = lambda _: None  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", absent)
    with pytest.raises(InputError, match=r"^plot: matplotlib is not installed; run `pip install 'kanrtl\[plot\]'`$"):
        check_picture(Path("run.png"))


def test_what_users_call_things_is_no_formula(tracker: LearnerSpec, tmp_path: Path) -> None:
    """A dollar sign in names of columns and files; and floats that diverge leave the picture."""
    names = "in,cost_$ gain_$\n"
    rows = "".join(f"{x},{np.sin(x)}\n" for x in np.linspace(-2, 2, 60).round(3).tolist() * 2)
    (tmp_path / "a$1_$2_.csv").write_text(names + rows)
    recording = Recording.read(tmp_path / "a$1_$2_.csv", inputs="in", targets=2)
    found = simulate(tracker.replace(learning_rate=8.0), recording, "model")
    assert not np.isfinite(found.to_json()["mse_all_float64"]) or found.to_json()["mse_all_float64"] > 1e6
    found.plot(tmp_path / "run.png")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("errors", [[1.0, 4.0], [0.0, 4.0]])
def test_what_diverges_leaves_the_picture(errors: list[float]) -> None:
    axes = make_figure().subplots()
    axes.semilogy([0, 1], errors)
    keep_in_view(axes, np.array(errors), np.array([0.5, 3.0]))
    assert axes.get_ylim()[1] < 100
    axes.semilogy([0, 1], [0.5, 1e200])
    keep_in_view(axes, np.array(errors), np.array([0.5, 1e200, np.nan, np.inf]))
    assert axes.get_ylim() == (0.25, 4000)


class Own(Track):
    """A task of somebody's own."""

    def __init__(self, regimes: Any, x: Any = None) -> None:
        super().__init__(30, 0)
        self.regimes = tuple(Regime(*one) for one in regimes)
        self.x = self.x if x is None else x


@pytest.mark.parametrize(
    ("task", "line"),
    [
        (
            Own([(10, 30), (0, 10)]),
            "regimes[0] = (10, 30): must begin at 0, where the one before ends, and have a sample",
        ),
        (Own([(0, 10), (20, 30)]), "regimes[1] = (20, 30): must begin at 10, where the one before ends, and"),
        (Own([(0, 0), (0, 30)]), "regimes[0] = (0, 0): must begin at 0, where the one before ends, and have a sample"),
        (Own([(0, 40)]), "regimes end at 40; they must hold all 30 samples"),
        (Own([]), "regimes end at 0; they must hold all 30 samples"),
        (Own([(0, 30)], [[0.0]] * 30), "x is of type list; must be an array (30, 1)"),
        (Own([(0, 30)], np.zeros((30, 2))), "x of shape (30, 2); must be an array (30, 1)"),
    ],
)
def test_a_task_that_is_none_is_refused(task: Own, line: str, tracker: LearnerSpec) -> None:
    with pytest.raises(InputError, match=f"^task 'track': {re.escape(line)}"):
        simulate(tracker, task, "model")
