"""Verilog behind buses, and maps of registers, from the command line."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.compatibility import NETWORKS
from bench.foreign.exchange import read_ports
from bench.foreign.simulators import lint_with_verilator
from kanrtl import LearnerSpec
from kanrtl.bus.shells import SHELLS
from kanrtl.bus.writers import WRITERS
from kanrtl.cli.command_line import run
from support.small_cores import NETWORKS_BY_OUTPUT

SpecFile = Callable[..., Path]
SMALL = {"table_size": "4", "activation_format": '"SQ(3, 6)"', "grid_size": "2", "spline_order": "1"}


def ports_of(path: Path) -> dict[str, tuple[str, int]]:
    return read_ports(path.read_text())


@pytest.mark.parametrize("bus", SHELLS)
def test_learner_behind_a_bus(bus: str, spec_file: SpecFile, tmp_path: Path) -> None:
    """The comment names every port of the streams, and every register."""
    path = tmp_path / "out.v"
    assert run(["verilog", str(spec_file(**SMALL)), "--bus", bus, "-o", str(path), "--name", "tracker"]) == 0
    lint_with_verilator(path)
    ports, text = ports_of(path), path.read_text()
    assert ("clk" in ports) == (bus in ("wishbone", "plain"))
    assert ("aresetn" in ports) == (bus in ("axi", "axi-lite"))
    expected = {
        "axi": {"s_axis_samples_tdata", "s_axis_samples_tlast", "m_axis_predictions_tready", "s_axil_awaddr"},
        "axi-lite": {"s_axil_wstrb", "s_axil_rresp", "irq"},
        "wishbone": {"wb_cyc", "wb_adr", "wb_err", "wb_stall", "irq"},
        "plain": {"x_0", "target_0", "y_0", "learn", "samples_ready", "gradient_0", "access_address"},
    }
    assert expected[bus] <= ports.keys()
    assert {"freeze", "updated"} <= ports.keys()
    if bus == "plain":
        for name in ports.keys() - {"clk", "rst"}:
            assert re.search(rf"^//   {name} ", text, re.MULTILINE), name
    else:
        assert re.search(r"^//   0x0000  r  magic ", text, re.MULTILINE)
        assert re.search(r"^//   0x0800  rw coefficients0\[1\]\[1\]\[3\] ", text, re.MULTILINE)
    if bus == "axi":
        assert ports["s_axis_samples_tdata"] == ("input", 40)
        assert re.search(r"^//   s_axis_samples_tdata\[39:32\] +learn ", text, re.MULTILINE)


def test_network_behind_a_bus(tmp_path: Path) -> None:
    NETWORKS[1].network.save(tmp_path / "network.npz")
    assert run(["verilog", str(tmp_path / "network.npz"), "-o", str(tmp_path / "out.v"), "--bus", "axi"]) == 0
    text = (tmp_path / "out.v").read_text()
    assert "freeze" not in ports_of(tmp_path / "out.v")
    assert "// The class is the index of the highest output" in text
    assert "0x0800" not in text


@pytest.mark.parametrize(
    ("options", "clock", "reset", "low"),
    [
        (["--clock", "clk_i", "--reset", "rst_ni"], "clk_i", "rst_ni", True),
        (["--bus", "plain", "--reset-level", "low"], "clk", "rst", True),
    ],
)
def test_clock_and_reset_have_names(
    options: list[str], clock: str, reset: str, low: bool, spec_file: SpecFile, tmp_path: Path
) -> None:
    path = tmp_path / "out.v"
    assert run(["verilog", str(spec_file(**SMALL)), "-o", str(path), *options]) == 0
    ports, text = ports_of(path), path.read_text()
    assert ports[clock] == ports[reset] == ("input", 1)
    assert not {"clk", "rst"} - {clock, reset} & ports.keys()
    assert f"// {reset} is synchronous and active {'low' if low else 'high'};" in text
    assert f"at a rising edge of {clock}" in text


@pytest.mark.usefixtures("unelaborated")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--clock", "wire"],
            "--clock = 'wire': is a keyword of Verilog or SystemVerilog; add to it, as in 'wire_core'",
        ),
        (["--clock", ""], "--clock = '': must be a Verilog identifier of letters, digits and underscores"),
        (["--reset", ""], "--reset = '': must be a Verilog identifier of letters, digits and underscores"),
        (["--reset", "clk"], "--reset = 'clk': is the name of the clock; give it another one"),
        (["--clock", "freeze"], "--clock = 'freeze': is the name of another port; add to it, as in 'freeze_i'"),
        (["--clock", "core", "--name", "core"], "--name = 'core': is the name of a port; add to it, as in 'core_core'"),
        (["--bus", "plain", "--name", "signal"], "--name = 'signal': is a reserved word of VHDL; add to it, as in "),
        (
            ["--bus", "plain", "--clock", "clk__i"],
            "--clock = 'clk__i': VHDL wants a letter first, and single underscores within; change it",
        ),
    ],
)
def test_names_that_cannot_be_are_refused(
    options: list[str], message: str, spec_file: SpecFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.v"
    assert run(["verilog", str(spec_file(**SMALL)), "-o", str(path), *options]) == 2
    assert f"kanrtl: {message}" in capsys.readouterr().err
    assert not path.exists()


@pytest.mark.usefixtures("unelaborated")
def test_wide_coefficients_have_no_bus(spec_file: SpecFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = str(spec_file(**SMALL, coefficient_format='"SQ(3, 30)"'))
    for command in (["verilog", spec, "--bus", "axi", "-o", str(tmp_path / "out.v")], ["registers", spec]):
        assert run(command) == 2
        error = capsys.readouterr().err
        assert "coefficient_format = 'SQ(3, 30)': has 33 bits; a bus has words of 32: take fewer" in error
    assert not (tmp_path / "out.v").exists()


@pytest.mark.parametrize("format", WRITERS)
def test_registers_are_written(
    format: str, spec_file: SpecFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Into a file, or to standard output, which is the same."""
    command = ["registers", str(spec_file(**SMALL)), "--bus", "wishbone", "--format", format, "--name", "tracker"]
    command += ["--base", "0x30000000"]
    assert run(command) == 0
    text = capsys.readouterr().out
    assert "learning_rate0" in text.lower()
    assert run([*command, "-o", str(tmp_path / "map")]) == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'map'}\n"
    assert (tmp_path / "map").read_text() == text


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("4k", "must be a number, such as 0x30000000"),
        ("-4096", "must be a multiple of 4 below 0x100000000"),
        ("0x30000002", "must be a multiple of 4 below 0x100000000"),
        ("0x30000004", "must be a multiple of the 0x1000 bytes that the map has"),
    ],
)
def test_base_has_to_be_one(base: str, message: str, spec_file: SpecFile, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["registers", str(spec_file(**SMALL)), "--base", base]) == 2
    assert message in capsys.readouterr().err


