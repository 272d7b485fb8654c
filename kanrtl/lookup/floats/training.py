"""A small trainer of KANs in numpy, for those who have no torch.

It is Adam (Kingma, Ba, arXiv 1412.6980) over B-spline edges. With codes it is aware of quantisation; see
:mod:`.training_state`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import Reals, below_one, check_at_least, check_weights
from ...errors import InputError, check_kind, cut
from ..number_checks import check_integer, check_positive, is_list
from ..scales import CodeScale
from .calibration import rows_of
from .float_kan import FloatKAN
from .float_layer import FloatLayer
from .training_losses import LOSSES, Penalty, check_targets
from .training_state import FirstLayerFeatures, Parameters, TrainingState

GRID = (-1.0, 1.0)
"""The grid of the first layer, whose inputs are scaled to it."""

HIDDEN_GRID = (-2.0, 2.0)
"""The grid of the other layers: the nodes before them begin with a deviation of about a half."""

_MARGIN = 1e-3  # of the inputs' grid: a cell is half open, and the highest sample is to lie in one

_DECAYS = (0.9, 0.999)

_TINY = 1e-8


def initial_kan(
    layer_sizes: Sequence[int],
    x: npt.ArrayLike,
    *,
    grid_size: int = 5,
    spline_order: int = 3,
    base: str = "silu",
    seed: int = 0,
) -> FloatKAN:
    """Make a KAN that has learned nothing, with small random edges.

    Parameters
    ----------
    layer_sizes
        The number of inputs, then the number of nodes of every layer.
    x : array ``(n, n_in)``
        Samples such as the network will see: the grids of the first layer hold them.
    grid_size, spline_order
        The cells of a grid, and the order of the splines on it.
    base
        The function beside the splines, a name of :data:`.float_network.BASES`.
    seed
        The seed of the random edges. The same arguments give the same network.

    Raises
    ------
    InputError
        If an argument is refused.
    """
    check_integer("grid_size", grid_size, 1, 1024)
    check_integer("spline_order", spline_order, 0, 1024)
    check_at_least("seed", seed, 0)
    if not is_list(layer_sizes) or len(layer_sizes) < 2:
        raise InputError(f"layer_sizes = {cut(layer_sizes)}: give the inputs and the nodes of at least one layer")
    layer_sizes = [check_at_least(f"layer_sizes[{index}]", size, 1) for index, size in enumerate(layer_sizes)]
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


@dataclass(frozen=True, eq=False)
class Trained:
    """What training gave.

    Attributes
    ----------
    kan : FloatKAN
        The trained network.
    losses : tuple of float
        The mean loss over every epoch, penalties included.
    validation : tuple of float
        The loss of the validation samples after every epoch, where there were any; ``kan`` is as it was after the best.
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
    guard_bits: int | Sequence[int] | None = None,
    validation: tuple[npt.ArrayLike, npt.ArrayLike] | tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike] | None = None,
    patience: int = 20,
    seed: int = 0,
    weights: npt.ArrayLike | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Trained:
    """Train all edges that there are, from where they stand.

    Parameters
    ----------
    kan : FloatKAN
        The network to begin with, which stays as it is.
    x : array ``(n, n_in)``
        The samples.
    y : array
        Their targets, as the loss takes them.
    loss
        A name of :data:`.training_losses.LOSSES`.
    epochs, batch_size
        How often all samples are seen, and how many of them together make a step.
    learning_rate
        The rate to begin with; it falls to zero along half a cosine.
    penalty
        What is added to the loss.
    scales, guard_bits
        With ``scales`` (those of a :class:`.Calibration`), values are those of the network that is quantised with them
        and these guard bits, by default those of :meth:`.Calibration.quantise`, except that the outputs do not
        saturate, and are not rounded where the last layer has guard bits. Grids and scales stay.
    validation, patience
        Samples, targets and, if they have any, weights that decide which epoch's network is kept; after ``patience``
        epochs without a better one training ends.
    seed
        The seed of the order of samples. The same arguments give the same network.
    weights : array ``(n,)``, optional
        How much each sample counts in the loss, relative to the mean of all; by default all count the same.
    progress
        A function that is told the number of epochs done and the last one's loss.

    Returns
    -------
    Trained
        The network, and the losses on the path there.

    Raises
    ------
    InputError
        If an argument is refused, or training diverges.
    """
    rows = rows_of("x", x, kan.layer_sizes[0])
    targets = check_targets("y", loss, y, len(rows), kan.layer_sizes[-1])
    for field, value in (("epochs", epochs), ("batch_size", batch_size), ("patience", patience)):
        check_at_least(field, value, 1)
    check_at_least("seed", seed, 0)
    rate = check_positive("learning_rate", learning_rate)
    check_kind("penalty", penalty, (Penalty, NoneType), "a Penalty, or None")
    shares = None if weights is None else _scale_weights("weights", weights, len(rows))
    state = TrainingState(kan, scales, guard_bits)
    held = None
    if validation is not None:
        if not isinstance(validation, (list, tuple)) or len(validation) not in (2, 3):
            raise InputError("validation: give samples and targets, and weights if they have any")
        held_x = rows_of("validation[0]", validation[0], kan.layer_sizes[0])
        held_y = check_targets("validation[1]", loss, validation[1], len(held_x), kan.layer_sizes[-1])
        given = validation[2] if len(validation) == 3 else None
        held = (held_x, held_y, None if given is None else _scale_weights("validation[2]", given, len(held_x)))
    features = FirstLayerFeatures(state, rows)
    held_features = None if held is None else FirstLayerFeatures(state, held[0])
    random = np.random.default_rng(seed)
    adam = _Adam(state.parameters)
    weigh = Penalty() if penalty is None else penalty
    batches = -(-len(rows) // batch_size)
    losses: list[float] = []
    held_losses: list[float] = []
    best = state.copy()
    for epoch in range(epochs):
        order = random.permutation(len(rows))
        total = 0.0
        for batch in range(batches):
            chosen = order[batch * batch_size : (batch + 1) * batch_size]
            with np.errstate(over="ignore", invalid="ignore"):  # where it diverges, which is told below
                found, gradients = state.gradients(
                    features.features(chosen),
                    targets[chosen],
                    LOSSES[loss],
                    weigh,
                    None if shares is None else shares[chosen],
                )
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
            held_losses.append(LOSSES[loss](state.forward(held_features.features(...))[0], *held[1:])[0])
            if held_losses[-1] == min(held_losses):
                best = state.copy()
            elif len(held_losses) - 1 - int(np.argmin(held_losses)) >= patience:
                break
    return Trained(state.kan(state.copy() if held is None else best), tuple(losses), tuple(held_losses))


def _scale_weights(field: str, weights: npt.ArrayLike, count: int) -> Reals:
    """Give the weights of ``count`` samples, whose mean is one; :exc:`InputError` where they cannot be."""
    checked = check_weights(field, weights, count)
    if not checked.any():
        raise InputError(f"{field}: all weights are zero; give one above zero to learn from")
    scaled = below_one(checked)
    result: Reals = scaled / scaled.mean()
    return result


def loss_and_gradients(
    kan: FloatKAN, x: Reals, y: npt.NDArray[Any], loss: str = "squared", penalty: Penalty | None = None
) -> tuple[float, list[tuple[Reals, Reals]]]:
    """Give the loss of a network, and its gradients by all parameters.

    Returns
    -------
    loss : float
        The mean over the samples, and the penalty.
    gradients : list of tuples of arrays
        For every layer those by its weights ``(n_out, n_in, functions)`` and bias ``(n_out,)``.
    """
    state = TrainingState(kan, None, None)
    found, gradients = state.gradients(
        FirstLayerFeatures(state, x).features(...), y, LOSSES[loss], penalty or Penalty()
    )
    return found, list(zip(gradients[0::2], gradients[1::2], strict=True))


class _Adam:
    """The state of Adam: running means of the gradients and of their squares."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._mean = [np.zeros_like(array) for array in parameters]
        self._square = [np.zeros_like(array) for array in parameters]
        self._steps = 0

    def step(self, gradients: Parameters, rate: float) -> None:
        """Move the parameters against their gradients."""
        self._steps += 1
        fast, slow = _DECAYS
        rate *= math.sqrt(1 - slow**self._steps) / (1 - fast**self._steps)
        for array, gradient, mean, square in zip(self._parameters, gradients, self._mean, self._square, strict=True):
            mean += (1 - fast) * (gradient - mean)
            square += (1 - slow) * (gradient**2 - square)
            array -= rate * mean / (np.sqrt(square) + _TINY)
