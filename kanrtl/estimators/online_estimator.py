"""What the estimators that learn online have in common: scikit-learn's API and river's, on any backend.

One class has both APIs, since both are thin: each gives rows of numbers to the same
:class:`~kanrtl.estimators.scaled_learner.OnlineLearner`, which scales them and runs a session. scikit-learn is needed;
where river is installed the classes are also river's, so that its pipelines, metrics and evaluation take them. What was
taught by one API is predicted by the other: a column of scikit-learn's is a feature of river's by its name, or by its
number where columns have no names.

Scaling (:mod:`kanrtl.estimators.scaling`) is part of an estimator, done in floats on the host before values are
rounded to the formats of the hardware: inputs, and targets of a regression, to running mean zero and deviation one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..arrays import Reals, check_weights
from ..errors import InputError, check_kind, cut
from ..file_content import parse_json
from ..files import as_path
from ..learner.fields import MAX_LAYERS
from ..learner.losses import find_loss
from ..learner.spec import LearnerSpec
from ..learner.stages import rename_presets
from ..link.transports import is_address
from ..sessions.learner_session import Session
from ..sessions.sample_weights import check_highest
from ..transfer import Frozen, Scaling, freeze
from .refusals import check_hidden_sizes, validate_unmasked
from .river_samples import FeatureDict, FeatureRow, check_values, is_number, sort_names
from .saved_estimator import SavedEstimator
from .scaled_learner import OnlineLearner, set_kept
from .scaling import RunningScale

BASIS_ENERGY = {1: 2 / 3, 2: 11 / 20, 3: 151 / 315}
"""The mean of the sum of squares of all bases, by spline order: how far an edge's output moves for a step of one."""

FROM_DATA = ("layer_sizes", "loss", "seed")
"""Fields of the spec that an estimator sets itself."""

STARTED = ("hidden_layer_sizes", "grid_size", "spline_order", "linear", "learning_rate", "horizon", "spec")
"""Parameters that a learner is made with: ``set_params`` changes them from the next start on."""

_ROUNDED = {
    "update_rounding",
    "coefficient_format",
    "factor_format",
    "activation_format",
    "output_format",
    "target_range",
}
"""Fields of a spec that choose how coefficients are rounded, or in which formats they are."""


class OnlineEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no type information
    """An estimator that learns sample by sample; see :class:`kanrtl.KANRegressor` for its parameters.

    ``_learner`` is there from the first sample on; ``_names`` are the features in the order of the inputs, and
    ``_started`` the parameters that the learner was made with. A subclass names its loss, whether targets are scaled,
    and the attributes that a file keeps.
    """

    _loss: ClassVar[str]
    _scaled_targets: ClassVar[bool]
    _saved: ClassVar[tuple[str, ...]] = ("_names", "_seed")
    _learner: OnlineLearner
    _names: list[Any]
    _started: dict[str, Any]

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] | None = None,
        *,
        grid_size: int = 8,
        spline_order: int = 3,
        linear: bool = False,
        learning_rate: float = 0.3,
        epochs: int = 20,
        horizon: int | None = None,
        backend: str = "auto",
        spec: dict[str, Any] | None = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.grid_size = grid_size
        self.spline_order = spline_order
        self.linear = linear
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
        chosen = self._started
        given = {} if chosen["spec"] is None else chosen["spec"]
        if not isinstance(given, Mapping) or not all(isinstance(field, str) for field in given):
            raise InputError(f"spec = {cut(given)}: must be a dict of fields of LearnerSpec")
        for field in FROM_DATA:
            if field in given:
                raise InputError(f"spec[{field!r}]: follows from the data and the other parameters; leave it out")
        if given.get("modulated"):
            raise InputError("spec['modulated']: a column is one input here, and not a pair; connect such a spec")
        sizes = [n_in, *check_hidden_sizes(chosen["hidden_layer_sizes"], MAX_LAYERS - 1), n_out]
        rate = _check_parameter("learning_rate", chosen["learning_rate"], Real, "above 0", lambda value: value > 0)
        order = given.get("spline_order", chosen["spline_order"])
        fields: dict[str, Any] = {
            "layer_sizes": sizes,
            "grid_range": (-2.0, 2.0),
            "grid_size": chosen["grid_size"],
            "spline_order": order,
            **({"linear": chosen["linear"]} if chosen["linear"] else {}),
            "loss": self._loss,
            "seed": self._seed,
        }
        orders = list(order) if isinstance(order, (list, tuple)) else [order] * (len(sizes) - 1)
        known = all(isinstance(one, Integral) and int(one) in BASIS_ENERGY for one in orders)
        if known and len(orders) == len(sizes) - 1 and "learning_rate" not in given:  # others the spec refuses
            curvature = find_loss(self._loss).curvature
            fields["learning_rate"] = [
                float(rate) / (BASIS_ENERGY[int(one)] * curvature * size)
                for one, size in zip(orders, sizes[:-1], strict=True)
            ]
        if not _ROUNDED.intersection(given):
            # Rounded to the nearest, columns may come in any order; eight guard bits keep what is small.
            fields |= {"update_rounding": "half_up", "factor_format": "SQ(6, 10)", "coefficient_format": "SQ(6, 18)"}
        return LearnerSpec(**fields | dict(given))

    def _start(self, names: Iterable[Any], n_out: int, field: str = "", weights: Reals | None = None) -> None:
        """Start a learner that has learned nothing; the one before it ends, unless none can be started.

        The ``weights`` of the samples that it is started for have the name ``field``.
        """
        parameters = self.get_params(deep=False)
        self._started = {name: parameters[name] for name in STARTED}
        if isinstance(self.spec, Mapping):
            self._started["spec"] = dict(self.spec)
        horizon = self.horizon
        if horizon is not None:
            horizon = int(_check_parameter("horizon", horizon, Integral, "2 or more", lambda value: value >= 2))
        names = list(names)
        self._seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        targets = RunningScale(n_out, horizon) if self._scaled_targets else None
        spec = self._design(len(names), n_out)
        if weights is not None:
            registers = spec.rate_registers
            check_highest(field, weights, [one.code for one in registers], [one.format for one in registers])
        if is_address(self.backend):
            self.close()  # a device serves one at a time
        learner = OnlineLearner(self._design, RunningScale(len(names), horizon), targets, n_out, self.backend)
        self.close()
        self._learner, self._names = learner, names

    @property
    def session_(self) -> Session:
        """The running learner: its coefficients, status, and registers. What goes in and out of it is scaled."""
        check_is_fitted(self)
        return self._learner.session

    @property
    def n_samples_seen_(self) -> int:
        """The largest number of samples in which any one feature had a value."""
        check_is_fitted(self)
        return int(self._learner.inputs.count.max())

    def close(self) -> None:
        """End the learner, for backends that hold a device; the estimator has to be fitted anew to be used."""
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
        """Make a :class:`kanrtl.LookupNetwork` of what has been learned; its samples and predictions are unscaled.

        A classifier's network gives classes, as their indices in ``classes_``. Its inputs are the columns of ``X``; of
        features that are known by names alone they are in the order of ``feature_names_in_``.

        Parameters
        ----------
        bits, guard_bits
            As for :func:`kanrtl.transfer.freeze`.
        X
            Samples ``(n, n_in)`` with which the error is measured: of a classifier that of its decision function.

        Raises
        ------
        InputError
            If there is nothing yet to tell apart.
        """
        check_is_fitted(self)
        x = None if X is None else validate_unmasked(self, X, dtype=np.float64, reset=False)
        if x is not None:
            self._check_numbers()
        session, inputs = self._learner.session, np.argsort(self._columns())
        scale, offset = self._learner.inputs.affine()
        scaling = Scaling(scale[inputs], offset[inputs], *self._output_scale())
        first, *others = session.coefficients
        coefficients = [first[:, inputs], *others]
        frozen = freeze(session.spec, coefficients, bits, guard_bits=guard_bits, x=x, scaling=scaling)
        return replace(frozen, network=frozen.network.with_output(self._output_stage()))

    def _output_stage(self) -> str:
        """The output stage of a frozen network."""
        return "raw"

    def _output_scale(self) -> tuple[float | Reals, float | Reals]:
        """The factor of the learner's outputs, and what is added to the product: of all, or of each."""
        return 1.0, 0.0

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_learner")

    # Arrays: the API of scikit-learn.

    def _start_for_array(self, x: Reals, n_out: int, weights: Reals | None) -> None:
        """Start a learner for samples as they come in an array that has been validated."""
        self._start(getattr(self, "feature_names_in_", range(x.shape[1])), n_out, "sample_weight", weights)

    @staticmethod
    def _check_weights(weights: Any, x: Reals) -> Reals | None:
        """The weights of the samples ``x``, shape ``(n,)``; :exc:`InputError` where they cannot be."""
        return None if weights is None else check_weights("sample_weight", weights, len(x))

    @classmethod
    def _check_trained(cls, weights: Any, x: Reals) -> Reals | None:
        """The same where there must be one above zero."""
        checked = cls._check_weights(weights, x)
        if checked is not None and not checked.any():
            raise InputError("sample_weight: all weights are zero; give one above zero to learn from")
        return checked

    def _check_epochs(self) -> int:
        return int(_check_parameter("epochs", self.epochs, Integral, "1 or more", lambda value: value >= 1))

    def _train(self, x: Reals, target: Reals, weights: Reals | None, epochs: int) -> None:
        # A seed of its own: that of the coefficients was drawn first.
        random = check_random_state(self._seed)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, disable=not self.verbose) as bar:
            task = bar.add_task("epochs", total=epochs)
            for done in self._learner.train(x, target, weights, epochs, random):
                bar.update(task, completed=done)

    def _outputs(self, X: Any) -> Reals:  # noqa: N803  # scikit-learn's name
        check_is_fitted(self)
        x = validate_unmasked(self, X, dtype=np.float64, ensure_all_finite="allow-nan", reset=False)
        return self._learner.predict(self._by_number(x))

    def _by_number(self, x: Reals) -> Reals:
        """The columns of samples ``(n, n_in)`` in the order of the inputs, where features are known by their numbers.

        Raises :exc:`InputError` where they are not those of columns.
        """
        self._check_numbers()
        columns = self._columns()
        return x if columns == list(range(len(columns))) else x[:, columns]

    def _columns(self) -> list[int]:
        """The column of each input: its number, where features are those of all columns, else its place."""
        places = list(range(len(self._names)))
        return self._names if all(map(is_number, self._names)) and sorted(self._names) == places else places

    def _check_numbers(self) -> None:
        """Raise :exc:`InputError` where features are known by numbers, and these are not those of columns."""
        numbers = self._names
        if all(map(is_number, numbers)) and sorted(numbers) != list(range(len(numbers))):
            raise InputError(
                f"X: its columns have the numbers 0 to {len(numbers) - 1}, and features {sorted(numbers)} are known; "
                "give dicts to predict_one and learn_one"
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True  # as the mean of its feature
        return tags

    # Dicts: the API of river.

    def add_features(self, names: Iterable[Any]) -> None:
        """Give the learner an input for each of ``names`` that it does not know.

        What it has learned stays: predictions change only when something is learned of the new features.
        """
        check_is_fitted(self)
        if isinstance(names, str):
            raise InputError(f"names = {names!r}: must be a list of names, such as [{names!r}]")
        check_kind("names", names, Iterable, "a list of names")
        names = list(names)
        for name in names:
            check_kind("names", name, Hashable, "names that are numbers or strings")
        new = sort_names(set(names).difference(self._names))
        if new:
            self._learner.grow(self._design, len(self._names) + len(new), self._learner.outputs())
            self._names = [*self._names, *new]
            self._name_features()

    def _features(self) -> FeatureRow:
        """What puts samples into the learner's row."""
        row = self.__dict__.get("_feature_row")
        if row is None or row.names is not self._names:  # they change as features are added, or a file is read
            row = self._feature_row = FeatureRow(self._names)
        return row

    def _put(self, x: FeatureDict) -> None:
        """Puts the features of one sample into the learner's row; NaN where one is missing, and others are left out."""
        self._features().put(x, self._learner.inputs.row)

    def _put_taught(self, x: FeatureDict) -> None:
        """The same for a sample that is learned, whose new features become inputs."""
        if not self._features().fill(x, self._learner.inputs.row):
            check_values(x)
            self._take_features(x)
            self._put(x)

    def _start_for_dict(self, x: FeatureDict, n_out: int, weight: float | None) -> None:
        """Start a learner for samples like this one."""
        self._start(sort_names(x), n_out, "w", None if weight is None else np.broadcast_to(float(weight), 1))
        self._name_features()

    def _check_weight(self, weight: Any) -> float | None:
        """The weight of one sample, None for 1; :exc:`InputError` where it cannot be."""
        if type(weight) in (float, int):
            if weight == 1:
                return None
            if weight > 0 and self.__sklearn_is_fitted__() and weight <= self._learner.find_highest():
                return float(weight)
        checked = check_weights("w", weight, 1)
        if self.__sklearn_is_fitted__():
            self._learner.check_highest("w", checked)
        return float(checked[0])

    def _take_features(self, x: FeatureDict) -> None:
        """Take on the features of a sample that have not been seen before."""
        if set(x).difference(self._names):
            self.add_features(x)

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
        state = state | {"spec": rename_presets(given) if isinstance(given, Mapping) else given}
        if "_learner" in state:
            now = type(self)().get_params(deep=False) | state
            state.setdefault("_started", {name: now[name] for name in STARTED})
        super().__setstate__(state)

    def save(self, path: str | Path) -> None:
        """Write parameters, scales and what was learned to an ``.npz`` file, which is complete or not there.

        A session of the same spec can load it too. Raises :exc:`InputError` where it cannot be written.
        """
        check_is_fitted(self)
        state = {name: getattr(self, name) for name in (*self._saved, "_started")}
        named = hasattr(self, "feature_names_in_")
        SavedEstimator(type(self).__name__, self.get_params(deep=False), state, named).write(
            as_path(path), self._learner
        )

    @classmethod
    def load(cls, path: str | Path, backend: str | None = None) -> Self:
        """The estimator that :meth:`save` wrote, which goes on as that one would have.

        It runs on another ``backend`` if that is named. Raises :exc:`InputError` where the file is not one of this
        class.
        """
        file = as_path(path)
        name = f"load: {str(path)!r}: "
        try:
            return cls._restore(file, backend)
        except InputError as error:
            raise InputError(name + str(error).removeprefix(name)) from None
        except (LookupError, TypeError, AttributeError, ValueError, OverflowError):
            # Something is missing, or of another kind.
            raise InputError(f"{name}not a saved {cls.__name__}; give a file that save wrote") from None

    @classmethod
    def _restore(cls, path: Path, backend: str | None) -> Self:
        saved, arrays = SavedEstimator.read(path, cls.__name__)
        estimator = cls(**saved.parameters | ({} if backend is None else {"backend": backend}))
        started = saved.state.get("_started", estimator.get_params(deep=False))
        estimator._started = {name: started[name] for name in STARTED}
        for name in cls._saved:
            setattr(estimator, name, saved.state[name])
        horizon = estimator._started["horizon"]
        inputs = RunningScale.from_arrays("inputs", arrays, horizon)
        if len(inputs.mean) != len(estimator._names):
            raise ValueError("_names")
        estimator.n_features_in_ = len(estimator._names)
        if saved.named:
            estimator.feature_names_in_ = np.array(estimator._names, dtype=object)
        targets = RunningScale.from_arrays("targets", arrays, horizon) if cls._scaled_targets else None
        # Former versions say neither.
        limits, frozen = arrays.get("limits", "{}"), bool(arrays.get("frozen", False))
        estimator._complete()
        n_out = arrays[f"coefficients_{len(estimator._started['hidden_layer_sizes'] or ())}"].shape[0]
        learner = OnlineLearner(estimator._design, inputs, targets, n_out, estimator.backend)
        try:
            learner.session.load(path)
            set_kept(learner.session, parse_json(str(limits)), frozen=frozen)
        except (InputError, TypeError):
            learner.session.close()
            raise
        estimator._learner = learner
        return estimator

    def _complete(self) -> None:
        """Make the attributes that follow from those that are saved."""


def _check_parameter(field: str, value: Any, kind: type, wanted: str, is_good: Callable[[Any], bool]) -> Any:
    """The value of a parameter that only the estimators have; :exc:`InputError` unless it is good."""
    if isinstance(value, bool) or not isinstance(value, kind) or not is_good(value):
        name = "an integer" if kind is Integral else "a number"
        raise InputError(f"{field} = {cut(value)}: must be {name}, {wanted}")
    return value
