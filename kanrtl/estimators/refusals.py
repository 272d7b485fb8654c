"""What a call that is refused leaves of an estimator: all that it was before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unless_refused(estimator: Any, fitted: str) -> Iterator[None]:
    """Leave an estimator as it was where parameters or samples are refused before it is fitted anew: as long as its
    attribute ``fitted`` is what it was."""
    before = dict(estimator.__dict__)
    try:
        yield
    except BaseException:
        if estimator.__dict__.get(fitted) is before.get(fitted):
            estimator.__dict__.clear()
            estimator.__dict__.update(before)
        raise
