"""What can be chosen for the core of a network beside its latency: parameters of :class:`kanrtl.LookupCore`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from ..lookup.network import LookupNetwork
from ..lookup.number_checks import MAX_BITS

_DEFAULTS: dict[str, Any] = {"latency": None, "memory": "auto", "whole_from": None, "reuse_factor": 1}


def drop_defaults(network: LookupNetwork, options: dict[str, Any]) -> dict[str, Any]:
    """What is not at its default; a list of the default for every layer is that, too."""

    def is_default(name: str, value: Any) -> bool:
        each = value if isinstance(value, (list, tuple)) and len(value) == len(network.layers) else [value]
        return all(type(one) is type(_DEFAULTS[name]) and one == _DEFAULTS[name] for one in each)

    return {name: value for name, value in options.items() if name not in _DEFAULTS or not is_default(name, value)}


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
