"""What plants are learned by: a learner, and what one would use instead, in fixed point and in floats.

Candidates of a method differ in what is chosen on the first part of a run. The perceptrons have about as many
multipliers as the learner, or about as many LUTs, by estimate, or are folded, such that sixteen hidden nodes have about
as many multipliers; the polynomial has about as many multipliers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kanrtl import LearnerSpec, Model, connect
from kanrtl.arrays import Reals
from kanrtl.baselines import BaselineSpec, LmsSpec, MlpSpec, create_model, estimate_baseline
from kanrtl.learner.estimate.estimate import Estimate
from kanrtl.sim.plant import ChipTiming, Learning, LoopRun, NoLearner, Plant, run_loop

from .float_methods import FloatPerceptron, RecursiveLeastSquares
from .one_euro import OneEuro
from .plant_setups import Setup

__all__ = ["DEVICE", "METHODS", "Candidate", "estimate", "find_candidates", "method_spec", "start"]

DEVICE = "LFE5U-85F-6"

METHODS = ("kan", "nlms", "polynomial", "mlp", "mlp-lut", "mlp-folded", "rls", "volterra", "mlp-float")
"""By which every plant is learned. A learner is run in float64 too, and a touch pad by the 1 euro filter."""

FIXED = ("kan", "nlms", "polynomial", "mlp", "mlp-lut", "mlp-folded")
"""Those in fixed point."""

RATES = tuple(2.0**power for power in range(-12, 4))
"""Tried of every method that has a rate, so that the best lies within; floats and fixed point alike."""

FORGETTING = (0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999, 1.0)
MOST_HIDDEN = 12
FOLDED_HIDDEN, REUSE_FACTORS = 16, (2, 4, 8, 16)

Spec = LearnerSpec | BaselineSpec


@dataclass(frozen=True)
class Candidate:
    """A method with settings.

    Attributes
    ----------
    chosen
        The settings by name.
    make
        Starts it.
    columns
        The numbers of a sample that it is given.
    spec
        What is built of it; None of what is not in fixed point.
    """

    chosen: Mapping[str, Any]
    make: Callable[[], Any]
    columns: tuple[int, ...] = ()
    spec: Spec | None = None

    def start(self) -> Any:
        """The method, for samples of the plant."""
        return _Given(self.make(), list(self.columns)) if self.columns else self.make()

    def run(self, plant: Plant, chip: ChipTiming, samples: int | None = None) -> LoopRun:
        """Let it control a plant, to its end or for so many samples."""
        method = self.start()
        try:
            with np.errstate(all="ignore"):  # what diverges shows it by its error
                return run_loop(plant, method, chip, samples)
        finally:
            if hasattr(method, "close"):
                method.close()

    def in_floats(self) -> Candidate:
        """A learner with the same settings in float64."""
        spec = self.spec
        assert isinstance(spec, LearnerSpec)
        return Candidate(self.chosen, lambda: _FloatKan(spec), self.columns)


class _Given:
    """A method that is given some numbers of each sample."""

    def __init__(self, method: Any, columns: list[int]) -> None:
        self._method: Learning = method
        self._columns = columns

    def predict(self, x: Any) -> Reals:
        return self._method.predict(x[self._columns])

    def learn(self, x: Any, target: Any) -> Reals:
        return self._method.learn(x[self._columns], target)

    def close(self) -> None:
        if hasattr(self._method, "close"):
            self._method.close()


def start(spec: Spec) -> Any:
    """A learner or a baseline with the hardware's bits, as quick as can be."""
    return connect(spec, "compiled") if isinstance(spec, LearnerSpec) else _Integers(spec)


class _Integers:
    """The integer model of a baseline with the calls of a session for one sample, without its checks and counts: half
    the time."""

    def __init__(self, spec: BaselineSpec) -> None:
        self._model = create_model(spec)
        self._input, self._target, self._output = spec.input_format, spec.target_format, spec.output_format

    def predict(self, x: Any) -> Reals:
        codes = self._input.quantise(np.asarray(x)).tolist()
        return self._output.to_float(np.array(self._model.predict(codes)))

    def learn(self, x: Any, target: Any) -> Reals:
        found = self.predict(x)
        self._model.learn(self._target.quantise(np.asarray(target)).tolist())
        return found


def estimate(spec: Spec) -> Estimate:
    """What a learner or a baseline takes of the device."""
    return spec.estimate(DEVICE) if isinstance(spec, LearnerSpec) else estimate_baseline(spec, DEVICE)


