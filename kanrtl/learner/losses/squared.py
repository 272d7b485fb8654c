"""The squared error, L = (y - t)^2 / 2: its gradient is the exact node sum minus the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amaranth.hdl import Module

from ...numeric.fixed import FixedValue, Format, fits
from ..arithmetic import LayerArithmetic
from ..loss import Array, CompiledGradient, Loss, subtract_targets


class _Squared(Loss):
    is_difference = True

    def gradient_format(self, layer: LayerArithmetic) -> Format:
        return layer.error_sum

    def saturates(self, layer: LayerArithmetic, rounding: str) -> bool:
        return not fits(*layer.error_bounds, layer.error_sum.f, layer.formats.gradient, rounding)

    def in_integers(self, layers: Sequence[LayerArithmetic]) -> Callable[[Array, Array], Array]:
        return subtract_targets([layer.node_sum for layer in layers], [layer.formats.output for layer in layers])

    def compiled(self, layer: LayerArithmetic) -> CompiledGradient:
        return CompiledGradient.difference(layer.node_sum, layer.formats.output)

    def in_reals(self, value: Array, target: Array) -> Array:
        return value - target

    def in_hardware(
        self, m: Module, layer: LayerArithmetic, value: FixedValue, target: FixedValue, name: str
    ) -> FixedValue:
        return value - target


LOSS = _Squared()
