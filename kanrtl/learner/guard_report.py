"""What a guard says of itself."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GuardReport"]


@dataclass(frozen=True)
class GuardReport:
    """The registers of a guard, in integer codes.

    Attributes
    ----------
    fault : bool
        It has seen one, and the learner is frozen.
    seen : tuple of str
        Which of :data:`kanrtl.learner.guard_settings.SIGNATURES` were seen since the last release.
    counts : dict
        How often each was seen.
    error_sum : int
        The sum of \\|dL/dy\\| over the last window that was judged, in LSBs of the gradient.
    limits : dict
        What each of :data:`kanrtl.learner.guard_settings.LIMITS` holds.
    """

    fault: bool
    seen: tuple[str, ...]
    counts: dict[str, int]
    error_sum: int
    limits: dict[str, int]
