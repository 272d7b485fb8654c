"""One memory of coefficients, as every layer has it."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from ...numeric.bits import clog2
from ...numeric.fixed import Codes, Format
from ..arithmetic import LayerArithmetic
from .pipeline_registers import delay, wire_members


def touched_banks(layer: LayerArithmetic, cell: Value) -> Value:
    """A bit for every bank: whether it has a coefficient of the window that begins at ``cell``."""
    first = cell[: (layer.banks - 1).bit_length()]
    places = [(Const(bank, len(first)) - first)[: len(first)] for bank in range(layer.banks)]
    return Cat(place < layer.window for place in places)


def window_row(layer: LayerArithmetic, cell: Value, bank: int) -> Value:
    """The row of a window's coefficient in ``bank``, from the cell that the window begins with.

    Coefficient ``j`` of an edge lies in bank ``j % banks`` at row ``j // banks``. The window starts at bank
    ``cell % banks``; banks before it hold its end, one row further on: on a periodic grid behind the last row in the
    first.
    """
    bank_bits = (layer.banks - 1).bit_length()
    row, onward = cell[bank_bits:], cell[:bank_bits] > bank
    if not layer.periodic:
        return row + onward
    if layer.depth & (layer.depth - 1):
        return Mux(onward & (row == layer.depth - 1), 0, (row + onward)[: len(row)])
    return (row + onward)[: clog2(layer.depth)]


class CoefficientBank(wiring.Component):  # type: ignore[misc]
    """A memory of words with one coefficient for every node lane, which are written one by one.

    Reading and writing a row of a block memory at the same edge is left to those who use it: steps of samples one after
    another never do, and a :class:`StreamingBank` is made for it.

    Parameters
    ----------
    format
        Of a coefficient.
    codes
        What it holds first, ``(rows, lanes)``; rows that are not given are zeros.
    depth
        Rows.
    block
        Whether it is a block memory, which is read at the clock edge; otherwise reading is combinational.
    second
        Domain of a second read port, ``"comb"`` or ``"sync"``; None for none. In ``"sync"`` it reads what is written at
        the same edge.

    Members
    -------
    address : In, row that is read
    enable : In(1), read at the clock edge; only with ``block``, and high where nothing drives it
    read : Out, coefficients by lane; ``latency`` cycles after ``address``
    second_address : In, second : Out, as those, with the second port
    write_address : In, write : In, coefficients by lane
    write_enable : In(lanes), which lanes are written at the clock edge
    """

    def __init__(self, format: Format, codes: Codes, depth: int, *, block: bool, second: str | None = None) -> None:
        self._format = format
        self._codes = codes
        self._depth = depth
        self._block = block
        self._second = second
        lanes = codes.shape[1]
        word = data.ArrayLayout(format, lanes)
        members: dict[str, Any] = {
            "address": In(range(depth)),
            "read": Out(word),
            "write_address": In(range(depth)),
            "write": In(word),
            "write_enable": In(lanes),
        }
        if block:
            members["enable"] = In(1, init=1)
        if second:
            members |= {"second_address": In(range(depth)), "second": Out(word)}
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``address`` to ``read``."""
        return int(self._block)

    @property
    def words(self) -> list[int]:
        """What it holds first; zeros are not listed."""
        if not self._codes.any():
            return []
        width = self._format.width
        shifts = np.arange(self._codes.shape[1], dtype=object) * width
        unsigned = (self._codes & ((1 << width) - 1)).astype(object)
        return [int(word) for word in (unsigned << shifts).sum(axis=1)]

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        width, bits = self._format.width, len(self.write.as_value())
        style = "block" if self._block else "distributed"
        rows = memory.Memory(shape=bits, depth=self._depth, init=self.words, attrs={"ram_style": style})
        m.submodules.rows = rows
        read, write = rows.read_port(domain="sync" if self._block else "comb"), rows.write_port(granularity=width)
        m.d.comb += [
            read.addr.eq(self.address),
            self.read.as_value().eq(read.data),
            write.addr.eq(self.write_address),
            write.data.eq(self.write.as_value()),
            write.en.eq(self.write_enable),
        ]
        if self._block:
            m.d.comb += read.en.eq(self.enable)
        if self._second:
            transparent = (write,) if self._second == "sync" else ()
            second = rows.read_port(domain=self._second, transparent_for=transparent)
            m.d.comb += [second.addr.eq(self.second_address), self.second.as_value().eq(second.data)]
        return m


