"""Edges that the outputs can do without, found by data."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ...arrays import Reals, check_at_least
from ...errors import InputError, cut
from ..notes import Note
from ..number_checks import check_number
from .calibration import finite_layers, rows_of, variance_of
from .float_network import FloatNetwork, Kan


def edge_effects(kan: FloatNetwork, x: npt.ArrayLike) -> list[Reals]:
    """Measure what every edge does to the outputs.

    It is the rise of the outputs' mean squared error over their variance when this edge alone is replaced by its mean
    over the samples. In the last layer that is the variance that the edge contributes.

    Parameters
    ----------
    kan : FloatNetwork
    x : array ``(n, n_in)``
        Samples such as the network will see.

    Returns
    -------
    list of arrays ``(n_out, n_in)``
        One for each layer; zero where there is no edge.

    Raises
    ------
    InputError
        If the samples are not such an array of finite numbers, or a node gives none for them.
    """
    rows = rows_of("x", x, kan.layer_sizes[0])
    values, after = kan.scale_inputs(rows), finite_layers(kan, rows)
    variance = variance_of(after[-1])
    result = []
    for index, layer in enumerate(kan.layers):
        effects = np.zeros(layer.edges.shape)
        for source in map(int, np.flatnonzero(layer.edges.any(axis=0))):
            edges = layer.edge_values(source, values[:, source])
            missing = edges - edges.mean(axis=1, keepdims=True)
            for node in np.flatnonzero(layer.edges[:, source]):
                change = _change_without(kan, index, after, int(node), missing[node])
                effects[node, source] = (change**2).mean(axis=0).sum() / variance
        result.append(effects)
        values = after[index]
    return result


def _change_without(kan: FloatNetwork, index: int, after: list[Reals], node: int, missing: Reals) -> Reals:
    """Tell how the outputs change when ``node`` of layer ``index`` lacks ``missing`` ``(n,)``."""
    if index + 1 == len(kan.layers):
        return -missing[:, None]
    following = kan.layers[index + 1]
    before = after[index][:, node]
    # Only the edges of this one node give anything else than before.
    changed = following.edge_values(node, before - missing) - following.edge_values(node, before)
    nodes: Reals = after[index + 1] + (following.edges[:, node, None] * changed).T
    outputs = nodes if index + 2 == len(kan.layers) else kan.evaluate_from(index + 2, nodes)[-1]
    result: Reals = outputs - after[-1]
    return result


def prune(kan: Kan, x: npt.ArrayLike, *, threshold: float | None = None, edges: int | None = None) -> Kan:
    """Remove the edges that do least (:func:`edge_effects`), and add their means to the nodes' biases.

    Edges of nodes that lead nowhere go too, and so do those that have become constants.

    Parameters
    ----------
    kan : FloatNetwork
        The network, which stays as it is.
    x : array ``(n, n_in)``
        Samples such as the network will see.
    threshold
        Edges with a smaller effect go.
    edges
        Instead of ``threshold``, how many edges remain at most. Of equal effects the edges of earlier layers, nodes and
        inputs remain. Fewer remain where some of these lead nowhere; the network has a note where none does.

    Returns
    -------
    FloatNetwork
        The pruned network, of the class of ``kan``.

    Raises
    ------
    InputError
        If an argument is refused, or not one of the two is given.
    """
    if (threshold is None) == (edges is None):
        raise InputError("threshold, edges: give one of the two")
    rows = rows_of("x", x, kan.layer_sizes[0])
    effects = edge_effects(kan, rows)
    if edges is not None:
        return _keep_best(kan, rows, effects, check_at_least("edges", edges, 1))
    if threshold is None or check_number("threshold", threshold) < 0:
        raise InputError(f"threshold = {cut(threshold)}: must be a number, 0 or more")
    kept = [layer.edges & (one >= threshold) for one, layer in zip(effects, kan.layers, strict=True)]
    return keep(kan, rows, kept)


def _keep_best(kan: Kan, rows: Reals, effects: list[Reals], count: int) -> Kan:
    """Keep the ``count`` edges of the largest effects, of equal ones the first."""
    there = np.concatenate([layer.edges.ravel() for layer in kan.layers])
    best = np.argsort(-np.concatenate([one.ravel() for one in effects])[there], kind="stable")[:count]
    chosen = np.zeros(len(there), dtype=np.bool_)
    chosen[np.flatnonzero(there)[best]] = True
    ends = np.cumsum([layer.edges.size for layer in kan.layers])[:-1]
    kept = [mask.reshape(one.shape) for mask, one in zip(np.split(chosen, ends), effects, strict=True)]
    pruned = keep(kan, rows, kept)
    if not len(best) or any(layer.edges.any() for layer in pruned.layers):
        return pruned
    why = f"the {len(best)} that do most lead from no input to an output; leave more"
    return pruned.with_notes([*pruned.notes, Note("dropped", "edges", int(there.sum()), why)])


def keep(kan: Kan, x: Reals, kept: list[npt.NDArray[np.bool_]]) -> Kan:
    """Keep the edges ``kept`` alone, boolean arrays ``(n_out, n_in)`` for each layer.

    Of these, edges that nothing depends on and edges that depend on nothing go too. The means of all that go, over the
    samples ``x`` ``(n, n_in)``, are added to the nodes' biases.
    """
    kept = [mask.copy() for mask in kept]
    for before, after in zip(reversed(kept[:-1]), reversed(kept[1:]), strict=True):
        before[~after.any(axis=0)] = False
    for before, after in pairwise(kept):
        after[:, ~before.any(axis=1)] = False
    values, layers = kan.scale_inputs(x), []
    for layer, mask in zip(kan.layers, kept, strict=True):
        bias = layer.bias.copy()
        for source in map(int, np.flatnonzero((layer.edges & ~mask).any(axis=0))):
            gone = layer.edges[:, source] & ~mask[:, source]
            bias[gone] += layer.edge_values(source, values[:, source])[gone].mean(axis=1)
        layers.append(replace(layer, edges=mask, bias=bias))
        values = layers[-1].evaluate(values)
    return replace(kan, layers=tuple(layers))
