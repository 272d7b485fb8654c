"""Refuses at once what certainly cannot fit a device, and finds what would make it fit."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from ..demos.self_teaching import estimate_exercise
from ..errors import BuildError, SpecError
from ..fabric.device import Device
from ..learner.estimate.estimate import Estimate, estimate
from ..learner.folded_schedule import folds
from ..learner.spec import LearnerSpec

__all__ = ["check_exercise_fits", "check_fits"]

DEVICES = ("iCE40HX1K", "iCE40UP5K", "iCE40HX8K", "LFE5U-25F", "LFE5U-45F", "LFE5U-85F")
"""From small to large: the devices that are proposed."""

_Estimates = Callable[[LearnerSpec, Device], Estimate]


def check_fits(spec: LearnerSpec, device: Device) -> None:
    """Raises :exc:`BuildError` if the learner alone certainly does not fit ``device``.

    Its line says what there is too little of, and the setting with which it fits: that which changes the fewest fields,
    and of those the one with the most steps a clock.
    """
    _check(spec, device, estimate)


def check_exercise_fits(spec: LearnerSpec, device: Device, lamps: int) -> None:
    """The same for a learner that is taught by an :class:`kanrtl.demos.self_teaching.Exercise` with so many lamps."""
    _check(spec, device, lambda changed, part: estimate_exercise(changed, part, lamps))


def _check(spec: LearnerSpec, device: Device, of: _Estimates) -> None:
    found = of(spec, device)
    lack = found.lacks
    if lack is None:
        return
    setting, larger = _setting(spec, device, of, lack), _larger(spec, device, of)
    mends = [*([f"set {setting}"] if setting else []), *([f"take {larger}"] if larger else [])]
    mend = ", or ".join(mends) or "no setting was found with which it fits, and no device; make layer_sizes smaller"
    needed = f"{found.least_lut} or more" if lack == "lut" else f"{getattr(found, lack)}"
    there = getattr(device, lack)
    raise BuildError(f"device = {device.name!r}: the learner needs {needed} {_WORDS[lack]}, there are {there}; {mend}")


_WORDS = {"dsp": "multipliers", "bram": "memory blocks", "lut": "LUTs"}


def _fitting(spec: LearnerSpec, device: Device, of: _Estimates, changes: dict[str, Any]) -> Estimate | None:
    """The estimate with some fields changed, if that can be had and fits."""
    try:
        found = of(spec.replace(**changes), device)
    except SpecError:  # what cannot be had together
        return None
    return found if found.fits else None


def _setting(spec: LearnerSpec, device: Device, of: _Estimates, lack: str) -> str | None:
    """The best of the settings with which it fits, and what it then takes."""
    fitting = []
    for settings in _settings(spec):
        # Each is smaller than the one before, and slower or coarser: the first that fits is sought by halves.
        first = bisect_left(settings, True, key=lambda changes: _fitting(spec, device, of, changes) is not None)
        if first < len(settings) and (found := _fitting(spec, device, of, settings[first])):
            fitting.append((settings[first], found))
    if not fitting:
        return None
    changes, found = min(fitting, key=lambda each: ("grid_size" in each[0], len(each[0]), each[1].interval))
    setting = " and ".join(f"{field} = {json.dumps(value)}" for field, value in changes.items())
    about = "about " if lack == "lut" else ""
    return f"{setting} ({about}{getattr(found, lack)} {_WORDS[lack]}, interval {found.interval})"


def _settings(spec: LearnerSpec) -> Iterator[list[dict[str, Any]]]:
    """What can be set to make a learner smaller, by steps; at last also what it can learn."""
    in_turn: dict[str, Any] = {"schedule": "sequential"} if spec.schedule == "streaming" else {}
    if set(spec.per_layer("table_memory")) != {"auto"}:
        in_turn["table_memory"] = "auto"
    folded = [{"reuse_factor": factor} for factor in _reuse_factors(spec)]
    shared: list[dict[str, Any]] = [{}] if spec.share_multipliers else [{}, {"share_multipliers": True}]
    multipliers = [{}, *({"multiplier": kind} for kind in ("auto", "lut", "serial") if kind != spec.multiplier)]
    for multiplier, share in product(multipliers, shared):
        one_by_one = in_turn if share or multiplier.get("multiplier") == "serial" else {}
        yield [multiplier | share | one_by_one]
        yield [fold | multiplier | share | in_turn for fold in folded]
    yield from ([{"memory": memory}] for memory in ("distributed", "block"))
    yield from ([{"table_memory": memory}] for memory in ("logic", "block"))
    sizes = spec.per_layer("grid_size")
    smaller = ([max(1, size >> shift) for size in sizes] for shift in range(1, max(sizes).bit_length()))
    yield [{"grid_size": size[0] if len(set(size)) == 1 else size} for size in smaller]


def _reuse_factors(spec: LearnerSpec) -> list[int | list[int]]:
    """Reuse factors for all layers, larger than they are: as nearly the same in every layer as can be."""
    by_layer = [folds(layer.n_in, layer.n_out) for layer in spec.layers]
    now = spec.per_layer("reuse_factor")
    found: list[int | list[int]] = []
    for wanted in sorted({factor for known in by_layer for factor in known}):
        factors = [
            max(factor for factor in known if factor <= max(wanted, least))
            for known, least in zip(by_layer, now, strict=True)
        ]
        value = factors[0] if len(set(factors)) == 1 else factors
        if tuple(factors) != now and value not in found:
            found.append(value)
    return found


def _larger(spec: LearnerSpec, device: Device, of: _Estimates) -> str | None:
    """The smallest device that it fits as it is."""
    parts = (Device.parse(name) for name in DEVICES)
    return next((part.name for part in parts if part.lut > device.lut and _fitting(spec, part, of, {})), None)
