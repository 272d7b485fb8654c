"""Where an input lies on the grid."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.bits import bits_for, clog2
from ...numeric.fixed import Format
from ...numeric.spline import Locator
from ..arithmetic import LayerArithmetic
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
    inside : Out(1), low where the input was beyond the grid and has been clamped; not on a periodic grid
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
        }
        if not locator.periodic:
            members["inside"] = Out(1)
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
        offset = _added_offset(locator, self._format)
        if self._exact:
            scaled = self._scaled_sum(m, self._exact)
        elif locator.periodic and locator.scale == 1 and _is_full_scale(locator, self._format):
            # A sum modulo the width of x: of half of that its highest bit alone, which is then inverted.
            scaled = self.x.raw ^ offset if offset else self.x.raw
        elif offset % locator.scale:
            scaled = multiply_by_constant(self.x.raw, locator.scale) + offset
        else:
            # The same number, and one short adder less: a bound of the grid has few bits.
            from_lowest = self.x.raw + offset // locator.scale
            distance = Signal(from_lowest.shape())
            m.d.comb += distance.eq(from_lowest)
            scaled = multiply_by_constant(distance, locator.scale)
        exact = scaled >> locator.shift
        if locator.periodic:
            exact = exact[: _periodic_bits(locator, self._format)]
        position = Signal(exact.shape(), reset_less=self._registered)
        if self._registered:
            with m.If(self.take):
                m.d.sync += position.eq(exact)
        else:
            m.d.comb += position.eq(exact)
        if locator.periodic:
            m.d.comb += [self.row.eq(position), self.cell.eq(self._reduce_cell(m, position[locator.row_bits :]))]
        else:
            self._clamp(m, position)
        return m

    def _clamp(self, m: Module, position: Value) -> None:
        """Drive the outputs with a position, or with the end of the grid that it is beyond."""
        locator = self._locator
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

    def _reduce_cell(self, m: Module, cell: Value) -> Value:
        """A cell that is counted over all periods, modulo one of them: what exceeds half of the periods that are left
        loses them, then half of those, and so on."""
        zeros, odd, halvings = _reduction(self._locator, self._format)
        low, high = cell[:zeros], cell[zeros:]
        for power in reversed(range(halvings)):
            less = Signal(signed(len(high) + 1), name=f"less{power}")
            m.d.comb += less.eq(high - (odd << power))
            high = Mux(less < 0, high, less)[: bits_for((odd << power) - 1)]
        return Cat(low, high)


def _reduction(locator: Locator, format: Format) -> tuple[int, int, int]:
    """How cells of all periods become those of one: how many low bits they have in common, what the size of the grid
    is above them, and how many subtractions it takes."""
    zeros = (locator.grid_size & -locator.grid_size).bit_length() - 1
    odd = locator.grid_size >> zeros
    periods = locator.unroll(format).grid_size // locator.grid_size
    return zeros, odd, 0 if odd == 1 else clog2(periods)


def _periodic_bits(locator: Locator, format: Format) -> int:
    """Bits of a position on a periodic grid before it is reduced: none of higher periods where that takes no more."""
    single = not _reduction(locator, format)[2]
    return clog2((locator if single else locator.unroll(format)).end)


def _is_full_scale(locator: Locator, format: Format) -> bool:
    """Whether the range is that of the format, and begins with it, or at zero."""
    width = _periodic_bits(locator, format) + locator.shift
    return width == format.width and _added_offset(locator, format) in (0, 1 << width - 1)


def _added_offset(locator: Locator, format: Format) -> int:
    """What is added to the scaled input: on a periodic grid counted from the first period that any of them is in."""
    if not locator.periodic:
        return locator.offset
    offset = locator.unroll(format).offset
    return offset % (1 << _periodic_bits(locator, format) + locator.shift)


def position_bits(layer: LayerArithmetic) -> int:
    """Bits of a position as it may be held."""
    if layer.periodic:
        return _periodic_bits(layer.locator, layer.formats.input)
    return layer.position.width - layer.position.f


def count_locate(parts: Parts, plan: LayerPlan, inputs: int) -> None:
    """Count what locates ``inputs`` inputs of a layer at once, or take the index of a coefficient for a cell."""
    layer, locator, x = plan.layer, plan.layer.locator, plan.layer.formats.input
    position, cell = position_bits(layer), (locator.end - 1).bit_length()
    offset = _added_offset(locator, x)
    digits = bin(locator.scale ^ 3 * locator.scale).count("1")
    for _ in range(inputs):
        if plan.located:
            width = locator.shift + position
            if digits == 2 and plan.located.offset:
                parts.counts["compressor"] += width
                parts.adder(width)
            else:
                parts.sum(digits + bool(plan.located.offset), width)
        elif offset % locator.scale:
            parts.sum(digits + 1, x.width + locator.scale.bit_length())
        else:
            lowest = offset // locator.scale
            trailing_zeros = (lowest & -lowest).bit_length() - 1
            width = min(x.width + 1, position + locator.shift) if layer.periodic else x.width + 1
            # The highest bit alone is inverted, for nothing.
            parts.adder(width - trailing_zeros if lowest and (not layer.periodic or width - trailing_zeros > 1) else 0)
            parts.times_constant(x.width + 1, locator.scale)
        if layer.periodic:
            _, odd, halvings = _reduction(locator, x)
            for power in range(halvings):
                bits = bits_for((odd << power + 1) - 1)
                parts.adder(bits + 1)
                parts.choice(bits_for((odd << power) - 1))
        else:
            parts.counts["detection"] += max(0, position - cell)
            if locator.grid_size & (locator.grid_size - 1) and not plan.located:
                parts.adder(position)
            parts.choice(cell)
        parts.choice((layer.bases - 1).bit_length())
