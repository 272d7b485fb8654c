"""What a build keeps beside an iCE40's bitstream: its netlist, and where that has come."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kanrtl.build.bitstream import build_board
from kanrtl.build.placed_netlist import PLACED_NAME, PlacedNetlist
from support.echo_board import BOARD, Echo


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("echo")
    build_board(Echo(), BOARD, keep=folder)
    return folder


def test_each_flip_flop_and_memory_has_its_place(folder: Path) -> None:
    netlist = PlacedNetlist.read(folder / PLACED_NAME)
    registers = [cell for cell in netlist.cells.values() if cell.kind.startswith("SB_DFF")]
    assert len(registers) >= 9
    assert {cell.outputs["Q"][0] for cell in registers} <= set(netlist.logic.values())
    assert [netlist.cells[name].kind for name in netlist.memories.values()] == ["SB_RAM40_4K"]
    carries = {cell.outputs["CO"][0] for cell in netlist.cells.values() if cell.kind == "SB_CARRY"}
    assert carries
    assert set(netlist.carries.values()) <= carries
    # Places are those of one net, and what comes out of a chain of carries is none of its own.
    assert len(set(netlist.logic.values())) == len(netlist.logic)
    assert not carries.intersection(netlist.logic.values())
    assert {"35", "6", "9", "10"} <= set(netlist.pins)
    assert all(net in netlist.names for net in netlist.logic.values())


def test_it_is_read_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    netlist = PlacedNetlist.read(folder / PLACED_NAME)
    netlist.write(tmp_path / PLACED_NAME)
    assert PlacedNetlist.read(tmp_path / PLACED_NAME) == netlist
    assert replace(netlist, pins={}) != netlist


@pytest.mark.parametrize("file", [PLACED_NAME, "top.bin"])
def test_a_build_whose_files_are_damaged_is_made_again(file: str) -> None:
    told: list[str] = []
    kept = Path(str(build_board(Echo(), BOARD, seed=2).bitstream)).parent / file
    content = kept.read_bytes()
    kept.write_bytes(content[:-1])
    build_board(Echo(), BOARD, seed=2, progress=told.append)
    assert any(line.startswith("placing and routing") for line in told)
    assert kept.read_bytes() == content
