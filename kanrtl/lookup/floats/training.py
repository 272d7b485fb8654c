"""A small trainer of KANs in numpy, for who has no torch: Adam (Kingma, Ba, arXiv 1412.6980) over B-spline edges.

With codes it is aware of quantisation: values and table entries are rounded on the way forward, as the lookup network
does it, and the gradient goes back as if they were not (straight through; Bengio et al., arXiv 1308.3432).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..network import positive
from ..scales import CodeScale
from .calibration import rows_of
from .float_kan import FloatKAN
from .float_network import BASE_SLOPES, BASES, FloatLayer, bases, slopes

__all__ = ["LOSSES", "Penalty", "Trained", "initial_kan", "loss_and_gradients", "train"]

Reals = npt.NDArray[np.float64]

GRID = (-1.0, 1.0)

HIDDEN_GRID = (-2.0, 2.0)
"""Of hidden layers: the nodes before them begin with a deviation of about a half."""

_MARGIN = 1e-3  # of the inputs' grid: a cell is half open, and the highest sample is to lie in one

_DECAYS = (0.9, 0.999)

_TINY = 1e-8

_ROUGH = 1e-9  # LSBs, by which a sum of floats may miss a tie: far less than the finest guard bits

_KEPT = 1 << 25  # numbers, of the inputs' features in memory


def initial_kan(
    layer_sizes: Sequence[int],
    x: npt.ArrayLike,
    *,
    grid_size: int = 5,
    spline_order: int = 3,
    base: str = "silu",
    seed: int = 0,
) -> FloatKAN:
    """A KAN that has learned nothing: small random edges, on grids that hold the samples ``x`` ``(n, n_in)``."""
    for field, value, least in (("grid_size", grid_size, 1), ("spline_order", spline_order, 0)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= 1024:
            raise InputError(f"{field} = {value!r}: must be an integer from {least} to 1024")
    if len(layer_sizes) < 2 or any(not isinstance(size, (int, np.integer)) or size < 1 for size in layer_sizes):
        raise InputError(f"layer_sizes = {list(layer_sizes)}: give the inputs and the nodes of at least one layer")
    rows = rows_of("x", x, layer_sizes[0])
    low, high = rows.min(axis=0), rows.max(axis=0)
    half = np.where(high > low, (high - low) / 2, 1.0)
    random = np.random.default_rng(seed)
    layers = []
    for index, (n_in, n_out) in enumerate(pairwise(layer_sizes)):
        first, last = HIDDEN_GRID if index else GRID
        cell = (last - first) * (1 + (0 if index else _MARGIN)) / grid_size
        knots = first + cell * np.arange(-spline_order, grid_size + spline_order + 1)
        count = grid_size + spline_order
        layers.append(
            FloatLayer.of(
                f"layer {index}",
                knots=knots,
                coefficients=random.normal(0, 0.5 / math.sqrt(n_in), (n_out, n_in, count)),
                base_weights=random.normal(0, 1 / math.sqrt(n_in), (n_out, n_in)),
                base=base,
            )
        )
    return FloatKAN.of(layers, 1 / half, -(high + low) / (2 * half))


# Losses: of outputs (n, n_out) and targets, the mean over the samples and its gradient.

Loss = Callable[[Reals, npt.NDArray[Any]], tuple[float, Reals]]


def _squared(outputs: Reals, targets: npt.NDArray[Any]) -> tuple[float, Reals]:
    error = outputs - targets
    return float((error**2).sum(axis=1).mean()) / 2, error / len(error)


def _cross_entropy(outputs: Reals, targets: npt.NDArray[Any]) -> tuple[float, Reals]:
    shifted = outputs - outputs.max(axis=1, keepdims=True)
    total = np.exp(shifted).sum(axis=1, keepdims=True)
    rows = np.arange(len(outputs))
    gradient = np.exp(shifted) / total
    gradient[rows, targets] -= 1
    return float((np.log(total[:, 0]) - shifted[rows, targets]).mean()), gradient / len(outputs)


def _logistic(outputs: Reals, targets: npt.NDArray[Any]) -> tuple[float, Reals]:
    signed = np.where(targets == 1, outputs, -outputs)
    loss = np.logaddexp(0, -signed).sum(axis=1).mean()
    return float(loss), (0.5 * (1 + np.tanh(outputs / 2)) - targets) / len(outputs)


LOSSES: dict[str, Loss] = {"squared": _squared, "cross_entropy": _cross_entropy, "logistic": _logistic}
"""``squared``: half the squared error, targets ``(n, n_out)``. ``cross_entropy``: of the softmax, targets are classes
``(n,)``. ``logistic``: targets ``(n, n_out)`` are zeros and ones."""


def _targets(field: str, loss: str, y: npt.ArrayLike, rows: int, n_out: int) -> npt.NDArray[Any]:
    if loss not in LOSSES:
        raise InputError(f"loss = {loss!r}: must be one of {', '.join(map(repr, LOSSES))}")
    array = np.asarray(y)
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


@dataclass(frozen=True)
class Penalty:
    """What is added to the loss, of the weights of every edge (its coefficients and its base weight).

    Attributes
    ----------
    l2 : float
        Times half the sum of their squares.
    l1 : float
        Times the sum of the edges' magnitudes, each the root of the sum of its squares: whole edges vanish (group
        lasso).
    entropy : float
        Times the entropy of the edges' shares in the sum of magnitudes of their layer, as in pykan: few edges remain.
    """

    l2: float = 0.0
    l1: float = 0.0
    entropy: float = 0.0

    def __post_init__(self) -> None:
        for field, value in vars(self).items():
            if not (isinstance(value, (int, float)) and value >= 0 and math.isfinite(value)):
                raise InputError(f"penalty.{field} = {value!r}: must be a number, 0 or more")

    def add(self, weights: Reals, gradient: Reals) -> float:
        """The penalty of one layer's weights ``(n_out, n_in, weights)``; its gradient is added to ``gradient``."""
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


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gave.

    Attributes
    ----------
    kan : FloatKAN
    losses : tuple of float
        Mean over every epoch, penalties included.
    validation : tuple of float
        After every epoch, where there were samples for it; ``kan`` is as it was after the best.
    """

    kan: FloatKAN
    losses: tuple[float, ...]
    validation: tuple[float, ...]


def train(
    kan: FloatKAN,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: str = "squared",
    epochs: int = 200,
    learning_rate: float = 0.02,
    batch_size: int = 200,
    penalty: Penalty | None = None,
    scales: Sequence[CodeScale] | None = None,
    guard_bits: Sequence[int] | None = None,
    validation: tuple[npt.ArrayLike, npt.ArrayLike] | None = None,
    patience: int = 20,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> Trained:
    """Trains all edges that there are, from where they stand. The rate falls to zero along half a cosine.

    Parameters
    ----------
    x, y
        Samples ``(n, n_in)``, and targets as the loss takes them.
    loss
        A name of :data:`LOSSES`.
    scales, guard_bits
        With ``scales`` (those of a :class:`.Calibration`), forward as the network that is
        quantised with them, but that the outputs do not saturate. Grids and scales stay.
    validation
        Samples and targets that decide which epoch's network is kept; after ``patience`` epochs without a better one
        training ends.
    seed
        Of the order of samples. The same arguments give the same network.
    progress
        Told the number of epochs done and the last one's loss.

    Raises
    ------
    InputError
        If an argument is wrong.
    """
    rows = rows_of("x", x, kan.layer_sizes[0])
    targets = _targets("y", loss, y, len(rows), kan.layer_sizes[-1])
    for field, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise InputError(f"{field} = {value!r}: must be an integer, 1 or more")
    rate = positive("learning_rate", learning_rate)
    state = _State(kan, scales, guard_bits)
    held = None
    if validation is not None:
        held_x = rows_of("validation[0]", validation[0], kan.layer_sizes[0])
        held = (held_x, _targets("validation[1]", loss, validation[1], len(held_x), kan.layer_sizes[-1]))
    features = _Features(state, rows)
    held_features = None if held is None else _Features(state, held[0])
    random = np.random.default_rng(seed)
    adam = _Adam(state.parameters)
    weigh = Penalty() if penalty is None else penalty
    batches = -(-len(rows) // batch_size)
    losses: list[float] = []
    held_losses: list[float] = []
    best = state.copied()
    for epoch in range(epochs):
        order = random.permutation(len(rows))
        total = 0.0
        for batch in range(batches):
            chosen = order[batch * batch_size : (batch + 1) * batch_size]
            with np.errstate(over="ignore", invalid="ignore"):  # where it diverges, which is told below
                found, gradients = state.gradients(features.of(chosen), targets[chosen], LOSSES[loss], weigh)
                done = (epoch + batch / batches) / epochs
                adam.step(gradients, rate * (1 + math.cos(math.pi * done)) / 2)
            state.cut()
            total += found * len(chosen)
        losses.append(total / len(rows))
        if not math.isfinite(losses[-1]):
            raise InputError(f"learning_rate = {rate}: training diverged in epoch {epoch + 1}; give a smaller one")
        if progress is not None:
            progress(epoch + 1, losses[-1])
        if held is not None and held_features is not None:
            held_losses.append(LOSSES[loss](state.forward(held_features.of(...))[0], held[1])[0])
            if held_losses[-1] == min(held_losses):
                best = state.copied()
            elif len(held_losses) - 1 - int(np.argmin(held_losses)) >= patience:
                break
    return Trained(state.kan(state.copied() if held is None else best), tuple(losses), tuple(held_losses))


def loss_and_gradients(
    kan: FloatKAN, x: Reals, y: npt.NDArray[Any], loss: str = "squared", penalty: Penalty | None = None
) -> tuple[float, list[tuple[Reals, Reals, Reals]]]:
    """The loss, and for every layer its gradients by coefficients, base weights and bias."""
    state = _State(kan, None, None)
    found, gradients = state.gradients(_Features(state, x).of(...), y, LOSSES[loss], penalty or Penalty())
    pairs = zip(gradients[0::2], gradients[1::2], strict=True)
    return found, [(weights[:, :, :-1], weights[:, :, -1], bias) for weights, bias in pairs]


Parameters = list[Reals]


class _State:
    """The parameters of a KAN while it is trained: of every layer weights ``(n_out, n_in, bases + 1)``, the last of
    them the base's, and a bias ``(n_out,)``."""

    def __init__(self, kan: FloatKAN, scales: Sequence[CodeScale] | None, guard_bits: Sequence[int] | None) -> None:
        self._kan = kan
        self.layers = kan.layers
        self.parameters: Parameters = []
        for layer in kan.layers:
            weights = np.concatenate([layer.coefficients, layer.base_weights[:, :, None]], axis=2)
            self.parameters += [np.where(layer.edges[:, :, None], weights, 0.0), layer.bias.copy()]
        self.rounding: list[_Rounding] | None = None
        if scales is not None:
            if len(scales) != len(kan.layers) + 1:
                raise InputError(f"scales: {len(scales)}; give {len(kan.layers) + 1}, for the inputs and every layer")
            guards = [0] * len(kan.layers) if guard_bits is None else list(guard_bits)
            if len(guards) != len(kan.layers):
                raise InputError(f"guard_bits: {len(guards)} values; give {len(kan.layers)}")
            self.rounding = [
                _Rounding(layer, scales[index], scales[index + 1], guards[index])
                for index, layer in enumerate(kan.layers)
            ]

    def copied(self) -> Parameters:
        return [array.copy() for array in self.parameters]

    def cut(self) -> None:
        """Keeps the edges that are not there at zero."""
        for layer, weights in zip(self.layers, self.parameters[0::2], strict=True):
            if not layer.edges.all():
                weights[~layer.edges] = 0.0

    def kan(self, parameters: Parameters) -> FloatKAN:
        layers = [
            replace(layer, coefficients=weights[:, :, :-1], base_weights=weights[:, :, -1], bias=bias)
            for layer, weights, bias in zip(self.layers, parameters[0::2], parameters[1::2], strict=True)
        ]
        return replace(self._kan, layers=tuple(layers))

    def entering(self, rows: Reals) -> Reals:
        """What the first layer takes, rounded where it will be."""
        values = self._kan.scaled(rows)
        return values if self.rounding is None else self.rounding[0].inputs.rounded(values)

    def forward(self, first: _Taken) -> tuple[Reals, list[_Taken]]:
        """Outputs ``(n, n_out)``, and what every layer took."""
        taken = [first]
        for index, layer in enumerate(self.layers):
            weights, bias = self.parameters[2 * index : 2 * index + 2]
            values = taken[-1]
            outputs = values.features.reshape(len(values.inputs), -1) @ weights.reshape(layer.n_out, -1).T + bias
            rounding = None if self.rounding is None else self.rounding[index]
            if rounding is not None:
                outputs = rounding.rounded_tables(weights, bias, values.inputs, outputs)
            if index + 1 == len(self.layers):
                return outputs, taken
            inside = None
            if rounding is not None:
                outputs, inside = rounding.rounded_nodes(outputs)
            taken.append(_Taken(outputs, _features(self.layers[index + 1], outputs), inside))
        raise AssertionError("there is a last layer")

    def gradients(
        self, first: _Taken, targets: npt.NDArray[Any], loss: Loss, penalty: Penalty
    ) -> tuple[float, Parameters]:
        """The loss, and its gradient by every parameter."""
        outputs, taken = self.forward(first)
        total, gradient = loss(outputs, targets)
        found: Parameters = []
        for index in reversed(range(len(self.layers))):
            layer, values, weights = self.layers[index], taken[index], self.parameters[2 * index]
            count = len(values.inputs)
            by_weight = (gradient.T @ values.features.reshape(count, -1)).reshape(weights.shape)
            total += penalty.add(weights, by_weight)
            found = [by_weight * layer.edges[:, :, None], gradient.sum(axis=0), *found]
            if index:
                by_feature = (gradient @ weights.reshape(layer.n_out, -1)).reshape(values.features.shape)
                gradient = (by_feature * _feature_slopes(layer, values.inputs)).sum(axis=2)
                if values.inside is not None:
                    gradient = gradient * values.inside
        return total, found


