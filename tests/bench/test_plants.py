"""Rows of plants: which methods are compared, and what the tables show of results."""

import json
from pathlib import Path

import numpy as np
import pytest

from bench import plants
from bench.plants import DEVICE, METHODS, PlantRow, method_spec
from bench.tables.plant_tables import plant_rows, track_rows
from kanrtl import LearnerSpec
from kanrtl.baselines import estimate_baseline
from kanrtl.sim import PLANTS
from kanrtl.sim.plant import LoopRun


@pytest.mark.parametrize("plant", PLANTS)
def test_polynomials_and_perceptrons_have_as_many_multipliers(plant: str) -> None:
    kind, found = PLANTS[plant], {}
    for method in METHODS:
        spec = method_spec(method, kind.n_in, kind.n_out)
        estimate = spec.estimate(DEVICE) if isinstance(spec, LearnerSpec) else estimate_baseline(spec, DEVICE)
        assert estimate.latency == 1
        found[method] = estimate.dsp
    assert found["polynomial"] == pytest.approx(found["kan"], rel=0.25)
    assert found["mlp"] == pytest.approx(found["kan"], rel=0.2)
    assert found["nlms"] < found["kan"]


def test_recovery_is_counted_from_the_switch() -> None:
    errors = np.ones(4000)
    errors[2000:2300] = 9
    assert plants._recovery(LoopRun(errors, 1), 0.5, 0.75) == pytest.approx(300 + plants.WINDOW, abs=2)
    assert plants._recovery(LoopRun(np.ones(4000), 1), 0.5, 0.75) == 0


def test_a_plant_is_measured_with_settings_of_another_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(plants, "SAMPLES", 200)
    monkeypatch.setattr(plants, "RESULTS", tmp_path)
    monkeypatch.setattr(plants, "METHODS", ("nlms",))
    monkeypatch.setattr(plants, "RATES", {"nlms": (0.0625, 0.5)})
    (tmp_path / "plant-channel-nlms.json").write_text(json.dumps({"fmax_mhz": 50.0}))
    result = PlantRow("plant-channel", "channel", "channel").measure(lambda _: None)
    alone, nlms = result["methods"]
    assert (alone["method"], nlms["method"]) == ("none", "nlms")
    assert nlms["chosen"] == {"learning_rate": 0.5}
    assert (nlms["cycle_ns"], nlms["clock_measured"]) == (pytest.approx(20), True)
    assert nlms["adapted"] < 0.7 * alone["adapted"]
    assert nlms["recovery_us"] == pytest.approx(nlms["recovery_samples"] * result["period_us"])


def test_tables_show_what_is_measured_and_what_is_not(tmp_path: Path) -> None:
    one = {"method": "kan", "name": "kan", "adapted": 1.0, "drifting": 2.0, "recovery_samples": 3.0}
    one |= {"recovery_us": 4.0, "cycle_ns": 30.0, "clock_measured": True}
    two = one | {"method": "nlms", "name": "nlms", "adapted": 0.5, "clock_measured": False}
    (tmp_path / "plant-servo.json").write_text(json.dumps({"unit": "mrad", "methods": [one, two]}))
    (tmp_path / "plant-servo-kan.json").write_text(json.dumps({"lut": 700, "dsp": 14, "step_ns": 31.5}))
    head, rows = plant_rows(tmp_path, ["servo", "mirror"])
    assert [len(row) for row in rows] == [len(head)] * 3
    assert rows[0] == ["servo, mrad", "KAN", "1", "2", "3", "4", "30", "700", "14", "31.5"]
    assert rows[1][2:] == ["**0.5**", "2", "3", "4", "30 (assumed)", "-", "-", "-"]
    assert rows[2][:2] == ["mirror", "not measured"]
    mse = {"regime 1": 0.1, "regime 2": 0.2, "regime 3": 0.3, "all": 0.4}
    methods = [{"name": "kan", "learning_rate": 1.0, "mse": mse}]
    (tmp_path / "track-baselines.json").write_text(json.dumps({"methods": methods}))
    head, rows = track_rows(tmp_path)
    assert rows == [["KAN, 5 cells", "1", "0.1", "0.2", "0.3", "**0.4**", "-", "-", "-"]]
    assert len(head) == 9
