"""Networks that predict the same as another, to the bit, and may take fewer LUTs.

Two things that a network says of itself need not be built:

- where codes of hidden nodes are narrow, a node's sum is hardly wider before it saturates and rounds than after. The
  tables behind it can take the sum itself, and do what saturation and rounding would have done.
- where a node of the last layer is only compared with a threshold and adds two tables, it matters only which of the one
  goes with which of the other. Each table can be replaced by ranks; and where it only rises, its address is the rank.

Equal they are by construction: each table is read off what the original computes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ...numeric.fixed import Codes
from ..lookup_layer import LookupLayer
from ..network import LookupNetwork
from ..number_checks import MAX_BITS
from .gates import INPUTS
from .network_plan import Mask, plan_layers
from .offsets import find_cheapest_offsets


def list_equivalents(network: LookupNetwork, muxes: bool) -> Iterator[LookupNetwork]:
    """List networks that predict the same where all layers are logic, without the network itself.

    Parameters
    ----------
    network : LookupNetwork
    muxes : bool
        Whether the chip has multiplexers behind LUTs; see :func:`kanrtl.lookup.rtl.minimise.minimise`.
    """
    widened = network
    for index in range(len(network.layers) - 1):
        widened = _take_sums(widened, index, muxes)
    starts = [network] if widened is network else [network, widened]
    yield from starts[1:]
    for start, direct in itertools.product(starts, range(2)):
        ranked = _rank_pairs(start, direct)
        if ranked is not None:
            yield ranked


# Sums as addresses.


def _take_sums(network: LookupNetwork, index: int, muxes: bool) -> LookupNetwork:
    """Let the sums of layer ``index`` be the codes that the next takes, if a table of six bits holds all of them; they
    begin where the layer's tables take the fewest LUTs."""
    layer, following = network.layers[index : index + 2]
    reached = plan_layers(network)[index].reachable
    tables = _settle_unreached(layer, reached)
    lowest, spans = np.array(layer.bias), np.zeros(layer.n_out, dtype=np.int64)
    np.add.at(lowest, layer.node, tables.min(axis=1))
    np.add.at(spans, layer.node, np.ptp(tables, axis=1))
    width = int(spans.max()).bit_length()
    if not 0 < width <= INPUTS or layer.bits_in > INPUTS:
        return network
    half = 1 << width - 1
    table, bias = np.array(tables), np.array(layer.bias)
    behind = np.empty((following.edges, 2 * half), dtype=np.int64)
    for node in range(layer.n_out):
        own, used = layer.node == node, following.source == node
        # Tables behind a node that only fall are turned, by turning what it adds up: one that rises may need no LUT.
        turned = bool(used.any()) and bool((np.diff(following.table[used], axis=1) <= 0).all())
        shifted = [one - one.min() if not turned else one.max() - one for one in tables[own]]
        start = _choose_start([one for one in shifted if one.any()], 2 * half - 1 - int(spans[node]), muxes)
        table[own] = shifted if own.any() else table[own]
        bias[node] = start - half
        sums = np.clip(np.arange(2 * half) - start, 0, spans[node])
        sums = lowest[node] + (spans[node] - sums if turned else sums)
        rounded = sums + (1 << layer.guard_bits >> 1) >> layer.guard_bits
        limit = 1 << layer.bits_out - 1
        behind[used] = following.table[used][:, np.clip(rounded, -limit, limit - 1) + limit]
    layers = list(network.layers)
    layers[index] = replace(layer, bits_out=width, table=table, bias=bias, guard_bits=0)
    layers[index + 1] = replace(following, bits_in=width, table=behind)
    return replace(network, layers=tuple(layers))


def _settle_unreached(layer: LookupLayer, reached: Mask) -> Codes:
    """Give the tables of a layer, whose entries that no sample reaches are within those that one does."""
    known = reached[layer.source]
    ends = [
        end(np.where(known, layer.table, fill), axis=1, keepdims=True)
        for end, fill in ((np.min, np.iinfo(np.int64).max), (np.max, np.iinfo(np.int64).min))
    ]
    result: Codes = np.clip(layer.table, *ends)
    return result


def _choose_start(tables: Sequence[Codes], room: int, muxes: bool) -> int:
    """Choose where a node's sum begins, at most at ``room``: where its tables, none of them wider than it is, take the
    fewest LUTs."""
    limits = [(1 << int(one.max()).bit_length()) - 1 for one in tables]
    room = min(room, sum(limits) - sum(int(one.max()) for one in tables))
    starts = range(room + 1) if tables else range(1)
    return min(starts, key=lambda start: (find_cheapest_offsets(start, tables, limits, muxes)[0], start))


# Ranks.


def _rank_pairs(network: LookupNetwork, direct: int) -> LookupNetwork | None:
    """Replace the tables of each output that is the comparison of a sum of two with a threshold by ranks; None where
    there is none. Of the two, the table number ``direct`` becomes its address if it only rises."""
    last, limit = network.layers[-1], 1 << network.bits[-1] - 1
    # One that no code is above stays what it is.
    if network.output != "threshold" or max(network.thresholds) >= limit - 1 or last.bits_in > INPUTS:
        return None
    reached, tables, changed = plan_layers(network)[-1].reachable, np.array(last.table), False
    # All are compared with zero, in the units of the tables.
    rises = np.array(network.thresholds) + 1 << last.guard_bits
    bias = last.bias + (1 << last.guard_bits >> 1) - rises
    for node in range(last.n_out):
        edges = np.flatnonzero(last.node == node)
        if len(edges) != 2:
            continue
        one, other = edges if direct else edges[::-1]
        above = bias[node] + last.table[one][:, None] + last.table[other][None] >= 0
        known = reached[last.source[one]], reached[last.source[other]]
        seen = above[known[0]]
        if seen[:, known[1]].all() or not seen[:, known[1]].any():
            continue  # always above, or never
        ranks = _find_ranks(seen, known[1])
        highest = int(ranks[known[1]].max())
        first = [ranks[known[1] & row].min(initial=highest + 1) for row in above]
        tables[other], tables[one], bias[node], changed = ranks, np.negative(first), 0, True
    if not changed:
        return None
    lowest, highest_sums = np.array(bias), np.array(bias)
    np.add.at(lowest, last.node, tables.min(axis=1))
    np.add.at(highest_sums, last.node, tables.max(axis=1))
    width = int(max(highest_sums.max(), -1 - lowest.min(), 1)).bit_length() + 1
    if width > MAX_BITS:
        return None
    layer = replace(last, table=tables, bias=bias, bits_out=width, guard_bits=0)
    return replace(network, layers=(*network.layers[:-1], layer), thresholds=(-1,) * last.n_out)


def _find_ranks(above: Mask, known: Mask) -> Codes:
    """Rank the columns of a comparison by how often they are above; by their numbers where these only rise."""
    often = above.sum(axis=0)
    if (np.diff(often[known]) >= 0).all():
        return np.arange(len(often))
    ranks = np.searchsorted(np.unique(often[known]), often)
    result: Codes = np.where(known, ranks, 0)
    return result
