"""Where a learner runs. Every backend gives the same bits for the same calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .base import Backend

if TYPE_CHECKING:
    from ..spec import LearnerSpec

__all__ = ["BACKENDS", "Backend"]


def _model(spec: LearnerSpec) -> Backend:
    from .model import ModelBackend

    return ModelBackend(spec)


def _pysim(spec: LearnerSpec) -> Backend:
    from .pysim import PysimBackend

    return PysimBackend(spec)


BACKENDS: dict[str, Callable[[LearnerSpec], Backend]] = {"model": _model, "pysim": _pysim}
"""How to start a backend, by its name; each imports what it needs only then."""
