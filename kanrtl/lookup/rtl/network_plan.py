"""What of a network becomes hardware, decided in integers before any of it is written.

Nodes are summed without signs. Every table is shifted up so that it begins at zero; what that adds to a node's sum,
together with its bias and the half that rounds, is chosen so that the sum is the address of the next layer's tables
as it stands, plus a multiple of ``2**bits_out`` from which saturation is read. No adder is spent on constants, because
a table has codes to spare above its highest entry, and may begin higher by as many. A table that is a node's
only one holds the addresses themselves, rounded and saturated.

Exact, all of it: an address counts as reachable unless no input whatever leads there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from operator import or_
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ...numeric.fixed import Codes
from ..lookup_layer import LookupLayer
from ..network import LookupNetwork
from .gates import INPUTS
from .offsets import count_choices, find_cheapest_offsets

Mask = npt.NDArray[np.bool_]

_MOST_SUMS = 1 << 16  # beyond that, only the range of a sum is followed

_MOST_CHOICES = 1 << 30
"""As many combinations of offsets are compared, which takes some seconds. Beyond that a node's tables begin where their
bits to spare let them: of sixteen tables of 16 bits a comparison would take minutes, of 30 bits 100 GiB."""


@dataclass(frozen=True, eq=False)
class Term:
    """A table as it is built: what the edges from one input add to one node or to several.

    Attributes
    ----------
    source : int
        The number of the input.
    values : array of integers ``(2**bits_in,)``
        What is added, by address; it is not negative. Where an address cannot be reached, it is what is cheapest.
    """

    source: int
    values: Codes

    def by_code(self) -> Term:
        """Give the same table for an address that is the code itself, without half its range added."""
        return Term(self.source, np.roll(self.values, len(self.values) // 2))

    @property
    def highest(self) -> int:
        """The highest value."""
        return int(self.values.max())

    @property
    def width(self) -> int:
        """How many bits the values have."""
        return self.highest.bit_length()


@dataclass(frozen=True, eq=False)
class NodePlan:
    """A node: the sum of its terms, whose bits from ``guard_bits`` on are ``address + 2**bits_out * pages_below``.

    Attributes
    ----------
    terms : tuple of int
        The numbers of its terms in :attr:`LookupLayerPlan.terms`.
    constant : int
        What is left to add, not negative. It is zero where there is a table to take it in.
    highest : int
        The highest value of the sum.
    pages_below : int
        The value of the sum's bits above the address at which the sum does not saturate: below this it saturates at the
        lowest code, above it at the highest.
    address : int or None
        The address of a node that is a constant, or that nothing takes, so that any will do; None for all others.
    above : int or None
        Where a threshold is all that matters, the bit of the sum that says whether the node is above it; the sum then
        holds no address.
    """

    terms: tuple[int, ...]
    constant: int
    highest: int
    pages_below: int
    address: int | None
    above: int | None = None


@dataclass(frozen=True, eq=False)
class LookupLayerPlan:
    """One layer of a lookup network as it is built.

    Attributes
    ----------
    terms : tuple of Term
        The tables in order of source, each only once.
    nodes : tuple of NodePlan
        The nodes in their order.
    bits_in, bits_out, guard_bits : int
        The widths of the layer; see :class:`~kanrtl.lookup.LookupLayer`.
    reachable : array of booleans ``(n_in, 2**bits_in)``
        Which addresses can occur.
    """

    terms: tuple[Term, ...]
    nodes: tuple[NodePlan, ...]
    bits_in: int
    bits_out: int
    guard_bits: int
    reachable: Mask

    @cached_property
    def sources(self) -> tuple[int, ...]:
        """The numbers of the inputs that any node takes, in their order."""
        return tuple(sorted({term.source for term in self.terms}))

    @cached_property
    def fan_in(self) -> int:
        """How many terms the largest node adds."""
        return max(len(node.terms) + bool(node.constant) for node in self.nodes)

    @cached_property
    def sum_width(self) -> int:
        """How many bits the widest sum has."""
        return max(node.highest.bit_length() for node in self.nodes)

    @cached_property
    def saturates(self) -> bool:
        """Whether any node can saturate."""
        top = [node.highest >> (self.bits_out + self.guard_bits) for node in self.nodes]
        return any(pages or node.pages_below for pages, node in zip(top, self.nodes, strict=True))


_planned: WeakKeyDictionary[LookupNetwork, dict[bool | None, tuple[LookupLayerPlan, ...]]] = WeakKeyDictionary()


def plan_layers(network: LookupNetwork, muxes: bool | None = None) -> tuple[LookupLayerPlan, ...]:
    """Plan every layer of a network.

    A network is planned once: cores of it are made again for every seed of a build, and plans of large tables take
    seconds.

    Parameters
    ----------
    network : LookupNetwork
    muxes : bool, optional
        Whether the chip has multiplexers behind LUTs; see :func:`kanrtl.lookup.rtl.minimise.minimise`. Where it is
        given, tables of few address bits begin where they take the fewest LUTs; otherwise they begin elsewhere, and all
        else is the same.

    Returns
    -------
    tuple of LookupLayerPlan
        First layer first.
    """
    plans = _planned.setdefault(network, {})
    if all(layer.bits_in > INPUTS for layer in network.layers):
        muxes = None  # there is no such table
    if muxes not in plans:
        plans[muxes] = _plan(network, muxes)
    return plans[muxes]


def list_whole_terms(network: LookupNetwork, start: int, width: int) -> list[Term]:
    """List the tables, one for each number of a prediction, of all layers from ``start`` on and the output stage.

    Their address has the codes of all inputs of layer ``start``, the first input lowest. A value is a number of
    ``width`` bits.
    """
    bits, count = network.bits[start], network.layers[start].n_in
    address = np.arange(1 << bits * count)
    codes = np.stack([address >> bits * index & (1 << bits) - 1 for index in range(count)], axis=1)
    # The first layer takes codes, whose top half is negative; all others take addresses.
    codes = np.where(codes >> bits - 1, codes - (1 << bits), codes) if start == 0 else codes - (1 << bits - 1)
    for layer in network.layers[start:]:
        codes = layer.evaluate(codes)
    return [Term(0, column & (1 << width) - 1) for column in network.outputs_of(codes).T]


def _plan(network: LookupNetwork, muxes: bool | None) -> tuple[LookupLayerPlan, ...]:
    if muxes is not None:
        return _plan_taken(network, muxes, _find_taken(plan_layers(network)))
    plans = _plan_taken(network, None, [np.ones(layer.n_out, dtype=bool) for layer in network.layers])
    taken = _find_taken(plans)
    built = [np.array([bool(node.terms) for node in plan.nodes]) for plan in plans]
    if not any((one & ~kept).any() for one, kept in zip(built, taken, strict=True)):
        return plans
    return _plan_taken(network, None, taken)


def _find_taken(plans: Sequence[LookupLayerPlan]) -> list[Mask]:
    """Tell for each layer's nodes whether anything takes them: a prediction, or a term that leads to one."""
    taken: list[Mask] = [np.ones(len(plans[-1].nodes), dtype=bool)]
    for plan in reversed(plans[1:]):
        used = [term for node, one in zip(plan.nodes, taken[0], strict=True) if one for term in node.terms]
        following = np.zeros(len(plan.reachable), dtype=bool)
        following[[plan.terms[term].source for term in used]] = True
        taken.insert(0, following)
    return taken


