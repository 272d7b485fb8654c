"""A learner's coefficients by least squares: the nearest that its splines come to given functions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..arrays import Reals
from ..learner.arithmetic import LayerArithmetic
from ..numeric.fixed import Codes
from .addressing import grid_position, unroll

_EVEN = 0.02  # of all weight: spread evenly over where samples are, so that no gap between them is left open

_STIFF = 1e-7  # what coefficients that no sample reaches cost where they differ from their neighbours

_REACH = 2  # beyond an edge's range, in parts of it, that coefficients lie for no good reason

_WORSE, _MUCH_WORSE = 1.1, 3.0  # that an edge's error may become for coefficients nearer to that, or in their format


def find_outside_format(layer: LayerArithmetic, real: Reals) -> npt.NDArray[np.bool_]:
    """Tell which real coefficients, of any shape, their format does not hold."""
    format = layer.formats.coefficient
    return format.is_beyond(format.nearest(real))


def middle_activations(layer: LayerArithmetic, turns: Codes | int = 0) -> Codes:
    """Give an activation in the middle of each position of the grid, or next to it where there is none.

    Where the format goes around a periodic grid once, from wherever it begins, they are those that it has. In one that
    it goes around more often, activations are so many ``turns`` on, one number for each position or for all.

    Returns
    -------
    array of codes ``(positions,)``
    """
    locator = layer.locator
    positions = np.arange(locator.end) + turns * locator.end
    first, beyond = (
        -((locator.offset - (each << locator.shift)) // locator.scale) for each in (positions, positions + 1)
    )
    middle: Codes = (first + np.maximum(beyond - 1, first)) // 2
    if layer.periodic:
        format = layer.formats.input
        middle = format.minimum + (middle - format.minimum) % (1 << format.width)
    return middle


def weigh_positions(layer: LayerArithmetic, taken: Codes) -> Reals:
    """Weigh the positions of the grid, ``(positions,)``, by how often activations ``taken`` ``(n,)`` come there."""
    end = layer.locator.end
    positions = grid_position(unroll(layer), taken)  # where samples go beyond a periodic grid, they leave a gap in it
    first, last = positions.min(), positions.max()
    counts = np.bincount(positions % end, minlength=end).astype(np.float64)
    within = np.zeros(end)
    within[np.arange(first, min(last, first + end - 1) + 1) % end] = 1
    result: Reals = counts / counts.sum() + _EVEN * within / within.sum()
    return result


class EdgeFit:
    """The least-squares fit of the edges that lead from one input of a layer.

    Where no sample comes, coefficients stay as they are at the last position where one does (P-splines, Eilers and Marx
    1996, of first differences).

    Parameters
    ----------
    layer : LayerArithmetic
        What the edges can be.
    weights : array ``(positions,)``
        How much each position of the grid counts.
    target : array ``(n_out, positions)``
        What the edges are to add to their nodes.
    """

    def __init__(self, layer: LayerArithmetic, weights: Reals, target: Reals) -> None:
        self._layer = layer
        cells = (layer.grid_size, layer.table_size)
        self._weights, self._target = weights.reshape(cells), target.reshape(-1, *cells)
        self._basis = layer.formats.basis.to_float(layer.basis_table)
        # On a periodic grid the last windows go on at the first coefficient.
        self._windows = (np.arange(layer.grid_size)[:, None] + np.arange(layer.window)) % layer.bases
        # Band i holds the diagonal that lies i rows below the main one, and on a periodic grid goes on at its top.
        self._normal = np.zeros((layer.window, layer.bases))
        blocks = np.einsum("kr,rj,ri->kji", self._weights, self._basis, self._basis)
        for first in range(layer.window):
            for last in range(first, layer.window):
                np.add.at(self._normal[last - first], self._windows[:, first], blocks[:, last, first])
        self._moments = np.zeros((layer.bases, layer.n_out))
        moments = np.einsum("kr,rj,okr->kjo", self._weights, self._basis, self._target)
        np.add.at(self._moments, self._windows, moments)
        self._rough = np.zeros_like(self._normal)
        self._rough[0], self._rough[1] = 2 + 1e-6, -1
        if not layer.periodic:
            self._rough[0, [0, -1]] -= 1
        self._rough *= self._normal[0].max()

    def coefficients(self) -> Reals:
        """Give the real coefficients ``(n_out, bases)`` whose edges are nearest to the target."""
        best = self._solve(_STIFF)
        error = self._error(best)
        seen = self._target[:, self._weights > 0]
        room = _REACH * np.ptp(seen, axis=1)
        lowest, highest = (seen.min(axis=1) - room)[:, None], (seen.max(axis=1) + room)[:, None]
        unfit = find_outside_format(self._layer, best).any(axis=1)
        allowed = np.maximum(np.where(unfit, _MUCH_WORSE, _WORSE) * error, self._layer.formats.output.lsb / 4)
        # A basis that samples touch only at its very end can take any coefficient to fit a few of them.
        for stiff in _STIFF * 10.0 ** np.arange(1, 7):
            wild = ((best < lowest) | (best > highest)).any(axis=1)
            stiffer = self._solve(float(stiff))
            taken = wild & (self._error(stiffer) < allowed)
            if not taken.any():
                break
            best[taken] = stiffer[taken]
        # What the format cannot hold may not matter either.
        format = self._layer.formats.coefficient
        clipped = np.clip(best, *format.to_float([format.minimum, format.maximum]))
        taken = self._error(clipped) < allowed
        best[taken] = clipped[taken]
        return best

    def _solve(self, stiff: float) -> Reals:
        """Solve for coefficients that cost ``stiff`` where they differ from their neighbours."""
        bands = self._normal + stiff * self._rough
        if self._layer.periodic:
            return self._solve_cyclic(bands)
        from scipy.linalg import solveh_banded  # only here: it takes long to import

        result: Reals = solveh_banded(bands, self._moments, lower=True).T
        return result

    def _solve_cyclic(self, bands: Reals) -> Reals:
        """Solve with bands that go on at their other end."""
        from scipy.sparse import coo_array  # only here: it takes long to import
        from scipy.sparse.linalg import splu

        columns = np.tile(np.arange(self._layer.bases), len(bands))
        rows = (columns + np.repeat(np.arange(len(bands)), self._layer.bases)) % self._layer.bases
        # Entries of one place are added: two bands may meet where there are few coefficients.
        below = coo_array((bands.ravel(), (rows, columns)), shape=(self._layer.bases,) * 2).tocsc()
        diagonal = coo_array((bands[0], (np.arange(self._layer.bases),) * 2), shape=below.shape).tocsc()
        result: Reals = splu((below + below.T - diagonal).tocsc()).solve(self._moments).T
        return result

    def _error(self, coefficients: Reals) -> Reals:
        """Give the root of the weighted mean square error of every edge, ``(n_out,)``."""
        errors = np.einsum("okj,rj->okr", coefficients[:, self._windows], self._basis) - self._target
        result: Reals = np.sqrt(np.einsum("okr,kr->o", errors**2, self._weights))
        return result
