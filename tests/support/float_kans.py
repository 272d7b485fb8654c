"""Random KANs in floats, shared by the tests of what is done with them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from kanrtl.lookup import FloatKAN, FloatLayer
from kanrtl.lookup.floats.named_functions import BASES


def random_kan(sizes: list[int], order: int, base: str, seed: int, density: float = 1.0) -> FloatKAN:
    """On grids of three to five cells around zero."""
    random = np.random.default_rng(seed)
    layers = []
    for n_in, n_out in pairwise(sizes):
        cells = int(random.integers(3, 6))
        knots = np.cumsum(random.uniform(0.3, 0.9, (n_in, cells + 2 * order + 1)), axis=1)
        layers.append(
            FloatLayer.of(
                "layer",
                knots=knots - knots.mean(axis=1, keepdims=True),
                coefficients=random.normal(0, 1, (n_out, n_in, cells + order)),
                base_weights=random.normal(0, 0.5, (n_out, n_in)),
                base=base,
                edges=random.random((n_out, n_in)) < density,
                bias=random.normal(0, 0.5, n_out),
            )
        )
    return FloatKAN.of(layers, random.uniform(0.5, 1.5, sizes[0]), random.normal(0, 0.3, sizes[0]))


def kans(max_layers: int = 3, min_order: int = 0) -> st.SearchStrategy[FloatKAN]:
    return st.builds(
        random_kan,
        st.lists(st.integers(1, 4), min_size=2, max_size=max_layers + 1),
        st.integers(min_order, 3),
        st.sampled_from(sorted(BASES)),
        st.integers(0, 2**32 - 1),
        st.sampled_from([0.6, 1.0]),
    )


def samples(kan: FloatKAN, count: int, seed: int = 0) -> npt.NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, 0.8, (count, kan.layer_sizes[0]))
