"""A regression that is learned online, as an estimator. Needs the extra ``sklearn``."""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin

from ..arrays import Reals
from ..errors import InputError, cut
from .online_estimator import OnlineEstimator
from .refusals import unless_refused, validate_unmasked
from .river_bases import RiverRegressor
from .river_samples import FeatureDict, check_features, check_values, to_scalable
from .scaling import check_scalable


class KANRegressor(RegressorMixin, OnlineEstimator, RiverRegressor):  # type: ignore[misc]
    """A regression that is learned online in fixed point, as the hardware does it.

    Without hidden layers it is an additive model: a sum of one spline curve for each feature.

    The weight of a sample scales its step, by the learning rate registers: :meth:`kanrtl.Session.learn_many` says how
    it is rounded, and what becomes of weights above what a register holds. A weight of 1 is the sample without any, to
    the bit. A sample whose weight is 0 changes nothing; in the running scales every other one counts once.

    Parameters
    ----------
    hidden_layer_sizes
        Nodes of every hidden layer; at most three layers.
    grid_size, spline_order
        Cells and order of every layer's splines; the grid reaches two deviations to either side of the mean, and values
        beyond count as its ends.
    linear
        Whether every curve has a straight line beside it, which goes on beyond the grid. Its rate follows from the
        learning rate: ``spec={"linear_rate": ...}`` sets another.
    learning_rate
        The share of a sample's error that its step removes, where there is no hidden layer: for that the spec's
        learning rate is this divided by a layer's inputs and by the mean sum of squares of its basis.
    epochs
        How often :meth:`fit` goes through the samples.
    horizon
        Over how many samples the scales run; None: over all.
    backend
        As for :func:`kanrtl.connect`; ``"auto"`` is ``"compiled"``, or where there is no C++ compiler ``"model"``,
        with a warning. Results are the same to the bit.
    spec
        Further fields of :class:`kanrtl.LearnerSpec`, such as ``{"update_rounding": "stochastic"}``; they take
        precedence.
    random_state
        Seed of initial coefficients, rounding noise, and the order of samples in :meth:`fit`.
    verbose
        Whether :meth:`fit` shows its progress.

    Attributes
    ----------
    n_features_in_, feature_names_in_, n_samples_seen_
        As in scikit-learn.
    session_ : kanrtl.Session
        The learner.
    """

    _loss = "squared"
    _scaled_targets = True
    _saved = ("_names", "_seed", "_flat")
    _flat: bool

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from samples ``(n, n_in)`` and targets ``(n,)`` or ``(n, n_out)``, forgetting what was before.

        ``sample_weight``, ``(n,)`` or one number, scales the steps.
        """
        with unless_refused(self, "_learner"):
            x, target = self._validate(X, y, first=True)
            weights, epochs = self._check_trained(sample_weight, x), self._check_epochs()
            self._start_for_array(x, target.shape[1], weights)
        self._train(x, target, weights, epochs)
        return self

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from samples one after another, once; the same as :meth:`learn_one` for each."""
        first = not self.__sklearn_is_fitted__()
        with unless_refused(self, "_learner"):
            x, target = self._validate(X, y, first=first)
            weights = self._check_weights(sample_weight, x)
            if first:
                self._start_for_array(x, target.shape[1], weights)
        self._learner.learn(self._by_number(x), target, weights)
        return self

    def predict(self, X: Any) -> Reals:  # noqa: N803
        """Predictions for samples ``(n, n_in)``, of the shape that targets had."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat else outputs

    def _validate(self, X: Any, y: Any, *, first: bool) -> tuple[Reals, Reals]:  # noqa: N803
        x, target = validate_unmasked(
            self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", multi_output=True, y_numeric=True, reset=first
        )
        flat = target.ndim == 1
        target = target.astype(np.float64).reshape(len(x), -1)
        check_scalable("X", x, first=first)
        check_scalable("y", target, first=first)
        if first:
            self._flat = flat
        elif flat != self._flat or target.shape[1] != self._n_out:
            was = "(n,)" if self._flat else f"(n, {self._n_out})"
            raise InputError(f"y: shape {np.shape(y)}; must be {was}, as at first")
        return x, target

    @property
    def _n_out(self) -> int:
        return self._learner.session.spec.n_out

    def learn_one(self, x: FeatureDict, y: float, w: float = 1.0) -> None:
        """Learn from one sample, whose weight ``w`` scales the step.

        A feature that is missing, None or NaN counts as its mean; one that has not been seen before becomes a new
        input. Raises :exc:`InputError` where a value is no number, or the estimator has several outputs.
        """
        without = "leave the sample out"
        target = to_scalable("y", y, ("give a number, or classes to KANClassifier", without))
        if math.isnan(target):
            raise InputError(f"y = {cut(y)}: not a number; {without}")
        weight = self._check_weight(w)
        if weight == 0:
            (check_values if self.__sklearn_is_fitted__() else check_features)(x)
            return
        if not self.__sklearn_is_fitted__():
            check_features(x)
            self._flat = True
            self._start_for_dict(x, 1, weight)
        else:
            self._check_single()
        self._put_taught(x)
        self._learner.learn_row(np.array([target]), weight)

    def predict_one(self, x: FeatureDict) -> float:
        """The prediction for one sample; zero before anything has been learned."""
        if not self.__sklearn_is_fitted__():
            return 0.0
        self._check_single()
        self._put(x)
        return float(self._learner.predict_row()[0])

    def _check_single(self) -> None:
        if self._n_out != 1:
            raise InputError(f"learn_one and predict_one: this estimator has {self._n_out} outputs; use partial_fit")

    def _output_scale(self) -> tuple[Reals, Reals]:
        targets = self._learner.targets
        assert targets is not None
        flat = np.flatnonzero(targets.deviation == 0)
        if len(flat):
            which = f" of output {flat[0]}" if len(targets.mean) > 1 else ""
            raise InputError(f"freeze: every target{which} so far is {targets.mean[flat[0]]:g}; learn others")
        return targets.deviation, targets.mean

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
