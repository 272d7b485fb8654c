"""Plants and the loop around them: seeded, in their units, and moving on while the chip computes."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kanrtl import InputError, LearnerSpec, connect
from kanrtl.arrays import Reals
from kanrtl.baselines import LmsSpec
from kanrtl.sessions.baseline_session import connect_baseline
from kanrtl.sim import PLANTS, TASKS
from kanrtl.sim.plant import ChipTiming, NoLearner, Plant, run_loop
from kanrtl.sim.predistortion import Predistortion
from kanrtl.sim.qubit_readout import QubitReadout

QUICK = ChipTiming(cycle=30e-9, prediction_latency=1, interval=1)

MODULATED = {"layer_sizes": [2, 2], "grid_range": (0, 1), "modulated": "complex", "learning_rate": 2.0}
"""A learner of a signal's I, Q and size, which is small most of the time."""


def test_what_no_run_can_be_is_refused() -> None:
    with pytest.raises(InputError, match=r"^samples = 4: a run has four parts; use 8 or more$"):
        PLANTS["servo"](4, 0)
    plant = PLANTS["servo"](20, 0)
    with pytest.raises(InputError, match=r"^samples = -1: must be 1 or more$"):
        run_loop(plant, NoLearner(1), QUICK, -1)
    run = run_loop(plant, NoLearner(1), QUICK)
    for first, last in ((0.5, 0.5), (np.nan, 1), (0, np.inf), ("a", 1), (-0.1, 1), (0, 1.1)):
        line = f"first = {first!r}, last = {last!r}: no sample lies between; give parts of a run, 0 to 1"
        with pytest.raises(InputError, match=f"^{re.escape(line)}$"):
            run.root_mean_square(first, last)


def test_what_is_no_plant_no_learner_and_no_chip_is_refused() -> None:
    plant = PLANTS["servo"](20, 0)
    refused: list[tuple[tuple[Any, ...], str]] = [
        ((PLANTS["servo"], NoLearner(1), QUICK), r"plant: is of type ABCMeta; give a plant, as PLANTS"),
        (("servo", NoLearner(1), QUICK), r"plant: is of type str; give a plant, as PLANTS"),
        ((plant, NoLearner(1), (1e-8, 1, 1)), r"chip: is of type tuple; give a ChipTiming"),
        ((plant, LmsSpec(n_in=2), QUICK), r"learner: is of type LmsSpec; give what predicts and learns, such as"),
    ]
    for given, message in refused:
        with pytest.raises(InputError, match=f"^{message}"):
            run_loop(*given)
    with pytest.raises(InputError, match=r"^n_out = -1: must be 1 or more"):
        NoLearner(-1)


@pytest.mark.parametrize("name", ["servo", "mirror", "cavity", "plasma"])
def test_a_learner_of_other_outputs_is_refused(name: str) -> None:
    plant = PLANTS[name](20, 0)
    message = (
        rf"learner: predicts numbers of shape \(3,\), and {name} takes actions of shape \({plant.n_out},\); give a"
    )
    with pytest.raises(InputError, match=f"^{message}"):
        run_loop(plant, NoLearner(3), QUICK)


@pytest.mark.parametrize("name", sorted(PLANTS))
def test_a_plant_is_as_it_was_where_a_learner_raises(name: str) -> None:
    """What its sensors said is said again, and no action is on its way twice."""
    kind = PLANTS[name]

    class Failing(NoLearner):
        fails = False

        def predict(self, x: Any) -> Any:
            return super().predict(x) + 0.125 * np.asarray(x)[0]

        def learn(self, x: Any, target: Any) -> Any:
            if self.fails:
                raise OSError("the cable is loose")
            return super().learn(x, target)

    expected = run_loop(kind(40, 0), Failing(kind.n_out), QUICK).errors
    plant, learner = kind(40, 0), Failing(kind.n_out)
    with pytest.raises(InputError, match=r"^learner: predicts numbers of shape"):
        run_loop(plant, NoLearner(kind.n_out + 1), QUICK)
    found = [run_loop(plant, learner, QUICK, 10).errors]
    for _ in range(2):
        learner.fails = True
        with pytest.raises(OSError, match="loose"):
            run_loop(plant, learner, QUICK)
        learner.fails = False
    found.append(run_loop(plant, learner, QUICK).errors)
    assert np.concatenate(found).tolist() == expected.tolist()


