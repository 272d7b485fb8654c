"""What is taught and does not fit its format: it is clipped, counted, and warned of once."""

from __future__ import annotations

import warnings

from ..arrays import Reals
from ..errors import LearningWarning
from ..learner.losses import find_loss
from ..learner.spec import LearnerSpec


class ClippedTargets:
    """Counts targets, or gradients that a teacher gives, beyond their format; the first of them is warned of.

    Parameters
    ----------
    spec
        The learner.

    Attributes
    ----------
    count
        How many there were.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        self._warned = False
        self.count = 0

    def note(self, count: int, reals: Reals) -> None:
        """Count ``count`` of them, which are among ``reals``."""
        self.count += count
        if self._warned or not count:
            return
        self._warned = True
        format = self._spec.target_format
        lowest, highest = format.to_float([format.minimum, format.maximum]).tolist()
        first = reals[(reals < lowest) | (reals > highest)].flat[0]
        field, mend = self._explain()
        warnings.warn(
            f"{field} = {first:g}: clipped to what {format} holds, {lowest:g} to {highest:g}; {mend}. Further ones "
            "are counted in status, and not warned of",
            LearningWarning,
            stacklevel=5,
        )

    def _explain(self) -> tuple[str, str]:
        """What is given, and how more of it fits."""
        spec = self._spec
        if find_loss(spec.loss).takes_gradients:
            return "gradient", "set gradient_format in the spec with more integer bits"
        for field in ("output_format", "activation_format"):
            if getattr(spec, field) is not None:
                return "target", f"{field} of the spec is given: add integer bits, or leave it out and set target_range"
        return "target", "set target_range in the spec to the lowest and the highest target"
