"""What training makes small: losses over the outputs, and penalties over the weights."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ...arrays import Reals, as_array
from ...errors import InputError, cut
from .calibration import rows_of

_TINY = 1e-8


class TrainingLoss(Protocol):
    """What is made small, for outputs ``(n, n_out)`` and targets."""

    def __call__(self, outputs: Reals, targets: npt.NDArray[Any], weights: Reals | None = None) -> tuple[float, Reals]:
        """Give the mean over the samples, each times its weight ``(n,)``, and its gradient ``(n, n_out)``."""


def _average(each: Reals, gradient: Reals, weights: Reals | None) -> tuple[float, Reals]:
    """Give the mean of a loss, of which there is one for ``each`` sample, and its gradient."""
    if weights is not None:
        each, gradient = weights * each, weights[:, None] * gradient
    return float(each.mean()), gradient / len(each)


def _squared(outputs: Reals, targets: npt.NDArray[Any], weights: Reals | None = None) -> tuple[float, Reals]:
    error = outputs - targets
    return _average((error**2).sum(axis=1) / 2, error, weights)


def _cross_entropy(outputs: Reals, targets: npt.NDArray[Any], weights: Reals | None = None) -> tuple[float, Reals]:
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    rows = np.arange(len(outputs))
    gradient = np.exp(shifted) / total
    gradient[rows, targets] -= 1
    return _average(np.log(total[:, 0]) - shifted[rows, targets], gradient, weights)


def _logistic(outputs: Reals, targets: npt.NDArray[Any], weights: Reals | None = None) -> tuple[float, Reals]:
    signed = np.where(targets == 1, outputs, -outputs)
    return _average(np.logaddexp(0, -signed).sum(axis=1), 0.5 * (1 + np.tanh(outputs / 2)) - targets, weights)


LOSSES: dict[str, TrainingLoss] = {"squared": _squared, "cross_entropy": _cross_entropy, "logistic": _logistic}
"""The losses by name. ``squared`` is half the squared error, with targets ``(n, n_out)``; ``cross_entropy`` is that of
the softmax, whose targets are classes ``(n,)``; ``logistic`` has targets ``(n, n_out)`` that are zeros and ones."""


def check_targets(field: str, loss: str, y: npt.ArrayLike, rows: int, n_out: int) -> npt.NDArray[Any]:
    """Check the targets of ``rows`` samples, as the loss takes them.

    Raises
    ------
    InputError
        If there is no such loss, or the targets do not fit it, by the name ``field``.
    """
    if loss not in LOSSES:
        raise InputError(f"loss = {loss!r}: must be one of {', '.join(map(repr, LOSSES))}")
    array = as_array(
        field, y, f"{rows} integers, the classes" if loss == "cross_entropy" else f"shape ({rows}, {n_out})"
    )
    if loss == "cross_entropy":
        if array.shape != (rows,) or array.dtype.kind not in "iu":
            raise InputError(f"{field}: shape {array.shape}, type {array.dtype}; give {rows} integers, the classes")
        if array.min() < 0 or array.max() >= n_out:
            raise InputError(f"{field}: classes from {array.min()} to {array.max()}; must lie within 0 and {n_out - 1}")
        return array
    reals = rows_of(field, array.reshape(rows, -1) if array.shape == (rows,) else array, n_out)
    if len(reals) != rows:
        raise InputError(f"{field}: {len(reals)} rows for {rows} samples; give one for each")
    if loss == "logistic" and not np.isin(reals, (0, 1)).all():
        raise InputError(f"{field}: not all zeros and ones; give these for the logistic loss")
    return reals


def check_penalty(field: str, value: Any) -> None:
    """Raise :exc:`InputError`, which names ``field``, where something cannot be a weight of a penalty."""
    if not (isinstance(value, Real) and float(value) >= 0 and math.isfinite(value)):
        raise InputError(f"{field} = {cut(value)}: must be a number, 0 or more")


@dataclass(frozen=True)
class Penalty:
    """What is added to the loss, of the weights of every edge (its coefficients and its base weight).

    Attributes
    ----------
    l2 : float
        The weight of half the sum of their squares.
    l1 : float
        The weight of the sum of the edges' magnitudes, each the root of the sum of its squares: whole edges vanish
        (group lasso).
    entropy : float
        The weight of the entropy of the edges' shares in the sum of magnitudes of their layer, as in pykan: few edges
        remain.
    """

    l2: float = 0.0
    l1: float = 0.0
    entropy: float = 0.0

    def __post_init__(self) -> None:
        for field, value in vars(self).items():
            check_penalty(f"penalty.{field}", value)

    def add(self, weights: Reals, gradient: Reals) -> float:
        """Give the penalty of one layer's weights ``(n_out, n_in, weights)``, and add its gradient to ``gradient``."""
        loss = 0.0
        if self.l2:
            loss += self.l2 / 2 * float((weights**2).sum())
            gradient += self.l2 * weights
        if self.l1 or self.entropy:
            magnitude = np.sqrt((weights**2).sum(axis=2)) + _TINY
            total = magnitude.sum()
            share = magnitude / total
            entropy = float(-(share * np.log(share)).sum())
            loss += self.l1 * float(total) + self.entropy * entropy
            slope = self.l1 - self.entropy * (np.log(share) + entropy) / total
            gradient += (slope / magnitude)[:, :, None] * weights
        return loss