def test_what_is_no_action_is_refused() -> None:
    class Words(NoLearner):
        def predict(self, _x: Any) -> Any:
            return ["left"]

    with pytest.raises(InputError, match=r"^learner: predicts \['left'\], and servo takes numbers; give a learner"):
        run_loop(PLANTS["servo"](20, 0), Words(1), QUICK)


def test_small_integers_of_numpy_do_not_wrap() -> None:
    chip = ChipTiming(1e-6, np.int8(100), np.int8(100))  # type: ignore[arg-type]
    assert chip.periods(1e-6) == 200


@pytest.mark.parametrize("snr", [float("nan"), "x", True, -1, 1e4, None])
def test_a_signal_to_noise_ratio_that_is_none_is_refused(snr: Any) -> None:
    with pytest.raises(InputError, match=r"^snr = .*: must be a number of dB from 0 to 200$"):
        TASKS["equalise"](20, 0, snr=snr)
    assert TASKS["equalise"](20, 0, snr=np.float32(20)).x.any()


def test_a_baseline_that_takes_gradients_is_refused() -> None:
    """It would take targets for gradients."""
    with (
        connect_baseline(LmsSpec(n_in=2, loss="external")) as learner,
        pytest.raises(InputError, match=r'^learn: the spec has loss = "external"'),
    ):
        run_loop(PLANTS["servo"](20, 0), learner, QUICK)


def test_no_run_is_longer_than_its_plant() -> None:
    """Beyond its end a plant would drift on, and further than it says."""
    plant = PLANTS["servo"](20, 0)
    with pytest.raises(InputError, match=r"^samples = 21: the plant has 20 of 20 left; give fewer, or a new one$"):
        run_loop(plant, NoLearner(1), QUICK, 21)
    assert len(run_loop(plant, NoLearner(1), QUICK, 15).errors) == 15
    with pytest.raises(InputError, match=r"^samples = 6: the plant has 5 of 20 left; give fewer, or a new one$"):
        run_loop(plant, NoLearner(1), QUICK, 6)
    assert len(run_loop(plant, NoLearner(1), QUICK).errors) == 5
    assert plant.drifted == 1
    with pytest.raises(InputError, match=r"^samples = 0: the plant has 0 of 20 left; give fewer, or a new one$"):
        run_loop(plant, NoLearner(1), QUICK)


@pytest.mark.parametrize("latency", [0, 9, 25])
def test_a_loop_goes_on_where_it_ended(latency: int) -> None:
    """Actions on their way, lessons, and the periods that a slow chip misses, are those of one run."""

    class Recorder(NoLearner):
        def __init__(self) -> None:
            super().__init__(1)
            self.seen: list[float] = []

        def predict(self, x: Any) -> Any:
            self.seen.append(float(x[0]))
            return np.array([0.4 + 0.1 * len(self.seen)])

        def learn(self, x: Any, target: Any) -> Any:
            self.seen += [float(x[0]), float(target[0])]
            return self.predict(x)

    kind = PLANTS["servo"]
    chip = ChipTiming(cycle=kind.period / 10, prediction_latency=latency, interval=1)
    at_once, in_parts = Recorder(), Recorder()
    expected = run_loop(kind(60, 0), at_once, chip).errors
    plant = kind(60, 0)
    found = [run_loop(plant, in_parts, chip, samples).errors for samples in (1, 4, 2, 13, 40)]
    assert np.concatenate(found).tolist() == expected.tolist()
    assert in_parts.seen == at_once.seen


@pytest.mark.parametrize("kind", [*PLANTS.values(), *TASKS.values()])
def test_seeds_and_samples_are_checked(kind: Callable[..., object]) -> None:
    for seed, line in (
        (-1, "seed = -1: must be 0 or more"),
        ("a", "seed = 'a': must be an integer"),
        (1.5, "seed = 1.5: must be an integer"),
        (None, "seed = None: must be an integer"),
    ):
        with pytest.raises(InputError, match=f"^{line}$"):
            kind(30, seed)
    kind(np.int64(30), np.int64(1))
    with pytest.raises(InputError, match=r"^samples = 10{15}: these take too much memory; use \d+ or fewer$"):
        kind(10**15, 0)


