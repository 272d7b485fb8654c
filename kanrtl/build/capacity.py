"""Whether a learner fits a device, and what would make it fit; what certainly does not is refused at once."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

from ..demos.self_teaching import estimate_exercise
from ..errors import SpecError
from ..fabric.device import Device
from ..learner.estimate.estimate import Estimate, estimate
from ..learner.folded_schedule import folds
from ..learner.spec import LearnerSpec
from .device_fit import DeviceFit
from .shortage import DEVICES, RESOURCE_WORDS, ShortageError

_Estimates = Callable[[LearnerSpec, Device], Estimate]


@dataclass(frozen=True)
class Mend:
    """What makes a learner fit: fields of its spec to change, or another device; and what it then takes."""

    changes: dict[str, Any]
    estimate: Estimate


@dataclass(frozen=True)
class Fit(DeviceFit):
    """Whether a learner fits a device; and where it does not, or may not, what would make it fit.

    Attributes
    ----------
    estimate : Estimate
        What it takes.
    setting : Mend, optional
        The fields to change with which it fits: the fewest, and of these the most steps a cycle.
    larger : Mend, optional
        The smallest larger device that it fits as it is.
    """

    estimate: Estimate
    setting: Mend | None = None
    larger: Mend | None = None

    kind: ClassVar[str] = "learner"

    @property
    def mend(self) -> str:
        """What to change, in words."""
        mends = []
        if self.setting is not None:
            what, found = self.resource, self.setting.estimate
            fields = " and ".join(f"{field} = {json.dumps(value)}" for field, value in self.setting.changes.items())
            about = "about " if what == "lut" else ""
            mends.append(
                f"set {fields} ({about}{getattr(found, what)} {RESOURCE_WORDS[what]}, interval {found.interval})"
            )
        if self.larger is not None:
            mends.append(f"take {self.larger.estimate.device}")
        return ", or ".join(mends) or "no setting was found with which it fits, and no device; make layer_sizes smaller"

    def to_json(self) -> dict[str, Any]:
        """The estimate as a dictionary that :mod:`json` can write, with ``fits``, ``lacks`` (a resource, or None), and
        what would make it fit: ``set`` (fields and values, or None) and ``take`` (a device, or None)."""
        taken = self.larger and self.larger.estimate.device
        return super().to_json() | {"set": self.setting and self.setting.changes, "take": taken}


def find_fit(spec: LearnerSpec, device: Device) -> Fit:
    """Whether the learner alone fits ``device``, and what would make it fit."""
    return _find_fit(spec, device, estimate)


def check_fits(spec: LearnerSpec, device: Device) -> None:
    """Raise :exc:`BuildError` if the learner alone certainly does not fit ``device``, with what would make it fit."""
    find_fit(spec, device).check()


def check_exercise_fits(spec: LearnerSpec, device: Device, leds: int) -> None:
    """The same for a learner that is taught by an :class:`kanrtl.demos.self_teaching.Exercise` with so many LEDs."""
    _find_fit(spec, device, lambda changed, part: estimate_exercise(changed, part, leds)).check()


def advise_built(spec: LearnerSpec, shortage: ShortageError) -> str:
    """What would make a learner fit of which a tool has found that it does not: all in one line."""
    return _advise(spec, shortage, estimate)


def advise_built_exercise(spec: LearnerSpec, shortage: ShortageError, leds: int) -> str:
    """The same for a learner that is taught by an exercise, as :func:`check_exercise_fits` has it."""
    return _advise(spec, shortage, lambda changed, part: estimate_exercise(changed, part, leds))


def _advise(spec: LearnerSpec, shortage: ShortageError, of: _Estimates) -> str:
    """As :func:`advise_built`: estimates are taken to be as much too low for other settings as for this one."""
    name = shortage.resource
    low = shortage.needed / max(1, getattr(of(spec, shortage.device), name))

    def correct(changed: LearnerSpec, part: Device) -> Estimate:
        return of(changed, part).scale(name, low)

    return f"{shortage.explain('learner')}; {_find_fit(spec, shortage.device, correct).mend}"


def _find_fit(spec: LearnerSpec, device: Device, of: _Estimates) -> Fit:
    found = of(spec, device)
    return Fit(found) if found.fits else Fit(found, _find_setting(spec, device, of), _find_larger(spec, device, of))


def _try(spec: LearnerSpec, device: Device, of: _Estimates, changes: dict[str, Any]) -> Mend | None:
    """The estimate with some fields changed, if that can be had and fits."""
    try:
        found = of(spec.replace(**changes), device)
    except SpecError:  # what cannot be had together
        return None
    return Mend(changes, found) if found.fits else None


def _find_setting(spec: LearnerSpec, device: Device, of: _Estimates) -> Mend | None:
    """The best of the settings with which it fits."""
    mends = []
    for settings in _settings(spec):
        # Each is smaller than the one before, and slower or coarser: the first that fits is sought by halves.
        first = bisect_left(settings, True, key=lambda changes: _try(spec, device, of, changes) is not None)
        if first < len(settings) and (mend := _try(spec, device, of, settings[first])):
            mends.append(mend)
    return min(
        mends,
        key=lambda mend: ("grid_size" in mend.changes, len(mend.changes), mend.estimate.interval),
        default=None,
    )


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
    # On a periodic grid whole windows.
    parts = [layer.banks if layer.periodic else 1 for layer in spec.layers]
    smaller = (
        [max(part, (size >> shift) // part * part) for size, part in zip(sizes, parts, strict=True)]
        for shift in range(1, max(sizes).bit_length())
    )
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


def _find_larger(spec: LearnerSpec, device: Device, of: _Estimates) -> Mend | None:
    """The smallest device that it fits as it is."""
    parts = (Device.parse(name) for name in DEVICES)
    mends = (_try(spec, part, of, {}) for part in parts if part.lut > device.lut)
    return next((mend for mend in mends if mend is not None), None)
