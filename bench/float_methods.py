"""Methods in floats that learn a plant online: RLS, a Volterra filter by RLS, and a perceptron of scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from kanrtl.arrays import Reals
from kanrtl.experiments.float_references import find_polynomial

__all__ = ["FloatPerceptron", "RecursiveLeastSquares"]

MOST = 4.0
"""What is predicted is cut there, as it would be in a fixed point format: a filter may diverge."""


def _cut(prediction: Any) -> Reals:
    return np.clip(np.nan_to_num(np.atleast_1d(prediction), nan=0.0), -MOST, MOST)


class RecursiveLeastSquares:
    """Recursive least squares of padasip, one filter for each output, with a constant among the features.

    Parameters
    ----------
    n_in, n_out
        Inputs and outputs.
    forgetting
        How much of the past is kept from sample to sample.
    volterra
        Whether the features are all products of inputs up to the third degree, or the second where these are too many.
    """

    def __init__(self, n_in: int, n_out: int, *, forgetting: float, volterra: bool = False) -> None:
        from padasip.filters import FilterRLS  # only here: it imports all of scipy's statistics

        terms = find_polynomial(n_in)[1] if volterra else [(index,) for index in range(n_in)]
        self._terms = [list(term) for term in terms]
        self._filters = [FilterRLS(len(terms) + 1, mu=forgetting, w="zeros") for _ in range(n_out)]

    def _features(self, x: Any) -> Reals:
        return np.array([1.0, *(np.prod(np.asarray(x)[term]) for term in self._terms)])

    def predict(self, x: Any) -> Reals:
        """The prediction ``(n_out,)``."""
        features = self._features(x)
        return _cut([one.predict(features) for one in self._filters])

    def learn(self, x: Any, target: Any) -> Reals:
        """Take one step; the prediction before it."""
        features, found = self._features(x), self.predict(x)
        for one, wanted in zip(self._filters, target, strict=True):
            one.adapt(float(wanted), features)
        return found


class FloatPerceptron:
    """A perceptron of scikit-learn that is taught one sample at a time by stochastic gradient descent.

    Parameters
    ----------
    n_in, n_out
        Inputs and outputs.
    rate
        The learning rate.
    activation
        ``"relu"`` or ``"tanh"``.
    hidden
        Hidden nodes.
    """

    def __init__(self, n_in: int, n_out: int, *, rate: float, activation: str, hidden: int = 16) -> None:
        from sklearn.neural_network import MLPRegressor  # only here: an extra, and slow to import

        self._n_out = n_out
        self._model = MLPRegressor(
            hidden_layer_sizes=(hidden,),
            activation=activation,
            solver="sgd",
            learning_rate_init=rate,
            momentum=0.0,
            alpha=0.0,
            random_state=0,
        )
        self._diverged = False
        self._teach(np.zeros(n_in), np.zeros(n_out))  # which makes its weights

    def predict(self, x: Any) -> Reals:
        """The prediction ``(n_out,)``; :data:`MOST` once it has diverged."""
        if self._diverged:
            return np.full(self._n_out, MOST)
        return _cut(self._model.predict(np.asarray(x)[None]).reshape(-1))

    def learn(self, x: Any, target: Any) -> Reals:
        """Take one step; zeros, as nothing asks for the prediction before it."""
        self._teach(np.asarray(x), np.asarray(target))
        return np.zeros(self._n_out)

    def _teach(self, x: Reals, target: Reals) -> None:
        try:
            self._model.partial_fit(x[None], target[None] if self._n_out > 1 else target)
        except ValueError as error:  # its own words for weights that are not finite
            if "non-finite" not in str(error):
                raise
            self._diverged = True
