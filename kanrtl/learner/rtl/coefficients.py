"""Banked coefficient memories."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ...numeric.fixed import Codes, Format
from ..arithmetic import LayerArithmetic
from .pipeline_registers import delay

__all__ = ["CoefficientAccess", "Coefficients", "cell_bits", "window_layout"]


def window_layout(layer: LayerArithmetic, format: Format) -> data.Layout:
    """One value for each ``[node][input][bank]``."""
    return data.ArrayLayout(data.ArrayLayout(data.ArrayLayout(format, layer.banks), layer.n_in), layer.n_out)


def cell_bits(layer: LayerArithmetic) -> int:
    """Bits of a cell, wide enough for the index of a coefficient in its place."""
    return (layer.bases - 1).bit_length()


class CoefficientAccess(wiring.Signature):  # type: ignore[misc]
    """Reads or writes one coefficient from outside, while no sample is in work.

    Members
    -------
    enable : Out(1), the index replaces the cell of every input, as if it had been located: the window then begins
    with it output, input, index : Out, which coefficient: ``index`` in ``[0, bases)``
    write : Out(1), write the window's coefficient at ``index`` at the clock edge
    read_data : In, code of the coefficient; read with the latency of a window
    """

    def __init__(self, layer: LayerArithmetic) -> None:
        super().__init__(
            {
                "enable": Out(1),
                "output": Out(range(layer.n_out)),
                "input": Out(range(layer.n_in)),
                "index": Out(range(layer.bases)),
                "write": Out(1),
                "read_data": In(layer.formats.coefficient),
            }
        )


class Coefficients(wiring.Component):  # type: ignore[misc]
    """The coefficients of a layer: for every input, ``banks`` memories that hold a word with one coefficient per node.

    Coefficient ``j`` of an edge lies in bank ``j % banks`` at row ``j // banks``, so any ``spline_order + 1``
    neighbours lie in different banks and are read, and written back, in one cycle. All nodes share the cell of an
    input,
    hence the wide word. Above the coefficients, every bank has a row of zeros: what is read from outside is then the
    disjunction of all banks, and no choice among them.

    Where a sample is held (``turnaround`` None) a bank has one read and one write port, and reading and writing at the
    same edge does not occur, since a synchronous read is disabled by a write. Where samples stream, a window is changed
    ``turnaround`` cycles after it was addressed, while others are read; what is changed is read then, by a port of its
    own. Whatever the memory, ``read`` is what was stored while it was addressed, and ``old`` what is stored now.

    With ``later``, what is changed is written a cycle later, and so may be changed again before it is stored: ``old``
    is then zero, and ``again`` tells that ``write`` is to be used.

    Members
    -------
    cell : In, grid cell for each input
    take : In(1), address the window at ``cell`` from the clock edge on; without ``held``, the window follows ``cell``
    read : Out, the window, in bank order; a cycle later with ``block``
    old : Out, the window that is to be changed, as it is
    again : Out, for each ``[input][bank]``, whether ``write`` is to be changed instead; only with ``later``
    write : In, new window; write_enable : In(1), store it in place of ``old``; a cycle ahead with ``later``
    access : In, see :class:`CoefficientAccess`
    """

    def __init__(
        self,
        layer: LayerArithmetic,
        initial: Codes,
        *,
        block: bool,
        held: bool,
        turnaround: int | None = None,
        later: bool = False,
    ) -> None:
        self._layer = layer
        self._initial = initial
        self._block = block
        self._held = held
        self._turnaround = turnaround
        self._later = later
        cell = cell_bits(layer)
        window = window_layout(layer, layer.formats.coefficient)
        super().__init__(
            {
                "cell": In(data.ArrayLayout(cell, layer.n_in)),
                "take": In(1),
                "read": Out(window),
                "old": Out(window),
                **({"again": Out(data.ArrayLayout(layer.banks, layer.n_in))} if later else {}),
                "write": In(window),
                "write_enable": In(1),
                "access": In(CoefficientAccess(layer)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for source in range(self._layer.n_in):
            for bank in range(self._layer.banks):
                self._bank(m, source, bank)
        # Every bank but one reads its row of zeros then.
        layer = self._layer
        found = Array(
            reduce(or_, (banks[bank].raw for banks in self.read[node] for bank in range(layer.banks)))
            for node in range(layer.n_out)
        )
        m.d.comb += self.access.read_data.raw.eq(found[self.access.output])
        return m

    def _bank(self, m: Module, source: int, bank: int) -> None:
        """Memory ``bank`` of input ``source``, with its address and ports."""
        layer, access, name = self._layer, self.access, f"input{source}_bank{bank}"
        bank_bits = (layer.banks - 1).bit_length()
        rows = memory.Memory(
            shape=data.ArrayLayout(layer.formats.coefficient, layer.n_out),
            depth=layer.depth + 1,
            init=self._rows(source, bank),
            attrs={"ram_style": "block" if self._block else "distributed"},
        )
        m.submodules[name] = rows
        domain = "sync" if self._block else "comb"
        read = rows.read_port(domain=domain)
        write = rows.write_port(granularity=1)

        cell = self.cell[source]
        # The window starts at bank cell % banks; banks before it hold its end, one row further on.
        address = Signal(range(layer.depth + 1), name=f"{name}_address", reset_less=self._held)
        named = Signal(name=f"{name}_named")
        m.d.comb += named.eq((access.input == source) & (access.index[:bank_bits] == bank))
        in_window = (cell >> bank_bits) + (cell[:bank_bits] > bank)
        reached = Mux(access.enable & ~named, layer.depth, in_window)
        if self._held:
            with m.If(self.take):
                m.d.sync += address.eq(reached)
        else:
            m.d.comb += address.eq(reached)
        m.d.comb += read.addr.eq(address)
        old, write_enable = [value.raw for value in read.data], self.write_enable
        if self._turnaround is None:
            m.d.comb += write.addr.eq(address)
            if self._block:
                m.d.comb += read.en.eq(~(self.write_enable | access.write))
        else:
            again = self.again[source][bank] if self._later else Signal(name=f"{name}_again")
            old, write_enable = self._read_before_write(m, rows, write, address, self._turnaround, again, name)
        for node in range(layer.n_out):
            m.d.comb += [
                self.read[node][source][bank].eq(read.data[node]),
                self.old[node][source][bank].raw.eq(old[node]),
                write.data[node].eq(self.write[node][source][bank]),
                write.en[node].eq(write_enable | (named & access.write & (access.output == node))),
            ]

    def _read_before_write(
        self, m: Module, rows: memory.Memory, write: Any, address: Value, turnaround: int, again: Value, name: str
    ) -> tuple[list[Value], Value]:
        """Lets a window be changed while others are read: gives what is stored there, by node, and when to write.

        What is written while it is read counts as stored. Drives ``again``.
        """
        turns = min(1, turnaround)
        before = delay(m, address, turnaround - turns, f"{name}_address")
        changed = delay(m, before, turns, f"{name}_changed")
        written, enable = changed, self.write_enable
        follows = Signal(name=f"{name}_follows")
        if self._later:
            written, enable = delay(m, changed, 1, f"{name}_written"), Signal(name=f"{name}_enable")
            m.d.sync += enable.eq(self.write_enable)
            # What is changed is that which was changed a cycle ago, and is not stored yet.
            if turns:
                m.d.comb += follows.eq((before == changed) & self.write_enable)
                m.d.sync += again.eq(follows)
            else:
                m.d.comb += again.eq((changed == written) & enable)
        m.d.comb += write.addr.eq(written)
        if self._block and turns:
            port = rows.read_port(transparent_for=(write,))
            m.d.comb += port.addr.eq(before)
            return [Mux(again, 0, value.raw) for value in port.data], enable
        port = rows.read_port(domain="comb")
        m.d.comb += port.addr.eq(before)
        if not turns:
            return [Mux(again, 0, value.raw) for value in port.data], enable
        overtaken = Signal(name=f"{name}_overtaken")
        m.d.comb += overtaken.eq(before == written)
        old = []
        for node in range(self._layer.n_out):
            register = Signal(len(port.data[node].raw), name=f"{name}_old{node}", reset_less=True)
            with m.If(follows):
                m.d.sync += register.eq(0)
            with m.Else():
                stored = Mux(overtaken & write.en[node], write.data[node].raw, port.data[node].raw)
                m.d.sync += register.eq(stored)
            old.append(register)
        return old, enable

    def _rows(self, source: int, bank: int) -> list[list[float]]:
        layer = self._layer
        real = layer.formats.coefficient.to_float(self._initial[:, source, bank :: layer.banks])
        rows = [[float(value) for value in row] for row in real.T]
        return rows + [[0.0] * layer.n_out] * (layer.depth + 1 - len(rows))
