"""Plants under control of a learner and of what one would use instead, and how large and fast each is.

Settings are chosen on the first part of a run, by the error in its second half, and judged on the rest. The polynomial
and the perceptron have about as many multipliers as the learner.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from kanrtl import LearnerSpec, Model, connect
from kanrtl.arrays import Reals
from kanrtl.baselines import BaselineSpec, LmsSpec, MlpSpec, estimate_baseline
from kanrtl.build import build_baseline, build_learner
from kanrtl.sessions.baseline_session import connect_baseline
from kanrtl.sim import PLANTS, TASKS
from kanrtl.sim.plant import ChipTiming, Learning, LoopRun, NoLearner, run_loop

from .row import Family, Progress, Result, Row, build_summary
from .stored import RESULTS

__all__ = ["FAMILY", "METHODS", "MethodCore", "PlantRow", "TrackRow", "method_spec"]

DEVICE = "LFE5U-85F-6"
SAMPLES = 6000
CHOSEN_ON, CHOSEN_FROM = 0.3, 0.15
"""Settings are chosen on this part of a run, by the error from there on."""

WINDOW = 50
"""Samples that an error is the root of the mean square of, where the time to recover is looked for."""

METHODS = ("kan", "nlms", "polynomial", "mlp")
RATES = {
    "kan": (0.03125, 0.125, 0.25, 0.5, 1.0),
    "nlms": (0.0625, 0.25, 0.5, 1.0),
    "polynomial": (0.015625, 0.0625, 0.125, 0.25),
    "mlp": (0.03125, 0.0625, 0.125, 0.25, 0.5),
}
ALSO: dict[str, dict[str, tuple[Any, ...]]] = {
    "kan": {"grid_size": (8, 32)},
    "mlp": {"activation": ("relu", "hard_tanh")},
}

Spec = LearnerSpec | BaselineSpec


def method_spec(method: str, n_in: int, n_out: int, **fields: Any) -> Spec:
    """A method for inputs and targets between -1 and 1, whose step takes one clock cycle."""
    ranges = {"target_range": (-1, 1), **fields}
    if method == "kan":
        sizes = {"layer_sizes": [n_in, n_out], "grid_range": (-1, 1), "pipeline": "no_registers"}
        return LearnerSpec(**{"learning_rate": 0.25, "grid_size": 8, **sizes, **ranges})
    sizes = {"n_in": n_in, "n_out": n_out}
    if method == "nlms":
        return LmsSpec(**sizes, normalisation="power_of_two", **ranges)
    multipliers = method_spec("kan", n_in, n_out).estimate(DEVICE).dsp

    def distance(spec: BaselineSpec) -> tuple[int, int]:
        found = estimate_baseline(spec, DEVICE).dsp
        return abs(found - multipliers), -found

    candidates: list[BaselineSpec]
    if method == "polynomial":
        candidates = [LmsSpec(**sizes, degree=degree, **ranges) for degree in range(2, 8)]
    else:
        candidates = [MlpSpec(**sizes, hidden=hidden, **ranges) for hidden in range(1, 9)]
    return min(candidates, key=distance)


class FloatKan:
    """A learner in float64, with the calls of a session."""

    def __init__(self, spec: LearnerSpec) -> None:
        self._model = Model(spec, "float64")

    def predict(self, x: Any) -> Reals:
        return self._model.predict(x)

    def learn(self, x: Any, target: Any) -> Reals:
        return self._model.learn(x, target)


def _started(spec: Spec) -> Any:
    return connect(spec, "compiled") if isinstance(spec, LearnerSpec) else connect_baseline(spec)


@dataclass(frozen=True)
class MethodCore(Row):
    """A method alone on a device, with a register on every port, as the learners of other rows."""

    make: Callable[[], Spec]
    seeds: tuple[int, ...] = (1,)

    def measure(self, progress: Progress) -> Result:
        spec = self.make()
        build: Callable[..., Any] = build_learner if isinstance(spec, LearnerSpec) else build_baseline
        reports = [
            build(spec, DEVICE, seed=seed, register_ports=True, progress=progress).to_json() for seed in self.seeds
        ]
        estimate = spec.estimate(DEVICE) if isinstance(spec, LearnerSpec) else estimate_baseline(spec, DEVICE)
        about = {"device": DEVICE, "seeds": list(self.seeds)}
        estimated = {"estimated_lut": estimate.lut, "estimated_dsp": estimate.dsp}
        return {**about, **estimated, "spec": spec.to_dict(), **build_summary(reports)}


def _core_result(name: str) -> Result | None:
    """What was measured of a method alone."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


