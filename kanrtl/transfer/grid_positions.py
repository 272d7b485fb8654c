"""Positions in a learner's grid: all that a layer takes from an input, and what its edges add there."""

from __future__ import annotations

import numpy as np

from ..learner.arithmetic import LayerArithmetic
from ..numeric.fixed import Codes
from ..numeric.spline import Locator

__all__ = ["edge_sums", "grid_position"]


def grid_position(locator: Locator, x: Codes) -> Codes:
    """Positions in the grid, clamped to it.

    Parameters
    ----------
    locator : Locator
        The locator of the layer.
    x : array of integers, any shape
        Activations, as codes.

    Returns
    -------
    array of integers
        For every activation a position from 0 to ``grid_size * table_size - 1``, in the shape of ``x``.
    """
    cell, row, _ = locator.locate(x)
    position: Codes = (cell << locator.row_bits) + row
    return position


def edge_sums(layer: LayerArithmetic, coefficients: Codes, source: int) -> Codes:
    """Compute what all edges from one input add to their nodes, by position in the grid.

    Parameters
    ----------
    layer : LayerArithmetic
        The layer of the learner.
    coefficients : array of codes ``(n_out, n_in, bases)``
        What the edges are.
    source : int
        The number of the input.

    Returns
    -------
    array of codes ``(n_out, positions)``
        They are exact, with the fraction bits of ``layer.node_sum``.
    """
    windows = np.lib.stride_tricks.sliding_window_view(coefficients[:, source], layer.window, axis=1)
    sums: Codes = np.einsum("okj,rj->okr", windows, layer.basis_table)
    return sums.reshape(layer.n_out, -1)
