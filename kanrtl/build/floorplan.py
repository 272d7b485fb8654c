"""Sites for the multipliers of an ECP5, chosen before nextpnr places the rest around them.

The multipliers of a large die lie in rows of 52, with a quarter of a chip between them, and nextpnr's placers spread
them over all of it: what a hidden node multiplies may end up a chip away from what it updates. Here each gets a site
near those it works with::

    netlist -> blocks and the longest path from each to each -> pulls, stronger where paths are long
                     ^                                             | what is no multiplier goes where it is pulled
                     | distances                                   v
                     +------------------------------- a site for every multiplier

Without the grid of sites the cheapest squared wire length is a quadratic form of all positions (Hall, "An r-dimensional
quadratic placement algorithm", Management Science 17, 1970). What is no multiplier may be where that is least, so it
is eliminated from the form (Kron reduction), and what remains couples multiplier with multiplier. To give them sites is
then a quadratic assignment problem. It is solved some times over, with pulls from the path lengths of the last sites,
and the sites with the shortest longest path are taken.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from ..fabric.family import Site
from .block_paths import BlockPaths, Matrix

MOST_LEFT_ALONE = 24
"""The largest number of multipliers that nextpnr places well by itself."""

_STARTS, _ROUNDS = 2, 4
"""How often sites are sought from the beginning, and how often anew with the path lengths of the last."""

_SHARPNESS = 16
"""A path pulls with this power of its length over the longest."""


def place_multipliers(path: Path, top: str, sites: list[Site]) -> int:
    """Give every multiplier in the module ``top`` of the netlist at ``path`` one of ``sites``; return how many.

    There are none if there are so few that nextpnr does well, or more than there are sites.
    """
    design = json.loads(path.read_text())
    cells = design["modules"][top]["cells"]
    multipliers = [name for name, cell in cells.items() if cell["type"] == "MULT18X18D"]
    if not MOST_LEFT_ALONE < len(multipliers) <= len(sites):
        return 0
    blocks = BlockPaths(cells)
    chosen = _choose_sites(blocks, [blocks.number[name] for name in multipliers], sites)
    for name, index in zip(multipliers, chosen, strict=True):
        cells[name]["attributes"]["BEL"] = sites[index].name
    path.write_text(json.dumps(design))
    return len(multipliers)


def _choose_sites(blocks: BlockPaths, multipliers: list[int], sites: list[Site]) -> list[int]:
    """For every multiplier the number of a site."""
    positions = np.array([(site.x, site.y) for site in sites], dtype=np.float64)
    squared = np.abs(positions[:, None] - positions[None]).sum(axis=-1) ** 2
    best, shortest = np.zeros(0, dtype=np.int64), np.inf
    nowhere = np.zeros_like(blocks.delay)
    for start in range(_STARTS):
        random = np.random.default_rng(start)
        paths = blocks.paths(nowhere)
        pulls = _pulls(paths)
        for _ in range(_ROUNDS):
            coupling, followed = _eliminate(pulls + pulls.T, multipliers, blocks.together)
            taken = _assign(coupling, squared, random, randomized=start > 0)
            where = followed @ positions[taken]
            paths = blocks.paths(np.abs(where[:, None] - where[None]).sum(axis=-1))
            if paths.max() < shortest:
                best, shortest = taken, paths.max()
            pulls = (pulls + _pulls(paths)) / 2
    return [int(site) for site in best]


def _pulls(paths: Matrix) -> Matrix:
    """How strongly a block pulls at the one that it leads to."""
    longest = paths.max() or 1.0  # nothing leads anywhere
    pulls: Matrix = (paths / longest) ** _SHARPNESS
    return pulls


def _eliminate(pulls: Matrix, kept: list[int], together: list[tuple[int, int]]) -> tuple[Matrix, Matrix]:
    """How strongly the blocks ``kept`` pull at each other, through all the others; and what the position of every block
    is made of, by those of the blocks kept."""
    held, pulls = np.array(kept), pulls.copy()
    for first, second in together:
        pulls[first, second] = pulls[second, first] = 1
    np.fill_diagonal(pulls, 0)
    laplacian = np.diag(pulls.sum(axis=0)) - pulls
    free = np.setdiff1d(np.arange(len(pulls)), held)
    # What hangs together with nothing that is kept may be anywhere: a trace holds it.
    inner = laplacian[np.ix_(free, free)] + 1e-6 * np.eye(len(free))
    followed = np.zeros((len(pulls), len(kept)))
    followed[held] = np.eye(len(held))
    followed[free] = np.linalg.solve(inner, -laplacian[np.ix_(free, held)])
    reduced = laplacian[held] @ followed
    coupling = np.maximum(0, -(reduced + reduced.T) / 2)
    np.fill_diagonal(coupling, 0)
    return coupling, followed


def _assign(coupling: Matrix, squared: Matrix, random: np.random.Generator, *, randomized: bool) -> Any:
    """A site for each, such that the sum of coupling times squared distance is small."""
    from scipy.optimize import quadratic_assignment  # only here: it takes long to import

    # What has no multiplier has something that nothing pulls at.
    padded = np.zeros_like(squared)
    padded[: len(coupling), : len(coupling)] = coupling
    begin = {"rng": random, "P0": "randomized" if randomized else "barycenter"}
    found = quadratic_assignment(padded, squared, method="faq", options=begin)
    guess = np.stack([np.arange(len(squared)), found.col_ind], axis=1)
    found = quadratic_assignment(padded, squared, method="2opt", options={"rng": random, "partial_guess": guess})
    return found.col_ind[: len(coupling)]
