"""Fits the estimate to measured builds: ``python -m bench.fit`` (``--no-measure``: to what has been measured).

What a unit of each kind of part (:data:`kanrtl.fabric.parts.KINDS`) costs on a family goes into
``kanrtl/learner/estimate/costs.json``, with the errors: of the fit, and of estimates of builds that were left out of
it, each in its turn. Baselines have costs of their own, as far as any has been built of a family. A cost is not
negative, and as few builds tell some kinds apart only poorly, it is drawn towards what the part costs by itself, which
the family's file says; how strongly is chosen such that builds that were left out are met best. Needs the extra
``test``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear

import kanrtl.learner.estimate
from kanrtl import LearnerSpec
from kanrtl.baselines import BaselineSpec, baseline_from_dict
from kanrtl.baselines.kinds import count_baseline
from kanrtl.build import Device
from kanrtl.fabric.families import FAMILIES
from kanrtl.fabric.parts import Parts
from kanrtl.files import write_whole
from kanrtl.learner.estimate.estimate import count_parts

from .area import AREAS, SAMPLES, measure
from .area import load as load_areas
from .rows import ROWS, Core
from .stored import RESULTS, load

__all__ = ["Build", "builds", "fit", "rows_built"]

COSTS = Path(kanrtl.learner.estimate.__file__).with_name("costs.json")

PULLS = (0.0001, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)

MOST = 3
"""A cost that is more times what the part costs by itself stands for something else, which other designs lack."""


@dataclass(frozen=True)
class Build:
    """A learner or a baseline that was built, what of it was measured, and what was counted."""

    name: str
    device: str
    spec: LearnerSpec | BaselineSpec
    measured: dict[str, int]
    """``lut``, ``ff``, ``dsp``, ``bram``, ``lutram`` of it alone."""
    parts: Parts

    @classmethod
    def of(cls, name: str, device: str, fields: dict[str, Any], measured: dict[str, Any], ports: int = 0) -> Build:
        """``ports``: bits of ports that were given registers; each takes a logic cell where these are counted."""
        part = Device.parse(device)
        figures = {what: int(measured[what]) for what in ("lut", "ff", "dsp", "bram", "lutram")}
        figures["ff"] -= ports
        figures["lut"] -= ports if FAMILIES[part.family].resources.counts_cells else 0
        if "kind" in fields:
            baseline = baseline_from_dict(fields)
            return cls(name, device, baseline, figures, count_baseline(baseline, part))
        spec = LearnerSpec(**fields).for_device(part)
        blocks, multiplies = FAMILIES[part.family].blocks, bool(part.dsp)
        return cls(name, device, spec, figures, count_parts(spec, blocks, multiplies=multiplies))

    @property
    def family(self) -> str:
        return Device.parse(self.device).family

    @property
    def design(self) -> str:
        """The same for builds of the same design."""
        multiplies = bool(Device.parse(self.device).dsp)
        if isinstance(self.spec, BaselineSpec):
            return f"{self.family} {multiplies} {json.dumps(self.spec.to_dict(), sort_keys=True)}"
        fields = self.spec.model_dump(mode="json") | {
            "pipeline": [sorted(stages) for stages in self.spec.timing.stages]
        }
        return f"{self.family} {multiplies} {self.spec.formats} {json.dumps(fields, sort_keys=True)}"

    @property
    def as_derived(self) -> bool:
        """Whether multipliers and memories are those that were derived."""
        blocks, lutram = self.parts.blocks(block=True), 4 * self.parts.blocks(block=False)
        derived = {"dsp": self.parts.multipliers, "bram": blocks, "lutram": lutram}
        return derived == {what: self.measured[what] for what in derived}

    def fitted(self, what: str) -> float:
        """What the costs have to explain: memories in LUTs are known."""
        return self.measured[what] - (4 * self.parts.blocks(block=False) if what == "lut" else 0)


def rows_built(folder: Path = RESULTS) -> list[Build]:
    """The rows of :mod:`bench.rows` that are learners alone, as far as they have been measured."""
    found = []
    for name, row in ROWS.items():
        if isinstance(row, Core) and (folder / f"{name}.json").exists():
            found.append(_read_build(load(folder, name)))
    return found


def cores_built(folder: Path = RESULTS, *, baselines: bool = False) -> list[Build]:
    """The learners, or the baselines, among the cores that are compared (:mod:`bench.method_cores`)."""
    paths = [*folder.glob("core-*.json"), *(folder.glob("track-*.json") if baselines else ())]
    results = [load(folder, path.stem) for path in sorted(paths)]
    return [_read_build(result) for result in results if ("kind" in result.get("spec", {})) == baselines]


def _read_build(result: dict[str, Any]) -> Build:
    ports = sum(int(bits) for note in result["notes"] for bits in re.findall(r"each of the (\d+) bits", note))
    return Build.of(result["row"], result["device"], result["spec"], result, ports)


def builds(folder: Path = RESULTS) -> list[Build]:
    """All builds of learners that there are, every design once."""
    areas = load_areas(folder / AREAS.name)
    found = [Build.of(name, area["device"], area["fields"], area) for name, area in areas.items()]
    return list({build.design: build for build in found + rows_built(folder) + cores_built(folder)}.values())


Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """The costs of a family, and how well they tell what was measured, relative to that."""

    costs: dict[str, float]
    errors: Vector
    held_out: Vector

    def to_json(self) -> dict[str, float]:
        return {
            "rms": _rms(self.errors),
            "largest": _largest(self.errors),
            "held_out_rms": _rms(self.held_out),
            "held_out_largest": _largest(self.held_out),
        }


def fit(found: Sequence[Build], what: str) -> Fit:
    """The costs that tell best what builds of one family take of ``what``, relative to it."""
    expected = FAMILIES[found[0].family].costs[what]
    counts = np.array([[build.parts.counts[kind] for kind in expected] for build in found], dtype=np.float64)
    wanted = np.array([build.fitted(what) for build in found])
    weights = 1 / np.array([build.measured[what] for build in found])
    design, target = counts * weights[:, None], wanted * weights
    prior = np.array(list(expected.values()))

    def held_out(pull: float) -> Vector:
        every = np.arange(len(found))
        return np.array(
            [
                design[one] @ _solve(design[every != one], target[every != one], prior, pull) - target[one]
                for one in every
            ]
        )

    pull = min(PULLS, key=lambda pull: _rms(held_out(pull)))
    costs = _solve(design, target, prior, pull)
    named = {kind: round(float(cost), 4) for kind, cost in zip(expected, costs, strict=True)}
    return Fit(named, design @ costs - target, held_out(pull))


def _solve(design: Vector, target: Vector, prior: Vector, pull: float) -> Vector:
    """Least squares with no negative cost, and none of more than :data:`MOST` times its prior. A cost is drawn to its
    prior by as much as builds have of its kind that have any; it is the prior where none has."""
    some = (design > 0).sum(axis=0)
    share = np.sqrt(pull * len(target)) * np.where(some, design.sum(axis=0) / np.maximum(some, 1), 1)
    highest = np.where(prior > 0, MOST * prior, np.inf)
    found = lsq_linear(
        np.vstack([design, np.diag(share)]), np.concatenate([target, share * prior]), bounds=(0, highest)
    )
    return found.x  # type: ignore[no-any-return]


def _rms(errors: Vector) -> float:
    return round(float(np.sqrt(np.mean(errors**2))), 4)


def _largest(errors: Vector) -> float:
    return round(float(np.abs(errors).max()), 4)


@click.command(help=__doc__)
@click.option("--no-measure", is_flag=True, help="Take what has been measured.")
@click.option("--verbose", is_flag=True, help="Tell the error of every build.")
def main(no_measure: bool, verbose: bool) -> None:
    failed = [] if no_measure else measure(SAMPLES)
    tools = sorted({json.dumps(area["tools"], sort_keys=True) for area in load_areas().values()})
    content: dict[str, Any] = {"tools": [json.loads(each) for each in tools]}
    for kind, found in (("learners", builds()), ("baselines", cores_built(baselines=True))):
        for build in found:
            if not build.as_derived:
                click.echo(f"not as derived, left out: {build.name}")
        content[kind] = {
            family: _fit_family(kind, family, found, verbose)
            for family in FAMILIES
            if any(build.family == family for build in found)
        }
    write_whole(COSTS, (json.dumps(content, indent=1) + "\n").encode())
    if failed:
        raise SystemExit(f"failed: {len(failed)} of {len(SAMPLES)}")


def _fit_family(kind: str, family: str, found: Sequence[Build], verbose: bool) -> dict[str, Any]:
    own = [build for build in found if build.family == family and build.as_derived]
    result: dict[str, Any] = {"builds": len(own), "errors": {}}
    for what in FAMILIES[family].costs:
        best = fit(own, what)
        result[what] = best.costs
        result["errors"][what] = best.to_json()
        click.echo(f"{kind}, {family}, {what} of {len(own)} builds: {best.to_json()}")
        if verbose:
            click.echo(f"    {best.costs}")
            for error, left, build in sorted(
                zip(best.errors, best.held_out, own, strict=True), key=lambda each: -abs(each[0])
            ):
                click.echo(f"    {100 * error:+6.1f} % {100 * left:+6.1f} %  {build.measured[what]:6d}  {build.name}")
    return result


if __name__ == "__main__":
    main()
