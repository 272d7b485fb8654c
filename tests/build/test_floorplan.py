"""Where multipliers are placed before nextpnr places the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl.build.block_paths import BlockPaths
from kanrtl.build.floorplan import MOST_LEFT_ALONE, place_multipliers
from kanrtl.fabric.device import Device
from kanrtl.fabric.families.ecp5 import FAMILY, multiplier_sites

DIES = ["LFE5U-25F-6", "LFE5U-45F-6", "LFE5U-85F-6"]
MULTIPLIER = {f"{operand}{bit}": "input" for operand in "AB" for bit in range(18)} | {
    f"P{bit}": "output" for bit in range(36)
}
PINS: dict[str, dict[str, str]] = {
    "MULT18X18D": MULTIPLIER,
    "LUT4": dict.fromkeys("ABCD", "input") | {"Z": "output"},
    "CCU2C": {f"{pin}{half}": "input" for pin in "ABCD" for half in "01"}
    | {"CIN": "input", "S0": "output", "S1": "output", "COUT": "output"},
    "TRELLIS_FF": {"DI": "input", "CLK": "input", "Q": "output"},
    "TRELLIS_DPR16X4": {"RAD": "input", "DI": "input", "WCK": "input", "DO": "output"},
}


def cell(kind: str, **connections: int) -> dict[str, Any]:
    """A cell of which only ``connections`` are used, by pin."""
    return {
        "type": kind,
        "parameters": {},
        "attributes": {},
        "port_directions": {pin: PINS[kind][pin] for pin in connections},
        "connections": {pin: [bit] for pin, bit in connections.items()},
    }


def chain(count: int) -> dict[str, Any]:
    """Multipliers one behind the other, with a LUT between any two."""
    cells = {}
    for number in range(count):
        cells[f"m{number}"] = cell("MULT18X18D", A0=10 + 2 * number, P0=11 + 2 * number)
        cells[f"l{number}"] = cell("LUT4", A=11 + 2 * number, Z=12 + 2 * number)
    return cells


def written(folder: Path, cells: dict[str, Any]) -> Path:
    path = folder / "netlist.json"
    path.write_text(json.dumps({"modules": {"top": {"ports": {}, "cells": cells, "netnames": {}}}}))
    return path


def cells_of(path: Path) -> dict[str, Any]:
    cells: dict[str, Any] = json.loads(path.read_text())["modules"]["top"]["cells"]
    return cells


@pytest.mark.parametrize("name", DIES)
def test_nextpnr_has_a_multiplier_at_every_site(name: str, tmp_path: Path) -> None:
    device = Device.parse(name)
    sites = multiplier_sites(device.die)
    assert len({site.name for site in sites}) == len({(site.x, site.y) for site in sites}) == device.dsp
    cells = {f"m{number}": cell("MULT18X18D", A0=2, P0=10 + number) for number in range(device.dsp)}
    for site, entry in zip(sites, cells.values(), strict=True):
        entry["attributes"]["BEL"] = site.name
    path = written(tmp_path, cells)
    arguments = [*device.nextpnr_options, "--json", path.name, "--no-route", "--out-of-context", "--write", "out.json"]
    FAMILY.flow.place_and_route.run(arguments, tmp_path, "nextpnr.log", lambda _: None, produces=["out.json"])
    placed = json.loads((tmp_path / "out.json").read_text())["modules"]["top"]["cells"]
    found = {entry["attributes"]["NEXTPNR_BEL"] for entry in placed.values() if entry["type"] == "MULT18X18D"}
    assert found == {site.name for site in sites}


@pytest.mark.parametrize("name", ["LFE5UM-85F-6", "LFE5UM5G-85F", "LFE5U-12F"])
def test_other_parts_have_the_sites_of_their_die(name: str) -> None:
    die = "LFE5U-25F-6" if "12F" in name else "LFE5U-85F-6"
    assert multiplier_sites(Device.parse(name).die) == multiplier_sites(Device.parse(die).die)


@pytest.mark.thorough
def test_what_is_connected_comes_together(tmp_path: Path) -> None:
    # The smallest die whose multipliers lie in more than one row.
    device, count = Device.parse("LFE5U-45F-6"), 40
    cells = chain(count)
    shuffled = np.random.default_rng(0).permutation(list(cells))
    path = written(tmp_path, {name: cells[name] for name in shuffled})
    assert place_multipliers(path, "top", multiplier_sites(device.die)) == count
    sites = {site.name: np.array([site.x, site.y]) for site in multiplier_sites(device.die)}
    placed = cells_of(path)
    names = [placed[f"m{number}"]["attributes"]["BEL"] for number in range(count)]
    assert len(set(names)) == count
    places = np.array([sites[name] for name in names])
    steps = np.abs(np.diff(places, axis=0)).sum(axis=1)
    any_two = np.abs(places[:, None] - places).sum(axis=-1).mean()
    assert steps.mean() < any_two / 3
    assert all("BEL" not in entry["attributes"] for entry in placed.values() if entry["type"] == "LUT4")


@pytest.mark.parametrize(("name", "count"), [("LFE5U-85F", MOST_LEFT_ALONE), ("LFE5U-85F", 0), ("LFE5U-25F", 29)])
def test_few_multipliers_are_left_to_nextpnr_and_too_many_to_its_refusal(name: str, count: int, tmp_path: Path) -> None:
    path = written(tmp_path, chain(count))
    before = path.read_bytes()
    assert place_multipliers(path, "top", multiplier_sites(Device.parse(name).die)) == 0
    assert path.read_bytes() == before


def test_the_longest_way_counts() -> None:
    """Register to multiplier through a LUT and a carry chain, and past them; from there to a memory that is read."""
    blocks = BlockPaths(
        {
            "x_TRELLIS_FF_Q": cell("TRELLIS_FF", Q=2, CLK=1),
            "lut": cell("LUT4", A=2, Z=3),
            "low": cell("CCU2C", A0=3, B1=2, COUT=4),
            "high": cell("CCU2C", A0=2, CIN=4, S1=5, S0=6),
            "m": cell("MULT18X18D", A0=5, A1=2, B0=9, P0=7),
            "memory.0": cell("TRELLIS_DPR16X4", RAD=7, DI=6, WCK=1, DO=8),
            "y_TRELLIS_FF_Q_1": cell("TRELLIS_FF", DI=8, CLK=1),
        }
    )
    x, m, memory, y = (blocks.number[name] for name in ("x register", "m", "memory memory", "y register"))
    assert blocks.together == [(memory, memory + 1)]
    wire = 1.0
    assert blocks.delay[x, m] == pytest.approx(0.24 + wire + 0.45 + wire + 0.44 + wire)
    assert blocks.delay[x, memory + 1] == pytest.approx(0.24 + wire + 0.45 + wire + 0.44 + wire)
    assert blocks.delay[m, memory] == blocks.delay[memory, y] == wire
    assert max(blocks.delay[x, memory], blocks.delay[memory + 1, y]) < 0
    paths = blocks.paths(np.zeros_like(blocks.delay))
    whole = 0.5 + blocks.delay[x, m] + 3.9 + wire + 0.24 + wire
    assert paths[x, m] == paths[m, memory] == paths[memory, y] == pytest.approx(whole)
    assert paths[x, memory + 1] == pytest.approx(0.5 + blocks.delay[x, memory + 1])
    far = blocks.paths(np.full_like(blocks.delay, 10))
    assert far[x, m] == pytest.approx(whole + 3 * 10 * 0.05)
    assert paths[y, x] == 0


def test_a_loop_has_an_end() -> None:
    blocks = BlockPaths(
        {
            "x_TRELLIS_FF_Q": cell("TRELLIS_FF", Q=2),
            "first": cell("LUT4", A=2, B=4, Z=3),
            "second": cell("LUT4", A=3, Z=4),
            "m": cell("MULT18X18D", A0=4, B0=6, P0=5),
            "n": cell("MULT18X18D", A0=5, P0=6),
        }
    )
    x, m = blocks.number["x register"], blocks.number["m"]
    assert blocks.delay[x, m] == pytest.approx(2 * 1.24 + 1)
    assert np.isfinite(blocks.paths(np.zeros_like(blocks.delay))).all()
