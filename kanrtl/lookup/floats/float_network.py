"""A trained KAN as real numbers, whichever program trained it, and the tables made from it.

All importers lead here, and all tables come from here. An edge is, as in efficient-kan and pykan::

    phi(x) = base_weight * base(x) + sum_m coefficient_m * B_m(x)

with Cox-de Boor bases ``B_m`` of order ``k`` on a vector of knots, half open in every cell. Outside the knots no
basis is left, and x is not clamped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..network import LookupNetwork
from ..number_checks import check_bits, check_positive
from ..quantiser import Quantiser
from ..saved_network import Arrays, SavedNetwork
from ..scales import CodeScale

__all__ = ["BASES", "BASE_SLOPES", "FloatLayer", "FloatNetwork", "Kan", "bases", "slopes"]

Reals = npt.NDArray[np.float64]

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _silu(x: Reals) -> Reals:
    # Of the two forms the one that does not overflow.
    decay = np.exp(-np.abs(x))
    result: Reals = x * np.where(x >= 0, 1, decay) / (1 + decay)
    return result


BASES: dict[str, Callable[[Reals], Reals]] = {
    "silu": _silu,
    "gelu": lambda x: x * 0.5 * (1 + _erf(x / math.sqrt(2))),
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "identity": lambda x: x,
    "zero": np.zeros_like,
}
"""The functions that stand beside the splines, by name. ``gelu`` is the exact one."""


def _silu_slope(x: Reals) -> Reals:
    share = 0.5 * (1 + np.tanh(0.5 * x))
    return share * (1 + x * (1 - share))


BASE_SLOPES: dict[str, Callable[[Reals], Reals]] = {
    "silu": _silu_slope,
    "gelu": lambda x: 0.5 * (1 + _erf(x / math.sqrt(2))) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi),
    "relu": lambda x: (x > 0).astype(np.float64),
    "tanh": lambda x: 1 - np.tanh(x) ** 2,
    "identity": np.ones_like,
    "zero": np.zeros_like,
}
"""The derivatives of :data:`BASES`."""


def bases(x: Reals, knots: Reals, order: int) -> Reals:
    """Evaluate B-splines of ``order``.

    Parameters
    ----------
    x : array ``(...)``
        The points.
    knots : array ``(knots,)`` or ``(n, knots)``
        The knots in ascending order. Where there are several rows, each is for one index of the points' last axis.
    order : int
        0 for steps, 1 for lines, and so on.

    Returns
    -------
    array ``(..., knots - order - 1)``
    """
    x = x[..., None]
    values = ((x >= knots[..., :-1]) & (x < knots[..., 1:])).astype(np.float64)
    for degree in range(1, order + 1):
        first, last = knots[..., : -(degree + 1)], knots[..., degree + 1 :]
        left = (x - first) / (knots[..., degree:-1] - first)
        right = (last - x) / (last - knots[..., 1:-degree])
        values = left * values[..., :-1] + right * values[..., 1:]
    return values


def slopes(x: Reals, knots: Reals, order: int) -> Reals:
    """Evaluate the derivatives of :func:`bases`, in the same shape (de Boor, A Practical Guide to Splines, chapter X).

    The parameters are the same.
    """
    if order == 0:
        return np.zeros((*x.shape, knots.shape[-1] - 1))
    lower = order * bases(x, knots, order - 1) / (knots[..., order:] - knots[..., :-order])
    return -np.diff(lower, axis=-1)


_EVALUATED = 1 << 15  # bases in memory at a time

_LARGEST_ENTRY = (1 << 31) - 1  # that a table may have, whatever its node holds


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """One layer of real-valued edges.

    Attributes
    ----------
    knots : array ``(n_in, cells + 2 * order + 1)``
        The knots in ascending order, one row for each input.
    coefficients : array ``(n_out, n_in, cells + order)``
        What each basis is multiplied by; the edges' scales are in them.
    base_weights : array ``(n_out, n_in)``
        What the base function of each edge is multiplied by.
    base : str
        The name of the base function, one of :data:`BASES`.
    order : int
        The order of the splines, 0 to 10 and beyond.
    edges : array of booleans ``(n_out, n_in)``
        Which edges there are; the others were pruned.
    bias : array ``(n_out,)``
        What is added to every node.
    """

    knots: Reals
    coefficients: Reals
    base_weights: Reals
    base: str
    order: int
    edges: npt.NDArray[np.bool_]
    bias: Reals

    @classmethod
    def of(
        cls,
        name: str,
        *,
        knots: npt.ArrayLike,
        coefficients: npt.ArrayLike,
        base_weights: npt.ArrayLike | None = None,
        base: str = "silu",
        scales: npt.ArrayLike | None = None,
        edges: npt.ArrayLike | None = None,
        bias: npt.ArrayLike | None = None,
    ) -> Self:
        """Make a layer of plain arrays, and check them; the order follows from their shapes.

        Parameters
        ----------
        name
            What messages call the layer.
        knots
            One row for each input, or one for all.
        scales
            An array ``(n_out, n_in)`` that multiplies the coefficients; ones where it is left out.

        The other parameters are the attributes. Where they are left out, base weights and biases are zero, and all
        edges are there.

        Raises
        ------
        InputError
            If anything does not fit together, by its name.
        """
        c = _check_array(f"{name}.coefficients", coefficients)
        if c.ndim != 3 or 0 in c.shape:
            raise InputError(f"{name}.coefficients: shape {c.shape}; must be (n_out, n_in, grid_size + spline_order)")
        n_out, n_in, count = c.shape
        t = np.atleast_2d(_check_array(f"{name}.knots", knots))
        t = np.broadcast_to(t, (n_in, t.shape[1])) if len(t) == 1 else t
        order = t.shape[1] - count - 1
        if t.shape[0] != n_in or order < 0 or count <= order:
            raise InputError(
                f"{name}.knots: shape {t.shape}; must be ({n_in}, grid_size + 2 * spline_order + 1), where there are "
                f"{count} = grid_size + spline_order coefficients"
            )
        if (np.diff(t, axis=1) <= 0).any():
            raise InputError(f"{name}.knots: not in ascending order; sort them, each only once")
        if base not in BASES:
            raise InputError(f"{name}.base = {base!r}: cannot be represented; it must be one of {', '.join(BASES)}")
        if scales is not None:
            c = c * _check_shape(f"{name}.scales", scales, (n_out, n_in))[:, :, None]
        weights = np.zeros((n_out, n_in)) if base_weights is None else base_weights
        return cls(
            knots=t,
            coefficients=c,
            base_weights=_check_shape(f"{name}.base_weights", weights, (n_out, n_in)),
            base=base,
            order=order,
            edges=np.ones((n_out, n_in), bool)
            if edges is None
            else _check_shape(f"{name}.edges", edges, (n_out, n_in)) != 0,
            bias=_check_shape(f"{name}.bias", np.zeros(n_out) if bias is None else bias, (n_out,)),
        )

    @property
    def n_in(self) -> int:
        """The number of inputs."""
        return int(self.coefficients.shape[1])

    @property
    def n_out(self) -> int:
        """The number of nodes."""
        return int(self.coefficients.shape[0])

    def edge_values(self, source: int, x: Reals) -> Reals:
        """Evaluate all edges from input ``source`` at points ``(n,)``, as ``(n_out, n)``, those pruned included."""
        splines = self.coefficients[:, source] @ bases(x, self.knots[source], self.order).T
        result: Reals = splines + self.base_weights[:, source, None] * BASES[self.base](x)
        return result

    def evaluate(self, x: Reals) -> Reals:
        """Evaluate the nodes ``(n, n_out)`` for inputs ``(n, n_in)``, in real numbers."""
        total = np.tile(self.bias, (len(x), 1))
        used = np.flatnonzero(self.edges.any(axis=0))
        if not len(used):
            return total
        weights = (self.coefficients * self.edges[:, :, None])[:, used].reshape(self.n_out, -1).T
        base_weights = (self.base_weights * self.edges)[:, used].T
        rows = max(1, _EVALUATED // weights.shape[0])
        for start in range(0, len(x), rows):
            part = x[start : start + rows, used]
            splines = bases(part, self.knots[used], self.order).reshape(len(part), -1) @ weights
            total[start : start + rows] += splines + BASES[self.base](part) @ base_weights
        return total

    def tables(self, inputs: CodeScale, nodes: CodeScale, guard_bits: int = 0, saturate: bool = True) -> dict[str, Any]:
        """Make the tables of the edges, as :meth:`LookupNetwork.of` takes them, each entry rounded half to even.

        Parameters
        ----------
        inputs, nodes : CodeScale
            What the codes of the inputs and of the nodes stand for.
        guard_bits
            How many fraction bits the tables have below a node's LSB.
        saturate
            Whether entries end where an edge alone leaves the range of its node.
        """
        limit = 1 << (nodes.bits - 1 + guard_bits) if saturate else _LARGEST_ENTRY
        lsb = nodes.step / (1 << guard_bits)
        node, source = np.nonzero(self.edges)
        table = np.zeros((len(node), 1 << inputs.bits), dtype=np.int64)
        for one in range(self.n_in):
            of_source = source == one
            exact = self.edge_values(one, inputs.levels(one))[node[of_source]] / lsb[node[of_source], None]
            table[of_source] = np.clip(np.rint(exact), -limit, limit - 1)
        bias = np.rint(np.clip((self.bias - nodes.offset) / lsb, -limit, limit - 1)).astype(np.int64)
        return {"source": source, "node": node, "table": table, "bias": bias}


@dataclass(frozen=True, eq=False)
class FloatNetwork(SavedNetwork):
    """A KAN in real numbers: real-valued layers behind an affine map of every input, ``z = x * scale + offset``.

    Attributes
    ----------
    layers : tuple of FloatLayer
        All layers, first layer first.
    input_scale, input_offset : arrays ``(n_in,)``
        The constants of the map.
    """

    layers: tuple[FloatLayer, ...]
    input_scale: Reals
    input_offset: Reals

    @classmethod
    def of(
        cls, layers: Sequence[FloatLayer], input_scale: npt.ArrayLike = 1.0, input_offset: npt.ArrayLike = 0.0
    ) -> Self:
        """Make a network of layers, and check that they fit together.

        Parameters
        ----------
        layers
            All layers, first layer first.
        input_scale, input_offset
            One number for all inputs, or an array ``(n_in,)``.

        Raises
        ------
        InputError
            If they do not fit together.
        """
        if not layers:
            raise InputError("layers: there are none; give at least one")
        for index in range(1, len(layers)):
            if layers[index].n_in != layers[index - 1].n_out:
                raise InputError(
                    f"layers[{index}]: {layers[index].n_in} inputs behind a layer of {layers[index - 1].n_out} nodes"
                )
        n_in = layers[0].n_in
        affine = [
            _check_shape(field, values, (n_in,))
            for field, values in (("input_scale", input_scale), ("input_offset", input_offset))
        ]
        return cls(tuple(layers), *affine)

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """The number of inputs, then the number of nodes of every layer."""
        return (self.layers[0].n_in, *(layer.n_out for layer in self.layers))

    def scale_inputs(self, x: Reals) -> Reals:
        """Give what the first layer takes, ``(n, n_in)``, for inputs ``(n, n_in)``."""
        result: Reals = x * self.input_scale + self.input_offset
        return result

    def evaluate(self, x: Reals) -> list[Reals]:
        """Evaluate the values after every layer, each ``(n, n_out)``, in real numbers, for inputs ``(n, n_in)``."""
        return self.evaluate_from(0, self.scale_inputs(x))

    def evaluate_from(self, start: int, values: Reals) -> list[Reals]:
        """Evaluate the values after layer ``start`` and those behind it, for what that layer takes, ``(n, n_in)``."""
        result = []
        for layer in self.layers[start:]:
            values = layer.evaluate(values)
            result.append(values)
        return result

    def quantise(
        self,
        bits: Sequence[int],
        steps: Sequence[npt.ArrayLike],
        *,
        offsets: Sequence[npt.ArrayLike] | None = None,
        guard_bits: Sequence[int] | None = None,
        saturate: bool = True,
        output: str = "raw",
        thresholds: Sequence[int] | None = None,
    ) -> LookupNetwork:
        """Make the tables of all edges; :func:`~kanrtl.lookup.calibrate` finds steps and offsets.

        Parameters
        ----------
        bits, steps
            How many bits a code has, and the real value of its LSB: of the inputs, then of every layer's nodes. A step
            is one number or, except for the last layer, one for each input or node: that costs no hardware, as tables
            take it in.
        offsets
            The real values of code zero, in the same order; zeros where they are left out. That of the last layer is
            zero.
        guard_bits
            By how many bits the tables of each layer are finer than its nodes; zeros where they are left out.
        saturate
            Whether table entries end where an edge alone leaves the range of its node, as those of KANELÉ do. Edges
            that cancel each other need ``False``.
        output, thresholds
            As for :meth:`LookupNetwork.of`.

        Raises
        ------
        InputError
            If an argument is refused, by its name.
        """
        count = len(self.layers)
        if len(bits) != count + 1 or len(steps) != count + 1:
            raise InputError(f"bits, steps: {len(bits)} and {len(steps)} values; give {count + 1} of each")
        if offsets is not None and len(offsets) != count + 1:
            raise InputError(f"offsets: {len(offsets)} values; give {count + 1}")
        scales = [
            _code_scale(index, size, bits[index], steps[index], 0.0 if offsets is None else offsets[index])
            for index, size in enumerate(self.layer_sizes)
        ]
        last = scales[-1]
        if (last.step != last.step[0]).any() or last.offset.any():
            raise InputError(f"steps[{count}], offsets[{count}]: the outputs have one step, and no offset")
        guards = [0] * count if guard_bits is None else list(guard_bits)
        if len(guards) != count:
            raise InputError(f"guard_bits: {len(guards)} values; give {count}")
        edges = [
            layer.tables(scales[index], scales[index + 1], guards[index], saturate)
            for index, layer in enumerate(self.layers)
        ]
        inputs = scales[0]
        quantiser = Quantiser.of(
            self.input_scale / inputs.step,
            (self.input_offset - inputs.offset) / inputs.step,
            inputs.bits,
            self.layers[0].n_in,
        )
        return LookupNetwork.of(
            self.layer_sizes,
            [scale.bits for scale in scales],
            # Where nodes have steps of their own, hidden codes have no common unit: the middle one stands for it.
            [float(np.sort(scale.step)[len(scale.step) // 2]) for scale in scales],
            edges,
            guard_bits=guards,
            quantiser=quantiser,
            output=output,
            thresholds=thresholds,
        )

    # Files.

    _kind = "FloatKAN"
    _entry = "kan"
    _format = "kanrtl float kan 1"

    def _about(self) -> dict[str, Any]:
        return {"base": [layer.base for layer in self.layers]}

    def _content(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        yield "input_scale", self.input_scale
        yield "input_offset", self.input_offset
        for index, layer in enumerate(self.layers):
            for field in _LAYER_ARRAYS:
                yield f"{field}_{index}", getattr(layer, field)

    @classmethod
    def _restore(cls, about: dict[str, Any], arrays: Arrays) -> Self:
        layers = [
            FloatLayer.of(f"layer {index}", base=base, **{field: arrays[f"{field}_{index}"] for field in _LAYER_ARRAYS})
            for index, base in enumerate(about["base"])
        ]
        return cls.of(layers, arrays["input_scale"], arrays["input_offset"])


Kan = TypeVar("Kan", bound=FloatNetwork)
"""A network that is calibrated, pruned or searched, and keeps its class."""

_LAYER_ARRAYS = ("knots", "coefficients", "base_weights", "edges", "bias")


def _code_scale(index: int, size: int, bits: int, step: npt.ArrayLike, offset: npt.ArrayLike) -> CodeScale:
    steps = _check_shape(f"steps[{index}]", step, (size,))
    check_positive(f"steps[{index}]", steps.min())
    return CodeScale(check_bits(f"bits[{index}]", bits), steps, _check_shape(f"offsets[{index}]", offset, (size,)))


def _check_array(field: str, values: npt.ArrayLike) -> Reals:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{field}: not an array of numbers; give one") from None
    if not np.isfinite(array).all():
        raise InputError(f"{field}: not all numbers are finite; give finite ones")
    return array


def _check_shape(field: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Reals:
    array = _check_array(field, values)
    if array.shape not in ((), shape):
        raise InputError(f"{field}: shape {array.shape}; must be {shape}")
    return np.broadcast_to(array, shape)
