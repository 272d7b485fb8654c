"""When a guard says that a learner fails."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any

from ..errors import InputError, LearningWarning, cut, warn_user
from ..numeric.bits import bits_for, clog2
from ..numeric.fixed import Format

__all__ = ["LEAST_WINDOW", "LIMITS", "SIGNATURES", "WORD_BITS", "GuardSettings"]

SIGNATURES = ("divergence", "stagnation", "precision", "deadline")
"""What a guard sees, in the order of its status bits."""

LIMITS = ("error", "rails", "stagnant_error", "stagnant_lost", "imprecise", "slot")
"""The limits, in the order of the numbers by which they are set at run time; each is off where it is zero."""

LEAST_WINDOW = 8
"""Samples of a window: while so many follow, all counters of the window before have been read."""

WORD_BITS = 31
"""Bits of a limit: it is written as a signed word of 32."""


@dataclass(frozen=True)
class GuardSettings:
    """What a :class:`.Guard` looks at, and the limits that its registers begin with. A limit of 0 is off.

    Attributes
    ----------
    window : int
        Samples that are judged together.
    copy_every : int
        Healthy windows from one copy of the coefficients to the next. A copy is good when so many more were healthy.
    error : float
        Divergence: the mean over a window of the sum of the outputs' \\|dL/dy\\|, as with ``loss="squared"`` of
        \\|y - target\\|, is that or more. A sample that is only predicted counts as 0: where each is predicted first
        and taught then, as by ``predict`` and ``feedback``, the mean is half of that of the samples that teach.
    rails : int
        Divergence: so many steps of a window leave a coefficient at the end of its format.
    stagnant_error, stagnant_lost : float, int
        Stagnation: the mean is that or more, and in so many steps of the window an update rounds to nothing.
    imprecise : int
        Precision loss: the steps of a window in which an update rounds to nothing, and those in which a gradient
        saturates, are so many together.
    slot : int
        Missed deadline: clock cycles from the one in which a sample is taken to the latest for the next. None is
        awaited before the first, nor from a fault to the first after its release.
    """

    window: int = 2048
    copy_every: int = 16
    error: float = 0.0
    rails: int = 0
    stagnant_error: float = 0.0
    stagnant_lost: int = 0
    imprecise: int = 0
    slot: int = 0

    def __post_init__(self) -> None:
        power = _whole(self.window) and not self.window & (self.window - 1)
        if not power or not LEAST_WINDOW <= self.window <= 1 << 15:
            raise InputError(f"window = {cut(self.window)}: must be a power of two from {LEAST_WINDOW} to {1 << 15}")
        if not _whole(self.copy_every) or not 1 <= self.copy_every <= 1 << 15:
            raise InputError(f"copy_every = {cut(self.copy_every)}: must be an integer from 1 to {1 << 15}")
        # A step may round an update to nothing and saturate a gradient, which are both imprecise.
        for name, most in (("rails", 1), ("stagnant_lost", 1), ("imprecise", 2)):
            value = getattr(self, name)
            if not _whole(value) or not 0 <= value <= most * self.window:
                steps = f"a number of steps of a window, 0 to {most * self.window}"
                raise InputError(f"{name} = {cut(value)}: must be {steps}")
        if not _whole(self.slot) or not 0 <= self.slot < 1 << WORD_BITS:
            raise InputError(f"slot = {cut(self.slot)}: must be a number of clock cycles below {1 << WORD_BITS}")
        for name in ("error", "stagnant_error"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Real):
                raise InputError(f"{name} = {cut(value)}: must be a number")
        if bool(self.stagnant_error) != bool(self.stagnant_lost):
            raise InputError(
                f"stagnant_lost = {cut(self.stagnant_lost)}: stagnation is a high error while updates are lost; give "
                "stagnant_error and stagnant_lost, or neither"
            )

        for field in fields(self):
            # Those of numpy become plain ones, and equal ones the same: 1 and 1.0, and both zeros.
            value = getattr(self, field.name)
            try:
                plain = float(value) + 0.0 if isinstance(field.default, float) else int(value)
            except OverflowError:
                raise InputError(f"{field.name} = {cut(value)}: is higher than any error; set it lower") from None
            object.__setattr__(self, field.name, plain)

    @property
    def is_idle(self) -> bool:
        """Whether all limits are off."""
        return not any(getattr(self, name) for name in LIMITS)

    def warn(self, n_out: int, gradients: Mapping[str, float], interval: int) -> None:
        """Warn of errors that are never seen, and of a slot in which no step ends.

        Parameters
        ----------
        n_out
            How many outputs the learner has.
        gradients
            The largest dL/dy of an output, by what sets it.
        interval
            Clock cycles from taking a taught sample to taking the next.
        """
        why, largest = min(gradients.items(), key=lambda one: one[1])
        for name in ("error", "stagnant_error"):
            if n_out * largest < getattr(self, name):
                warn_user(
                    f"guard.{name} = {getattr(self, name)}: is never seen, as {why} lets errors reach "
                    f"{n_out * largest:g} at most; set it lower",
                    LearningWarning,
                )
        if 0 < self.slot < interval:
            warn_user(
                f"guard.slot = {self.slot}: ends before a step does, which takes {interval} cycles, so that every "
                "sample after it is late; set it higher",
                LearningWarning,
            )

    def codes(self, n_out: int, gradient: Format, counts: Collection[str]) -> dict[str, int]:
        """What the registers begin with; errors as sums over a window in LSBs of the gradient, rounded up.

        Parameters
        ----------
        n_out, gradient
            How many outputs the learner has, and the format of their gradients.
        counts
            What it counts besides what saturates.

        Raises
        ------
        InputError
            If it cannot be had with that learner.
        """
        if (self.stagnant_lost or self.imprecise) and "lost" not in counts:
            name = "stagnant_lost" if self.stagnant_lost else "imprecise"
            raise InputError(f'{name} = {cut(getattr(self, name))}: needs a spec with counts = ["lost"]')
        width = self.widths(n_out, gradient)["error"]
        if width > WORD_BITS:
            raise InputError(
                f"window = {cut(self.window)}: the sum of its errors has {width} bits, and may have {WORD_BITS}; take "
                "fewer samples, a smaller target_range, or a gradient_format of fewer bits"
            )
        found = {name: getattr(self, name) for name in LIMITS}
        for name in ("error", "stagnant_error"):
            real = found[name]
            highest = n_out * -gradient.minimum * gradient.lsb
            if not 0 <= real <= highest:
                raise InputError(f"{name} = {cut(real)}: the learner's errors are between 0 and {highest:g}")
            found[name] = -int(-real * self.window * 2**gradient.f // 1)
        return found

    def widths(self, n_out: int, gradient: Format) -> dict[str, int]:
        """The bits of the registers."""
        error = bits_for(n_out * -gradient.minimum * self.window)
        steps = clog2(self.window) + 2
        return dict(zip(LIMITS, (error, steps, error, steps, steps, WORD_BITS), strict=True))

    def to_dict(self) -> dict[str, Any]:
        """What is not at its default, as plain values, of which :meth:`of` makes equal settings."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default
        }

    @classmethod
    def of(cls, given: GuardSettings | dict[str, Any]) -> GuardSettings:
        """Settings, also from a table of their names; raise :exc:`InputError` where it has others."""
        if isinstance(given, GuardSettings):
            return given
        if not isinstance(given, dict):
            raise InputError(f"guard = {cut(given)}: must be a table of a guard's settings, such as {{ error = 0.5 }}")
        names = [field.name for field in fields(cls)]
        for name in given:
            if name not in names:
                raise InputError(f"{name} = {cut(given[name])}: a guard has no such setting; it has {', '.join(names)}")
        return cls(**given)


def _whole(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
