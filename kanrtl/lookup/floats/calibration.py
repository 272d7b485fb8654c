"""What codes stand for, chosen by data: the step and the offset of every input and node, for given bits.

This is post-training quantisation as usual (Nagel et al., A White Paper on Neural Network Quantization, arXiv
2106.08295), except that every input and every node has a step and an offset of its own, which tables take in at no
cost. Outputs that are compared with each other have one of both in common.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ...arrays import Reals, as_array
from ...errors import InputError
from ..network import LookupNetwork
from ..number_checks import CODES, check_each_bits
from ..scales import CodeScale, check_scales
from .edge_spans import EdgeSpans
from .float_network import FloatNetwork

PERCENTILES = (0.1, 1.0)
"""How many percent of the values may saturate at either end."""

GUARD_BITS = 2
"""How many guard bits hidden layers have where none are given."""

_ROUNDS = 30

_NOISE = 1e-12  # of what edges add up, by which sums of floats differ that should be the same

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
    argmax_outputs, threshold_outputs : CodeScale
        What the outputs' codes stand for instead where the output stage compares them: with each other, where they have
        a common step and offset, or with zero, where they have no offset.
    """

    scales: tuple[CodeScale, ...]
    methods: tuple[str, ...]
    error: float
    # Pickles of a time when outputs had no offset lack them: then the scales serve all output stages.
    argmax_outputs: CodeScale | None = None
    threshold_outputs: CodeScale | None = None

    def scales_for(self, output: str) -> tuple[CodeScale, ...]:
        """Give the scales for a network with the output stage ``output``."""
        last = {"argmax": self.argmax_outputs, "threshold": self.threshold_outputs}.get(output)
        return self.scales if last is None else (*self.scales[:-1], last)

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

    def quantise(
        self, kan: FloatNetwork, guard_bits: int | Sequence[int] | None = None, **options: Any
    ) -> LookupNetwork:
        """Make the tables of ``kan``, whose codes these are.

        Parameters
        ----------
        kan : FloatNetwork
            The network that was calibrated.
        guard_bits
            One number for each layer; :func:`default_guard_bits` where they are left out.
        options
            ``output`` and ``thresholds`` of :meth:`FloatNetwork.quantise`. Outputs whose codes are compared have one
            step and one offset; else each has its own.
        """
        check_scales(self.scales, kan.layer_sizes)
        if guard_bits is None:
            guard_bits = default_guard_bits(len(self.scales) - 1)
        scales = self.scales_for(options.get("output", "raw"))
        return kan.quantise(
            self.bits,
            [scale.step for scale in scales],
            offsets=[scale.offset for scale in scales],
            guard_bits=guard_bits,
            saturate=False,
            **options,
        )


def default_guard_bits(layers: int) -> list[int]:
    """Give the guard bits of every layer: two in hidden layers, as the roundings of many edges add up, and none in the
    last."""
    return [*[GUARD_BITS] * (layers - 1), 0]


