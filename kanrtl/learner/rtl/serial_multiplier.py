"""Multiplication by shift and add."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import Format

__all__ = ["SerialMultiplier", "count_serial_multiplier"]


class SerialMultiplier(wiring.Component):  # type: ignore[misc]
    """``a * b``, one bit of ``b`` a cycle.

    The product's register takes ``b``'s bits in its low end as they wait, and gives them up as the product moves in:
    beside it there is one adder as wide as ``a``.

    Parameters
    ----------
    a, b
        Shapes of the operands; ``a`` is signed.
    cycles
        Bits of ``b`` that are gone through: all of them, or more.

    Members
    -------
    a : In, held for ``cycles`` cycles
    b : In, taken with ``start``
    start : In(1), high in the first of them
    last : In(1), high in the last of them: the highest bit of a signed ``b`` is negative; with an unsigned ``b`` it
        changes nothing
    product : Out, ``latency`` cycles after ``start``, until the next begins
    """

    def __init__(self, a: Shape, b: Shape, cycles: int) -> None:
        assert a.signed
        assert cycles >= b.width
        self._cycles = cycles
        super().__init__(
            {
                "a": In(a),
                "b": In(b),
                "start": In(1),
                "last": In(1),
                "product": Out(Shape(a.width + cycles, signed=True)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``start`` to the product."""
        return self._cycles

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        extended = Signal(Shape(self._cycles, self.b.shape().signed))
        m.d.comb += extended.eq(self.b)
        waiting = Mux(self.start, extended, self.product[: self._cycles])[: self._cycles]
        so_far = self.product[self._cycles :].as_signed()
        zero = Const(0, 1)
        addend = Mux(waiting[0], self.a, zero)
        if self.b.shape().signed:
            # Minus a as its complement, and one carried in: a negative bit costs no second adder.
            minus = Signal()
            m.d.comb += minus.eq(self.last & waiting[0])
            addend = (addend ^ minus.replicate(len(self.a)).as_signed()) + minus
        total = Signal(Shape(len(self.a) + 1, signed=True))
        m.d.comb += total.eq(Mux(self.start, zero, so_far) + addend)
        m.d.sync += self.product.eq(Cat(waiting[1:], total))
        return m


def count_serial_multiplier(parts: Parts, a: Format, b: Format, cycles: int, times: int) -> None:
    """Count what ``times`` :class:`SerialMultiplier` have."""
    parts.register((a.width + cycles) * times, moved=False)
    # The waiting bits, the term that the next of them gives, the sum so far or none, and their adder.
    parts.counts["serial"] += (cycles + (3 + b.signed) * a.width + 1) * times
