"""Bitstreams are loaded as each board's platform would load them, into the part that they were made for."""

import shlex
import subprocess
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from kanrtl import InputError
from kanrtl.boards import BOARDS, Board
from kanrtl.build import plan_programming
from kanrtl.build.programming import looks_like_bitstream
from support.bitstream_heads import ICE40_BANKS, ULX3S_85F, ecp5, ice40
from support.pipes import by_descriptor, piped


class Products:
    """What a platform's build has made."""

    def extract(self, name: str) -> Any:
        return nullcontext(name)


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_the_command_is_the_platforms(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.setattr(subprocess, "check_call", lambda command: called.append(command))
    board.platform().toolchain_program(Products(), "top")
    (command,) = called
    suffix = ".bin" if board.device.startswith("iCE40") else ".bit"
    # The place of the file among the options is of no consequence, nor is that of a space in one.
    ours = [board.flasher, *board.flasher_options, f"top{suffix}"]
    assert sorted(ours) == sorted(word for part in command for word in part.split())


@pytest.mark.parametrize("board", BOARDS.values(), ids=lambda board: board.name)
def test_what_is_in_the_fpga_alone_is_lost_with_the_power(board: Board) -> None:
    assert board.keeps_bitstream == (not {"-m", "-S"} & {*board.flasher_options})


def write(folder: Path, content: bytes, name: str = "a.bit") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_plan(tmp_path: Path) -> None:
    path = write(tmp_path, ULX3S_85F, "an e.bit")
    plan = plan_programming(BOARDS["ulx3s-85f"], path)
    assert plan.command == f"openFPGALoader -b ulx3s -m {shlex.quote(str(path))}"
    assert plan.to_json() == {
        "board": "ulx3s-85f",
        "bitstream": str(path),
        "tool": "openFPGALoader",
        "arguments": ["-b", "ulx3s", "-m", str(path)],
        "command": plan.command,
        "kept": False,
    }


def test_a_name_is_no_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, ice40("up5k"), "-S")
    assert plan_programming(BOARDS["icebreaker"], Path("-S")).arguments == ("./-S",)


@pytest.mark.parametrize(("board", "die"), [("icestick", "hx1k"), ("hx8k-b-evn", "hx8k"), ("icebreaker", "up5k")])
def test_dies_of_one_family_are_told_apart(board: str, die: str, tmp_path: Path) -> None:
    plan_programming(BOARDS[board], write(tmp_path, ice40(die, comment=b"made by hand")))
    for other in ICE40_BANKS.keys() - {die}:
        with pytest.raises(
            InputError, match=f"^BITSTREAM = .*: is for the die .*{other}.*, not {die}; {board} has an "
        ):
            plan_programming(BOARDS[board], write(tmp_path, ice40(other)))


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"", "is no bitstream for ECP5"),
        (b"\xff\0" + bytes(5000), "is no bitstream for ECP5"),
        (b"layer_sizes = [1, 1]", "is no bitstream for ECP5"),
        (ice40("up5k"), "is a bitstream for iCE40"),
        (ecp5("LFE5U-25F-6CABGA381", 0x41111043), "is for the die 25k, not 85k"),
        (ecp5("LFE5UM5G-85F-8CABGA381", 0x81113043), "is for the die um5g-85k, not 85k"),
        (ecp5("LAE5UM-85F-6CABGA381", 0x12345678), "is for a die that is not known, not 85k"),
        (ecp5("LFE5U-85F-6CABGA756", 0x41113043), "is for the package CABGA756, not CABGA381"),
    ],
)
def test_wrong_files(content: bytes, wrong: str, tmp_path: Path) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError) as failure:
        plan_programming(BOARDS["ulx3s-85f"], path)
    assert str(failure.value) == (
        f"BITSTREAM = {str(path)!r}: {wrong}; ulx3s-85f has an LFE5U-85F-6BG381; give one that kanrtl build --board "
        "ulx3s-85f makes"
    )


@pytest.mark.parametrize(("board", "content"), [("ulx3s-85f", ULX3S_85F), ("icebreaker", ice40("up5k"))])
def test_a_file_that_is_cut_short(board: str, content: bytes, tmp_path: Path) -> None:
    plan_programming(BOARDS[board], write(tmp_path, content))
    for length in (len(content) - 6, len(content) // 2 + 20):
        with pytest.raises(InputError, match=r"^BITSTREAM = .*: is cut short; build it again$"):
            plan_programming(BOARDS[board], write(tmp_path, content[:length]))


def test_what_dfu_suffix_adds_is_no_damage(tmp_path: Path) -> None:
    content = ecp5("LFE5U-25F-8CSFBGA285", 0x41111043)
    suffix = b"\xff\xff\xf0\x5a\x09\x12\0\x01UFD\x10abcd"
    plan_programming(BOARDS["orangecrab-r0.2-25f"], write(tmp_path, content + suffix))


def test_files_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^BITSTREAM = .*: No such file or directory; name a file that can be read$"):
        plan_programming(BOARDS["icebreaker"], tmp_path / "none.bin")


@by_descriptor
def test_what_comes_through_a_pipe_is_left_in_it() -> None:
    with piped(b"layer_sizes = [1, 1]") as (path, left):
        assert not looks_like_bitstream(path)
        assert left.read() == b"layer_sizes = [1, 1]"


def test_what_is_meant_as_a_bitstream(tmp_path: Path) -> None:
    assert looks_like_bitstream(write(tmp_path, ice40("up5k"), "a.toml"))
    assert looks_like_bitstream(write(tmp_path, b"nothing", "b.bin"))
    assert looks_like_bitstream(tmp_path / "none.BIT")
    assert not looks_like_bitstream(tmp_path / "none.toml")
    assert not looks_like_bitstream(write(tmp_path, b"layer_sizes = [1, 1]", "b.toml"))