def calibrate(
    kan: FloatNetwork,
    x: npt.ArrayLike,
    bits: int | Sequence[int],
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
        How many bits the codes of the inputs have, then those of every layer's nodes; or one number for all.
    method
        ``range``: all of the samples' values have a code. ``percentile``: all except one percent at either end.
        ``least_squares``: the values' mean squared error is least. ``output``: whichever of these, of 0.1 percent, and
        of the range in which edges change by more than an LSB (``saturation``) changes the network's outputs least,
        taken layer by layer from the inputs on. Values that no edge tells apart, such as those below zero where only
        a ReLU follows, have no codes of their own.
    inputs : CodeScale, optional
        What the codes of the inputs stand for, where that is known already.

    Raises
    ------
    InputError
        If the samples, the bits or the method are refused.
    """
    rows = rows_of("x", x, kan.layer_sizes[0])
    count = len(kan.layers)
    checked = check_each_bits("bits", bits, count + 1, CODES)
    names = _METHODS_BY_OUTPUT if method == "output" else (method,)
    if not set(names) <= set(METHODS):
        raise InputError(f"method = {method!r}: must be one of 'output', {', '.join(map(repr, METHODS))}")
    floats = [kan.scale_inputs(rows), *finite_layers(kan, rows)]
    exact = floats[-1]
    variance = variance_of(exact)

    def error(depth: int, values: Reals) -> float:
        """Measure the error of the outputs where layer ``depth`` takes ``values``."""
        outputs = kan.evaluate_from(depth, values)[-1] if depth < count else values
        return float(((outputs - exact) ** 2).mean(axis=0).sum()) / variance

    values = floats[0]
    reach = np.zeros(values.shape[1])
    scales: list[CodeScale] = []
    chosen: list[str] = []
    for depth, width in enumerate(checked):
        steady = _Steady.of(floats[depth], values, reach)
        found = {"given": inputs} if depth == 0 and inputs is not None else {}
        if depth < count:
            layer = kan.layers[depth]
            spans = EdgeSpans.of(layer, steady.values)
            reach = spans.reach
            if not found:
                held = spans.hold(steady.values)
                found = {name: steady.scale(input_scale(held, width, name)) for name in names}
                if method == "output":
                    loose = EdgeSpans.of(layer, steady.values, 2.0**-width).hold(steady.values)
                    found["saturation"] = steady.scale(input_scale(loose, width, "range"))
        else:
            found = {name: steady.scale(input_scale(steady.values, width, name)) for name in names}
        best = (
            min(found, key=lambda name: error(depth, found[name].round(values)))
            if len(found) > 1
            else next(iter(found))
        )
        scales.append(found[best])
        chosen.append(best)
        exact_values, values = values, found[best].round(values)
        least = error(depth, values)
        if depth < count:
            values = kan.layers[depth].evaluate(values)
    compared = [
        min(
            (compared_scale(exact_values, checked[-1], name, stage) for name in names),
            key=lambda scale: float(_squared_error(scale, exact_values).sum()),
        )
        for stage in ("argmax", "threshold")
    ]
    return Calibration(tuple(scales), tuple(chosen), least, *compared)


@dataclass(frozen=True, eq=False)
class _Steady:
    """Values of nodes, of which some are the same for all samples, whatever the edges do.

    Attributes
    ----------
    values : array ``(n, nodes)``
        The values, without the floats' noise where they are the same.
    same : array of booleans ``(nodes,)``
        Where they are.
    reach : array ``(nodes,)``
        How far one edge moves the node.
    """

    values: Reals
    same: npt.NDArray[np.bool_]
    reach: Reals

    @classmethod
    def of(cls, exact: Reals, values: Reals, reach: Reals) -> Self:
        """Find them by the values without codes; ``values`` have those of the layers before."""
        same = np.ptp(exact, axis=0) <= _NOISE * np.maximum(reach, np.abs(exact).max(axis=0))
        return cls(np.where(same, exact.mean(axis=0), values), same, reach)

    def scale(self, found: CodeScale) -> CodeScale:
        """Give what codes stand for: where values are the same, code 0 for them, and steps as fine as edges need."""
        middle = self.values[0]
        coarse = np.where(self.reach > 0, self.reach, np.abs(middle)) / (1 << (found.bits - 1))
        step = np.where(self.same, np.where(coarse > 0, coarse, 1.0), found.step)
        return CodeScale(found.bits, step, np.where(self.same, middle, found.offset))


def finite_layers(kan: FloatNetwork, rows: Reals) -> list[Reals]:
    """Evaluate all layers, and refuse what is not a number."""
    layers = kan.evaluate(rows)
    for index, values in enumerate(layers):
        if not np.isfinite(values).all():
            sample, node = np.argwhere(~np.isfinite(values))[0]
            raise InputError(f"x[{sample}]: node {node} of layer {index} gives {values[sample, node]}; leave it out")
    return layers


def variance_of(outputs: Reals, weights: Reals | None = None) -> float:
    """Give the variance of the outputs ``(n, n_out)`` together, of samples with ``weights`` ``(n,)``, or one where they
    do not vary."""
    if weights is None:
        return float(outputs.var(axis=0).sum()) or 1.0
    middle = np.average(outputs, axis=0, weights=weights)
    return float(np.average((outputs - middle) ** 2, axis=0, weights=weights).sum()) or 1.0


def rows_of(field: str, values: npt.ArrayLike, columns: int) -> Reals:
    """Check that ``values`` are rows ``(n, columns)`` of finite numbers, one or more.

    Raises
    ------
    InputError
        If they are not, by the name ``field``.
    """
    rows = as_array(field, values, f"shape (n, {columns})").astype(np.float64)
    if rows.ndim != 2 or rows.shape[1] != columns or not len(rows):
        raise InputError(f"{field}: shape {rows.shape}; must be (n, {columns}), with one sample or more")
    if not np.isfinite(rows).all():
        index = np.argwhere(~np.isfinite(rows))[0]
        raise InputError(f"{field}[{index[0]}, {index[1]}] = {rows[tuple(index)]}: give a finite number")
    return rows


# Methods to choose scales.

NO_SPREAD = 1e-290
"""What lies no further apart is taken to be the same: parts of it, as steps are, have no exact reciprocal any more."""


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
    step = np.where(high - low > NO_SPREAD, (high - low) / ((1 << bits) - 1), 1.0)
    return CodeScale(bits, step, low + step * (1 << (bits - 1)))


def _range(values: Reals, bits: int) -> CodeScale:
    return _between(values.min(axis=0), values.max(axis=0), bits)


def _percentile(values: Reals, bits: int, percent: float = PERCENTILES[-1]) -> CodeScale:
    low, high = np.percentile(values, [percent, 100 - percent], axis=0)
    # Where nearly all values are the same, there is nothing between percentiles.
    empty = high - low <= NO_SPREAD
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
    good = slope > NO_SPREAD
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


def compared_scale(values: Reals, bits: int, method: str, output: str) -> CodeScale:
    """Choose what the codes of outputs stand for that are compared: they share one step and one offset.

    Parameters
    ----------
    values : array ``(n_samples, n_out)``
    bits
        How many bits a code has.
    method
        A name of :data:`METHODS`.
    output
        ``argmax``, or ``threshold``, where the offset is zero.
    """
    ones = np.ones(values.shape[1])
    if output == "argmax":
        scale = METHODS[method](values.reshape(-1, 1), bits)
        return CodeScale(bits, scale.step * ones, scale.offset * ones)
    half = 1 << (bits - 1)
    magnitude = np.maximum(values / (half - 0.5), -values / (half + 0.5)).max(axis=1)
    full = float(magnitude.max()) if magnitude.max() > NO_SPREAD else 1.0
    if method.startswith("percentile"):
        percent = PERCENTILES[0] if method.endswith("0.1") else PERCENTILES[-1]
        found = float(np.percentile(magnitude, 100 - percent))
        return CodeScale(bits, ones * (found if found > NO_SPREAD else full), 0 * ones)
    if method == "range":
        return CodeScale(bits, ones * full, 0 * ones)
    scales = [CodeScale(bits, ones * share * full, 0 * ones) for share in _SHARES]
    return min(scales, key=lambda scale: float(_squared_error(scale, values).sum()))
