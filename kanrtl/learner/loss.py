"""What a loss has to give: its gradient in integers, in real numbers and in hardware, and what that costs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, ClassVar

import numpy.typing as npt
from amaranth.hdl import Module

from ..fabric.parts import Parts
from ..numeric.fixed import Codes, FixedValue, Format
from ..numeric.stacking import shift_left, stack_shifts
from .arithmetic import LayerArithmetic
from .formats import Formats

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class CompiledGradient:
    """An exact gradient as machine code can form it: a value, or what a table holds for it, minus the target."""

    value_up: int
    """The bits by which the value is shifted to the left before the target is subtracted."""
    target_up: int
    """The bits by which the target is."""
    uses_value: bool = True
    """Whether there is a value; else the gradient is the target."""
    table: Array | None = None
    """Entries for values, the lowest first; a value's row is its code without the low ``row_shift`` bits, clamped."""
    row_bits: int = 1
    row_shift: int = 0

    @classmethod
    def difference(cls, value: Format, target: Format) -> CompiledGradient:
        """Subtract codes of a target from those of a value, with the fraction bits of the finer of the two."""
        finest = max(value.f, target.f)
        return cls(finest - value.f, finest - target.f)


class Loss(ABC):
    """A loss L of the outputs y: its gradient dL/dy, exact, before it is narrowed once to the gradient's format.

    A gradient is a function of a value of the node and of its target. The value is the node's exact sum, so that
    neither the rounding nor the saturation of y limits it, or y itself where :attr:`reads_outputs` says so.
    """

    takes_gradients: ClassVar[bool] = False
    """Whether the teacher sends the gradients themselves; there are then no targets."""

    binary_targets: ClassVar[bool] = False
    """Whether targets are 0 and 1, and outputs are logits."""

    target_range: ClassVar[tuple[float, float]] = (-inf, inf)
    """The lowest and the highest target for which the gradient is one of this loss; others are refused."""

    reads_outputs: ClassVar[bool] = False
    """Whether the gradient is a function of the rounded outputs, rather than of the exact node sums."""

    is_difference: ClassVar[bool] = False
    """Whether the gradient is the exact node sum minus the target: the adder tree of the last layer can then form
    it."""

    largest_gradient: ClassVar[float] = inf
    """The largest magnitude of dL/dy, whatever the output."""

    curvature: ClassVar[float] = 1.0
    """The largest second derivative: the flatter a loss is, the longer a step may be."""

    def target_format(self, formats: Formats) -> Format:
        """The format of what the teacher sends, from those of the last layer."""
        return formats.output

    @abstractmethod
    def gradient_format(self, layer: LayerArithmetic) -> Format:
        """The format of the exact gradient at the outputs of ``layer``."""

    def saturates(self, layer: LayerArithmetic, rounding: str) -> bool:
        """Whether a gradient may not fit its format."""
        return True

    def clips(self, layer: LayerArithmetic, rounding: str) -> bool:
        """Whether a gradient may be beyond its format, or the limit that the layer sets to it."""
        return layer.gradient_limit is not None or self.saturates(layer, rounding)

    @abstractmethod
    def in_integers(self, layers: Sequence[LayerArithmetic]) -> Callable[[Array, Array], Array]:
        """For the last layers of several learners, a function of values and targets that gives exact gradients: codes
        in :meth:`gradient_format`. All have the nodes of a layer along the last axis but one, and the learners along
        the last."""

    def compiled(self, layer: LayerArithmetic) -> CompiledGradient | None:
        """The gradient of the last layer's nodes in machine code, the same as :meth:`in_integers`; None where it has
        another form, so that the learner runs on other backends only."""
        return None

    @abstractmethod
    def in_reals(self, value: Array, target: Array) -> Array:
        """Gradients in real numbers, of values that nothing has rounded."""

    @abstractmethod
    def in_hardware(
        self, m: Module, layer: LayerArithmetic, value: FixedValue, target: FixedValue, name: str
    ) -> FixedValue:
        """The exact gradient of one node, combinational, in :meth:`gradient_format`; submodules of ``m`` get names that
        end in ``name``."""

    def without_contents(self) -> Loss:
        """The same loss in hardware in which no memory may have initial contents: by default this one, which has no
        memory."""
        return self

    def count(self, parts: Parts, layer: LayerArithmetic) -> None:
        """Count what :meth:`in_hardware` takes for all nodes of ``layer``: here a subtraction."""
        parts.adder(self.gradient_format(layer).width, layer.n_out)


def subtract_targets(values: Sequence[Format], targets: Sequence[Format]) -> Callable[[Array, Array], Array]:
    """A function that subtracts codes of targets from codes of values, with the fraction bits of the finer of the two;
    formats by learner."""
    finest = [max(value.f, target.f) for value, target in zip(values, targets, strict=True)]
    value_up = stack_shifts(fraction - value.f for fraction, value in zip(finest, values, strict=True))
    target_up = stack_shifts(fraction - target.f for fraction, target in zip(finest, targets, strict=True))
    return partial(_subtract, value_up, target_up)


def _subtract(value_up: Codes | None, target_up: Codes | None, value: Array, target: Array) -> Array:
    difference: Array = shift_left(value, value_up) - shift_left(target, target_up)
    return difference