@pytest.mark.parametrize("name", PLANTS)
def test_a_plant_is_seeded_and_keeps_its_ranges(name: str) -> None:
    kind = PLANTS[name]

    def errors(seed: int) -> Reals:
        return run_loop(kind(200, seed), NoLearner(kind.n_out), QUICK).errors

    assert (errors(1) == errors(1)).all()
    assert not np.array_equal(errors(1), errors(2))
    plant = kind(200, 0)
    for _ in range(200):
        x = plant.observe()
        assert x.shape == (kind.n_in,)
        assert np.abs(x).max() <= 1.1
        plant.move(np.zeros(kind.n_out), kind.period)
        assert np.isfinite(plant.end_period())
        plant.now += 1
        assert plant.find_target(np.zeros(kind.n_out)).shape == (kind.n_out,)


@pytest.mark.parametrize("name", PLANTS)
def test_learning_helps(name: str) -> None:
    kind = PLANTS[name]
    alone = run_loop(kind(800, 0), NoLearner(kind.n_out), QUICK)
    plain = {"layer_sizes": [kind.n_in, kind.n_out], "grid_range": (-1, 1), "learning_rate": 0.25}
    with connect(LearnerSpec(**MODULATED if name == "predistortion" else plain, target_range=(-1, 1))) as learner:
        learned = run_loop(kind(800, 0), learner, QUICK)
    assert learned.root_mean_square(0.25, 0.5) < 0.8 * alone.root_mean_square(0.25, 0.5)


@pytest.mark.parametrize("name", PLANTS)
def test_a_slow_chip_controls_worse(name: str) -> None:
    """The plant moves on while the chip computes."""
    kind = PLANTS[name]
    modulated = LearnerSpec(**MODULATED, target_range=(-1, 1))
    plain = LmsSpec(n_in=kind.n_in, n_out=kind.n_out, normalisation="table", learning_rate=0.5)
    samples = 2000 if name == "touch" else 400  # phantoms are rare
    found = []
    for periods in (0.01, 4.5):
        with connect(modulated) if name == "predistortion" else connect_baseline(plain) as learner:
            chip = ChipTiming(cycle=kind.period * periods / 2, prediction_latency=1, interval=1)
            found.append(run_loop(kind(samples, 0), learner, chip))
    assert [run.periods for run in found] == [1, 5]
    assert found[0].root_mean_square(0.25, 0.5) < 0.8 * found[1].root_mean_square(0.25, 0.5)


class Lessons(NoLearner):
    """Takes down what it is taught."""

    def __init__(self, n_out: int) -> None:
        super().__init__(n_out)
        self.taught: list[list[float]] = []

    def learn(self, x: Any, target: Any) -> Reals:
        self.taught.append([*x, *target])
        return super().learn(x, target)


@pytest.mark.parametrize("name", PLANTS)
def test_a_slow_chip_learns_some_of_what_a_quick_one_learns(name: str) -> None:
    """A sample that was missed leaves its target to no other."""
    kind = PLANTS[name]
    found = []
    for periods in (1, 3):
        lessons = Lessons(kind.n_out)
        chip = ChipTiming(cycle=kind.period * 0.45, prediction_latency=1, interval=2 * periods - 1)
        assert run_loop(kind(60, 0), lessons, chip).periods == periods
        found.append(np.array(lessons.taught))
    assert len(found[0]) == 59
    # What moves by itself is computed in steps of another length.
    assert np.allclose(found[1], found[0][::3][: len(found[1])], rtol=0, atol=2e-3)
    assert len(found[1]) == 19


