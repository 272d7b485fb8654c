"""The row of the power amplifier, on a made-up one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench import power_amplifier, stored
from bench.power_amplifier import FILE, FOLDER, PowerAmplifier, find_nmse, make_part
from bench.tables import signal_tables
from kanrtl import InputError

(ROW,) = power_amplifier.FAMILY.rows


def write_signal(folder: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 1500), ("val", 200), ("test", 300)):
        x = (random.normal(0, 0.25, count) + 1j * random.normal(0, 0.25, count)).clip(-0.7, 0.7)
        size = np.abs(x)
        arrays |= {f"{part}_input": x, f"{part}_output": x * (1 - 0.5 * size**2) * np.exp(0.4j * size)}
    np.savez(folder / FILE, **arrays)


def test_taps_are_past_samples() -> None:
    part = make_part([3 + 4j, 1, 2j], [1, 2j, 3], 2)
    assert part.x.tolist() == [[3, 4, 5, 0, 0, 0], [1, 0, 1, 3, 4, 5], [0, 2, 2, 1, 0, 1]]
    assert part.y.tolist() == [[1, 0], [0, 2], [3, 0]]


def test_decibels() -> None:
    y = np.array([[3.0, 4.0], [0.0, 5.0]])
    assert find_nmse(y * 1.1, y) == pytest.approx(-20)


def test_modulated_edges_are_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_signal(tmp_path)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    monkeypatch.setattr(power_amplifier, "RATES", (1.0, 0.5))
    assert isinstance(ROW, PowerAmplifier)
    result = replace(ROW, taps=1, grid_size=4).run(lambda _: None)
    error = {method["name"]: method["error"] for method in result["methods"]}
    best = error["least squares, the same curves in float64"]
    assert best < error["complex modulated edges, in float64"] < -30
    assert error["complex modulated edges"] < -30
    assert error["complex modulated edges, streaming"] < -30
    assert (
        error["complex modulated edges"] + 5
        < error["plain edges of I and Q"]
        < error["least squares, linear, four taps"]
    )
    (tmp_path / "power-amplifier.json").write_text(json.dumps(result))
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    lines = signal_tables.amplifier().splitlines()
    assert len(lines) == 2 + len(result["methods"])
    assert lines[2].startswith("| complex modulated edges | **-")


def test_without_the_signal_the_row_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    with pytest.raises(InputError, match=FOLDER):
        ROW.run(lambda _: None)
    monkeypatch.setenv(FOLDER, str(tmp_path))
    with pytest.raises(InputError, match=FILE):
        ROW.run(lambda _: None)
