"""What can be chosen for the core of a network beside its latency: parameters of :class:`kanrtl.LookupCore`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from ..lookup.network import LookupNetwork
from ..lookup.number_checks import MAX_BITS


def list_memories(network: LookupNetwork) -> Iterator[str | list[str]]:
    """What the tables of layers can be in: every mixture where there are few layers, else the same for all."""
    count = len(network.layers)
    several = product(("logic", "block"), repeat=count) if count <= 3 else (("logic",) * count, ("block",) * count)
    for kinds in several:
        yield kinds[0] if len(set(kinds)) == 1 else list(kinds)


def list_whole_layers(network: LookupNetwork) -> Iterator[int]:
    """The layers from which on a network can be one table."""
    return (start for start, layer in enumerate(network.layers) if layer.n_in * layer.bits_in <= MAX_BITS)


def list_reuse_factors(network: LookupNetwork) -> Iterator[int]:
    """How many edges can share a port, each twice as many as before."""
    factor, most = 2, max(layer.edges for layer in network.layers)
    while factor <= most:
        yield factor
        factor *= 2
