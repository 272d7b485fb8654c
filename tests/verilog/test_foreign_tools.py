"""Other people's tools read what is written, and give the integer model's bits: simulators of four values too."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bench.compatibility import LEARNERS, NETWORKS, Read
from bench.foreign.exchange import Exchange, read_ports
from bench.foreign.simulators import SIMULATORS, find_difference, lint_with_verilator, run_tool
from bench.foreign.synthesis import FLOWS, find_yosys, synthesise
from kanrtl import Learner
from kanrtl.cli.command_line import run
from kanrtl.errors import ToolError
from kanrtl.verilog.names import KEYWORDS
from kanrtl.verilog.write import write_verilog
from support.foreign_tools import need
from support.tiers import only, thorough

ROWS = {row.name: row for row in (*LEARNERS, *NETWORKS)}
SMALLEST, SMALLEST_NETWORK = "read-external", "read-network"
OFTEN = (SMALLEST, SMALLEST_NETWORK, "read-streaming", "read-network-quantiser")

Write = Callable[[str], tuple[Path, Exchange]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Write:
    """A function that writes the file of a row, once, and gives what is sent to it."""
    files: dict[str, tuple[Path, Exchange]] = {}

    def write(name: str) -> tuple[Path, Exchange]:
        if name not in files:
            path = tmp_path_factory.mktemp(name) / "top.v"
            files[name] = path, ROWS[name].write(path)
        return files[name]

    return write


@pytest.mark.parametrize("row", only(lambda row: row.name in OFTEN, ROWS.values()), ids=list(ROWS))
def test_four_valued_simulator_gives_the_models_bits(row: Read, written: Write, tmp_path: Path) -> None:
    """As SystemVerilog, where initial values are there before anything waits for a change."""
    path, exchange = written(row.name)
    simulator = SIMULATORS["Icarus -g2012"]
    need("Icarus Verilog", simulator.find_version())
    assert find_difference(simulator, path, "top", exchange, tmp_path) is None
    text = path.read_text()
    # What depends on an event at time 0, and what tools take differently.
    assert "always @*" not in text
    assert "\\" not in text
    assert "[-1:0]" not in text
    assert "distributed" not in text
    assert re.findall(r"^module (\w+)", text, re.MULTILINE) == ["top"]
    declared = re.findall(r"^  (?:wire|reg)(?: signed)?(?: \[\d+:0\])? (\w+)", text, re.MULTILINE)
    assert len({name.lower() for name in declared}) == len(set(declared))
    assert KEYWORDS.isdisjoint(declared)
    lint_with_verilator(path)


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        thorough("Icarus -g2005", "read-table-in-logic"),
        ("Icarus -g2005", "read-network-folded"),
        thorough("cocotb", "read-after-prediction"),
        ("cocotb", "read-network"),
        thorough("cocotb", "read-streaming"),
        thorough("Verilator", "read-reset"),
        thorough("Verilator", "read-network-wide"),
    ],
)
def test_other_simulators_give_the_models_bits(
    tool: str,
    name: str,
    written: Write,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """cocotb's clock rises at time 0, when no port has a value yet."""
    if tool == "Verilator":  # its runtime, which takes longest to compile, is there once for all tests
        runtime: Path = request.getfixturevalue("runtime")
        monkeypatch.setattr("bench.foreign.simulators._compile_runtime", lambda: runtime)
    path, exchange = written(name)
    need(tool, SIMULATORS[tool].find_version())
    assert find_difference(SIMULATORS[tool], path, "top", exchange, tmp_path) is None


def test_a_difference_is_seen(written: Write, tmp_path: Path) -> None:
    path, exchange = written(SMALLEST_NETWORK)
    simulator = SIMULATORS["Icarus -g2005"]
    need("Icarus Verilog", simulator.find_version())
    wrong = Exchange(exchange.samples, (*exchange.predictions[:-1], exchange.predictions[-1] ^ 1))
    difference = find_difference(simulator, path, "top", wrong, tmp_path)
    assert difference is not None
    assert difference.startswith(f"prediction {len(exchange.samples) - 1} is ")


# Of these `make test` tries the smallest network; the learner goes through that of the other family of kanrtl.
QUICK_FLOWS = ("synth_ice40", "synth -flatten")


# Every flow at every file is what the rows of the bench are for, as it takes long.
@pytest.mark.parametrize(
    ("name", "flow"),
    [
        *((pytest.param if flow in QUICK_FLOWS else thorough)(SMALLEST_NETWORK, flow) for flow in FLOWS),
        (SMALLEST, "synth_ecp5"),
        thorough(SMALLEST, "synth_ice40"),
    ],
)
def test_plain_synthesis_takes_it(name: str, flow: str, written: Write) -> None:
    path, _ = written(name)
    program = find_yosys("yowasp")
    assert program is not None
    synthesise(program, path, "top", flow)


