"""Plants under control of a learner and of what one would use instead, and how large and fast each is.

Settings are chosen on the first part of a run with another seed, by the error in its second half, and with a chip whose
cycle is :data:`NOMINAL`; errors are those of the rest of the runs, with the cycle that was measured of the method's
core.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from kanrtl.sim.plant import ChipTiming, LoopRun

from .method_cores import core_name, core_result, find_cores
from .plant_methods import METHODS, Candidate, estimate, find_candidates
from .plant_setups import SETUPS, Setup
from .row import Family, Progress, Result, Row
from .trackers import TRACKER_ROWS, find_compared_cores

__all__ = ["FAMILY", "PlantRow"]

SAMPLES = 6000
CHOSEN_ON, CHOSEN_FROM = 0.3, 0.15
"""Settings are chosen on this part of a run, by the error from there on."""

NOMINAL, NOMINAL_FOLDED = 100e-9, 20e-9
"""Seconds of a cycle of a core that has not been built: of one whose step takes a cycle, and of one with more of them,
as the first of those that was built has."""

WINDOW, SETTLED = 100, 2.0
"""Recovered is what has an error, the root of the mean square of so many samples, below so many times that of all
learned again."""


@dataclass(frozen=True)
class PlantRow(Row):
    """A plant under control of every method, told the measured clock of each that has been built."""

    setup: Setup
    seeds: tuple[int, ...] = (0, 1, 2)

    @property
    def needs(self) -> str:
        return f"`KANRTL_SIGNALS`, a folder with `{self.setup.file}`" if self.setup.file else ""

    @property
    def obstacle(self) -> str | None:
        return self.setup.obstacle

    def measure(self, progress: Progress) -> Result:
        kind = self.setup.kind
        methods = [self._judge(*found, progress) for found in self._methods(progress)]
        tools = {name: version(name) for name in ("numpy", "padasip", "scikit-learn")}
        return {
            "plant": self.setup.name,
            "unit": kind.unit,
            "period_us": kind.period * 1e6,
            "samples": SAMPLES,
            "seeds": list(self.seeds),
            "methods": methods,
            "tools": tools,
        }

    def _methods(self, progress: Progress) -> Iterator[tuple[str, Candidate]]:
        also = ("one-euro",) if self.setup.name == "touch" else ()
        for method in ("none", *METHODS, *also):
            progress(f"choosing settings of {method}")
            chosen = self._choose(method)
            yield method, chosen
            if method == "kan":
                yield "kan-float", chosen.in_floats()

    def _choose(self, method: str) -> Candidate:
        candidates = list(find_candidates(self.setup, method))
        if len(candidates) == 1:
            return candidates[0]
        samples = int(CHOSEN_ON * SAMPLES)
        runs = (self._run(one, 100, find_timing(one, None), samples) for one in candidates)
        errors = [run.root_mean_square(CHOSEN_FROM / CHOSEN_ON, 1) for run in runs]
        return candidates[int(np.argmin(np.nan_to_num(errors, nan=np.inf)))]

    def _judge(self, method: str, candidate: Candidate, progress: Progress) -> Result:
        progress(method)
        kind, core = self.setup.kind, core_result(candidate.spec) if candidate.spec else None
        chip = find_timing(candidate, core)
        runs = [self._run(candidate, seed, chip) for seed in self.seeds]
        samples = _mean(find_recovery(run, kind.switch, kind.drift) for run in runs)
        about = {"method": method, "chosen": dict(candidate.chosen), "cycle_ns": chip.cycle * 1e9}
        if candidate.spec:
            found = estimate(candidate.spec)
            about |= {"core": core_name(candidate.spec), "estimated_lut": found.lut, "estimated_dsp": found.dsp}
        result: Result = {
            **about,
            "clock_measured": core is not None,
            "periods": runs[0].periods,
            "adapted": _mean(run.root_mean_square(CHOSEN_ON, kind.switch) for run in runs),
            "drifting": _mean(run.root_mean_square(kind.drift, 1) for run in runs),
            "recovery_samples": samples,
            "recovery_us": samples * kind.period * 1e6,
        }
        if kind.decides:
            parts = {"wrong_adapted": (CHOSEN_ON, kind.switch), "wrong_drifting": (kind.drift, 1)}
            result |= {name: _mean(run.count_wrong(*part) or 0.0 for run in runs) for name, part in parts.items()}
        return result

    def _run(self, candidate: Candidate, seed: int, chip: ChipTiming, samples: int | None = None) -> LoopRun:
        return candidate.run(self.setup.create(SAMPLES, seed), chip, samples)


def find_timing(candidate: Candidate, core: Result | None) -> ChipTiming:
    """How long a method's core takes, by its cycles, and by its clock as that was measured or is assumed."""
    if candidate.spec is None:
        return ChipTiming(NOMINAL, 1, 1)
    timing = candidate.spec.timing
    assumed = NOMINAL if timing.interval == 1 else NOMINAL_FOLDED
    return ChipTiming(1e-6 / core["fmax_mhz"] if core else assumed, timing.prediction_latency, timing.interval)


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def find_recovery(run: LoopRun, switch: float, drift: float) -> float:
    """Samples from a switch until the error, after it has been highest, is below :data:`SETTLED` times what it is in
    the second half of the time from there to the drift; 0 where it was never above."""
    first, last = (int(part * len(run.errors)) for part in (switch, drift))
    squares = run.errors[first:last] ** 2
    running = np.sqrt(np.convolve(squares, np.ones(WINDOW) / WINDOW, mode="valid"))
    settled = running <= SETTLED * np.sqrt(squares[len(squares) // 2 :].mean())
    peak = int(np.argmax(running[: len(running) // 2]))
    return 0.0 if settled[peak] else float(peak + np.argmax(settled[peak:]) + WINDOW - 1)


FAMILY = Family(
    "plants",
    "learners and what one would use instead",
    (
        # Some cores are asked for by both.
        *{core.name: core for core in (*find_compared_cores(), *find_cores())}.values(),
        *TRACKER_ROWS,
        *(PlantRow(f"plant-{name}", name, setup) for name, setup in SETUPS.items()),
    ),
)
