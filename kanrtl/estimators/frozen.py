"""Lookup networks as scikit-learn's estimators: trained in floats, then quantised. Needs the extra ``sklearn``.

What they predict is what the hardware gives: ``network_`` is asked, not the KAN in floats. To learn online there
are :class:`kanrtl.KANRegressor` and :class:`kanrtl.KANClassifier`.
"""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from scipy.special import expit, softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from ..arrays import Reals, below_one, check_at_least, check_weights
from ..errors import InputError, cut
from ..lookup.floats.calibration import GUARD_BITS, Calibration
from ..lookup.floats.float_kan import FloatKAN
from ..lookup.floats.search import Search, search
from ..lookup.floats.training import initial_kan, train
from ..lookup.floats.training_losses import Penalty, check_penalty
from ..lookup.network import LookupNetwork
from ..lookup.number_checks import check_number, check_positive
from .refusals import check_hidden_sizes, unless_refused, validate_unmasked
from .scaling import LEAST_SPREAD, check_scalable


def _keep_weighted(sample_weight: Any, count: int) -> tuple[slice | npt.NDArray[np.bool_], Reals | None]:
    """Tell which of ``count`` samples have any weight, and give the weights of these, or None where all are equal.

    Raises :exc:`InputError` where weights cannot be used, or all are zero.
    """
    if sample_weight is None:
        return slice(None), None
    weights = check_weights("sample_weight", sample_weight, count)
    kept = weights > 0
    if not kept.any():
        raise InputError("sample_weight: all weights are zero; give one above zero to learn from")
    weights = below_one(weights[kept])
    return kept, None if (weights == weights[0]).all() else weights


class _LookupEstimator(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no type information
    """An estimator whose KAN is trained in floats and then quantised; its parameters are those of both."""

    _losses: ClassVar[tuple[str, str]]
    """The losses of one output, and of several."""

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...] | None = None,
        *,
        bits: int | tuple[int, ...] | None = None,
        guard_bits: int = GUARD_BITS,
        edges: int | None = None,
        max_lut: int | None = None,
        tolerance: float = 0.01,
        grid_size: int = 4,
        spline_order: int = 2,
        l2: float = 1e-3,
        l1: float = 0.0,
        entropy: float = 0.0,
        epochs: int = 100,
        fine_tuning_epochs: int = 50,
        learning_rate: float = 0.02,
        batch_size: int = 200,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 20,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.bits = bits
        self.guard_bits = guard_bits
        self.edges = edges
        self.max_lut = max_lut
        self.tolerance = tolerance
        self.grid_size = grid_size
        self.spline_order = spline_order
        self.l2 = l2
        self.l1 = l1
        self.entropy = entropy
        self.epochs = epochs
        self.fine_tuning_epochs = fine_tuning_epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state
        self.verbose = verbose

    def _sizes(self, n_in: int, n_out: int) -> list[int]:
        return [n_in, *check_hidden_sizes(self.hidden_layer_sizes), n_out]

    def _check_training(self) -> None:
        """Raise :exc:`InputError` where a parameter is refused that training knows by another name, or needs late."""
        for field in ("epochs", "batch_size", *(["n_iter_no_change"] if self.early_stopping else [])):
            check_at_least(field, getattr(self, field), 1)
        if self.fine_tuning_epochs is not None:
            check_at_least("fine_tuning_epochs", self.fine_tuning_epochs, 0)
        check_positive("learning_rate", self.learning_rate)
        for field in ("l2", "l1", "entropy"):
            check_penalty(field, getattr(self, field))
        check_at_least("guard_bits", self.guard_bits, 0)
        if self.max_lut is not None:
            check_at_least("max_lut", self.max_lut, 1)
        if check_number("tolerance", self.tolerance) < 0:
            raise InputError(f"tolerance = {cut(self.tolerance)}: must be 0 or more")

    def _fit(
        self,
        x: Reals,
        target: npt.NDArray[Any],
        weights: Reals | None,
        n_out: int,
        output: str,
        *,
        stratify: bool,
    ) -> None:
        """Train, prune, quantise, and train on with codes."""
        self._check_training()
        random = check_random_state(self.random_state)
        seeds = random.randint(np.iinfo(np.int32).max, size=4).tolist()
        sizes = self._sizes(x.shape[1], n_out)
        settings: dict[str, Any] = {
            "loss": self._losses[n_out > 1],
            "batch_size": self.batch_size,
            "penalty": Penalty(self.l2, self.l1, self.entropy),
        }
        if self.early_stopping:
            share = self.validation_fraction
            if isinstance(share, bool) or not isinstance(share, Real) or not 0 < share < 1:
                raise InputError(f"validation_fraction = {cut(share)}: must be a number above 0 and below 1")
            given = [x, target] if weights is None else [x, target, weights]
            parts = train_test_split(
                *given,
                test_size=float(share),
                random_state=seeds[0],
                stratify=target if stratify else None,
            )
            (x, target), weights = parts[:4:2], None if weights is None else parts[4]
            settings |= {"validation": tuple(parts[1::2]), "patience": self.n_iter_no_change}
        settings["weights"] = weights
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[now]}"), TimeElapsedColumn())
        with Progress(*columns, disable=not self.verbose) as bar:

            def train_on(kan: FloatKAN, name: str, epochs: int, share: float, seed: int, **more: Any) -> FloatKAN:
                task = bar.add_task(name, total=epochs, now="")
                return train(
                    kan,
                    x,
                    target,
                    epochs=epochs,
                    learning_rate=share * float(self.learning_rate),
                    seed=seed,
                    progress=lambda done, loss: bar.update(task, completed=done, now=f"loss {loss:.4f}"),
                    **settings,
                    **more,
                ).kan

            start = initial_kan(sizes, x, grid_size=self.grid_size, spline_order=self.spline_order, seed=seeds[1])
            kan = self.kan_ = train_on(start, "training in floats", self.epochs, 1.0, seeds[2])
            if self.edges is not None:
                kan = train_on(kan.prune(x, edges=self.edges), "training what is left", self.epochs, 0.5, seeds[2])
            kan, calibration, guards = self._calibrate(kan, x, target, weights, output, bar)
            self.untuned_network_: LookupNetwork = calibration.quantise(kan, guards, output=output)
            if self.fine_tuning_epochs:
                codes = {"scales": calibration.scales_for(output), "guard_bits": guards}
                kan = train_on(kan, "training with codes", self.fine_tuning_epochs, 0.5, seeds[3], **codes)
        self.quantised_kan_ = kan
        self.calibration_: Calibration = calibration
        self.network_: LookupNetwork = calibration.quantise(kan, guards, output=output)

    def _calibrate(
        self, kan: FloatKAN, x: Reals, target: npt.NDArray[Any], weights: Reals | None, output: str, bar: Progress
    ) -> tuple[FloatKAN, Calibration, tuple[int, ...]]:
        """The KAN to be quantised, with how it is, and guard bits: with the bits that were asked for, or searched."""
        if self.bits is not None:
            self.search_: Search[FloatKAN] | None = None
            return kan, kan.calibrate(x, self.bits), (*[self.guard_bits] * (len(kan.layers) - 1), 0)
        task = bar.add_task("searching bits", total=None, now="")
        self.search_ = search(
            kan,
            x,
            target,
            bits=8,
            guard_bits=self.guard_bits,
            output=output,
            loss=2 * self.tolerance,
            weights=weights,
            progress=lambda text: bar.update(task, now=text),
        )
        bar.update(task, total=1, completed=1)
        point = self.search_.best(self.max_lut, self.tolerance)
        return point.kan, point.calibration, point.guard_bits

    def _rows(self, X: Any) -> Reals:  # noqa: N803  # scikit-learn's name
        check_is_fitted(self, "network_")
        return validate_unmasked(self, X, dtype=np.float64, reset=False)  # type: ignore[no-any-return]


