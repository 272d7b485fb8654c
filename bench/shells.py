"""Whether other people's tools take the Verilog of cores behind buses, and find in a simulator what the model gives.

cocotb sends samples with stalls at random and goes through the register map, as ``examples/bus_testbench.py`` does it.
Plain ports, which are for VHDL too, stand in an entity that GHDL takes.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kanrtl.learner.spec_file import to_toml

from .compatibility import LEARNERS, NETWORKS, ReadLearner, ReadNetwork, Verilog
from .foreign.exchange import read_ports
from .foreign.simulators import SIMULATORS, run_tool
from .foreign.synthesis import FLOWS
from .foreign.vhdl import find_ghdl, instantiate_in_vhdl, join_with_ghdl
from .row import Family

__all__ = ["FAMILY"]

SAMPLES = 1_000

MANY_SAMPLES = 10_000
"""Of the cores that are named in :data:`MANY`; a master in Python takes minutes for them."""

CORES = {
    row.name.removeprefix("read-"): row
    for row in (*LEARNERS, *NETWORKS)
    if row.name.removeprefix("read-")
    in {
        "after-prediction",
        "no-registers",
        "external",
        "logistic",
        "block-memory",
        "stochastic",
        "network",
        "network-folded",
    }
}
"""Six learners and two networks."""

MANY = {"after-prediction", "network"}

BUSES = {"axi": "AXI", "wishbone": "Wishbone", "plain": "plain ports", "axi-lite": "AXI4-Lite alone"}


@dataclass(frozen=True)
class ReadShell(Verilog):
    """A core behind a bus, and every tool at it."""

    core: ReadLearner | ReadNetwork = LEARNERS[0]
    bus: str = "axi"
    samples: int = SAMPLES

    @property
    def needs(self) -> str:
        return "Icarus Verilog, native yosys, " + ("GHDL" if self.bus == "plain" else "cocotb, cocotbext-axi")

    @property
    def flows(self) -> dict[str, tuple[str, ...]]:
        """YoWASP's yosys takes most of the time, and what it does for other vendors the rows of the cores tell."""
        return {"native": FLOWS, "yowasp": ("synth_ecp5", "synth_ice40")}

    def write(self, path: Path) -> int:
        """Write the module ``top``, and the core beside it; give the number of samples."""
        core = self._core(path)
        if isinstance(self.core, ReadNetwork):
            self.core.network.save(core)
        else:
            core.write_text(to_toml(self.core.spec))
        options = self.core.options if isinstance(self.core, ReadNetwork) else {}
        given = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        command = [sys.executable, "-m", "kanrtl", "verilog", str(core), "--bus", self.bus, "--name", "top", *given]
        run_tool([*command, "-o", str(path)], path.parent)
        return 0 if self.bus == "plain" else self.samples

    def _core(self, path: Path) -> Path:
        return path.with_name("core.npz" if isinstance(self.core, ReadNetwork) else "core.toml")

    def simulations(self, path: Path, sent: int, folder: Path) -> Iterator[tuple[str, str, Callable[[], str | None]]]:
        """Whether Icarus takes the file by either standard, and the test bench in cocotb, or GHDL."""
        for generation in ("-g2005", "-g2012"):
            name = f"Icarus {generation}"
            command = ["iverilog", generation, "-Wall", "-s", "top", "-o", str(folder / "top.vvp"), str(path)]
            yield name, SIMULATORS[name].find_version() or "", partial(_take, command, folder)
        if sent:
            yield "cocotb", SIMULATORS["cocotb"].find_version() or "", lambda: self._test(path, sent)
        else:
            yield "GHDL", find_ghdl() or "", lambda: _stand_in_vhdl(path, folder)

    def _test(self, path: Path, samples: int) -> str | None:
        example = Path(__file__).parents[1] / "examples" / "bus_testbench.py"
        program = (
            f"import sys; sys.path.insert(0, {str(example.parent)!r})\nfrom pathlib import Path\n"
            "from bus_testbench import simulate\n"
            f"simulate(Path({str(self._core(path))!r}), {self.bus!r}, {samples}, Path({str(path)!r}))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        said = [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line or "differs" in line]
        return None if done.returncode == 0 else (said or ["the simulator failed"])[0]


def _take(command: list[str], folder: Path) -> str | None:
    """Run a tool, which takes the file or raises."""
    run_tool(command, folder)
    return None


def _stand_in_vhdl(path: Path, folder: Path) -> str | None:
    """Make the file a part of a design in VHDL, which works or raises."""
    vhdl = folder / "in_vhdl.vhd"
    vhdl.write_text(instantiate_in_vhdl("top", read_ports(path.read_text()), "in_vhdl"))
    join_with_ghdl(vhdl, "in_vhdl", "top", path, folder)
    return None


def _count(bus: str, name: str) -> int:
    return MANY_SAMPLES if name in MANY and bus != "axi-lite" else SAMPLES


FAMILY = Family(
    "shells",
    "what other people's tools make of cores behind buses",
    tuple(
        ReadShell(f"shell-{bus}-{name}", f"{title}: {row.title}", row, bus, _count(bus, name))
        for bus, title in BUSES.items()
        for name, row in CORES.items()
        if bus != "axi-lite" or name in MANY
    ),
)
"""Rows that say of every tool "yes", or why not. AXI4-Lite alone is the slave of the first rows with the registers of
those on Wishbone, so two cores are enough of it."""
