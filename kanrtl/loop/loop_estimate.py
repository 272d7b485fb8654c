"""What a learner and the parts of a loop around it will take of a device, before they are synthesised."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError, check_kind
from ..fabric.counted_component import CountedComponent
from ..fabric.device import Device
from ..fabric.families import FAMILIES
from ..learner.estimate.estimate import Estimate, count_parts, estimate_parts
from ..learner.spec import LearnerSpec

__all__ = ["estimate_loop"]


def estimate_loop(spec: LearnerSpec, parts: Sequence[CountedComponent], device: str | Device) -> Estimate:
    """What a learner of ``spec`` and ``parts`` around it take of ``device``; cycles are those of the learner.

    Raises :exc:`BuildError` for an unknown device, :exc:`SpecError` for what it cannot have, :exc:`InputError` for what
    is no spec or no part.
    """
    check_kind("spec", spec, LearnerSpec, "a LearnerSpec")
    check_kind("parts", parts, Sequence, "a list of parts of a loop")
    for index, component in enumerate(parts):
        check_kind(f"parts[{index}]", component, CountedComponent, "a part of a loop, such as Taps")
        if getattr(component, "spec", spec) != spec:
            raise InputError(
                f"parts[{index}]: is a {type(component).__name__} of another learner; give it the same spec"
            )
    part = Device.of(device)
    spec = spec.for_device(part)
    counted = count_parts(spec, FAMILIES[part.family].blocks, multiplies=bool(part.dsp))
    for component in parts:
        component.count(counted)
    return estimate_parts(spec, part, counted)