@dataclass(frozen=True)
class PlantRow(Row):
    """A plant under control of every method, told the measured clock of each where it has been built."""

    plant: str
    seeds: tuple[int, ...] = (0,)

    def measure(self, progress: Progress) -> Result:
        kind = PLANTS[self.plant]
        methods = []
        for name, method, chosen, make in self._methods(progress):
            progress(name)
            chip, measured = self._chip(method)
            runs = [self._run(make, seed, chip) for seed in self.seeds]
            methods.append(
                {
                    "name": name,
                    "method": method,
                    "chosen": chosen,
                    "cycle_ns": chip.cycle * 1e9,
                    "clock_measured": measured,
                    "periods": runs[0].periods,
                    "adapted": _mean(run.mean_square(CHOSEN_ON, kind.switch) for run in runs),
                    "drifting": _mean(run.mean_square(kind.drift, 1) for run in runs),
                    "recovery_samples": _mean(_recovery(run, kind.switch, kind.drift) for run in runs),
                }
            )
        for method in methods:
            method["recovery_us"] = method["recovery_samples"] * kind.period * 1e6
        return {
            "plant": self.plant,
            "unit": kind.unit,
            "period_us": kind.period * 1e6,
            "samples": SAMPLES,
            "seeds": list(self.seeds),
            "methods": methods,
            "tools": {"numpy": version("numpy")},
        }

    def _methods(self, progress: Progress) -> Iterator[tuple[str, str, Result, Callable[[], Any]]]:
        kind = PLANTS[self.plant]
        yield "feedback alone", "none", {}, lambda: NoLearner(kind.n_out)
        for method in METHODS:
            progress(f"choosing settings of {method}")
            fields, spec = self._choose(method)
            yield method, method, fields, lambda spec=spec: _started(spec)  # type: ignore[misc]
            if isinstance(spec, LearnerSpec):
                yield "kan, float64", "kan", fields, lambda spec=spec: FloatKan(spec)  # type: ignore[misc]

    def _choose(self, method: str) -> tuple[Result, Spec]:
        kind, found = PLANTS[self.plant], []
        tried = {"learning_rate": RATES[method], **ALSO.get(method, {})}
        chip, _ = self._chip(method)
        for values in itertools.product(*tried.values()):
            fields = dict(zip(tried, values, strict=True))
            spec = method_spec(method, kind.n_in, kind.n_out, **fields)
            run = self._run(lambda spec=spec: _started(spec), 100, chip, int(CHOSEN_ON * SAMPLES))
            found.append((run.mean_square(CHOSEN_FROM / CHOSEN_ON, 1), len(found), fields, spec))
        return min(found)[2:]

    def _run(self, make: Callable[[], Any], seed: int, chip: ChipTiming, samples: int | None = None) -> LoopRun:
        learner: Learning = make()
        try:
            return run_loop(PLANTS[self.plant](SAMPLES, seed), learner, chip, samples)
        finally:
            if hasattr(learner, "close"):
                learner.close()

    def _chip(self, method: str) -> tuple[ChipTiming, bool]:
        """Its cycle as measured; 100 ns where it has not been built, and then no plant is faster than that."""
        core = _core_result(f"plant-{self.plant}-{method}")
        return ChipTiming(1e-6 / core["fmax_mhz"] if core else 100e-9, 1, 1), core is not None


