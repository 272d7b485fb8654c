"""What estimators refuse of samples, and what a call that is refused leaves of them: all that they were before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sklearn.utils.validation import validate_data

from ..arrays import check_at_least, check_unmasked
from ..errors import InputError, cut


def validate_unmasked(estimator: Any, X: Any, *y: Any, **options: Any) -> Any:  # noqa: N803  # scikit-learn's name
    """scikit-learn's ``validate_data``, which takes what lies below a mask of numpy's for values: raises
    :exc:`InputError` where there is one."""
    for field, values in zip(("X", "y"), (X, *y), strict=False):
        check_unmasked(field, values)
    return validate_data(estimator, X, *y, **options)


def check_hidden_sizes(given: Any, most: int | None = None) -> Sequence[int]:
    """The sizes of hidden layers, none for None, of ``most`` layers; raises :exc:`InputError` where they are none."""
    sizes: Sequence[int] = () if given is None else given
    if not isinstance(sizes, (list, tuple)):
        raise InputError(f"hidden_layer_sizes = {cut(sizes)}: must be a tuple of sizes, such as (8,), or None")
    if most is not None and len(sizes) > most:
        raise InputError(f"hidden_layer_sizes = {cut(sizes)}: are {len(sizes)} layers; give {most} at most")
    return [check_at_least(f"hidden_layer_sizes[{index}]", size, 1) for index, size in enumerate(sizes)]


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
