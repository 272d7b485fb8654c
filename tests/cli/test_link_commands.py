"""Links from the command line: bitstreams with one, simulated boards, and addresses in the place of backends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import LearnerSpec, LookupNetwork, connect
from kanrtl.build import design_builds
from kanrtl.cli import link_commands
from kanrtl.cli.command_line import run
from kanrtl.experiments.verify import Verification
from kanrtl.link.board_top import LinkTop
from support.command_line import noted_builds
from support.linked_boards import serve_board, tracker
from support.pretended_builds import built

SpecFile = Callable[..., Path]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def network(tmp_path: Path) -> str:
    path = tmp_path / "network.npz"
    edges = {"source": [0, 1], "node": [0, 0], "table": [np.arange(8) - 4] * 2}
    LookupNetwork.of([2, 1], [3, 4], [0.5, 0.25], [edges]).save(path)
    return str(path)


def refuses(arguments: list[str], line: str, capsys: Captured) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr() == ("", f"kanrtl: {line}\n")


@pytest.mark.parametrize(("options", "baud"), [([], 3_000_000), (["--baud", "115200"], 115_200)])
@pytest.mark.usefixtures("unelaborated")
def test_a_bitstream_with_a_link(
    options: list[str], baud: int, spec_file: SpecFile, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    asked: list[int] = []

    class NotedTop(LinkTop):
        def __init__(self, spec: LearnerSpec, board: Any, baud: int) -> None:
            asked.append(baud)
            super().__init__(spec, board, baud)

    monkeypatch.setattr(design_builds, "LinkTop", NotedTop)
    with noted_builds(monkeypatch, design_builds) as builds:
        assert run(["build", str(spec_file()), "--board", "icebreaker", "--host", "uart", *options, "--json"]) == 0
        assert isinstance(builds[0]["component"], NotedTop)
    assert asked == [baud]
    assert json.loads(capsys.readouterr().out)["device"] == built("a device", 1, 1.0).device


def test_a_bitstream_of_another_rate_is_verified(
    spec_file: SpecFile, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    asked: list[int] = []

    def note(*_: Any, baud: int, **__: Any) -> Verification:
        asked.append(baud)
        return Verification("iCE40UP5K", 1, 1, 0, {}, {}, None)

    monkeypatch.setattr("kanrtl.cli.verify_command.verify_bitstream", note)
    verify = ["verify", str(spec_file())]
    assert run([*verify, "--board", "icebreaker", "--json"]) == 0
    assert run([*verify, "--board", "icebreaker", "--baud", "115200", "--json"]) == 0
    assert asked == [3_000_000, 115_200]
    capsys.readouterr()
    line = "--baud = 9600: is the rate of a board's serial port; give --board, or leave it out"
    refuses([*verify, "--device", "iCE40UP5K", "--baud", "9600"], line, capsys)


def test_bitstreams_that_cannot_have_one(spec_file: SpecFile, network: str, capsys: Captured) -> None:
    build, host = ["build", str(spec_file())], ["--host", "uart"]
    only = "only a --board build takes it; leave it out, or use --board"
    refuses([*build, "--device", "LFE5U-25F", *host], f"--host = 'uart': {only}", capsys)
    missing = "there is no host; give --host uart too, or leave it out"
    refuses([*build, "--board", "icebreaker", "--baud", "9600"], f"--baud = 9600: {missing}", capsys)
    refuses(
        [*build, "--board", "upduino-3", *host],
        "board = 'upduino-3': has no serial port; choose another board for a link to a host",
        capsys,
    )
    refuses(
        ["build", network, "--board", "icebreaker", *host], "--host = 'uart': only for a learner; leave it out", capsys
    )
    for baud in ("12000000", "1"):
        assert run([*build, "--board", "icebreaker", *host, "--baud", baud]) == 2
        assert capsys.readouterr().err.startswith(f"kanrtl: baud = {baud}: ")


@pytest.mark.parametrize(
    ("options", "scheme", "baud"),
    [([], "serial:///dev/", 3_000_000), (["--tcp", "localhost:0", "--baud", "115200"], "tcp://localhost:", 115_200)],
)
def test_what_is_served(
    options: list[str],
    scheme: str,
    baud: int,
    spec_file: SpecFile,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    """The board and the rate that were asked for, at the address that is printed, until it is interrupted."""
    served: list[tuple[Any, str]] = []

    def serve(simulation: Any, port: Any) -> None:
        served.append((simulation, port.address))
        raise KeyboardInterrupt

    monkeypatch.setattr(link_commands, "simulate_board", lambda spec, board, baud, _progress: (spec, board.name, baud))
    monkeypatch.setattr(link_commands, "serve", serve)
    path = spec_file()
    assert run(["serve", str(path), "--board", "ulx3s-85f", *options]) == 130
    printed = capsys.readouterr()
    (((spec, board, rate), address),) = served
    assert (spec, board, rate) == (LearnerSpec.from_toml(path), "ulx3s-85f", baud)
    assert address.startswith(scheme)
    assert printed.out == f"{address}\n"
    assert printed.err.split("\n") == ["connect to this address; interrupt to end it", "", "kanrtl: stopped", ""]


def test_what_is_not_served(spec_file: SpecFile, network: str, capsys: Captured) -> None:
    serve = ["serve", str(spec_file()), "--board"]
    refuses(
        ["serve", network, "--board", "icebreaker"], "serve: a link carries learners only; give the spec of one", capsys
    )
    refuses(
        [*serve, "orangecrab-r0.2-25f"],
        "board = 'orangecrab-r0.2-25f': has no serial port; choose another board for a link to a host",
        capsys,
    )
    for port in ("4000", "localhost", "localhost:", ":4000", "localhost:70000", "localhost:-1"):
        wanted = "must be a host and a port, such as localhost:4000"
        refuses([*serve, "icebreaker", "--tcp", port], f"--tcp = {port!r}: {wanted}", capsys)
    assert run([*serve, "icestick2"]) == 2
    assert capsys.readouterr().err.startswith("kanrtl: --board = 'icestick2': unknown; use one of ulx3s-12f, ")


@pytest.mark.usefixtures("compiled")
@pytest.mark.thorough
def test_a_device_in_the_place_of_a_backend(
    tmp_path: Path, network: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    """A device that has learned already goes on where it is, and so does the model beside it."""
    monkeypatch.setenv("CXXFLAGS", "-O1 -fno-sanitize=all")
    path = tmp_path / "tracker.toml"
    path.write_text("layer_sizes = [1, 1]\ngrid_range = [-2, 2]\ngrid_size = 5\nlearning_rate = 0.3\ntable_size = 16\n")
    assert LearnerSpec.from_toml(path) == tracker()
    with serve_board(tracker(), "tcp") as address:
        simulate = ["simulate", str(path), "--backend", address, "--samples", "60", "--json"]
        errors = []
        for _ in range(2):
            assert run(simulate) == 0
            result = json.loads(capsys.readouterr().out)
            assert (result["mismatches"], result["backend"], result["cycles"]) == (0, address, None)
            errors.append((result["mse_all"], result["mse_all_float64"]))
        assert errors[0] != errors[1]
        # Both begin with what was learned before.
        assert errors[1][1] != errors[0][1]
        with connect(address) as learner:
            learner.restore()
            learner.learning_rate = 1 / 64
        assert run(simulate) == 0
        slow = json.loads(capsys.readouterr().out)
        assert slow["mismatches"] == 0
        assert slow["mse_all_float64"] == pytest.approx(slow["mse_all"], rel=0.1)
        assert slow["mse_all"] > 1.5 * errors[0][0]
        with connect(address) as learner:
            learner.frozen = True
        assert run(simulate) == 0
        frozen = json.loads(capsys.readouterr().out)
        assert frozen["mismatches"] == 0
        assert frozen["mse_all_float64"] == pytest.approx(frozen["mse_all"], rel=0.1)
    refuses(
        ["simulate", network, "--backend", "tcp://localhost:1"],
        "backend = 'tcp://localhost:1': a link carries learners only; use a simulator for a network",
        capsys,
    )
    assert run(["simulate", str(path), "--backend", "tcp://localhost:1"]) == 2
    refused = "Connection refused; start what listens there, such as kanrtl serve --tcp localhost:1"
    assert capsys.readouterr().err == f"kanrtl: address = 'tcp://localhost:1': {refused}\n"
