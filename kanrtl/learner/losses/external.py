"""A loss that is computed elsewhere: the teacher sends dL/dy, in the gradient's format."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amaranth.hdl import Module

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Format
from ..arithmetic import LayerArithmetic
from ..formats import Formats
from ..loss import Array, CompiledGradient, Loss


def _second(_value: Array, gradient: Array) -> Array:
    return gradient


class _External(Loss):
    takes_gradients = True

    def target_format(self, formats: Formats) -> Format:
        return formats.gradient

    def gradient_format(self, layer: LayerArithmetic) -> Format:
        return layer.formats.gradient

    def saturates(self, layer: LayerArithmetic, rounding: str) -> bool:
        return False

    def in_integers(self, layers: Sequence[LayerArithmetic]) -> Callable[[Array, Array], Array]:
        return _second

    def compiled(self, layer: LayerArithmetic) -> CompiledGradient:
        return CompiledGradient(0, 0, uses_value=False)

    def in_reals(self, value: Array, target: Array) -> Array:
        return target

    def in_hardware(
        self, m: Module, layer: LayerArithmetic, value: FixedValue, target: FixedValue, name: str
    ) -> FixedValue:
        return target

    def count(self, parts: Parts, layer: LayerArithmetic) -> None:
        pass


LOSS = _External()
