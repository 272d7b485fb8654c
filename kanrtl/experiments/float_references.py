"""What engineers use instead: linear adaptive filters and a polynomial, on the same samples, in the same order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np

from ..arrays import Reals
from ..progress import Progress
from ..sim.recording import Recording

MOST_TERMS = 66  # ten inputs in degree 2
"""Of a polynomial with products of its inputs: padasip's RLS takes the cube of it for each sample."""

MOST_WEIGHTS = 160
"""Of a filter with RLS, for the same reason."""

NLMS_RATES = (0.01, 0.03, 0.1, 0.3, 1.0)

RLS_FORGETTING = (0.99, 0.999, 0.9999, 1.0)

CHOSEN_BY = 8192
"""As many samples at the end of the first part settings are chosen by, at most."""

_PART = 4096
"""Samples that a filter takes in one call, in which it keeps all its weights for each."""


@dataclass(frozen=True)
class FloatReference:
    """A method and what it predicted.

    Attributes
    ----------
    name
        What it is called.
    setting
        Its step size or forgetting factor for each target, which was the best at the end of the first part.
    predictions
        Shape ``(samples, n_out)``, each made before its update, in the units of the recording's targets.
    """

    name: str
    setting: tuple[float, ...]
    predictions: Reals


@dataclass(frozen=True)
class _Method:
    name: str
    features: Reals
    make: Callable[[int, float], Any]
    settings: Sequence[float]


def run_float_references(recording: Recording, progress: Progress | None = None) -> tuple[FloatReference, ...]:
    """Let NLMS, RLS and a polynomial with RLS learn a recording, as far as it has not too many inputs for them.

    ``progress`` is told the name of each as it begins.
    """
    # Scaled whatever the learner is given: a step size says nothing where inputs have any unit.
    scaled = recording.normalise()
    found = []
    for method in _methods(scaled.x):
        if progress:
            progress(method.name)
        chosen, predictions = [], []
        for target in scaled.target.T:
            setting = _choose(method, target[: recording.first])
            chosen.append(setting)
            predictions.append(_run(method, setting, method.features, target))
        found.append(FloatReference(method.name, tuple(chosen), scaled.in_units(np.stack(predictions, axis=1))))
    return tuple(found)


def _methods(x: Reals) -> Iterator[_Method]:
    from padasip.filters import FilterNLMS, FilterRLS  # only here: it imports all of scipy's statistics

    ones = np.ones((len(x), 1))
    linear = np.concatenate([ones, x], axis=1)
    yield _Method("NLMS", linear, lambda n, rate: FilterNLMS(n, mu=rate, w="zeros"), NLMS_RATES)

    def rls(n: int, forgetting: float) -> Any:
        return FilterRLS(n, mu=forgetting, w="zeros")

    if linear.shape[1] > MOST_WEIGHTS:
        return
    yield _Method("RLS", linear, rls, RLS_FORGETTING)
    degree, terms = find_polynomial(x.shape[1])
    if terms:
        yield _Method(
            f"polynomial of degree {degree}, {len(terms) + 1} terms, RLS", _products(x, terms), rls, RLS_FORGETTING
        )


def find_polynomial(n_in: int) -> tuple[int, list[tuple[int, ...]]]:
    """The degree of a polynomial in so many inputs and its terms, without the constant: the inputs of each product.

    It is of degree 3, or else 2, where that has at most :data:`MOST_TERMS` terms; else it has the powers of each input
    alone, of these degrees, where they are at most :data:`MOST_WEIGHTS`, and otherwise no terms.
    """
    for degree in (3, 2):
        if comb(n_in + degree, degree) <= MOST_TERMS:
            orders = range(1, degree + 1)
            return degree, [
                term for order in orders for term in itertools.combinations_with_replacement(range(n_in), order)
            ]
    for degree in (3, 2):
        if 1 + degree * n_in <= MOST_WEIGHTS:
            return degree, [(index,) * order for order in range(1, degree + 1) for index in range(n_in)]
    return 0, []


def _products(x: Reals, terms: Sequence[tuple[int, ...]]) -> Reals:
    return np.stack([np.ones(len(x)), *(x[:, list(term)].prod(axis=1) for term in terms)], axis=1)


def _choose(method: _Method, target: Reals) -> float:
    """The setting with the least error at the end of what is known, when it has learned from as much before that."""
    known = slice(max(0, len(target) - CHOSEN_BY), len(target))
    features, target = method.features[known], target[known]
    half = len(target) // 2
    errors = [np.mean((_run(method, setting, features, target) - target)[half:] ** 2) for setting in method.settings]
    return method.settings[int(np.argmin(np.nan_to_num(errors, nan=np.inf)))]


def _run(method: _Method, setting: float, features: Reals, target: Reals) -> Reals:
    model = method.make(features.shape[1], setting)
    predictions = []
    with np.errstate(all="ignore"):  # a filter may diverge, which its errors show
        for start in range(0, len(target), _PART):
            part = slice(start, start + _PART)
            predictions.append(model.run(target[part], features[part])[0])
    return np.concatenate(predictions)
