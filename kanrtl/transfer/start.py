"""From a trained network to a learner's first coefficients: so that it starts where training ended, and adapts.

A learner's edge is a spline on its own grid, in its own fixed point. Each edge of the network, base function and all,
is fitted by least squares to what the learner can be, position by position of its grid and with its quantised bases,
weighted by how often samples come there. A node's bias is shared among its edges, as the bases of an edge sum to one.

The values of a hidden node are known to nobody but the layer behind: where they leave the learner's grid they are moved
into it, and scaled if they have to be, and the layer behind takes that into account. Inputs and outputs stay as they
are, so what does not fit there is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..arrays import real_rows
from ..errors import InputError
from ..learner.arithmetic import LayerArithmetic
from ..learner.spec import LearnerSpec
from ..lookup.floats.float_kan import FloatKAN
from ..lookup.network import LookupNetwork
from ..lookup.quantiser import FixedQuantiser
from ..numeric.fixed import Codes, narrow
from .freeze import edge_sums, position

__all__ = ["FitError", "Start", "to_learner"]

TrainedNetwork = FloatKAN | LookupNetwork
"""What a learner can start from."""

Reals = npt.NDArray[np.float64]

SAMPLES = 4096
"""That a network is fitted with where none are given."""

_EVEN = 0.02  # of all weight: spread evenly over where samples are, so that no gap between them is left open

_STIFF = 1e-7  # what coefficients that no sample reaches cost where they differ from their neighbours

_REACH = 2  # beyond an edge's range, in parts of it, that coefficients lie for no good reason

_WORSE, _MUCH_WORSE = 1.1, 3.0  # that an edge's error may become for coefficients nearer to that, or in their format


@dataclass(frozen=True)
class FitError:
    """How far a learner is from the network it was started from: the largest error, and the root of its mean square."""

    max: float
    rms: float

    @classmethod
    def of(cls, errors: Reals) -> FitError:
        return cls(float(np.abs(errors).max()), float(np.sqrt(np.mean(errors**2))))


@dataclass(frozen=True, eq=False)
class Start:
    """Where a learner starts.

    Attributes
    ----------
    spec : LearnerSpec
        With the coefficients in it: connect to it, build it, or write it to a file.
    coefficients : list of arrays ``(n_out, n_in, grid_size + spline_order)``
        The same as codes: what :attr:`kanrtl.Session.coefficients` takes.
    error : FitError
        Of the learner's predictions, in all its fixed point, against the network's.
    layers : tuple of FitError
        Of every layer's nodes alone, given the network's own values before it.
    samples : int
        With which all this was fitted and measured.
    """

    spec: LearnerSpec
    coefficients: list[Codes]
    error: FitError
    layers: tuple[FitError, ...]
    samples: int

    def __str__(self) -> str:
        layers = "; ".join(f"layer {index} {one.rms:.3g}, {one.max:.3g}" for index, one in enumerate(self.layers))
        return (
            f"learner {' x '.join(map(str, self.spec.layer_sizes))}: differs by {self.error.rms:.3g} RMS, "
            f"{self.error.max:.3g} at most, over {self.samples} samples ({layers})"
        )


def to_learner(
    source: TrainedNetwork,
    spec: LearnerSpec,
    x: npt.ArrayLike | None = None,
    *,
    max_outside: float = 0.01,
) -> Start:
    """The coefficients that make a learner as near as it can be to a trained network.

    Parameters
    ----------
    source
        Real-valued, from an importer; or of tables, for example a frozen learner. Of these the codes before the output
        stage are taken; a learner goes on where they saturate.
    spec
        The learner: of the same ``layer_sizes``.
    x
        Real inputs ``(n, n_in)`` as they will come: the fit is best where they are. By default drawn evenly from the
        range that the network was made for.
    max_outside
        The part of the inputs, and of the outputs, that may lie where the learner clamps them and the network does not.

    Raises
    ------
    InputError
        If ``layer_sizes`` differ, more lies outside, or a coefficient leaves ``coefficient_format``.
    """
    if not isinstance(source, TrainedNetwork):
        raise InputError(f"network: is of type {type(source).__name__}; give a FloatKAN or a LookupNetwork")
    network: _Network = _Tables(source) if isinstance(source, LookupNetwork) else _Floats(source)
    if network.layer_sizes != spec.layer_sizes:
        raise InputError(
            f"layer_sizes = {list(spec.layer_sizes)}: the network has {list(network.layer_sizes)}; give the same"
        )
    if not 0 <= max_outside < 1:
        raise InputError(f"max_outside = {max_outside!r}: must be from 0 to below 1")
    samples = _samples(network, spec, x, max_outside)
    return _fitted(network, spec, samples, max_outside)


class _Network(Protocol):
    """A trained network; its first layer takes real inputs."""

    layer_sizes: tuple[int, ...]
    biases: list[Reals]
    """Of every layer, ``(n_out,)``."""

    def edges(self, index: int, source: int, values: Reals) -> Reals:
        """What the edges from one input of a layer add to its nodes ``(n_out, n)``, at values ``(n,)``."""

    def evaluate(self, x: Reals) -> list[Reals]:
        """The values after every layer, each ``(n, n_out)``."""

    def domain(self) -> tuple[Reals, Reals]:
        """The lowest and highest inputs, ``(n_in,)``, that it was made for."""


class _Floats:
    """A network of real numbers."""

    def __init__(self, kan: FloatKAN) -> None:
        self.layer_sizes = kan.layer_sizes
        self._kan = kan
        self.biases: list[Reals] = [layer.bias for layer in kan.layers]

    def edges(self, index: int, source: int, values: Reals) -> Reals:
        layer = self._kan.layers[index]
        if index == 0:
            values = values * self._kan.input_scale[source] + self._kan.input_offset[source]
        return layer.edges[:, source, None] * layer.edge_values(source, values)

    def evaluate(self, x: Reals) -> list[Reals]:
        return self._kan.evaluate(x)

    def domain(self) -> tuple[Reals, Reals]:
        first, kan = self._kan.layers[0], self._kan
        scale = np.where(kan.input_scale == 0, np.inf, kan.input_scale)
        ends = [(first.knots[:, place] - kan.input_offset) / scale for place in (first.order, -first.order - 1)]
        return np.minimum(*ends), np.maximum(*ends)


class _Tables:
    """A network of tables as functions of real numbers: of those nearest to a code, they have the value of the code."""

    def __init__(self, network: LookupNetwork) -> None:
        self.layer_sizes = network.layer_sizes
        self._network = network
        self._entries = [layer.step / (1 << layer.guard_bits) for layer in network.layers]
        self.biases: list[Reals] = [
            layer.bias.astype(np.float64) * entry + layer.offset
            for layer, entry in zip(network.layers, self._entries, strict=True)
        ]

    def edges(self, index: int, source: int, values: Reals) -> Reals:
        layer = self._network.layers[index]
        half = 1 << (layer.bits_in - 1)
        if index == 0:
            x = np.zeros((len(values), layer.n_in))
            x[:, source] = values
            address = self._network.quantiser.codes(x)[:, source] + half
        else:
            before = self._network.layers[index - 1]
            nearest = np.floor((values - before.offset) / before.step + 0.5)
            address = np.clip(nearest, -half, half - 1).astype(np.int64) + half
        result = np.zeros((layer.n_out, len(values)))
        here = np.flatnonzero(layer.source == source)
        result[layer.node[here]] = layer.table[here][:, address] * self._entries[index]
        return result

    def evaluate(self, x: Reals) -> list[Reals]:
        codes, result = self._network.quantiser.codes(x), []
        for layer, entry in zip(self._network.layers, self._entries, strict=True):
            half = 1 << (layer.bits_out - 1)
            sums = np.clip(layer.sums(codes) * entry, -half * layer.step, (half - 1) * layer.step)
            result.append(sums + layer.offset)
            codes = layer.evaluate(codes)
        result[-1] = codes * layer.step + layer.offset
        return result

    def domain(self) -> tuple[Reals, Reals]:
        quantiser = self._network.quantiser
        half, unit = 1 << (quantiser.bits - 1), 1.0
        if isinstance(quantiser, FixedQuantiser):
            half, unit = half << quantiser.shift, quantiser.format.lsb
        scale = np.where(quantiser.scale == 0, np.inf, quantiser.scale)
        ends = [(end - quantiser.offset) / scale * unit for end in (-half, half)]
        low, high = np.minimum(*ends), np.maximum(*ends)
        if isinstance(quantiser, FixedQuantiser):
            low, high = (quantiser.format.to_float(quantiser.format.quantise(end)) for end in (low, high))
        return low, high


def _samples(network: _Network, spec: LearnerSpec, x: npt.ArrayLike | None, max_outside: float) -> Reals:
    """Inputs, of which no more than ``max_outside`` are outside the grid."""
    if x is not None:
        given = real_rows("x", x, spec.n_in)
        if not len(given):
            raise InputError("x: no samples; give some, or leave it out")
        _check_inputs(network, spec, given, max_outside)
        return given
    random = np.random.default_rng(0)
    low, high = network.domain()
    _check_inputs(network, spec, random.uniform(low, high, (SAMPLES, spec.n_in)), max_outside)
    first, last = spec.per_layer("grid_range")[0]
    return random.uniform(np.clip(low, first, last), np.clip(high, first, last), (SAMPLES, spec.n_in))


def _check_inputs(network: _Network, spec: LearnerSpec, x: Reals, max_outside: float) -> None:
    grid = spec.per_layer("grid_range")[0]
    for source in range(spec.n_in):
        outside = _outside(network, spec, 0, source, x[:, source])
        if outside > max_outside:
            raise InputError(
                f"grid_range = {grid}: {100 * outside:.0f} % of input {source} lies outside, where the network is not "
                f"constant: inputs go from {x[:, source].min():.4g} to {x[:, source].max():.4g}; widen it, or give x"
            )


def _outside(network: _Network, spec: LearnerSpec, index: int, source: int, values: Reals) -> float:
    """The part of the values before a layer that lies outside its grid, where its edges are not what they are at the
    grid's ends."""
    low, high = spec.per_layer("grid_range")[index]
    lsb = spec.formats.activation.lsb
    beyond = values[(values < low) | (values >= high)]
    if not len(beyond):
        return 0.0
    ends = _middles(spec.layers[index])[[0, -1]] * lsb  # where a learner takes what is beyond to be
    changes = network.edges(index, source, beyond) - network.edges(index, source, np.clip(beyond, *ends))
    return float((np.abs(changes) > spec.formats.coefficient.lsb).any(axis=0).sum() / len(values))


