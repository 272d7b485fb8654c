"""Random lookup networks, shared by their property tests."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import strategies as st

from bench.lookup import data_folder
from kanrtl import LookupNetwork
from kanrtl.lookup import from_kanele

SHAPES = ("noise", "smooth", "narrow", "equal", "constant", "steep")


def table(random: np.random.Generator, shape: str, size: int, limit: int) -> npt.NDArray[np.int64]:
    """One edge's table, with entries within ``limit``."""
    place = np.linspace(-1, 1, size)
    if shape == "noise":
        return random.integers(-limit, limit, size)
    if shape == "smooth":
        curve = np.polyval(random.normal(0, 1, 4), place)
        return np.clip(np.rint(curve * limit / 3), -limit, limit - 1).astype(np.int64)
    if shape == "narrow":
        return random.integers(-limit, limit) + random.integers(0, 2, size)
    if shape == "equal":
        return np.where(place > 0, 3, -1)
    if shape == "steep":
        return np.where(place > random.uniform(-1, 1), limit - 1, -limit)
    return np.full(size, random.integers(-limit, limit))


@st.composite
def networks(draw: st.DrawFn, max_bits: int = 6, wide: bool = True, max_nodes: int = 4) -> LookupNetwork:
    """Pruned at random, down to nodes without an edge; one to four layers."""
    sizes = draw(st.lists(st.integers(1, max_nodes), min_size=2, max_size=5))
    # One width in a network may be large: a table of twelve bits is slow to simulate many times over.
    bits = draw(st.lists(st.integers(1, max_bits), min_size=len(sizes), max_size=len(sizes)))
    if wide and draw(st.booleans()):
        bits[draw(st.integers(0, len(bits) - 1))] = draw(st.integers(max_bits, 12))
    guard = draw(st.lists(st.integers(0, 3), min_size=len(sizes) - 1, max_size=len(sizes) - 1))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    density = draw(st.sampled_from([0.3, 0.8, 1.0]))
    edges = []
    for (n_in, n_out), (bits_in, bits_out), extra in zip(pairwise(sizes), pairwise(bits), guard, strict=True):
        node, source = np.nonzero(random.random((n_out, n_in)) < density)
        limit = 1 << (bits_out - 1 + extra)
        tables = [table(random, str(random.choice(shapes)), 1 << bits_in, limit) for _ in node]
        edges.append(
            {
                "source": source,
                "node": node,
                "table": np.array(tables, np.int64).reshape(len(node), 1 << bits_in),
                "bias": random.integers(-limit, limit + 1, n_out) * draw(st.sampled_from([0, 1])),
            }
        )
    output = draw(st.sampled_from(["raw", "raw", "argmax", "threshold"]))
    limits = (-(1 << (bits[-1] - 1)), 1 << (bits[-1] - 1))
    thresholds = random.integers(*limits, sizes[-1]).tolist() if output == "threshold" else None
    steps = [0.25] * len(sizes)
    return LookupNetwork.of(sizes, bits, steps, edges, guard_bits=guard, output=output, thresholds=thresholds)


def codes_for(network: LookupNetwork, count: int, seed: int) -> npt.NDArray[np.int64]:
    """Random codes of the inputs; first the lowest and the highest of all."""
    half = 1 << (network.bits[0] - 1)
    codes = np.random.default_rng(seed).integers(-half, half, (count, network.n_in))
    codes[:2] = [[-half], [half - 1]]
    return codes


def chain(table: list[int], bits: tuple[int, int, int] = (3, 3, 3)) -> LookupNetwork:
    """Two layers of one edge; the second gives what it takes."""
    edge: dict[str, Any] = {"source": [0], "node": [0]}
    identity = np.arange(1 << bits[1]) - (1 << (bits[1] - 1))
    return LookupNetwork.of([1, 1, 1], bits, [1, 1, 1], [edge | {"table": [table]}, edge | {"table": [identity]}])


def pair(bits: int = 5, guard_bits: int = 0, seed: int = 0, output: str = "threshold") -> LookupNetwork:
    """Two nodes of two inputs, and an output that adds two tables: one rises, the other goes up and down."""
    random = np.random.default_rng(seed)
    edges = {"source": [0, 1, 0, 1], "node": [0, 0, 1, 1]}
    first = edges | {"table": random.integers(-9, 9, (4, 16))}
    place = np.linspace(-1, 1, 1 << bits)
    last = np.rint(60 * np.stack([place + 0.3 * place**3, np.sin(4 * place)])).astype(int)
    return LookupNetwork.of(
        [2, 2, 1],
        [4, bits, 8],
        [1, 1, 1],
        [first, {"source": [0, 1], "node": [0, 0], "table": last}],
        guard_bits=[guard_bits, 0],
        output=output,
        thresholds=[7] if output == "threshold" else None,
    )


def published_folder() -> Path:
    """The folder of KANELÉ's networks; skips where none is named, and fails where what is named is not there."""
    if not os.environ.get("KANRTL_KANELE"):
        pytest.skip("KANELÉ's published networks are not part of the project; KANRTL_KANELE names their folder")
    return data_folder()


def published(name: str, **options: Any) -> tuple[LookupNetwork, Any]:
    """A network of KANELÉ, and the vectors that belong to it; skips where they are not."""
    folder = published_folder()
    return from_kanele(folder / f"{name}.state_dict.npz", **options), np.load(folder / f"{name}.tables.npz")
