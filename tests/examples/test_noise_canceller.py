"""A whole loop: in Amaranth's simulator and, as kanrtl verilog writes it, in Icarus, it gives the integer models' bits,
in the same cycles for every word."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bench.foreign.simulators import SIMULATORS, run_tool
from examples.noise_canceller import CONVERTER, SPEC, NoiseCanceller
from kanrtl.cli.command_line import run
from kanrtl.loop import estimate_loop
from kanrtl.numeric.fixed import Codes
from support.foreign_tools import need
from support.search import examples
from support.strategies import codes_in
from support.streams import bits_of, exchange, words_of

TESTBENCH = """\
`timescale 1ns/1ps
module bench;
  reg clk = 0, rst = 1, ready = 1;
  reg [11:0] references [0:{last}];
  reg [15:0] targets [0:{last}];
  integer i = 0, j = 0, cycle = 0, seed = 1;
  reg reference_valid = 0, measured_valid = 0;
  wire reference_ready, measured_ready, o_valid;
  wire [15:0] o;
  loop loop (
    .clk(clk), .rst(rst),
    .reference__payload(references[i]), .reference__valid(reference_valid), .reference__ready(reference_ready),
    .measured__payload(targets[j]), .measured__valid(measured_valid), .measured__ready(measured_ready),
    .o__payload(o), .o__valid(o_valid), .o__ready(ready));
  initial begin
    $readmemh("references.hex", references);
    $readmemh("targets.hex", targets);
  end
  always #5 clk = !clk;
  always @(posedge clk) begin
    cycle <= cycle + 1;
    rst <= cycle < 2;
    ready <= $random(seed) % 4 != 0;
    if (cycle > 3) begin
      if (!reference_valid || reference_ready) begin
        if (reference_valid) i <= i + 1;
        reference_valid <= (i + reference_valid <= {last}) && $random(seed) % 3 != 0;
      end
      if (!measured_valid || measured_ready) begin
        if (measured_valid) j <= j + 1;
        measured_valid <= (j + measured_valid <= {last}) && $random(seed) % 3 != 0;
      end
      if (o_valid && ready) $display("%h", o);
    end
    if (cycle == 20 * ({last} + 1)) $finish(0);
  end
endmodule
"""


def words(count: int, seed: int) -> tuple[Codes, Codes]:
    random = np.random.default_rng(seed)
    return codes_in(CONVERTER, random, (count, 1)), SPEC.target_format.quantise(random.uniform(-2, 2, (count, 1)))


@examples(4)
@given(gaps=st.sampled_from([0.0, 0.0, 0.4]), seed=st.integers(0, 2**32 - 1))
def test_loop_gives_the_models_bits_in_constant_cycles(gaps: float, seed: int) -> None:
    dut, (reference, measured) = NoiseCanceller(), words(8, seed)
    sent = {"reference": bits_of(reference, CONVERTER), "measured": bits_of(measured, SPEC.target_format)}
    found = exchange(dut, sent, {"o": 8}, gaps=gaps, seed=seed)
    assert words_of(found["o"], SPEC.formats.output, 1) == dut.run_model(reference, measured).tolist()
    if not gaps:
        taken = found["reference"].cycles
        assert [b - a for a, b in zip(taken, found["o"].cycles, strict=True)] == [dut.latency] * 8
        assert np.diff(taken).tolist() == [1] * 7


def test_its_verilog_gives_the_models_bits(tmp_path: Path) -> None:
    need("Icarus Verilog", SIMULATORS["Icarus -g2005"].find_version())
    path = Path(__file__).parents[2] / "examples" / "noise_canceller.py"
    assert run(["verilog", f"{path}:loop", "-o", str(tmp_path / "loop.v")]) == 0
    text = (tmp_path / "loop.v").read_text()
    assert "// latency 4 cycles." in text
    assert "--device" not in text
    reference, measured = words(40, 0)
    for name, rows, format in (("references", reference, CONVERTER), ("targets", measured, SPEC.target_format)):
        (tmp_path / f"{name}.hex").write_text("\n".join(f"{bits:x}" for bits in bits_of(rows, format)))
    (tmp_path / "bench.v").write_text(TESTBENCH.format(last=39))
    run_tool(["iverilog", "-g2005", "-s", "bench", "-o", "bench.vvp", "bench.v", "loop.v"], tmp_path)
    found = [int(line, 16) for line in run_tool(["vvp", "-n", "bench.vvp"], tmp_path).split()]
    assert found == bits_of(NoiseCanceller().run_model(reference, measured), SPEC.formats.output)


def test_estimate_has_the_parts_of_the_loop() -> None:
    dut = NoiseCanceller()
    alone = SPEC.estimate("LFE5U-85F-6")
    whole = estimate_loop(SPEC, [dut], "LFE5U-85F-6")
    assert whole.dsp == alone.dsp + 3
    assert whole.lut > alone.lut + 100
    assert whole.ff > alone.ff + 3 * 12
