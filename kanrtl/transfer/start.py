"""From a trained network to a learner's first coefficients: so that it starts where training ended, and adapts.

A learner's edge is a spline on its own grid, in its own fixed point. Each edge of the network, base function and all,
is fitted by least squares to what the learner can be, position by position of its grid and with its quantised bases,
weighted by how often samples come there. A node's bias is shared among its edges, as the bases of an edge sum to one.
A linear path takes the slope that an edge has beyond the learner's grid, as one with pykan's base term b(x) = x has,
and the spline the rest.

The values of a hidden node are known to nobody but the layer behind: where they leave the learner's grid they are moved
into it, and scaled if they have to be, and the layer behind takes that into account. Inputs and outputs stay as they
are, so what does not fit there is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..arrays import Reals, check_finite, real_rows
from ..errors import InputError
from ..learner.arithmetic import LayerArithmetic
from ..learner.spec import LearnerSpec
from ..lookup.floats.float_kan import FloatKAN
from ..lookup.network import LookupNetwork
from ..numeric.fixed import Codes, Format, narrow
from .addressing import edge_values, grid_position
from .edge_fit import EdgeFit, find_outside_format, middle_activations, weigh_positions
from .trained_source import TrainedSource, open_source

TrainedNetwork = FloatKAN | LookupNetwork
"""What a learner can start from."""


SAMPLES = 4096
"""How many samples a network is fitted with, where none are given."""


@dataclass(frozen=True)
class FitError:
    """How far a learner is from the network it was started from.

    Attributes
    ----------
    max : float
        The largest error, in magnitude.
    rms : float
        The root of the mean square of the errors.
    """

    max: float
    rms: float

    @classmethod
    def of(cls, errors: Reals) -> FitError:
        """Measure errors of any shape."""
        return cls(float(np.abs(errors).max()), float(np.sqrt(np.mean(errors**2))))


@dataclass(frozen=True, eq=False)
class Start:
    """Where a learner starts.

    Attributes
    ----------
    spec : LearnerSpec
        The learner with its coefficients: connect to it, build it, or write it to a file.
    coefficients : list of arrays ``(n_out, n_in, bases)``, with w behind them where a layer is linear
        The same coefficients as codes, as :attr:`kanrtl.Session.coefficients` takes them.
    error : FitError
        How far the learner's predictions, in all its fixed point, are from the network's.
    layers : tuple of FitError
        How far every layer's nodes alone are, given the network's own values before it.
    samples : int
        How many samples all this was fitted and measured with.
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
    """Fit the coefficients that make a learner as near as it can be to a trained network.

    Parameters
    ----------
    source : FloatKAN or LookupNetwork
        The network: real-valued, for example from an importer, or made of tables, for example a frozen learner. Of
        tables the codes before the output stage are taken; a learner goes on where they saturate.
    spec : LearnerSpec
        The learner, which has the same ``layer_sizes``.
    x : array ``(n, n_in)``, optional
        Real inputs as they will come: the fit is best where they are. By default they are drawn evenly from the range
        that the network was made for.
    max_outside : float
        Which part of the inputs, and of the outputs, may lie where the learner clamps them and the network does not.

    Returns
    -------
    Start
        The learner with its coefficients, and how far it is from the network.

    Raises
    ------
    InputError
        If ``layer_sizes`` differ, more lies outside, or a coefficient leaves ``coefficient_format``.
    """
    if not isinstance(source, TrainedNetwork):
        raise InputError(f"network: is of type {type(source).__name__}; give a FloatKAN or a LookupNetwork")
    if spec.modulated:
        raise InputError(
            f"modulated = {spec.modulated!r}: a trained network has no products of two inputs; start a learner without"
        )
    network = open_source(source)
    if network.layer_sizes != spec.layer_sizes:
        raise InputError(
            f"layer_sizes = {list(spec.layer_sizes)}: the network has {list(network.layer_sizes)}; give the same"
        )
    if not isinstance(max_outside, (int, float, np.integer, np.floating)) or not 0 <= max_outside < 1:
        raise InputError(f"max_outside = {max_outside!r}: must be from 0 to below 1")
    samples = _choose_samples(network, spec, x, max_outside)
    return _fit_layers(network, spec, samples, max_outside)