def _mean(values: Iterator[float]) -> float:
    return float(np.mean(list(values)))


def _recovery(run: LoopRun, switch: float, drift: float) -> float:
    """Samples from a switch until the error is below one and a half of what it is when all is learned again."""
    first, last = (int(part * len(run.errors)) for part in (switch, drift))
    squares = run.errors[first:last] ** 2
    running = np.sqrt(np.convolve(squares, np.ones(WINDOW) / WINDOW, mode="valid"))
    bound = 1.5 * np.sqrt(squares[len(squares) // 2 :].mean())
    above = np.flatnonzero(running > bound)
    settled = above[above < len(running) // 2]
    return float(settled[-1] + WINDOW) if len(settled) else 0.0


TRACKERS: dict[str, Callable[[float], Spec]] = {
    "kan": lambda rate: LearnerSpec(
        layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=5, target_range=(-3, 3), learning_rate=rate
    ),
    "polynomial-5": lambda rate: LmsSpec(n_in=1, degree=5, **_TRACK_RANGES, learning_rate=rate),
    "mlp-2": lambda rate: MlpSpec(n_in=1, hidden=2, activation="hard_tanh", **_TRACK_RANGES, learning_rate=rate),
    "mlp-8": lambda rate: MlpSpec(n_in=1, hidden=8, activation="hard_tanh", **_TRACK_RANGES, learning_rate=rate),
    "mlp-16": lambda rate: MlpSpec(n_in=1, hidden=16, activation="hard_tanh", **_TRACK_RANGES, learning_rate=rate),
}
_TRACK_RANGES: dict[str, Any] = {"input_range": (-2, 2), "target_range": (-3, 3)}


@dataclass(frozen=True)
class TrackRow(Row):
    """The task ``track``, 1500 samples: a learner beside polynomials and perceptrons, each at its best rate."""

    seeds: int = 5

    def measure(self, progress: Progress) -> Result:
        methods = []
        for name, make in TRACKERS.items():
            progress(name)
            rates = RATES[name.partition("-")[0]]
            # The rate is chosen on samples of another seed.
            rate = min(rates, key=lambda rate: self._errors(make(rate), 100)["all"])
            found = [self._errors(make(rate), seed) for seed in range(self.seeds)]
            means = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
            methods.append({"name": name, "learning_rate": rate, "mse": means})
        return {"seeds": list(range(self.seeds)), "methods": methods, "tools": {"numpy": version("numpy")}}

    @staticmethod
    def _errors(spec: Spec, seed: int) -> dict[str, float]:
        task = TASKS["track"](1500, seed)
        with _started(spec) as learner:
            error = learner.learn_many(task.x, task.target) - task.target
        regimes = {f"regime {index + 1}": value for index, value in enumerate(task.regime_errors(error))}
        return {**regimes, "all": float(np.mean(error**2))}


def _plant_core(plant: str, method: str) -> MethodCore:
    kind = PLANTS[plant]
    return MethodCore(
        f"plant-{plant}-{method}", f"{method} for {plant}", lambda: method_spec(method, kind.n_in, kind.n_out)
    )


BUILT_PLANTS = ("channel", "servo")
"""Plants of which every method is placed and routed."""

FAMILY = Family(
    "plants",
    f"learners and what one would use instead, on {DEVICE}",
    (
        *(
            MethodCore(f"track-{name}", f"{name} on track, one cycle", lambda make=make: make(0.125))  # type: ignore[misc]
            for name, make in TRACKERS.items()
            if name not in ("kan", "mlp-16")
        ),
        *(_plant_core(plant, method) for plant in BUILT_PLANTS for method in METHODS),
        TrackRow("track-baselines", "function tracking by learners, polynomials and perceptrons"),
        *(PlantRow(f"plant-{name}", name, name) for name in sorted(PLANTS)),
    ),
)
