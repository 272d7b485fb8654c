"""The non-zero bases of a sample, from one small table."""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.logic_table import look_up
from ...fabric.parts import Parts
from ...numeric.fixed import Codes
from ..arithmetic import LayerArithmetic
from ..plan import LayerPlan
from .coefficients import cell_bits
from .pipeline_registers import hold


def rotation_bits(layer: LayerArithmetic) -> int:
    """Low bits of a cell that tell which bank its window begins with."""
    return (layer.banks - 1).bit_length()


def rotated_words(layer: LayerArithmetic, table: Codes, width: int) -> list[int]:
    """``table`` (rows by basis) as memory words of one ``width``-bit value for each bank, for every rotation.

    The address is the rotation above the row. In the word of rotation ``k`` basis ``j`` is in bank
    ``(k + j) % banks``.
    """
    banks = np.arange(layer.banks)[:, None] + np.arange(layer.window)
    shifts = (banks % layer.banks * width).astype(object)
    words = [(((row & ((1 << width) - 1)).astype(object) << shift).sum()) for shift in shifts for row in table]
    return [int(word) for word in words]


class Basis(wiring.Component):  # type: ignore[misc]
    """Reads basis (and derivative) values and deals them to the memory banks that hold their coefficients.

    Coefficient ``k + j`` lies in bank ``(k + j) % banks``, so bank ``n`` meets basis ``j = (n - k) % banks``. Rotating
    the short basis values costs less than rotating the coefficients, and they are shared by all nodes of the layer. A
    block memory holds every rotation of the table, and needs no logic at all.

    In a layer that restarts the table is logic in any case, with a register behind it where there would be a block
    memory.

    Parameters
    ----------
    layer
        Sizes and tables.
    derivative
        Whether derivative values are needed (hidden layers).
    block
        The table is a block memory, read at the clock edge; otherwise it is logic.
    restarts
        Nothing may have initial contents.

    Members
    -------
    row : In, table row
    cell : In, grid cell
    inside : In(1), with ``derivative``, which is zero where it is low; not on a periodic grid
    enable : In(1), read at the clock edge; only with ``block``
    basis : Out, one unsigned value per bank, ``latency`` cycles after ``row`` and ``cell``; zero where a bank holds no
        basis of the window
    derivative : Out, one signed value per bank, in units of 1/x; only with ``derivative``
    """

    def __init__(self, layer: LayerArithmetic, *, derivative: bool, block: bool, restarts: bool = False) -> None:
        self._layer = layer
        self._block = block
        self._restarts = restarts
        members: dict[str, Any] = {
            "row": In(layer.locator.row_bits),
            "cell": In(cell_bits(layer)),
            "inside": In(1),
            "basis": Out(data.ArrayLayout(layer.formats.basis, layer.banks)),
        }
        if block:
            members["enable"] = In(1)
        if layer.periodic:
            del members["inside"]
        if derivative:
            members["derivative"] = Out(data.ArrayLayout(layer.derivative, layer.banks))
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``row`` and ``cell`` to ``basis`` and ``derivative``."""
        return int(self._block)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._read(m, "basis", self._layer.basis_table, self.basis)
        if hasattr(self, "derivative"):
            flat = Signal(self.derivative.shape())
            self._read(m, "derivative", self._layer.derivative_table, flat)
            if self._layer.periodic:
                m.d.comb += self.derivative.eq(flat)
            else:
                with m.If(self.inside):
                    m.d.comb += self.derivative.eq(flat)
        return m

    def _read(self, m: Module, name: str, table: Any, banks: Any) -> None:
        """Read ``table`` in one way or the other."""
        if not self._block:
            self._rotated_logic(m, name, table, banks)
        elif not self._restarts:
            self._rotated_memory(m, name, table, banks)
        else:
            now = Signal(banks.shape(), name=f"{name}_now")
            self._rotated_logic(m, name, table, now)
            for bank, value in enumerate(hold(m, now, self.enable, f"{name}_read")):
                m.d.comb += banks[bank].eq(value)

    def _rotated_memory(self, m: Module, name: str, table: Any, banks: Any) -> None:
        """Read ``table`` as it lies in a memory in every rotation."""
        layer = self._layer
        # The highest bits are left out where no value has them: 9 bits for a byte lane of the memory and not 10.
        signed = banks[0].shape().signed
        width = max(int(value if value >= 0 else ~value).bit_length() for value in (table.min(), table.max())) + signed
        words = rotated_words(layer, table, width)
        rom = memory.Memory(shape=width * layer.banks, depth=len(words), init=words, attrs={"ram_style": "block"})
        m.submodules[f"{name}_table"] = rom
        port = rom.read_port()
        m.d.comb += [port.addr.eq(Cat(self.row, self.cell[: rotation_bits(layer)])), port.en.eq(self.enable)]
        for bank in range(layer.banks):
            value = port.data[bank * width : (bank + 1) * width]
            m.d.comb += banks[bank].raw.eq(value.as_signed() if signed else value)

    def _rotated_logic(self, m: Module, name: str, table: Any, banks: Any) -> None:
        """Read row ``row`` of ``table`` and drive ``banks`` with it, rotated by the cell."""
        layer = self._layer
        width = len(banks[0].as_value())
        words = (table & ((1 << width) - 1)).astype(object) << (np.arange(layer.window) * width).astype(object)
        found = self._found_in_logic(m, name, [int(word) for word in words.sum(axis=1)], width * layer.window)
        values = [found[j * width : (j + 1) * width] for j in range(layer.window)]
        values += [Const(0, width)] * (layer.banks - layer.window)
        low_cell = self.cell[: rotation_bits(layer)]
        with m.Switch(low_cell):
            for rotation in range(1 << len(low_cell)):
                with m.Case(rotation):
                    for bank in range(layer.banks):
                        m.d.comb += banks[bank].as_value().eq(values[(bank - rotation) % layer.banks])

    def _found_in_logic(self, m: Module, name: str, words: list[int], width: int) -> Value:
        """Give the word at ``row``."""
        if self._restarts:
            found = Signal(width, name=f"{name}_found")
            m.d.comb += found.eq(look_up(self.row, words, width))
            return found
        rom = memory.Memory(shape=width, depth=self._layer.table_size, init=words, attrs={"ram_style": "logic"})
        m.submodules[f"{name}_table"] = rom
        port = rom.read_port(domain="comb")
        m.d.comb += port.addr.eq(self.row)
        return port.data


def count_basis(parts: Parts, plan: LayerPlan, inputs: int) -> None:
    """Count what ``inputs`` :class:`Basis` of a layer have."""
    layer = plan.layer
    tables = {"bases": (layer.basis_table, layer.formats.basis.width)}
    if plan.hidden:
        tables["derivatives"] = (layer.derivative_table, layer.derivative.width)
        if not layer.periodic:
            parts.choice(layer.banks * layer.derivative.width, times=inputs)
    for name, (table, width) in tables.items():
        if plan.table_blocks:
            # A bank meets zeros too where there are more banks than values.
            met = np.append(table, 0) if layer.banks > layer.window else table
            parts.memory(
                name, layer.table_size * layer.banks, _changing_bits(met) * layer.banks, block=True, count=inputs
            )
        else:
            columns = sum(_changing_bits(column) for column in table.T)
            parts.counts["truth table"] += ceil(inputs * columns * layer.table_size / 16)
            parts.choice(layer.banks * width, layer.banks, inputs)
            if plan.block_tables:  # the register that the memory would have
                parts.register(layer.banks * width * inputs, moved=False)


def _changing_bits(table: Codes) -> int:
    """Bits of a table's values that are not the same in all of them; with a sign bit where some are negative."""
    flat = np.asarray(table).ravel()
    highest = max(int(value if value >= 0 else ~value).bit_length() for value in (flat.min(), flat.max()))
    differing = int(np.bitwise_or.reduce(flat ^ flat[0]))
    return (differing & ((1 << highest) - 1)).bit_count() + (differing < 0)
