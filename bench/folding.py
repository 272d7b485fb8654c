"""Folded lookup networks: what is too large for a chip at one inference a clock, on few table ports.

Tables are smooth curves at random and no edge is pruned, so every network takes as much as one of its sizes and bits
can; what it computes has no meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from kanrtl import LookupNetwork

from .row import Family, Progress, Result, Row, network_summary

__all__ = ["FAMILY", "Folded", "random_network"]

_CURVE = 4
"""Coefficients of a table's polynomial."""


def random_network(layer_sizes: tuple[int, ...], bits: tuple[int, ...], guard_bits: int) -> LookupNetwork:
    """A classifier with every edge there is; sums rarely saturate."""
    random = np.random.default_rng(0)
    edges = []
    for (n_in, n_out), (bits_in, bits_out) in zip(pairwise(layer_sizes), pairwise(bits), strict=True):
        node, source = np.nonzero(np.ones((n_out, n_in)))
        place = np.linspace(-1, 1, 1 << bits_in)
        curves = np.array([np.polyval(random.normal(0, 1, _CURVE), place) for _ in node])
        step = (1 << (bits_out - 1 + guard_bits)) / np.sqrt(n_in)
        edges.append({"source": source, "node": node, "table": np.rint(0.8 * step * curves).astype(np.int64)})
    guards = [guard_bits] * len(edges)
    return LookupNetwork.of(layer_sizes, bits, [1.0] * len(bits), edges, guard_bits=guards, output="argmax")


@dataclass(frozen=True)
class Folded(Row):
    """A random network on a device: its size and speed with a reuse factor.

    Every port gets a register, so that the way from ``ready`` to what it stops is timed; these are counted in ``ff``.
    """

    layer_sizes: tuple[int, ...]
    bits: tuple[int, ...]
    guard_bits: int
    reuse_factor: int
    device: str
    frequency: float
    """Asked for, in MHz: more than there is."""
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)

    @property
    def hardware(self) -> dict[str, Any]:
        """How it becomes hardware."""
        return {"reuse_factor": self.reuse_factor}

    def make(self) -> LookupNetwork:
        """The network."""
        return random_network(self.layer_sizes, self.bits, self.guard_bits)

    def measure(self, progress: Progress) -> Result:
        network = self.make()
        return {
            "layer_sizes": list(self.layer_sizes),
            "bits": list(self.bits),
            "edges": network.edges,
            "reuse_factor": self.reuse_factor,
            **network_summary(
                network,
                self.device,
                self.seeds,
                progress,
                frequency=self.frequency,
                register_ports=True,
                **self.hardware,
            ),
        }


UP5K, ECP5 = ("iCE40UP5K", 60.0), ("LFE5U-25F-6", 200.0)

FAMILY = Family(
    "folding",
    "lookup networks folded onto few table ports",
    (
        Folded("folded-64-10-up5k", "64, 10", (64, 10), (4, 6), 1, 64, *UP5K),
        Folded("folded-64-32-10-up5k", "64, 32, 10", (64, 32, 10), (3, 4, 6), 1, 64, *UP5K),
        Folded("folded-784-10-up5k", "784, 10", (784, 10), (1, 6), 1, 128, *UP5K),
        Folded("folded-64-32-10", "64, 32, 10", (64, 32, 10), (5, 5, 6), 1, 64, *ECP5),
        Folded("folded-64-32-10-fast", "64, 32, 10", (64, 32, 10), (5, 5, 6), 1, 16, *ECP5),
    ),
)
