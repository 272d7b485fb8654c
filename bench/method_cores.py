"""Learners, filters and perceptrons alone on a device, each shared by the plants that have the same sizes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from kanrtl import LearnerSpec
from kanrtl.baselines import LmsSpec, MlpSpec
from kanrtl.build import build_baseline, build_learner

from .plant_methods import DEVICE, Spec, estimate, method_spec
from .plant_setups import SETUPS, Setup
from .row import Progress, Result, Row, build_summary
from .stored import RESULTS

__all__ = ["MethodCore", "core_name", "core_result", "find_cores"]

SEEDS = (1, 2, 3, 4, 5)

RATE = 0.25
"""The rate that a core's register begins with: rates can be written, and hardly change what is built."""


@dataclass(frozen=True)
class MethodCore(Row):
    """A method alone on a device, with a register on every port, as the learners of other rows."""

    make: Callable[[], Spec]
    seeds: tuple[int, ...] = SEEDS

    def measure(self, progress: Progress) -> Result:
        spec = self.make()
        build: Callable[..., Any] = build_learner if isinstance(spec, LearnerSpec) else build_baseline
        reports = [
            build(spec, DEVICE, seed=seed, register_ports=True, progress=progress).to_json() for seed in self.seeds
        ]
        found = estimate(spec)
        # One prediction and one step.
        cycles = spec.timing.prediction_latency + spec.interval
        about = {"device": DEVICE, "seeds": list(self.seeds), "sample_cycles": cycles}
        estimated = {"estimated_lut": found.lut, "estimated_dsp": found.dsp}
        return {**about, **estimated, "spec": spec.to_dict(), **build_summary(reports)}


def core_name(spec: Spec) -> str:
    """What the row of a core is called: its sizes, and what of a method changes its logic."""
    if isinstance(spec, LearnerSpec):
        kind = {False: "", True: "-modulated", "complex": "-complex"}[spec.modulated]
        return f"core-{spec.n_in}x{spec.n_out}-kan-{spec.layers[0].grid_size}{kind}"
    sizes = f"core-{spec.n_in}x{spec.n_out}"
    if isinstance(spec, MlpSpec):
        folded = f"-by-{spec.reuse_factor}" if spec.folded else ""
        return f"{sizes}-mlp-{spec.hidden}-{spec.activation.replace('_', '-')}{folded}"
    assert isinstance(spec, LmsSpec)
    return f"{sizes}-nlms" if spec.degree == 1 else f"{sizes}-polynomial-{spec.degree}"


def core_result(spec: Spec) -> Result | None:
    """What was measured of a core; None where it has not been built."""
    path = RESULTS / f"{core_name(spec)}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _make(name: str, setup: Setup, method: str, fields: Mapping[str, Any]) -> Spec:
    spec = method_spec(setup, method, **fields)
    if core_name(spec) != name:
        # How many hidden nodes a perceptron has is chosen by estimate, which may be another one since.
        raise ValueError(f"{name}: {core_name(spec)} is chosen now; run plant-{setup.name} first")
    return spec


def find_cores() -> Iterator[MethodCore]:
    """A row for every core that a plant has chosen, in the results that are there."""
    makers: dict[str, Callable[[], Spec]] = {}
    for name, setup in SETUPS.items():
        path = RESULTS / f"plant-{name}.json"
        for method in json.loads(path.read_text())["methods"] if path.exists() else []:
            if "core" in method:
                fields = {**method["chosen"], "learning_rate": RATE}
                makers.setdefault(method["core"], partial(_make, method["core"], setup, method["method"], fields))
    for name, make in sorted(makers.items()):
        yield MethodCore(name, f"{name.removeprefix('core-')}, {'folded' if '-by-' in name else 'one cycle'}", make)
