"""A small design for a board with an iCE40: of every kind of cell that a learner's has."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Elaboratable, Module, Signal
from amaranth.lib.memory import Memory

from kanrtl.boards import BOARDS

BOARD = BOARDS["icebreaker"]


class Echo(Elaboratable):  # type: ignore[misc]
    """Sends every bit back, until a memory gives something else than it holds; pressing the button stops it."""

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rx, tx = BOARD.request_uart(platform)
        button = BOARD.request_button(platform)
        content = [number * 257 for number in range(256)]
        m.submodules.rom = rom = Memory(shape=16, depth=256, init=content, attrs={"ram_style": "block"})
        read, count, before = rom.read_port(), Signal(8), Signal(8)
        held, wrong = Signal(init=1), Signal()
        m.d.comb += [read.addr.eq(count), tx.eq(held)]
        m.d.sync += [count.eq(count + 1), before.eq(count), held.eq(rx & ~button & ~wrong)]
        with m.If((count != before) & (read.data != Cat(before, before))):
            m.d.sync += wrong.eq(1)
        return m