def _plan_taken(network: LookupNetwork, muxes: bool | None, taken: Sequence[Mask]) -> tuple[LookupLayerPlan, ...]:
    """Plan all layers, with nothing for nodes that are not ``taken``."""
    reachable = np.ones((network.n_in, 1 << network.bits[0]), dtype=bool)
    plans = []
    for index, layer in enumerate(network.layers):
        ends = network.output == "threshold" and index == len(network.layers) - 1
        plan, reachable = _plan_layer(layer, reachable, muxes, taken[index], network.thresholds if ends else None)
        plans.append(plan)
    return tuple(plans)


def _plan_layer(
    layer: LookupLayer, reachable: Mask, muxes: bool | None, taken: Mask, thresholds: Sequence[int] | None
) -> tuple[LookupLayerPlan, Mask]:
    """Plan a layer, and give the addresses of its nodes that can occur.

    Nodes that are not ``taken`` become constants. ``thresholds`` are those of the last layer's nodes, where its codes
    are only compared with them.
    """
    lowest = np.array([table[reachable[source]].min() for source, table in zip(layer.source, layer.table, strict=True)])
    shifted = [
        np.where(reachable[source], table - low, 0)
        for source, table, low in zip(layer.source, layer.table, lowest, strict=True)
    ]
    keys = [(int(source), values.tobytes()) for source, values in zip(layer.source, shifted, strict=True)]
    users: dict[tuple[int, bytes], int] = {}
    for key, node in zip(keys, layer.node, strict=True):
        users[key] = users.get(key, 0) + bool(taken[node])
    terms: dict[tuple[int, bytes, int], Term] = {}
    drafts: list[tuple[list[tuple[int, bytes, int]], NodePlan]] = []
    following = np.zeros((layer.n_out, 1 << layer.bits_out), dtype=bool)
    for node in range(layer.n_out):
        edges = [edge for edge in np.flatnonzero(layer.node == node) if shifted[edge].any()]
        least = int(layer.bias[node] + lowest[layer.node == node].sum())
        spans = [shifted[edge][reachable[layer.source[edge]]] for edge in edges]
        following[node], page = _find_reachable(layer, least, spans)
        addresses = np.flatnonzero(following[node])
        above, span = None, sum(int(shifted[edge].max()) for edge in edges)
        # The sum is to begin at `start`, where its address is that of the lowest sum.
        start = least + _rounding(layer) + ((1 << (layer.bits_out - 1)) + (page << layer.bits_out) << layer.guard_bits)
        if thresholds is not None:
            limit = thresholds[node] + (1 << (layer.bits_out - 1))
            if addresses[0] > limit or addresses[-1] <= limit:
                edges = []  # always above, or never
            else:
                page, (above, start) = 0, _start_for_threshold(layer, thresholds[node], least, span)
        if not edges or not taken[node]:
            drafts.append(([], NodePlan((), 0, 0, 0, int(addresses[0]))))
            continue
        own = [users[keys[edge]] == 1 for edge in edges]
        if len(edges) == 1 and own[0] and above is None and len(addresses) > 1:
            alone = _saturate(layer, least, shifted[edges[0]], reachable[layer.source[edges[0]]])
            name = (int(layer.source[edges[0]]), alone.values.tobytes(), 0)
            terms[name] = replace(alone, source=name[0])
            drafts.append(([name], NodePlan((), 0, alone.highest, 0, None)))
            continue
        filled = [_fill_unreachable(shifted[edge], reachable[layer.source[edge]]) for edge in edges]
        offsets, constant = _distribute(start, filled, [not one for one in own])
        if muxes is not None and layer.bits_in <= INPUTS and not constant:
            offsets = _distribute_cheaply(start, filled, own, muxes) or offsets
        used = []
        for edge, offset in zip(edges, offsets, strict=True):
            source = int(layer.source[edge])
            values = np.where(reachable[source], shifted[edge] + offset, 0)
            name = (*keys[edge], offset)
            terms.setdefault(name, Term(source, np.maximum(_fill_unreachable(values, reachable[source]), 0)))
            used.append(name)
        drafts.append((used, NodePlan((), constant, start + span, page, None, above)))
    order = sorted(terms, key=lambda key: key[0])
    index = {key: number for number, key in enumerate(order)}
    nodes = tuple(replace(node, terms=tuple(index[key] for key in used)) for used, node in drafts)
    plan = LookupLayerPlan(
        tuple(terms[key] for key in order), nodes, layer.bits_in, layer.bits_out, layer.guard_bits, reachable
    )
    return plan, following


