"""Function tracking, and two plants, by learners and perceptrons of several sizes: what each takes at equal error."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np

from kanrtl import LearnerSpec, StabilityWarning, connect
from kanrtl.baselines import LmsSpec, MlpSpec
from kanrtl.sessions.baseline_session import connect_baseline
from kanrtl.sim import TASKS
from kanrtl.sim.plant import ChipTiming

from .method_cores import RATE, MethodCore, core_name
from .plant_methods import RATES, Candidate, Spec, estimate, start
from .plant_setups import SETUPS, Setup
from .row import Progress, Result, Row
from .stored import RESULTS, load

__all__ = ["TRACKER_ROWS", "USUAL", "SizesRow", "TrackRow", "find_compared_cores", "pair_equals"]

_TRACK_RANGES: dict[str, Any] = {"input_range": (-2, 2), "target_range": (-3, 3)}

MAKERS: dict[str, Callable[..., Spec]] = {
    **{
        f"kan-{cells}": lambda rate, cells=cells: LearnerSpec(
            layer_sizes=[1, 1], grid_range=(-2, 2), grid_size=cells, target_range=(-3, 3), learning_rate=rate
        )
        for cells in (2, 3, 5)
    },
    "polynomial-5": lambda rate: LmsSpec(n_in=1, degree=5, **_TRACK_RANGES, learning_rate=rate),
    **{
        f"mlp-{hidden}": lambda rate, hidden=hidden, **fields: MlpSpec(
            n_in=1, hidden=hidden, activation="hard_tanh", **_TRACK_RANGES, learning_rate=rate, **fields
        )
        for hidden in (2, 4, 8, 16, 32, 64)
    },
}
"""On ``track``: a spec of a rate, of a perceptron also of other fields."""

PERCEPTRONS = [{"hidden_shift": shift, "seed": start} for shift in (0, -2, -4, -6, -8) for start in (0, 1, 2)]
"""Tried of every perceptron: hidden layers that learn at the rate of the other, and up to 256 times as fast; and seeds
of what it starts with, which matter where nodes are few."""

CHOSEN_BY = (100, 101, 102)
"""Seeds of the samples on which rates and starts are chosen."""


@dataclass(frozen=True)
class TrackRow(Row):
    """The task ``track``, 1500 samples: learners beside polynomials and perceptrons, each at its best rate; of a
    perceptron with the best rate of its hidden layer, and from the best of a few starts, too."""

    seeds: int = 5

    def measure(self, progress: Progress) -> Result:
        methods = []
        for name, make in MAKERS.items():
            progress(name)
            fields = PERCEPTRONS if name.startswith("mlp-") else [{}]
            # All is chosen on samples of other seeds.
            tried = itertools.product(RATES, fields)
            rate, chosen = min(tried, key=lambda one: self._mean_error(make(one[0], **one[1])))
            spec = make(rate, **chosen)
            found = [self._errors(spec, seed) for seed in range(self.seeds)]
            means = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
            about = estimate(spec)
            estimated = {"estimated_lut": about.lut, "estimated_dsp": about.dsp}
            methods.append({"name": name, "learning_rate": rate, **chosen, "mse": means, **estimated})
        return {"seeds": list(range(self.seeds)), "methods": methods, "tools": {"numpy": version("numpy")}}

    @classmethod
    def _mean_error(cls, spec: Spec) -> float:
        return float(np.mean([cls._errors(spec, seed)["all"] for seed in CHOSEN_BY]))

    @staticmethod
    def _errors(spec: Spec, seed: int) -> dict[str, float]:
        task = TASKS["track"](1500, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StabilityWarning)  # rates beyond are tried, and tell it by their errors
            session = connect(spec, "compiled") if isinstance(spec, LearnerSpec) else connect_baseline(spec)
        with session as learner:
            error = learner.learn_many(task.x, task.target) - task.target
        regimes = {f"regime {index + 1}": value for index, value in enumerate(task.regime_errors(error))}
        return {**regimes, "all": float(np.mean(error**2))}


HIDDEN = (1, 2, 4, 8, 16, 32)
CELLS = (1, 2, 4, 8)

PLANTS = ("channel", "servo")

USUAL = {"track": "kan-5", "plant": "kan-8"}
"""The learners of the other tables."""


def _size_spec(setup: Setup, name: str, rate: float, activation: str | None = None) -> Spec:
    """What is called ``name`` among the sizes for a plant."""
    kind, _, size = name.partition("-")
    n_in, n_out = setup.kind.n_in, setup.kind.n_out
    if kind == "mlp":
        return MlpSpec(n_in=n_in, n_out=n_out, hidden=int(size), activation=str(activation), learning_rate=rate)
    return LearnerSpec(
        layer_sizes=[n_in, n_out],
        grid_range=(-1, 1),
        target_range=(-1, 1),
        grid_size=int(size),
        learning_rate=rate,
        pipeline="no_registers",
    )


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
        for cells in CELLS:
            name = f"kan-{cells}"
            yield name, [_size_spec(self.setup, name, rate) for rate in RATES]
        for hidden in HIDDEN:
            name = f"mlp-{hidden}"
            rates = [(rate, activation) for activation in ("relu", "hard_tanh") for rate in RATES]
            yield name, [_size_spec(self.setup, name, *one) for one in rates]

    def _error(self, spec: Spec, seed: int, first: float, last: float) -> float:
        """The error between two parts of a run, as far as that goes."""
        one = Candidate({}, lambda: start(spec))
        run = one.run(self.setup.create(self.samples, seed), ChipTiming(100e-9, 1, 1), round(last * self.samples))
        return run.root_mean_square(first / last, 1)


Pair = tuple[str | None, str | None]


def pair_equals(errors: Mapping[str, float], usual: str) -> list[Pair]:
    """Learners and perceptrons at equal error: the usual learner and the smallest perceptron that is as good, and the
    smallest learner that is as good as the best perceptron; None where none is.

    Parameters
    ----------
    errors
        By name, learners and perceptrons each from the smallest to the largest.
    usual
        The learner of the other tables.
    """
    kans, perceptrons = ([name for name in errors if name.startswith(kind)] for kind in ("kan-", "mlp-"))
    best = min(perceptrons, key=errors.__getitem__)
    pairs = [
        (usual, next((name for name in perceptrons if errors[name] <= errors[usual]), None)),
        (next((name for name in kans if errors[name] <= errors[best]), None), best),
    ]
    return list(dict.fromkeys(pairs))


def _find_compared(methods: Sequence[Result], usual: str) -> dict[str, Result]:
    """Those of what was measured at several sizes that are compared at equal error, by name."""
    errors = {method["name"]: method["mse"]["all"] if "mse" in method else method["error"] for method in methods}
    named = {name for pair in pair_equals(errors, usual) for name in pair}
    return {method["name"]: method for method in methods if method["name"] in named}


def _methods(row: str) -> list[Result]:
    return list(load(RESULTS, row)["methods"]) if (RESULTS / f"{row}.json").exists() else []


def find_compared_cores() -> Iterator[MethodCore]:
    """A row for everything that tables show after place and route: a polynomial, a perceptron and a small learner on
    ``track``, and what is compared at equal error, in the results that are there."""
    tracked = _methods("track-baselines")
    # The usual learner has a row of its own.
    compared = {*_find_compared(tracked, USUAL["track"])} - {USUAL["track"]} if tracked else set()
    chosen = {
        method["name"]: {field: method[field] for field in ("hidden_shift", "seed") if field in method}
        for method in tracked
    }
    for name in sorted({"polynomial-5", "mlp-2", "kan-3"} | compared):
        make = partial(MAKERS[name], 0.125, **chosen.get(name, {}))
        yield MethodCore(f"track-{name}", f"{name} on track, one cycle", make)
    for plant in PLANTS:
        methods = _methods(f"sizes-{plant}")
        for name, method in _find_compared(methods, USUAL["plant"]).items() if methods else ():
            make = partial(_size_spec, SETUPS[plant], name, RATE, method["activation"])
            yield MethodCore(method["core"], f"{method['core'].removeprefix('core-')}, one cycle", make)


TRACKER_ROWS: tuple[Row, ...] = (
    TrackRow("track-baselines", "function tracking by learners, polynomials and perceptrons"),
    *(SizesRow(f"sizes-{name}", f"{name} by learners and perceptrons", SETUPS[name]) for name in PLANTS),
)
