"""A bitstream, read back into logic, does what the design in it does; and with one bit inverted it does not."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import replace
from functools import reduce
from pathlib import Path

import pytest

from bench.foreign.configuration import Bit, find_bits, invert_bit
from bench.foreign.variants import find_readable, find_unreachable, find_used, merge_variants
from kanrtl.boards import BOARDS
from kanrtl.build.bitstream import build_board
from kanrtl.errors import InputError, ToolError
from kanrtl.simulators.bitstream_rtlil import count_cells
from kanrtl.simulators.native_serial import NativeSerial
from kanrtl.tools.icestorm import unpack
from kanrtl.virtual.bitstream_simulation import (
    await_reset,
    find_pins,
    read_bitstream,
    read_configuration,
    simulate_chip,
)
from support.echo_board import BOARD, Echo
from support.foreign_tools import need

CYCLES_PER_BIT = 4
BAUD = 3_000_000
TEXT = bytes(range(7, 250, 9))


@pytest.fixture(scope="module")
def bitstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("iceunpack", "icebox_vlog"):
        need(program, shutil.which(program))
    path = tmp_path_factory.mktemp("echo") / "echo.bin"
    build_board(Echo(), BOARD, output=path)
    return path


@pytest.mark.thorough
def test_a_bitstream_of_another_board_with_the_same_part_is_named(bitstream: Path) -> None:
    with pytest.raises(
        InputError, match=r"^bitstream = '.*echo.bin': uses no pin \w+, the \w+ of icesugar; give one that"
    ):
        read_bitstream(bitstream, BOARDS["icesugar"])


def echo(simulation: NativeSerial, variant: int) -> bytes:
    """What comes back."""
    simulation.restart(variant)
    await_reset(simulation, BOARD)
    simulation.feed(TEXT)
    return b"".join(simulation.run(CYCLES_PER_BIT * 11) for _ in TEXT + bytes(3))


@pytest.mark.usefixtures("compiled")
def test_every_bit_comes_back_until_one_of_the_configuration_is_inverted(bitstream: Path) -> None:
    """A bit of every table that is used, and some of the memory. What is never chosen in the chip as it is changes
    nothing; of what is, all of the memory is found, and of the tables those that do not only end the reset earlier or
    tell what is not looked at."""
    configuration = unpack(bitstream)
    plain = read_configuration(configuration, BOARD)
    cells = count_cells(plain)
    assert cells["SB_RAM40_4K"] == 1
    assert cells["flip-flop"] >= 9
    assert cells["LUT"] > 0
    assert cells["carry"] > 0
    every = find_readable(plain, find_bits(configuration))
    memory = [bit for bit in every if bit.kind == "memory"]
    assert len(memory) == 4096
    tables = {bit.cell: bit for bit in random.Random(0).sample(every, len(every)) if bit.kind == "table"}
    drawn = [*tables.values(), *memory[77::900]]
    inverted = read_configuration(reduce(invert_bit, drawn, configuration), BOARD)
    used = find_used(plain, inverted, drawn)
    assert {bit.kind for bit in used} == {"table", "memory"}
    merged = merge_variants(plain, inverted, used, f"pin_{find_pins(BOARD)['clock']}")
    simulation = simulate_chip(merged, BOARD, BAUD, variants=len(used) + 1)
    assert echo(simulation, 0) == TEXT
    chosen = [number for number in range(1, len(used) + 1) if simulation.is_touched(number)]
    found = [number for number in chosen if echo(simulation, number) != TEXT]
    kinds = Counter(used[number - 1].kind for number in found)
    assert kinds["memory"] == len(memory[77::900])
    assert kinds["table"] >= 5
    others = [number for number in range(1, len(used) + 1) if number not in chosen]
    assert all(echo(simulation, number) == TEXT for number in others)
    simulation.close()


def draw_memory_chip(content: int) -> str:
    """A chip as it is read back, whose memory's row 0 to 255 is written in every cycle, in turn: those from 128 on are
    read a cycle after that, the others a cycle before. ``content`` is in all of its rows."""
    word = f"{content:04x}" * 16
    rows = "".join(f" .INIT_{line:X}(256'h{word}),\n" for line in range(16))
    count = ", ".join(f"count[{bit}]" for bit in reversed(range(8)))
    read = ", ".join(f"read[{bit}]" for bit in reversed(range(8)))
    data = ", ".join(f"data[{bit}]" for bit in reversed(range(16)))
    return (
        "module chip (input pin_35, input pin_6, output pin_9, input pin_10);\n\n"
        "reg [7:0] count = 0;\nwire [7:0] read = count[7] ? count - 1 : count + 1;\nwire [15:0] data;\n"
        "always @(posedge pin_35) count <= count + 1;\nassign pin_9 = pin_6;\n"
        f"SB_RAM40_4K #(\n{rows} .READ_MODE(0),\n .WRITE_MODE(0)\n) ram40_6_1 (\n"
        f" .RADDR({{1'b0, 1'b0, 1'b0, {read}}}),\n .WADDR({{1'b0, 1'b0, 1'b0, {count}}}),\n .MASK(16'b0),\n"
        f" .WDATA(16'b0),\n .RE(1'b1),\n .RCLKE(1'b1),\n .RCLK(pin_35),\n .WE(1'b1),\n .WCLKE(1'b1),\n .WCLK(pin_35),\n"
        f" .RDATA({{{data}}})\n);\nendmodule\n"
    )


@pytest.mark.usefixtures("compiled")
def test_a_bit_of_a_memory_that_is_written_before_it_is_read_is_not_touched() -> None:
    bits = [Bit("memory", 6, 1, row // 16, row % 16 * 16 + 3) for row in (50, 200)]
    merged = merge_variants(draw_memory_chip(0), draw_memory_chip(1 << 3), bits, "pin_35")
    simulation = simulate_chip(merged, BOARD, BAUD, variants=3)
    simulation.run(1000)
    assert [simulation.is_touched(number) for number in (1, 2)] == [True, False]
    simulation.close()


def test_entries_that_no_inputs_choose_are_told(tmp_path: Path) -> None:
    """Of two wires of which one is the other's inverse, both are never high."""
    text = "module chip (input pin_1, input pin_3, output pin_2);\n\nwire n2;\nwire pin_1, pin_2, pin_3;\n"
    text += "assign n2    = /* LUT    1  1  1 */ !pin_1;\nassign pin_2 = /* LUT    1  1  0 */ {};\nendmodule\n"
    plain = text.format("(pin_1 ? n2 : 1'b0)")
    bit = Bit("table", 1, 1, 0, 36)
    for other, is_unreachable in (("1'b0", True), ("pin_1", False)):
        inverted = text.format(other)
        assert find_used(plain, inverted, [bit]) == [bit]
        merged = merge_variants(plain, inverted, [bit], "pin_3")
        assert find_unreachable(merged, [1], tmp_path) == ({1} if is_unreachable else set())


