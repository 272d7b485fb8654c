"""How lookup networks are measured, and the table made of it. Nothing is built here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from bench import adapt, folding, lookup, self_check, stored
from bench.tables import network_tables
from kanrtl import InputError
from kanrtl.build import Optimum
from support.kan_checkpoints import write_published
from support.pretended_builds import Reports, pretend_builds


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a network under each of the two names, and held-out rows half of whose classes are right."""
    write_published(tmp_path)
    monkeypatch.setenv("KANRTL_KANELE", str(tmp_path))
    return tmp_path


@pytest.mark.usefixtures("published")
def test_rows_and_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = pretend_builds(monkeypatch, lambda seed: 100.0 + seed)
    monkeypatch.setattr(stored, "RESULTS", tmp_path)

    def search(network: Any, device: str, goal: str, *, seed: int, **_: Any) -> Optimum:
        assert (network.output, device, goal, seed) == ("argmax", lookup.DEVICE, "ns", 1)
        return Optimum("ns", {"whole_from": 1, "latency": 2}, "static", Reports(1.0, {}), ())  # type: ignore[arg-type]

    monkeypatch.setattr(lookup, "optimise_network", search)
    for row in lookup.FAMILY.rows:
        assert isinstance(row, lookup.Lookup)
        builds.clear()
        result = row.run(lambda _: None)
        assert [build["seed"] for build in builds] == list(row.seeds)
        latency, whole, placer, frequency = row.latency, row.whole_from, row.placer, 250.0
        if row.goal:
            latency, whole, placer, frequency = 2, 1, "static", None
            assert result["optimised"]["options"] == {"whole_from": 1, "latency": 2}
            assert row.commands[-1] == f"kanrtl build {row.name}.npz --device {lookup.DEVICE} --optimise ns --seeds 1-5"
        assert (result["whole_from"], result["placer"]) == (whole, placer)
        for build in builds:
            core = build["component"]
            assert (core.latency, core.whole_from, core.network.output) == (latency, whole, row.built)
            assert (build["device"], build["frequency"], build["register_ports"]) == (lookup.DEVICE, frequency, False)
        assert result["held_out"] == {"right": 20, "rows": 40}
        assert result["fmax_mhz"] == 100 + median(row.seeds)
        assert not any("table" in name or "source" in name for name in result)
        (tmp_path / f"{row.name}.json").write_text(json.dumps(result))
    lines = network_tables.lookup().splitlines()
    assert len(lines) == 2 + len(lookup.FAMILY.rows) + len(stored.PEERS["lookup"])
    assert "| Moons: KANELÉ, its generated VHDL |  | 5 | 340.5 MHz | 14.7 ns | 151 | 67 | 0 |  |" in lines
    assert {row.name for row in lookup.FAMILY.rows} == set(network_tables.LOOKUPS)


def test_frozen_learners_and_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = pretend_builds(monkeypatch, lambda seed: 100.0 + seed)
    errors = []
    for row in adapt.FROZEN.rows:
        result = row.run(lambda _: None)
        assert result["max_error"] <= result["bound"]
        errors.append(result["rms_error"])
        (tmp_path / f"{row.name}.json").write_text(json.dumps(result))
    assert errors[0] == 0 < errors[1] < errors[2]
    assert {(build["device"], build["frequency"]) for build in builds} == {(lookup.DEVICE, lookup.FREQUENCY)}
    (tmp_path / "t8-no-registers.json").write_text((stored.RESULTS / "t8-no-registers.json").read_text())
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    lines = network_tables.frozen().splitlines()
    assert lines[2].startswith("| T with 8 cells, to the bit | 0.0000 | 0.0000 | 2 | 103.0 MHz (101.0 to 105.0) | ")
    assert lines[-1].startswith("| the learner itself, learning |  |  | 1 | ")
    assert {row.name for row in adapt.FROZEN.rows} == set(network_tables.FROZENS)


@pytest.mark.usefixtures("published")
def test_boards_and_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(network: Any, board: Any, **_: Any) -> Reports:
        assert network.output == {"Moons": "threshold", "DryBean": "argmax"}[names[0]]
        assert board.name == names[1]
        reports = Reports(40.0, {"latency_cycles": 4, "interval_cycles": 1})
        reports._content |= {"capacity": {"lut": 100}}
        return reports

    monkeypatch.setattr(self_check, "build_self_check", build)
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    for row in self_check.FAMILY.rows:
        assert isinstance(row, self_check.SelfChecking)
        names = row.network, row.board
        (tmp_path / f"{row.name}.json").write_text(json.dumps(row.run(lambda _: None)))
    assert {row.name for row in self_check.FAMILY.rows} == set(network_tables.SELF_CHECKS)
    lines = network_tables.self_checks().splitlines()
    assert len(lines) == 2 + 4
    assert (
        "| **DryBean**, argmax | icebreaker | 7 of 100 | 7 | 4 | 7 MHz | 40.0 MHz | `self-check-drybean-icebreaker` |"
        in lines
    )


def test_without_the_networks_a_row_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KANRTL_KANELE", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"^KANRTL_KANELE = .*no such folder; name the one with Moons.state_dict.npz$"):
        lookup.data_folder()
    for unset in (lambda: monkeypatch.setenv("KANRTL_KANELE", ""), lambda: monkeypatch.delenv("KANRTL_KANELE")):
        unset()
        with pytest.raises(InputError, match=r"^KANRTL_KANELE is not set: let it name the folder with [^\n]*$"):
            lookup.data_folder()


def test_folded_rows_and_their_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = pretend_builds(monkeypatch, lambda seed: 10.0 * seed)
    monkeypatch.setattr(stored, "RESULTS", tmp_path)
    small = replace(folding.FAMILY.rows[0], layer_sizes=(6, 3, 2), bits=(2, 3, 4), reuse_factor=6)
    for row in folding.FAMILY.rows:
        result = replace(small, name=row.name).run(lambda _: None)
        assert (result["edges"], result["interval_cycles"], result["fmax_mhz"]) == (24, 6, 30.0)
        (tmp_path / f"{row.name}.json").write_text(json.dumps(result))
    for build in builds:
        assert build["component"].folding is not None
        assert (build["register_ports"], build["device"]) == (True, "iCE40UP5K")
    lines = network_tables.folding().splitlines()
    assert len(lines) == 2 + len(folding.FAMILY.rows)
    assert (
        "| 6 | 7 | 7 of 30 | 30.0 MHz (10.0 to 50.0) | 6 | **5.00 million/s** | 0.50 µs | `folded-64-32-10-fast` |"
        in lines[-1]
    )
    assert {row.name for row in folding.FAMILY.rows} == set(network_tables.FOLDED)


def test_random_networks_are_what_they_are_called() -> None:
    network = folding.random_network((5, 3, 2), (3, 4, 6), 1)
    assert (network.edges, network.layer_sizes, network.bits, network.output) == (21, (5, 3, 2), (3, 4, 6), "argmax")
    codes = np.random.default_rng(0).integers(-4, 4, (200, 5))
    assert len(np.unique(network.predict_codes(codes))) == 2