@dataclass(frozen=True)
class _Affine:
    """How the values of the nodes of a layer are brought into a grid: ``scale * value + offset``."""

    scale: Reals
    offset: Reals

    def __call__(self, values: Reals) -> Reals:
        return values * self.scale + self.offset


def _into_grid(network: _Network, spec: LearnerSpec, index: int, values: Reals, max_outside: float) -> _Affine:
    """For the values before layer ``index``, ``(n, n_in)``."""
    low, high = spec.per_layer("grid_range")[index]
    high -= spec.formats.activation.lsb
    scale, offset = np.ones(values.shape[1]), np.zeros(values.shape[1])
    for source, column in enumerate(values.T):
        if _outside(network, spec, index, source, column) <= max_outside:
            continue
        first, last = float(column.min()), float(column.max())
        if last - first > high - low:
            scale[source] = (high - low) / (last - first)
        lowest, highest = (scale[source] * end for end in (first, last))
        offset[source] = low - lowest if lowest < low or scale[source] != 1 else high - highest
    return _Affine(scale, offset)


def _fitted(network: _Network, spec: LearnerSpec, samples: Reals, max_outside: float) -> Start:
    exact = network.evaluate(samples)
    _check_outputs(spec, exact[-1], max_outside)
    maps = [
        _Affine(np.ones(spec.n_in), np.zeros(spec.n_in)),
        *(_into_grid(network, spec, index, exact[index - 1], max_outside) for index in range(1, spec.n_layers)),
        _Affine(np.ones(spec.n_out), np.zeros(spec.n_out)),
    ]
    activation = spec.formats.activation
    coefficients, errors = [], []
    taken = predictions = activation.quantise(samples)
    for index, layer in enumerate(spec.layers):
        codes = _fit_layer(network, spec, index, taken, maps[index], maps[index + 1])
        target = maps[index + 1](exact[index])
        # Of what is rounded down, the middle is half an LSB above; but an output counts as what it is.
        middle = _lost(spec) if index + 1 < spec.n_layers else 0.0
        found = activation.to_float(_outputs(layer, codes, taken, spec.rounding)) + middle
        errors.append(FitError.of(found - target))
        predictions = _outputs(layer, codes, predictions, spec.rounding)
        taken = activation.quantise(target - middle)
        coefficients.append(codes)
    reals = [spec.formats.coefficient.to_float(codes) for codes in coefficients]
    return Start(
        spec=spec.replace(initial_coefficients=reals),
        coefficients=coefficients,
        error=FitError.of(activation.to_float(predictions) - exact[-1]),
        layers=tuple(errors),
        samples=len(samples),
    )


