"""What all parts of a loop are."""

from __future__ import annotations

from typing import Any

from amaranth.lib import wiring

from ..fabric.parts import Parts
from ..learner.rtl.learner import Learner
from ..learner.spec import LearnerSpec

__all__ = ["LoopPart", "learner_members"]


class LoopPart(wiring.Component):  # type: ignore[misc]
    """A component that says what it takes. It may be made for its integer model, or to be counted, alone."""

    _MustUse__silence = True
    """Amaranth's own mark of what need not become hardware, which it has for nobody else: a warning is of no use to who
    wants the model."""

    def count(self, parts: Parts) -> None:
        """Count what it takes."""
        raise NotImplementedError


def learner_members(spec: LearnerSpec) -> Any:
    """The members of a learner's signature."""
    learner = Learner(spec)
    learner._MustUse__silence = True  # as above
    return learner.signature.members
