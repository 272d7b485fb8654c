"""The kinds of baselines: what the model and the hardware of a spec are, and what they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from ..errors import InputError, SpecError, check_kind, join_choices
from ..fabric.device import Device
from ..fabric.families import FAMILIES
from ..fabric.parts import Parts
from ..learner.estimate.estimate import Estimate, estimate_parts
from .baseline_model import BaselineModel
from .baseline_spec import BaselineSpec
from .lms_model import LmsModel
from .lms_spec import LmsSpec
from .mlp_model import MlpModel
from .mlp_spec import MlpSpec
from .rtl.folded_mlp_learner import FoldedMlpLearner, count_folded_mlp_learner
from .rtl.lms_learner import LmsLearner, count_lms_learner
from .rtl.mlp_learner import MlpLearner, count_mlp_learner


@dataclass(frozen=True)
class _Kind:
    model: Callable[[Any], BaselineModel]
    learner: Callable[[Any], Any]
    count: Callable[[Parts, Any], None]


def _create_mlp(spec: MlpSpec) -> MlpLearner | FoldedMlpLearner:
    return FoldedMlpLearner(spec) if spec.folded else MlpLearner(spec)


def _count_mlp(parts: Parts, spec: MlpSpec) -> None:
    (count_folded_mlp_learner if spec.folded else count_mlp_learner)(parts, spec)


_KINDS: dict[type[BaselineSpec], _Kind] = {
    LmsSpec: _Kind(LmsModel, LmsLearner, count_lms_learner),
    MlpSpec: _Kind(MlpModel, _create_mlp, _count_mlp),
}


def baseline_from_dict(content: Mapping[str, Any]) -> BaselineSpec:
    """The spec whose :meth:`~.BaselineSpec.to_dict` gave ``content``.

    Raises :exc:`SpecError` for another kind, for fields that it does not have, and for want of one.
    """
    kinds = {kind.__name__: kind for kind in _KINDS}
    if not isinstance(content, Mapping):
        raise SpecError.of("content", content, "must be a mapping of names to values")
    given = {name: value for name, value in content.items() if name != "kind"}
    name = content.get("kind")
    if not isinstance(name, str) or name not in kinds:
        raise SpecError.of("kind", name, f"must be {join_choices(map(repr, kinds))}")
    known = {field.name: field.default for field in fields(kinds[name])}
    for field, value in given.items():
        if field not in known:
            raise SpecError.of(str(field), value, f"no field of {name}; leave it out")
    for field, default in known.items():
        if default is MISSING and field not in given:
            raise SpecError(f"{field}: is missing, and {name} needs it; give it")
    return kinds[name](**given)


def _find_kind(spec: BaselineSpec) -> _Kind:
    check_kind("spec", spec, tuple(_KINDS), "the spec of a baseline")
    return _KINDS[type(spec)]


def create_model(spec: BaselineSpec) -> BaselineModel:
    """The integer model of a baseline."""
    return _find_kind(spec).model(spec)


def create_learner(spec: BaselineSpec) -> Any:
    """The hardware of a baseline, an Amaranth component."""
    return _find_kind(spec).learner(spec)


def check_memory(spec: BaselineSpec, device: Device) -> None:
    """Raise :exc:`InputError` where a device has no memory in LUTs, and a folded perceptron asks for it."""
    family = FAMILIES[device.family]
    if isinstance(spec, MlpSpec) and spec.folded and spec.memory == "distributed" and not family.blocks.distributed:
        raise InputError(f"memory = 'distributed': {family.title} has no distributed memory; set it to \"block\"")


def estimate_baseline(spec: BaselineSpec, device: str | Device) -> Estimate:
    """What a baseline takes of a device, as :meth:`kanrtl.LearnerSpec.estimate` says it of a learner.

    LUTs and flip-flops are what its parts cost in the baselines that have been built of a family; where none has, what
    they cost in learners, and the margin is the wide one. Raises :exc:`BuildError` for an unknown device, and
    :exc:`InputError` where it has no such memory as the spec asks for.
    """
    part = Device.of(device)
    check_memory(spec, part)
    return estimate_parts(spec, part, count_baseline(spec, part), "baselines")


def count_baseline(spec: BaselineSpec, part: Device) -> Parts:
    """Count the parts of a baseline on a device."""
    parts = Parts(FAMILIES[part.family].blocks, multiplies=bool(part.dsp))
    _find_kind(spec).count(parts, spec)
    return parts
