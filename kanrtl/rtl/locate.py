"""Where an input lies on the grid."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..fixed import Format
from ..spline import Locator
from .multiply import times_constant

__all__ = ["Locate"]


class Locate(wiring.Component):  # type: ignore[misc]
    """Cell and table row of an input. See :class:`kanrtl.spline.Locator` for the equation.

    Parameters
    ----------
    locator, format
        Of the grid, and of its inputs.
    registered
        Whether the position is held in a register; otherwise all is combinational.

    Members
    -------
    x : In, input in ``format``
    take : In(1), load the register at the clock edge; only with ``registered``
    cell : Out, ``[0, grid_size)``
    row : Out, table row, the high bits of the fraction within the cell
    inside : Out(1), low where the input was beyond the grid and has been clamped
    """

    def __init__(self, locator: Locator, format: Format, *, registered: bool = False) -> None:
        self._locator = locator
        self._registered = registered
        members = {
            "x": In(format),
            "cell": Out((locator.grid_size - 1).bit_length()),
            "row": Out(locator.row_bits),
            "inside": Out(1),
        }
        super().__init__(members | ({"take": In(1)} if registered else {}))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        locator = self._locator
        if locator.offset % locator.scale:
            scaled = times_constant(self.x.raw, locator.scale) + locator.offset
        else:
            # The same number, and one short adder less: a bound of the grid has few bits.
            from_lowest = self.x.raw + locator.offset // locator.scale
            distance = Signal(from_lowest.shape())
            m.d.comb += distance.eq(from_lowest)
            scaled = times_constant(distance, locator.scale)
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
        above = ~below & beyond if self._registered else position >= locator.end
        last = Const(locator.end - 1, range(locator.end))
        low_bits = position[: len(last)] if len(position) >= len(last) else position
        clamped = Mux(below, 0, Mux(above, last, low_bits))[: len(last)]
        m.d.comb += [
            self.row.eq(clamped[: locator.row_bits]),
            self.cell.eq(clamped[locator.row_bits :]),
            self.inside.eq(~(below | above)),
        ]
        return m
