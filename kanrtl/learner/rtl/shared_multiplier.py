"""A multiplier that passes share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Format
from ..plan import LayerPlan
from .multiply import multiply
from .serial_multiplier import SerialMultiplier, count_serial_multiplier

__all__ = ["SharedMultiplier", "count_shared_multiplier", "product_format"]

Operands = tuple[Format, Format]


def product_format(a: Format, b: Format) -> Format:
    """The format of an exact product, of which ``a`` is signed."""
    return Format(True, a.i + b.i, a.f + b.f)


def _common_format(formats: Sequence[Format]) -> Format:
    """What holds the codes of all of them."""
    signed = any(format.signed for format in formats)
    return Format(signed, max(format.width + (signed and not format.signed) for format in formats), 0)


class SharedMultiplier(wiring.Component):  # type: ignore[misc]
    """``a * b``, exact, for several uses that never meet: by a multiplier, in logic, or a bit of ``b`` a cycle.

    Parameters
    ----------
    uses
        Formats of ``a`` and ``b``, by the names of the uses; ``a`` is signed.
    plan
        How the layer multiplies.

    Members
    -------
    a, b : In, operands by use; with a serial multiplier ``a`` is held for its cycles
    chosen : In, a bit for each use but the first: its operands are multiplied, those of the first where none is high
    start, last : In(1), as those of :class:`.SerialMultiplier`; they matter only to it
    product : Out, by use, ``latency`` cycles after its operands
    """

    def __init__(self, uses: Mapping[str, Operands], plan: LayerPlan) -> None:
        self._plan = plan
        self._a, self._b = (_common_format([use[side] for use in uses.values()]).as_shape() for side in (0, 1))
        self._first, *self._others = uses
        super().__init__(
            {
                "a": In(data.StructLayout({name: a for name, (a, _) in uses.items()})),
                "b": In(data.StructLayout({name: b for name, (_, b) in uses.items()})),
                "chosen": In(data.StructLayout(dict.fromkeys(self._others, 1))),
                "start": In(1),
                "last": In(1),
                "product": Out(data.StructLayout({name: product_format(a, b) for name, (a, b) in uses.items()})),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from the operands to their product: none, or those of a serial multiplication."""
        return self._plan.passes.step_cycles if self._plan.serial else 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        a, b = self.a[self._first].raw, self.b[self._first].raw
        for name in self._others:
            a, b = (Mux(self.chosen[name], side[name].raw, other) for side, other in ((self.a, a), (self.b, b)))
        multiplicand, multiplier = Signal(self._a), Signal(self._b)
        m.d.comb += [multiplicand.eq(a), multiplier.eq(b)]
        if self._plan.serial:
            m.submodules.serial = serial = SerialMultiplier(self._a, self._b, self.latency)
            m.d.comb += [
                serial.a.eq(multiplicand),
                serial.b.eq(multiplier),
                serial.start.eq(self.start),
                serial.last.eq(self.last),
            ]
            exact = serial.product
        else:
            operands = [FixedValue(Format(v.shape().signed, len(v), 0), v) for v in (multiplicand, multiplier)]
            result = multiply(m, *operands, in_logic=self._plan.in_logic).raw
            exact = Signal(result.shape(), name="exact")
            m.d.comb += exact.eq(result)
        m.d.comb += [self.product[name].raw.eq(exact) for name in (self._first, *self._others)]
        return m


def count_shared_multiplier(parts: Parts, plan: LayerPlan, uses: Sequence[Operands], times: int) -> None:
    """Count what ``times`` :class:`SharedMultiplier` have, with the registers behind them."""
    a, b = (_common_format([use[side] for use in uses]) for side in (0, 1))
    parts.choice(a.width + b.width, len(uses), times)
    if plan.serial:
        count_serial_multiplier(parts, a, b, plan.passes.step_cycles, times)
        return
    parts.product(a, b, in_logic=plan.in_logic, times=times)
    if plan.ends("multiply") and plan.in_logic:
        parts.register((a.width + b.width) * times, moved=False)