@dataclass(frozen=True, eq=False)
class _Taken:
    """What a layer takes: inputs ``(n, n_in)``, their bases and base ``(n, n_in, bases + 1)``, and where there are
    codes, which of the inputs did not saturate."""

    inputs: Reals
    features: Reals
    inside: npt.NDArray[np.bool_] | None = None


def _features(layer: FloatLayer, x: Reals) -> Reals:
    return np.concatenate([bases(x, layer.knots, layer.order), BASES[layer.base](x)[..., None]], axis=2)


def _feature_slopes(layer: FloatLayer, x: Reals) -> Reals:
    return np.concatenate([slopes(x, layer.knots, layer.order), BASE_SLOPES[layer.base](x)[..., None]], axis=2)


class _Features:
    """What the first layer takes of all samples: the same in every epoch, so it is kept where it fits in memory."""

    def __init__(self, state: _State, rows: Reals) -> None:
        self._layer = state.layers[0]
        self._inputs = state.entering(rows)
        width = self._layer.coefficients.shape[2] + 1
        self._features = _features(self._layer, self._inputs) if self._inputs.size * width <= _KEPT else None

    def of(self, chosen: Any) -> _Taken:
        inputs = self._inputs[chosen]
        kept = self._features
        return _Taken(inputs, _features(self._layer, inputs) if kept is None else kept[chosen])


