"""The non-zero bases of a sample, from one small table."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Const, Module, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ..arithmetic import LayerArithmetic
from .coefficients import cell_bits

__all__ = ["Basis"]


class Basis(wiring.Component):  # type: ignore[misc]
    """Reads basis (and derivative) values and deals them to the memory banks that hold their coefficients.

    Coefficient ``k + j`` lies in bank ``(k + j) % banks``, so bank ``n`` meets basis ``j = (n - k) % banks``.
    Rotating the
    short basis values costs less than rotating the coefficients, and they are shared by all nodes of the layer.

    Parameters
    ----------
    layer
        Sizes and tables.
    derivative
        Whether derivative values are needed (hidden layers).
    registered
        The table is a block memory, read in one cycle; otherwise it is logic.

    Members
    -------
    row : In, table row
    cell : In, grid cell
    inside : In(1), derivatives are zero where it is low
    basis : Out, one unsigned value per bank, zero where a bank holds no basis of the window
    derivative : Out, one signed value per bank, in units of 1/x; only with ``derivative``
    """

    def __init__(self, layer: LayerArithmetic, *, derivative: bool, registered: bool) -> None:
        self._layer = layer
        self._registered = registered
        members: dict[str, Any] = {
            "row": In(layer.locator.row_bits),
            "cell": In(cell_bits(layer)),
            "inside": In(1),
            "basis": Out(data.ArrayLayout(layer.formats.basis, layer.banks)),
        }
        if derivative:
            members["derivative"] = Out(data.ArrayLayout(layer.derivative, layer.banks))
        super().__init__(members)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        self._rotated_table(m, "basis", self._layer.basis_table, self.basis)
        if hasattr(self, "derivative"):
            flat = Signal(self.derivative.shape())
            self._rotated_table(m, "derivative", self._layer.derivative_table, flat)
            with m.If(self.inside):
                m.d.comb += self.derivative.eq(flat)
        return m

    def _rotated_table(self, m: Module, name: str, table: Any, banks: Any) -> None:
        """Reads row ``row`` of ``table`` and drives ``banks`` with it, rotated by the cell."""
        layer = self._layer
        width = len(banks[0].as_value())
        words = (table & ((1 << width) - 1)).astype(object) << (np.arange(layer.window) * width).astype(object)
        rom = memory.Memory(
            shape=width * layer.window,
            depth=layer.table_size,
            init=[int(word) for word in words.sum(axis=1)],
            attrs={"ram_style": "block" if self._registered else "logic"},
        )
        m.submodules[f"{name}_table"] = rom
        port = rom.read_port(domain="sync" if self._registered else "comb")
        m.d.comb += port.addr.eq(self.row)
        values = [port.data[j * width : (j + 1) * width] for j in range(layer.window)]
        values += [Const(0, width)] * (layer.banks - layer.window)
        low_cell = self.cell[: (layer.banks - 1).bit_length()]
        with m.Switch(low_cell):
            for rotation in range(1 << len(low_cell)):
                with m.Case(rotation):
                    for bank in range(layer.banks):
                        m.d.comb += banks[bank].as_value().eq(values[(bank - rotation) % layer.banks])
