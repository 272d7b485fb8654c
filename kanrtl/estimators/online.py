"""Learners as estimators: scikit-learn's API and river's, on any backend.

One class has both faces, since both are thin: each gives rows of numbers to the same
:class:`~kanrtl.estimators.scaled_learner.OnlineLearner`, which scales them and runs a session. scikit-learn is needed;
where river is installed the classes are also river's, so that its pipelines, metrics and evaluation take them. What one
face has taught, the other predicts from: a column of scikit-learn's is a feature of river's by its name, or by its
number where columns have no names.

Scaling (:mod:`kanrtl.estimators.scaling`) is part of an estimator, done in floats on the host before values are
rounded to the formats of the hardware: inputs, and targets of a regression, to running mean zero and deviation one.
"""

from __future__ import annotations

import importlib.util
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from ..errors import InputError
from ..files import read_arrays, write_arrays
from ..learner.losses import find_loss
from ..learner.spec import LearnerSpec
from ..learner.stages import rename_presets
from ..numeric.fixed import Format
from ..sessions.learner_session import Session
from .scaled_learner import Node, OnlineLearner
from .scaling import RunningScale

if TYPE_CHECKING:
    from ..transfer.freeze import Frozen

__all__ = ["KANClassifier", "KANRegressor"]

if importlib.util.find_spec("river") is None:

    class _RiverRegressor:
        """Nothing, without river."""

    class _RiverClassifier:
        """Nothing, without river."""

else:
    from river.base import Base, Classifier, Regressor

    class _River(Base):
        """Where river's base and scikit-learn's get in each other's way."""

        def _get_params(self) -> dict[str, Any]:
            """river's clone takes a tuple for one of its own and stumbles over an empty one; None means the same
            here."""
            return {name: None if value == () else value for name, value in super()._get_params().items()}

        @property
        def _tags(self) -> set[str]:
            """None; river collects them with a method whose name scikit-learn 1.6 has too."""
            return set()

    class _RiverRegressor(_River, Regressor):  # type: ignore[no-redef]
        """What river knows a regressor by."""

    class _RiverClassifier(_River, Classifier):  # type: ignore[no-redef]
        """What river knows a classifier by."""

        @property
        def _multiclass(self) -> bool:
            return True


Reals = npt.NDArray[np.float64]

Features = Mapping[Any, Any]

BASIS_ENERGY = {1: 2 / 3, 2: 11 / 20, 3: 151 / 315}
"""The mean of the sum of squares of all bases, by spline order: how far an edge's output moves for a step of one."""

LEAST_LOGIT = -4.0
"""A class that comes late starts from no smaller a logit, so that it is not slow to be learned."""

FROM_DATA = ("layer_sizes", "loss", "seed")

FILE_FORMAT = 1