def _choose_samples(network: TrainedSource, spec: LearnerSpec, x: npt.ArrayLike | None, max_outside: float) -> Reals:
    """Choose the inputs to fit with, of which no more than ``max_outside`` are outside the grid."""
    if x is not None:
        given = check_finite("x", real_rows("x", x, spec.n_in))
        if not len(given):
            raise InputError("x: no samples; give some, or leave it out")
        _check_inputs(network, spec, given, max_outside)
        return given
    random = np.random.default_rng(0)
    low, high = network.domain()
    _check_inputs(network, spec, random.uniform(low, high, (SAMPLES, spec.n_in)), max_outside)
    first, last = spec.per_layer("grid_range")[0]
    if spec.layers[0].periodic:
        return random.uniform(low, high, (SAMPLES, spec.n_in))
    if spec.layers[0].linear:
        x_format = spec.formats.input
        first, last = x_format.to_float([x_format.minimum, x_format.maximum])
    return random.uniform(np.clip(low, first, last), np.clip(high, first, last), (SAMPLES, spec.n_in))


def _check_inputs(network: TrainedSource, spec: LearnerSpec, x: Reals, max_outside: float) -> None:
    """Refuse inputs of which more than ``max_outside`` lie where the learner clamps them and the network does not."""
    grid = spec.per_layer("grid_range")[0]
    for source in range(spec.n_in):
        outside = _share_outside(network, spec, 0, source, x[:, source])
        if outside > max_outside:
            raise InputError(
                f"grid_range = {grid}: {100 * outside:.0f} % of input {source} lies outside, where the network "
                f"{'does not repeat itself' if spec.layers[0].periodic else 'is not constant'}: inputs go from "
                f"{x[:, source].min():.4g} to {x[:, source].max():.4g}; widen it, or give x"
            )


def _share_outside(network: TrainedSource, spec: LearnerSpec, index: int, source: int, values: Reals) -> float:
    """Give the share of the values before a layer that lie outside its grid, where its edges are not what they are at
    the grid's ends."""
    low, high = spec.per_layer("grid_range")[index]
    layer = spec.layers[index]
    x = layer.formats.input
    beyond = values[(values < low) | (values >= high)]
    if not len(beyond):
        return 0.0
    codes = x.to_float(x.quantise(beyond))
    # Between its codes a network of tables has steps; but what saturates is one value to the learner alone.
    beyond = np.where(x.is_beyond(x.nearest(beyond)), beyond, codes)

    def changes(taken: Reals) -> Reals:
        return network.edges(index, source, beyond) - network.edges(index, source, taken)

    if layer.periodic:  # a learner takes it to be within the grid, and the format
        taken = low + np.mod(beyond - low, high - low)
        taken = np.where(taken > x.to_float(x.maximum), beyond, taken)
        # There it is between codes, whose tables may tell it from the one that has its position.
        wrapped = x.quantise(beyond, layer.input_period)
        known = _include(network.limits(index, source), beyond)
        middle = x.to_float(_known_activations(layer, known)[grid_position(layer.locator, wrapped)])
        taken += _find_turns(layer, taken, known) * (high - low)
        change = np.minimum(*(np.abs(changes(each)) for each in (taken, middle)))
    else:
        ends = x.to_float(middle_activations(layer)[[0, -1]])  # where a learner takes what is beyond to be
        taken = np.clip(beyond, *ends)
        change = changes(taken)
        if layer.linear:
            limits = network.limits(index, source)
            slopes = _find_slopes(layer, lambda values: network.edges(index, source, values), limits)
            change -= slopes[:, None] * (codes - taken)
    return float((np.abs(change) > layer.formats.coefficient.lsb).any(axis=0).sum() / len(values))


def _include(limits: tuple[float, float], values: Reals) -> tuple[float, float]:
    """Widen limits so far that values are within them: an edge may be constant before it ends."""
    return min(limits[0], float(values.min())), max(limits[1], float(values.max()))


def _find_turns(layer: LayerArithmetic, x: Reals, limits: tuple[float, float]) -> Codes:
    """Find by how many periods of a grid activations ``(n,)`` are to be moved into the limits of what is known, as a
    network of tables ends where no activation comes; 0 where no period of one is within them."""
    period = layer.grid_max - layer.grid_min
    room = max(period / layer.locator.end, layer.formats.input.lsb) / 2  # as one stands for all at its position
    low, high = limits[0] - room, limits[1] + room
    turns = np.maximum(np.ceil((low - x) / period), 0) + np.minimum(np.floor((high - x) / period), 0)
    moved = x + turns * period
    return np.where((moved >= low) & (moved <= high), turns, 0).astype(np.int64)