def _saturate(layer: LookupLayer, least: int, shifted: Codes, reachable: Mask) -> Term:
    """Make the table of a node's only edge, whose entries are the node's addresses: nothing is left to saturate."""
    half = 1 << (layer.bits_out - 1)
    codes = np.clip((least + shifted + _rounding(layer)) >> layer.guard_bits, -half, half - 1)
    addresses = _fill_unreachable(codes + half, reachable)
    return Term(0, np.clip(addresses, 0, 2 * half - 1) << layer.guard_bits)


def _rounding(layer: LookupLayer) -> int:
    """Give the constant that rounds a sum."""
    return 1 << (layer.guard_bits - 1) if layer.guard_bits else 0


def _start_for_threshold(layer: LookupLayer, threshold: int, least: int, span: int) -> tuple[int, int]:
    """Choose where a sum of what lies up to ``span`` above ``least`` begins, if one of its bits is to say whether the
    node is above ``threshold``; that bit comes first. There has to be something on both sides."""
    rise = (threshold + 1 << layer.guard_bits) - _rounding(layer) - least
    bit = max((rise - 1).bit_length(), (span - rise).bit_length())
    return bit, (1 << bit) - rise


def _find_reachable(layer: LookupLayer, least: int, spans: Sequence[Codes]) -> tuple[Mask, int]:
    """Find which addresses a node can give, and by how many pages of addresses the lowest sum is below the first.

    ``spans`` are what each edge can add to ``least``.
    """
    total = sum(int(span.max()) for span in spans)
    size, half = 1 << layer.bits_out, 1 << (layer.bits_out - 1)
    lowest, highest = ((least + _rounding(layer) + step >> layer.guard_bits) + half for step in (0, total))
    result = np.zeros(size, dtype=bool)
    if total < _MOST_SUMS:
        # As bits of a number: those sums that can occur, counted from the least.
        sums = 1
        for span in spans:
            sums = reduce(or_, (sums << int(value) for value in np.unique(span)))
        found = np.frombuffer(sums.to_bytes(total // 8 + 1, "little"), np.uint8)
        steps = np.flatnonzero(np.unpackbits(found, bitorder="little"))
        addresses = (least + _rounding(layer) + steps >> layer.guard_bits) + half
        result[np.clip(addresses, 0, size - 1)] = True
    else:
        # There are far more sums than addresses where most of them saturate.
        first, last = (min(max(end, 0), size - 1) for end in (lowest, highest))
        result[first : last + 1] = True
    return result, max(0, -(lowest // size))


def _spare(values: Codes) -> int:
    """Tell by how much a table may begin higher without taking another bit."""
    highest = int(values.max())
    return (1 << highest.bit_length()) - 1 - highest


def _distribute(start: int, tables: Sequence[Codes], shared: Sequence[bool]) -> tuple[list[int], int]:
    """Choose offsets of a node's tables that make ``start``, and tell what is left for a constant.

    Tables that are ``shared`` with other nodes stay as they are.
    """
    offsets, left = [], start
    for table, fixed in zip(tables, shared, strict=True):
        offsets.append(0 if fixed else min(_spare(table), left))
        left -= offsets[-1]
    own = [edge for edge, fixed in enumerate(shared) if not fixed]
    if left and own:
        # The widest table takes the rest, and becomes wider.
        offsets[max(own, key=lambda edge: int(tables[edge].max()))] += left
        left = 0
    return offsets, left


def _distribute_cheaply(start: int, tables: Sequence[Codes], own: Sequence[bool], muxes: bool) -> list[int] | None:
    """Choose, as :func:`_distribute` where nothing is left for a constant, the offsets with which the tables take the
    fewest LUTs. Where one table has to become wider it can be any that is not shared. None where there are more choices
    than can be compared."""
    numbers = [number for number, one in enumerate(own) if one]
    given = [tables[number] for number in numbers]
    highest = [int(table.max()) + _spare(table) for table in given]
    left = start - sum(_spare(table) for table in given)
    widened = [
        [*highest[:index], (1 << (one + left).bit_length()) - 1, *highest[index + 1 :]]
        for index, one in enumerate(highest)
    ]
    candidates = widened if left > 0 else [highest]
    if sum(count_choices(start, given, one) for one in candidates) > _MOST_CHOICES:
        return None
    _, chosen = min(find_cheapest_offsets(start, given, one, muxes) for one in candidates)
    offsets = [0] * len(tables)
    for number, offset in zip(numbers, chosen, strict=True):
        offsets[number] = offset
    return offsets


def _fill_unreachable(values: Codes, reachable: Mask) -> Codes:
    """Set the values that do not matter to the next below that does.

    Where a table rises with its address wherever it is reached, it does so everywhere, below zero where it begins late:
    its bits are then those of the address.
    """
    reached, address = np.flatnonzero(reachable), np.arange(len(values))
    rising: Codes = values[reached[0]] + address - reached[0]
    if len(reached) > 2 and (values[reached] == rising[reached]).all():
        return rising
    rows = np.maximum.accumulate(np.where(reachable, address, reached[0]))
    result: Codes = values[rows]
    return result
