"""What codes stand for, chosen by data: the step and the offset of every input and node, for given bits.

Post-training quantisation as usual (Nagel et al., A White Paper on Neural Network Quantization, arXiv 2106.08295), but
that every input and every hidden node has a step and an offset of its own, which tables take in at no cost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..network import LookupNetwork, bits_of
from ..scales import CodeScale
from .float_network import FloatNetwork

__all__ = ["GUARD_BITS", "METHODS", "Calibration", "calibrate", "input_scale", "output_scale", "rows_of", "variance_of"]

Reals = npt.NDArray[np.float64]

PERCENTILES = (0.1, 1.0)
"""Of the values, how many percent may saturate at either end."""

GUARD_BITS = 2
"""Of hidden layers, where none are given."""

_ROUNDS = 30

_SHARES = np.linspace(0.1, 1.0, 46)
"""Of the range of the outputs that are tried."""


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the codes of the inputs and of every layer's nodes stand for.

    Attributes
    ----------
    scales : tuple of CodeScale
        Of the inputs, then of every layer's nodes.
    methods : tuple of str
        How each was found.
    error : float
        Mean squared difference of the outputs, in real numbers, to those without codes, over their variance. Tables are
        not rounded here.
    """

    scales: tuple[CodeScale, ...]
    methods: tuple[str, ...]
    error: float

    @property
    def bits(self) -> tuple[int, ...]:
        return tuple(scale.bits for scale in self.scales)

    @property
    def steps(self) -> tuple[Reals, ...]:
        return tuple(scale.step for scale in self.scales)

    @property
    def offsets(self) -> tuple[Reals, ...]:
        return tuple(scale.offset for scale in self.scales)

    def quantise(self, kan: FloatNetwork, guard_bits: Sequence[int] | None = None, **options: Any) -> LookupNetwork:
        """The tables of ``kan``.

        Without ``guard_bits`` those of hidden layers have two, as the roundings of many edges add up, and those of the
        last layer none; ``options`` are ``output`` and ``thresholds`` of :meth:`FloatNetwork.quantise`.
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
    """Steps and offsets for ``bits`` of the inputs and of every layer's nodes.

    Parameters
    ----------
    x
        Samples ``(n, n_in)`` such as the network will see; some hundred are enough.
    method
        ``range``: all of the samples' values have a code. ``percentile``: all but one percent at either end.
        ``least_squares``: the values' mean squared error is least. ``output``: whichever of these, and of 0.1 percent,
        changes the network's outputs least, taken layer by layer from the inputs on.
    inputs
        That of the inputs, where it is known already.
    """
    rows = rows_of("x", x, kan.layer_sizes[0])
    count = len(kan.layers)
    if len(bits) != count + 1:
        raise InputError(f"bits: {len(bits)} values; give {count + 1}, for the inputs and for every layer")
    checked = [bits_of(f"bits[{index}]", width) for index, width in enumerate(bits)]
    names = _METHODS_BY_OUTPUT if method == "output" else (method,)
    if not set(names) <= set(METHODS):
        raise InputError(f"method = {method!r}: must be one of 'output', {', '.join(map(repr, METHODS))}")
    exact = kan.evaluate(rows)[-1]
    variance = variance_of(exact)

    def error(place: int, values: Reals) -> float:
        outputs = kan.evaluate_from(place, values)[-1] if place < count else values
        return float(((outputs - exact) ** 2).mean(axis=0).sum()) / variance

    values = kan.scaled(rows)
    scales: list[CodeScale] = []
    chosen: list[str] = []
    for place, width in enumerate(checked):
        if place == 0 and inputs is not None:
            found = {"given": inputs}
        else:
            find = output_scale if place == count else input_scale
            found = {name: find(values, width, name) for name in names}
        best = (
            min(found, key=lambda name: error(place, found[name].rounded(values)))
            if len(found) > 1
            else next(iter(found))
        )
        scales.append(found[best])
        chosen.append(best)
        values = found[best].rounded(values)
        least = error(place, values)
        if place < count:
            values = kan.layers[place].evaluate(values)
    return Calibration(tuple(scales), tuple(chosen), least)


def variance_of(outputs: Reals) -> float:
    """Of the outputs ``(n, n_out)`` together; not zero."""
    return float(outputs.var(axis=0).sum()) or 1.0


def rows_of(field: str, values: npt.ArrayLike, columns: int) -> Reals:
    """``values`` as finite rows ``(n, columns)``; raises :exc:`kanrtl.InputError` if they are not."""
    try:
        rows = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{field}: not an array of numbers; give shape (n, {columns})") from None
    if rows.ndim != 2 or rows.shape[1] != columns or not len(rows):
        raise InputError(f"{field}: shape {rows.shape}; must be (n, {columns}), with one sample or more")
    if not np.isfinite(rows).all():
        place = np.argwhere(~np.isfinite(rows))[0]
        raise InputError(f"{field}[{place[0]}, {place[1]}] = {rows[tuple(place)]}: give a finite number")
    return rows


# Ways to choose.


def input_scale(values: Reals, bits: int, method: str) -> CodeScale:
    """Of values ``(n, places)``, for each place its own: evenly spaced levels from the lowest code to the highest."""
    return METHODS[method](values, bits)


def _between(low: Reals, high: Reals, bits: int) -> CodeScale:
    """The lowest code at ``low``, the highest at ``high``."""
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
    """Codes for given levels and the levels that fit these codes best, in turn (Lloyd), from several beginnings."""
    best = _range(values, bits)
    least = _squared(best, values)
    for scale in (best, *(_percentile(values, bits, percent) for percent in (*PERCENTILES, 5.0, 15.0))):
        for _ in range(_ROUNDS):
            scale = _refitted(scale, values)
        found = _squared(scale, values)
        better = found < least
        least = np.where(better, found, least)
        best = CodeScale(bits, np.where(better, scale.step, best.step), np.where(better, scale.offset, best.offset))
    return best


def _squared(scale: CodeScale, values: Reals) -> Reals:
    result: Reals = ((scale.rounded(values) - values) ** 2).mean(axis=0)
    return result


def _refitted(scale: CodeScale, values: Reals) -> CodeScale:
    """The levels that fit the codes of ``scale`` best: a line through values over codes."""
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
"""How to choose steps and offsets, by name."""

_METHODS_BY_OUTPUT = tuple(METHODS)


def output_scale(values: Reals, bits: int, method: str) -> CodeScale:
    """Of the outputs ``(n, n_out)``, which share one step and have no offset."""
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
    return min(found, key=lambda scale: float(_squared(scale, values).sum()))