def _lost(spec: LearnerSpec) -> float:
    """What a number loses, on average, where the learner rounds it."""
    return spec.formats.activation.lsb / 2 if spec.rounding == "floor" else 0.0


def _check_outputs(spec: LearnerSpec, outputs: Reals, max_outside: float) -> None:
    activation = spec.formats.activation
    low, high = activation.to_float([activation.minimum, activation.maximum])
    outside = float(((outputs < low) | (outputs > high)).any(axis=1).mean())
    if outside > max_outside:
        raise InputError(
            f"activation_format = {activation}: {100 * outside:.0f} % of the network's outputs do not fit: they go "
            f"from {outputs.min():.4g} to {outputs.max():.4g}; add integer bits"
        )


def _fit_layer(
    network: _Network, spec: LearnerSpec, index: int, taken: Codes, before: _Affine, after: _Affine
) -> Codes:
    """Codes ``(n_out, n_in, bases)``, for activations ``(n, n_in)`` as they come."""
    layer, format = spec.layers[index], spec.formats.coefficient
    output = index + 1 == spec.n_layers
    constant = (after(network.biases[index]) + (_lost(spec) if output else 0.0)) / layer.n_in
    middle = _middles(layer) * layer.formats.activation.lsb + (_lost(spec) if index else 0.0)
    real = np.empty((layer.n_out, layer.n_in, layer.bases))
    for source in range(layer.n_in):
        values = (middle - before.offset[source]) / before.scale[source]
        target = network.edges(index, source, values) * after.scale[:, None] + constant[:, None]
        weights = _weights(layer, taken[:, source])
        real[:, source] = _Fit(layer, weights, target).coefficients()
    outside = _outside_format(layer, real)
    if outside.any():
        node, source, _ = np.argwhere(outside)[0]
        raise InputError(
            f"coefficient_format = {format}: the edge from input {source} to node {node} of layer {index} takes "
            f"coefficients from {real[node, source].min():.4g} to {real[node, source].max():.4g}; add integer bits"
        )
    return format.quantise(real)


