"""What codes stand for, chosen by data: the step and the offset of every input and node, for given bits.

This is post-training quantisation as usual (Nagel et al., A White Paper on Neural Network Quantization, arXiv
2106.08295), except that every input and every hidden node has a step and an offset of its own, which tables take in at
no cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import Reals
from ...errors import InputError
from ..network import LookupNetwork
from ..number_checks import check_bits
from ..scales import CodeScale
from .float_network import FloatNetwork

__all__ = ["GUARD_BITS", "METHODS", "Calibration", "calibrate", "input_scale", "output_scale", "rows_of", "variance_of"]

PERCENTILES = (0.1, 1.0)
"""How many percent of the values may saturate at either end."""

GUARD_BITS = 2
"""How many guard bits hidden layers have where none are given."""

_ROUNDS = 30

_SHARES = np.linspace(0.1, 1.0, 46)
"""The shares of the outputs' range that are tried."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the codes of the inputs and of every layer's nodes stand for.

    Attributes
    ----------
    scales : tuple of CodeScale
        What the codes of the inputs stand for, then those of every layer's nodes.
    methods : tuple of str
        The name of the method that each scale was found by.
    error : float
        The mean squared difference of the outputs, in real numbers, to those without codes, over their variance. Tables
        are not rounded here.
    """

    scales: tuple[CodeScale, ...]
    methods: tuple[str, ...]
    error: float

    @property
    def bits(self) -> tuple[int, ...]:
        """How many bits the codes of the inputs have, then those of every layer's nodes."""
        return tuple(scale.bits for scale in self.scales)

    @property
    def steps(self) -> tuple[Reals, ...]:
        """The real values of one LSB of every input, then of every layer's nodes."""
        return tuple(scale.step for scale in self.scales)

    @property
    def offsets(self) -> tuple[Reals, ...]:
        """The real values of code zero of every input, then of every layer's nodes."""
        return tuple(scale.offset for scale in self.scales)

    def quantise(self, kan: FloatNetwork, guard_bits: Sequence[int] | None = None, **options: Any) -> LookupNetwork:
        """Make the tables of ``kan``, whose codes these are.

        Parameters
        ----------
        kan : FloatNetwork
            The network that was calibrated.
        guard_bits
            One number for each layer. Where they are left out, hidden layers have two, as the roundings of many edges
            add up, and the last layer none.
        options
            ``output`` and ``thresholds`` of :meth:`FloatNetwork.quantise`.
        """
        if guard_bits is None:
            guard_bits = [*[GUARD_BITS] * (len(self.scales) - 2), 0]
        return kan.quantise(
            self.bits, self.steps, offsets=self.offsets, guard_bits=guard_bits, saturate=False, **options
        )


def calibrate(
    kan: FloatNetwork,
    x: npt.ArrayLike,
    bits: Sequence[int],
    method: str = "output",
    inputs: CodeScale | None = None,
) -> Calibration:
    """Choose steps and offsets for codes of given widths.

    Parameters
    ----------
    kan : FloatNetwork
        The network whose values are to become codes.
    x : array ``(n, n_in)``
        Samples such as the network will see; some hundred are enough.
    bits
        How many bits the codes of the inputs have, then those of every layer's nodes.
    method
        ``range``: all of the samples' values have a code. ``percentile``: all except one percent at either end.
        ``least_squares``: the values' mean squared error is least. ``output``: whichever of these, and of 0.1 percent,
        changes the network's outputs least, taken layer by layer from the inputs on.
    inputs : CodeScale, optional
        What the codes of the inputs stand for, where that is known already.

    Raises
    ------
    InputError
        If the samples, the bits or the method are refused.
    """
    rows = rows_of("x", x, kan.layer_sizes[0])
    count = len(kan.layers)
    if len(bits) != count + 1:
        raise InputError(f"bits: {len(bits)} values; give {count + 1}, for the inputs and for every layer")
    checked = [check_bits(f"bits[{index}]", width) for index, width in enumerate(bits)]
    names = _METHODS_BY_OUTPUT if method == "output" else (method,)
    if not set(names) <= set(METHODS):
        raise InputError(f"method = {method!r}: must be one of 'output', {', '.join(map(repr, METHODS))}")
    exact = _finite_outputs(kan, rows)
    variance = variance_of(exact)

    def error(depth: int, values: Reals) -> float:
        """Measure the error of the outputs where layer ``depth`` takes ``values``."""
        outputs = kan.evaluate_from(depth, values)[-1] if depth < count else values
        return float(((outputs - exact) ** 2).mean(axis=0).sum()) / variance

    values = kan.scale_inputs(rows)
    scales: list[CodeScale] = []
    chosen: list[str] = []
    for depth, width in enumerate(checked):
        if depth == 0 and inputs is not None:
            found = {"given": inputs}
        else:
            find = output_scale if depth == count else input_scale
            found = {name: find(values, width, name) for name in names}
        best = (
            min(found, key=lambda name: error(depth, found[name].round(values)))
            if len(found) > 1
            else next(iter(found))
        )
        scales.append(found[best])
        chosen.append(best)
        values = found[best].round(values)
        least = error(depth, values)
        if depth < count:
            values = kan.layers[depth].evaluate(values)
    return Calibration(tuple(scales), tuple(chosen), least)


