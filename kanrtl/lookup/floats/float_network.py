"""A trained network in real numbers, whichever program trained it, and the tables made from it.

All importers lead here, and all tables come from here. What a layer is made of is in :mod:`.float_layer`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from ...arrays import Reals
from ...errors import InputError
from ..network import LookupNetwork
from ..notes import Note
from ..number_checks import (
    CODES,
    LAYERS,
    check_bits,
    check_each_guard_bits,
    check_positive,
    check_shape,
    check_stage,
    list_each,
)
from ..quantiser import Quantiser
from ..saved_network import Arrays, SavedNetwork
from ..scales import CodeScale
from .edge_functions import EdgeFunctions, NamedFunctions, PythonFunctions
from .float_layer import FloatLayer
from .sampled_functions import SampledFunctions, Splines

FUNCTION_KINDS: dict[str, type[EdgeFunctions]] = {
    one.kind: one for one in (Splines, NamedFunctions, SampledFunctions, PythonFunctions)
}
"""The kinds of functions that edges are made of, by the names that files have for them."""


@dataclass(frozen=True, eq=False)
class FloatNetwork(SavedNetwork):
    """A KAN in real numbers: real-valued layers behind an affine map of every input, ``z = x * scale + offset``.

    Attributes
    ----------
    layers : tuple of FloatLayer
        All layers, first layer first.
    input_scale, input_offset : arrays ``(n_in,)``
        The constants of the map.
    notes : tuple of Note
        What an importer assumed, or left out of the file.
    """

    layers: tuple[FloatLayer, ...]
    input_scale: Reals
    input_offset: Reals
    notes: tuple[Note, ...] = ()

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
            check_shape(field, values, (n_in,))
            for field, values in (("input_scale", input_scale), ("input_offset", input_offset))
        ]
        return cls(tuple(layers), affine[0], affine[1])

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
        bits: int | Sequence[int],
        steps: float | Sequence[npt.ArrayLike],
        *,
        offsets: float | Sequence[npt.ArrayLike] | None = None,
        guard_bits: int | Sequence[int] | None = None,
        saturate: bool = True,
        output: str = "raw",
        thresholds: Sequence[int] | None = None,
    ) -> LookupNetwork:
        """Make the tables of all edges; :func:`~kanrtl.lookup.calibrate` finds steps and offsets.

        Parameters
        ----------
        bits, steps
            How many bits a code has, and the real value of its LSB: of the inputs, then of every layer's nodes; or
            one number for all. A step is one number, or one for each input or node: that costs no hardware, as tables
            take it in.
        offsets
            The real values of code zero, in the same order; zeros where they are left out.
        guard_bits
            By how many bits the tables of each layer are finer than its nodes; zeros where they are left out.
        saturate
            Whether table entries end where an edge alone leaves the range of its node, as those of KANELÉ do. Edges
            that cancel each other need ``False``. Biases do not end there.
        output, thresholds
            As for :meth:`LookupNetwork.of`.

        Raises
        ------
        InputError
            If an argument is refused, by its name.
        """
        check_stage(output, self.layer_sizes[-1])
        count = len(self.layers)
        given = {"bits": bits, "steps": steps, "offsets": 0.0 if offsets is None else offsets}
        each = (list_each(field, values, count + 1, CODES) for field, values in given.items())
        scales = [_code_scale(index, *values) for index, values in enumerate(zip(self.layer_sizes, *each, strict=True))]
        guards = check_each_guard_bits("guard_bits", 0 if guard_bits is None else guard_bits, count, LAYERS)
        made = [
            layer.tables(scales[index], scales[index + 1], guards[index], saturate)
            for index, layer in enumerate(self.layers)
        ]
        notes = [
            Note(
                "clipped",
                f"layers.{index} tables",
                count,
                "an edge alone leaves the range of its node, or an entry 31 bits",
            )
            for index, (_, count) in enumerate(made)
            if count
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
            [float(np.sort(inputs.step)[len(inputs.step) // 2]), *(scale.step for scale in scales[1:])],
            [tables for tables, _ in made],
            guard_bits=guards,
            offsets=[scale.offset for scale in scales[1:]],
            quantiser=quantiser,
            output=output,
            thresholds=thresholds,
        ).with_notes([*self.notes, *notes])

    # Files.

    _kind = "FloatKAN"
    _entry = "kan"
    _format = "kanrtl float kan 1"

    def _about(self) -> dict[str, Any]:
        about: dict[str, Any] = {"base": [None if layer.splines is None else layer.base for layer in self.layers]}
        if None in about["base"]:
            about["functions"] = [
                None if layer.splines is not None else [{"kind": one.kind, **one.about()} for one in layer.functions]
                for layer in self.layers
            ]
        return about

    def _content(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        yield "input_scale", self.input_scale
        yield "input_offset", self.input_offset
        for index, layer in enumerate(self.layers):
            if layer.splines is not None:
                for field in _SPLINE_ARRAYS:
                    yield f"{field}_{index}", getattr(layer, field)
                continue
            for field in _LAYER_ARRAYS:
                yield f"{field}_{index}", getattr(layer, field)
            for number, group in enumerate(layer.functions):
                for field, array in group.arrays().items():
                    yield f"{field}_{index}_{number}", array

    @classmethod
    def _restore(cls, about: dict[str, Any], arrays: Arrays) -> Self:
        functions = about["functions"] if None in about["base"] else about["base"]
        if len(functions) != len(about["base"]):
            raise InputError(f"functions: of {len(functions)} layers; there are {len(about['base'])}; {cls._mend()}")
        layers = [
            _restore_functions(index, functions[index], arrays)
            if base is None
            else FloatLayer.of(
                f"layer {index}", base=base, **{field: arrays[f"{field}_{index}"] for field in _SPLINE_ARRAYS}
            )
            for index, base in enumerate(about["base"])
        ]
        return cls.of(layers, arrays["input_scale"], arrays["input_offset"])


def _restore_functions(index: int, about: Sequence[dict[str, Any]], arrays: Arrays) -> FloatLayer:
    """Make a layer that is not one of splines of its description and arrays."""
    groups = []
    for number, group in enumerate(about):
        kind = group["kind"]
        if kind not in FUNCTION_KINDS:
            raise InputError(f"layer {index}.functions: {kind!r} is not known; save it with this version")
        suffix = f"_{index}_{number}"
        own = {name.removesuffix(suffix): array for name, array in arrays.items() if name.endswith(suffix)}
        try:
            groups.append(FUNCTION_KINDS[kind].from_archive(f"layer {index}.functions[{number}]", group, own))
        except KeyError as error:
            raise KeyError(f"{error.args[0]}{suffix}") from None
    fields = {field: arrays[f"{field}_{index}"] for field in _LAYER_ARRAYS}
    return FloatLayer.of_functions(f"layer {index}", groups, **fields)


Kan = TypeVar("Kan", bound=FloatNetwork)
"""A network that is calibrated, pruned or searched, and keeps its class."""

_SPLINE_ARRAYS = ("knots", "coefficients", "base_weights", "edges", "bias")

_LAYER_ARRAYS = ("weights", "edges", "bias")


def _code_scale(index: int, size: int, bits: int, step: npt.ArrayLike, offset: npt.ArrayLike) -> CodeScale:
    steps = check_shape(f"steps[{index}]", step, (size,))
    check_positive(f"steps[{index}]", steps.min())
    return CodeScale(check_bits(f"bits[{index}]", bits), steps, check_shape(f"offsets[{index}]", offset, (size,)))
