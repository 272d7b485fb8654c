"""Where a learner runs. Every backend gives the same bits for the same calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .base import Backend

if TYPE_CHECKING:
    from ..spec import LearnerSpec
    from ..toolchain import Progress
    from .trace import Trace

__all__ = ["BACKENDS", "Backend", "Start"]

Start = Callable[["LearnerSpec", "Trace | None", "Progress | None"], Backend]
"""Starts a learner, maybe traced; tells what takes a while."""


def _model(spec: LearnerSpec, trace: Trace | None, _: Progress | None) -> Backend:
    from .model import ModelBackend
    from .trace import TraceError

    if trace is not None:
        raise TraceError('trace: backend "model" has no signals; use "pysim" or "native"')
    return ModelBackend(spec)


def _pysim(spec: LearnerSpec, trace: Trace | None, _: Progress | None) -> Backend:
    from .pysim import PysimBackend

    return PysimBackend(spec, trace)


def _native(spec: LearnerSpec, trace: Trace | None, progress: Progress | None) -> Backend:
    from .native import NativeBackend

    return NativeBackend(spec, trace, progress)


BACKENDS: dict[str, Start] = {"model": _model, "pysim": _pysim, "native": _native}
"""How to start a backend, by its name; each imports what it needs only then."""
