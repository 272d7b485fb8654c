"""A frozen KAN as integers: every edge a truth table, every node a sum (KANELÉ, Hoang et al., FPGA 2026).

What one layer computes is written in :mod:`.lookup_layer`. Nothing else is rounded between the inputs and the outputs,
and nothing at all where ``guard_bits`` is zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, Self, cast, get_args

import numpy as np
import numpy.typing as npt

from ..arrays import as_array, rectangular_array
from ..errors import InputError, check_kind
from ..numeric.fixed import SQ, UQ, Codes, Format
from .lookup_layer import LookupLayer
from .notes import Note
from .number_checks import (
    CODES,
    LAYERS,
    check_array,
    check_integer,
    check_positive,
    check_shape,
    check_stage,
    code_range,
    list_each,
)
from .quantiser import QUANTISERS, FixedQuantiser, Quantiser, step_quantiser
from .saved_network import Arrays, SavedNetwork

Output = Literal["raw", "argmax", "threshold"]


@dataclass(frozen=True, eq=False)
class LookupNetwork(SavedNetwork):
    """A KAN of truth tables, made by the importers of :mod:`kanrtl.lookup`, or with :meth:`of` from arrays.

    Attributes
    ----------
    layers : tuple of LookupLayer
        All layers, first layer first.
    input_step : float
        The real value of one LSB of an input.
    quantiser : Quantiser or FixedQuantiser
        What makes codes of real inputs. A :class:`~kanrtl.lookup.quantiser.FixedQuantiser` becomes hardware; else the
        component takes codes, and quantising is left to whoever sends them.
    output : ``"raw"``, ``"argmax"`` or ``"threshold"``
        What a prediction is: the codes of the last layer; the index of the highest, the lowest of equals; or for each
        node whether it is above its threshold.
    thresholds : tuple of int
        For ``"threshold"`` a code for each output; else empty.
    notes : tuple of Note
        What an importer assumed, clipped or left out of the file that the network was made of.
    """

    layers: tuple[LookupLayer, ...]
    input_step: float
    quantiser: Quantiser | FixedQuantiser
    output: Output = "raw"
    thresholds: tuple[int, ...] = ()
    notes: tuple[Note, ...] = ()

    @classmethod
    def of(
        cls,
        layer_sizes: Sequence[int],
        bits: int | Sequence[int],
        steps: float | Sequence[npt.ArrayLike],
        edges: Sequence[Mapping[str, npt.ArrayLike]],
        *,
        guard_bits: int | Sequence[int] | None = None,
        offsets: float | Sequence[npt.ArrayLike] | None = None,
        quantiser: Quantiser | FixedQuantiser | None = None,
        output: str = "raw",
        thresholds: Sequence[int] | None = None,
    ) -> Self:
        """Make a network of plain arrays.

        Parameters
        ----------
        layer_sizes
            The number of inputs, then the number of nodes of every layer.
        bits, steps
            How many bits a code has, and the real value of its LSB: of the inputs, then of every layer's nodes, which
            may have a step each; or one number for all.
        edges
            A mapping for each layer with ``source``, ``node``, ``table`` and, where there is one, ``bias``; see
            :class:`LookupLayer`.
        guard_bits
            One number for each layer, or for all; zeros where they are left out.
        offsets
            The real values of the nodes' code 0, for each layer one number, or one for each node; or one for all; zeros
            where they are left out.
        quantiser
            What makes codes of real inputs. Where it is left out, an input is divided by its step.
        output
            ``"raw"``, ``"argmax"`` or ``"threshold"``.
        thresholds
            Codes, one for each output; zeros where they are left out.

        Raises
        ------
        InputError
            If anything does not fit together, by its name.
        """
        for name, value in (("layer_sizes", layer_sizes), ("edges", edges)):
            check_kind(name, value, (Sequence, np.ndarray), "a list")
        count = len(layer_sizes) - 1
        if count < 1:
            raise InputError(f"layer_sizes = {list(layer_sizes)}: give the inputs and the nodes of at least one layer")
        if len(edges) != count:
            raise InputError(f"edges: {len(edges)} entries; give one for each of the {count} layers")
        widths, lsbs = list_each("bits", bits, count + 1, CODES), list_each("steps", steps, count + 1, CODES)
        guards = list_each("guard_bits", 0 if guard_bits is None else guard_bits, count, LAYERS)
        zeros = list_each("offsets", 0.0 if offsets is None else offsets, count, LAYERS)
        layers = []
        for index, content in enumerate(edges):
            check_kind(f"edges[{index}]", content, Mapping, "a mapping with source, node and table")
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
                    bits_in=widths[index],
                    bits_out=widths[index + 1],
                    step=lsbs[index + 1],
                    guard_bits=guards[index],
                    offset=zeros[index],
                    source=content["source"],
                    node=content["node"],
                    table=content["table"],
                    bias=content.get("bias"),
                )
            )
        step = check_positive("steps[0]", lsbs[0])
        if quantiser is None:
            quantiser = step_quantiser(layers[0].n_in, layers[0].bits_in, step)
        return cls(tuple(layers), step, quantiser).with_quantiser(quantiser)._with_stage(output, thresholds)

    # What it is.

    @property
    def n_in(self) -> int:
        """The number of inputs."""
        return self.layers[0].n_in

    @property
    def n_out(self) -> int:
        """The number of outputs, which are the nodes of the last layer."""
        return self.layers[-1].n_out

    @property
    def layer_sizes(self) -> tuple[int, ...]:
        """The number of inputs, then the number of nodes of every layer."""
        return (self.n_in, *(layer.n_out for layer in self.layers))

    @property
    def bits(self) -> tuple[int, ...]:
        """How many bits the codes of the inputs have, then those of every layer's nodes."""
        return (self.layers[0].bits_in, *(layer.bits_out for layer in self.layers))

    @property
    def steps(self) -> tuple[float, ...]:
        """The real value of one LSB of the inputs, then of every layer's nodes: of the middle one where they differ."""
        return (self.input_step, *(layer.step for layer in self.layers))

    @property
    def edges(self) -> int:
        """The number of edges in all layers."""
        return sum(layer.edges for layer in self.layers)

    @cached_property
    def n_predictions(self) -> int:
        """How many numbers there are in a prediction."""
        return 1 if self.output == "argmax" else self.n_out

    @property
    def sample_format(self) -> Format:
        """The format of a sample's numbers: that of the quantiser in hardware, or that of codes of the inputs."""
        fixed = isinstance(self.quantiser, FixedQuantiser)
        return cast(FixedQuantiser, self.quantiser).format if fixed else SQ(self.bits[0], 0)

    @property
    def prediction_format(self) -> Format:
        """The format of a prediction's numbers, as the output stage gives them."""
        if self.output == "raw":
            return SQ(self.bits[-1], 0)
        return UQ(max(1, (self.n_out - 1).bit_length()) if self.output == "argmax" else 1, 0)

    def with_output(self, output: str, thresholds: Sequence[int] | None = None) -> Self:
        """Give the same network with another output stage.

        Parameters
        ----------
        output
            ``"raw"``, ``"argmax"`` or ``"threshold"``.
        thresholds
            Codes, one for each output. Only for ``"threshold"``; where they are left out, those of the real number
            zero, which is code 0 where outputs have no offset; outputs of one bit then have no code above it.

        Raises
        ------
        InputError
            If there is no such output stage, the thresholds do not fit it or are needed, or outputs whose codes stand
            for different numbers, or one output alone, are to be compared.
        """
        check_stage(output, self.n_out)
        return self._with_stage(output, thresholds)

    def _with_stage(self, output: str, thresholds: Sequence[int] | None) -> Self:
        check_kind("thresholds", thresholds, (Sequence, np.ndarray, type(None)), "a list, or leave it out")
        if output not in get_args(Output):
            raise InputError(f"output = {output!r}: must be one of {', '.join(map(repr, get_args(Output)))}")
        if output != "threshold":
            if thresholds is not None and len(thresholds):
                raise InputError(
                    f'thresholds: output = {output!r} has none; leave them out, or set output = "threshold" '
                    "(--stage threshold)"
                )
            if output == "argmax" and not self.layers[-1].is_uniform:
                raise InputError(
                    "output = 'argmax': every output has a step and an offset of its own, so that codes cannot be "
                    "compared; quantise with this output stage (--stage argmax)"
                )
            return replace(self, output=cast(Output, output), thresholds=())
        given = self._zero_codes() if thresholds is None else list(thresholds)
        if len(given) != self.n_out:
            raise InputError(f"thresholds: {len(given)} values; give one for each of the {self.n_out} outputs")
        low, high = code_range(self.bits[-1])
        codes = tuple(check_integer(f"thresholds[{index}]", value, low, high) for index, value in enumerate(given))
        return replace(self, output=cast(Output, output), thresholds=codes)

    def _zero_codes(self) -> list[int]:
        """Give the highest code of every output that does not stand for more than zero."""
        last, (low, high) = self.layers[-1], code_range(self.bits[-1])
        codes = np.floor(-last.offsets / last.steps)
        if last.bits_out == 1 and (codes == high).any():  # then the output were below its threshold for all samples
            raise InputError(
                f"thresholds: output {int(np.argmax(codes == high))} has 1 bit, and no code that stands for more than "
                "zero; give it 2 bits or more, or give thresholds"
            )
        beyond = np.flatnonzero((codes < low) | (codes > high))
        if len(beyond):
            ends = [int(end) * last.steps[beyond[0]] + last.offsets[beyond[0]] for end in (low, high)]
            raise InputError(
                f"thresholds: the codes of output {beyond[0]} stand for {ends[0]:.6g} to {ends[1]:.6g}, without zero; "
                "give thresholds, or quantise with output = 'threshold' (--stage threshold)"
            )
        return [int(code) for code in codes]

    def scale_outputs(self, scale: npt.ArrayLike, offset: npt.ArrayLike = 0.0) -> Self:
        """Give the same network whose outputs stand for ``scale * y + offset`` of what they do here.

        Tables and hardware stay as they are; predictions, the file and the header of the Verilog go by it. ``scale``,
        above zero, and ``offset`` are one number for all outputs or one for each. Raises :exc:`InputError` where they
        are not, and where they differ between outputs that are compared.
        """
        last = self.layers[-1]
        factors, added = (
            np.array(check_shape(f"scale_outputs: {field}", values, (self.n_out,)))
            for field, values in (("scale", scale), ("offset", offset))
        )
        check_positive("scale_outputs: scale", float(factors.min()))
        with np.errstate(over="ignore", invalid="ignore"):
            steps, offsets = last.steps * factors, last.offsets * factors + added
            ends = np.outer(code_range(self.bits[-1]), steps) + offsets
        check_array("scale_outputs: offset", offsets)
        check_positive("scale_outputs: scale", float(check_array("scale_outputs: scale", steps).min()))
        if not np.isfinite(ends).all():
            raise InputError("scale_outputs: some outputs would be infinite; give a smaller scale or offset")
        scaled = replace(last, steps=steps, offsets=offsets)
        if self.output == "argmax" and not scaled.is_uniform:
            raise InputError("scale_outputs: outputs that are compared share both; give one scale and one offset")
        for array in (scaled.steps, scaled.offsets):
            array.flags.writeable = False
        return replace(self, layers=(*self.layers[:-1], scaled))

    def with_quantiser(self, quantiser: Quantiser | FixedQuantiser) -> Self:
        """Give the same network with another quantiser in front of its first layer.

        Raises
        ------
        InputError
            If the quantiser makes other codes than the first layer takes.
        """
        if quantiser.n_in != self.n_in or quantiser.bits != self.bits[0]:
            raise InputError(
                f"quantiser: makes {quantiser.n_in} codes of {quantiser.bits} bits; the network takes "
                f"{self.n_in} of {self.bits[0]}"
            )
        return replace(self, quantiser=quantiser)

    def head(self, layers: int) -> Self:
        """Give the network of the first ``layers`` layers, whose predictions are the codes of the last of them."""
        count = check_integer("layers", layers, 1, len(self.layers))
        return replace(self, layers=self.layers[:count], output="raw", thresholds=())

    # What it gives.

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """Predict for real inputs.

        Parameters
        ----------
        x : array ``(n, n_in)``, or ``(n_in,)`` for one sample

        Returns
        -------
        array
            For the output stage ``raw`` real numbers ``(n, n_out)``; for ``argmax`` classes ``(n,)``; for
            ``threshold`` zeros and ones ``(n, n_out)``, or ``(n,)`` where there is one output, as classes. Of one
            sample the first axis is missing.

        Raises
        ------
        InputError
            If ``x`` is not such an array, or holds a number that is none.
        """
        rows, single = self.real_rows(x)
        result = self.values_of(self.predict_codes(self.quantiser.codes(rows)))
        return result[0] if single else result

    def predict_codes(self, codes: npt.ArrayLike) -> Codes:
        """Predict as the component does: numbers ``(n, n_predictions)`` for input codes ``(n, n_in)``."""
        return self.outputs_of(self.layer_codes(codes)[-1])

    def layer_codes(self, codes: npt.ArrayLike) -> list[Codes]:
        """Give the codes after every layer, each ``(n, n_out)`` of its layer, for input codes ``(n, n_in)``."""
        values = self.check_codes(codes)
        result = []
        for layer in self.layers:
            values = layer.evaluate(values)
            result.append(values)
        return result

    def outputs_of(self, codes: Codes) -> Codes:
        """Give what the output stage makes of the last layer's codes ``(n, n_out)``, as ``(n, n_predictions)``."""
        if self.output == "argmax":
            best: Codes = np.argmax(codes, axis=1)[:, None].astype(np.int64)
            return best
        if self.output == "threshold":
            return (codes > np.array(self.thresholds)).astype(np.int64)
        return codes

    def values_of(self, predictions: Codes) -> npt.NDArray[Any]:
        """Turn predictions of the component ``(n, n_predictions)`` into what :meth:`predict` gives."""
        if self.output == "raw":
            return self.layers[-1].real_values(predictions)
        return predictions[:, 0] if predictions.shape[1] == 1 else predictions

    def check_codes(self, codes: npt.ArrayLike) -> Codes:
        """Check that ``codes`` are codes of the inputs, ``(n, n_in)``.

        Raises
        ------
        InputError
            If they have another shape or type, or are out of range.
        """
        array = rectangular_array("codes", codes, f"must be (n, {self.n_in})")
        if array.ndim != 2 or array.shape[1] != self.n_in:
            raise InputError(f"codes: shape {array.shape}; must be (n, {self.n_in})")
        if array.dtype.kind not in "iu":
            raise InputError(f"codes: type {array.dtype}; give integers, or real numbers to predict")
        low, high = code_range(self.bits[0])
        if array.size and (array.min() < low or array.max() > high):
            raise InputError(f"codes: from {array.min()} to {array.max()}; {self.bits[0]} bits hold {low} to {high}")
        return array.astype(np.int64)

    def real_rows(self, x: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], bool]:
        """Give real inputs as rows ``(n, n_in)``, and whether they were a single sample.

        Raises
        ------
        InputError
            If ``x`` has another shape, or holds a number that is none.
        """
        array = as_array("x", x, f"shape (n, {self.n_in})").astype(np.float64)
        single = array.ndim == 1
        rows = array[None] if single else array
        if rows.ndim != 2 or rows.shape[1] != self.n_in:
            raise InputError(f"x: shape {array.shape}; must be (n, {self.n_in}), or ({self.n_in},) for one sample")
        if np.isnan(rows).any():
            index = np.argwhere(np.isnan(rows))[0]
            raise InputError(f"x[{', '.join(map(str, index[single:]))}] = nan: give a number")
        return rows, single

    # Files.

    _kind = "network"
    _entry = "network"
    _format = "kanrtl lookup network 2"
    _former_formats = ("kanrtl lookup network 1",)  # without steps and offsets of single nodes

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
        for index, layer in enumerate(self.layers):
            if not layer.is_uniform:
                yield f"steps_{index}", layer.steps
                yield f"offsets_{index}", layer.offsets
        yield "thresholds", np.array(self.thresholds, dtype=np.int64)
        yield from self.quantiser.arrays()
        for index, layer in enumerate(self.layers):
            for field in _LAYER_ARRAYS:
                yield f"{field}_{index}", _smallest(getattr(layer, field))

    @classmethod
    def _restore(cls, about: dict[str, Any], arrays: Arrays) -> Self:
        sizes = about["layer_sizes"]
        kind = about["quantiser"]["kind"]
        if kind not in QUANTISERS:
            raise InputError(f"quantiser: the kind {kind!r} is not known; save it with this version")
        return cls.of(
            sizes,
            about["bits"],
            _of_nodes("steps", arrays["steps"].tolist(), arrays, 1),
            [{field: arrays[f"{field}_{index}"] for field in _LAYER_ARRAYS} for index in range(len(sizes) - 1)],
            guard_bits=about["guard_bits"],
            offsets=_of_nodes("offsets", arrays["offsets"].tolist(), arrays),
            quantiser=QUANTISERS[kind].from_archive(about["quantiser"], arrays),
            output=about["output"],
            thresholds=arrays["thresholds"].tolist() if about["output"] == "threshold" else None,
        )


_LAYER_ARRAYS = ("source", "node", "table", "bias")


def _of_nodes(field: str, given: list[npt.ArrayLike], arrays: Arrays, first: int = 0) -> list[npt.ArrayLike]:
    """Give one number for each layer, the first at ``first``, or where a file has them one for each node."""
    return [*given[:first], *(arrays.get(f"{field}_{index}", one) for index, one in enumerate(given[first:]))]


def _smallest(array: Codes) -> npt.NDArray[Any]:
    """Give the same integers in the smallest type that holds them."""
    if not array.size:
        return array.astype(np.int8)
    kind = np.result_type(np.min_scalar_type(int(array.min())), np.min_scalar_type(int(array.max())), np.int8)
    return array.astype(kind)
