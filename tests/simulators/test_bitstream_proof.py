"""A bitstream is proved to be its netlist; with anything changed in it, what differs is named."""

from __future__ import annotations

import random
import re
import shutil
from dataclasses import replace
from functools import cache, reduce
from pathlib import Path

import pytest

from bench.foreign.configuration import find_bits, invert_bit
from bench.foreign.variants import find_readable, find_used
from kanrtl.build.bitstream import build_board
from kanrtl.build.placed_netlist import PLACED_NAME, PlacedNetlist
from kanrtl.errors import ToolError
from kanrtl.fabric.cell import Cell
from kanrtl.simulators.bitstream_proof import count_compared, find_unequal
from kanrtl.simulators.chip_logic import ChipLogic
from kanrtl.tools.icestorm import unpack
from kanrtl.virtual.bitstream_simulation import read_configuration
from support.echo_board import BOARD, Echo
from support.foreign_tools import need


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("iceunpack", "icebox_vlog"):
        need(program, shutil.which(program))
    folder = tmp_path_factory.mktemp("echo")
    build_board(Echo(), BOARD, keep=folder)
    return folder


@cache
def read(folder: Path) -> tuple[PlacedNetlist, str, str]:
    """The netlist, the configuration and its logic."""
    configuration = unpack(folder / "top.bin")
    return PlacedNetlist.read(folder / PLACED_NAME), configuration, read_configuration(configuration, BOARD)


def test_a_bitstream_is_its_netlist(folder: Path) -> None:
    netlist, _, chip = read(folder)
    assert count_compared(netlist) > 20
    assert find_unequal(netlist, chip) == []


def test_every_inverted_bit_is_named_with_its_place(folder: Path) -> None:
    """One of each table, whether anything ever chooses it or not, and one of the memory."""
    netlist, configuration, chip = read(folder)
    bits = find_readable(chip, find_bits(configuration))
    chance = random.Random(1)
    drawn = {bit.cell if bit.kind == "table" else bit.kind: bit for bit in chance.sample(bits, len(bits))}
    other = read_configuration(reduce(invert_bit, drawn.values(), configuration), BOARD)
    used = find_used(chip, other, [*drawn.values()])
    tables = {"logic cell X{}/Y{}/lc{}".format(*bit.cell) for bit in used if bit.kind == "table"}
    memories = {f"memory X{bit.x}/Y{bit.y}" for bit in used if bit.kind == "memory"}
    assert len(tables) > 10
    assert len(memories) == 1
    # An entry that only a constant input could choose is none of a table's.
    assert {name.partition(" (")[0] for name in find_unequal(netlist, other)} == tables | memories


@pytest.mark.parametrize(
    ("pattern", "instead", "named"),
    [
        (r"(/\* FF .* <= n\d+ \? 1'b)0", r"\g<1>1", "logic cell X"),
        (r"(/\* FF .*)posedge", r"\1negedge", "logic cell X"),
        (r"(/\* FF .*posedge )\w+", r"\1pin_6", "logic cell X"),
        (r"(/\* FF .* if \()[^)]+", r"\1pin_10", "logic cell X"),
        (r"(/\* FF .* <= )\S+", r"\1pin_10", "logic cell X"),
        (r"(/\* CARRY .*) \| (.*);", r"\1 & \2;", "logic cell X"),
        (r"\.READ_MODE\(0\)", ".READ_MODE(1)", "memory X"),
        (r"SB_RAM40_4K ", "SB_RAM40_4KNR ", "memory X"),
        (r"\.RADDR\(\{(.*), (\w+), (\w+)\}\)", r".RADDR({\1, \3, \2})", "memory X"),
        (r"\.RCLKE\(.*\)", ".RCLKE(pin_10)", "memory X"),
        (r"\.INIT_3\(256'h3", ".INIT_3(256'h7", "memory X"),
        (r"assign (pin_9 = )\S+ \?", r"assign \1pin_10 ?", "pin 9"),
        (r"assign pin_9 = .*\n", "", "pin 9"),
    ],
)
def test_what_is_beside_the_tables_is_compared_too(folder: Path, pattern: str, instead: str, named: str) -> None:
    netlist, _, chip = read(folder)
    other, changes = re.subn(pattern, instead, chip, count=1)
    assert changes == 1
    assert other != chip
    unequal = find_unequal(netlist, other)
    assert unequal
    assert all(name.startswith(named) for name in unequal)


def test_what_is_only_in_one_of_both_is_named(folder: Path) -> None:
    netlist, _, chip = read(folder)
    register = next(site for site, cell in ChipLogic.of(chip).cells.items() if cell.register is not None)
    line = r"(/\* FF +{} +{} +{} \*/) always .* (\w+) <= .* : (\w+);".format(*register)
    without, changes = re.subn(line, r"\1 assign \2 = \3;", chip)
    assert changes == 1
    place = "X{}/Y{}/lc{}".format(*register)
    (name,) = find_unequal(netlist, without.replace("reg ", "reg ", 1))
    assert name.startswith(f"logic cell {place} (")
    assert "not in the netlist" not in name
    added = "/* FF 24  1  7 */ always @(posedge pin_35) if (1'b1) other <= 1'b0 ? 1'b0 : pin_6;"
    more = chip.replace("endmodule", f"{added}\nendmodule")
    assert find_unequal(netlist, more) == ["logic cell X24/Y1/lc7 (not in the netlist)"]
    (tile,) = netlist.memories
    text = ChipLogic.of(chip).memories[tile].text
    moved = chip.replace("ram40_{}_{} (".format(*tile), "ram40_1_1 (")
    assert find_unequal(netlist, moved)[-1] == f"memory X{tile[0]}/Y{tile[1]} ({netlist.memories[tile]})"
    assert "memory X1/Y1 (not in the netlist)" in find_unequal(netlist, moved)
    assert any(name.startswith("memory X") for name in find_unequal(netlist, chip.replace(text, "")))


def test_a_flip_flop_that_nextpnr_does_not_tell_of_is_named(folder: Path) -> None:
    netlist, _, chip = read(folder)
    with pytest.raises(ToolError, match=r"^nextpnr does not tell where SB_DFF\w* has come that drives \S+$"):
        find_unequal(replace(netlist, logic={}), chip)


def test_what_nothing_is_known_of_is_refused() -> None:
    cell = Cell("SB_MAC16", {}, {}, {}, None)
    netlist = PlacedNetlist({"product": cell}, {}, {}, {}, {}, {})
    with pytest.raises(ToolError, match=r"^nothing is known of SB_MAC16 'product', to compare a bitstream with"):
        find_unequal(netlist, "module chip ();\n\nendmodule\n")
