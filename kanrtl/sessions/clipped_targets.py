"""What is taught and does not fit its format: it is clipped, counted, and warned of once."""

from __future__ import annotations

from ..arrays import Reals
from ..errors import LearningWarning, warn_user
from ..learner.losses import find_loss
from ..learner.spec import LearnerSpec
from ..numeric.fixed import Format


class ClippedTargets:
    """Counts targets, or gradients that a teacher gives, beyond their format; the first of them is warned of.

    Parameters
    ----------
    format
        The format of what is taught.
    field, mend
        What is given, and how more of it fits.

    Attributes
    ----------
    count
        How many there were.
    """

    def __init__(self, format: Format, field: str, mend: str) -> None:
        self._format = format
        self._field = field
        self._mend = mend
        self._warned = False
        self.count = 0

    @classmethod
    def of(cls, spec: LearnerSpec) -> ClippedTargets:
        """Those of a learner."""
        field, mend = "target", "set target_range in the spec to the lowest and the highest target"
        if find_loss(spec.loss).takes_gradients:
            field, mend = "gradient", "set gradient_format in the spec with more integer bits"
        elif given := [name for name in ("output_format", "activation_format") if getattr(spec, name) is not None]:
            mend = f"{given[0]} of the spec is given: add integer bits, or leave it out and set target_range"
        return cls(spec.target_format, field, mend)

    def note(self, count: int, reals: Reals) -> None:
        """Count ``count`` of them, which are among ``reals``."""
        self.count += count
        if self._warned or not count:
            return
        self._warned = True
        format = self._format
        lowest, highest = format.to_float([format.minimum, format.maximum]).tolist()
        first = reals[format.is_beyond(format.nearest(reals))].flat[0]
        warn_user(
            f"{self._field} = {first:g}: clipped to what {format} holds, {lowest:g} to {highest:g}; {self._mend}. "
            "Further ones are counted in status, and not warned of",
            LearningWarning,
        )