class _Rounding:
    """How one layer of the lookup network rounds."""

    def __init__(self, layer: FloatLayer, inputs: CodeScale, nodes: CodeScale, guard_bits: int) -> None:
        self.inputs, self.nodes = inputs, nodes
        levels = np.stack([inputs.levels(place) for place in range(layer.n_in)], axis=1)
        self._features = _features(layer, levels).transpose(1, 0, 2)  # (n_in, codes, weights)
        self._lsb = nodes.step / (1 << guard_bits)

    def rounded_tables(self, weights: Reals, bias: Reals, x: Reals, outputs: Reals) -> Reals:
        """``outputs`` ``(n, n_out)`` as they are with rounded tables and bias."""
        tables = self._features @ weights.transpose(1, 2, 0)  # (n_in, codes, n_out)
        residue = np.rint(tables / self._lsb) * self._lsb - tables
        codes = (self.inputs.codes(x) - self.inputs.lowest).astype(np.int64)
        constant = bias - self.nodes.offset
        rounded: Reals = outputs + residue[np.arange(x.shape[1]), codes].sum(axis=1)
        rounded += np.rint(constant / self._lsb) * self._lsb - constant
        return rounded

    def rounded_nodes(self, outputs: Reals) -> tuple[Reals, npt.NDArray[np.bool_]]:
        """The nodes as their codes stand for, ties up; and which did not saturate."""
        exact = np.floor((outputs - self.nodes.offset) / self.nodes.step + 0.5 + _ROUGH)
        codes = np.clip(exact, self.nodes.lowest, self.nodes.highest)
        return codes * self.nodes.step + self.nodes.offset, codes == exact


class _Adam:
    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._mean = [np.zeros_like(array) for array in parameters]
        self._square = [np.zeros_like(array) for array in parameters]
        self._steps = 0

    def step(self, gradients: Parameters, rate: float) -> None:
        self._steps += 1
        fast, slow = _DECAYS
        rate *= math.sqrt(1 - slow**self._steps) / (1 - fast**self._steps)
        for array, gradient, mean, square in zip(self._parameters, gradients, self._mean, self._square, strict=True):
            mean += (1 - fast) * (gradient - mean)
            square += (1 - slow) * (gradient**2 - square)
            array -= rate * mean / (np.sqrt(square) + _TINY)
