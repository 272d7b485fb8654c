"""A frozen KAN as integers: every edge a truth table, every node a sum (KANELÉ, Hoang et al., FPGA 2026).

Codes are signed. The code ``q`` of a value with ``b`` bits addresses its tables at ``q + 2**(b - 1)``. For a layer with
edges ``j -> k``::

    y_k = saturate(round((bias_k + sum_j T_jk[address_j]) / 2**guard_bits))

with ties up, so that rounding costs the hardware nothing but a constant. Nothing else is rounded between the inputs and
the outputs, and nothing at all where ``guard_bits`` is zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self, cast, get_args

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..numeric.fixed import SQ, Codes, narrow
from .quantiser import FixedQuantiser, Quantiser, step_quantiser
from .saved_network import Arrays, Saved

__all__ = [
    "MAX_BITS",
    "MAX_GUARD_BITS",
    "LookupLayer",
    "LookupNetwork",
    "Output",
    "bits_of",
    "guard_bits_of",
    "positive",
]

MAX_BITS = 16
"""Of a code: a table has so many address bits at most."""

MAX_GUARD_BITS = 30
"""Of a table: its entries have 31 bits and a sign."""

_ENTRY_LIMIT = 1 << 31  # so that a sum of 2**30 edges fits the model's integers

_GATHERED = 1 << 22  # table entries in memory at a time

Output = Literal["raw", "argmax", "threshold"]


@dataclass(frozen=True, eq=False)
class LookupLayer:
    """The edges of one layer.

    Attributes
    ----------
    n_in, n_out : int
        Inputs and nodes.
    bits_in, bits_out : int
        Of the codes of the inputs and of the nodes.
    step : float
        The real value of one LSB of a node.
    offset : float
        The real value of a node's code 0: a code ``q`` stands for ``q * step + offset``.
    source, node : arrays of integers, shape ``(edges,)``
        From which input to which node an edge leads. In order of node, then source.
    table : array of integers, shape ``(edges, 2**bits_in)``
        What an edge adds to its node, by address, in units of ``step / 2**guard_bits``.
    bias : array of integers, shape ``(n_out,)``
        In the units of the tables.
    guard_bits : int
        Fraction bits of the tables below a node's LSB.
    """

    n_in: int
    n_out: int
    bits_in: int
    bits_out: int
    step: float
    source: Codes
    node: Codes
    table: Codes
    bias: Codes
    guard_bits: int = 0
    offset: float = 0.0

    @classmethod
    def of(
        cls,
        name: str,
        *,
        n_in: int,
        n_out: int,
        bits_in: int,
        bits_out: int,
        step: float,
        source: npt.ArrayLike,
        node: npt.ArrayLike,
        table: npt.ArrayLike,
        bias: npt.ArrayLike | None = None,
        guard_bits: int = 0,
        offset: float = 0.0,
    ) -> Self:
        """A checked layer; ``name`` is what messages call it. Raises :exc:`kanrtl.InputError`."""
        n_in, n_out = (
            _whole(f"{name}.{field}", value, 1, 1 << 20) for field, value in (("n_in", n_in), ("n_out", n_out))
        )
        bits_in, bits_out = bits_of(f"{name}.bits_in", bits_in), bits_of(f"{name}.bits_out", bits_out)
        guard_bits = guard_bits_of(f"{name}.guard_bits", guard_bits)
        source = _indices(f"{name}.source", source, n_in)
        node = _indices(f"{name}.node", node, n_out)
        table = _integers(f"{name}.table", table, (len(source), 1 << bits_in))
        bias = _integers(f"{name}.bias", np.zeros(n_out, np.int64) if bias is None else bias, (n_out,))
        if len(node) != len(source):
            raise InputError(f"{name}.node: {len(node)} nodes for {len(source)} sources; give one for each edge")
        order = np.lexsort((source, node))
        source, node, table = source[order], node[order], table[order]
        twice = np.flatnonzero((np.diff(source) == 0) & (np.diff(node) == 0))
        if len(twice):
            edge = int(twice[0])
            raise InputError(
                f"{name}: the edge from input {source[edge]} to node {node[edge]} is there twice; add its tables"
            )
        for array in (source, node, table, bias):
            array.flags.writeable = False
        step = positive(f"{name}.step", step)
        offset = _finite(f"{name}.offset", offset)
        return cls(n_in, n_out, bits_in, bits_out, step, source, node, table, bias, guard_bits, offset)

    @property
    def edges(self) -> int:
        return len(self.source)

    def sums(self, codes: Codes) -> Codes:
        """The nodes' exact sums ``(n, n_out)``, with ``guard_bits`` fraction bits, for input codes ``(n, n_in)``."""
        total = np.tile(self.bias, (len(codes), 1))
        if not self.edges:
            return total
        nodes, first = np.unique(self.node, return_index=True)
        rows = max(1, _GATHERED // self.edges)
        address = codes + (1 << (self.bits_in - 1))
        for start in range(0, len(codes), rows):
            part = slice(start, start + rows)
            entries = self.table[np.arange(self.edges), address[part][:, self.source]]
            total[part, nodes] += np.add.reduceat(entries, first, axis=1)
        return total

    def evaluate(self, codes: Codes) -> Codes:
        """The nodes' codes ``(n, n_out)`` for input codes ``(n, n_in)``."""
        result: Codes = narrow(self.sums(codes), self.guard_bits, SQ(self.bits_out, 0), "half_up").result
        return result


@dataclass(frozen=True, eq=False)
class LookupNetwork(Saved):
    """A KAN of truth tables; made by the importers of :mod:`kanrtl.lookup`, or with :meth:`of` from arrays.

    Attributes
    ----------
    layers : tuple of LookupLayer
    input_step : float
        The real value of one LSB of an input.
    quantiser : Quantiser or FixedQuantiser
        Makes codes of real inputs. A :class:`~kanrtl.lookup.quantiser.FixedQuantiser` becomes hardware; else the
        component takes codes, and quantising is left to who sends them.
    output : ``"raw"``, ``"argmax"`` or ``"threshold"``
        What a prediction is: the codes of the last layer; the index of the highest, the lowest of equals; or for each
        node whether it is above its threshold.
    thresholds : tuple of int
        For ``"threshold"``: codes, one for each output; else empty.
    """

    layers: tuple[LookupLayer, ...]
    input_step: float
    quantiser: Quantiser | FixedQuantiser
    output: Output = "raw"
    thresholds: tuple[int, ...] = ()

    @classmethod
    def of(
        cls,
        layer_sizes: Sequence[int],
        bits: Sequence[int],
        steps: Sequence[float],
        edges: Sequence[Mapping[str, npt.ArrayLike]],
        *,
        guard_bits: Sequence[int] | None = None,
        offsets: Sequence[float] | None = None,
        quantiser: Quantiser | FixedQuantiser | None = None,
        output: str = "raw",
        thresholds: Sequence[int] | None = None,
    ) -> Self:
        """A network from plain arrays.

        Parameters
        ----------
        layer_sizes
            Inputs, then the nodes of every layer.
        bits, steps
            Of the inputs, then of every layer's nodes: bits of a code, real value of one LSB.
        edges
            For each layer ``source``, ``node``, ``table`` and, where there is one, ``bias``; see :class:`LookupLayer`.
        guard_bits, offsets
            For each layer; zeros where they are left out.
        quantiser
            Where it is left out, a real input is divided by its step.
        thresholds
            Codes; zeros where they are left out.

        Raises
        ------
        InputError
            If anything does not fit together, by its name.
        """
        count = len(layer_sizes) - 1
        if count < 1:
            raise InputError(f"layer_sizes = {list(layer_sizes)}: give the inputs and the nodes of at least one layer")
        for name, given in (("bits", bits), ("steps", steps)):
            if len(given) != count + 1:
                raise InputError(f"{name}: {len(given)} values; give {count + 1}, for the inputs and for every layer")
        for name, layered in (("edges", edges), ("guard_bits", guard_bits), ("offsets", offsets)):
            if layered is not None and len(layered) != count:
                raise InputError(f"{name}: {len(layered)} entries; give one for each of the {count} layers")
        layers = []
        for index, content in enumerate(edges):
            missing = sorted({"source", "node", "table"} - set(content))
            if missing:
                raise InputError(f"edges[{index}]: {missing[0]!r} is missing; give source, node and table")
            unknown = sorted(set(content) - {"source", "node", "table", "bias"})
            if unknown:
                raise InputError(f"edges[{index}]: {unknown[0]!r} is not known; give source, node, table and bias")
            layers.append(
                LookupLayer.of(
                    f"edges[{index}]",
                    n_in=layer_sizes[index],
                    n_out=layer_sizes[index + 1],
                    bits_in=bits[index],
                    bits_out=bits[index + 1],
                    step=steps[index + 1],
                    guard_bits=guard_bits[index] if guard_bits is not None else 0,
                    offset=offsets[index] if offsets is not None else 0.0,
                    source=content["source"],
                    node=content["node"],
                    table=content["table"],
                    bias=content.get("bias"),
                )
            )
        step = positive("steps[0]", steps[0])
        if quantiser is None:
            quantiser = step_quantiser(layers[0].n_in, layers[0].bits_in, step)
        return cls(tuple(layers), step, quantiser).with_quantiser(quantiser).with_output(output, thresholds)

    # What it is.

    @property
    def n_in(self) -> int:
        return self.layers[0].n_in

    @property
    def n_out(self) -> int:
        """Nodes of the last layer."""
        return self.layers[-1].n_out

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        return (self.n_in, *(layer.n_out for layer in self.layers))

    @property
    def bits(self) -> tuple[int, ...]:
        """Of the inputs, then of every layer's nodes."""
        return (self.layers[0].bits_in, *(layer.bits_out for layer in self.layers))

    @property
    def steps(self) -> tuple[float, ...]:
        """The real value of one LSB of the inputs, then of every layer's nodes."""
        return (self.input_step, *(layer.step for layer in self.layers))

    @property
    def edges(self) -> int:
        """In all layers."""
        return sum(layer.edges for layer in self.layers)

    @cached_property
    def n_predictions(self) -> int:
        """Numbers in a prediction."""
        return 1 if self.output == "argmax" else self.n_out

    def with_output(self, output: str, thresholds: Sequence[int] | None = None) -> Self:
        """The same network with another output stage; ``thresholds`` are codes, by default zeros."""
        if output not in get_args(Output):
            raise InputError(f"output = {output!r}: must be one of {', '.join(map(repr, get_args(Output)))}")
        if output != "threshold":
            if thresholds:
                raise InputError(
                    f'thresholds: output = {output!r} has none; leave them out, or set output = "threshold"'
                )
            return replace(self, output=cast(Output, output), thresholds=())
        given = [0] * self.n_out if thresholds is None else list(thresholds)
        if len(given) != self.n_out:
            raise InputError(f"thresholds: {len(given)} values; give one for each of the {self.n_out} outputs")
        low, high = _code_range(self.bits[-1])
        codes = tuple(_whole(f"thresholds[{index}]", value, low, high) for index, value in enumerate(given))
        return replace(self, output=cast(Output, output), thresholds=codes)

    def with_quantiser(self, quantiser: Quantiser | FixedQuantiser) -> Self:
        """The same network with other inputs in front of its first layer's codes."""
        if quantiser.n_in != self.n_in or quantiser.bits != self.bits[0]:
            raise InputError(
                f"quantiser: makes {quantiser.n_in} codes of {quantiser.bits} bits; the network takes "
                f"{self.n_in} of {self.bits[0]}"
            )
        return replace(self, quantiser=quantiser)

    def head(self, layers: int) -> Self:
        """The first ``layers`` layers alone, whose predictions are the codes of the last of them."""
        count = _whole("layers", layers, 1, len(self.layers))
        return replace(self, layers=self.layers[:count], output="raw", thresholds=())

    # What it gives.

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """Predictions for real inputs ``(n, n_in)``, or ``(n_in,)`` for one sample.

        ``raw``: real numbers ``(n, n_out)``. ``argmax``: classes ``(n,)``. ``threshold``: zeros and ones
        ``(n, n_out)``, or ``(n,)`` where there is one output, as classes.
        """
        rows, single = self.real_rows(x)
        result = self.values_of(self.predict_codes(self.quantiser.codes(rows)))
        return result[0] if single else result

    def predict_codes(self, codes: npt.ArrayLike) -> Codes:
        """Predictions as the component gives them, ``(n, n_predictions)``, for input codes ``(n, n_in)``."""
        return self.outputs_of(self.layer_codes(codes)[-1])

    def layer_codes(self, codes: npt.ArrayLike) -> list[Codes]:
        """The codes after every layer, each ``(n, n_out)`` of its layer, for input codes ``(n, n_in)``."""
        values = self.checked_codes(codes)
        result = []
        for layer in self.layers:
            values = layer.evaluate(values)
            result.append(values)
        return result

    def outputs_of(self, codes: Codes) -> Codes:
        """What the output stage makes of the last layer's codes ``(n, n_out)``."""
        if self.output == "argmax":
            best: Codes = np.argmax(codes, axis=1)[:, None].astype(np.int64)
            return best
        if self.output == "threshold":
            return (codes > np.array(self.thresholds)).astype(np.int64)
        return codes

    def values_of(self, predictions: Codes) -> npt.NDArray[Any]:
        """What :meth:`predict` gives, of predictions ``(n, n_predictions)``."""
        if self.output == "raw":
            return predictions * self.steps[-1] + self.layers[-1].offset
        return predictions[:, 0] if predictions.shape[1] == 1 else predictions

    def checked_codes(self, codes: npt.ArrayLike) -> Codes:
        """``codes`` as an array ``(n, n_in)`` of the inputs' codes; raises :exc:`kanrtl.InputError` if it is not."""
        array = np.asarray(codes)
        if array.ndim != 2 or array.shape[1] != self.n_in:
            raise InputError(f"codes: shape {array.shape}; must be (n, {self.n_in})")
        if array.dtype.kind not in "iu":
            raise InputError(f"codes: type {array.dtype}; give integers, or real numbers to predict")
        low, high = _code_range(self.bits[0])
        if array.size and (array.min() < low or array.max() > high):
            raise InputError(f"codes: from {array.min()} to {array.max()}; {self.bits[0]} bits hold {low} to {high}")
        return array.astype(np.int64)

    def real_rows(self, x: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], bool]:
        """Real inputs as rows ``(n, n_in)``, and whether it was a single one; raises :exc:`kanrtl.InputError`."""
        try:
            array = np.asarray(x, dtype=np.float64)
        except (TypeError, ValueError):
            raise InputError(f"x: not an array of numbers; give shape (n, {self.n_in})") from None
        single = array.ndim == 1
        rows = array[None] if single else array
        if rows.ndim != 2 or rows.shape[1] != self.n_in:
            raise InputError(f"x: shape {array.shape}; must be (n, {self.n_in}), or ({self.n_in},) for one sample")
        if np.isnan(rows).any():
            place = np.argwhere(np.isnan(rows))[0]
            raise InputError(f"x[{', '.join(map(str, place[single:]))}] = nan: give a number")
        return rows, single

    # Files.

    _kind = "network"
    _entry = "network"
    _format = "kanrtl lookup network 1"

    def _about(self) -> dict[str, Any]:
        return {
            "layer_sizes": self.layer_sizes,
            "bits": self.bits,
            "guard_bits": [layer.guard_bits for layer in self.layers],
            "output": self.output,
            "quantiser": self.quantiser.about(),
        }

    def _content(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        yield "steps", np.array(self.steps, dtype=np.float64)
        yield "offsets", np.array([layer.offset for layer in self.layers], dtype=np.float64)
        yield "thresholds", np.array(self.thresholds, dtype=np.int64)
        yield from self.quantiser.arrays()
        for index, layer in enumerate(self.layers):
            for field in _LAYER_ARRAYS:
                yield f"{field}_{index}", _smallest(getattr(layer, field))

    @classmethod
    def _restored(cls, about: dict[str, Any], arrays: Arrays) -> Self:
        sizes = about["layer_sizes"]
        from_about = Quantiser if about["quantiser"]["kind"] == "real" else FixedQuantiser
        return cls.of(
            sizes,
            about["bits"],
            arrays["steps"].tolist(),
            [{field: arrays[f"{field}_{index}"] for field in _LAYER_ARRAYS} for index in range(len(sizes) - 1)],
            guard_bits=about["guard_bits"],
            offsets=arrays["offsets"].tolist(),
            quantiser=from_about.from_archive(about["quantiser"], arrays),
            output=about["output"],
            thresholds=arrays["thresholds"].tolist() if about["output"] == "threshold" else None,
        )


_LAYER_ARRAYS = ("source", "node", "table", "bias")


def _code_range(bits: int) -> tuple[int, int]:
    return -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def _whole(field: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not low <= value <= high:
        raise InputError(f"{field} = {value!r}: must be an integer from {low} to {high}")
    return int(value)


def bits_of(field: str, value: Any) -> int:
    """``value`` as the width of a code, refused by the name ``field`` if it is not one."""
    return _whole(field, value, 1, MAX_BITS)


def guard_bits_of(field: str, value: Any) -> int:
    """``value`` as a number of guard bits, refused by the name ``field`` if it is not one."""
    return _whole(field, value, 0, MAX_GUARD_BITS)


def positive(field: str, value: Any) -> float:
    """``value`` as a number above zero, refused by the name ``field`` if it is not one."""
    try:
        real = float(value)
    except (TypeError, ValueError):
        real = 0.0
    if not (np.isfinite(real) and real > 0):
        raise InputError(f"{field} = {value!r}: must be a number above 0")
    return real


def _finite(field: str, value: Any) -> float:
    try:
        real = float(value)
    except (TypeError, ValueError):
        real = np.nan
    if not np.isfinite(real):
        raise InputError(f"{field} = {value!r}: must be a finite number")
    return real


def _indices(field: str, values: npt.ArrayLike, count: int) -> Codes:
    array = np.asarray(values)
    if array.size == 0:
        return np.zeros(0, dtype=np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"{field}: shape {array.shape}, type {array.dtype}; give integers, one for each edge")
    if array.min() < 0 or array.max() >= count:
        raise InputError(f"{field}: from {array.min()} to {array.max()}; must lie between 0 and {count - 1}")
    return array.astype(np.int64)


def _integers(field: str, values: npt.ArrayLike, shape: tuple[int, ...]) -> Codes:
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        raise InputError(f"{field}: rows of different lengths; must have shape {shape}") from None
    if array.size == 0 and 0 in shape:
        return np.zeros(shape, dtype=np.int64)
    if array.shape != shape:
        raise InputError(f"{field}: shape {array.shape}; must be {shape}")
    if array.dtype.kind not in "iu":
        raise InputError(f"{field}: type {array.dtype}; give integer codes")
    if array.min() <= -_ENTRY_LIMIT or array.max() >= _ENTRY_LIMIT:
        raise InputError(f"{field}: from {array.min()} to {array.max()}; must be within 31 bits and a sign")
    return array.astype(np.int64)


def _smallest(array: Codes) -> npt.NDArray[Any]:
    """The same integers in the smallest type that holds them."""
    if not array.size:
        return array.astype(np.int8)
    kind = np.result_type(np.min_scalar_type(int(array.min())), np.min_scalar_type(int(array.max())), np.int8)
    return array.astype(kind)
