"""One more board, task, loss or backend is one more file: each is put into a copy of the package, and used by its
name."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kanrtl.discovery import modules_of
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


def test_one_file_is_enough(package: Path) -> None:
    for name, text in FILES.items():
        (package / "kanrtl" / name).write_text(text)
    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=package,
        env=os.environ | {"PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found.pop("from")).is_relative_to(package)
    assert found.pop("mse") < 0.01
    assert found == {"board": "A board of the laboratory", "task": "parabola", "backend": "echo", "mismatches": 0}


def test_order(tmp_path: Path) -> None:
    for name in ("_base", "zebra", "ant", "cat", "shared"):
        (tmp_path / f"{name}.py").touch()
    found = modules_of([str(tmp_path)], first=["cat", "absent", "ant"], besides=["_base", "shared"])
    assert found == ("cat", "ant", "zebra")
