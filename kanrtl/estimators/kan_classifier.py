"""A classification that is learned online, as an estimator. Needs the extra ``sklearn``."""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import cache
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted

from ..arrays import Reals, check_unmasked
from ..errors import InputError, cut
from .online_estimator import OnlineEstimator
from .refusals import unless_refused, validate_unmasked
from .river_bases import RiverClassifier
from .river_samples import FeatureDict, check_features, check_values
from .scaled_learner import OutputStart
from .scaling import check_scalable

LEAST_LOGIT = -4.0
"""A class that comes late starts from no smaller a logit, so that it is not slow to be learned."""


class KANClassifier(ClassifierMixin, OnlineEstimator, RiverClassifier):  # type: ignore[misc]
    """A classification that is learned online in fixed point, as the hardware does it, with the logistic loss.

    Two classes have one output, the logit of the second. More have one output each, one class against the rest; their
    probabilities are divided by their sum. Parameters are those of :class:`KANRegressor`.

    Classes are those that :meth:`fit` finds or :meth:`partial_fit` is told, in sorted order. :meth:`learn_one` adds
    each as it comes, by :meth:`add_class`. On a board that means another bitstream.

    Attributes
    ----------
    classes_, n_features_in_, feature_names_in_, n_samples_seen_
        As in scikit-learn.
    session_ : kanrtl.Session
        The learner.
    """

    _loss = "logistic"
    _scaled_targets = False
    _saved = ("_names", "_seed", "_labels", "_label_type")
    _labels: list[Any]
    _label_type: str

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from samples ``(n, n_in)`` and labels ``(n,)``, forgetting what was before.

        ``sample_weight``, ``(n,)`` or one number, scales the steps. A class whose samples all have the weight 0 is a
        class all the same.
        """
        with unless_refused(self, "_learner"):
            x, labels = validate_unmasked(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
            check_classification_targets(labels)
            check_scalable("X", x, first=True)
            weights, epochs = self._check_trained(sample_weight, x), self._check_epochs()
            self._start_for_classes(x, unique_labels(labels), weights)
        self._train(x, _teach(labels, self._labels), weights, epochs)
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from samples one after another, once. The first call needs to know all ``classes``."""
        first = not self.__sklearn_is_fitted__()
        with unless_refused(self, "_learner"):
            x, labels = validate_unmasked(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan", reset=first)
            check_scalable("X", x, first=first)
            check_unmasked("classes", classes)
            if first and classes is None:
                raise InputError("classes: must be given in the first call of partial_fit")
            weights = self._check_weights(sample_weight, x)
            if first:
                known = unique_labels(classes)
                _teach(labels, known.tolist())  # so that a label that is none of them starts nothing
                self._start_for_classes(x, known, weights)
            elif classes is not None and set(unique_labels(classes).tolist()) != set(self._labels):
                raise InputError(f"classes = {cut(classes)}: were {cut(self._labels)} before; leave them out")
        self._learner.learn(self._by_number(x), _teach(labels, self._labels), weights)
        return self

    def decision_function(self, X: Any) -> Reals:  # noqa: N803
        """Logits of samples ``(n, n_in)``: ``(n,)`` of the second of two classes, ``(n, classes)`` for more."""
        logits = self._outputs(X)
        return logits[:, 0] if len(self._labels) <= 2 else logits

    def predict_proba(self, X: Any) -> Reals:  # noqa: N803
        """Probabilities ``(n, classes)`` for samples ``(n, n_in)``."""
        return self._probabilities(self._outputs(X))

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """The most probable class of each of the samples ``(n, n_in)``."""
        chosen = self._choose(self._outputs(X))
        return self.classes_[chosen]

    def learn_one(self, x: FeatureDict, y: Any, w: float = 1.0) -> None:
        """Learn from one sample; features and ``w`` as in :meth:`KANRegressor.learn_one`, and a new class is added,
        unless the weight is 0."""
        y = y.item() if isinstance(y, np.generic) else y
        fitted = self.__sklearn_is_fitted__()
        if not fitted or type(y) not in (int, str) or y not in self._labels:
            _check_label("y", y)
        weight = self._check_weight(w)
        if weight == 0:
            (check_values if fitted else check_features)(x)
            return
        if not fitted:
            check_features(x)
            self._start_for_dict(x, 1, weight)
            self._set_labels([y])
        self._put_taught(x)
        if y not in self._labels:
            self.add_class(y)  # only now: the sample is good
            self._put(x)
        self._learner.learn_row(_taught_rows(len(self._labels))[self._labels.index(y)], weight)

    def predict_proba_one(self, x: FeatureDict) -> dict[Any, float]:
        """The probability of each class so far, by its label, for one sample."""
        if not self.__sklearn_is_fitted__():
            return {}
        self._put(x)
        probabilities = self._probabilities(self._learner.predict_row()[None])[0]
        return dict(zip(self._labels, probabilities.tolist(), strict=True))

    def predict_one(self, x: FeatureDict) -> Any:
        """The most probable class of one sample; None before anything has been learned."""
        if not self.__sklearn_is_fitted__():
            return None
        self._put(x)
        return self._labels[int(self._choose(self._learner.predict_row()[None])[0])]

    def add_class(self, label: Any) -> None:
        """Add a class of which there is no sample yet.

        The learner gets a new output (a third class: two, since the one of two classes is both, with one sign and the
        other) and keeps all its coefficients. Raises :exc:`InputError` where the class is known.
        """
        check_is_fitted(self)
        _check_label("add_class", label)
        if label in self._labels:
            raise InputError(f"add_class: {cut(label)} is a class already")
        if len(self._labels) >= 2:
            # As probable as one sample among all so far.
            new = OutputStart(None, bias=max(LEAST_LOGIT, -math.log(max(1, self.n_samples_seen_))))
            before = [OutputStart(0, sign=-1), OutputStart(0)] if len(self._labels) == 2 else self._learner.outputs()
            self._learner.grow(self._design, len(self._names), [*before, new])
        self._set_labels([*self._labels, label])

    def _output_stage(self) -> str:
        if len(self._labels) < 2:
            raise InputError(f"freeze: there is one class so far, {cut(self._labels[0])}; learn another")
        return "threshold" if len(self._labels) == 2 else "argmax"

    # Classes and outputs.

    def _start_for_classes(self, x: Reals, classes: npt.NDArray[Any], weights: Reals | None) -> None:
        self._start_for_array(x, len(classes) if len(classes) > 2 else 1, weights)
        self._set_labels(classes.tolist(), classes.dtype.str)

    def _set_labels(self, labels: list[Any], label_type: str | None = None) -> None:
        if label_type is None:
            alike = len({type(label) for label in labels}) == 1 and not isinstance(labels[0], tuple)
            label_type = np.array(labels).dtype.str if alike else "O"
        self._labels, self._label_type = labels, label_type
        self._complete()

    def _complete(self) -> None:
        self.classes_ = np.empty(len(self._labels), dtype=self._label_type)
        for index, label in enumerate(self._labels):  # one by one: of tuples numpy would make columns
            self.classes_[index] = label

    def _choose(self, logits: Reals) -> npt.NDArray[np.int64]:
        """The index of the most probable class of each row, as the logits tell it: the probabilities of large ones
        round to the same number."""
        if len(self._labels) > 2:
            return logits.argmax(axis=1)  # type: ignore[no-any-return]
        return (logits[:, 0] > 0).astype(np.int64) * (len(self._labels) - 1)

    def _probabilities(self, logits: Reals) -> Reals:
        probability = 1 / (1 + np.exp(-logits))
        if len(self._labels) == 1:
            return np.ones_like(probability)
        if len(self._labels) == 2:
            return np.hstack([1 - probability, probability])
        return probability / probability.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def _check_label(field: str, label: Any) -> None:
    """Raise :exc:`InputError` where something cannot be the name of a class."""
    if not isinstance(label, Hashable):
        raise InputError(f"{field} = {cut(label)}: a {type(label).__name__} cannot be a class; use numbers or strings")
    same = label == label  # not so of NaN; of what is missing in pandas nobody knows
    if label is None or not isinstance(same, (bool, np.bool_)) or not same:
        raise InputError(f"{field} = {cut(label)}: is no class; leave samples without one out")


def _teach(labels: npt.NDArray[Any], classes: list[Any]) -> Reals:
    """What the outputs are taught for ``labels``, ``(n, n_out)``; :exc:`InputError` where one is no class."""
    numbers = {label: index for index, label in enumerate(classes)}
    unknown = [label for label in labels.tolist() if label not in numbers]
    if unknown:
        raise InputError(f"y: {cut(unknown[0])} is none of the classes, {cut(classes)}")
    return _taught_rows(len(numbers))[[numbers[label] for label in labels.tolist()]]


@cache
def _taught_rows(classes: int) -> Reals:
    """What the outputs are taught for each class, ``(classes, n_out)``."""
    return np.eye(classes) if classes > 2 else np.array([[0.0], [1.0]])
