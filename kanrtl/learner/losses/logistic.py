"""The cross entropy of sigmoid(y): its gradient is sigmoid(y) - target, with the sigmoid from a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Any

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import memory

from ...fabric.logic_table import look_up
from ...fabric.parts import Parts
from ...numeric.fixed import SQ, Codes, FixedValue, Format
from ...numeric.sigmoid import Sigmoid
from ...numeric.stacking import stack_attributes
from ..arithmetic import LayerArithmetic
from ..loss import Array, CompiledGradient, Loss, subtract_targets


def _sigmoid(layer: LayerArithmetic) -> Sigmoid:
    return Sigmoid.of(layer.formats.output, layer.formats.gradient)


def _subtract_from_sigmoid(
    rows: Any, table: Codes, first: Codes, subtract: Callable[[Array, Array], Array], y: Array, target: Array
) -> Array:
    return subtract(table.take(Sigmoid.row(rows, y) + first), target)


class _Logistic(Loss):
    """See the module; ``contents``: whether the table may be the initial contents of a memory."""

    def __init__(self, *, contents: bool = True) -> None:
        self._contents = contents

    binary_targets = True
    target_range = (0.0, 1.0)
    reads_outputs = True
    largest_gradient = 1.0
    curvature = 0.25

    def gradient_format(self, layer: LayerArithmetic) -> Format:
        output = layer.formats.output
        return SQ(output.i + 1, max(_sigmoid(layer).value.f, output.f))

    def in_integers(self, layers: Sequence[LayerArithmetic]) -> Callable[[Array, Array], Array]:
        sigmoids = [_sigmoid(layer) for layer in layers]
        rows = stack_attributes(sigmoids, "row_bits", "row_shift")
        table = np.concatenate([sigmoid.table for sigmoid in sigmoids])
        first = np.cumsum([0] + [len(sigmoid.table) for sigmoid in sigmoids[:-1]])
        subtract = subtract_targets([sigmoid.value for sigmoid in sigmoids], [layer.formats.output for layer in layers])
        return partial(_subtract_from_sigmoid, rows, table, first, subtract)

    def compiled(self, layer: LayerArithmetic) -> CompiledGradient:
        sigmoid = _sigmoid(layer)
        difference = CompiledGradient.difference(sigmoid.value, layer.formats.output)
        return replace(difference, table=sigmoid.table, row_bits=sigmoid.row_bits, row_shift=sigmoid.row_shift)

    def in_reals(self, value: Array, target: Array) -> Array:
        probability: Array = (1 + np.tanh(value / 2)) / 2  # sigmoid(y), without the overflow of exp(-y)
        return probability - target

    def in_hardware(
        self, m: Module, layer: LayerArithmetic, value: FixedValue, target: FixedValue, name: str
    ) -> FixedValue:
        sigmoid = _sigmoid(layer)
        step = value.raw >> sigmoid.row_shift
        half = 1 << (sigmoid.row_bits - 1)
        clamped = Mux(step < -half, Const(-half, sigmoid.row_bits), Mux(step >= half, half - 1, step))
        # Rows count from the lowest y: the sign bit is turned over.
        row, words, width = clamped[: sigmoid.row_bits] ^ half, [int(one) for one in sigmoid.table], sigmoid.value.width
        if not self._contents:
            reached = Signal(sigmoid.row_bits, name=f"sigmoid_row{name}")
            m.d.comb += reached.eq(row)
            return FixedValue(sigmoid.value, look_up(reached, words, width)) - target
        rom = memory.Memory(shape=width, depth=1 << sigmoid.row_bits, init=words, attrs={"ram_style": "logic"})
        m.submodules[f"sigmoid{name}"] = rom
        port = rom.read_port(domain="comb")
        m.d.comb += port.addr.eq(row)
        return FixedValue(sigmoid.value, port.data) - target

    def without_contents(self) -> Loss:
        return _Logistic(contents=False)

    def count(self, parts: Parts, layer: LayerArithmetic) -> None:
        super().count(parts, layer)
        sigmoid = _sigmoid(layer)
        parts.counts["truth table"] += ceil(layer.n_out * (1 << sigmoid.row_bits) * sigmoid.value.f / 16)
        parts.counts["limit"] += layer.n_out * sigmoid.row_bits


LOSS = _Logistic()
