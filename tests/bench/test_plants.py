"""Rows of plants: which methods are compared, and what the tables show of results."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import method_cores, plant_methods, plants, trackers
from bench.float_methods import MOST, FloatPerceptron
from bench.method_cores import MethodCore, core_name, find_cores
from bench.one_euro import OneEuro
from bench.plant_methods import FIXED, FORGETTING, METHODS, RATES, Candidate, estimate, find_candidates, method_spec
from bench.plant_setups import SETUPS, fit_amplifier
from bench.plants import PlantRow, find_recovery
from bench.stored import RESULTS
from bench.tables.plant_tables import decision_rows, equal_rows, plant_rows, track_rows
from bench.trackers import find_compared_cores
from kanrtl.sim import PLANTS
from kanrtl.sim.plant import ChipTiming, LoopRun, run_loop

QUICK = ChipTiming(30e-9, 1, 1)


def test_every_plant_is_compared_on() -> None:
    assert {setup.kind.name for setup in SETUPS.values()} == set(PLANTS)


@pytest.mark.parametrize("name", ["servo", "mirror", "touch", "predistortion"])
def test_baselines_are_as_large_as_the_learner(name: str) -> None:
    found = {method: estimate(method_spec(SETUPS[name], method)) for method in FIXED}
    assert {one.latency for method, one in found.items() if method != "mlp-folded"} == {1}
    assert found["polynomial"].dsp == pytest.approx(found["kan"].dsp, rel=0.25)
    assert found["mlp"].dsp == pytest.approx(found["kan"].dsp, rel=0.2)
    assert found["mlp-lut"].lut == pytest.approx(found["kan"].lut, rel=0.25)
    assert found["mlp-folded"].dsp == pytest.approx(found["kan"].dsp, rel=0.3)
    assert found["nlms"].dsp < found["kan"].dsp


@pytest.mark.parametrize("method", [*METHODS, "one-euro"])
def test_every_method_runs_on_samples_of_a_plant(method: str) -> None:
    setup = SETUPS["touch"]
    candidates = list(find_candidates(setup, method))
    assert len({json.dumps(one.chosen) for one in candidates}) == len(candidates) > 1
    learner = candidates[len(candidates) // 2].start()
    run = run_loop(setup.create(60, 0), learner, QUICK)
    assert np.isfinite(run.errors).all()
    plant = setup.create(60, 0)
    assert learner.predict(plant.observe()).shape == (1,)


def test_methods_in_floats_learn() -> None:
    setup, alone = SETUPS["servo"], SETUPS["servo"].create(300, 0)
    feedback = run_loop(alone, next(find_candidates(setup, "none")).start(), QUICK).root_mean_square(0.25, 0.5)
    for method, rate in (("mlp-float", {"rate": 0.125}), ("kan", {"learning_rate": 0.5})):
        one = next(one for one in find_candidates(setup, method) if rate.items() <= one.chosen.items())
        one = one.in_floats() if method == "kan" else one
        assert run_loop(setup.create(300, 0), one.start(), QUICK).root_mean_square(0.25, 0.5) < 0.5 * feedback
    channel = SETUPS["channel"]
    for method in ("rls", "volterra"):
        one = list(find_candidates(channel, method))[-2]
        assert run_loop(channel.create(300, 0), one.start(), QUICK).root_mean_square(0.3, 0.5) < 0.6


def test_the_one_euro_filter_follows_a_step_and_stills_jitter() -> None:
    random, found = np.random.default_rng(0), []
    still, place = OneEuro(5e-3, 1.0, 0.0), 0.0
    for reading in 0.5 + random.normal(0, 0.01, 600):
        place = reading + still.predict([reading - place])[0]
        found.append(place)
    assert found[0] < 0.05
    assert np.mean(found[-200:]) == pytest.approx(0.5, abs=0.005)
    assert np.std(found[-200:]) < 0.003
    # With beta the corner rises as it jumps.
    assert abs(OneEuro(5e-3, 1.0, 10.0).predict([0.5])[0]) < abs(OneEuro(5e-3, 1.0, 0.0).predict([0.5])[0])


def test_a_measured_amplifier_is_fitted_with_a_gain_of_one() -> None:
    random = np.random.default_rng(0)
    x = random.normal(0, 0.2, 4000) + 1j * random.normal(0, 0.2, 4000)
    past = np.concatenate([[0], x])[:-1]
    largest = np.abs(x).max()
    y = (2 - 1j) * (0.9 * x + 0.1 * past - 0.3 * x * np.abs(x / largest) ** 2)
    amplifier = fit_amplifier(x, y)
    assert amplifier(np.array([1e-3, 1e-3, 0, 0])) == pytest.approx(1e-3, rel=1e-4)
    assert amplifier(np.array([0.5, 0.2, 0, 0])) == pytest.approx(0.45 + 0.02 - 0.3 * 0.125, rel=1e-6)


def test_recovery_is_counted_from_the_switch() -> None:
    errors = np.ones(4000)
    errors[2000:2300] = 9
    assert find_recovery(LoopRun(errors, 1), 0.5, 0.75) == pytest.approx(300 + plants.WINDOW, abs=5)
    assert find_recovery(LoopRun(np.ones(4000), 1), 0.5, 0.75) == 0
    errors[2900:2910] = 9  # as single failures later are
    assert find_recovery(LoopRun(errors, 1), 0.5, 0.75) == pytest.approx(300 + plants.WINDOW, abs=15)


def test_a_diverged_perceptron_says_so_by_its_error() -> None:
    one = FloatPerceptron(1, 1, rate=8.0, activation="relu")
    for _ in range(100):
        one.learn([1.0], [1.0])
    assert one.predict([1.0]).tolist() == [MOST]


@pytest.mark.parametrize("path", sorted(RESULTS.glob("plant-*.json")), ids=lambda path: path.stem)
def test_the_best_setting_lies_within_those_that_were_tried(path: Path) -> None:
    """Else a method stands there worse than it is. The lowest rate is the best where any makes it only worse than
    nothing; and RLS may forget nothing."""
    alone, *methods = json.loads(path.read_text())["methods"]
    for method in methods:
        learns = method["adapted"] < 0.85 * alone["adapted"]
        for name, tried in (("learning_rate", RATES), ("rate", RATES), ("forgetting", FORGETTING[:-1])):
            if name in method["chosen"]:
                assert min(tried) < method["chosen"][name] or not learns, (path.stem, method["method"])
                assert name == "forgetting" or method["chosen"][name] < max(tried), (path.stem, method["method"])


def test_a_plant_is_measured_with_settings_of_another_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plants, "SAMPLES", 200)
    monkeypatch.setattr(method_cores, "RESULTS", tmp_path)
    monkeypatch.setattr(plants, "METHODS", ("nlms",))
    monkeypatch.setattr(plant_methods, "RATES", (0.0625, 0.5))
    (tmp_path / "core-2x1-nlms.json").write_text(json.dumps({"fmax_mhz": 50.0}))
    result = PlantRow("plant-qubit", "qubit", SETUPS["qubit"]).measure(lambda _: None)
    alone, nlms = result["methods"]
    assert (alone["method"], nlms["method"]) == ("none", "nlms")
    assert nlms["chosen"] == {"learning_rate": 0.5}
    assert (nlms["core"], nlms["cycle_ns"], nlms["clock_measured"]) == ("core-2x1-nlms", pytest.approx(20), True)
    assert nlms["adapted"] < 0.7 * alone["adapted"]
    assert nlms["wrong_adapted"] < 20 < alone["wrong_adapted"]
    assert nlms["recovery_us"] == pytest.approx(nlms["recovery_samples"] * result["period_us"])
    # What it chose can then be built.
    (tmp_path / "plant-qubit.json").write_text(json.dumps(result))
    [core] = find_cores()
    assert (core.name, core.make().n_in) == ("core-2x1-nlms", 2)  # type: ignore[union-attr]


def test_cores_have_names_by_what_changes_their_logic() -> None:
    names = {
        core_name(one.spec)
        for method in FIXED
        for one in find_candidates(SETUPS["touch"], method)
        if one.spec is not None
    }
    assert {"core-4x1-kan-8-modulated", "core-4x1-kan-32-modulated", "core-2x1-nlms", "core-2x1-mlp-3-relu"} <= names


def test_what_is_compared_at_equal_error_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "RESULTS", tmp_path)
    assert [core.name for core in find_compared_cores()] == ["track-kan-3", "track-mlp-2", "track-polynomial-5"]
    tracked = [
        {"name": name, "mse": {"all": error}, **({"hidden_shift": -4, "seed": 2} if name == "mlp-4" else {})}
        for name, error in (("kan-2", 3), ("kan-5", 1), ("polynomial-5", 0), ("mlp-2", 4), ("mlp-4", 2), ("mlp-8", 5))
    ]
    (tmp_path / "track-baselines.json").write_text(json.dumps({"methods": tracked}))
    sizes = [
        {"name": name, "error": error, "activation": "relu", "core": f"core-2x1-{name}{'-relu' * (name[0] == 'm')}"}
        for name, error in (("kan-4", 1), ("kan-8", 2), ("mlp-1", 3), ("mlp-2", 2), ("mlp-4", 1))
    ]
    (tmp_path / "sizes-servo.json").write_text(json.dumps({"methods": sizes}))
    cores = {core.name: core.make() for core in find_compared_cores()}
    always = ["track-kan-3", "track-mlp-2", "track-polynomial-5"]
    assert sorted(name for name in cores if name.startswith("track-")) == sorted([*always, "track-mlp-4"])
    assert (cores["track-mlp-4"].hidden_shift, cores["track-mlp-4"].seed) == (-4, 2)
    plant = {name: core_name(spec) for name, spec in cores.items() if name.startswith("core-")}
    assert plant == {
        name: name for name in ("core-2x1-kan-4", "core-2x1-kan-8", "core-2x1-mlp-2-relu", "core-2x1-mlp-4-relu")
    }


def test_a_core_is_built_with_every_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    class Report:
        def __init__(self, seed: int) -> None:
            self.seed = seed

        def to_json(self) -> dict[str, Any]:
            numbers = dict.fromkeys(["lut", "lutram", "ff", "dsp", "bram", "capacity", "notes", "tools"], 1)
            kinds = {"fmax_kind": "measured", "clock_mhz": 200, "latency_cycles": 1, "interval_cycles": 1}
            return {**numbers, **kinds, "fmax_mhz": 10.0 * self.seed, "critical_path": {"summary": ""}}

    def build(_spec: Any, device: str, *, seed: int, **options: Any) -> Report:
        asked.append((device, seed, options["register_ports"]))
        return Report(seed)

    monkeypatch.setattr(method_cores, "build_baseline", build)
    core = MethodCore("core-2x1-nlms", "", lambda: method_spec(SETUPS["servo"], "nlms"))
    result = core.measure(lambda _: None)
    assert asked == [("LFE5U-85F-6", seed, True) for seed in (1, 2, 3, 4, 5)]
    assert (result["fmax_mhz"], result["step_ns"]) == (30.0, pytest.approx(33.33))


def test_the_numbers_of_a_sample_go_to_the_methods_that_take_them() -> None:
    class Seen:
        def predict(self, x: Any) -> Any:
            return x

        def learn(self, x: Any, _target: Any) -> Any:
            return x

    one = Candidate({}, Seen, (0, 2)).start()
    assert one.predict(np.array([1, 2, 3])).tolist() == [1, 3]
    assert one.learn(np.array([1, 2, 3]), 0).tolist() == [1, 3]


def test_tables_show_what_is_measured_and_what_is_not(tmp_path: Path) -> None:
    def write(name: str, content: Any) -> None:
        (tmp_path / f"{name}.json").write_text(json.dumps(content))

    one: dict[str, Any] = {"method": "kan", "adapted": 1.0, "drifting": 2.0, "recovery_samples": 3.0}
    one |= {"recovery_us": 4.0, "clock_measured": True, "core": "core-a"}
    two = one | {"method": "nlms", "adapted": 0.5, "clock_measured": False, "core": "core-b"}
    two |= {"estimated_lut": 900, "estimated_dsp": 7, "wrong_adapted": 3.0, "wrong_drifting": 4.0}
    write("plant-servo", {"unit": "mrad", "methods": [one, two]})
    write("core-a", {"lut": 700, "dsp": 14, "step_ns": 50.0, "fmax_mhz": 20.0, "sample_cycles": 2})
    head, rows = plant_rows(tmp_path, ["servo", "mirror"])
    assert [len(row) for row in rows] == [len(head)] * 3
    assert rows[0] == ["servo, mrad", "KAN", "1", "**2**", "3", "4", "0.3", "700", "14", "50.0"]
    assert rows[1][2:] == ["**0.5**", "**2**", "3", "4", "-", "~900", "~7", "-"]
    assert rows[2][:2] == ["mirror", "not measured"]
    write("plant-qubit", {"unit": "1", "methods": [two]})
    assert decision_rows(tmp_path, ["qubit", "touch"])[1] == [["qubit", "NLMS", "**3**", "**4**"]]
    mse = {"regime 1": 0.1, "regime 2": 0.2, "regime 3": 0.3, "all": 0.4}
    methods = [{"name": "kan-5", "learning_rate": 1.0, "mse": mse}]
    write("track-baselines", {"methods": methods})
    head, rows = track_rows(tmp_path)
    assert rows == [["KAN, 5 cells", "1", "0.1", "0.2", "0.3", "**0.4**", "-", "-", "-"]]
    assert len(head) == 9


def test_pairs_of_equal_error_are_the_smallest_that_are_as_good(tmp_path: Path) -> None:
    errors = {"kan-4": 3.0, "kan-8": 1.0, "mlp-1": 4.0, "mlp-2": 0.9, "mlp-4": 0.5}
    methods = [{"name": name, "error": error, "core": ""} for name, error in errors.items()]
    (tmp_path / "sizes-servo.json").write_text(json.dumps({"unit": "mrad", "methods": methods}))
    shown = [row[1:3] for row in equal_rows(tmp_path, ["servo"])[1]]
    assert shown == [
        ["KAN, 8 cells", "1"],
        ["MLP, 2 hidden nodes", "0.9"],
        ["no KAN of those tried is as good", "-"],
        ["MLP, 4 hidden nodes", "0.5"],
    ]
