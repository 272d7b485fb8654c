"""The members of a learner, as those see them who stand between it and its user."""

from __future__ import annotations

from typing import Any

from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Out

from ..spec import LearnerSpec
from .access import AccessPort

__all__ = ["learner_members"]


def learner_members(spec: LearnerSpec) -> dict[str, Any]:
    """The members of a learner, without those of its guard: see :class:`.Learner`."""
    formats = spec.formats
    x = data.ArrayLayout(formats.input, spec.n_in)
    y = data.ArrayLayout(formats.output, spec.n_out)
    target = data.ArrayLayout(spec.target_format, spec.n_out)
    after = spec.timing.after_prediction
    sample = {"x": x, "learn": 1} if after else {"x": x, "target": target, "learn": 1}
    members: dict[str, Any] = {
        "samples": In(stream.Signature(data.StructLayout(sample))),
        "predictions": Out(stream.Signature(y, always_ready=spec.timing.streaming)),
        "access": In(AccessPort(spec)),
        "freeze": In(1),
        "updated": Out(1),
        "gradient": Out(data.ArrayLayout(formats.layers[-1].gradient, spec.n_out)),
    }
    if after:
        members["teaching"] = In(stream.Signature(target))
    return members
