"""The SoC of the example is made by LiteX, and a host reaches the learner through its serial port."""

import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.compatibility import LEARNERS
from bench.foreign.simulators import SIMULATORS, run_tool
from bench.stored import ROOT
from kanrtl.bus.register_map import RegisterMap
from kanrtl.learner.spec_file import to_toml
from kanrtl.tools.toolchain import YOSYS
from support.foreign_tools import need

SPEC = LEARNERS[0].spec

BENCH = """\
module bench;
  reg clk = 0, rx = 1;
  wire tx, led;
  soc soc(.clk(clk), .serial_rx(rx), .serial_tx(tx), .user_led(led));
  always #5 clk = ~clk;

  task send(input [7:0] byte);
    integer bit_;
    begin
      rx = 0; repeat (8) @(negedge clk);
      for (bit_ = 0; bit_ < 8; bit_ = bit_ + 1) begin
        rx = byte[bit_]; repeat (8) @(negedge clk);
      end
      rx = 1; repeat (8) @(negedge clk);
    end
  endtask

  // LiteX's UARTBone: 1 writes and 2 reads; then how many words, the address in words, and data, high bytes first.
  task ask(input [7:0] command, input [31:0] address, input [31:0] data);
    begin
      send(command); send(1);
      send(address[31:24]); send(address[23:16]); send(address[15:8]); send(address[7:0]);
      if (command == 1) begin
        send(data[31:24]); send(data[23:16]); send(data[15:8]); send(data[7:0]);
      end else begin
        repeat (450) @(negedge clk);
      end
    end
  endtask

  reg [7:0] received;
  integer index;
  always begin
    @(negedge tx); repeat (12) @(negedge clk);
    for (index = 0; index < 8; index = index + 1) begin
      received[index] = tx; repeat (8) @(negedge clk);
    end
    $write("%02x", received);
  end

  initial begin
    repeat (20) @(negedge clk);
{requests}
    $finish(0);
  end
endmodule
"""


@pytest.fixture(scope="module")
def example() -> Any:
    need("LiteX", find_spec("litex"))
    from examples import litex_soc  # it needs LiteX

    return litex_soc


@pytest.fixture(scope="module")
def made(example: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The folder of a whole SoC, and that of LiteX's script."""
    folder = tmp_path_factory.mktemp("soc")
    (folder / "learner.toml").write_text(to_toml(SPEC))
    return folder, example.build_soc(folder / "learner.toml", folder)


@pytest.mark.thorough
def test_litex_makes_all_that_its_script_needs(made: tuple[Path, Path]) -> None:
    folder, gateware = made
    script = (gateware / "build_soc.sh").read_text()
    assert re.findall(r"^(?:yosys|nextpnr-ecp5|ecppack)\b", script, re.MULTILINE) == [
        "yosys",
        "nextpnr-ecp5",
        "ecppack",
    ]
    assert str(folder / "learner_wb.v") in (gateware / "soc.ys").read_text()
    assert 'FREQUENCY PORT "clk25" 25.0 MHz' in (gateware / "soc.lpf").read_text()
    assert "memory_region,learner,0x30000000,4096,io" in (folder / "csr.csv").read_text()


# LiteX leaves the file of registers open.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_host_reaches_the_learner_through_the_soc(
    example: Any, made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In Icarus, from pin to pin: by the addresses of the file for LiteX's tools."""
    need("Icarus Verilog", SIMULATORS["Icarus -g2005"].find_version())
    # LiteX is not there for everyone.
    from litex.build.generic_platform import Pins, Subsignal
    from litex.build.sim import SimPlatform
    from litex.tools.remote.csr_builder import CSRBuilder

    folder, _ = made
    no_port = SimpleNamespace(read=None, write=None)  # its addresses are all that is wanted
    registers = CSRBuilder(no_port, str(folder / "learner.csv")).regs
    serial = ("serial", 0, Subsignal("tx", Pins(1)), Subsignal("rx", Pins(1)))
    platform = SimPlatform("SIM", [("clk", 0, Pins(1)), serial, ("user_led", 0, Pins(1))])
    soc = example.create_soc(platform, folder / "learner_wb.v", "clk", 1_000_000, baud=125_000)
    monkeypatch.chdir(tmp_path)  # where the contents of memories are written
    platform.get_verilog(soc, name="soc").write("soc.v")

    def address(name: str) -> int:
        return int(getattr(registers, f"learner_{name}").addr)

    requests = [
        (2, address("magic"), 0),
        (2, address("digest_low"), 0),
        (1, address("interrupt_enable"), 1),
        (1, address("learning_rate0"), 3),
        (2, address("learning_rate0"), 0),
        (2, address("interrupt_enable"), 0),
    ]
    told = "\n".join(f"    ask({kind}, 32'd{at // 4}, 32'd{data});" for kind, at, data in requests)
    (tmp_path / "bench.v").write_text(BENCH.replace("{requests}", told))
    shutil.copy(folder / "learner_wb.v", tmp_path)
    # Of LiteX's combinational blocks with assignments that do not block, Icarus makes loops without an end.
    script = "read_verilog soc.v learner_wb.v; hierarchy -top soc; proc; flatten; opt_clean; write_verilog flat.v"
    YOSYS.run(["-p", script], tmp_path, "yosys.log", produces=["flat.v"])
    run_tool(["iverilog", "-g2005", "-s", "bench", "-o", "bench.vvp", "bench.v", "flat.v"], tmp_path)
    words = re.findall(r"[0-9a-f]{8}", run_tool(["vvp", "-n", "bench.vvp"], tmp_path))
    map = RegisterMap.of(SPEC, streams=False)
    assert [int(word, 16) for word in words] == [map.find("magic").reset, map.find("digest_low").reset, 3, 1]


def test_page_shows_the_example() -> None:
    """The class that a reader of the page copies is that of the program."""
    page, program = (ROOT / "docs" / "litex.md").read_text(), (ROOT / "examples" / "litex_soc.py").read_text()
    (shown,) = re.findall(r"^class Tracker.*?^        \)\n", page, re.DOTALL | re.MULTILINE)
    assert shown in program
