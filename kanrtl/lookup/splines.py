"""A trained KAN as real numbers, whichever program trained it, and the tables made from it.

All importers lead here, and all tables come from here. An edge is, as in efficient-kan and pykan::

    phi(x) = base_weight * base(x) + sum_m coefficient_m * B_m(x)

with Cox-de Boor bases ``B_m`` of order ``k`` on a vector of knots, half open in every cell. Outside the knots no
basis is left, and x is not clamped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..session import InputError
from .network import LookupNetwork, bits_of, positive
from .quantiser import Quantiser

__all__ = ["BASES", "FloatKAN", "FloatLayer", "bases"]

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
"""What stands beside the splines, by name. ``gelu`` is the exact one."""


def bases(x: Reals, knots: Reals, order: int) -> Reals:
    """B-splines of ``order`` at points ``(n,)``, for ``knots`` in ascending order: ``(n, len(knots) - order - 1)``."""
    x = x[:, None]
    values = ((x >= knots[:-1]) & (x < knots[1:])).astype(np.float64)
    for degree in range(1, order + 1):
        left = (x - knots[: -(degree + 1)]) / (knots[degree:-1] - knots[: -(degree + 1)])
        right = (knots[degree + 1 :] - x) / (knots[degree + 1 :] - knots[1:-degree])
        values = left * values[:, :-1] + right * values[:, 1:]
    return values


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """One layer of real-valued edges.

    Attributes
    ----------
    knots : array ``(n_in, cells + 2 * order + 1)``
        In ascending order, one row for each input.
    coefficients : array ``(n_out, n_in, cells + order)``
        With the edges' scales in them.
    base_weights : array ``(n_out, n_in)``
    base : str
        A name of :data:`BASES`.
    order : int
        0 to 10 and beyond.
    edges : array of booleans ``(n_out, n_in)``
        Which edges there are; the others were pruned.
    bias : array ``(n_out,)``
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
        """A checked layer; the order follows from the shapes. ``scales`` multiply the coefficients.

        One row of knots serves all inputs. ``name`` is what messages call the layer. Raises
        :exc:`kanrtl.InputError`.
        """
        c = _finite(f"{name}.coefficients", coefficients)
        if c.ndim != 3 or 0 in c.shape:
            raise InputError(f"{name}.coefficients: shape {c.shape}; must be (n_out, n_in, grid_size + spline_order)")
        n_out, n_in, count = c.shape
        t = np.atleast_2d(_finite(f"{name}.knots", knots))
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
            c = c * _shaped(f"{name}.scales", scales, (n_out, n_in))[:, :, None]
        weights = np.zeros((n_out, n_in)) if base_weights is None else base_weights
        return cls(
            knots=t,
            coefficients=c,
            base_weights=_shaped(f"{name}.base_weights", weights, (n_out, n_in)),
            base=base,
            order=order,
            edges=np.ones((n_out, n_in), bool)
            if edges is None
            else _shaped(f"{name}.edges", edges, (n_out, n_in)) != 0,
            bias=_shaped(f"{name}.bias", np.zeros(n_out) if bias is None else bias, (n_out,)),
        )

    @property
    def n_in(self) -> int:
        return int(self.coefficients.shape[1])

    @property
    def n_out(self) -> int:
        return int(self.coefficients.shape[0])

    def edge_values(self, source: int, x: Reals) -> Reals:
        """``phi`` of all edges from input ``source`` at points ``(n,)``: ``(n_out, n)``, those pruned included."""
        splines = self.coefficients[:, source] @ bases(x, self.knots[source], self.order).T
        result: Reals = splines + self.base_weights[:, source, None] * BASES[self.base](x)
        return result

    def evaluate(self, x: Reals) -> Reals:
        """The nodes ``(n, n_out)`` for inputs ``(n, n_in)``, in real numbers."""
        total = np.tile(self.bias[:, None], (1, len(x)))
        for source in range(self.n_in):
            total += self.edges[:, source, None] * self.edge_values(source, x[:, source])
        return total.T

    def tables(
        self, bits_in: int, step_in: float, bits_out: int, step_out: float, guard_bits: int = 0
    ) -> dict[str, Any]:
        """The edges as :meth:`LookupNetwork.of` takes them, each entry rounded half to even.

        Entries saturate where an edge alone leaves the range of its node.
        """
        limit = 1 << (bits_out - 1 + guard_bits)
        lsb = step_out / (1 << guard_bits)
        x = (np.arange(1 << bits_in, dtype=np.float64) - (1 << (bits_in - 1))) * step_in
        nodes, sources = np.nonzero(self.edges)
        table = np.zeros((len(nodes), len(x)), dtype=np.int64)
        for source in range(self.n_in):
            of_source = sources == source
            exact = self.edge_values(source, x)[nodes[of_source]] / lsb
            table[of_source] = np.clip(np.rint(exact), -limit, limit - 1)
        bias = np.rint(np.clip(self.bias / lsb, -limit, limit - 1)).astype(np.int64)
        return {"source": sources, "node": nodes, "table": table, "bias": bias}