def _outside_format(layer: LayerArithmetic, real: Reals) -> npt.NDArray[np.bool_]:
    """Which coefficients their format does not hold."""
    format = layer.formats.coefficient
    nearest = np.rint(real / format.lsb)
    return (nearest < format.minimum) | (nearest > format.maximum)


def _middles(layer: LayerArithmetic) -> Codes:
    """An activation at each position; where there is none, one next to it."""
    locator = layer.locator
    borders = -((locator.offset - (np.arange(locator.end + 1) << locator.shift)) // locator.scale)
    result: Codes = (borders[:-1] + np.maximum(borders[1:] - 1, borders[:-1])) // 2
    return result


def _weights(layer: LayerArithmetic, taken: Codes) -> Reals:
    """How much each position counts."""
    place = position(layer.locator, taken)
    counts = np.bincount(place, minlength=layer.locator.end).astype(np.float64)
    within = np.zeros(len(counts))
    within[place.min() : place.max() + 1] = 1
    result: Reals = counts / counts.sum() + _EVEN * within / within.sum()
    return result


class _Fit:
    """Coefficients whose edges are nearest to ``target``, ``(n_out, positions)``, with ``weights`` by position.

    Where no sample comes they stay as they are at the last where one does (P-splines, Eilers and Marx 1996, of first
    differences). Matrices are kept as their bands: that below the diagonal by so many rows as its number says.
    """

    def __init__(self, layer: LayerArithmetic, weights: Reals, target: Reals) -> None:
        self._layer = layer
        cells = (layer.grid_size, layer.table_size)
        self._weights, self._target = weights.reshape(cells), target.reshape(-1, *cells)
        self._basis = layer.formats.basis.to_float(layer.basis_table)
        self._windows = np.arange(layer.grid_size)[:, None] + np.arange(layer.window)
        self._normal = np.zeros((layer.window, layer.bases))
        blocks = np.einsum("kr,rj,ri->kji", self._weights, self._basis, self._basis)
        for first in range(layer.window):
            for last in range(first, layer.window):
                np.add.at(self._normal[last - first], self._windows[:, first], blocks[:, last, first])
        self._moments = np.zeros((layer.bases, layer.n_out))
        moments = np.einsum("kr,rj,okr->kjo", self._weights, self._basis, self._target)
        np.add.at(self._moments, self._windows, moments)
        self._rough = np.zeros_like(self._normal)
        self._rough[0], self._rough[1] = 2 + 1e-6, -1
        self._rough[0, [0, -1]] -= 1
        self._rough *= self._normal[0].max()

    def coefficients(self) -> Reals:
        """Shape ``(n_out, bases)``."""
        best = self._solved(_STIFF)
        error = self._error(best)
        seen = self._target[:, self._weights > 0]
        room = _REACH * np.ptp(seen, axis=1)
        lowest, highest = (seen.min(axis=1) - room)[:, None], (seen.max(axis=1) + room)[:, None]
        unfit = _outside_format(self._layer, best).any(axis=1)
        allowed = np.maximum(np.where(unfit, _MUCH_WORSE, _WORSE) * error, self._layer.formats.activation.lsb / 4)
        # A basis that samples touch only at its very end can take any coefficient to fit a few of them.
        for stiff in _STIFF * 10.0 ** np.arange(1, 7):
            wild = ((best < lowest) | (best > highest)).any(axis=1)
            tamed = self._solved(float(stiff))
            taken = wild & (self._error(tamed) < allowed)
            if not taken.any():
                break
            best[taken] = tamed[taken]
        # What the format cannot hold may not matter either.
        format = self._layer.formats.coefficient
        clipped = np.clip(best, *format.to_float([format.minimum, format.maximum]))
        taken = self._error(clipped) < allowed
        best[taken] = clipped[taken]
        return best

    def _solved(self, stiff: float) -> Reals:
        from scipy.linalg import solveh_banded  # only here: it takes long to import

        result: Reals = solveh_banded(self._normal + stiff * self._rough, self._moments, lower=True).T
        return result

    def _error(self, coefficients: Reals) -> Reals:
        """The root of the weighted mean square error of every edge, ``(n_out,)``."""
        errors = np.einsum("okj,rj->okr", coefficients[:, self._windows], self._basis) - self._target
        result: Reals = np.sqrt(np.einsum("okr,kr->o", errors**2, self._weights))
        return result


def _outputs(layer: LayerArithmetic, coefficients: Codes, x: Codes, rounding: str) -> Codes:
    """Activations ``(n, n_out)`` for activations ``(n, n_in)``, as the learner computes them."""
    places = position(layer.locator, x)
    sums = np.zeros((len(x), layer.n_out), dtype=np.int64)
    for source in range(layer.n_in):
        sums += edge_sums(layer, coefficients, source)[:, places[:, source]].T
    result: Codes = narrow(sums, layer.node_sum.f, layer.formats.activation, rounding).result
    return result
