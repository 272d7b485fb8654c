"""Where an input lies on the grid."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..fixed import Format, rounding_constant
from ..spline import Locator
from .multiply import shifted_terms, sum_of_three, times_constant, tree_sum

__all__ = ["Locate"]


class Locate(wiring.Component):  # type: ignore[misc]
    """Cell and table row of an input. See :class:`kanrtl.spline.Locator` for the equation.

    Parameters
    ----------
    locator, format
        Of the grid, and of its inputs.
    exact
        Where the input is an exact sum that is yet to be rounded to ``format``: its own format, and the rounding. It
        needs not be saturated, see :meth:`of_sum`. Rounding and locating it is one sum.
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
        exact: tuple[Format, str] | None = None,
    ) -> None:
        self._locator = locator
        self._format = format
        self._exact = exact
        self._registered = registered
        members = {
            "x": In(exact[0] if exact else format),
            "cell": Out((locator.grid_size - 1).bit_length()),
            "row": Out(locator.row_bits),
            "inside": Out(1),
        }
        super().__init__(members | ({"take": In(1)} if registered else {}))

    @staticmethod
    def of_sum(locator: Locator, format: Format, total: Format, rounding: str) -> tuple[Format, str] | None:
        """What to pass as ``exact``; None where the rounded input is needed.

        Rounding has to be the addition of a constant. And an input that saturates has to be beyond the grid, so that
        nothing is to be seen of that.
        """
        lowest, highest = (
            (bound * locator.scale + locator.offset) >> locator.shift for bound in (format.minimum, format.maximum)
        )
        covers = lowest < 0 and highest >= locator.end
        adds = total.f >= format.f and rounding_constant(rounding, total.f - format.f) is not None
        return (total, rounding) if covers and adds else None

    def _scaled_sum(self, m: Module, total: Format, rounding: str) -> Value:
        """Scale times the rounded input, and the offset."""
        locator, dropped = self._locator, total.f - self._format.f
        cut = self.x.raw[dropped:].as_signed()
        # Rounded up where the highest bit that is dropped is set.
        up = self.x.raw[dropped - 1] if rounding_constant(rounding, dropped) else Const(0, 1)
        reach = max(-total.minimum, total.maximum) // (1 << dropped) + 1
        width = (reach * locator.scale + abs(locator.offset)).bit_length() + 1
        constant = Mux(up, *(Const(term, signed(width)) for term in (locator.offset + locator.scale, locator.offset)))
        terms = shifted_terms(cut, locator.scale)
        if len(terms) != 2:
            return tree_sum([*terms, constant])
        first, second = terms
        return sum_of_three(m, first, second, constant, width=width, zeros=0).as_signed()

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        locator = self._locator
        if self._exact:
            scaled = self._scaled_sum(m, *self._exact)
        elif locator.offset % locator.scale:
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
        above = ~below & beyond if self._registered or self._exact else position >= locator.end
        last = Const(locator.end - 1, range(locator.end))
        low_bits = position[: len(last)] if len(position) >= len(last) else position
        clamped = Mux(below, 0, Mux(above, last, low_bits))[: len(last)]
        m.d.comb += [
            self.row.eq(clamped[: locator.row_bits]),
            self.cell.eq(clamped[locator.row_bits :]),
            self.inside.eq(~(below | above)),
        ]
        return m
