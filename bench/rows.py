"""Every row that is measured, by family: rows that are looked at together, most of them a sweep of one parameter."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from kanrtl import LearnerSpec
from kanrtl.boards import BOARDS
from kanrtl.build import Device, build_exercise, build_learner
from kanrtl.experiments.simulate_learner import simulate
from kanrtl.learner.stages import PRESETS
from kanrtl.sim import TASKS

from . import adapt, classify, estimators, folding, lookup, self_check
from .precision import PRECISION
from .row import Family, LearnerRow, Progress, Result, Row, T, build_summary
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

    def measure(self, progress: Progress) -> Result:
        board = BOARDS[self.board]
        report = build_exercise(LearnerSpec(**self.fields), board, progress=progress).to_json()
        return {"device": board.device, "seeds": [1], **build_summary([report])}


@dataclass(frozen=True)
class Track(LearnerRow):
    """The task ``track``, 1500 samples, seed 0."""

    backend: str

    def measure(self, progress: Progress) -> Result:
        progress("simulating")
        simulation = simulate(self.spec, TASKS["track"](1500, 0), self.backend)
        return {"seeds": [0], "tools": {"numpy": version("numpy")}, **simulation.to_json()}


# As T, with the gradient as wide as an error can be, so that it needs no saturation; 17 bits suit an ECP5's multiplier.
T_ECP5 = T | {"gradient_format": "SQ(7, 10)"}
T_SINGLE = T_ECP5 | {"pipeline": "no_registers"}
T8_SINGLE = T_SINGLE | {"grid_size": 8}
TWO_LAYERS = T_ECP5 | {"layer_sizes": [2, 4, 1]}
LOGIC = {"table_memory": "logic"}
STREAMING = {"schedule": "streaming"}
SERIAL = {"multiplier": "serial", "share_multipliers": True}
SMALLEST: dict[str, Any] = T | {
    "grid_size": 8,
    "spline_order": 1,
    "activation_format": "SQ(4, 8)",
    **SERIAL,
}
# Many coefficients: fine grids of straight pieces, their inputs one after the other.
LARGE: dict[str, Any] = {
    "grid_range": [-2, 2],
    "spline_order": 1,
    "activation_format": "SQ(3, 13)",
    "memory": "block",
    "pipeline": "most_registers",
}
# As T, with more fraction bits: in the smallest of these cells there are still 32 inputs to tell apart.
GRID = T_SINGLE | {"activation_format": "SQ(3, 13)", "gradient_format": "SQ(4, 13)"}
GRID_SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)

SLOW, FAST = "LFE5U-85F-6", "LFE5U-85F-8"


def _largest(
    name: str, title: str, device: str, inputs: int, cells: int, *, seeds: tuple[int, ...] = (1,), **fields: Any
) -> Core:
    """A learner of ``inputs * (cells + 1)`` coefficients; one seed, as it takes long to place, and is to fit."""
    sizes = {"layer_sizes": [inputs, 1], "grid_size": cells, "reuse_factor": inputs}
    return Core(name, title, LARGE | sizes | fields, device, seeds)


FAMILIES = (
    Family(
        "task",
        "what is learned",
        (Track("track", "function tracking on the RTL", T, "pysim"),),
    ),
    PRECISION,
    Family(
        "pipeline",
        f"T by pipeline, on {SLOW}",
        tuple(
            Core(
                f"t-{preset.replace('_', '-')}",
                "T, one cycle" if preset == "no_registers" else f"T, {preset}",
                T_ECP5 | {"pipeline": preset},
                SLOW,
            )
            for preset in PRESETS
        ),
    ),
    Family(
        "grid",
        f"layers [1, 1] by grid_size, on {SLOW}",
        tuple(Core(f"grid-{size}", f"{size} cells", GRID | {"grid_size": size}, SLOW) for size in GRID_SIZES),
    ),
    Family(
        "core",
        "other learners alone",
        (
            Core("t-no-registers-8", "T, one cycle", T_SINGLE, FAST),
            Core("t8-no-registers", "T with 8 cells, one cycle", T8_SINGLE, SLOW),
            Core("t-logic", "T, one cycle, tables in logic", T_SINGLE | LOGIC, SLOW),
            Core("t8-logic", "T with 8 cells, one cycle, tables in logic", T8_SINGLE | LOGIC, SLOW),
            Core("t8-logic-8", "T with 8 cells, one cycle, tables in logic", T8_SINGLE | LOGIC, FAST),
            Core("t-up5k", "T, most_registers", T, "iCE40UP5K"),
            Core(
                "two-layers",
                "layers [2, 4, 1], fully parallel",
                TWO_LAYERS | {"pipeline": [[], ["error"]], "table_memory": "block"},
                SLOW,
                placer="static",
                wide_luts=True,
            ),
        ),
    ),
    Family(
        "streaming",
        "one sample a clock",
        (
            Core("t-streaming", "T, streaming", T_ECP5 | STREAMING, SLOW),
            Core("t-streaming-up5k", "T, streaming", T | STREAMING, "iCE40UP5K"),
        ),
    ),
    Family(
        "folded",
        "layers swept by fewer multipliers",
        (
            Core(
                "t-shared",
                "T, shared multipliers",
                T_ECP5 | {"share_multipliers": True, "pipeline": ["step"]},
                SLOW,
            ),
            Core(
                "two-layers-folded",
                "layers [2, 4, 1], reuse_factor 4 and 2, shared",
                TWO_LAYERS | {"reuse_factor": [4, 2], "share_multipliers": True, "pipeline": "most_registers"},
                SLOW,
            ),
            Core("smallest-hx1k", "[1, 1], 8 cells, order 1, 12 bits, serial", SMALLEST, "iCE40HX1K"),
        ),
    ),
    Family(
        "scale",
        "the largest learners",
        (
            _largest("large", "at least 100,000 below a microsecond", SLOW, 25, 4095, seeds=SEEDS),
            _largest("largest-85f", "ULX3S 85F, OrangeCrab 85F, ECPIX-5 85F", SLOW, 50, 4095),
            _largest(
                "largest-25f", "ULX3S 12F and 25F, Colorlight 5A-75B, Icepi Zero, iCESugar-Pro", "LFE5U-25F-6", 13, 4095
            ),
            _largest("largest-up5k", "iCEBreaker, iCESugar, UPduino 3", "iCE40UP5K", 6, 1023),
            _largest("largest-hx8k", "HX8K-B-EVN", "iCE40HX8K", 7, 1023, **SERIAL),
            _largest("largest-hx1k", "iCEstick", "iCE40HX1K", 1, 2047, **SERIAL),
        ),
    ),
    Family("simulation", "how fast learners are simulated", (*SPEEDS, EQUALITY)),
    Family(
        "board",
        "boards that teach themselves",
        (
            OnBoard("board-ulx3s-85f", "T on a ULX3S", T, "ulx3s-85f"),
            OnBoard("board-icebreaker", "T on an iCEBreaker", T, "icebreaker"),
        ),
    ),
    estimators.FAMILY,
    lookup.FAMILY,
    adapt.FAMILY,
    adapt.FROZEN,
    self_check.FAMILY,
    folding.FAMILY,
    classify.FAMILY,
    classify.SEARCHES,
)

ROWS: dict[str, Row] = {row.name: row for family in FAMILIES for row in family.rows}
