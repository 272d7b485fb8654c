"""A KAN while it is trained: its parameters, its values in the forward pass, and its gradients.

With codes, values and table entries are rounded in the forward pass as the lookup network does it, and the gradient
goes back as if they were not (straight through; Bengio et al., arXiv 1308.3432).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import Reals
from ..number_checks import LAYERS, check_each_guard_bits
from ..scales import CodeScale, check_scales
from .calibration import default_guard_bits
from .float_kan import FloatKAN
from .float_layer import FloatLayer
from .training_losses import Penalty, TrainingLoss

_ROUGH = 1e-9  # LSBs, by which a sum of floats may miss a tie: far less than the finest guard bits

_KEPT = 1 << 25  # numbers, of the inputs' features in memory

Parameters = list[Reals]
"""The weights and the bias of every layer in turn."""


class TrainingState:
    """The parameters of a KAN while it is trained.

    Parameters
    ----------
    kan : FloatKAN
        The network to begin with.
    scales, guard_bits
        What it will be quantised with, or None to train it as it is.

    Attributes
    ----------
    layers : tuple of FloatLayer
        The layers to begin with.
    parameters : list of arrays
        For every layer its weights ``(n_out, n_in, functions)`` and its bias ``(n_out,)``.

    Raises
    ------
    InputError
        If there are not as many scales or guard bits as the layers take.
    """

    def __init__(
        self, kan: FloatKAN, scales: Sequence[CodeScale] | None, guard_bits: int | Sequence[int] | None
    ) -> None:
        self._kan = kan
        self.layers = kan.layers
        self.parameters: Parameters = []
        for layer in kan.layers:
            self.parameters += [np.where(layer.edges[:, :, None], layer.weights, 0.0), layer.bias.copy()]
        self.rounding: list[_TableRounding] | None = None
        if scales is not None:
            check_scales(scales, kan.layer_sizes)
            given = default_guard_bits(len(kan.layers)) if guard_bits is None else guard_bits
            guards = check_each_guard_bits("guard_bits", given, len(kan.layers), LAYERS)
            self.rounding = [
                _TableRounding(layer, scales[index], scales[index + 1], guards[index])
                for index, layer in enumerate(kan.layers)
            ]

    def copy(self) -> Parameters:
        """Copy the parameters."""
        return [array.copy() for array in self.parameters]

    def cut(self) -> None:
        """Keep the edges that are not there at zero."""
        for layer, weights in zip(self.layers, self.parameters[0::2], strict=True):
            if not layer.edges.all():
                weights[~layer.edges] = 0.0

    def kan(self, parameters: Parameters) -> FloatKAN:
        """Make the network that has these parameters."""
        layers = [
            layer.with_parameters(weights, bias)
            for layer, weights, bias in zip(self.layers, parameters[0::2], parameters[1::2], strict=True)
        ]
        return replace(self._kan, layers=tuple(layers))

    def scale_inputs(self, rows: Reals) -> Reals:
        """Give what the first layer takes, ``(n, n_in)``, rounded where it will be."""
        values = self._kan.scale_inputs(rows)
        return values if self.rounding is None else self.rounding[0].inputs.round(values)

    def forward(self, first: LayerFeatures) -> tuple[Reals, list[LayerFeatures]]:
        """Compute the outputs ``(n, n_out)``, and what every layer took."""
        taken = [first]
        for index, layer in enumerate(self.layers):
            weights, bias = self.parameters[2 * index : 2 * index + 2]
            values = taken[-1]
            outputs = values.features.reshape(len(values.inputs), -1) @ weights.reshape(layer.n_out, -1).T + bias
            rounding = None if self.rounding is None else self.rounding[index]
            if rounding is not None:
                outputs = rounding.round_tables(weights, bias, values.inputs, outputs)
            if index + 1 == len(self.layers):
                return outputs, taken
            inside = None
            if rounding is not None:
                outputs, inside = rounding.round_nodes(outputs)
            taken.append(LayerFeatures(outputs, self.layers[index + 1].values(outputs), inside))
        raise AssertionError("there is a last layer")

    def gradients(
        self,
        first: LayerFeatures,
        targets: npt.NDArray[Any],
        loss: TrainingLoss,
        penalty: Penalty,
        weights: Reals | None = None,
    ) -> tuple[float, Parameters]:
        """Compute the loss, and its gradient by every parameter, for what the first layer takes; ``weights``, ``(n,)``,
        are those of the samples."""
        outputs, taken = self.forward(first)
        total, gradient = loss(outputs, targets, weights)
        found: Parameters = []
        for index in reversed(range(len(self.layers))):
            layer, values, own = self.layers[index], taken[index], self.parameters[2 * index]
            count = len(values.inputs)
            by_weight = (gradient.T @ values.features.reshape(count, -1)).reshape(own.shape)
            total += penalty.add(own, by_weight)
            found = [by_weight * layer.edges[:, :, None], gradient.sum(axis=0), *found]
            if index:
                by_feature = (gradient @ own.reshape(layer.n_out, -1)).reshape(values.features.shape)
                gradient = (by_feature * layer.slopes(values.inputs)).sum(axis=2)
                if values.inside is not None:
                    gradient = gradient * values.inside
        return total, found


@dataclass(frozen=True, eq=False)
class LayerFeatures:
    """What a layer takes.

    Attributes
    ----------
    inputs : array ``(n, n_in)``
    features : array ``(n, n_in, functions)``
        The functions of the inputs.
    inside : array of booleans ``(n, n_in)``, or None
        Where there are codes, which of the inputs did not saturate.
    """

    inputs: Reals
    features: Reals
    inside: npt.NDArray[np.bool_] | None = None


class FirstLayerFeatures:
    """What the first layer takes of all samples: the same in every epoch, so it is kept where it fits in memory.

    Parameters
    ----------
    state : TrainingState
    rows : array ``(n, n_in)``
        The samples.
    """

    def __init__(self, state: TrainingState, rows: Reals) -> None:
        self._layer = state.layers[0]
        self._inputs = state.scale_inputs(rows)
        width = self._layer.weights.shape[2]
        self._features = self._layer.values(self._inputs) if self._inputs.size * width <= _KEPT else None

    def features(self, chosen: Any) -> LayerFeatures:
        """Give what the first layer takes of the samples with the indices ``chosen``."""
        inputs = self._inputs[chosen]
        kept = self._features
        return LayerFeatures(inputs, self._layer.values(inputs) if kept is None else kept[chosen])


class _TableRounding:
    """How one layer of the lookup network rounds."""

    def __init__(self, layer: FloatLayer, inputs: CodeScale, nodes: CodeScale, guard_bits: int) -> None:
        self.inputs, self.nodes = inputs, nodes
        levels = np.stack([inputs.levels(source) for source in range(layer.n_in)], axis=1)
        self._features = layer.values(levels).transpose(1, 0, 2)  # (n_in, codes, weights)
        self._lsb = nodes.step / (1 << guard_bits)

    def round_tables(self, weights: Reals, bias: Reals, x: Reals, outputs: Reals) -> Reals:
        """Give ``outputs`` ``(n, n_out)`` as they are with rounded tables and bias."""
        tables = self._features @ weights.transpose(1, 2, 0)  # (n_in, codes, n_out)
        # What is the same for all codes is rounded with the node's bias.
        same = (tables == tables[:, :1]).all(axis=1)
        residue = np.where(same[:, None], 0.0, np.rint(tables / self._lsb) * self._lsb - tables)
        codes = (self.inputs.codes(x) - self.inputs.lowest).astype(np.int64)
        constant = bias - self.nodes.offset + np.where(same, tables[:, 0], 0.0).sum(axis=0)
        rounded: Reals = outputs + residue[np.arange(x.shape[1]), codes].sum(axis=1)
        rounded += np.rint(constant / self._lsb) * self._lsb - constant
        return rounded

    def round_nodes(self, outputs: Reals) -> tuple[Reals, npt.NDArray[np.bool_]]:
        """Give the nodes as their codes stand for, ties up; and tell which did not saturate."""
        exact = np.floor((outputs - self.nodes.offset) / self.nodes.step + 0.5 + _ROUGH)
        codes = np.clip(exact, self.nodes.lowest, self.nodes.highest)
        return codes * self.nodes.step + self.nodes.offset, codes == exact
