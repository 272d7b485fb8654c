"""What moves along with the steps of a folded layer's passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from amaranth.hdl import Array, Module, Signal, Value

from ...fabric.parts import Parts
from ..folded_schedule import Passes

__all__ = ["StepFlow", "choose", "count_delay"]


def choose(values: Sequence[Value], index: Value) -> Value:
    """One of ``values``, all of the same shape; where there is no other, ``index`` is not looked at."""
    return values[0] if len(values) == 1 else Array(values)[index]


class StepFlow:
    """Delays what the steps carry, so that it meets again what has taken longer.

    A value keeps still for the ``step_cycles`` of its step. An offset is a number of cycles after a step's beginning.

    Parameters
    ----------
    passes
        Of the layer.
    step
        Bit ``t`` is high in the cycle ``t`` cycles after a step's beginning; only looked at with serial multipliers.
    """

    def __init__(self, m: Module, passes: Passes, step: Value) -> None:
        self._m = m
        self._passes = passes
        self._step = step

    def delay(self, value: Any, since: int, until: int, name: str) -> Any:
        """``value``, which is there at offset ``since``, at offset ``until``."""
        cycles = self._passes.step_cycles
        while since < until:
            # Through a serial multiplication, one register that is loaded at the end of a step does for many.
            whole = cycles > 1 and until - since >= cycles
            since += cycles if whole else 1
            later = Signal(value.shape(), name=f"{name}_{since}", reset_less=True)
            with self._m.If(self._step[since - 1] if whole else 1):
                self._m.d.sync += later.eq(value)
            value = later
        return value

    def meet(self, value: Any, since: int, until: int, name: str) -> Any:
        """As :meth:`delay`, for a value that follows from the sample and the step alone: a single step leaves it as it
        is."""
        return value if self._passes.steps == 1 else self.delay(value, since, until, name)

    def follow(self, value: Any, offsets: Iterable[int], name: str) -> dict[int, Any]:
        """``value``, which is there as a step begins, at several offsets, through registers in common."""
        cycles = self._passes.step_cycles
        found = {0: value}

        def at(offset: int) -> Any:
            if offset not in found:
                since = offset - (cycles if offset >= cycles else 1)
                found[offset] = self.delay(at(since), since, offset, name)
            return found[offset]

        return {offset: at(offset) for offset in offsets}


def count_delay(parts: Parts, passes: Passes, bits: int, since: int, until: int) -> None:
    """Count what :meth:`StepFlow.delay` takes."""
    cycles, span = passes.step_cycles, max(0, until - since)
    parts.register(bits * (sum(divmod(span, cycles)) if cycles > 1 else span))