class LookupClassifier(ClassifierMixin, _LookupEstimator):  # type: ignore[misc]
    """A classification by truth tables.

    Two classes have one output, which is above zero for the second; more have one output each.

    Parameters
    ----------
    hidden_layer_sizes
        Nodes of every hidden layer; by default there is none, and a class is a sum of one curve for each feature.
    bits
        Bits of the codes of the inputs, of every hidden layer and of the outputs: one number for all, or one for each.
        By default they are searched, together with the edges that are left (:meth:`kanrtl.lookup.FloatKAN.search`).
    guard_bits
        The bits by which the tables of hidden layers are finer than their nodes; where bits are searched, at most.
    edges
        The number of edges that are left after pruning; by default all.
    max_lut, tolerance
        A search takes the smallest network whose score on the samples is at most ``tolerance`` below that of the
        floats, before it is trained on; it has at most ``max_lut`` LUTs.
    grid_size, spline_order
        Cells and order of every layer's splines.
    l2, l1, entropy
        Weights of the penalty, as in :class:`kanrtl.lookup.Penalty`.
    epochs, fine_tuning_epochs
        Epochs of training in floats (again after pruning), and with the codes of the hardware.
    learning_rate, batch_size
        Step and batch of Adam; the step is halved after pruning and with codes.
    early_stopping, validation_fraction, n_iter_no_change
        As in scikit-learn's ``MLPClassifier``; the epoch with the least loss on the samples held back is kept.
    random_state
        The seed of everything.
    verbose
        Whether to show progress.

    Attributes
    ----------
    network_ : LookupNetwork
        The network, which predicts.
    untuned_network_ : LookupNetwork
        The network before it was trained on with codes.
    kan_ : FloatKAN
        The KAN as trained in floats, with all edges.
    quantised_kan_ : FloatKAN
        The KAN that ``network_`` was made from, with ``calibration_``.
    search_ : Search or None
        The search, where bits were searched.
    classes_, n_features_in_, feature_names_in_
        As in scikit-learn.
    """

    _losses = ("logistic", "cross_entropy")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from samples ``(n, n_in)`` and labels ``(n,)``.

        ``sample_weight``, ``(n,)``, is how much each counts in the loss of training, and where bits are searched in the
        score, relative to the mean of all: a factor of all weights changes nothing. A sample whose weight is 0 counts
        for nothing at all, except that its class is one. Raises :exc:`InputError` where there is one class only, or a
        parameter cannot be used.
        """
        with unless_refused(self, "network_"):
            x, labels = validate_unmasked(self, X, y, dtype=np.float64)
            check_classification_targets(labels)
            self.classes_, numbers = np.unique(labels, return_inverse=True)
            if len(self.classes_) < 2:
                raise InputError(f"y: one class only, {cut(self.classes_.tolist()[0])}; give samples of two or more")
            check_scalable("X", x, first=True)
            binary = len(self.classes_) == 2
            kept, weights = _keep_weighted(sample_weight, len(x))
            stage, n_out = ("threshold", 1) if binary else ("argmax", len(self.classes_))
            self._fit(x[kept], numbers[kept], weights, n_out, stage, stratify=True)
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """The class of each of the samples ``(n, n_in)``, as the hardware gives it."""
        x = self._rows(X)
        return self.classes_[self.network_.predict(x)]  # type: ignore[no-any-return]

    def decision_function(self, X: Any) -> Reals:  # noqa: N803
        """Logits of samples ``(n, n_in)``, as the codes of the outputs have them: ``(n,)`` of the second of two
        classes, above zero where it is predicted, ``(n, classes)`` for more, the highest at the class predicted."""
        x = self._rows(X)
        raw: Reals = self.network_.with_output("raw").predict(x)
        if len(self.classes_) > 2:
            return raw
        # The hardware compares with a code, which may stand for a number beside zero.
        threshold = self.network_.layers[-1].real_values(np.array([self.network_.thresholds]))
        return (raw - threshold)[:, 0]

    def predict_proba(self, X: Any) -> Reals:  # noqa: N803
        """Probabilities ``(n, classes)`` for samples ``(n, n_in)``: the logistic function, or for more than two classes
        the softmax, of :meth:`decision_function`."""
        logits = self.decision_function(X)
        if logits.ndim == 1:
            second = expit(logits)
            return np.stack([1 - second, second], axis=1)
        return softmax(logits, axis=1)  # type: ignore[no-any-return]

    def predict_float(self, X: Any) -> npt.NDArray[Any]:  # noqa: N803
        """The class of each of the samples ``(n, n_in)`` by the KAN in floats, before pruning and quantising."""
        outputs = self.kan_.evaluate(self._rows(X))[-1]
        return self.classes_[outputs.argmax(axis=1) if len(self.classes_) > 2 else (outputs[:, 0] > 0).astype(int)]  # type: ignore[no-any-return]


class LookupRegressor(RegressorMixin, _LookupEstimator):  # type: ignore[misc]
    """A regression by truth tables. Parameters and attributes are those of :class:`LookupClassifier`.

    Its networks take samples and give predictions in the units of the data, on every backend. The KANs in floats are
    those of targets of mean zero and deviation one.
    """

    _losses = ("squared", "squared")

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:  # noqa: N803
        """Learn from samples ``(n, n_in)`` and targets ``(n,)`` or ``(n, n_out)``; ``sample_weight`` as in
        :meth:`LookupClassifier.fit`."""
        with unless_refused(self, "network_"):
            x, target = validate_unmasked(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True)
            self._flat = target.ndim == 1
            target = target.astype(np.float64).reshape(len(x), -1)
            check_scalable("X", x, first=True)
            check_scalable("y", target, first=True)
            kept, weights = _keep_weighted(sample_weight, len(x))
            x, target = x[kept], target[kept]
            middle, spread = target.mean(axis=0), target.std(axis=0)
            if weights is not None:
                middle = np.average(target, axis=0, weights=weights)
                spread = np.sqrt(np.average((target - middle) ** 2, axis=0, weights=weights))
            # What a network makes of a constant, all zeros to it, must not show beside the constant.
            scale = np.where(spread > 0, spread, np.maximum(np.spacing(np.abs(middle)), LEAST_SPREAD))
            self._fit(x, (target - middle) / scale, weights, target.shape[1], "raw", stratify=False)
            self._scale_networks(scale, middle)
        return self

    def _scale_networks(self, scale: npt.ArrayLike, middle: npt.ArrayLike) -> None:
        """Let the networks, which were trained on standardised targets, give the user's units."""
        self.network_ = self.network_.scale_outputs(scale, middle)
        self.untuned_network_ = self.untuned_network_.scale_outputs(scale, middle)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a pickle, also one of a time when the estimator scaled what its network gave."""
        state = dict(state)
        scale, middle = state.pop("_scale", None), state.pop("_middle", None)
        super().__setstate__(state)
        if scale is not None and middle is not None:
            self._scale_networks(scale, middle)

    def predict(self, X: Any) -> Reals:  # noqa: N803
        """Predictions for samples ``(n, n_in)``, of the shape that targets had."""
        rows = self._rows(X)
        outputs: Reals = self.network_.predict(rows)
        return outputs[:, 0] if self._flat else outputs

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
