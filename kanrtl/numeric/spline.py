"""Uniform B-splines: exact values, the quantised tables made from them, and how a cell is found.

On a uniform grid of ``G`` cells of width ``h`` and at spline order ``S``, only ``S + 1`` of the ``G + S`` bases are
non-zero at any point, and they have the same shape in every cell. With ``t = (x - grid_min) / h``, cell
``k = floor(t)`` and ``u = t - k``, an edge is ``phi(x) = sum_j c[k + j] * b_j(u)``, ``j = 0 .. S`` (Hoang, Gupta,
Harris, arXiv 2602.02056, section on spline locality). So one small table over ``u`` serves the whole grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from math import ceil, floor, log2
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from .bits import bits_for
from .fixed import SQ, Codes, Format

# Coefficients of u**0, u**1, ... of each basis in the cell it shares with its S neighbours, times S factorial:
# the uniform Cox-de Boor recursion (de Boor 1972), written out.
_POLYNOMIALS: dict[int, tuple[int, list[list[int]]]] = {
    1: (1, [[1, -1], [0, 1]]),
    2: (2, [[1, -2, 1], [1, 2, -2], [0, 0, 1]]),
    3: (6, [[1, -3, 3, -1], [4, 0, -6, 3], [1, 3, 3, -3], [0, 0, 0, 1]]),
}

ORDERS = tuple(_POLYNOMIALS)


@overload
def basis_values(order: int, u: Fraction) -> list[Fraction]: ...


@overload
def basis_values(order: int, u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...


def basis_values(order: int, u: Any) -> Any:
    """The ``order + 1`` bases ``b_j(u)`` that are non-zero in a cell, for ``0 <= u <= 1``.

    ``u`` may be a :class:`~fractions.Fraction` (exact list) or an array (a last axis of ``order + 1`` is added).
    """
    divisor, rows = _POLYNOMIALS[order]
    return _evaluate(rows, divisor, u)


@overload
def derivative_values(order: int, u: Fraction) -> list[Fraction]: ...


@overload
def derivative_values(order: int, u: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]: ...


def derivative_values(order: int, u: Any) -> Any:
    """The derivatives ``db_j / du``; divide by the cell width for ``db_j / dx``. Arguments as :func:`basis_values`."""
    divisor, rows = _POLYNOMIALS[order]
    return _evaluate([[power * a for power, a in enumerate(row)][1:] for row in rows], divisor, u)


def _evaluate(rows: list[list[int]], divisor: int, u: Any) -> Any:
    def horner(row: list[int]) -> Any:
        value = 0 * u
        for coefficient in reversed(row):
            value = value * u + coefficient
        return value / divisor

    values = [horner(row) for row in rows]
    return values if isinstance(u, Fraction) else np.stack(values, axis=-1)


@cache
def basis_table(order: int, size: int, fraction: int) -> Codes:
    """Basis values in units of ``2**-fraction``; shape ``(size, order + 1)``.

    Row ``r`` is sampled at the middle of its step, ``u = (r + 1/2) / size``. Every row sums to exactly
    ``2**fraction``, so that an edge never leaves the range of its coefficients, and the table is symmetric:
    ``table[r, j] == table[size - 1 - r, order - j]``.
    """
    return _quantise_rows(lambda u: basis_values(order, u), size, Fraction(1 << fraction), mirror_sign=1)


@cache
def derivative_table(order: int, size: int, fraction: int, cell_width: Fraction) -> Codes:
    """Values of ``db_j / dx`` in units of ``2**-fraction``; shape ``(size, order + 1)``; every row sums to exactly
    zero.

    ``cell_width`` is the width ``h`` of a grid cell in units of x. Sampled and symmetric as :func:`basis_table`,
    with the opposite sign.
    """
    return _quantise_rows(lambda u: derivative_values(order, u), size, (1 << fraction) / cell_width, mirror_sign=-1)


def _quantise_rows(values: Any, size: int, scale: Fraction, mirror_sign: int) -> Codes:
    rows = [
        _round_to_sum([value * scale for value in values(Fraction(2 * row + 1, 2 * size))])
        for row in range((size + 1) // 2)
    ]
    table = np.array(rows, dtype=np.int64)
    table = np.concatenate([table, mirror_sign * table[: size // 2][::-1, ::-1]])
    table.flags.writeable = False
    return table


def _round_to_sum(exact: Sequence[Fraction]) -> list[int]:
    """Integers next to ``exact`` with the (integer) sum of ``exact``: those with the largest remainders go up."""
    rounded = [floor(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda j: rounded[j] - exact[j])
    for j in by_remainder[: round(sum(exact)) - sum(rounded)]:
        rounded[j] += 1
    return rounded


@dataclass(frozen=True)
class Locator:
    """Finds cell and table row of an input code, in integers: ``position = (x * scale + offset) >> shift``.

    The position counts table steps from ``grid_min``: its high part is the cell, its low ``log2(table_size)`` bits the
    row. A position below 0 or from ``grid_size * table_size`` on is outside: it is clamped to the first or
    the last, and the derivative there is zero. On a ``periodic`` grid nothing is outside: the position is taken modulo
    ``grid_size * table_size``.

    Where the width of a table step is a power of two, ``scale`` is 1 and the multiplication a choice of bits. Otherwise
    ``scale`` is the shortest constant that displaces no input in the grid, and on a periodic grid none of the whole
    format, by more than a quarter of a step.
    """

    scale: int
    offset: int
    shift: int
    grid_size: int
    table_size: int
    periodic: bool = False

    @classmethod
    def of(
        cls,
        grid_min: Fraction,
        grid_max: Fraction,
        grid_size: int,
        table_size: int,
        x: Format,
        *,
        periodic: bool = False,
    ) -> Locator:
        """The locator of a grid for inputs in format ``x``."""
        span = (grid_max - grid_min) * (1 << x.f)
        exact = Fraction(grid_size * table_size) / span  # steps for one code
        if periodic:
            lowest, highest = Fraction(x.minimum, 1 << x.f), Fraction(x.maximum, 1 << x.f)
            span = (max(grid_max, highest) - min(grid_min, lowest)) * (1 << x.f)
        # |scale * 2**-shift - exact| <= 2**-shift / 2, so span * that <= 1/4 step where 2**shift >= 2 * span.
        shift = max(0, ceil(log2(2 * span)), ceil(-log2(exact)))
        scale = round(exact * (1 << shift))
        while scale % 2 == 0 and shift > 0:
            scale, shift = scale // 2, shift - 1
        # Rounded down, it changes no position: floor((n + floor(r)) / m) == floor((n + r) / m) for integers n, m.
        offset = floor(-grid_min * (1 << x.f) * scale)
        return cls(scale, offset, shift, grid_size, table_size, periodic)

    def position(self, x: Format) -> Format:
        """The position of inputs in format ``x``, before its fraction is cut off."""
        reach = max(abs(code * self.scale + self.offset) for code in (x.minimum, x.maximum))
        return SQ(max(1, bits_for(reach) + 1 - self.shift), self.shift)

    @property
    def row_bits(self) -> int:
        """The bits of the position that address a row of the table."""
        return self.table_size.bit_length() - 1

    @property
    def end(self) -> int:
        """The first position above the grid; the period of the positions of a periodic grid."""
        return self.grid_size * self.table_size

    def unroll(self, x: Format) -> Locator:
        """The same without the modulo: the grid repeated in all periods that inputs in format ``x`` reach."""
        first, last = ((code * self.scale + self.offset >> self.shift) // self.end for code in (x.minimum, x.maximum))
        offset = self.offset - (first * self.end << self.shift)
        return Locator(self.scale, offset, self.shift, self.grid_size * (last + 1 - first), self.table_size)

    def locate(self, x: Codes) -> tuple[Codes, Codes, npt.NDArray[np.bool_]]:
        """Cell, table row, and whether the input is inside the grid, for input codes of any shape."""
        position = x * self.scale + self.offset >> self.shift
        if self.periodic:
            position = position % self.end
        clamped = np.minimum(np.maximum(position, 0), self.end - 1)
        return clamped >> self.row_bits, clamped & (self.table_size - 1), position == clamped
