"""What the file of every family says fits together."""

from __future__ import annotations

import re

import pytest

from kanrtl.fabric.cell import Cell
from kanrtl.fabric.device import Device
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.family import Family
from kanrtl.fabric.parts import KINDS
from kanrtl.fabric.primitives import is_sequential, name_primitive, path_inputs


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_parts_that_a_family_names_are_its_own(family: Family) -> None:
    names = {*family.examples, *family.proposed}
    assert names
    for name in names:
        device = Device.parse(name)
        assert device.family == family.name
        assert device.nextpnr_options[0] == f"--{device.die}"


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_costs_are_of_kinds_that_are_counted(family: Family) -> None:
    assert set(family.costs) == {"lut", "ff"}
    assert all(set(costs) <= set(KINDS) for costs in family.costs.values())
    # A flip-flop that takes what no LUT has formed takes a cell, where these are counted.
    assert ("moved" in family.costs["lut"]) == family.resources.counts_cells


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_cells_that_are_looked_at_have_a_name(family: Family) -> None:
    assert {"multiplier", "block memory", "register", "LUT"} <= set(family.primitives)
    assert ("distributed memory" in family.primitives) == bool(family.blocks.distributed)
    for kind in (*family.path_inputs, *family.untimed):
        assert [name for name, kinds in family.primitives.items() if re.fullmatch(kinds, kind)] == [
            name_primitive(kind)
        ]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("MULT18X18D", "multiplier"),
        ("SB_MAC16", "multiplier"),
        ("SB_RAM40_4K", "block memory"),
        ("SB_DFFESR", "register"),
        ("TRELLIS_RAMW", "distributed memory"),
        ("SB_HFOSC", "clock"),
        ("SB_CARRY", "SB_CARRY"),  # a kind that is not known is its own name
    ],
)
def test_primitives_are_named(kind: str, name: str) -> None:
    assert name_primitive(kind) == name


@pytest.mark.parametrize(
    ("kind", "parameters", "through"),
    [
        ("LUT4", {}, {"A", "B"}),
        ("TRELLIS_FF", {}, set()),
        ("TRELLIS_DPR16X4", {}, {"RAD"}),
        ("MULT18X18D", {}, {"A", "B"}),
        ("MULT18X18D", {"REG_OUTPUT_CLK": "CLK0"}, set()),
        ("SB_MAC16", {"TOPOUTPUT_SELECT": "11", "BOTOUTPUT_SELECT": "11"}, {"A", "B"}),
        ("SB_MAC16", {"TOPOUTPUT_SELECT": "11", "BOTOUTPUT_SELECT": "11", "A_REG": "1"}, {"B"}),
        ("SB_MAC16", {"TOPOUTPUT_SELECT": "01", "BOTOUTPUT_SELECT": "01"}, set()),
    ],
)
def test_paths_lead_through_some_inputs(kind: str, parameters: dict[str, str], through: set[str]) -> None:
    cell = Cell(kind, parameters, {"A": [3], "B": [4]}, {"Z": [5]}, None)
    assert path_inputs(cell) == through
    assert is_sequential(cell) == (kind == "TRELLIS_FF")
