"""What a lookup network's core takes at the least, told from its tables alone: nothing is planned or minimised for it.

A sum of ``k`` numbers takes ``k - 1`` adders, however its tables are made; and tables in memory blocks take their bits.
Both are counted only for edges that no plan can leave out, so that what exceeds a device here certainly does not fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ...fabric.device import Device
from ...fabric.families import FAMILIES
from ..lookup_layer import LookupLayer
from ..network import LookupNetwork
from ..number_checks import LAYERS, list_each
from .pipeline import choose_memories, holds_in_blocks

Mask = npt.NDArray[np.bool_]
Counts = npt.NDArray[np.int64]

_AT_A_TIME = 1 << 21
"""How many entries of tables are looked at together, so that large ones are not copied whole."""


@dataclass(frozen=True)
class Bound:
    """What a core takes of a device at the least.

    Attributes
    ----------
    lut, bram : int
        As in :class:`.network_estimate.NetworkEstimate`.
    """

    lut: int
    bram: int

    def find_shortage(self, device: Device) -> str | None:
        """Name the resource that there certainly is too little of, ``"bram"`` or ``"lut"``, if there is one."""
        return "bram" if self.bram > device.bram else "lut" if self.lut > device.lut else None


@dataclass(frozen=True)
class _LayerBound:
    """What a layer has at the least.

    Attributes
    ----------
    edges : int
        Edges that are not constant.
    adders : int
        LUTs of the adders, where no edges share a port.
    bits : int
        Bits of all tables that are not constant.
    distinct_bits : int
        The same of tables that differ from the others of their input.
    """

    edges: int
    adders: int
    bits: int
    distinct_bits: int


_bounds: WeakKeyDictionary[LookupNetwork, tuple[_LayerBound, ...]] = WeakKeyDictionary()


def bound_core(
    network: LookupNetwork,
    device: Device,
    *,
    memory: str | Sequence[str] = "auto",
    whole_from: int | None = None,
    reuse_factor: int | Sequence[int] = 1,
    latency: int | None = None,  # noqa: ARG001
) -> Bound:
    """Tell what the core of ``network`` takes of ``device`` at the least.

    The parameters are those of :func:`.network_estimate.estimate_network`. Of those that cannot be only ``memory`` is
    refused here; with others nothing is counted.

    Raises
    ------
    InputError
        If ``memory`` cannot be.
    """
    choices = choose_memories(network.layers, memory)
    count = len(network.layers)
    try:
        factors = list_each("reuse_factor", reuse_factor, count, LAYERS)
    except InputError:
        return Bound(0, 0)
    if not all(isinstance(one, (int, np.integer)) and one >= 1 for one in factors):
        return Bound(0, 0)
    summed = count if whole_from is None else whole_from
    if not isinstance(summed, int) or not 0 <= summed <= count:
        return Bound(0, 0)
    if network not in _bounds:
        _bounds[network] = _bound_layers(network)
    lut = bits = 0
    for index, layer in enumerate(_bounds[network][:summed]):
        folded = min(factors[index], layer.edges) > 1
        if not folded:
            lut += layer.adders
        if holds_in_blocks(network.layers[index].bits_in, choices[index], folded):
            bits += layer.bits if folded else layer.distinct_bits
    block = max(shape.width * shape.rows for shape in FAMILIES[device.family].blocks.read_only)
    return Bound(lut, ceil(bits / block))


def _bound_layers(network: LookupNetwork) -> tuple[_LayerBound, ...]:
    reached = np.ones((network.n_in, 1 << network.bits[0]), dtype=bool)
    found = []
    for layer in network.layers:
        spans, alone, following, distinct = _follow(layer, reached)
        found.append((layer, spans, alone, distinct))
        reached = following
    needed: Mask = np.ones(network.n_out, dtype=bool)
    if network.output == "threshold":  # a node that is always above, or never, takes nothing
        limits = np.array(network.thresholds) + (1 << network.bits[-1] - 1)
        above = np.arange(1 << network.bits[-1]) > limits[:, None]
        needed = np.logical_and((reached & above).any(axis=1), (reached & ~above).any(axis=1))
    bounds: list[_LayerBound] = []
    for layer, spans, alone, distinct in reversed(found):
        live = (spans > 0) & needed[layer.node]
        counts = np.bincount(layer.node[live], minlength=layer.n_out)
        # Of two tables that are only compared less than they hold may be built (:mod:`.equivalents`).
        summed = live & ~((counts == 2) & (network.output == "threshold" and not bounds))[layer.node]
        # And of one that is alone what the node gives (:mod:`.network_plan`).
        held = np.where((counts == 1)[layer.node], np.minimum(spans, alone), spans)
        bounds.append(_bound_layer(layer, held, distinct, live, summed))
        needed = np.zeros(layer.n_in, dtype=bool)
        needed[layer.source[live]] = True
    return tuple(reversed(bounds))


def _bound_layer(layer: LookupLayer, spans: Counts, distinct: Counts, live: Mask, summed: Mask) -> _LayerBound:
    """Count a layer of which the edges that are ``live`` are needed, and those that are ``summed`` are so as they
    are."""
    widths = np.where(live, _bit_lengths(spans), 0)
    added = np.where(summed, widths, 0)
    # Each adder has as many bits as its wider operand at least, and ends the other: all but the widest are ended once.
    widest = np.zeros(layer.n_out, dtype=np.int64)
    np.maximum.at(widest, layer.node, added)
    _, first = np.unique(distinct[live], return_index=True)
    rows = 1 << layer.bits_in
    return _LayerBound(
        edges=int(live.sum()),
        adders=int(added.sum() - widest.sum()),
        bits=rows * int(widths.sum()),
        distinct_bits=rows * int(widths[live][first].sum()),
    )


def _follow(layer: LookupLayer, reached: Mask) -> tuple[Counts, Counts, Mask, Counts]:
    """Tell how far the values of every edge lie apart at addresses that are ``reached``, ``(edges,)``, and how far its
    node's addresses do if nothing else changes; addresses that nodes give then, ``(n_out, 2**bits_out)``, where there
    may be more; and numbers that only edges share which have the same input and the same table."""
    edges, rows = layer.table.shape
    lowest, spans = np.zeros(edges, dtype=np.int64), np.zeros(edges, dtype=np.int64)
    step = max(1, _AT_A_TIME // rows)
    parts = [slice(start, start + step) for start in range(0, edges, step)]
    numbers: dict[tuple[int, bytes], int] = {}
    distinct = np.zeros(edges, dtype=np.int64)
    for part in parts:
        values = _keep_reached(layer, reached, part)
        lowest[part] = values.min(axis=1)
        spans[part] = values.max(axis=1) - lowest[part]
        for edge, row in enumerate(values - lowest[part, None], part.start):
            key = (int(layer.source[edge]), blake2b(row.tobytes(), digest_size=16).digest())
            distinct[edge] = numbers.setdefault(key, len(numbers))
    # From the lowest sum to the highest: one edge after the other goes through its values and stays at the highest.
    rounding = 1 << layer.guard_bits - 1 if layer.guard_bits else 0
    least = layer.bias + rounding
    np.add.at(least, layer.node, lowest)
    before = np.cumsum(spans) - spans  # edges are in order of node
    before -= before[np.searchsorted(layer.node, layer.node)]
    half = 1 << layer.bits_out - 1
    following = np.zeros((layer.n_out, 2 * half), dtype=bool)

    def find_addresses(sums: Counts) -> Counts:
        found: Counts = np.clip((sums >> layer.guard_bits) + half, 0, 2 * half - 1)
        return found

    def reach(nodes: Counts, sums: Counts) -> None:
        addresses = find_addresses(sums)
        following[np.broadcast_to(nodes, addresses.shape), addresses] = True

    reach(np.arange(layer.n_out), least)
    for part in parts:
        nodes = layer.node[part, None]
        reach(nodes, least[nodes] + _keep_reached(layer, reached, part) + (before - lowest)[part, None])
    first = least[layer.node]
    return spans, find_addresses(first + spans) - find_addresses(first), following, distinct


def _keep_reached(layer: LookupLayer, reached: Mask, part: slice) -> Counts:
    """Give tables whose entries at addresses that are not reached are those of one that is."""
    known = reached[layer.source[part]]
    table: Counts = layer.table[part]
    if known.all():
        return table
    one = table[np.arange(len(table)), known.argmax(axis=1)]
    return np.where(known, table, one[:, None])


def _bit_lengths(values: Counts) -> Counts:
    """Give the numbers of bits of numbers that are not negative."""
    found: Counts = np.ceil(np.log2(values.astype(float) + 1)).astype(np.int64)
    return found
