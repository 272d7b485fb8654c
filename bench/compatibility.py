"""Whether other people's tools take the Verilog that kanrtl writes, and simulate it to the bits of the integer model.

Designs are as small as can be, one for every kind of thing that is in a file: what matters is how it is written.
"""

from __future__ import annotations

import tempfile
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from kanrtl import SQ, UQ, Learner, LearnerSpec, LookupNetwork
from kanrtl.errors import ToolError
from kanrtl.lookup.quantiser import FixedQuantiser
from kanrtl.lookup.rtl.lookup_core import LookupCore, create_core
from kanrtl.verilog.learner_header import learner_header
from kanrtl.verilog.network_header import network_header
from kanrtl.verilog.write import write_verilog

from .foreign.exchange import Exchange, exchange_with_learner, exchange_with_network
from .foreign.simulators import SIMULATORS, find_difference, lint_with_verilator
from .foreign.synthesis import FLOWS, find_version, find_yosys, synthesise
from .row import Family, Progress, Result, Row

__all__ = ["FAMILY", "LEARNERS", "NETWORKS", "Read", "ReadLearner", "ReadNetwork", "Verilog"]

COUNT = 40
"""Samples that are sent."""

_SMALL: dict[str, Any] = {
    "layer_sizes": [1, 1],
    "grid_range": (-2, 2),
    "grid_size": 2,
    "spline_order": 1,
    "table_size": 2,
    "activation_format": SQ(2, 3),
    "coefficient_format": SQ(2, 3),
    "basis_format": UQ(1, 3),
    "gradient_format": SQ(2, 3),
    "slope_format": SQ(2, 3),
    "step_format": UQ(0, 4),
    "learning_rate": 0.5,
    "learning_rate_format": UQ(1, 2),
}


@dataclass(frozen=True)
class Verilog(Row):
    """One file, and every tool at it."""

    @abstractmethod
    def write(self, path: Path) -> Any:
        """Write the module ``top`` into a file; give what is sent to it."""

    @abstractmethod
    def simulations(self, path: Path, sent: Any, folder: Path) -> Iterator[tuple[str, str, Callable[[], str | None]]]:
        """For every simulator its name, its version, and what tells a difference from the model in words."""

    @property
    def flows(self) -> dict[str, tuple[str, ...]]:
        """What every yosys does with the file: those that :func:`.find_yosys` knows, and their flows."""
        return {"native": FLOWS, "yowasp": FLOWS}

    def measure(self, progress: Progress) -> Result:
        with tempfile.TemporaryDirectory() as folder:
            return self._measure(Path(folder), progress)

    def _measure(self, folder: Path, progress: Progress) -> Result:
        path = folder / "top.v"
        sent = self.write(path)
        verdicts: dict[str, str] = {}
        tools: dict[str, str] = {}

        def judge(tool: str, check: Callable[[], str | None]) -> None:
            progress(tool)
            try:
                verdicts[tool] = check() or "yes"
            except ToolError as error:
                verdicts[tool] = str(error)

        for name, version, check in self.simulations(path, sent, folder):
            if not version:
                raise ToolError(f"{name} is not installed")
            tools[name] = version
            judge(name, check)
        judge("verilator --lint-only", lambda: lint_with_verilator(path))
        for kind, flows in self.flows.items():
            program = find_yosys(kind)
            if program is None:
                raise ToolError(f"{kind} yosys is not installed")
            tools[f"yosys, {kind}"] = find_version(program)
            for flow in flows:
                judge(f"{flow}, {kind}", lambda one=program, flow=flow: synthesise(one, path, "top", flow))
        count = sent if isinstance(sent, int) else len(sent.samples)
        return {"samples": count, "lines": path.read_text().count("\n"), "verdicts": verdicts, "tools": tools}


@dataclass(frozen=True)
class Read(Verilog):
    """A core as it is, to which every simulator sends samples."""

    @abstractmethod
    def write(self, path: Path) -> Exchange:
        """Write the module ``top`` into a file; give what is sent to it."""

    @property
    def needs(self) -> str:
        return "Icarus Verilog, native yosys, cocotb"

    def simulations(
        self, path: Path, sent: Exchange, folder: Path
    ) -> Iterator[tuple[str, str, Callable[[], str | None]]]:
        """The exchange in every simulator."""
        for number, (name, simulator) in enumerate(SIMULATORS.items()):
            inside = folder / f"simulator{number}"
            inside.mkdir()
            check = partial(find_difference, simulator, path, "top", sent, inside)
            yield name, simulator.find_version() or "", check


@dataclass(frozen=True)
class ReadLearner(Read):
    """A learner, by the fields of its spec that are not those of :data:`_SMALL`."""

    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> LearnerSpec:
        return LearnerSpec(**(_SMALL | self.fields))

    def write(self, path: Path) -> Exchange:
        learner = Learner(self.spec)
        contents = not self.spec.restarts
        write_verilog(learner, "top", path, header=learner_header(learner), contents=contents)
        return exchange_with_learner(learner, COUNT)


@dataclass(frozen=True)
class ReadNetwork(Read):
    """A network of random tables, a third of its edges pruned; ``options`` are those of its core, and ``resets``: it is
    written without initial values."""

    sizes: tuple[int, ...] = (2, 2, 1)
    bits: int = 4
    output: str = "raw"
    quantiser: FixedQuantiser | None = None
    options: dict[str, Any] = field(default_factory=dict)
    resets: bool = False

    @property
    def network(self) -> LookupNetwork:
        random, edges = np.random.default_rng(1), []
        half = 1 << (self.bits - 1)
        for n_in, n_out in pairwise(self.sizes):
            node, source = np.nonzero((random.random((n_out, n_in)) < 0.7) | np.eye(n_out, n_in, dtype=bool))
            tables = random.integers(-half, half, (len(node), 1 << self.bits))
            edges.append({"source": source, "node": node, "table": tables})
        thresholds = [0] * self.sizes[-1] if self.output == "threshold" else None
        return LookupNetwork.of(
            self.sizes,
            [self.bits] * len(self.sizes),
            [0.25] * len(self.sizes),
            edges,
            output=self.output,
            thresholds=thresholds,
            quantiser=self.quantiser,
        )

    def create(self) -> LookupCore:
        return create_core(self.network, **self.options)

    def write(self, path: Path) -> Exchange:
        core = self.create()
        write_verilog(core, "top", path, header=network_header(core), contents=not self.resets)
        return exchange_with_network(core, COUNT, resets=self.resets)


