"""Multiplication by shift and add."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["SerialMultiplier"]


class SerialMultiplier(wiring.Component):  # type: ignore[misc]
    """``a * b``, one bit of ``b`` a clock.

    The product's register takes ``b``'s bits in its low end as they wait, and gives them up as the product moves in:
    beside it there is one adder as wide as ``a``.

    Parameters
    ----------
    a, b
        Shapes of the operands; ``a`` is signed.
    clocks
        Bits of ``b`` that are gone through: all of them, or more.

    Members
    -------
    a : In, held for ``clocks`` cycles
    b : In, taken with ``start``
    start : In(1), high in the first of them
    last : In(1), high in the last of them; only with a signed ``b``, whose last bit is negative
    product : Out, there in the cycle after the last
    """

    def __init__(self, a: Shape, b: Shape, clocks: int) -> None:
        assert a.signed
        assert clocks >= b.width
        self._clocks = clocks
        members: dict[str, Any] = {
            "a": In(a),
            "b": In(b),
            "start": In(1),
            "product": Out(Shape(a.width + clocks, signed=True)),
        }
        if b.signed:
            members["last"] = In(1)
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        extended = Signal(Shape(self._clocks, self.b.shape().signed))
        m.d.comb += extended.eq(self.b)
        waiting = Mux(self.start, extended, self.product[: self._clocks])[: self._clocks]
        so_far = self.product[self._clocks :].as_signed()
        zero = Const(0, 1)
        addend = Mux(waiting[0], self.a, zero)
        if hasattr(self, "last"):
            # Minus a as its complement, and one carried in: a negative bit costs no second adder.
            minus = Signal()
            m.d.comb += minus.eq(self.last & waiting[0])
            addend = (addend ^ minus.replicate(len(self.a)).as_signed()) + minus
        total = Signal(Shape(len(self.a) + 1, signed=True))
        m.d.comb += total.eq(Mux(self.start, zero, so_far) + addend)
        m.d.sync += self.product.eq(Cat(waiting[1:], total))
        return m
