"""One sample through a network, in plain numbers: for a few edges, quicker than numpy with arrays of one row."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from ..arrays import RowBuffer
from ..numeric.fixed import Codes
from .lookup_layer import LookupLayer
from .network import LookupNetwork
from .quantiser import FixedQuantiser, Quantiser

MOST_EDGES = 500
"""From here on numpy is quicker: it takes about 100 microseconds for any few edges, and this .1 or .2 for each."""

Numbers = list[int]


class SingleSample:
    """Predicts for one real sample at a time, to the bit as :meth:`.LookupNetwork.predict_codes` of its codes.

    Attributes
    ----------
    x : RowBuffer
        The sample, ``(n_in,)``.
    predictions : array of integers ``(n_predictions,)``
        The prediction of the last call, as the component gives it.
    """

    def __init__(self, network: LookupNetwork) -> None:
        self.x = RowBuffer(network.n_in)
        self.predictions: Codes = np.zeros(network.n_predictions, dtype=np.int64)
        self._row = self.x.row
        self._quantise = _quantiser(network.quantiser)
        self._layers = [_PlainLayer(layer) for layer in network.layers]
        self._output, self._thresholds = network.output, network.thresholds

    def __call__(self) -> int:
        """Predict; 0, or -1, with nothing done, where an input is no finite number."""
        try:
            codes = self._quantise(self._row.tolist())
        except (ValueError, OverflowError):  # what rounding NaN and infinity raises
            return -1
        for layer in self._layers:
            codes = layer.evaluate(codes)
        if self._output == "argmax":
            codes = [codes.index(max(codes))]
        elif self._output == "threshold":
            codes = [int(code > bound) for code, bound in zip(codes, self._thresholds, strict=True)]
        self.predictions[:] = codes
        return 0


def _quantiser(quantiser: Quantiser | FixedQuantiser) -> Callable[[list[float]], Numbers]:
    """Give what makes codes of real inputs."""
    limit = 1 << (quantiser.bits - 1)
    affine = list(zip(quantiser.scale.tolist(), quantiser.offset.tolist(), strict=True))
    if isinstance(quantiser, Quantiser):

        def make_codes(x: list[float]) -> Numbers:
            rounded = [round(one * scale + offset) for one, (scale, offset) in zip(x, affine, strict=True)]
            return [min(max(code, -limit), limit - 1) for code in rounded]

        return make_codes
    format, shift = quantiser.format, quantiser.shift
    units, low, high = 2.0**format.f, format.minimum, format.maximum
    half = (1 << shift >> 1) - 1 if shift else 0

    def make_fixed_codes(x: list[float]) -> Numbers:
        codes = []
        for one, (scale, offset) in zip(x, affine, strict=True):
            exact = min(max(round(one * units), low), high) * scale + offset
            if shift:
                exact = (exact + half + (exact >> shift & 1)) >> shift
            codes.append(min(max(exact, -limit), limit - 1))
        return codes

    return make_fixed_codes


class _PlainLayer:
    """A layer as lists: for every node its rounded bias, and its edges as pairs of a source and a table by code."""

    def __init__(self, layer: LookupLayer) -> None:
        self._guard_bits = layer.guard_bits
        limit = 1 << (layer.bits_out - 1)
        self._low, self._high = -limit, limit - 1
        # A negative code counts from the end, as an index does.
        tables = np.roll(layer.table, 1 << (layer.bits_in - 1), axis=1)
        views: list[Any] = [memoryview(table) for table in tables]
        edges = list(zip(layer.source.tolist(), views, strict=True))
        ends = np.searchsorted(layer.node, np.arange(layer.n_out + 1)).tolist()
        biases = (layer.bias + (1 << self._guard_bits >> 1)).tolist()
        self._nodes: list[tuple[int, list[tuple[int, Any]]]] = [
            (bias, edges[first:end]) for bias, (first, end) in zip(biases, pairwise(ends), strict=True)
        ]

    def evaluate(self, codes: Numbers) -> Numbers:
        """Give the nodes' codes for the inputs'."""
        guard_bits, low, high = self._guard_bits, self._low, self._high
        result = []
        for total, edges in self._nodes:
            for source, table in edges:
                total += table[codes[source]]
            total >>= guard_bits
            result.append(low if total < low else high if total > high else total)
        return result