class StreamingBank(wiring.Component):  # type: ignore[misc]
    """A :class:`CoefficientBank` of which a row is read at every edge, and changed some cycles later.

    What is changed is read again then, by a port of its own. What is written while it is read counts as stored.

    Parameters
    ----------
    format, codes, depth, block
        As in :class:`CoefficientBank`.
    turnaround
        Cycles from a row's address to its change.
    later
        Whether what is changed is written a cycle later, and so may be changed again before it is stored.

    Members
    -------
    address : In, row that is read, and changed ``turnaround`` cycles later
    read : Out, coefficients by lane; a cycle later with ``block``
    old : Out, those that are to be changed, as they are ``turnaround`` cycles after their address; zero with ``again``
    again : Out(1), not ``old`` is to be changed but what was written a cycle ago; low without ``later``
    write : In, changed coefficients; with ``later`` a cycle after ``old``
    write_enable : In(1), with ``old``: store them
    access_enable : In(lanes), store these lanes of ``write`` at the clock edge
    """

    def __init__(self, format: Format, codes: Codes, depth: int, *, block: bool, turnaround: int, later: bool) -> None:
        self._block = block
        self._turnaround = turnaround
        self._later = later
        synchronous = block and turnaround > 0
        self._bank = CoefficientBank(format, codes, depth, block=block, second="sync" if synchronous else "comb")
        lanes = codes.shape[1]
        word = data.ArrayLayout(format, lanes)
        super().__init__(
            {
                "address": In(range(depth)),
                "read": Out(word),
                "old": Out(word),
                "again": Out(1),
                "write": In(word),
                "write_enable": In(1),
                "access_enable": In(lanes),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``address`` to ``read``."""
        return self._bank.latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.bank = bank = self._bank
        turns = min(1, self._turnaround)
        before = delay(m, self.address, self._turnaround - turns, "address")
        changed = delay(m, before, turns, "changed")
        written, enable = changed, self.write_enable
        follows = Signal()
        if self._later:
            written, enable = delay(m, changed, 1, "written"), Signal(name="enable")
            m.d.sync += enable.eq(self.write_enable)
            # What is changed is that which was changed a cycle ago, and is not stored yet.
            if turns:
                m.d.comb += follows.eq((before == changed) & self.write_enable)
                m.d.sync += self.again.eq(follows)
            else:
                m.d.comb += self.again.eq((changed == written) & enable)
        wire_members(m, bank, self, "address", "write")
        wire_members(m, self, bank, "read")
        m.d.comb += [
            bank.second_address.eq(before),
            bank.write_address.eq(written),
            bank.write_enable.eq(enable.replicate(len(self.access_enable)) | self.access_enable),
        ]
        if self._block or not turns:
            stored = bank.second.as_value()
            m.d.comb += self.old.as_value().eq(Mux(self.again, 0, stored))
            return m
        overtaken = Signal()
        m.d.comb += overtaken.eq(before == written)
        for lane, (old, stored, new) in enumerate(zip(self.old, bank.second, self.write, strict=True)):
            register = Signal(len(old.raw), name=f"old{lane}", reset_less=True)
            with m.If(follows):
                m.d.sync += register.eq(0)
            with m.Else():
                m.d.sync += register.eq(Mux(overtaken & bank.write_enable[lane], new.raw, stored.raw))
            m.d.comb += old.raw.eq(register)
        return m
