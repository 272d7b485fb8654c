"""Arrays and numbers of numpy in a pickle, of what an inert :class:`.inert_pickle.Foreign` was to be made of."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .inert_pickle import Foreign


def make_array(thing: Foreign) -> npt.NDArray[Any] | None:
    """Give the array or, without axes, the number that a pickle holds; None where it is something else."""
    module, _, name = thing.name.rpartition(".")
    if not module.startswith("numpy.") or thing.arguments is None:
        return None
    try:
        if name == "scalar":
            kind, content = thing.arguments
            return np.frombuffer(content, _dtype(kind), count=1).reshape(())
        if name == "_reconstruct":
            _, shape, kind, fortran, content = thing.state
            return _fill(content, kind, shape, "F" if fortran else "C")
        if name == "_frombuffer":
            content, kind, shape, order = thing.arguments
            return _fill(content, kind, shape, order)
    except (ValueError, TypeError, IndexError, KeyError):
        return None  # numbers of a kind that a network does not hold, or too few of them
    return None


def _fill(content: bytes, kind: Any, shape: tuple[int, ...], order: Any) -> npt.NDArray[Any]:
    return np.frombuffer(content, _dtype(kind), count=math.prod(shape)).reshape(shape, order=order).copy()


def _dtype(thing: Foreign) -> np.dtype[Any]:
    code = thing.arguments[0] if thing.arguments else ""
    if not isinstance(code, str) or code[:1] not in "biufUc":
        raise ValueError(code)
    return np.dtype(code).newbyteorder(thing.state[1])