def _known_activations(layer: LayerArithmetic, limits: tuple[float, float]) -> Codes:
    """Give an activation for each position of the grid, of a periodic one from a period within the limits."""
    codes = middle_activations(layer)
    if not layer.periodic:
        return codes
    return middle_activations(layer, _find_turns(layer, layer.formats.input.to_float(codes), limits))


@dataclass(frozen=True)
class _Affine:
    """How the values of the nodes of a layer are brought into a grid: ``scale * value + offset``."""

    scale: Reals
    offset: Reals

    def __call__(self, values: Reals) -> Reals:
        return values * self.scale + self.offset


def _map_into_grid(network: TrainedSource, spec: LearnerSpec, index: int, values: Reals, max_outside: float) -> _Affine:
    """Choose how the values before layer ``index``, ``(n, n_in)``, are brought into its grid."""
    low, high = spec.per_layer("grid_range")[index]
    high -= spec.layers[index].formats.input.lsb
    scale, offset = np.ones(values.shape[1]), np.zeros(values.shape[1])
    for source, column in enumerate(values.T):
        if _share_outside(network, spec, index, source, column) <= max_outside:
            continue
        first, last = float(column.min()), float(column.max())
        if last - first > high - low:
            scale[source] = (high - low) / (last - first)
        lowest, highest = (scale[source] * end for end in (first, last))
        offset[source] = low - lowest if lowest < low or scale[source] != 1 else high - highest
    return _Affine(scale, offset)


def _fit_layers(network: TrainedSource, spec: LearnerSpec, samples: Reals, max_outside: float) -> Start:
    """Fit one layer after another, each with the network's own values before it."""
    exact = network.evaluate(samples)
    _check_outputs(spec, exact[-1], max_outside)
    maps = [
        _Affine(np.ones(spec.n_in), np.zeros(spec.n_in)),
        *(_map_into_grid(network, spec, index, exact[index - 1], max_outside) for index in range(1, spec.n_layers)),
        _Affine(np.ones(spec.n_out), np.zeros(spec.n_out)),
    ]
    coefficients, errors = [], []
    taken = predictions = spec.formats.input.quantise(samples, spec.input_period)
    for index, layer in enumerate(spec.layers):
        codes = _fit_layer(network, spec, index, taken, maps[index], maps[index + 1])
        target = maps[index + 1](exact[index])
        # Of what is rounded down, the middle is half an LSB above; but an output counts as what it is.
        middle = _mean_loss(spec, layer.formats.output) if index + 1 < spec.n_layers else 0.0
        found = layer.formats.output.to_float(_evaluate_layer(layer, codes, taken, spec.rounding)) + middle
        errors.append(FitError.of(found - target))
        predictions = _evaluate_layer(layer, codes, predictions, spec.rounding)
        taken = layer.formats.output.quantise(target - middle)
        coefficients.append(codes)
    reals = [layer.formats.coefficient.to_float(codes) for layer, codes in zip(spec.layers, coefficients, strict=True)]
    return Start(
        spec=spec.replace(initial_coefficients=reals),
        coefficients=coefficients,
        error=FitError.of(spec.formats.output.to_float(predictions) - exact[-1]),
        layers=tuple(errors),
        samples=len(samples),
    )


def _mean_loss(spec: LearnerSpec, format: Format) -> float:
    """Give what a number loses, on average, where the learner rounds it to ``format``."""
    return format.lsb / 2 if spec.rounding == "floor" else 0.0


def _check_outputs(spec: LearnerSpec, outputs: Reals, max_outside: float) -> None:
    """Refuse outputs of which more than ``max_outside`` do not fit the learner's activations."""
    activation = spec.formats.output
    low, high = activation.to_float([activation.minimum, activation.maximum])
    outside = float(((outputs < low) | (outputs > high)).any(axis=1).mean())
    if outside > max_outside:
        field = "activation_format" if spec.activation_format and not spec.output_format else "output_format"
        raise InputError(
            f"{field} = {activation}: {100 * outside:.0f} % of the network's outputs do not fit: they go "
            f"from {outputs.min():.4g} to {outputs.max():.4g}; add integer bits"
        )


