"""The example's test bench finds cores equal to the model, behind every bus, and finds what is not."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.compatibility import LEARNERS, NETWORKS
from bench.foreign.simulators import SIMULATORS
from examples.bus_testbench import main, simulate, write_verilog
from kanrtl import LearnerSpec
from kanrtl.learner.guard_settings import GuardSettings
from kanrtl.learner.spec_file import to_toml
from support.foreign_tools import need

ROWS = {row.name: row for row in (*LEARNERS, *NETWORKS)}


@pytest.fixture(autouse=True)
def simulator() -> None:
    need("cocotb", SIMULATORS["cocotb"].find_version())
    need("cocotbext-axi", find_spec("cocotbext.axi"))


def save(name: str, folder: Path) -> Path:
    row = ROWS[name]
    path = folder / (f"{name}.npz" if row in NETWORKS else f"{name}.toml")
    if row in NETWORKS:
        row.network.save(path)
    else:
        path.write_text(to_toml(row.spec))
    return path


@pytest.mark.thorough
def test_learner_equals_the_model(tmp_path: Path) -> None:
    core = save("read-after-prediction", tmp_path)
    write_verilog(core, "axi", tmp_path / "top.v")
    simulate(core, "axi", 150, tmp_path / "top.v")


@pytest.mark.thorough
def test_network_equals_the_model_and_no_other(tmp_path: Path) -> None:
    """Of one whose outputs have another scale, predictions are the same; the digest is not."""
    core = save("read-network", tmp_path)
    write_verilog(core, "wishbone", tmp_path / "top.v")
    simulate(core, "wishbone", 30, tmp_path / "top.v")
    ROWS["read-network"].network.scale_outputs(2.0).save(tmp_path / "scaled.npz")
    with pytest.raises(SystemExit):
        simulate(tmp_path / "scaled.npz", "wishbone", 5, tmp_path / "top.v")


def test_a_guard_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "guarded.toml"
    path.write_text(to_toml(LearnerSpec(layer_sizes=[1, 1], grid_range=(-2, 2), guard=GuardSettings())))
    monkeypatch.setattr("sys.argv", ["bus_testbench.py", str(path)])
    with pytest.raises(SystemExit, match=r"guarded\.toml: the learner has a guard, which this test bench"):
        main()
