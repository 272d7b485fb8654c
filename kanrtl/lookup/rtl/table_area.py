"""How many LUTs tables in logic take: up to six address bits as they are minimised, above as yosys maps them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ...fabric.families import FAMILIES
from ...numeric.fixed import Codes
from .cells import CELLS
from .gates import INPUTS
from .minimise import minimise
from .offsets import estimate_luts

Words = npt.NDArray[np.uint64]

_MINIMISED = 150
"""How many functions of five and six bits are minimised to see what they share; that takes a few seconds. Where there
are more, they are taken to share what those of the bench's networks do."""

_SHARED = {True: 0.97, False: 0.89}
"""The part of the LUTs of functions one by one that is left then; by whether there are multiplexers behind LUTs."""

_ESTIMATED = 4000
"""How many functions are estimated one by one; of more, evenly chosen ones stand for all."""

_LOOKED_AT = {False: 1 << 18, True: 1 << 16}
"""How many bits of a layer's tables are looked at; of more, those of evenly chosen inputs stand for all. Fewer where
tables have more than six address bits, of which each function takes longer."""

_HARDEST = 6
"""The LUTs of those."""


def count_tables(tables: Sequence[tuple[int, Codes]], bits: int, family: str) -> int:
    """Count the LUTs of a layer's tables.

    Parameters
    ----------
    tables : sequence of (int, array ``(2**bits,)``)
        The number of the input of each, and its values, which are not negative.
    bits : int
        How many bits an address has.
    family : str
        A name of :data:`.FAMILIES`.
    """
    by_source: dict[int, list[Codes]] = {}
    for source, values in tables:
        by_source.setdefault(source, []).append(values)
    groups = list(by_source.values())
    widths = [sum(int(values.max()).bit_length() for values in group) for group in groups]
    step = max(1, round((sum(widths) << bits) / _LOOKED_AT[bits > INPUTS]))
    chosen = slice(None, None, min(step, max(1, len(groups))))
    functions = [_distinct(_list_bits(group)) for group in groups[chosen]]
    scale = sum(widths) / max(1, sum(widths[chosen]))
    if bits > INPUTS:
        return round(scale * _count_mapped(functions, *FAMILIES[family].networks.mapped))
    return round(
        scale * _count_minimised([_pack(one) for one in functions], family in CELLS and CELLS[family].muxes, bits)
    )


def _list_bits(tables: Sequence[Codes]) -> npt.NDArray[np.bool_]:
    """List the functions that are the bits of tables, ``(n, rows)``."""
    stacked = np.stack(tables)
    width = int(stacked.max()).bit_length()
    found = [stacked >> bit & 1 for bit in range(width)]
    return np.concatenate(found).astype(bool) if found else np.zeros((0, stacked.shape[1]), dtype=bool)


def _distinct(functions: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Leave of functions that are equal, or inverse to each other, only one; and none that are constant."""
    turned = functions ^ functions[:, :1]
    packed = np.unique(np.packbits(turned, axis=1), axis=0)
    rows = np.unpackbits(packed, axis=1, count=functions.shape[1]).astype(bool)
    result: npt.NDArray[np.bool_] = rows[rows.any(axis=1)]
    return result


def _pack(functions: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Repeat functions of fewer bits to fill 64 rows."""
    return np.tile(functions, (1, (1 << INPUTS) // functions.shape[1]))


def _count_minimised(sources: Sequence[npt.NDArray[np.bool_]], muxes: bool, bits: int) -> int:
    """Count the LUTs of functions, ``(n, 64)`` for each input, of which those of one input share what they can."""
    alone = [int(luts) for luts in _estimate_each(sources, muxes)]
    if bits < 5 or not sources:  # each is a LUT
        return sum(alone)
    if sum(len(one) for one in sources) > _MINIMISED:
        return round(sum(alone) * _SHARED[muxes])
    words = [np.packbits(one, axis=1, bitorder="little").view(np.uint64)[:, 0].tolist() for one in sources if len(one)]
    return sum(minimise(tuple(one), muxes=muxes).luts for one in words)


def _estimate_each(sources: Sequence[npt.NDArray[np.bool_]], muxes: bool) -> list[float]:
    """Estimate the LUTs of the functions of each input, without regard to what they share."""
    count = [len(one) for one in sources]
    if not sum(count):
        return [0.0] * len(sources)
    functions = np.concatenate([one for one in sources if len(one)])
    if len(functions) > _ESTIMATED:
        chosen = np.linspace(0, len(functions) - 1, _ESTIMATED).astype(int)
        mean = float(estimate_luts(functions[chosen], muxes).mean())
        return [mean * one for one in count]
    kinds, which = np.unique(functions, axis=0, return_inverse=True)
    luts = np.split(estimate_luts(kinds, muxes)[which.reshape(-1)], np.cumsum(count)[:-1])
    return [float(one.sum()) for one in luts]


def _count_mapped(sources: Sequence[npt.NDArray[np.bool_]], smooth: float, hard: float) -> float:
    """Count the LUTs of functions of more than six bits, ``(n, rows)`` for each input: of six bits each, and
    multiplexers, two of which choose one of four."""
    multiplexers, halved = 0, []
    for functions in sources:
        while functions.shape[1] > 1 << INPUTS:
            halves = functions.reshape(len(functions), 2, functions.shape[1] // 2)
            multiplexers += int((halves[:, 0] != halves[:, 1]).any(axis=1).sum())
            functions = _distinct(halves.reshape(2 * len(functions), halves.shape[2]))
        halved.append(functions)
    if not sum(map(len, halved)):  # nothing looks at an input, as where all tables are constant
        return 0.0
    small = np.concatenate(halved)
    # Estimated together: of a few functions at a time, it takes much longer.
    chosen = np.linspace(0, len(small) - 1, min(len(small), _ESTIMATED)).astype(int)
    luts = estimate_luts(small[chosen], muxes=False)
    total = 2 / 3 * multiplexers + float(luts.mean()) * len(small)
    return total * (smooth + hard * float((luts == _HARDEST).mean()))
