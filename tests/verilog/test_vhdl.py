"""The plain ports of a core are those of a component in VHDL, by GHDL."""

from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Shape
from amaranth.lib.wiring import In

from bench.foreign.exchange import read_ports
from bench.foreign.simulators import SIMULATORS, run_tool
from bench.foreign.vhdl import find_ghdl, instantiate_in_vhdl, join_with_ghdl
from kanrtl.bus.rtl.plain_shell import PlainShell
from kanrtl.errors import ToolError
from kanrtl.verilog.write import write_verilog
from support.foreign_tools import need
from support.small_cores import NETWORKS_BY_OUTPUT, SPECS, create_learner, create_network, random_codes

NETWORK = "raw"


@pytest.fixture(autouse=True)
def tools() -> None:
    need("GHDL", find_ghdl())
    need("Icarus Verilog", SIMULATORS["Icarus -g2005"].find_version())


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a network with plain ports."""
    path = tmp_path_factory.mktemp("plain") / "top.v"
    write_verilog(PlainShell(create_network(NETWORK)), "top", path)
    return path


def join(core: Path, folder: Path) -> Path:
    """The Verilog that GHDL makes of an entity ``in_vhdl`` with the core in it."""
    vhdl = folder / "in_vhdl.vhd"
    vhdl.write_text(instantiate_in_vhdl("top", read_ports(core.read_text()), "in_vhdl"))
    return join_with_ghdl(vhdl, "in_vhdl", "top", core, folder)


@pytest.mark.usefixtures("unelaborated")
def test_all_ports_are_those_of_a_component(tmp_path: Path) -> None:
    shells = [PlainShell(create_learner(name)) for name in SPECS]
    shells += [PlainShell(create_network(name)) for name in NETWORKS_BY_OUTPUT]
    entities = []
    for number, shell in enumerate(shells):
        ports = {"clk": ("input", 1), "rst": ("input", 1)} | {
            name: ("input" if member.flow is In else "output", Shape.cast(member.shape).width)
            for name, member in shell.signature.members.items()
        }
        entities.append(instantiate_in_vhdl(f"core{number}", ports, f"design{number}"))
    (tmp_path / "designs.vhd").write_text("".join(entities))
    for standard in ("93", "08"):
        run_tool(["ghdl", "-a", f"--std={standard}", "-Wno-binding", "designs.vhd"], tmp_path)
    (tmp_path / "wrong.vhd").write_text(instantiate_in_vhdl("core", {"a__b": ("input", 1)}, "design"))
    with pytest.raises(ToolError):
        run_tool(["ghdl", "-a", "--std=93", "wrong.vhd"], tmp_path)


@pytest.mark.usefixtures("unelaborated")
def test_core_in_a_design_in_vhdl_gives_the_models_bits(written: Path, tmp_path: Path) -> None:
    """GHDL makes Verilog of the design, which Icarus simulates with the core in it."""
    joined = join(written, tmp_path)
    core = create_network(NETWORK)
    codes, predictions = random_codes(core.network, 8)
    ports = read_ports(written.read_text())
    width = ports["x_0"][1]
    sent = "".join(
        "    @(negedge clk);"
        + "".join(f" x_{index} = {width}'d{int(code) & ((1 << width) - 1)};" for index, code in enumerate(row))
        + " samples_valid = 1;\n"
        for row in codes
    )
    inputs = "".join(f", .x_{index}(x_{index})" for index in range(codes.shape[1]))
    (tmp_path / "bench.v").write_text(f"""\
module bench;
  reg clk = 0, rst = 0, samples_valid = 0;
  reg [{width - 1}:0] {", ".join(f"x_{index}" for index in range(codes.shape[1]))};
  wire signed [{ports["y_0"][1] - 1}:0] y;
  wire valid;
  in_vhdl outer(.clk(clk), .rst(rst), .samples_valid(samples_valid){inputs}, .predictions_valid(valid), .y_0(y));
  always #5 clk = ~clk;
  always @(posedge clk) if (valid) $display("%0d", y);
  initial begin
{sent}    @(negedge clk); samples_valid = 0;
    repeat ({core.latency + 2}) @(negedge clk);
    $finish(0);
  end
endmodule
""")
    run_tool(["iverilog", "-s", "bench", "-o", "bench.vvp", "bench.v", joined.name, str(written)], tmp_path)
    printed = run_tool(["vvp", "-n", "bench.vvp"], tmp_path)
    assert [int(line) for line in printed.split()] == np.ravel(predictions).tolist()


def test_a_port_that_the_core_has_not_is_seen(written: Path, tmp_path: Path) -> None:
    """The two languages meet where Icarus takes both files."""
    other = tmp_path / "top.v"
    other.write_text(written.read_text().replace("y_0", "z_0"))
    joined = join(written, tmp_path)
    with pytest.raises(ToolError, match=r"y_0|error"):
        run_tool(["iverilog", "-s", "in_vhdl", "-o", "no.vvp", joined.name, str(other)], tmp_path)
