"""A trained KAN in real numbers, with the methods that turn it into a lookup network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy.typing as npt

from .calibration import Calibration, calibrate
from .float_network import FloatNetwork
from .pruning import prune
from .search import Search, search


@dataclass(frozen=True, eq=False)
class FloatKAN(FloatNetwork):
    """A trained KAN, such as an importer or :func:`kanrtl.lookup.train` gives.

    It is a :class:`FloatNetwork` that can be calibrated, pruned and searched by its own methods.
    """

    def calibrate(self, x: npt.ArrayLike, bits: int | Sequence[int], method: str = "output") -> Calibration:
        """Choose steps and offsets for ``bits``, by samples ``x`` ``(n, n_in)``; see
        :func:`kanrtl.lookup.floats.calibration.calibrate`."""
        return calibrate(self, x, bits, method)

    def prune(self, x: npt.ArrayLike, *, threshold: float | None = None, edges: int | None = None) -> Self:
        """Remove the edges that do least to the outputs; see :func:`kanrtl.lookup.floats.pruning.prune`."""
        return prune(self, x, threshold=threshold, edges=edges)

    def search(self, x: npt.ArrayLike, y: npt.ArrayLike | None = None, **options: Any) -> Search[Self]:
        """Search for bits and edges that trade accuracy for size; see :func:`kanrtl.lookup.floats.search.search`."""
        return search(self, x, y, **options)
