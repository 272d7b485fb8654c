"""From a learner's inputs to positions in its grid, and to the addresses of a network's tables."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from ..arrays import Reals
from ..errors import InputError
from ..learner.arithmetic import LayerArithmetic
from ..lookup.quantiser import FixedQuantiser, Quantiser
from ..numeric.fixed import Codes, Format
from ..numeric.spline import Locator


@dataclass(frozen=True, eq=False)
class Scaling:
    """Two affine maps around a learner.

    The learner takes ``x * scale + offset`` for a real input ``x``, and its output ``y`` stands for
    ``y * output_scale + output_offset``.

    Attributes
    ----------
    scale, offset : arrays ``(n_in,)``
        They map the inputs.
    output_scale, output_offset : float or arrays ``(n_out,)``
        They map the outputs. The scale has to be above 0.
    """

    scale: Reals
    offset: Reals
    output_scale: float | Reals = 1.0
    output_offset: float | Reals = 0.0

    def unscale(self, inputs: Reals) -> Reals:
        """Give the real inputs ``(n, n_in)`` that the learner takes as ``inputs``; zeros where a scale is zero."""
        result: Reals = (inputs - self.offset) / np.where(self.scale == 0, np.inf, self.scale)
        return result


def grid_position(locator: Locator, x: Codes) -> Codes:
    """Positions in the grid, clamped to it.

    Parameters
    ----------
    locator : Locator
        The locator of the layer.
    x : array of integers, any shape
        Activations, as codes.

    Returns
    -------
    array of integers
        For every activation a position from 0 to ``grid_size * table_size - 1``, in the shape of ``x``.
    """
    cell, row, _ = locator.locate(x)
    position: Codes = (cell << locator.row_bits) + row
    return position


_MOST_POSITIONS = 1 << 20
"""Activations that the edges of a linear path are evaluated at, at most."""


def edge_locator(layer: LayerArithmetic, reach: tuple[Codes, Codes]) -> Locator:
    """Give what tells apart the inputs that the edges of a layer do: positions in the grid as :func:`unroll` gives
    them, or with linear paths all activations from the lowest to the highest of ``reach``, two arrays ``(n_in,)``.

    Raises
    ------
    InputError
        If there are too many of these.
    """
    if not layer.linear:
        return unroll(layer)
    lowest, highest = int(reach[0].min()), int(reach[1].max())
    count = highest - lowest + 1
    if count > _MOST_POSITIONS:
        raise InputError(
            f"input_format = {layer.formats.input}: linear paths tell {count} activations apart, and at most "
            f"{_MOST_POSITIONS} can be frozen; freeze a learner with fewer bits, or without linear paths"
        )
    return Locator(1, -lowest, 0, count, 1)


def edge_values(layer: LayerArithmetic, coefficients: Codes, source: int, x: Codes) -> Codes:
    """Compute what all edges from one input add to their nodes, for activations.

    Parameters
    ----------
    layer : LayerArithmetic
        The layer of the learner.
    coefficients : array of codes ``(n_out, n_in, coefficients)``
        What the edges are.
    source : int
        The number of the input.
    x : array of codes ``(n,)``
        The activations.

    Returns
    -------
    array of codes ``(n_out, n)``
        They are exact, with the fraction bits of ``layer.node_sum``.
    """
    factors = layer.factors_of(coefficients[:, source])
    values = _spline_sums(layer, factors[:, : layer.bases])[:, grid_position(layer.locator, x)]
    if layer.linear:
        up = layer.node_sum.f - layer.formats.factor.f - layer.formats.basis.f
        products = factors[:, -1:] * x
        values = (values << up) + (products << layer.node_sum.f - layer.linear.product.f)
    return values


def edge_sums(layer: LayerArithmetic, coefficients: Codes, source: int, locator: Locator) -> Codes:
    """Compute the same for every position of :func:`edge_locator`, ``(n_out, positions)``."""
    if layer.linear:
        return edge_values(layer, coefficients, source, np.arange(locator.end) - locator.offset)
    factors = layer.factors_of(coefficients[:, source])
    return np.tile(_spline_sums(layer, factors), locator.grid_size // layer.grid_size)


def _spline_sums(layer: LayerArithmetic, edges: Codes) -> Codes:
    """Splines ``(n_out, positions)``, by position in the grid, of factors ``(n_out, bases)``."""
    if layer.periodic:  # the last windows go on at the first coefficient
        edges = np.concatenate([edges, edges[:, : layer.spline_order]], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(edges, layer.window, axis=1)
    sums: Codes = np.einsum("okj,rj->okr", windows, layer.basis_table)
    return sums.reshape(layer.n_out, -1)


def unroll(layer: LayerArithmetic) -> Locator:
    """Give the locator of a layer, where its grid is periodic that of the grid repeated as often as activations reach.

    So a saturating address tells all that a position modulo the grid does.
    """
    return layer.locator.unroll(layer.formats.input) if layer.periodic else layer.locator


SLACK_PARTS = 256
"""In how many parts of an activation's LSB slack is counted, rounded up."""


