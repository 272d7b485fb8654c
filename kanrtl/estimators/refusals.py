"""What estimators refuse of samples, and what a call that is refused leaves of them: all that they were before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.utils.validation import validate_data

from ..arrays import check_unmasked


def validate_unmasked(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:  # noqa: N803  # scikit-learn's name
    """scikit-learn's ``validate_data``, which takes what lies below a mask of numpy's for values: raises
    :exc:`InputError` where there is one."""
    for field, values in zip(("X", "y"), (X, *y), strict=False):
        check_unmasked(field, values)
    return validate_data(estimator, X, *y, **options)


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