LEARNERS = (
    ReadLearner("read-table-in-logic", "table_memory logic", {"table_memory": "logic"}),
    ReadLearner("read-block-memory", "memory and table_memory block", {"memory": "block", "table_memory": "block"}),
    ReadLearner(
        "read-all-registers", "two layers, all_registers", {"layer_sizes": [1, 1, 1], "pipeline": "all_registers"}
    ),
    ReadLearner(
        "read-no-registers",
        "two layers, no_registers, coefficients uniform",
        {
            "layer_sizes": [1, 1, 1],
            "pipeline": "no_registers",
            "table_memory": "logic",
            "initial_coefficients": "uniform",
        },
    ),
    ReadLearner(
        "read-after-prediction",
        "after_prediction, two outputs",
        {"layer_sizes": [1, 2], "teaching": "after_prediction"},
    ),
    ReadLearner(
        "read-external",
        "after_prediction, loss external, differences",
        {
            "teaching": "after_prediction",
            "loss": "external",
            "edge_sums": "differences",
            "table_memory": "logic",
        },
    ),
    ReadLearner("read-logistic", "loss logistic, spline order 2", {"loss": "logistic", "spline_order": 2}),
    ReadLearner(
        "read-stochastic",
        "stochastic rounding, one cell",
        {
            "update_rounding": "stochastic",
            "grid_size": 1,
            "rounding": "half_even",
        },
    ),
    ReadLearner(
        "read-streaming",
        "streaming, distributed and block memory",
        {
            "layer_sizes": [1, 1, 1],
            "schedule": "streaming",
            "memory": ["distributed", "block"],
        },
    ),
    ReadLearner(
        "read-folded",
        "folded, shared multipliers, two layers",
        {
            "layer_sizes": [2, 1, 1],
            "reuse_factor": [2, 1],
            "share_multipliers": True,
            "memory": "block",
        },
    ),
    ReadLearner(
        "read-serial",
        "folded, serial multipliers",
        {
            "layer_sizes": [2, 1],
            "reuse_factor": 2,
            "multiplier": "serial",
            "memory": "block",
        },
    ),
    ReadLearner(
        "read-lut-multiplier",
        "multipliers in LUTs, spline order 3, five cells",
        {
            "multiplier": "lut",
            "spline_order": 3,
            "grid_size": 5,
            "basis_format": UQ(1, 5),
        },
    ),
    ReadLearner(
        "read-reset",
        "initial reset, tables in block memory, linear paths, after_prediction",
        {
            "layer_sizes": [2, 1, 1],
            "initial": "reset",
            "table_memory": "block",
            "linear": True,
            "teaching": "after_prediction",
            "update_rounding": "stochastic",
        },
    ),
    ReadLearner(
        "read-reset-logic",
        "initial reset, tables in logic, loss logistic, coefficients uniform",
        {
            "initial": "reset",
            "table_memory": "logic",
            "loss": "logistic",
            "initial_coefficients": "uniform",
        },
    ),
    ReadLearner(
        "read-reset-streaming",
        "initial reset, streaming, distributed and block memory",
        {
            "layer_sizes": [1, 1, 1],
            "initial": "reset",
            "schedule": "streaming",
            "memory": ["distributed", "block"],
            "update_rounding": "stochastic",
        },
    ),
    ReadLearner(
        "read-reset-folded",
        "initial reset, folded, shared multipliers, linear paths",
        {
            "layer_sizes": [2, 1, 1],
            "initial": "reset",
            "reuse_factor": [2, 1],
            "share_multipliers": True,
            "memory": "block",
            "linear": True,
            "update_rounding": "stochastic",
        },
    ),
)

NETWORKS = (
    ReadNetwork("read-network", "raw outputs, tables in logic", options={"memory": "logic"}),
    ReadNetwork(
        "read-network-block",
        "tables in memory blocks, argmax",
        sizes=(2, 2, 3),
        output="argmax",
        options={"memory": "block"},
    ),
    ReadNetwork(
        "read-network-whole",
        "one whole table, threshold",
        sizes=(2, 2),
        bits=3,
        output="threshold",
        options={"whole_from": 0},
    ),
    ReadNetwork("read-network-folded", "folded, reuse factor 4", sizes=(4, 2), options={"reuse_factor": 4}),
    ReadNetwork(
        "read-network-quantiser",
        "inputs quantised in hardware",
        sizes=(2, 1),
        quantiser=FixedQuantiser(SQ(3, 5), np.array([5, 7]), np.array([8, -4]), 5, 4),
    ),
    ReadNetwork("read-network-wide", "samples of 96 bits, one cycle", sizes=(24, 1), bits=4, options={"latency": 1}),
    ReadNetwork(
        "read-network-reset",
        "initial reset, tables in logic, argmax",
        sizes=(2, 3),
        output="argmax",
        options={"memory": "logic"},
        resets=True,
    ),
)

FAMILY = Family("compatibility", "what other people's tools make of the Verilog", (*NETWORKS, *LEARNERS))
"""Rows that say of every tool "yes", or why not."""