def test_a_bit_of_a_table_is_inverted_and_back(bitstream: Path) -> None:
    configuration = unpack(bitstream)
    tables = [bit for bit in find_bits(configuration) if bit.kind == "table"]
    assert len(tables) % 16 == 0
    for bit in tables[:: len(tables) // 5]:
        other = invert_bit(configuration, bit)
        assert sum(a != b for a, b in zip(configuration, other, strict=True)) == 1
        assert invert_bit(other, bit) == configuration


def test_pins_are_those_of_the_board() -> None:
    assert find_pins(BOARD) == {"clock": "35", "rx": "6", "tx": "9", "high": "10"}
    assert "high" not in find_pins(BOARDS["hx8k-b-evn"])


@pytest.mark.parametrize(
    ("board", "line"),
    [
        ("upduino-3", "board = 'upduino-3': it has no serial port; verify for --device iCE40UP5K-SG48"),
        ("ulx3s-85f", "board = 'ulx3s-85f': a bitstream of ecp5 cannot be read back into logic; verify for --device"),
    ],
)
def test_other_boards_are_refused(board: str, line: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_bitstream(tmp_path / "none.bin", BOARDS[board])
    assert str(refused.value).startswith(line)


def test_a_file_that_is_no_bitstream_is_refused(bitstream: Path, tmp_path: Path) -> None:
    assert bitstream.is_file()
    wrong = tmp_path / "wrong.bin"
    wrong.write_bytes(b"not a bitstream")
    with pytest.raises(ToolError, match="iceunpack failed: "):
        read_bitstream(wrong, BOARD)


def test_a_missing_tool_is_named(bitstream: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ICEUNPACK", "/nowhere/iceunpack")
    with pytest.raises(ToolError, match="ICEUNPACK=/nowhere/iceunpack is not a program: correct it, or unset it"):
        unpack(bitstream)
    monkeypatch.delenv("ICEUNPACK")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ToolError, match="iceunpack is not installed: install Debian's or Ubuntu's package"):
        unpack(bitstream)


def test_a_clock_from_within_the_chip_has_no_pin() -> None:
    board = replace(BOARDS["upduino-3"], uart=BOARD.uart)
    with pytest.raises(InputError, match="its clock comes from within the chip"):
        find_pins(board)
