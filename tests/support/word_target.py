"""Words behind a bus, which answer late."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In

from kanrtl.bus.word_bus import WordBus


class WordTarget(wiring.Component):
    """Takes a request when a counter says so, and answers it some cycles later; refuses writes while ``refuses``."""

    def __init__(self, address_width: int) -> None:
        self._width = address_width
        super().__init__({"bus": In(WordBus(address_width)), "refuses": In(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = Memory(shape=32, depth=1 << self._width, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        request, response = self.bus.request, self.bus.response
        count, busy, left = Signal(3), Signal(), Signal(2)
        m.d.sync += count.eq(count * 5 + 3)
        m.d.comb += [
            request.ready.eq(~busy & count[2]),
            write.addr.eq(request.payload.address),
            write.data.eq(request.payload.data),
            write.en.eq(request.valid & request.ready & request.payload.write & ~self.refuses),
            read.addr.eq(request.payload.address),
            response.valid.eq(busy & (left == 0)),
        ]
        with m.If(request.valid & request.ready):
            m.d.sync += [
                busy.eq(1),
                left.eq(count),
                response.payload.data.eq(read.data),
                response.payload.refused.eq(self.refuses & request.payload.write),
            ]
        with m.Elif(left != 0):
            m.d.sync += left.eq(left - 1)
        with m.Elif(response.ready):
            m.d.sync += busy.eq(0)
        return m
