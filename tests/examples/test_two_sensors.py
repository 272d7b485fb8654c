"""Two learners of different specs in one design in Verilog, each to the bits of its model."""

import re
from pathlib import Path

import numpy as np
import pytest

from bench.foreign.simulators import SIMULATORS, lint_with_verilator, run_tool
from bench.stored import ROOT
from kanrtl import LearnerSpec
from kanrtl.cli.command_line import run
from kanrtl.sessions.backends.model import ModelLearner
from kanrtl.tools.toolchain import YOSYS
from support.foreign_tools import need

EXAMPLE = ROOT / "examples" / "two_sensors"
CORES = ("hall", "diodes")


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file with the design and both cores, as the head of the example says."""
    folder = tmp_path_factory.mktemp("design")
    for name in CORES:
        core = ["--bus", "plain", "--name", name, "-o", str(folder / f"{name}.v")]
        assert run(["verilog", str(EXAMPLE / f"{name}.toml"), *core]) == 0
    parts = [EXAMPLE / "two_sensors.v", *(folder / f"{name}.v" for name in CORES)]
    (folder / "design.v").write_text("".join(part.read_text() for part in parts))
    return folder / "design.v"


def test_both_give_their_models_bits(design: Path, tmp_path: Path) -> None:
    """In Icarus by either standard, with pauses between samples."""
    need("Icarus Verilog", SIMULATORS["Icarus -g2005"].find_version())
    specs = {name: LearnerSpec.from_toml(EXAMPLE / f"{name}.toml") for name in CORES}
    random, count = np.random.default_rng(3), 60
    position = random.uniform(-1, 1, count)
    learn = random.random(count) < 0.8
    readings = {
        "hall": np.sin(position)[:, np.newaxis],
        "diodes": np.stack([(1 + position) / 2, (1 - position) / 2], axis=1) ** 2,
    }
    predictions, codes, target = {}, {}, {}
    truth = specs["diodes"].target_format.quantise(position[:, np.newaxis])
    for name, spec in specs.items():
        codes[name] = spec.formats.input.quantise(readings[name])
        target[name] = truth << (spec.target_format.f - specs["diodes"].target_format.f)
        predictions[name] = ModelLearner(spec).run(codes[name], target[name], learn)[:, 0]
    rows = zip(codes["hall"][:, 0], codes["diodes"], truth[:, 0], learn, random.integers(0, 3, count), strict=True)
    sent = "\n".join(
        f"    repeat ({pause}) @(negedge clk);\n"
        f"    field = {field}; left = {left}; right = {right};\n"
        f"    truth = {wanted}; learn = {int(taught)}; valid = 1;\n"
        "    while (!ready) @(negedge clk);\n"
        "    @(negedge clk) valid = 0;"
        for field, (left, right), wanted, taught, pause in rows
    )
    (tmp_path / "bench.v").write_text(f"""\
module bench;
  reg clk = 0, rst = 0, valid = 0, learn = 0;
  reg signed [15:0] field = 0;
  reg signed [11:0] left = 0, right = 0, truth = 0;
  wire ready, position_valid;
  wire signed [15:0] position;
  two_sensors design_(.clk(clk), .rst(rst), .field(field), .left(left), .right(right), .truth(truth),
    .valid(valid), .learn(learn), .ready(ready), .position(position), .position_valid(position_valid));
  always #5 clk = ~clk;
  always @(posedge clk) if (position_valid) $display("%0d", position);
  initial begin
    @(negedge clk);
{sent}
    repeat (10) @(negedge clk);
    $finish(0);
  end
endmodule
""")
    expected = (predictions["hall"] >> 1) + predictions["diodes"]
    for generation in ("-g2005", "-g2012"):
        run_tool(["iverilog", generation, "-s", "bench", "-o", "bench.vvp", "bench.v", str(design)], tmp_path)
        printed = run_tool(["vvp", "-n", "bench.vvp"], tmp_path)
        assert [int(line) for line in printed.split()] == expected.tolist()
    # Both have learned: the last positions are near those that were meant.
    assert np.abs(expected[-15:] / 2 ** specs["hall"].formats.output.f - position[-15:]).mean() < 0.15


@pytest.mark.thorough
def test_tools_take_both_together(design: Path) -> None:
    """yosys up to its gates, which take it longest, and are those of each core alone."""
    lint_with_verilator(design, "--top-module", "two_sensors")
    script = f"read_verilog {design.name}; synth_ecp5 -top two_sensors -run begin:map_gates; check -assert; stat"
    YOSYS.run(["-p", script], design.parent, "yosys.log")
    said = (design.parent / "yosys.log").read_text()
    assert re.search(r"^ .*MULT18X18D", said, re.MULTILINE)


def test_page_shows_the_example() -> None:
    assert (EXAMPLE / "two_sensors.v").read_text() in (ROOT / "docs" / "verilog.md").read_text()
