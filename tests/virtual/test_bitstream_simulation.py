"""A bitstream, read back into logic, does what the design in it does; and with one bit inverted it does not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Cat, Elaboratable, Module, Signal
from amaranth.lib.memory import Memory

from kanrtl.boards import BOARDS
from kanrtl.build.bitstream import build_board
from kanrtl.errors import InputError, ToolError
from kanrtl.tools.icestorm import unpack
from kanrtl.virtual.bitstream_simulation import find_pins, simulate_bitstream
from support.configuration_bits import Bit, find_bits, invert_bit
from support.foreign_tools import need

BOARD = BOARDS["icebreaker"]
CYCLES_PER_BIT = 4
BAUD = 3_000_000
TEXT = bytes(range(7, 250, 9))


class Echo(Elaboratable):  # type: ignore[misc]
    """Sends every bit back, until a memory gives something else than it holds; pressing the button stops it."""

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rx, tx = BOARD.request_uart(platform)
        button = BOARD.request_button(platform)
        content = [number * 257 for number in range(256)]
        m.submodules.rom = rom = Memory(shape=16, depth=256, init=content, attrs={"ram_style": "block"})
        read, count, before = rom.read_port(), Signal(8), Signal(8)
        held, wrong = Signal(init=1), Signal()
        m.d.comb += [read.addr.eq(count), tx.eq(held)]
        m.d.sync += [count.eq(count + 1), before.eq(count), held.eq(rx & ~button & ~wrong)]
        with m.If((count != before) & (read.data != Cat(before, before))):
            m.d.sync += wrong.eq(1)
        return m


@pytest.fixture(scope="module")
def bitstream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("iceunpack", "icebox_vlog"):
        need(program, shutil.which(program))
    path = tmp_path_factory.mktemp("echo") / "echo.bin"
    build_board(Echo(), BOARD, output=path)
    return path


def echo(bitstream: Path, inverted: Bit | None = None) -> bytes:
    """What comes back."""
    cells: dict[str, int] = {}
    edit = None if inverted is None else lambda configuration: invert_bit(configuration, inverted)
    simulation = simulate_bitstream(bitstream, BOARD, BAUD, cells, edit=edit)
    assert cells["SB_RAM40_4K"] == 1
    assert cells["flip-flop"] >= 9
    assert cells["LUT"] > 0
    assert cells["carry"] > 0
    simulation.run(400)  # a reset of 15 us
    simulation.feed(TEXT)
    came = b"".join(simulation.run(CYCLES_PER_BIT * 11) for _ in TEXT + bytes(3))
    simulation.close()
    return came


@pytest.mark.usefixtures("compiled")
def test_every_bit_comes_back_until_one_of_the_memory_is_inverted(bitstream: Path) -> None:
    assert echo(bitstream) == TEXT
    memory = [bit for bit in find_bits(unpack(bitstream)) if bit.kind == "memory"]
    assert len(memory) == 4096
    assert echo(bitstream, memory[77]) != TEXT


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
        simulate_bitstream(tmp_path / "none.bin", BOARDS[board], BAUD, {})
    assert str(refused.value).startswith(line)


def test_a_file_that_is_no_bitstream_is_refused(bitstream: Path, tmp_path: Path) -> None:
    assert bitstream.is_file()
    wrong = tmp_path / "wrong.bin"
    wrong.write_bytes(b"not a bitstream")
    with pytest.raises(ToolError, match="iceunpack failed: "):
        simulate_bitstream(wrong, BOARD, BAUD, {})


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