@dataclass(frozen=True, eq=False)
class FloatKAN:
    """A trained KAN: real-valued layers behind an affine map of every input, ``z = x * scale + offset``.

    Attributes
    ----------
    layers : tuple of FloatLayer
    input_scale, input_offset : arrays ``(n_in,)``
    """

    layers: tuple[FloatLayer, ...]
    input_scale: Reals
    input_offset: Reals

    @classmethod
    def of(
        cls, layers: Sequence[FloatLayer], input_scale: npt.ArrayLike = 1.0, input_offset: npt.ArrayLike = 0.0
    ) -> Self:
        """A checked network. Raises :exc:`kanrtl.InputError`."""
        if not layers:
            raise InputError("layers: there are none; give at least one")
        for index in range(1, len(layers)):
            if layers[index].n_in != layers[index - 1].n_out:
                raise InputError(
                    f"layers[{index}]: {layers[index].n_in} inputs behind a layer of {layers[index - 1].n_out} nodes"
                )
        n_in = layers[0].n_in
        affine = [
            np.broadcast_to(_finite(field, values), (n_in,))
            for field, values in (("input_scale", input_scale), ("input_offset", input_offset))
        ]
        return cls(tuple(layers), *affine)

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        return (self.layers[0].n_in, *(layer.n_out for layer in self.layers))

    def evaluate(self, x: Reals) -> list[Reals]:
        """The values after every layer, each ``(n, n_out)``, in real numbers."""
        values, result = x * self.input_scale + self.input_offset, []
        for layer in self.layers:
            values = layer.evaluate(values)
            result.append(values)
        return result

    def quantise(
        self,
        bits: Sequence[int],
        steps: Sequence[float],
        *,
        guard_bits: Sequence[int] | None = None,
        output: str = "raw",
        thresholds: Sequence[int] | None = None,
    ) -> LookupNetwork:
        """The tables of all edges.

        Parameters
        ----------
        bits, steps
            Of the inputs, then of every layer's nodes: bits of a code, real value of one LSB.
        guard_bits
            For each layer, by how many bits its tables are finer than its nodes; zeros where it is left out.
        output, thresholds
            As for :meth:`LookupNetwork.of`.
        """
        count = len(self.layers)
        if len(bits) != count + 1 or len(steps) != count + 1:
            raise InputError(f"bits, steps: {len(bits)} and {len(steps)} values; give {count + 1} of each")
        checked = [bits_of(f"bits[{index}]", value) for index, value in enumerate(bits)]
        lsbs = [positive(f"steps[{index}]", value) for index, value in enumerate(steps)]
        guards = [0] * count if guard_bits is None else list(guard_bits)
        if len(guards) != count:
            raise InputError(f"guard_bits: {len(guards)} values; give {count}")
        edges = [
            layer.tables(checked[index], lsbs[index], checked[index + 1], lsbs[index + 1], guards[index])
            for index, layer in enumerate(self.layers)
        ]
        step = lsbs[0]
        quantiser = Quantiser.of(self.input_scale / step, self.input_offset / step, checked[0], self.layers[0].n_in)
        return LookupNetwork.of(
            self.layer_sizes,
            checked,
            lsbs,
            edges,
            guard_bits=guards,
            quantiser=quantiser,
            output=output,
            thresholds=thresholds,
        )


def _finite(field: str, values: npt.ArrayLike) -> Reals:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"{field}: not an array of numbers; give one") from None
    if not np.isfinite(array).all():
        raise InputError(f"{field}: not all numbers are finite; give finite ones")
    return array


def _shaped(field: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Reals:
    array = _finite(field, values)
    if array.shape not in ((), shape):
        raise InputError(f"{field}: shape {array.shape}; must be {shape}")
    return np.broadcast_to(array, shape)
