"""Rows on measured signals: how settings are chosen, what is counted, and what is skipped where there is no data."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench import __main__ as command
from bench import signals
from bench.signals import CHANNEL, FAMILY, LASER, QUBIT, SILVERBOX
from bench.tables import signal_tables
from kanrtl import LearnerSpec
from kanrtl.sim import Recording


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of signals, with made ones in the place of those that were measured."""
    noise = np.random.default_rng(0)
    v1 = noise.normal(0, 0.02, 131072)
    np.savez(tmp_path / "silverbox.npz", v1=v1, v2=np.convolve(v1, [0.5, 0.3, 0.1])[: len(v1)])
    centres = np.array([[[1.0, 2.0]], [[2.0, 1.0]]])
    np.savez(tmp_path / "qubit_shots.npz", two_states=centres + noise.normal(0, 0.3, (2, 4000, 2)))
    monkeypatch.setenv(signals.FOLDER, str(tmp_path))
    return tmp_path


def test_silverbox_is_the_part_that_the_literature_takes(folder: Path) -> None:
    recording = SILVERBOX.record()
    v1, v2 = (np.load(folder / "silverbox.npz")[name] for name in ("v1", "v2"))
    n = 40650 + 3 + 1000
    assert recording.x[1000].tolist() == [v1[n], v1[n - 1], v2[n - 1], v2[n - 2], v2[n - 3]]
    assert recording.target[1000] == v2[n]
    predictions = (
        recording.unscaled_target
        + np.where(np.arange(recording.samples) < recording.samples - 20_000, 9, 2e-3)[:, None]
    )
    assert SILVERBOX.score(recording, predictions) == pytest.approx(2)


@pytest.mark.usefixtures("folder")
def test_shots_turn_by_half_a_turn() -> None:
    recording = QUBIT.record()
    assert (recording.samples, recording.first) == (8000, 4000)
    points = recording.x @ [1, 1j]
    scale = np.abs(points[:4000]).max()
    assert scale == pytest.approx(1)
    for part, turn in ((slice(0, 400), 0.0), (slice(-400, None), np.pi)):
        mean = points[part].mean() / np.exp(1j * turn)
        assert np.angle(mean) == pytest.approx(np.pi / 4, abs=0.1)
    methods = dict(QUBIT.other_methods(recording))
    frozen, still, online = (QUBIT.score(recording, predictions) for predictions in methods.values())
    assert still < online < frozen
    assert still < 2


def test_a_row_chooses_on_the_first_part_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    row = replace(CHANNEL, tried={"learning_rate": (2.0**-7, 0.05)})
    recording = Recording(*(getattr(row.record(), name)[:3000] for name in ("x", "target")), first=1000)
    later = Recording(recording.x, np.where(np.arange(3000)[:, None] < 1000, recording.target, -7.0), first=1000)
    specs = [row._choose(each, row.learners["kanrtl"], row.tried) for each in (recording, later)]
    assert specs[0] == specs[1]
    assert specs[0].learning_rate == 0.05
    monkeypatch.setattr(type(row), "record", lambda _: recording)
    result = row.run(lambda _: None)
    assert json.loads(json.dumps(result)) == result
    ours, exact, nlms, *_ = result["methods"]
    assert LearnerSpec.from_dict(ours["spec"]) == specs[0]
    assert ours["error"] == row.score(recording, signals.predict_fixed(specs[0], recording, 3000))
    assert exact["error"] == pytest.approx(ours["error"], abs=0.01)
    assert 0 < nlms["error"] < 0.2


def test_streaming_learners_are_the_same_in_float64() -> None:
    recording = CHANNEL.record()
    short = Recording(recording.x[:300], recording.target[:300], first=100)
    spec = LearnerSpec(layer_sizes=(10, 1), grid_range=(-1, 1), schedule="streaming", pipeline="all_registers")
    ours, exact = (predict(spec, short, 300) for predict in (signals.predict_fixed, signals.predict_float64))
    assert np.abs(ours - exact).max() < 0.1


def test_rows_without_their_data_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(signals.FOLDER, raising=False)
    find = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "reservoirpy" else find(name))
    monkeypatch.setattr(command, "RESULTS", tmp_path / "results")
    done = CliRunner().invoke(command.main, [SILVERBOX.name, LASER.name])
    assert done.exit_code == 0
    said = " ".join(done.output.split())
    assert "signal-silverbox: skipped: KANRTL_SIGNALS is not set; name a folder with silverbox.npz" in said
    assert "signal-laser: skipped: reservoirpy, which has the data, is not installed" in said
    monkeypatch.setenv(signals.FOLDER, str(tmp_path))
    assert QUBIT.obstacle == f"there is no qubit_shots.npz in {tmp_path}"
    assert not list((tmp_path / "results").iterdir())


def test_the_table_has_every_row() -> None:
    assert tuple(row.name for row in FAMILY.rows) == signal_tables.SIGNALS
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in signal_tables.signals().splitlines()[2:]]
    assert all(len(line) == 5 for line in lines)
    assert [line[0].partition("(`")[2].removesuffix("`)") for line in lines if line[0]] == list(signal_tables.SIGNALS)
    assert {line[1] for line in lines} >= {"kanrtl", "kanrtl, in float64", "NLMS", "RLS"}
