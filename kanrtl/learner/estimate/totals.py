"""The totals: what a learner is made of, counted beside its components."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...fabric.blocks import Family
from ...fabric.parts import Parts
from ..losses import find_loss
from ..rtl.folded_layer import count_folded_layer
from ..rtl.layer import count_layer
from ..rtl.learner import count_learner

if TYPE_CHECKING:
    from ..spec import LearnerSpec

__all__ = ["count_parts"]


def count_parts(spec: LearnerSpec, family: Family, *, multiplies: bool, reached: bool = True) -> Parts:
    """Counts the parts of a learner.

    ``multiplies``: whether products that are left to synthesis get multipliers; ``reached``: whether anything looks at
    a prediction, or reaches for a coefficient or a register. Synthesis removes what would serve nothing.
    """
    parts = Parts(family, multiplies=multiplies)
    for plan in spec.plans:
        parts.counts["layer"] += 1
        predicts = reached or plan.index < spec.n_layers - 1 or find_loss(spec.loss).reads_outputs
        (count_folded_layer if spec.folded else count_layer)(parts, plan, predicts=predicts)
    count_learner(parts, spec, reached=reached)
    return parts