def test_a_network_without_initial_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its tables lie in logic, however wide their addresses are."""
    network = tmp_path / "network.npz"
    NETWORKS_BY_OUTPUT["argmax"].network.save(network)
    path = tmp_path / "out.v"
    command = ["verilog", str(network), "-o", str(path), "--initial", "reset"]
    for *others, said in (
        ["--memory", "block", "'block'"],
        ["--memory", "auto,block", "['auto', 'block']"],
        ["--whole-from", "0", "0"],
        ["--reuse-factor", "2", "2"],
    ):
        assert run([*command, *others]) == 2
        message = "tables in block memory need initial contents; with --initial reset leave it out"
        assert capsys.readouterr().err == f"kanrtl: {others[0]} = {said}: {message}\n"
        assert not path.exists()
    assert run([*command, "--memory", "auto", "--reuse-factor", "1,1"]) == 0
    text = path.read_text()
    assert "initial" not in text[text.index("\nmodule ") :]
    assert "// Nothing has an initial value: let rst be active at a clock edge first.\n" in text


def test_a_learner_says_in_its_spec_what_it_begins_with(
    spec_file: SpecFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "out.v"
    command = ["verilog", str(spec_file(**SMALL)), "-o", str(path)]
    assert run([*command, "--initial", "reset"]) == 2
    message = "--initial = 'reset': only for a network; a learner has it in its spec, as initial"
    assert message in capsys.readouterr().err
    assert not path.exists()
    spec = spec_file(**SMALL, initial='"reset"')
    assert run(["verilog", str(spec), "-o", str(path), "--bus", "axi-lite"]) == 0
    text = path.read_text()
    assert "initial" not in text[text.index("\nmodule ") :]
    cycles = LearnerSpec.from_toml(spec).restart_cycles
    reset = "// aresetn is synchronous and active low; after it everything is at its start, and a sample taken"
    assert f"{reset} {cycles} cycles later.\n" in text
    assert run(["spec", str(spec)]) == 0
    assert f"#   reset to the first sample  {cycles}\n" in capsys.readouterr().out
