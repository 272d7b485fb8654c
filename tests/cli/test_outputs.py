"""What commands write and read: any kind of file, any terminal, and caches that cannot be written."""

import errno
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanrtl import LearnerSpec, LookupNetwork, connect
from kanrtl.baselines import LmsSpec
from kanrtl.cache import writable_cache
from kanrtl.cli import command_line, hardware_commands, learner_commands, verilog_commands
from kanrtl.errors import ToolError
from kanrtl.files import write_whole
from kanrtl.sessions.baseline_session import connect_baseline
from support.command_line import files

VERILOG = b"module learner; endmodule\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec_file: Callable[..., Path]) -> Path:
    """The current folder, with a spec, a network and samples in it."""
    monkeypatch.chdir(tmp_path)
    spec_file("good.toml")
    table = np.arange(4) - 2
    edges = {"source": [0], "node": [0], "table": [table]}
    LookupNetwork.of([1, 1], [2, 2], [1.0, 1.0], [edges]).save("network.npz")
    return tmp_path


@pytest.fixture
def no_yosys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verilog is written without being made."""
    monkeypatch.setattr(
        verilog_commands, "write_verilog", lambda _core, _name, path, *_, **__: write_whole(path, VERILOG)
    )


@pytest.mark.usefixtures("folder", "no_yosys", "unelaborated")
@pytest.mark.parametrize("output", ["-", "link"])
def test_verilog_goes_to_standard_output_alone(output: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("link").symlink_to("/proc/self/fd/1")
    assert command_line.run(["verilog", "good.toml", "-o", output]) == 0
    assert capfd.readouterr() == (VERILOG.decode(), "")
    assert Path("link").is_symlink()
    assert command_line.run(["verilog", "good.toml", "-o", output, "--json"]) == 2
    out, line = capfd.readouterr()
    assert (out, line.startswith("kanrtl: --json: standard output has the Verilog")) == ("", True)


@pytest.mark.usefixtures("no_yosys", "unelaborated")
def test_links_and_pipes_stay_what_they_are(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "real.v").write_text("old")
    Path("link.v").symlink_to("real.v")
    assert command_line.run(["verilog", "good.toml", "-o", "link.v"]) == 0
    assert capsys.readouterr().out == "wrote link.v\n"
    assert Path("link.v").is_symlink()
    assert (folder / "real.v").read_bytes() == VERILOG


REFUSED: list[tuple[list[str], str]] = [
    (["convert", "network.npz", "-o", "-"], "--output = '-': only text can go to standard output; name a file"),
    (["simulate", "good.toml", "--plot", "-"], "--plot = '-': only text can go to standard output; name a file"),
    (["simulate", "good.toml", "--trace", "-"], "--trace = '-': only text can go to standard output; name a file"),
    (
        ["build", "good.toml", "--board", "icestick", "-o", "-"],
        "--output = '-': only text can go to standard output; name a file",
    ),
    (["verilog", "good.toml", "-o", ""], "--output = '': is empty; name a file"),
    (["verilog", "good.toml", "-o", "new/"], "--output = 'new/': is the name of a folder; name a file in it"),
    (["verilog", "good.toml", "-o", "circle.v"], f"--output = 'circle.v': {os.strerror(40)}; name another"),
    (["verilog", "good.toml", "-o", "good.toml/a.v"], "--output = 'good.toml/a.v': Not a directory; name another"),
    (["verilog", "good.toml"], "--output = 'learner.v': is a folder; name a file in it"),
    (["simulate", "good.toml", "--trace", "circle.vcd"], f"--trace = 'circle.vcd': {os.strerror(40)}; name another"),
    (
        ["simulate", "good.toml", "--trace", "view.vcd"],
        "trace = 'view.vcd': its view 'view.gtkw' is a folder; name a file in it",
    ),
    (
        ["sweep", "good.toml", "--over", "grid_size=5", "--plot", "learner.v"],
        "--plot = 'learner.v': is a folder; name a file in it",
    ),
    (
        ["demo", "--output", "good.toml"],
        "Invalid value for '--output': Directory 'good.toml' is a file. (see kanrtl demo --help)",
    ),
    (["demo", "--output", "taken"], "--output = 'taken/learner.v': is a folder; name a file in it"),
    (
        ["build", "good.toml", "--device", "LFE5U-25F", "--seeds", "1-99999999999"],
        "--seeds = '1-99999999999': must be up to 1000 seeds, the last below 2147483648",
    ),
    (
        ["build", "good.toml", "--device", "LFE5U-25F", "--frequency", "1e300"],
        "--frequency = 1e+300: must be from 0.001 to 10000 MHz",
    ),
    (
        ["convert", "network.npz", "--stage", "argmax", "--thresholds", "1"],
        "--thresholds: the stage argmax has none; leave them out, or give --stage threshold",
    ),
    # What is read is not lost.
    (["build", "good.toml", "-o", "good.toml"], "--output = 'good.toml': is the file that SPEC reads; name another"),
    (
        ["verilog", "./good.toml", "-o", "good.toml"],
        "--output = 'good.toml': is the file that SPEC reads; name another",
    ),
    (["convert", "pykan.npz", "-o", "pykan.npz"], "--output = 'pykan.npz': is the file that MODEL reads; name another"),
    (
        ["simulate", "classes.npz", "--data", "few.npz", "--trace", "few.npz"],
        "--trace = 'few.npz': is the file that --data reads; name another",
    ),
    (
        ["simulate", "good.toml", "--plot", "new.svg", "--trace", "new.svg"],
        "--trace = 'new.svg': is the file that --plot writes too; name another",
    ),
    (
        ["simulate", "learned.npz"],
        "SPEC = 'learned.npz': a saved learner; give its spec, a TOML file, or the network that its freeze makes, "
        "saved",
    ),
    (
        ["simulate", "filter.npz"],
        "SPEC = 'filter.npz': a saved filter or perceptron; use it in Python, as load of a connect_baseline",
    ),
    (["simulate", "torch.pt"], "SPEC = 'torch.pt': a checkpoint; make a network of it with kanrtl convert"),
    (["verilog", "pykan.npz"], "SPEC = 'pykan.npz': a checkpoint; make a network of it with kanrtl convert"),
    (
        ["spec", "torch.pt"],
        "SPEC = 'torch.pt': a file of arrays; this command takes the spec of a learner, a TOML file",
    ),
    *(
        (["simulate", "classes.npz", "--data", f"{name}.npz"], f"y{line}" if line[0] == "[" else f"y: {line}")
        for name, line in {
            "from_one": "holds 2, but the classes of stage argmax are 0 to 1; number them so",
            "signs": "holds -1, but the classes of stage argmax are 0 to 1; number them so",
            "words": "not an array of numbers; give what is to be predicted, for classes those from 0 on",
            "few": "2 rows; X has 3; give one for each",
            "bits": "shape (3, 2); the predictions of stage argmax have (3,); give one for each, or end the network in "
            "another stage, with --stage of kanrtl convert",
            "lost": "[1] = nan: give a number",
        }.items()
    ),
    (
        ["simulate", "network.npz", "--data", "objects.npz"],
        "data = 'objects.npz': X holds Python objects, which are never loaded; save numbers alone",
    ),
]


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize(("arguments", "line"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
def test_refuses_in_one_line(
    arguments: list[str],
    line: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for ending in ("v", "vcd"):
        Path(f"circle.{ending}").symlink_to(f"circle.{ending}")
    for name in ("learner.v", "view.gtkw", "taken/learner.v"):
        Path(name).mkdir(parents=True)
    with connect(LearnerSpec.from_toml("good.toml")) as learner:
        learner.save("learned.npz")
    with connect_baseline(LmsSpec(n_in=1)) as learner:
        learner.save("filter.npz")
    with zipfile.ZipFile("torch.pt", "w") as members:
        members.writestr("model/data.pkl", b"\x80\x02.")
    np.savez("pykan.npz", **{"act_fun.0.coef": np.zeros(3)})
    labels: dict[str, Any] = {"from_one": [1, 2, 1], "signs": [-1, 1, 1], "words": ["a", "b", "b"], "few": [0, 1]}
    labels |= {"bits": [[0, 1]] * 3, "lost": [0, np.nan, 1]}
    for name, y in labels.items():
        np.savez(f"{name}.npz", X=np.zeros((3, 1)), y=np.array(y))
    edges = {"source": [0, 0], "node": [0, 1], "table": [np.arange(4) - 2] * 2}
    LookupNetwork.of([1, 2], [2, 2], [1.0, 1.0], [edges], output="argmax").save("classes.npz")
    np.savez("objects.npz", X=np.array([1, "a", None], dtype=object))
    for module, name in ((learner_commands, "simulate_task"), (verilog_commands, "write_verilog")):
        monkeypatch.delattr(module, name)  # refused before any work
    before = files(folder)
    assert command_line.run(arguments) == 2
    assert capsys.readouterr() == ("", f"kanrtl: {line}\n")
    assert files(folder) == before


@pytest.mark.usefixtures("folder")
def test_files_are_known_by_what_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    Path("network.npz").rename("network.toml")
    Path("good.toml").rename("good.npz")
    assert command_line.run(["simulate", "network.toml", "--backend", "model", "--samples", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layer_sizes"] == [1, 1]
    assert command_line.run(["spec", "good.npz", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["grid_size"] == 5


@pytest.mark.usefixtures("folder")
def test_a_cache_that_cannot_be_written_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def work(*_: Any, **__: Any) -> None:
        writable_cache("simulations")
        writable_cache("simulations")
        raise ToolError("done")

    monkeypatch.setattr("kanrtl.cache._stead", {})
    monkeypatch.setenv("KANRTL_CACHE_DIR", "good.toml/cache")
    monkeypatch.setattr(hardware_commands, "simulate_task", work)
    assert command_line.run(["simulate", "good.toml"]) == 1
    said, done = capsys.readouterr().err.splitlines()
    assert said.endswith(
        "/cache': Not a directory; going on without it, which takes longer. "
        "Set KANRTL_CACHE_DIR to a folder that can be written"
    )
    assert (said.startswith("kanrtl: warning: cache '"), done) == (True, "kanrtl: done")


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(28, "No space left on device", "{cache}/x"),
            "'{cache}/x': No space left on device; make room there, or set KANRTL_CACHE_DIR to a folder elsewhere",
        ),
        (
            PermissionError(13, "Permission denied", "{cache}/x"),
            "'{cache}/x': Permission denied; set KANRTL_CACHE_DIR to a folder that can be written",
        ),
        (OSError(30, "Read-only file system", "/elsewhere"), "'/elsewhere': Read-only file system"),
        (OSError(28, "No space left on device"), "standard output: No space left on device; make room where it goes"),
        (
            FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"),
            "No usable temporary directory found in ['/tmp']; set TMPDIR to a folder that can be written",
        ),
        (MemoryError(), "not enough memory; take a smaller network, or fewer samples"),
    ],
    ids=["full cache", "closed cache", "elsewhere", "full output", "no temporary folder", "memory"],
)
def test_errors_of_folders_that_nobody_named(
    error: Exception, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        if isinstance(error, OSError) and error.filename:
            error.filename = error.filename.format(cache=tmp_path / "cache")
        raise error

    monkeypatch.setenv("KANRTL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(hardware_commands, "simulate_task", fail)
    assert command_line.run(["simulate", "good.toml"]) == 1
    assert capsys.readouterr() == ("", f"kanrtl: {line.format(cache=tmp_path / 'cache')}\n")


@pytest.mark.usefixtures("folder")
def test_messages_are_one_line_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    name = f"a [long] name {'of many words ' * 5}é.svg"
    assert command_line.run(["simulate", "good.toml", "--backend", "model", "--samples", "3", "--plot", name]) == 0
    assert capsys.readouterr().err == f"drew {name}\n"
    assert "<svg" in Path(name).read_text()


def start(*arguments: str, **settings: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from kanrtl.cli import main; main()", *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **settings)


@pytest.mark.usefixtures("folder")
def test_a_closed_pipe_ends_it_quietly() -> None:
    read, write = os.pipe()
    os.close(read)
    process = start("spec", "good.toml", stdout=write)
    os.close(write)
    assert (process.communicate()[1], process.returncode) == ("", 141)


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no device that is always full")
@pytest.mark.usefixtures("folder")
def test_standard_output_that_is_full_is_named() -> None:
    with open("/dev/full", "w") as full:
        process = start("spec", "good.toml", stdout=full)
    line = "kanrtl: standard output: No space left on device; make room where it goes\n"
    assert (process.communicate()[1], process.returncode) == (line, 1)


@pytest.mark.usefixtures("folder")
def test_standard_output_that_is_closed_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert command_line.run(["spec", "good.toml"]) == 1
    line = "kanrtl: standard output: is closed; let it go somewhere, such as to /dev/null\n"
    assert capsys.readouterr().err == line
    assert command_line.run(["spec", "none.toml"]) == 2


@pytest.mark.usefixtures("folder")
def test_names_that_cannot_be_printed_are_one_line_too() -> None:
    process = start("spec", "é none.toml", stdout=subprocess.PIPE, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    out, line = process.communicate()
    assert (out, process.returncode, line.count("\n")) == ("", 2, 1)
    assert line.endswith(" none.toml': No such file or directory; name a TOML file\n")


LONG = 300 * "x"
"""No file has a name as long: like one in a folder that may not be entered, it cannot even be told to be missing."""


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["spec", f"{LONG}.toml"], "spec file '{name}.toml': {why}; name a TOML file"),
        (["estimate", f"{LONG}.npz"], "load: '{name}.npz': {why}; give a file that LookupNetwork.save wrote"),
        (["convert", f"{LONG}.pt"], "'{name}.pt': {why}; give the file of a trained network"),
        (["convert", LONG], "'{name}': {why}; give the file of a trained network"),
        (["simulate", "good.toml", "--data", f"{LONG}.csv"], "data = '{name}.csv': {why}; give CSV, .npz or Parquet"),
        (
            ["program", f"{LONG}.bin", "--board", "icestick"],
            "BITSTREAM = '{name}.bin': {why}; name a file that can be read",
        ),
        (
            ["verify", "good.toml", "--board", "icestick", "--bitstream", f"{LONG}.bin"],
            "--bitstream = '{name}.bin': is no file that can be read; give one that kanrtl build --host uart has made",
        ),
        (["verilog", f"{LONG}.py:a"], "SPEC = '{name}.py:a': running it: OSError: [Errno {number}] {why}: '{name}.py'"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_inputs_that_cannot_be_looked_at_are_told_by_what_reads_them(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line.run(arguments) == 2
    number = errno.ENAMETOOLONG
    line = line.format(name=LONG, why=os.strerror(number), number=number)
    assert capsys.readouterr() == ("", f"kanrtl: {line}\n")
