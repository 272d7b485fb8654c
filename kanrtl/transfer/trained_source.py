"""Trained networks as functions of real numbers, layer by layer, whatever they are made of."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from ..arrays import Reals
from ..errors import InputError
from ..lookup.floats.float_kan import FloatKAN
from ..lookup.network import LookupNetwork
from ..lookup.quantiser import FixedQuantiser


class TrainedSource(Protocol):
    """A trained network, whose first layer takes real inputs.

    Attributes
    ----------
    layer_sizes : tuple of int
        The inputs, then the nodes of every layer.
    biases : list of arrays ``(n_out,)``
        The biases of every layer's nodes.
    """

    layer_sizes: tuple[int, ...]
    biases: list[Reals]

    def edges(self, index: int, source: int, values: Reals) -> Reals:
        """Give what the edges from one input of a layer add to its nodes ``(n_out, n)``, at values ``(n,)``."""

    def evaluate(self, x: Reals) -> list[Reals]:
        """Give the values after every layer, each ``(n, n_out)``, for inputs ``(n, n_in)``."""

    def domain(self) -> tuple[Reals, Reals]:
        """Give the lowest and the highest inputs, ``(n_in,)`` each, that the network was made for."""

    def limits(self, index: int, source: int) -> tuple[float, float]:
        """Give the lowest and the highest value that the edges from one input of a layer tell from those beyond."""


def open_source(network: FloatKAN | LookupNetwork) -> TrainedSource:
    """Make the functions of a trained network."""
    return _TableSource(network) if isinstance(network, LookupNetwork) else _FloatSource(network)


class _FloatSource:
    """A network of real numbers."""

    def __init__(self, kan: FloatKAN) -> None:
        self.layer_sizes = kan.layer_sizes
        self._kan = kan
        self.biases: list[Reals] = [layer.bias for layer in kan.layers]

    def edges(self, index: int, source: int, values: Reals) -> Reals:
        layer = self._kan.layers[index]
        if index == 0:
            values = values * self._kan.input_scale[source] + self._kan.input_offset[source]
        return layer.edges[:, source, None] * layer.edge_values(source, values)

    def evaluate(self, x: Reals) -> list[Reals]:
        return self._kan.evaluate(x)

    def domain(self) -> tuple[Reals, Reals]:
        kan, known = self._kan, self._kan.layers[0].domain()
        if known is None:
            raise InputError("x: the functions of the first layer have no range of their own; give samples")
        scale = np.where(kan.input_scale == 0, np.inf, kan.input_scale)
        ends = [(end - kan.input_offset) / scale for end in known]
        return np.minimum(*ends), np.maximum(*ends)

    def limits(self, index: int, source: int) -> tuple[float, float]:
        return -np.inf, np.inf


class _TableSource:
    """A network of tables as functions of real numbers: of those nearest to a code, they have the value of the code."""

    def __init__(self, network: LookupNetwork) -> None:
        self.layer_sizes = network.layer_sizes
        self._network = network
        self._entries = [layer.steps / (1 << layer.guard_bits) for layer in network.layers]
        self.biases: list[Reals] = [
            layer.bias.astype(np.float64) * entry + layer.offsets
            for layer, entry in zip(network.layers, self._entries, strict=True)
        ]

    def edges(self, index: int, source: int, values: Reals) -> Reals:
        layer = self._network.layers[index]
        half = 1 << (layer.bits_in - 1)
        if index == 0:
            x = np.zeros((len(values), layer.n_in))
            x[:, source] = values
            address = self._network.quantiser.codes(x)[:, source] + half
        else:
            before = self._network.layers[index - 1]
            nearest = np.floor((values - before.offsets[source]) / before.steps[source] + 0.5)
            address = np.clip(nearest, -half, half - 1).astype(np.int64) + half
        result = np.zeros((layer.n_out, len(values)))
        here = np.flatnonzero(layer.source == source)
        nodes = layer.node[here]
        result[nodes] = layer.table[here][:, address] * self._entries[index][nodes, None]
        return result

    def evaluate(self, x: Reals) -> list[Reals]:
        codes, result = self._network.quantiser.codes(x), []
        for layer, entry in zip(self._network.layers, self._entries, strict=True):
            half = 1 << (layer.bits_out - 1)
            sums = np.clip(layer.sums(codes) * entry, -half * layer.steps, (half - 1) * layer.steps)
            result.append(sums + layer.offsets)
            codes = layer.evaluate(codes)
        result[-1] = layer.real_values(codes)
        return result

    def domain(self) -> tuple[Reals, Reals]:
        quantiser = self._network.quantiser
        half, unit = 1 << (quantiser.bits - 1), 1.0
        if isinstance(quantiser, FixedQuantiser):
            half, unit = half << quantiser.shift, quantiser.format.lsb
        scale = np.where(quantiser.scale == 0, np.inf, quantiser.scale)
        ends = [(end - quantiser.offset) / scale * unit for end in (-half, half)]
        low, high = np.minimum(*ends), np.maximum(*ends)
        if isinstance(quantiser, FixedQuantiser):
            low, high = (quantiser.format.to_float(quantiser.format.quantise(end)) for end in (low, high))
        return low, high

    def limits(self, index: int, source: int) -> tuple[float, float]:
        if index == 0:
            low, high = self.domain()
            return float(low[source]), float(high[source])
        layer, before = self._network.layers[index], self._network.layers[index - 1]
        # Where no activation comes a frozen learner's tables go on as they are at the last.
        changes = np.flatnonzero(np.diff(layer.table[layer.source == source]).any(axis=0))
        codes = np.array([changes[0], changes[-1] + 1]) - (1 << (layer.bits_in - 1)) if len(changes) else np.zeros(2)
        low, high = codes * before.steps[source] + before.offsets[source]
        return float(low), float(high)
