"""What a layer looks like from outside follows from its plan alone, whatever its kind."""

from __future__ import annotations

from typing import Any

import pytest

from kanrtl import LearnerSpec
from kanrtl.learner.rtl.folded_layer import FoldedLayer
from kanrtl.learner.rtl.layer import Layer
from kanrtl.learner.rtl.layer_signature import CoefficientAccess, LayerSignature
from support.components import convert
from support.layers import SMALL, plan_of

ALWAYS = {
    *("take", "update", "x", "y", "gradient", "learning_rate", "rate_written", "busy", "saturated"),
    *("access", "access_write", "access_data"),
}


@pytest.mark.parametrize(
    ("index", "fields", "more"),
    [
        (0, {}, {"total"}),
        (1, {}, {"downstream", "target", "error"}),
        (1, {"loss": "logistic", "update_rounding": "stochastic"}, {"downstream", "total", "noise"}),
        (0, {"reuse_factor": [2, 3]}, {"total"}),
        (1, {"reuse_factor": [2, 3]}, {"downstream", "total"}),
    ],
)
def test_members_follow_the_plan(index: int, fields: dict[str, Any], more: set[str]) -> None:
    plan = plan_of(index, **fields)
    initial = LearnerSpec(**SMALL | fields).initial_codes()[index]
    layer = (FoldedLayer if plan.folded else Layer)(plan, initial)
    assert isinstance(layer.signature, LayerSignature)
    assert set(layer.signature.members) == ALWAYS | more
    assert "\nmodule \\top\n" in convert(layer)


def test_access_reaches_every_coefficient() -> None:
    layer = plan_of().layer
    members = CoefficientAccess(layer).members
    shapes = [members[name].shape for name in ("output", "input", "index")]
    assert shapes == [range(layer.n_out), range(layer.n_in), range(layer.bases)]