def _fit_layer(
    network: TrainedSource, spec: LearnerSpec, index: int, taken: Codes, before: _Affine, after: _Affine
) -> Codes:
    """Fit the codes ``(n_out, n_in, coefficients)`` of a layer, for activations ``(n, n_in)`` as they come."""
    layer = spec.layers[index]
    formats, format = layer.formats, layer.formats.coefficient
    output = index + 1 == spec.n_layers
    constant = (after(network.biases[index]) + (_mean_loss(spec, formats.output) if output else 0.0)) / layer.n_in
    lost = _mean_loss(spec, formats.input) if index else 0.0
    real = np.empty((layer.n_out, layer.n_in, layer.coefficients))
    for source in range(layer.n_in):

        def edges(x: Reals, source: int = source) -> Reals:
            values = (x - before.offset[source]) / before.scale[source]
            return network.edges(index, source, values) * after.scale[:, None]

        low, high = before.scale[source] * np.array(network.limits(index, source)) + before.offset[source]
        limits = float(low), float(high)
        known = _include(limits, formats.input.to_float(taken[:, source]))
        codes = formats.input.to_float(_known_activations(layer, known))
        target = edges(codes + lost) + constant[:, None]
        if layer.linear:
            # As it is rounded, so that the spline makes up for that.
            scale = 2.0**layer.linear.input_shift
            slopes = _find_slopes(layer, edges, limits)
            weight = formats.factor.to_float(formats.factor.quantise(slopes / scale))
            target -= weight[:, None] * scale * codes
            real[:, source, -1] = weight
        weights = weigh_positions(layer, taken[:, source])
        real[:, source, : layer.bases] = EdgeFit(layer, weights, target).coefficients()
    outside = find_outside_format(layer, real)
    if outside.any():
        node, source, _ = np.argwhere(outside)[0]
        raise InputError(
            f"coefficient_format = {format}: the edge from input {source} to node {node} of layer {index} takes "
            f"coefficients from {real[node, source].min():.4g} to {real[node, source].max():.4g}; add integer bits"
        )
    # The nearest factors; what is learned then begins in the middle of what gives them.
    guard = formats.guard_bits
    return (formats.factor.quantise(real) << guard) + (1 << guard >> 1)


_BEYOND = 17
"""At how many values beyond either end of a grid a slope is looked for."""

_LEAST = 8
"""How many codes there have to be beyond it for that."""


def _find_slopes(layer: LayerArithmetic, edges: Callable[[Reals], Reals], limits: tuple[float, float]) -> Reals:
    """Find the slope ``(n_out,)`` that edges, functions of activations ``(n,)``, have beyond the ends of the grid.

    It is looked for next to the grid, and then further out, as the splines of trained networks end some cells behind
    their grid; but only as far as the format of activations goes, and the ``limits`` beyond which edges are constant.
    It is 0 where an edge has no one slope there, or one that no coefficient can be.
    """
    assert layer.linear, "the layer has no linear paths"
    span, formats, scale = layer.grid_max - layer.grid_min, layer.formats, 2.0**layer.linear.input_shift
    slopes, found = np.zeros(layer.n_out), np.zeros(layer.n_out, dtype=bool)
    lowest, highest = formats.input.to_float([formats.input.minimum, formats.input.maximum])
    sides = [
        (border, way, room)
        for border, way, room in (
            (layer.grid_min, -1, layer.grid_min - max(lowest, limits[0])),
            (layer.grid_max, 1, min(highest, limits[1]) - layer.grid_max),
        )
        if room >= _LEAST * formats.input.lsb
    ]
    for part, reach in ((0.0, span), (0.8, 5 * span)) if sides else ():
        far = np.linspace(part, 1, _BEYOND)
        x = np.stack([border + way * min(reach, room) * far for border, way, room in sides])
        x = formats.input.to_float(np.rint(x / formats.input.lsb))
        values = np.stack([edges(side) for side in x], axis=1)
        run, rise = (each - each.mean(axis=-1, keepdims=True) for each in (x, values))
        slope = (rise * run).sum(axis=(1, 2)) / (run**2).sum()
        straight = np.abs(rise - slope[:, None, None] * run).max(axis=(1, 2)) <= formats.coefficient.lsb
        weight = formats.factor.quantise(slope / scale)
        held = (weight > formats.factor.minimum) & (weight < formats.factor.maximum)
        taken = straight & held & ~found
        slopes[taken] = slope[taken]
        found |= taken
    return slopes


def _evaluate_layer(layer: LayerArithmetic, coefficients: Codes, x: Codes, rounding: str) -> Codes:
    """Compute activations ``(n, n_out)`` for activations ``(n, n_in)``, as the learner does."""
    sums = np.zeros((len(x), layer.n_out), dtype=np.int64)
    for source in range(layer.n_in):
        sums += edge_values(layer, coefficients, source, x[:, source]).T
    result: Codes = narrow(sums, layer.node_sum.f, layer.formats.output, rounding).result
    return result