def _finite_outputs(kan: FloatNetwork, rows: Reals) -> Reals:
    """Evaluate the outputs, and refuse what is not a number anywhere on the way."""
    layers = kan.evaluate(rows)
    for index, values in enumerate(layers):
        if not np.isfinite(values).all():
            sample, node = np.argwhere(~np.isfinite(values))[0]
            raise InputError(f"x[{sample}]: node {node} of layer {index} gives {values[sample, node]}; leave it out")
    return layers[-1]


def variance_of(outputs: Reals) -> float:
    """Give the variance of the outputs ``(n, n_out)`` together, or one where they do not vary."""
    return float(outputs.var(axis=0).sum()) or 1.0


def rows_of(field: str, values: npt.ArrayLike, columns: int) -> Reals:
    """Check that ``values`` are rows ``(n, columns)`` of finite numbers, one or more.

    Raises
    ------
    InputError
        If they are not, by the name ``field``.
    """
    try:
        rows = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{field}: not an array of numbers; give shape (n, {columns})") from None
    if rows.ndim != 2 or rows.shape[1] != columns or not len(rows):
        raise InputError(f"{field}: shape {rows.shape}; must be (n, {columns}), with one sample or more")
    if not np.isfinite(rows).all():
        index = np.argwhere(~np.isfinite(rows))[0]
        raise InputError(f"{field}[{index[0]}, {index[1]}] = {rows[tuple(index)]}: give a finite number")
    return rows


# Methods to choose scales.


def input_scale(values: Reals, bits: int, method: str) -> CodeScale:
    """Choose what the codes of inputs or hidden nodes stand for, each by its own values.

    Parameters
    ----------
    values : array ``(n_samples, n)``
        The values of ``n`` inputs or nodes.
    bits
        How many bits a code has.
    method
        A name of :data:`METHODS`.
    """
    return METHODS[method](values, bits)


def _between(low: Reals, high: Reals, bits: int) -> CodeScale:
    """Put the lowest code at ``low`` and the highest at ``high``."""
    step = np.where(high > low, (high - low) / ((1 << bits) - 1), 1.0)
    return CodeScale(bits, step, low + step * (1 << (bits - 1)))


def _range(values: Reals, bits: int) -> CodeScale:
    return _between(values.min(axis=0), values.max(axis=0), bits)


def _percentile(values: Reals, bits: int, percent: float = PERCENTILES[-1]) -> CodeScale:
    low, high = np.percentile(values, [percent, 100 - percent], axis=0)
    # Where nearly all values are the same, there is nothing between percentiles.
    empty = high <= low
    return _between(np.where(empty, values.min(axis=0), low), np.where(empty, values.max(axis=0), high), bits)


def _least_squares(values: Reals, bits: int) -> CodeScale:
    """Choose codes for given levels, and levels that fit these codes best, in turn (Lloyd), from several beginnings."""
    best = _range(values, bits)
    least = _squared_error(best, values)
    for scale in (best, *(_percentile(values, bits, percent) for percent in (*PERCENTILES, 5.0, 15.0))):
        for _ in range(_ROUNDS):
            scale = _refit(scale, values)
        found = _squared_error(scale, values)
        better = found < least
        least = np.where(better, found, least)
        best = CodeScale(bits, np.where(better, scale.step, best.step), np.where(better, scale.offset, best.offset))
    return best


def _squared_error(scale: CodeScale, values: Reals) -> Reals:
    result: Reals = ((scale.round(values) - values) ** 2).mean(axis=0)
    return result


def _refit(scale: CodeScale, values: Reals) -> CodeScale:
    """Choose the levels that fit the codes of ``scale`` best: a line through values over codes."""
    codes = scale.codes(values)
    middle, mean = codes.mean(axis=0), values.mean(axis=0)
    spread = ((codes - middle) ** 2).sum(axis=0)
    slope = ((codes - middle) * (values - mean)).sum(axis=0) / np.where(spread > 0, spread, 1)
    good = slope > 0
    step = np.where(good, slope, scale.step)
    return CodeScale(scale.bits, step, np.where(good, mean - step * middle, scale.offset))


METHODS: dict[str, Callable[[Reals, int], CodeScale]] = {
    "range": _range,
    "percentile": _percentile,
    "least_squares": _least_squares,
    "percentile 0.1": lambda values, bits: _percentile(values, bits, PERCENTILES[0]),
}
"""The methods that choose steps and offsets, by name."""

_METHODS_BY_OUTPUT = tuple(METHODS)


def output_scale(values: Reals, bits: int, method: str) -> CodeScale:
    """Choose what the codes of the outputs stand for: they share one step and have no offset.

    Parameters
    ----------
    values : array ``(n_samples, n_out)``
    bits
        How many bits a code has.
    method
        A name of :data:`METHODS`.
    """
    half = 1 << (bits - 1)
    magnitude = np.maximum(values / (half - 0.5), -values / (half + 0.5)).max(axis=1)
    full = float(magnitude.max()) or 1.0
    zeros = np.zeros(values.shape[1])
    if method.startswith("percentile"):
        percent = PERCENTILES[0] if method.endswith("0.1") else PERCENTILES[-1]
        return CodeScale(bits, zeros + (float(np.percentile(magnitude, 100 - percent)) or full), zeros)
    if method == "range":
        return CodeScale(bits, zeros + full, zeros)
    found = [CodeScale(bits, zeros + share * full, zeros) for share in _SHARES]
    return min(found, key=lambda scale: float(_squared_error(scale, values).sum()))
