"""Constants of many learners side by side, along a last axis: equations that are written for one learner serve many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt

from .fixed import Codes


def stack_attributes(objects: Sequence[Any], *names: str) -> Any:
    """One object whose attributes are those of all ``objects``, as arrays."""
    return SimpleNamespace(**{name: np.array([getattr(one, name) for one in objects]) for name in names})


def stack_shifts(bits: Iterable[int]) -> Codes | None:
    """What :func:`shift_left` takes; None where nothing is shifted at all."""
    array = np.array(list(bits))
    return array if array.any() else None


def shift_left(values: npt.NDArray[Any], bits: Codes | None) -> npt.NDArray[Any]:
    """Codes with so many fraction bits more."""
    return values if bits is None else values << bits