class Recorded(Plant):
    """Takes down what happens to it."""

    name, n_in, n_out, period, unit = "recorded", 1, 1, 10.0, "s"

    def __init__(self, samples: int) -> None:
        super().__init__(samples, 0)
        self.moves: list[tuple[float, float]] = []

    def observe(self) -> Reals:
        return np.array([float(self.now)])

    def move(self, action: Reals, seconds: float) -> None:
        if seconds:
            self.moves.append((float(action[0]), seconds))

    def end_period(self) -> float:
        return 0.0

    def find_target(self, action: Reals) -> Reals:
        return action + 0.5


class Counter:
    """Predicts what it is asked for plus one, and takes down what it is taught."""

    def __init__(self) -> None:
        self.taught: list[tuple[float, float]] = []

    def predict(self, x: Any) -> Reals:
        return np.asarray(x) + 1

    def learn(self, x: Any, target: Any) -> Reals:
        self.taught.append((float(x[0]), float(target[0])))
        return np.zeros(1)


def test_an_action_arrives_after_the_latency_and_is_held() -> None:
    plant, learner = Recorded(8), Counter()
    run = run_loop(plant, learner, ChipTiming(cycle=1.0, prediction_latency=3, interval=4))
    assert run.periods == 1
    assert plant.moves[:4] == [(0, 3), (1, 7), (1, 3), (2, 7)]
    assert learner.taught[:2] == [(0, 1.5), (1, 2.5)]


def test_a_chip_that_is_late_misses_samples() -> None:
    plant, learner = Recorded(8), Counter()
    run = run_loop(plant, learner, ChipTiming(cycle=1.0, prediction_latency=12, interval=4))
    assert run.periods == 2
    assert plant.moves[:5] == [(0, 10), (0, 2), (1, 8), (1, 10), (1, 2)]
    assert learner.taught == [(0, 1.5), (2, 3.5), (4, 5.5)]


class Inverted(Recorded):
    """Learns something else than it is asked for."""

    def find_lesson(self, x: Reals, action: Reals) -> tuple[Reals, Reals]:
        return -x, 2 * action


def test_a_lesson_may_be_another_sample_than_the_question() -> None:
    learner = Counter()
    run_loop(Inverted(8), learner, ChipTiming(cycle=1.0, prediction_latency=3, interval=4))
    assert learner.taught[:3] == [(0, 2), (-1, 4), (-2, 6)]


def test_decisions_are_counted_where_a_plant_asks_for_them() -> None:
    undecided = run_loop(PLANTS["servo"](8, 0), NoLearner(1), QUICK)
    assert undecided.count_wrong(0, 1) is None
    run = run_loop(PLANTS["qubit"](400, 0), NoLearner(1), QUICK)
    assert run.wrong is not None
    assert run.count_wrong(0, 1) == pytest.approx(100 * run.wrong.mean())
    assert 0.4 < run.wrong.mean() < 0.6


def test_shots_that_were_measured_stand_in_for_those_of_the_model() -> None:
    """Far apart and turned as they are, they are told apart as those of the model are."""
    random = np.random.default_rng(0)
    shots = np.array([[[5.0, 900.0]], [[-300.0, 500.0]]]) + random.normal(0, 20, (2, 500, 2))
    plant = QubitReadout(400, 0, shots)
    with connect_baseline(LmsSpec(n_in=2, normalisation="table", learning_rate=0.5)) as learner:
        run = run_loop(plant, learner, QUICK)
    assert run.count_wrong(0.25, 0.5) == 0


@pytest.mark.parametrize(
    ("shots", "line"),
    [
        (np.ones((2, 5, 2)), r"shots: the means of the two states are 0\.0 apart; give shots that tell them apart"),
        (np.ones((5, 2)), r"shots: shape \(5, 2\); must be \(2, n, 2\), by prepared state, shot, and I and Q"),
        (np.ones((2, 0, 2)), r"shots: shape \(2, 0, 2\); must be .*"),
        ([[[0, 0]], [[0, np.inf]]], r"shots\[1, 0, 1\] = inf: give a finite number"),
        ([[[0, 0]], [[0, np.nan]]], r"shots\[1, 0, 1\] = nan: give a number"),
        ("shots.npz", r"shots: not an array of numbers; give shape \(2, n, 2\), by .*"),
    ],
)
def test_shots_that_are_none_are_refused(shots: Any, line: str) -> None:
    with pytest.raises(InputError, match=f"^{line}$"):
        QubitReadout(20, 0, shots)
    assert QubitReadout(20, 0, [[[0, 0], [0, 1]], [[1, 0], [1, 1]]]).observe().shape == (2,)


