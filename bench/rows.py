"""Every row that is measured, by family: rows that are looked at together, most of them a sweep of one parameter.

The spec of a row that measures a learner is ``specs/<row>.toml``. T is the function tracking of the reference paper,
and this project's standard of comparison.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from kanrtl import LearnerSpec
from kanrtl.boards import BOARDS
from kanrtl.build import Device, build_exercise, build_learner
from kanrtl.experiments.simulate_learner import simulate
from kanrtl.learner.stages import PRESETS
from kanrtl.sim import TASKS

from . import (
    adapt,
    bitstreams,
    calls,
    checkpoints,
    classify,
    compatibility,
    control,
    estimators,
    folding,
    guards,
    late_updates,
    learning_rates,
    links,
    lookup,
    loops,
    netlists,
    network_area,
    plants,
    power_amplifier,
    self_check,
    shells,
    signals,
    soc,
)
from .precision import PRECISION
from .row import Family, LearnerRow, Progress, Result, Row, build_summary, seed_options
from .simulation import EQUALITY, SPEEDS

__all__ = ["FAMILIES", "ROWS"]

SEEDS = (1, 2, 3, 4, 5)
"""Of nextpnr: placement is luck, so every figure about speed is a median of these."""


@dataclass(frozen=True)
class Core(LearnerRow):
    """A learner alone on a device, a register on every port: so the way of a sample into its register is timed too."""

    device: str
    seeds: tuple[int, ...] = SEEDS
    placer: str | None = None
    wide_luts: bool = False

    @property
    def spec(self) -> LearnerSpec:
        return super().spec.for_device(Device.parse(self.device))

    @property
    def commands(self) -> tuple[str, ...]:
        options = ["--device", self.device, "--register-ports", *seed_options(self.seeds)]
        options += ["--placer", self.placer] if self.placer else []
        options += ["--wide-luts"] if self.wide_luts else []
        return (shlex.join(["kanrtl", "build", self.spec_file, *options]),)

    def measure(self, progress: Progress) -> Result:
        spec = LearnerSpec(**self.fields)
        chosen: dict[str, Any] = {"placer": self.placer, "wide_luts": self.wide_luts}
        reports = [
            build_learner(spec, self.device, seed=seed, register_ports=True, progress=progress, **chosen).to_json()
            for seed in self.seeds
        ]
        about = {"device": self.device, "seeds": list(self.seeds)}
        return about | {name: value for name, value in chosen.items() if value} | build_summary(reports)


@dataclass(frozen=True)
class OnBoard(LearnerRow):
    """A board that teaches itself, at its own clock."""

    board: str

    @property
    def spec(self) -> LearnerSpec:
        return super().spec.for_device(Device.parse(BOARDS[self.board].device))

    @property
    def commands(self) -> tuple[str, ...]:
        return (shlex.join(["kanrtl", "build", self.spec_file, "--board", self.board]),)

    def measure(self, progress: Progress) -> Result:
        board = BOARDS[self.board]
        report = build_exercise(LearnerSpec(**self.fields), board, progress=progress).to_json()
        return {"device": board.device, "seeds": [1], **build_summary([report])}


@dataclass(frozen=True)
class Track(LearnerRow):
    """The task ``track``, 1500 samples, seed 0."""

    backend: str

    @property
    def commands(self) -> tuple[str, ...]:
        options = ["--task", "track", "--samples", "1500", "--seed", "0", "--backend", self.backend]
        return (shlex.join(["kanrtl", "simulate", self.spec_file, *options]),)

    def measure(self, progress: Progress) -> Result:
        progress("simulating")
        simulation = simulate(self.spec, TASKS["track"](1500, 0), self.backend)
        return {"seeds": [0], "tools": {"numpy": version("numpy")}, **simulation.to_json()}


GRID_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)

SLOW, FAST = "LFE5U-85F-6", "LFE5U-85F-8"


MEASURED = (
    Family(
        "task",
        "what is learned",
        (Track("track", "function tracking on the RTL", "pysim"),),
    ),
    PRECISION,
    learning_rates.FAMILY,
    late_updates.FAMILY,
    control.FAMILY,
    plants.FAMILY,
    loops.FAMILY,
    guards.FAMILY,
    links.FAMILY,
    Family(
        "pipeline",
        f"T by pipeline, on {SLOW}",
        tuple(
            Core(
                f"t-{preset.replace('_', '-')}",
                "T, one cycle" if preset == "no_registers" else f"T, {preset}",
                SLOW,
            )
            for preset in PRESETS
        ),
    ),
    Family(
        "grid",
        f"layers [1, 1] by grid_size, on {SLOW}",
        tuple(Core(f"grid-{size}", f"{size} cells", SLOW) for size in GRID_SIZES),
    ),
    Family(
        "core",
        "other learners alone",
        (
            Core("t-stochastic", "T, one cycle, stochastic rounding", SLOW),
            Core("t-linear", "T, one cycle, with a linear path", SLOW),
            Core("t-guarded", "T, one cycle, with a guard", SLOW),
            Core("t-no-registers-8", "T, one cycle", FAST),
            Core("t8-no-registers", "T with 8 cells, one cycle", SLOW),
            Core("t-logic", "T, one cycle, tables in logic", SLOW),
            Core("t8-logic", "T with 8 cells, one cycle, tables in logic", SLOW),
            Core("t8-logic-8", "T with 8 cells, one cycle, tables in logic", FAST),
            Core("t-up5k", "T, most_registers", "iCE40UP5K"),
            Core(
                "two-layers",
                "layers [2, 4, 1], fully parallel",
                SLOW,
                placer="static",
                wide_luts=True,
            ),
        ),
    ),
    Family(
        "streaming",
        "one sample a cycle",
        (
            Core("t-streaming", "T, streaming", SLOW),
            Core("t-streaming-up5k", "T, streaming", "iCE40UP5K"),
            Core(
                "amplifier-streaming",
                "a power amplifier of four taps, streaming",
                SLOW,
                placer="static",
                wide_luts=True,
            ),
        ),
    ),
    Family(
        "folded",
        "layers folded onto fewer multipliers",
        (
            Core("t-shared", "T, shared multipliers", SLOW),
            Core("two-layers-folded", "layers [2, 4, 1], reuse_factor 4 and 2, shared", SLOW),
            Core("smallest-hx1k", "[1, 1], 8 cells, order 1, 12 bits, serial", "iCE40HX1K"),
        ),
    ),
    Family(
        "scale",
        "the largest learners",
        (
            Core("large", "at least 100,000 below a microsecond", SLOW),
            # One seed of the others, as they take long to place, and are to fit.
            Core("largest-85f", "ULX3S 85F, OrangeCrab 85F, ECPIX-5 85F", SLOW, (1,)),
            Core("largest-25f", "ULX3S 12F and 25F, Colorlight 5A-75B, Icepi Zero, iCESugar-Pro", "LFE5U-25F-6", (1,)),
            Core("largest-up5k", "iCEBreaker, iCESugar, UPduino 3", "iCE40UP5K", (1,)),
            Core("largest-hx8k", "HX8K-B-EVN", "iCE40HX8K", (1,)),
            Core("largest-hx1k", "iCEstick", "iCE40HX1K", (1,)),
        ),
    ),
    Family("simulation", "how fast learners are simulated", (*SPEEDS, EQUALITY)),
    Family(
        "board",
        "boards that teach themselves",
        (
            OnBoard("board-ulx3s-85f", "T on a ULX3S", "ulx3s-85f"),
            OnBoard("board-icebreaker", "T on an iCEBreaker", "icebreaker"),
        ),
    ),
    estimators.FAMILY,
    calls.FAMILY,
    lookup.FAMILY,
    checkpoints.FAMILY,
    signals.FAMILY,
    adapt.FAMILY,
    power_amplifier.FAMILY,
    adapt.FROZEN,
    self_check.FAMILY,
    folding.FAMILY,
    classify.FAMILY,
    classify.SEARCHES,
    compatibility.FAMILY,
    shells.FAMILY,
    soc.FAMILY,
    network_area.FAMILY,
)

NETLISTS = netlists.name_families(
    [
        *((row, row.device) for family in MEASURED for row in family.rows if isinstance(row, Core)),
        *((row, BOARDS[row.board].device) for family in MEASURED for row in family.rows if isinstance(row, OnBoard)),
    ],
    [
        row
        for family in MEASURED
        for row in family.rows
        if isinstance(row, (classify.Classifier, folding.Folded, adapt.FrozenCore))
    ],
)
"""What is measured in hardware above, as a netlist beside the model."""

FAMILIES = (*MEASURED, *NETLISTS, bitstreams.FAMILY)

ROWS: dict[str, Row] = {row.name: row for family in FAMILIES for row in family.rows}
