"""Function tracking, and two plants, by learners and perceptrons of several sizes: what each takes at equal error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from kanrtl import LearnerSpec, connect
from kanrtl.baselines import LmsSpec, MlpSpec
from kanrtl.sessions.baseline_session import connect_baseline
from kanrtl.sim import TASKS
from kanrtl.sim.plant import ChipTiming

from .method_cores import MethodCore, core_name
from .plant_methods import POWERS, Candidate, Spec, estimate, start
from .plant_setups import SETUPS, Setup
from .row import Progress, Result, Row

__all__ = ["TRACKER_ROWS", "SizesRow", "TrackRow"]

_TRACK_RANGES: dict[str, Any] = {"input_range": (-2, 2), "target_range": (-3, 3)}

KAN_RATES, POLYNOMIAL_RATES, MLP_RATES = POWERS[3:10], POWERS[2:8], POWERS[2:9]

MAKERS: dict[str, tuple[tuple[float, ...], Callable[[float], Spec]]] = {
    **{
        f"kan-{cells}": (
            KAN_RATES,
            lambda rate, cells=cells: LearnerSpec(
                layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=cells, target_range=(-3, 3), learning_rate=rate
            ),
        )
        for cells in (2, 3, 5)
    },
    "polynomial-5": (
        POLYNOMIAL_RATES,
        lambda rate: LmsSpec(n_in=1, degree=5, **_TRACK_RANGES, learning_rate=rate),
    ),
    **{
        f"mlp-{hidden}": (
            MLP_RATES,
            lambda rate, hidden=hidden: MlpSpec(
                n_in=1, hidden=hidden, activation="hard_tanh", **_TRACK_RANGES, learning_rate=rate
            ),
        )
        for hidden in (2, 4, 8, 16, 32, 64)
    },
}
"""On ``track``: the rates that are tried, and a spec of a rate."""


@dataclass(frozen=True)
class TrackRow(Row):
    """The task ``track``, 1500 samples: learners beside polynomials and perceptrons, each at its best rate."""

    seeds: int = 5

    def measure(self, progress: Progress) -> Result:
        methods = []
        for name, (rates, make) in MAKERS.items():
            progress(name)
            # The rate is chosen on samples of another seed.
            rate = min(rates, key=lambda rate: self._errors(make(rate), 100)["all"])
            found = [self._errors(make(rate), seed) for seed in range(self.seeds)]
            means = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
            about = estimate(make(rate))
            estimated = {"estimated_lut": about.lut, "estimated_dsp": about.dsp}
            methods.append({"name": name, "learning_rate": rate, "mse": means, **estimated})
        return {"seeds": list(range(self.seeds)), "methods": methods, "tools": {"numpy": version("numpy")}}

    @staticmethod
    def _errors(spec: Spec, seed: int) -> dict[str, float]:
        task = TASKS["track"](1500, seed)
        session = connect(spec, "compiled") if isinstance(spec, LearnerSpec) else connect_baseline(spec)
        with session as learner:
            error = learner.learn_many(task.x, task.target) - task.target
        regimes = {f"regime {index + 1}": value for index, value in enumerate(task.regime_errors(error))}
        return {**regimes, "all": float(np.mean(error**2))}


HIDDEN = (1, 2, 4, 8, 16, 32)
CELLS = (1, 2, 4, 8)


@dataclass(frozen=True)
class SizesRow(Row):
    """A plant under control of learners with several grids and of perceptrons of several sizes, each with the rate and
    the activation that were best on the first part of another run."""

    setup: Setup
    seeds: tuple[int, ...] = (0, 1, 2)
    samples: int = 3000

    def measure(self, progress: Progress) -> Result:
        methods = []
        for name, candidates in self._sizes():
            progress(name)
            chosen = min(candidates, key=lambda spec: self._error(spec, 100, 0.15, 0.3))
            found = estimate(chosen)
            methods.append(
                {
                    "name": name,
                    "learning_rate": float(np.ravel(chosen.learning_rate)[0]),
                    "activation": getattr(chosen, "activation", None),
                    "error": float(np.mean([self._error(chosen, seed, 0.25, 0.5) for seed in self.seeds])),
                    "core": core_name(chosen),
                    "estimated_lut": found.lut,
                    "estimated_dsp": found.dsp,
                }
            )
        about = {"unit": self.setup.kind.unit, "samples": self.samples, "seeds": list(self.seeds)}
        return {**about, "methods": methods, "tools": {"numpy": version("numpy")}}

    def _sizes(self) -> Iterator[tuple[str, list[Spec]]]:
        n_in, n_out = self.setup.kind.n_in, self.setup.kind.n_out
        for cells in CELLS:
            kan: Mapping[str, Any] = {"layer_sizes": [n_in, n_out], "grid_range": (-1, 1), "target_range": (-1, 1)}
            yield (
                f"kan-{cells}",
                [
                    LearnerSpec(**kan, grid_size=cells, learning_rate=rate, pipeline="no_registers")
                    for rate in KAN_RATES
                ],
            )
        for hidden in HIDDEN:
            mlp = {"n_in": n_in, "n_out": n_out, "hidden": hidden}
            yield (
                f"mlp-{hidden}",
                [
                    MlpSpec(**mlp, activation=activation, learning_rate=rate)  # type: ignore[arg-type]
                    for activation in ("relu", "hard_tanh")
                    for rate in MLP_RATES
                ],
            )

    def _error(self, spec: Spec, seed: int, first: float, last: float) -> float:
        """The error between two parts of a run, as far as that goes."""
        one = Candidate({}, lambda: start(spec))
        run = one.run(self.setup.create(self.samples, seed), ChipTiming(100e-9, 1, 1), round(last * self.samples))
        return run.mean_square(first / last, 1)


TRACKER_ROWS: tuple[Row, ...] = (
    *(
        MethodCore(f"track-{name}", f"{name} on track, one cycle", lambda name=name: MAKERS[name][1](0.125), seeds)  # type: ignore[misc]
        for name, seeds in (("polynomial-5", (1,)), ("mlp-2", (1,)))
    ),
    TrackRow("track-baselines", "function tracking by learners, polynomials and perceptrons"),
    *(SizesRow(f"sizes-{name}", f"{name} by learners and perceptrons", SETUPS[name]) for name in ("channel", "servo")),
)