@pytest.mark.parametrize("amplifier", [3, None, lambda x: x, lambda _: "x", lambda _: None])
def test_an_amplifier_that_is_none_is_refused(amplifier: Any) -> None:
    with pytest.raises(InputError, match=r"^amplifier.*[;:] give a function of its last 4 inputs"):
        Predistortion(20, 0, amplifier)


def test_an_amplifier_that_is_straight_needs_no_predistortion() -> None:
    plant = Predistortion(200, 0, amplifier=lambda inputs: complex(inputs[0]))
    assert run_loop(plant, NoLearner(2), QUICK).root_mean_square(0, 0.75) == pytest.approx(0, abs=1e-9)
    curved = run_loop(Predistortion(200, 0), NoLearner(2), QUICK)
    assert curved.root_mean_square(0, 0.5) > 5


def test_a_plasma_is_lost_without_a_learner_and_held_with_one() -> None:
    """After the switch the feedback alone is too weak."""
    alone = run_loop(PLANTS["plasma"](3000, 0), NoLearner(1), QUICK)
    with connect_baseline(LmsSpec(n_in=2, normalisation="table", learning_rate=0.5)) as learner:
        held = run_loop(PLANTS["plasma"](3000, 0), learner, QUICK)
    assert alone.root_mean_square(0.75, 1) > 50
    assert held.root_mean_square(0.75, 1) < 2


def test_a_run_has_four_parts() -> None:
    with pytest.raises(ValueError, match="samples = 7"):
        Recorded(7)
    plant = Recorded(8)
    seen = []
    for plant.now in range(8):
        seen.append((plant.switched, plant.drifted))
    assert seen == [(False, 0)] * 4 + [(True, 0)] * 3 + [(True, 0.5)]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"cycle": -1.0}, "cycle = -1.0: must be a number of seconds above 0"),
        ({"cycle": float("nan")}, "cycle = nan: must be a number of seconds above 0"),
        ({"cycle": "a"}, "cycle = 'a': must be a number of seconds above 0"),
        ({"prediction_latency": -1}, "prediction_latency = -1: must be 0 or more"),
        ({"interval": 0}, "interval = 0: must be 1 or more"),
    ],
)
def test_times_that_cannot_be_are_refused(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=f"^{line}$"):
        replace(QUICK, **changes)


@pytest.mark.parametrize(
    ("chip", "period", "line"),
    [
        (QUICK, 0, "period = 0: must be a number of seconds above 0"),
        (QUICK, float("nan"), "period = nan: must be a number of seconds above 0"),
        (
            ChipTiming(1e308, 10**9, 1),
            1e-6,
            r"cycle = 1e\+308: 1000000001 cycles are beyond .* of 1e-06 s; give seconds",
        ),
        (ChipTiming(1e-9, 10**400, 1), 1e-6, "cycle = 1e-09: 1000.* cycles are beyond .* of 1e-06 s; give seconds"),
    ],
)
def test_periods_that_cannot_be_counted_are_refused(chip: ChipTiming, period: float, line: str) -> None:
    with pytest.raises(InputError, match=f"^{line}$"):
        chip.periods(period)


class Reused(Recorded):
    """Gives one array again and again."""

    def __init__(self, samples: int) -> None:
        super().__init__(samples)
        self.buffer = np.zeros(1)

    def observe(self) -> Reals:
        self.buffer[:] = self.now
        return self.buffer


class ReusedCounter(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.buffer = np.zeros(1)

    def predict(self, x: Any) -> Reals:
        self.buffer[:] = np.asarray(x) + 1
        return self.buffer


def test_who_gives_an_array_may_use_it_again() -> None:
    found = []
    for plant, learner in ((Recorded(8), Counter()), (Reused(8), ReusedCounter())):
        run_loop(plant, learner, ChipTiming(cycle=1.0, prediction_latency=9, interval=4))
        found.append((plant.moves, learner.taught))
    assert found[0] == found[1]