_WITHOUT_VALUES = "synth -flatten -top top; dfflegalize -cell $_DFF_P_ x"
"""Flip-flops that begin with anything: yosys refuses what needs more."""


@pytest.mark.parametrize("name", [thorough("read-reset"), thorough("read-reset-logic"), "read-network-reset"])
def test_an_asic_flow_takes_what_has_no_initial_values(name: str, written: Write) -> None:
    path, _ = written(name)
    text = path.read_text()
    module = text[text.index("\nmodule ") :]
    assert not re.search(r"\binitial\b", module)
    assert not re.search(r"^ *reg\b.*=", module, re.MULTILINE)
    assert "// Nothing has an initial value: let rst be active at a clock edge first." in text
    program = find_yosys("yowasp")
    assert program is not None
    run_tool([program, "-q", "-p", f"read_verilog {path.name}; {_WITHOUT_VALUES}"], path.parent)


@pytest.mark.thorough
def test_an_asic_flow_refuses_initial_values(written: Write) -> None:
    path, _ = written(SMALLEST)
    program = find_yosys("yowasp")
    assert program is not None
    with pytest.raises(ToolError):
        run_tool([program, "-q", "-p", f"read_verilog {path.name}; {_WITHOUT_VALUES}"], path.parent)


def test_without_a_reset_nothing_is_known(written: Write, tmp_path: Path) -> None:
    """So that unknown values are seen where there are any."""
    path, exchange = written("read-reset-logic")
    simulator = SIMULATORS["Icarus -g2012"]
    need("Icarus Verilog", simulator.find_version())
    difference = find_difference(simulator, path, "top", replace(exchange, resets=False), tmp_path)
    assert difference == f"0 of {len(exchange.predictions)} predictions came"


def test_a_memory_that_would_never_hold_anything_is_refused(tmp_path: Path) -> None:
    core = ROWS["read-network-block"].create()  # type: ignore[attr-defined]
    with pytest.raises(ToolError, match=r"^memory 'layer1_0_memory0' has nothing but initial contents; write it with "):
        write_verilog(core, "top", tmp_path / "top.v", contents=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.thorough
def test_native_yosys_takes_it(written: Write) -> None:
    program = find_yosys("native")
    need("native yosys", program)
    assert program is not None
    synthesise(program, written(SMALLEST)[0], "top", "synth_ecp5")


@pytest.mark.thorough
def test_files_stand_in_one_design(tmp_path: Path) -> None:
    """With others of other names, and after a user's file that says other things of nets and time."""
    need("Icarus Verilog", SIMULATORS["Icarus -g2005"].find_version())
    learner = next(row for row in LEARNERS if row.name == SMALLEST)
    names = ("left", "left_top", "take")  # the last is also the name of a signal within
    for name in names:
        write_verilog(Learner(learner.spec), name, tmp_path / f"{name}.v")
    ports = read_ports((tmp_path / "left.v").read_text())
    instances = "\n".join(f"  {name} i_{name} (.clk(clk));" for name in names)
    user = f"`timescale 1ns/1ps\n`default_nettype none\nmodule user(input wire clk);\n{instances}\nendmodule\n"
    text = user + "".join((tmp_path / f"{name}.v").read_text() for name in names)
    (tmp_path / "all.v").write_text(text)
    for generation in ("-g2005", "-g2012"):
        run_tool(["iverilog", generation, "-Wall", "-s", "user", "-o", "all.vvp", "all.v"], tmp_path)
    lint_with_verilator(tmp_path / "all.v", "--top-module", "user", "-Wno-PINMISSING")
    assert read_ports((tmp_path / "take.v").read_text()) == ports
    assert re.search(r"^  wire take_2;$", (tmp_path / "take.v").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("device", "styles"), [("iCE40UP5K", {"block"}), ("LFE5U-25F-6", {"block", "distributed"}), (None, {"block"})]
)
def test_a_target_is_written_for_where_it_is_named(
    device: str | None, styles: set[str], spec_file: Callable[..., Path], tmp_path: Path
) -> None:
    """What is demanded of memories is what the part has; iCE40 cannot keep them in LUTs."""
    path = tmp_path / "learner.v"
    options = [] if device is None else ["--device", device]
    assert run(["verilog", str(spec_file(table_size="4")), "-o", str(path), *options]) == 0
    text = path.read_text()
    assert set(re.findall(r'ram_style = "(\w+)"', text)) == styles
    assert f"// Written for {device or 'any tool and family of FPGAs'}" in text
