"""``kanrtl program``: what is built, what is run, and what is refused before either."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import LookupNetwork
from kanrtl.build import design_builds
from kanrtl.cli.command_line import run
from kanrtl.demos.self_check import SelfCheckTop
from kanrtl.demos.self_teaching import BoardTop
from kanrtl.link.board_top import LinkTop
from support.bitstream_heads import ULX3S_85F, ice40
from support.pretended_builds import built
from support.sham_flasher import ShamFlasher

SpecFile = Callable[..., Path]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("a.bin").write_bytes(ice40("up5k"))
    Path("a.bit").write_bytes(ULX3S_85F)
    edges = {"source": [0, 1], "node": [0, 0], "table": [np.arange(8) - 4] * 2}
    LookupNetwork.of([2, 1], [3, 4], [0.5, 0.25], [edges]).save("network.npz")
    return tmp_path


@pytest.fixture
def tops(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The kinds of the designs that are built, and the seeds, in place of building them."""
    asked: list[Any] = []

    def note(top: Any, board: Any, **options: Any) -> Any:
        assert options["output"] is None
        asked.append((type(top), options["seed"]))
        return replace(built(board.device, 1, 30.0), bitstream=str(folder / "a.bin"))

    monkeypatch.setattr(design_builds, "build_board", note)
    return asked


def fails(arguments: list[str], line: str, status: int, capsys: Captured) -> None:
    assert run(arguments) == status
    assert capsys.readouterr() == ("", f"kanrtl: {line}\n")


def test_a_bitstream_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    sham = ShamFlasher(folder, monkeypatch)
    assert run(["program", "a.bin", "--board", "icebreaker"]) == 0
    assert capsys.readouterr() == ("loaded a.bin into icebreaker\n", "the board keeps it\n")
    assert sham.arguments == ["a.bin"]
    sham = ShamFlasher(folder, monkeypatch, "openFPGALoader")
    monkeypatch.setenv("OPENFPGALOADER", "openFPGALoader")
    assert run(["program", "a.bit", "--board", "ulx3s-85f", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert sham.arguments == ["a.bin", "-b", "ulx3s", "-m", "a.bit"]
    assert (result["loaded"], result["kept"], result["build"]) == (True, False, None)
    assert result["command"] == "openFPGALoader -b ulx3s -m a.bit"


def test_a_dry_run_takes_no_tool(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setenv("PATH", "")
    assert run(["program", "a.bin", "--board", "icebreaker", "--dry-run"]) == 0
    assert capsys.readouterr() == ("iceprog a.bin\n", "")
    assert run(["program", "a.bin", "--board", "icebreaker", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["loaded"] is False
    assert folder.exists()


@pytest.mark.usefixtures("unelaborated")
def test_designs_are_built_first(
    folder: Path, tops: list[Any], spec_file: SpecFile, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    sham, spec = ShamFlasher(folder, monkeypatch), str(spec_file())
    assert run(["program", spec, "--board", "icebreaker"]) == 0
    assert run(["program", spec, "--board", "icebreaker", "--host", "uart", "--seed", "7"]) == 0
    assert run(["program", "network.npz", "--board", "icebreaker", "--latency", "1"]) == 0
    assert tops == [(BoardTop, 1), (LinkTop, 7), (SelfCheckTop, 1)]
    assert sham.arguments == [str(folder / "a.bin")] * 3
    capsys.readouterr()
    assert run(["program", spec, "--board", "icebreaker", "--dry-run", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["loaded"], result["build"]["lut"]) == (False, 900)


def test_failures(
    folder: Path, tops: list[Any], spec_file: SpecFile, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    iceprog = ["program", "a.bin", "--board", "icebreaker"]
    ShamFlasher(folder, monkeypatch, body=r"printf 'No device\nABORT.\n' >&2; exit 2")
    fails(iceprog, "iceprog failed: No device; see that the board is connected", 1, capsys)
    ShamFlasher(folder, monkeypatch, body="/bin/sleep 60")
    hanging = "see that the board is connected, or give it more time"
    ended = f"iceprog has not ended within 1 s and was stopped; {hanging}"
    fails([*iceprog, "--timeout", "1"], ended, 1, capsys)
    monkeypatch.setenv("PATH", str(folder))
    missing = (
        "iceprog is not installed: it is part of Project IceStorm, `apt install fpga-icestorm` on Debian; put it on "
        "PATH, or name it in ICEPROG"
    )
    fails(iceprog, missing, 1, capsys)
    fails(["program", str(spec_file()), "--board", "icebreaker"], missing, 1, capsys)
    assert tops == []  # not even begun


def test_refusals(folder: Path, spec_file: SpecFile, monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    sham, spec = ShamFlasher(folder, monkeypatch), str(spec_file())
    board = ["--board", "icebreaker"]
    built_already = "a bitstream is built already; leave it out, or give a spec"
    fails(["program", "a.bin", *board, "--seed", "2"], f"--seed = 2: {built_already}", 2, capsys)
    fails(["program", "a.bin", *board, "--host", "uart"], f"--host = 'uart': {built_already}", 2, capsys)
    fails(["program", "a.bin", *board, "--memory", "block"], f"--memory = 'block': {built_already}", 2, capsys)
    fails(
        ["program", spec, *board, "--baud", "9600"],
        "--baud = 9600: there is no host; give --host uart too, or leave it out",
        2,
        capsys,
    )
    only = "only for a learner; leave it out"
    fails(["program", "network.npz", *board, "--host", "uart"], f"--host = 'uart': {only}", 2, capsys)
    fails(["program", spec, *board, "--latency", "2"], "--latency = 2: only for a network; leave it out", 2, capsys)
    assert run(["program", "a.bit", *board]) == 2
    assert "'a.bit': is a bitstream for ECP5; icebreaker has an iCE40UP5K-SG48;" in capsys.readouterr().err
    assert run(["program", spec, "--board", "arduino"]) == 2
    assert capsys.readouterr().err.startswith("kanrtl: --board = 'arduino': unknown; use one of ulx3s-12f, ")
    assert run(["program", "none.bin", *board]) == 2
    assert "BITSTREAM = 'none.bin': No such file or directory" in capsys.readouterr().err
    assert sham.arguments == []
