"""One more board, task, loss, backend or family is one more file: each is put into a copy of the package, and used by
its name."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kanrtl.discovery import modules_of
from support.added_family import BOARD, FAMILY, TOOL
from support.added_loss import ABSOLUTE

ROOT = Path(__file__).parents[1]
FILES = {
    "boards/lab.py": """
from dataclasses import replace

from .icestick import BOARDS as ICESTICKS

BOARDS = [replace(ICESTICKS[0], name="lab", description="A board of the laboratory")]
""",
    "sim/parabola.py": """
import numpy as np

from .task import Regime, Task


class Parabola(Task):
    name, n_in, n_out = "parabola", 1, 1

    def __init__(self, samples=200, seed=0):
        super().__init__(samples, seed)
        self.regimes = (Regime(0, samples),)
        self.x = np.random.default_rng(seed).uniform(-2, 2, (samples, 1))
        self.target = self.curve(self.x, 0)

    def curve(self, x, regime):
        return x**2 / 4
""",
    "learner/losses/absolute.py": ABSOLUTE,
    "sessions/backends/echo.py": """
from ..backend import BackendKind
from .model import ModelLearner, ModelNetwork


class EchoLearner(ModelLearner):
    name = "echo"


BACKEND = BackendKind(EchoLearner, ModelNetwork)
""",
}
USE = """
import json
import kanrtl
from kanrtl.boards import get
from kanrtl.experiments.simulate_learner import simulate
from kanrtl.sim import TASKS

spec = kanrtl.LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), loss="absolute", learning_rate=0.05)
found = simulate(spec, TASKS["parabola"](1000), "echo").to_json()
print(json.dumps({"board": get("lab").description, "task": found["task"], "backend": found["backend"],
                  "mse": found["mse"][0], "mismatches": found["mismatches"], "from": kanrtl.__file__}))
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder with a copy of the whole package as it is when installed."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "kanrtl", tmp_path / "kanrtl", ignore=ignore)
    for part in ("boards", "sim"):
        shutil.copytree(ROOT / part, tmp_path / "kanrtl" / part, ignore=ignore)
    return tmp_path


def run_in(package: Path, text: str, **environment: str) -> Any:
    """What a program prints as JSON that runs with the copy of the package."""
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=package,
        env=os.environ | {"PYTHONPATH": str(package)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found.pop("from")).is_relative_to(package)
    return found


def test_one_file_is_enough(package: Path) -> None:
    for name, text in FILES.items():
        (package / "kanrtl" / name).write_text(text)
    found = run_in(package, USE)
    assert found.pop("mse") < 0.01
    assert found == {"board": "A board of the laboratory", "task": "parabola", "backend": "echo", "mismatches": 0}


USE_FAMILY = """
import json
import kanrtl
from kanrtl.boards import get
from kanrtl.build import Device, capacity
from kanrtl.build.design_builds import build_exercise, build_learner, build_network

spec = kanrtl.LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), pipeline="no_registers")
device = Device.parse("LAB9K")
found = spec.estimate(device)
core = build_learner(spec, "LAB9K", wide_luts=True)
board = build_exercise(spec, get("lab-board"))
edge = {"source": [0], "node": [0], "table": [[0, 1, 2, 3, -1, -2, -3, -4]]}
network = build_network(kanrtl.LookupNetwork.of([1, 1], [3, 3], [1, 1], [edge]), "LAB9K")
print(json.dumps({
    "from": kanrtl.__file__,
    "built as": spec.for_device(device) == spec,
    "estimate": [found.lut_margin, found.capacity, found.dsp, found.table()[1][0]],
    "lut": [found.lut, spec.estimate("LFE5U-25F").lut],
    "network": [network.device, network.lut],
    "proposed": capacity.DEVICES,
    "core": [core.lut, core.ff, core.dsp, core.bram, core.fmax_mhz, core.fmax_kind, core.notes, core.tools],
    "board": [board.bitstream.rpartition("/")[2], board.fmax_mhz, board.timing_met, dict(board.table())["LUT4"]],
}))
"""


def test_a_family_is_one_file_and_its_board_another(package: Path) -> None:
    """Its chips, costs and tools: a learner is estimated and built, as a core and for the board; a network is built."""
    (package / "kanrtl" / "fabric" / "families" / "lab.py").write_text(FAMILY)
    (package / "kanrtl" / "boards" / "laboratory.py").write_text(BOARD)
    tools = {name: package / "tools" / name for name in ("yosys", "nextpnr-lab", "labpack")}
    for program in tools.values():
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!{sys.executable}{TOOL}")
        program.chmod(0o755)
    told = package / "told"
    variables = {name.upper().replace("-", "_"): str(program) for name, program in tools.items()}
    found = run_in(package, USE_FAMILY, TOLD=str(told), KANRTL_CACHE_DIR=str(package / "cache"), **variables)

    assert found["built as"]
    assert found["estimate"] == [0.25, {"lut": 9000, "ff": 18000, "dsp": 40, "bram": 20}, 8, "LUT4"]
    own, other = found["lut"]
    assert own == pytest.approx(other, rel=0.5)
    assert own != other
    assert found["proposed"][2:5] == ["iCE40HX8K", "LAB9K", "LFE5U-25F"]
    *measured, notes, versions = found["core"]
    # Two segments of 10 ns, and the multiplier between them.
    assert measured == [70, 2, 1, 0, 40.0, "derated"]
    assert "LABMULT" in notes[-1]
    assert "5 ns, as the data sheet says" in notes[-1]
    assert versions == {"yosys": "1.2", "nextpnr-lab": "1.2"}
    assert found["network"] == ["LAB9K", 70]
    assert found["board"] == ["top.fs", 40.0, True, "70 of 9000 (1%)"]
    placed = ["--lab9k", "--json", "netlist.json", "--seed", "1", "--report", "nextpnr.json", "--timing-allow-fail"]
    called = ["nextpnr-lab", "--log", "nextpnr.log", "-q", *placed]
    assert [json.loads(line) for line in told.read_text().splitlines()] == [
        ["yosys", "synth_lab -top learner", "lab_opt"],
        [*called, "--freq", "120", "--no-pins", "ports clk"],
        ["yosys", "synth_lab -thin -top top", "lab_opt"],
        [*called, "--freq", "12", "--pcf", "top.pcf", "--routed", "routed.lab", "ports clk spare"],
        ["labpack", "--compress", "-o", "top.fs", "routed.lab"],
        ["yosys", "synth_lab -thin -top network", "lab_opt"],
        [*called, "--freq", "120", "--no-pins", "ports clk"],
    ]


def test_order(tmp_path: Path) -> None:
    for name in ("_base", "zebra", "ant", "cat", "shared"):
        (tmp_path / f"{name}.py").touch()
    found = modules_of([str(tmp_path)], first=["cat", "absent", "ant"], besides=["_base", "shared"])
    assert found == ("cat", "ant", "zebra")
