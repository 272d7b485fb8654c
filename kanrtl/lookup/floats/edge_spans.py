"""Where the edges from a value tell its values apart, and how far edges move their nodes.

Codes outside of that range would be wasted: below zero, where only a ReLU follows, or beyond the knots of splines that
have no base function. A node saturates there instead, which costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ...arrays import Reals
from .float_layer import FloatLayer

_POINTS = 129  # at which edges are looked at, by quantiles of the values

_HALVINGS = 45

_EXACT = 1e-9  # of an edge's range over the samples: what counts as no change at all

_NARROWEST = 1 / 16  # of the samples' range: so that an edge that jumps at one point leaves a step for codes


@dataclass(frozen=True, eq=False)
class EdgeSpans:
    """The edges of a layer over the values of its inputs.

    Attributes
    ----------
    lowest, highest : arrays ``(n_in,)``
        What lies beyond changes nothing at any node, except for ``tolerance`` of what the edge does in all.
    reach : array ``(n_out,)``
        The most that any one edge moves each node.
    """

    lowest: Reals
    highest: Reals
    reach: Reals

    @classmethod
    def of(cls, layer: FloatLayer, values: Reals, tolerance: float = _EXACT) -> Self:
        """Measure the edges of ``layer`` over values ``(n, n_in)`` of its inputs."""
        points = np.quantile(values, np.linspace(0, 1, _POINTS), axis=0)
        edges = _edge_values(layer, points)
        change = np.ptp(edges, axis=0)
        allowed = tolerance * change
        ends = [
            _find_end(layer, points[order], edges[order], allowed) for order in (slice(None), slice(None, None, -1))
        ]
        first, last = points[0], points[-1]
        # Where nothing matters, anything will do: what the samples have.
        free = (change == 0).all(axis=0) | (ends[0] > ends[1])
        lowest, highest = np.where(free, first, ends[0]), np.where(free, last, ends[1])
        missing = np.maximum(0, _NARROWEST * (last - first) - (highest - lowest)) / 2
        return cls(
            np.maximum(first, lowest - missing), np.minimum(last, highest + missing), change.max(axis=1, initial=0.0)
        )

    def hold(self, values: Reals) -> Reals:
        """Give values ``(n, n_in)`` held within the range where they matter."""
        return np.clip(values, self.lowest, self.highest)


def _edge_values(layer: FloatLayer, points: Reals) -> Reals:
    """Evaluate the edges that there are, ``(n, n_out, n_in)``, at points ``(n, n_in)``."""
    weights = np.where(layer.edges[:, :, None], layer.weights, 0.0)
    edges: Reals = np.einsum("nim,oim->noi", layer.values(points), weights, optimize=True)
    return edges


def _find_end(layer: FloatLayer, points: Reals, edges: Reals, allowed: Reals) -> Reals:
    """Find for each input how far from the first of its points on all edges stay what they are there."""
    same = np.logical_and.accumulate((np.abs(edges - edges[0]) <= allowed).all(axis=1), axis=0)
    last = same.sum(axis=0) - 1
    columns = np.arange(points.shape[1])
    near: Reals = points[last, columns]
    far: Reals = points[np.minimum(last + 1, len(points) - 1), columns]
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        still = (np.abs(_edge_values(layer, middle[None])[0] - edges[0]) <= allowed).all(axis=0)
        near, far = np.where(still, middle, near), np.where(still, far, middle)
    return near