def method_spec(setup: Setup, method: str, **fields: Any) -> Spec:
    """A method for inputs and targets between -1 and 1, whose step takes one clock cycle, if it is not folded."""
    ranges = {"target_range": (-1, 1), "learning_rate": 0.25, **fields}
    n_out = setup.kind.n_out
    if method == "kan":
        layers = {"layer_sizes": [len(setup.kan_columns), n_out], "grid_range": (-1, 1), "pipeline": "no_registers"}
        return LearnerSpec(**{"grid_size": 8, **layers, **setup.kan, **ranges})
    filter_sizes = {"n_in": len(setup.filter_columns), "n_out": n_out}
    if method == "nlms":
        return LmsSpec(**filter_sizes, normalisation="power_of_two", **ranges)
    wanted = estimate(method_spec(setup, "kan"))
    if method == "polynomial":
        degrees = [LmsSpec(**filter_sizes, degree=degree, **ranges) for degree in range(2, 8)]
        return _nearest(degrees, lambda spec: abs(estimate(spec).dsp - wanted.dsp))
    sizes = {"n_in": len(setup.mlp_columns), "n_out": n_out}
    if method == "mlp-folded":
        about = {**sizes, "hidden": FOLDED_HIDDEN, "pipeline": "all_registers"}
        folded = [MlpSpec(**about, reuse_factor=factor, **ranges) for factor in REUSE_FACTORS]
        return _nearest(folded, lambda spec: abs(estimate(spec).dsp - wanted.dsp))
    perceptrons = [MlpSpec(**sizes, hidden=hidden, **ranges) for hidden in range(1, MOST_HIDDEN + 1)]
    if method == "mlp":
        return _nearest(perceptrons, lambda spec: abs(estimate(spec).dsp - wanted.dsp))
    return _nearest(perceptrons, lambda spec: abs(estimate(spec).lut - wanted.lut))


def _nearest(specs: list[Any], distance: Callable[[Any], float]) -> BaselineSpec:
    """The one that is nearest; the larger one of two."""
    found: BaselineSpec = min(reversed(specs), key=distance)
    return found


class _FloatKan:
    """A learner in float64, with the calls of a session."""

    def __init__(self, spec: LearnerSpec) -> None:
        self._model = Model(spec, "float64")

    def predict(self, x: Any) -> Reals:
        return self._model.predict(x)

    def learn(self, x: Any, target: Any) -> Reals:
        return self._model.learn(x, target)


def find_candidates(setup: Setup, method: str) -> Iterator[Candidate]:
    """A method with every setting that is tried on a plant."""
    if method == "none":
        yield Candidate({}, lambda: NoLearner(setup.kind.n_out))
    elif method in FIXED:
        yield from _fixed(setup, method)
    else:
        yield from _floats(setup, method)


_ALSO: dict[str, dict[str, tuple[Any, ...]]] = {
    "kan": {"grid_size": (8, 32)},
    "mlp": {"activation": ("relu", "hard_tanh")},
    "mlp-lut": {"activation": ("relu", "hard_tanh")},
    "mlp-folded": {"activation": ("relu", "hard_tanh")},
}


def _columns(setup: Setup, method: str) -> tuple[int, ...]:
    if method == "kan":
        return setup.kan_columns
    return setup.mlp_columns if method.startswith("mlp") else setup.filter_columns


def _fixed(setup: Setup, method: str) -> Iterator[Candidate]:
    for chosen in _products({"learning_rate": RATES, **_ALSO.get(method, {})}):
        spec = method_spec(setup, method, **chosen)
        yield Candidate(chosen, lambda spec=spec: start(spec), _columns(setup, method), spec)  # type: ignore[misc]


def _floats(setup: Setup, method: str) -> Iterator[Candidate]:
    columns, n_out = _columns(setup, method), setup.kind.n_out
    sizes = len(columns), n_out
    if method == "mlp-float":
        for chosen in _products({"rate": RATES, "activation": ("relu", "tanh")}):
            yield Candidate(chosen, lambda chosen=chosen: FloatPerceptron(*sizes, **chosen), columns)  # type: ignore[misc]
    elif method == "one-euro":
        for chosen in _products({"corner": (0.3, 1.0, 3.0, 8.0), "beta": (0.0, 0.3, 1.0, 3.0, 10.0)}):
            yield Candidate(chosen, lambda chosen=chosen: OneEuro(setup.kind.period, **chosen))  # type: ignore[misc]
    else:
        for chosen in _products({"forgetting": FORGETTING}):
            fields = {**chosen, "volterra": method == "volterra"}
            yield Candidate(
                chosen,
                lambda fields=fields: RecursiveLeastSquares(*sizes, **fields),
                columns,  # type: ignore[misc]
            )


def _products(tried: Mapping[str, tuple[Any, ...]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*tried.values()):
        yield dict(zip(tried, values, strict=True))
