"""Where an input lies on the grid."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import Format
from ...numeric.spline import Locator
from ..plan import LayerPlan, LocatedSum
from .multiply import add_three, add_tree, multiply_by_constant, shifted_terms


class Locate(wiring.Component):  # type: ignore[misc]
    """Cell and table row of an input. See :class:`kanrtl.numeric.spline.Locator` for the equation.

    Parameters
    ----------
    locator, format
        Of the grid, and of its inputs.
    exact
        Where the input is an exact sum, instead of one that is rounded to ``format``, and saturated.
    registered
        Whether the position is held in a register; otherwise all is combinational.

    Members
    -------
    x : In, input in ``format``, or that of the exact sum
    take : In(1), load the register at the clock edge; only with ``registered``
    cell : Out, ``[0, grid_size)``
    row : Out, table row, the high bits of the fraction within the cell
    inside : Out(1), low where the input was beyond the grid and has been clamped
    """

    def __init__(
        self,
        locator: Locator,
        format: Format,
        *,
        registered: bool = False,
        exact: LocatedSum | None = None,
    ) -> None:
        self._locator = locator
        self._format = format
        self._exact = exact
        self._registered = registered
        members = {
            "x": In(exact.format if exact else format),
            "cell": Out((locator.grid_size - 1).bit_length()),
            "row": Out(locator.row_bits),
            "inside": Out(1),
        }
        super().__init__(members | ({"take": In(1)} if registered else {}))

    @property
    def latency(self) -> int:
        """Cycles from ``x`` to the others."""
        return int(self._registered)

    def _scaled_sum(self, m: Module, exact: LocatedSum) -> Value:
        """Scale times the input, and the offset."""
        scale = self._locator.scale
        cut = self.x.raw[exact.dropped :].as_signed()
        terms = shifted_terms(cut, scale)
        if not exact.offset:
            return add_tree(terms)
        constant = Const(exact.offset, signed(exact.offset.bit_length() + 1))
        if len(terms) != 2:
            return add_tree([*terms, constant])
        width = len(cut) + scale.bit_length() + 1
        width = max(width, len(constant)) + 1
        return add_three(m, terms[0], terms[1], constant, width=width, zeros=0).as_signed()

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        locator = self._locator
        if self._exact:
            scaled = self._scaled_sum(m, self._exact)
        elif locator.offset % locator.scale:
            scaled = multiply_by_constant(self.x.raw, locator.scale) + locator.offset
        else:
            # The same number, and one short adder less: a bound of the grid has few bits.
            from_lowest = self.x.raw + locator.offset // locator.scale
            distance = Signal(from_lowest.shape())
            m.d.comb += distance.eq(from_lowest)
            scaled = multiply_by_constant(distance, locator.scale)
        exact = scaled >> locator.shift
        position = Signal(exact.shape(), reset_less=self._registered)
        if self._registered:
            with m.If(self.take):
                m.d.sync += position.eq(exact)
        else:
            m.d.comb += position.eq(exact)
        below = position < 0
        # Whole cells decide, and few bits of them, so that the register's content needs no carry chain.
        cell, bits = position >> locator.row_bits, (locator.grid_size - 1).bit_length()
        beyond = cell[bits:].any() | (cell[:bits] >= locator.grid_size)
        last = Const(locator.end - 1, range(locator.end))
        low_bits = position[: len(last)] if len(position) >= len(last) else position
        if self._exact:
            # At the end of a long path: a bit waits for nothing but whether the position is outside, and where.
            outside = below | beyond
            clamped = Cat(
                (low & ~outside) | (outside & bound & ~below) for low, bound in zip(low_bits, last, strict=True)
            )
        else:
            above = ~below & beyond if self._registered else position >= locator.end
            outside = below | above
            clamped = Mux(below, 0, Mux(above, last, low_bits))[: len(last)]
        m.d.comb += [
            self.row.eq(clamped[: locator.row_bits]),
            self.cell.eq(clamped[locator.row_bits :]),
            self.inside.eq(~outside),
        ]
        return m


def count_locate(parts: Parts, plan: LayerPlan, inputs: int) -> None:
    """Count what locates ``inputs`` inputs of a layer at once, or take the index of a coefficient for a cell."""
    layer, locator, x = plan.layer, plan.layer.locator, plan.layer.formats.input
    position, cell = layer.position.width - layer.position.f, (locator.end - 1).bit_length()
    digits = bin(locator.scale ^ 3 * locator.scale).count("1")
    for _ in range(inputs):
        if plan.located:
            width = locator.shift + position
            if digits == 2 and plan.located.offset:
                parts.counts["compressor"] += width
                parts.adder(width)
            else:
                parts.sum(digits + bool(plan.located.offset), width)
        elif locator.offset % locator.scale:
            parts.sum(digits + 1, x.width + locator.scale.bit_length())
        else:
            offset = locator.offset // locator.scale
            trailing_zeros = (offset & -offset).bit_length() - 1
            parts.adder(x.width + 1 - trailing_zeros if offset else 0)
            parts.times_constant(x.width + 1, locator.scale)
        parts.counts["detection"] += max(0, position - cell)
        if locator.grid_size & (locator.grid_size - 1) and not plan.located:
            parts.adder(position)
        parts.choice(cell)
        parts.choice((layer.bases - 1).bit_length())
