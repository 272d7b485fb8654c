"""Learning rate times basis, from a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ...numeric.fixed import FixedValue, Rounding, narrow, rounding_constant
from ..arithmetic import LayerArithmetic
from .basis import rotated_words, rotation_bits

__all__ = ["Steps"]


class Steps(wiring.Component):  # type: ignore[misc]
    """Block memories of steps, laid out as :class:`Basis` lays out its table, and what makes them anew.

    They begin with the steps of the layer's own learning rate. When it changes, every value is computed again: the
    basis is read from its table, which nothing else may read then, multiplied a bit a cycle, and written in every
    rotation. Like the coefficients, the tables outlast a reset; so does this work, and so must the learning rate.

    Parameters
    ----------
    layer
        Sizes, tables and the first learning rate.
    rounding
        Of a step.
    saturating
        Whether a step can saturate.
    basis_delay
        Clock edges from reading the basis table to ``basis``, 1 or 2.

    Members
    -------
    learning_rate : In
    remake : In(1), the learning rate changes at the clock edge
    busy : Out(1), the tables are being made
    making_row, making_rotation : Out, where the basis table is to be read at every edge while ``busy``; else zero
    basis : In, what it reads for bank 0
    row, rotation : In, for every input, where its steps are read
    enable : In(1), read at the clock edge; not while ``busy``
    steps : Out, one step for each ``[input][bank]``
    saturated : Out(1), any of them has saturated
    """

    def __init__(self, layer: LayerArithmetic, rounding: str, *, saturating: bool, basis_delay: int) -> None:
        self._layer = layer
        self._basis_delay = basis_delay
        self._rounding = rounding
        self._saturating = saturating
        formats = layer.formats
        row, rotation = layer.locator.row_bits, rotation_bits(layer)
        super().__init__(
            {
                "learning_rate": In(formats.learning_rate),
                "remake": In(1),
                "busy": Out(1),
                "making_row": Out(row),
                "making_rotation": Out(rotation),
                "basis": In(formats.basis),
                "row": In(data.ArrayLayout(row, layer.n_in)),
                "rotation": In(data.ArrayLayout(rotation, layer.n_in)),
                "enable": In(1),
                "steps": Out(data.ArrayLayout(data.ArrayLayout(formats.step, layer.banks), layer.n_in)),
                "saturated": Out(1),
            }
        )

    @property
    def _value_bits(self) -> int:
        """Bits of a step that any learning rate can set."""
        layer, formats = self._layer, self._layer.formats
        largest = formats.learning_rate.maximum * int(layer.basis_table.max())
        result, _ = narrow(np.array(largest), layer.step_product.f, formats.step, self._rounding)
        return max(1, int(result).bit_length())

    @property
    def _lane_bits(self) -> int:
        """A value, and above it whether it has saturated."""
        return self._value_bits + self._saturating

    def _initial(self) -> list[int]:
        layer = self._layer
        exact = layer.learning_rate_code * layer.basis_table
        values, saturated = narrow(exact, layer.step_product.f, layer.formats.step, self._rounding)
        return rotated_words(layer, values + (saturated.astype(np.int64) << self._value_bits), self._lane_bits)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        word, write = self._make(m)
        initial, bits = self._initial(), self._lane_bits
        flags = []
        for source in range(self._layer.n_in):
            table = memory.Memory(shape=len(word), depth=len(initial), init=initial, attrs={"ram_style": "block"})
            m.submodules[f"table{source}"] = table
            # The register becomes that of the memory. Only in this form yosys sees that there is never a reading and a
            # writing at one edge, and spends no logic on what would be read then.
            read, written = table.read_port(domain="comb"), table.write_port()
            found = Signal(len(word), name=f"found{source}", reset_less=True)
            with m.If(self.enable & ~write):
                m.d.sync += found.eq(read.data)
            m.d.comb += [
                read.addr.eq(Cat(self.row[source], self.rotation[source])),
                written.addr.eq(Cat(self.making_row, self.making_rotation)),
                written.data.eq(word),
                written.en.eq(write),
            ]
            for bank in range(self._layer.banks):
                lane = found[bank * bits : (bank + 1) * bits]
                m.d.comb += self.steps[source][bank].raw.eq(lane[: self._value_bits])
                flags.append(lane[self._value_bits :].any())
        m.d.comb += self.saturated.eq(Cat(flags).any())
        return m

    def _make(self, m: Module) -> tuple[Signal, Signal]:
        """Goes through the table; gives the word to be written, and when."""
        layer = self._layer
        busy = Signal(reset_less=True)
        # In a row, first every basis is multiplied and joins the word, then the word is written in every rotation.
        place = Signal(layer.locator.row_bits + 1 + rotation_bits(layer), reset_less=True)
        rotation, storing = place[: rotation_bits(layer)], place[rotation_bits(layer)]
        # One to begin, one for each bit of the learning rate, the last to take the product, and above it those to wait
        # for the next basis.
        last = layer.formats.learning_rate.width + 1
        first = last + self._basis_delay
        beat = Signal(range(first + 1), init=first, reset_less=True)
        word = Signal(self._lane_bits * layer.banks, reset_less=True)
        write, onward = Signal(), Signal()
        m.d.comb += [
            self.busy.eq(busy),
            self.making_row.eq(place[-layer.locator.row_bits :] if layer.locator.row_bits else 0),
            # The word moves down by a bank each time: it is filled with the bases in rising order, which the rotations
            # bring to bank 0 in falling order; and it is written in the order in which that rotates it.
            self.making_rotation.eq(-rotation),
            write.eq(busy & storing),
            onward.eq(busy & (storing | (beat == last))),
        ]
        lane = self._product(m, beat)
        with m.If(self.remake):
            m.d.sync += busy.eq(1)
        with m.If(onward):
            m.d.sync += [
                Cat(place, busy).eq(Cat(place, busy) + 1),
                word.eq(Cat(word[self._lane_bits :], Mux(storing, word[: self._lane_bits], lane))),
                beat.eq(first),
            ]
        with m.Elif(busy):
            m.d.sync += beat.eq(Mux(beat == last + 1, 0, Mux(beat > last, beat - 1, beat + 1)))
        return word, write

    def _product(self, m: Module, beat: Signal) -> Any:
        """The step of the basis that was read, by a bit of the learning rate in every beat after the first."""
        layer, rate = self._layer, self._layer.formats.learning_rate
        product = Signal(layer.step_product.width, reset_less=True)
        rounds = rounding_constant(self._rounding, layer.step_product.f - layer.formats.step.f)
        rounding: str = Rounding.FLOOR
        if rounds is None or rounds > self.basis.shape().maximum:
            rounds, rounding = 0, self._rounding
        chosen, factor = Signal(name="chosen", reset_less=True), Signal(self.basis.shape(), name="factor")
        m.d.sync += chosen.eq(self.learning_rate.raw.bit_select(beat, 1))
        m.d.comb += factor.raw.eq(Mux(chosen, self.basis.raw, 0))
        with m.If(beat == 0):
            # What rounds it, where that is a constant, goes in beforehand and moves down with the rest.
            m.d.sync += product.eq(rounds << rate.width)
        with m.Else():
            m.d.sync += product.eq(Cat(product[1 : rate.width], product[rate.width :] + factor.raw))
        exact = FixedValue(layer.step_product, product)
        overflow = "saturate" if self._saturating else "wrap"
        step, saturated = narrow(exact, layer.step_product.f, layer.formats.step, rounding, overflow)
        return Cat(step.raw[: self._value_bits], saturated)[: self._lane_bits]
