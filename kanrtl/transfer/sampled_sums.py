"""The exact sums of a learner's nodes, as far as a network whose tables sample the edges can know them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np

from ..learner.arithmetic import LayerArithmetic
from ..numeric.fixed import Codes, Format, narrow
from ..numeric.spline import Locator
from .addressing import Addressing, edge_locator, edge_sums, grid_position


@dataclass(frozen=True)
class InputBounds:
    """What is known of the inputs of a layer.

    Attributes
    ----------
    reach : tuple of two arrays ``(n_in,)``
        The lowest and the highest activation that the learner can have there.
    slack : list of int, one for each input
        By how much the network's number can differ from the learner's before either is rounded, in ``1 / SLACK_PARTS``
        LSBs of an activation.
    rounding : str or None
        How the learner rounds what the network addresses tables by. None says that it is rounded already.
    """

    reach: tuple[Codes, Codes]
    slack: list[int]
    rounding: str | None

    @classmethod
    def of_samples(cls, format: Format, n_in: int, rounding: str | None) -> Self:
        """Give the bounds of inputs in ``format``, which the network has as the learner does."""
        return cls((np.full(n_in, format.minimum), np.full(n_in, format.maximum)), [0] * n_in, rounding)

    def positions(self, addresses: Addressing, locator: Locator) -> tuple[Codes, Codes, Codes]:
        """Give the positions that the learner can be at while the network takes an address.

        Returns
        -------
        first, last, middle : arrays ``(n_in, 2**bits)``
            For every input and address the first and the last such position in the grid, and that in the middle of what
            the address stands for.
        """
        begins, ends = {}, {}
        for slack in set(self.slack):
            down, up = addresses.lowest(slack)
            _, beyond = addresses.lowest(-slack)
            low = down if self.rounding in ("floor", "half_up") else up
            # A tie that goes to the even number below.
            begins[slack], ends[slack] = low[:-1] - (self.rounding == "half_even"), beyond[1:] - 1
        first, last = [begins[slack] for slack in self.slack], [ends[slack] for slack in self.slack]
        lowest, highest = self.reach
        first[:] = [np.concatenate([[int(reach)], one[1:]]) for one, reach in zip(first, lowest, strict=True)]
        last[:] = [np.concatenate([one[:-1], [int(reach)]]) for one, reach in zip(last, highest, strict=True)]
        _, up = addresses.lowest(0)
        middle = (up[:-1] + up[1:] - 1) // 2
        positions = []
        for begin, end, low, high in zip(first, last, lowest.tolist(), highest.tolist(), strict=True):
            end = np.maximum(begin, end)  # there may be no activation that has this address
            inside = np.minimum(np.maximum(middle, begin), end)
            x = np.clip([begin, end, inside], low, high).astype(np.int64)
            positions.append(grid_position(locator, x))
        result: tuple[Codes, Codes, Codes] = tuple(np.stack(positions, axis=1))
        return result


class SampledSums:
    """The exact sums of a layer's nodes as the learner has them, and as far as a network's tables know them.

    Attributes
    ----------
    samples : array of codes ``(n_out, n_in, addresses)``
        What every edge adds, by address.
    error : array ``(n_out,)``
        For every node how far the sum of ``samples`` can be from the learner's.
    reach : tuple of two arrays ``(n_out,)``
        The lowest and the highest activation that each node can have.
    dropped : int
        How many fraction bits more the sums have than an activation.
    rounding : str
        How the learner rounds the sums; ``"floor"`` where no bit is dropped.
    """

    def __init__(
        self, layer: LayerArithmetic, coefficients: Codes, rounding: str, inputs: InputBounds, addresses: Addressing
    ) -> None:
        self.layer = layer
        self.fraction = layer.node_sum.f
        more = max(0, layer.formats.output.f - self.fraction)
        self.fraction += more
        self.dropped = self.fraction - layer.formats.output.f
        self.rounding = rounding if self.dropped else "floor"
        self._half = 0 if self.rounding == "floor" else 1 << (self.dropped - 1)
        locator = edge_locator(layer, inputs.reach)
        first, last, middle = inputs.positions(addresses, locator)
        self.samples = np.empty((layer.n_out, layer.n_in, middle.shape[1]), dtype=np.int64)
        self.error = np.zeros(layer.n_out, dtype=np.int64)
        sums = np.zeros((2, layer.n_out), dtype=np.int64)
        ends = [grid_position(locator, reach) for reach in inputs.reach]
        for source in range(layer.n_in):
            values = edge_sums(layer, coefficients, source, locator) << more
            reachable = values[:, ends[0][source] : ends[1][source] + 1]
            sums += [reachable.min(axis=1), reachable.max(axis=1)]
            self.samples[:, source] = values[:, middle[source]]
            lowest, highest = _find_extremes(values, first[source], last[source])
            sample = self.samples[:, source]
            self.error += np.maximum(highest - sample, sample - lowest).max(axis=1)
        self.reach: tuple[Codes, Codes] = (self.round(sums[0]), self.round(sums[1]))

    @property
    def direct(self) -> bool:
        """Whether tables can give addresses themselves, because there is nothing to add."""
        return self.layer.n_in == 1

    def round(self, sums: Codes) -> Codes:
        """Round sums to activations, as the learner does."""
        codes: Codes = narrow(sums, self.fraction, self.layer.formats.output, self.rounding).result
        return codes

    def highest_real(self) -> float:
        """Give the largest magnitude that an edge adds, as a real number."""
        return float(np.abs(self.samples).max()) * 2.0**-self.fraction

    def largest_entry(self, following: Addressing, guard: int) -> int:
        """Give the largest number that a table or a bias takes; arguments as for :meth:`tables`."""
        cut = following.shift + self.dropped - guard
        constant = abs(following.offset << self.dropped) + (1 << (following.bits + following.shift + self.dropped))
        return (max(int(np.abs(self.samples).max()) * following.scale, constant) >> cut) + 1

    def tables(self, following: Addressing, guard: int) -> tuple[Codes, Codes, Fraction]:
        """Make the tables and biases whose sums are the addresses of the next layer.

        Parameters
        ----------
        following : Addressing
            How the next layer is addressed, or what an output's codes are.
        guard : int
            How many fraction bits the tables have below an address.

        Returns
        -------
        table : array of integers ``(n_out, n_in, addresses)``
        bias : array of integers ``(n_out,)``
        lost : Fraction
            By how much rounding the two moves a sum at most, in LSBs of an activation.
        """
        cut = following.shift + self.dropped - guard
        values = self.samples
        if int(np.abs(values).max()) * following.scale >= 1 << 61:
            values = values.astype(object)
        table = _cut_bits(values * following.scale, cut).astype(np.int64)
        # The network adds a half before it cuts off the guard bits; there its lowest code is half its range below zero.
        constant = (self._half * following.scale + (following.offset << self.dropped)) - (
            1 << (following.bits - 1 + following.shift + self.dropped)
        )
        bias = int(_cut_bits(np.array(constant, dtype=object) - (1 << cut + guard >> 1), cut))
        lost = Fraction(0)
        if cut:
            lost = Fraction(self.layer.n_in + 1, 2) * Fraction(1 << cut, following.scale << self.dropped)
        return table, np.full(self.layer.n_out, bias), lost


def _cut_bits(values: Any, bits: int) -> Any:
    """Drop the last ``bits``, to the nearest."""
    return values + (1 << bits >> 1) >> bits


def _find_extremes(values: Codes, first: Codes, last: Codes) -> tuple[Codes, Codes]:
    """Find the lowest and the highest of ``values[:, first[k] : last[k] + 1]``, for every ``k``."""
    level = np.array([int(length).bit_length() - 1 for length in last - first + 1])
    lowest = np.empty((len(values), len(first)), dtype=np.int64)
    highest = np.empty_like(lowest)
    low = high = values
    for power in range(int(level.max()) + 1):
        here = level == power
        ends = first[here], last[here] - (1 << power) + 1
        lowest[:, here] = np.minimum(low[:, ends[0]], low[:, ends[1]])
        highest[:, here] = np.maximum(high[:, ends[0]], high[:, ends[1]])
        if power < level.max():
            width = 1 << power
            low, high = np.minimum(low[:, :-width], low[:, width:]), np.maximum(high[:, :-width], high[:, width:])
    return lowest, highest