@dataclass(frozen=True)
class Addressing:
    """Gives addresses to numbers ``y`` in LSBs of an activation: ``floor((y * scale + offset) / 2**shift)``, saturated.

    Attributes
    ----------
    scale, offset, shift : int
        The constants of the formula.
    bits : int
        The width of an address.
    """

    scale: int
    offset: int
    shift: int
    bits: int

    @property
    def step(self) -> Fraction:
        """How many LSBs of an activation an address stands for."""
        return Fraction(1 << self.shift, self.scale)

    @property
    def zero(self) -> Fraction:
        """The ``y`` in the middle of what code 0 stands for."""
        half = 1 << (self.bits - 1)
        return ((half << self.shift) - self.offset) / Fraction(self.scale) + self.step / 2

    def codes(self, x: Codes) -> Codes:
        """Give the addresses of activations as the codes of a network, which begin at ``-2**(bits - 1)``."""
        half = 1 << (self.bits - 1)
        codes: Codes = np.clip((x * self.scale + self.offset >> self.shift) - half, -half, half - 1)
        return codes

    def lowest(self, slack: int) -> tuple[Codes, Codes]:
        """Give the least ``y`` of every address, and of the one behind the last, less ``slack / SLACK_PARTS``.

        Returns
        -------
        down, up : arrays of Python integers ``(2**bits + 1,)``
            The same numbers, rounded down and rounded up to activations.
        """
        numerator = ((np.arange((1 << self.bits) + 1).astype(object) << self.shift) - self.offset) * SLACK_PARTS
        numerator = numerator - slack * self.scale
        down = numerator // (self.scale * SLACK_PARTS)
        up = -(-numerator // (self.scale * SLACK_PARTS))
        return down, up

    def real_quantiser(self, format: Format, n_in: int, scaling: Scaling) -> Quantiser:
        """Make the quantiser of real inputs that are scaled and then rounded to ``format``.

        It gives the addresses of all of them except those on the border between two.
        """
        step = float(self.step)
        code = scaling.scale / format.lsb / step
        offset = (scaling.offset / format.lsb + 0.5) / step + self.offset / (1 << self.shift)
        return Quantiser.of(code, offset - 0.5 - (1 << (self.bits - 1)), self.bits, n_in)

    def quantiser(self, format: Format, n_in: int) -> FixedQuantiser:
        """Make the quantiser that gives the addresses of inputs in ``format``."""
        offset = self.offset - (1 << (self.bits - 1) << self.shift)
        scale, shift = self.scale, self.shift
        if shift:
            # Half even of twice as many parts: rounded down, and never a tie.
            scale, offset, shift = 2 * scale, 2 * offset - (1 << shift) + 1, shift + 1
        return FixedQuantiser(format, np.full(n_in, scale), np.full(n_in, offset), shift, self.bits)


def find_activations(locator: Locator, reach: tuple[Codes, Codes]) -> tuple[int, int]:
    """Find the lowest and the highest activation that a grid tells from those beyond.

    Only activations that can occur are looked at: ``reach`` is the lowest and the highest of every input, two arrays
    ``(n_in,)``.
    """
    first = -(locator.offset // locator.scale)
    last = -((locator.offset - (locator.end << locator.shift)) // locator.scale) - 1
    low, high = sorted((first, last))  # there may be none inside the grid
    # Those beyond may be at positions that none inside is at.
    low -= int(grid_position(locator, np.array(low)) > 0)
    high += int(grid_position(locator, np.array(high)) < locator.end - 1)
    lowest, highest = int(reach[0].min()), int(reach[1].max())
    return min(max(lowest, low), high), min(max(highest, low), high)