class _KANEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no type information
    """What both estimators have in common.

    ``_learner`` is None until the first sample has come; ``_names`` are the features in the order of the inputs.
    """

    _loss: ClassVar[str]
    _scaled_targets: ClassVar[bool]
    _saved: ClassVar[tuple[str, ...]] = ("_names", "_seed")
    _learner: OnlineLearner
    _names: list[Any]

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] | None = None,
        *,
        grid_size: int = 8,
        spline_order: int = 3,
        learning_rate: float = 0.3,
        epochs: int = 20,
        horizon: int | None = None,
        backend: str = "model",
        spec: dict[str, Any] | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.grid_size = grid_size
        self.spline_order = spline_order
        self.learning_rate = learning_rate
        self.epochs = epochs
        self.horizon = horizon
        self.backend = backend
        self.spec = spec
        self.random_state = random_state
        self.verbose = verbose

    # The learner.

    def _design(self, n_in: int, n_out: int) -> LearnerSpec:
        """The spec for these numbers of inputs and outputs."""
        given = self.spec or {}
        if not isinstance(given, Mapping):
            raise InputError(f"spec = {given!r}: must be a dict of fields of LearnerSpec")
        for field in FROM_DATA:
            if field in given:
                raise InputError(f"spec[{field!r}]: follows from the data and the other parameters; leave it out")
        hidden = () if self.hidden_layer_sizes is None else self.hidden_layer_sizes
        if not isinstance(hidden, (list, tuple)):
            raise InputError(f"hidden_layer_sizes = {hidden!r}: must be a tuple of sizes, such as (8,), or None")
        sizes = [n_in, *hidden, n_out]
        rate = _checked("learning_rate", self.learning_rate, Real, "above 0", lambda value: value > 0)
        order = self.spline_order
        fields: dict[str, Any] = {
            "layer_sizes": sizes,
            "grid_range": (-2.0, 2.0),
            "grid_size": self.grid_size,
            "spline_order": order,
            "loss": self._loss,
            "seed": self._seed,
        }
        if order in BASIS_ENERGY and "learning_rate" not in given:
            curvature = find_loss(self._loss).curvature
            fields["learning_rate"] = [float(rate) / (BASIS_ENERGY[order] * curvature * size) for size in sizes[:-1]]
        return LearnerSpec(**fields | dict(given))

    def _start(self, names: Iterable[Any], n_out: int) -> None:
        """A learner that has learned nothing; the one before it ends."""
        horizon = self.horizon
        if horizon is not None:
            horizon = int(_checked("horizon", horizon, Integral, "2 or more", lambda value: value >= 2))
        names = list(names)
        self._seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        targets = RunningScale(n_out, horizon) if self._scaled_targets else None
        self._design(len(names), n_out)  # so that what cannot be built leaves the learner before as it is
        self.close()
        self._learner = OnlineLearner(self._design, RunningScale(len(names), horizon), targets, n_out, self.backend)
        self._names = names

    @property
    def session_(self) -> Session:
        """The running learner: its coefficients, status, and registers. What goes in and out of it is scaled."""
        check_is_fitted(self)
        return self._learner.session

    @property
    def n_samples_seen_(self) -> int:
        """The most samples that any feature had a value in."""
        check_is_fitted(self)
        return int(self._learner.inputs.count.max())

    def close(self) -> None:
        """Ends the learner, for backends that hold a device; it has to be fitted anew to be used."""
        if self.__sklearn_is_fitted__():
            self._learner.session.close()
            del self._learner

    def freeze(
        self,
        bits: int | Sequence[int] | None = None,
        *,
        X: Any = None,  # noqa: N803
        guard_bits: int | None = None,
    ) -> Frozen:
        """What has been learned as a :class:`kanrtl.LookupNetwork` of samples and predictions as they are, unscaled.

        A classifier's network gives classes, as their places in ``classes_``. ``X`` is what the error is measured with,
        of a classifier that of its decision function; the others as for :func:`kanrtl.transfer.freeze`.
        """
        from ..transfer import freeze
        from ..transfer.freeze import Scaling

        check_is_fitted(self)
        x = None if X is None else validate_data(self, X, dtype=np.float64, reset=False)
        session = self._learner.session
        scaling, output = Scaling(*self._learner.inputs.affine(), *self._output_scale()), self._output_stage()
        frozen = freeze(session.spec, session.coefficients, bits, guard_bits=guard_bits, x=x, scaling=scaling)
        return replace(frozen, network=frozen.network.with_output(output))

    def _output_stage(self) -> str:
        """That of a frozen network."""
        return "raw"

    def _output_scale(self) -> tuple[float, float]:
        """What an output of the learner counts, and what is added."""
        targets = self._learner.targets
        if targets is None:
            return 1.0, 0.0
        if len(targets.mean) != 1:
            raise InputError(
                f"freeze: {len(targets.mean)} outputs, each with a scale of its own, and a network has one; freeze "
                f"session_, which has none, and scale what it gives"
            )
        if not targets.deviation[0]:
            raise InputError(f"freeze: every target so far is {targets.mean[0]:g}; learn others")
        return float(targets.deviation[0]), float(targets.mean[0])

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_learner")

    # Arrays, scikit-learn's face.

    def _first(self, x: Reals, n_out: int) -> None:
        """Starts for samples as they come in an array that has been validated."""
        self._start(getattr(self, "feature_names_in_", range(x.shape[1])), n_out)

    def _train(self, x: Reals, target: Reals) -> None:
        epochs = int(_checked("epochs", self.epochs, Integral, "1 or more", lambda value: value >= 1))
        # A seed of its own: that of the coefficients was drawn first.
        random = check_random_state(self._seed)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, disable=not self.verbose) as bar:
            task = bar.add_task("epochs", total=epochs)
            for done in self._learner.train(x, target, epochs, random):
                bar.update(task, completed=done)

    def _outputs(self, X: Any) -> Reals:  # noqa: N803  # scikit-learn's name
        check_is_fitted(self)
        return self._learner.predict(validate_data(self, X, dtype=np.float64, reset=False))

    # Dicts, river's face.

    def _row(self, x: Features) -> Reals:
        """The features of one sample in the order of the inputs, NaN where one is missing; others are left out."""
        return np.array([[_number(f"x[{name!r}]", x.get(name)) for name in self._names]])

    def _first_one(self, x: Features, n_out: int) -> None:
        """Starts for samples like this one; in sorted order, so that the order of a dict does not matter."""
        self._start(_in_order(x), n_out)
        self._name_features()

    def _grow_features(self, x: Features, nodes: list[Node]) -> None:
        """Takes on features that have not been seen before."""
        new = _in_order(set(x).difference(self._names))
        if new:
            _check_numbers(x)
            self._learner.grow(self._design, len(self._names) + len(new), nodes)
            self._names = [*self._names, *new]
            self._name_features()

    def _name_features(self) -> None:
        self.n_features_in_ = len(self._names)
        if all(isinstance(name, str) for name in self._names):
            self.feature_names_in_ = np.array(self._names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    # Files.

    def __setstate__(self, state: dict[str, Any]) -> None:
        """From a pickle, which a former version may have written."""
        given = state["spec"]
        super().__setstate__(state | {"spec": rename_presets(given) if isinstance(given, Mapping) else given})

    def save(self, path: str | Path) -> None:
        """Writes parameters, scales and what was learned to an ``.npz`` file, which is complete or not there.

        A session of the same spec can load it too.
        """
        check_is_fitted(self)
        with np.load(io.BytesIO(self._learner.learned()), allow_pickle=False) as content:
            arrays = dict(content)
        arrays |= self._learner.inputs.arrays("inputs")
        if self._learner.targets is not None:
            arrays |= self._learner.targets.arrays("targets")
        described = {
            "kind": type(self).__name__,
            "format": FILE_FORMAT,
            "parameters": self.get_params(deep=False),
            "state": {name: getattr(self, name) for name in self._saved},
            "named": hasattr(self, "feature_names_in_"),
        }
        try:
            arrays["estimator"] = np.array(json.dumps(described, default=_plain))
        except TypeError as error:
            raise InputError(f"save: {error}; use numbers and strings") from None
        write_arrays(Path(path), arrays)

    @classmethod
    def load(cls, path: str | Path, backend: str | None = None) -> Self:
        """The estimator that :meth:`save` wrote, which goes on as that one would have; on another backend if named."""
        name = f"load: {str(path)!r}: "
        try:
            return cls._from_arrays(read_arrays(Path(path)), Path(path), backend)
        except InputError as error:
            raise InputError(name + str(error).removeprefix(name)) from None
        except (KeyError, TypeError, AttributeError, ValueError):  # something is missing, or of another kind
            raise InputError(f"{name}not a saved {cls.__name__}; give a file that save wrote") from None

    @classmethod
    def _from_arrays(cls, arrays: dict[str, npt.NDArray[Any]], path: Path, backend: str | None) -> Self:
        described = json.loads(str(arrays["estimator"]))
        if described["kind"] != cls.__name__ or described["format"] != FILE_FORMAT:
            raise InputError(f"holds a {described['kind']}, format {described['format']}; use the class that saved it")
        parameters = described["parameters"]
        hidden = parameters["hidden_layer_sizes"] or ()
        parameters["hidden_layer_sizes"] = tuple(hidden) or None
        if parameters["spec"]:
            parameters["spec"] = rename_presets(parameters["spec"])
        if backend is not None:
            parameters["backend"] = backend
        estimator = cls(**parameters)
        for name in cls._saved:
            setattr(estimator, name, described["state"][name])
        inputs = RunningScale.from_arrays("inputs", arrays, estimator.horizon)
        if len(inputs.mean) != len(estimator._names):
            raise ValueError("_names")
        estimator.n_features_in_ = len(estimator._names)
        if described["named"]:
            estimator.feature_names_in_ = np.array(estimator._names, dtype=object)
        targets = RunningScale.from_arrays("targets", arrays, estimator.horizon) if cls._scaled_targets else None
        estimator._restored()
        n_out = arrays[f"coefficients_{len(hidden)}"].shape[0]
        learner = OnlineLearner(estimator._design, inputs, targets, n_out, estimator.backend)
        try:
            learner.session.load(path)
        except InputError:
            learner.session.close()
            raise
        estimator._learner = learner
        return estimator

    def _restored(self) -> None:
        """Makes what follows from what was saved."""


class KANRegressor(RegressorMixin, _KANEstimator, _RiverRegressor):  # type: ignore[misc]
    """A regression that is learned online in fixed point, as the hardware does it.

    Without hidden layers it is an additive model: a sum of one spline curve for each feature. There are no sample
    weights, as a step of the hardware has none.

    Parameters
    ----------
    hidden_layer_sizes
        Nodes of every hidden layer; at most three.
    grid_size, spline_order
        Of every layer's splines; the grid reaches two deviations to either side of the mean, and values beyond count as
        its ends.
    learning_rate
        The share of a sample's error that its step removes, where there is no hidden layer: for that the spec's
        learning rate is this divided by a layer's inputs and by the mean sum of squares of its basis.
    epochs
        How often :meth:`fit` goes through the samples.
    horizon
        Over how many samples the scales run; None: over all.
    backend
        As for :func:`kanrtl.connect`.
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
    """

    _loss = "squared"
    _scaled_targets = True
    _saved = ("_names", "_seed", "_flat")
    _flat: bool

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Learns from samples ``(n, n_in)`` and targets ``(n,)`` or ``(n, n_out)``, forgetting what was before."""
        x, target = self._validated(X, y, first=True)
        self._first(x, target.shape[1])
        self._train(x, target)
        return self

    def partial_fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Learns from samples one after another, once; the same as :meth:`learn_one` for each."""
        first = not self.__sklearn_is_fitted__()
        x, target = self._validated(X, y, first=first)
        if first:
            self._first(x, target.shape[1])
        self._learner.learn(x, target)
        return self

    def predict(self, X: Any) -> Reals:  # noqa: N803
        """Predictions, of the shape that targets had."""
        outputs = self._outputs(X)
        return outputs[:, 0] if self._flat else outputs

    def _validated(self, X: Any, y: Any, *, first: bool) -> tuple[Reals, Reals]:  # noqa: N803
        x, target = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, reset=first)
        flat = target.ndim == 1
        target = target.astype(np.float64).reshape(len(x), -1)
        if first:
            self._flat = flat
        elif flat != self._flat or target.shape[1] != self._n_out:
            was = "(n,)" if self._flat else f"(n, {self._n_out})"
            raise InputError(f"y: shape {np.shape(y)}; must be {was}, as at first")
        return x, target

    @property
    def _n_out(self) -> int:
        return self._learner.session.spec.n_out

    def learn_one(self, x: Features, y: float) -> None:
        """Learns from one sample. A feature that is missing, None or NaN counts as its mean; one that has not been seen
        before becomes a new input."""
        target = _number("y", y)
        if math.isnan(target):
            raise InputError(f"y = {y!r}: not a number")
        if not self.__sklearn_is_fitted__():
            _check_numbers(x)
            self._flat = True
            self._first_one(x, 1)
        elif self._single():
            self._grow_features(x, [Node(0)])
        self._learner.learn(self._row(x), np.array([[target]]))

    def predict_one(self, x: Features) -> float:
        """The prediction for one sample; zero before anything has been learned."""
        if not self.__sklearn_is_fitted__():
            return 0.0
        self._single()
        return float(self._learner.predict(self._row(x))[0, 0])

    def _single(self) -> bool:
        if self._n_out != 1:
            raise InputError(f"learn_one and predict_one: this estimator has {self._n_out} outputs; use partial_fit")
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class KANClassifier(ClassifierMixin, _KANEstimator, _RiverClassifier):  # type: ignore[misc]
    """A classification that is learned online in fixed point, as the hardware does it, with the logistic loss.

    Two classes have one output, the logit of the second. More have one output each, one class against the rest; their
    probabilities are divided by their sum. Parameters are those of :class:`KANRegressor`.

    Classes are those that :meth:`fit` finds or :meth:`partial_fit` is told, in sorted order. :meth:`learn_one` adds
    each as it comes: the learner then gets a new output (a third class: two, since the one of two classes is both, with
    one sign and the other) and keeps all its coefficients. On a board that means another bitstream.

    Attributes
    ----------
    classes_, n_features_in_, feature_names_in_, n_samples_seen_
        As in scikit-learn.
    session_ : kanrtl.Session
    """

    _loss = "logistic"
    _scaled_targets = False
    _saved = ("_names", "_seed", "_labels", "_label_type")
    _labels: list[Any]
    _label_type: str

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803
        """Learns from samples ``(n, n_in)`` and labels ``(n,)``, forgetting what was before."""
        x, labels = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(labels)
        self._first_classes(x, unique_labels(labels))
        self._train(x, self._targets(labels))
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:  # noqa: N803
        """Learns from samples one after another, once. The first call needs to know all ``classes``."""
        first = not self.__sklearn_is_fitted__()
        x, labels = validate_data(self, X, y, dtype=np.float64, reset=first)
        if first and classes is None:
            raise InputError("classes: must be given in the first call of partial_fit")
        if first:
            self._first_classes(x, unique_labels(classes))
        elif classes is not None and not np.array_equal(unique_labels(classes), np.sort(self.classes_)):
            raise InputError(f"classes = {classes!r}: were {self.classes_.tolist()!r} before; leave them out")
        self._learner.learn(x, self._targets(labels))
        return self

    def decision_function(self, X: Any) -> Reals:  # noqa: N803
        """Logits: ``(n,)`` of the second of two classes, ``(n, classes)`` for more."""
        logits = self._outputs(X)
        return logits[:, 0] if len(self._labels) <= 2 else logits

    def predict_proba(self, X: Any) -> Reals:  # noqa: N803
        """Probabilities ``(n, classes)``."""
        return self._probabilities(self._outputs(X))

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """The most probable class of each sample."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]  # type: ignore[no-any-return]

    def learn_one(self, x: Features, y: Any) -> None:
        """Learns from one sample; features as in :meth:`KANRegressor.learn_one`, and new classes as said above."""
        y = y.item() if isinstance(y, np.generic) else y
        if not self.__sklearn_is_fitted__():
            _check_numbers(x)
            self._first_one(x, 1)
            self._set_labels([y])
        else:
            self._grow_features(x, self._same())
        row = self._row(x)
        if y not in self._labels:
            self._add_class(y)
        self._learner.learn(row, self._targets([y]))

    def predict_proba_one(self, x: Features) -> dict[Any, float]:
        """The probability of each class so far."""
        if not self.__sklearn_is_fitted__():
            return {}
        probabilities = self._probabilities(self._learner.predict(self._row(x)))[0]
        return dict(zip(self._labels, probabilities.tolist(), strict=True))

    def predict_one(self, x: Features) -> Any:
        """The most probable class; None before anything has been learned."""
        probabilities = self.predict_proba_one(x)
        return max(probabilities, key=probabilities.__getitem__) if probabilities else None

    def _output_stage(self) -> str:
        if len(self._labels) < 2:
            raise InputError(f"freeze: there is one class so far, {self._labels[0]!r}; learn another")
        return "threshold" if len(self._labels) == 2 else "argmax"

    # Classes and outputs.

    def _first_classes(self, x: Reals, classes: npt.NDArray[Any]) -> None:
        self._first(x, len(classes) if len(classes) > 2 else 1)
        self._set_labels(classes.tolist(), classes.dtype.str)

    def _set_labels(self, labels: list[Any], label_type: str | None = None) -> None:
        if label_type is None:
            label_type = np.array(labels).dtype.str if len({type(label) for label in labels}) == 1 else "O"
        self._labels, self._label_type = labels, label_type
        self._restored()

    def _restored(self) -> None:
        self.classes_ = np.array(self._labels, dtype=self._label_type)

    def _same(self) -> list[Node]:
        return [Node(index) for index in range(self._learner.session.spec.n_out)]

    def _add_class(self, label: Any) -> None:
        if len(self._labels) >= 2:
            # As probable as one sample among all so far.
            new = Node(None, bias=max(LEAST_LOGIT, -math.log(max(1, self.n_samples_seen_))))
            before = [Node(0, sign=-1), Node(0)] if len(self._labels) == 2 else self._same()
            self._learner.grow(self._design, len(self._names), [*before, new])
        self._set_labels([*self._labels, label])

    def _targets(self, labels: Any) -> Reals:
        """What the outputs are taught, ``(n, n_out)``."""
        places = {label: index for index, label in enumerate(self._labels)}
        labels = labels.tolist() if isinstance(labels, np.ndarray) else labels
        unknown = [label for label in labels if label not in places]
        if unknown:
            raise InputError(f"y: {unknown[0]!r} is none of the classes, {self._labels!r}")
        numbers = np.array([places[label] for label in labels])[:, None]
        taught: Reals = (numbers == (1 if len(places) <= 2 else np.arange(len(places)))).astype(np.float64)
        return taught

    def _probabilities(self, logits: Reals) -> Reals:
        probability = 1 / (1 + np.exp(-logits))
        if len(self._labels) == 1:
            return np.ones_like(probability)
        if len(self._labels) == 2:
            return np.hstack([1 - probability, probability])
        return probability / probability.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


def _checked(field: str, value: Any, kind: type, wanted: str, good: Any) -> Any:
    """A parameter that only the estimators have."""
    if isinstance(value, bool) or not isinstance(value, kind) or not good(value):
        name = "an integer" if kind is Integral else "a number"
        raise InputError(f"{field} = {value!r}: must be {name}, {wanted}")
    return value


def _number(field: str, value: Any) -> float:
    """A feature or target of river's as a number, NaN for None."""
    if value is None:
        return math.nan
    if not isinstance(value, (Real, np.bool_)):
        raise InputError(
            f"{field} = {value!r}: not a number; make it one, for example with river's OneHotEncoder in a pipeline"
        )
    number = float(value)
    if math.isinf(number):
        raise InputError(f"{field} = {value!r}: must be finite; leave it out, or give None, where it is missing")
    return number


def _check_numbers(x: Features) -> None:
    """Before anything is made of a first sample."""
    if not x:
        raise InputError("x: has no features; the first sample needs one or more")
    for name, value in x.items():
        _number(f"x[{name!r}]", value)


def _in_order(names: Iterable[Any]) -> list[Any]:
    """Names of features, which need not be strings, in an order of their own."""
    return sorted(names, key=lambda name: (str(name), type(name).__name__))


def _plain(value: Any) -> Any:
    """A parameter for a file."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Format):
        return str(value)
    raise TypeError(f"{value!r} cannot be written to a file")
