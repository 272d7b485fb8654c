"""The coefficients that were good, beside a learner, and what copies them there and back."""

from __future__ import annotations

import enum
from typing import Any

from amaranth.hdl import Cat, Module, Mux, ResetInserter, Signal, Value
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...fabric.counted_component import CountedComponent
from ...fabric.logic_table import look_up
from ...fabric.parts import Parts
from ...numeric.bits import bits_for, clog2
from ..address_map import AddressMap
from ..restoration import Restoration
from ..spec import LearnerSpec
from .access import AccessPort
from .restorer import Restorer, count_table

__all__ = ["GuardShadow"]


class _Walk(enum.Enum):
    NONE = 0
    COPY = 1
    RESTORE = 2


class GuardShadow(CountedComponent):
    """A memory with two copies of all coefficients: one that is good, and the last, of which that is not known yet.

    A copy is good at once where it is told so, and otherwise when it is confirmed. At first the spec's start is; in a
    learner with ``initial="reset"``, whose memories begin with anything, this lies in logic. A copy that a restore
    interrupts is given up.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    copy : In(1), good : In(1)
        It begins to copy, and with ``good`` what it copies is good at the end. Not while ``busy``.
    confirm : In(1)
        The copy before, if there is one, is good now. Not while ``busy``.
    restore : In(1)
        It begins to restore the good copy.
    busy : Out(1)
        It copies, or restores; restoring : Out(1), it is the latter.
    access : Out, :class:`.AccessPort`
        Requests are valid until they are taken.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        self._start = Restoration.of(spec).coefficients
        super().__init__(
            {
                "copy": In(1),
                "good": In(1),
                "confirm": In(1),
                "restore": In(1),
                "busy": Out(1),
                "restoring": Out(1),
                "access": Out(AccessPort(spec)),
            }
        )

    @property
    def accesses(self) -> int:
        """How many accesses it takes to copy or to restore: one for each coefficient."""
        return len(self._start)

    @property
    def latency(self) -> int:
        """Clock cycles from what begins it to its first request, at the most, if no answer is awaited."""
        return 5

    @property
    def _width(self) -> int:
        return max(layer.formats.coefficient.width for layer in self._spec.layers)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        count, width, restarts = len(self._start), self._width, self._spec.restarts
        bits = clog2(count)
        init = [] if restarts else [code & ((1 << width) - 1) for code in self._start]
        m.submodules.memory = memory = Memory(shape=width, depth=2 << bits, init=init, attrs={"ram_style": "block"})
        write, read = memory.write_port(), memory.read_port()
        restarted = Signal()
        m.submodules.restorer = restorer = ResetInserter(restarted)(Restorer(self._spec))
        request, response, outer = restorer.access.request, restorer.access.response, self.access
        walk = Signal(_Walk)
        clearing, beginning, asked, adopting = Signal(), Signal(), Signal(), Signal()
        # A reset begins no window with another copy than the one before; what was copied in part was not good.
        good, promising = Signal(reset_less=not restarts), Signal()
        answered = Signal(max(bits, 1))
        value: Value = read.data.as_signed()
        if restarts:
            from_start = Signal(init=1)
            start = look_up(restorer.values.position, [code & ((1 << width) - 1) for code in self._start], width)
            value = Mux(from_start, start.as_signed(), value)
        m.d.comb += [
            self.busy.eq(walk != _Walk.NONE),
            self.restoring.eq(walk == _Walk.RESTORE),
            restorer.values.value.eq(value),
            restorer.begin.eq(beginning),
            restarted.eq(clearing & ~asked),
            read.addr.eq(Cat(restorer.values.position[:bits], good) if bits else good),
            write.addr.eq(Cat(answered[:bits], ~good) if bits else ~good),
            write.data.eq(outer.response.payload),
            write.en.eq((walk == _Walk.COPY) & asked & outer.response.valid),
            outer.request.valid.eq(request.valid & ~clearing),
            outer.request.payload.address.eq(request.payload.address),
            outer.request.payload.write.eq(self.restoring),
            outer.request.payload.data.eq(Mux(self.restoring, request.payload.data, 0)),
            request.ready.eq(outer.request.ready & ~clearing),
            outer.response.ready.eq(1),
            response.valid.eq(outer.response.valid & asked),
        ]
        with m.If(outer.request.valid & outer.request.ready):
            m.d.sync += [asked.eq(1), answered.eq(restorer.values.position)]
        with m.Elif(outer.response.valid):
            m.d.sync += asked.eq(0)
        m.d.sync += beginning.eq(restarted)
        with m.If(restarted):
            m.d.sync += clearing.eq(0)
        with m.If(self.busy & ~clearing & ~beginning & ~restorer.busy):
            m.d.sync += walk.eq(_Walk.NONE)
            with m.If(~self.restoring):
                m.d.sync += [promising.eq(~adopting), good.eq(good ^ adopting)]
                if restarts:
                    with m.If(adopting):
                        m.d.sync += from_start.eq(0)
        with m.If(self.confirm):
            m.d.sync += [good.eq(good ^ promising), promising.eq(0)]
            if restarts:
                with m.If(promising):
                    m.d.sync += from_start.eq(0)
        with m.If(self.copy):
            m.d.sync += [walk.eq(_Walk.COPY), beginning.eq(1), adopting.eq(self.good), promising.eq(0)]
        with m.If(self.restore):
            m.d.sync += [walk.eq(_Walk.RESTORE), clearing.eq(1), beginning.eq(0), promising.eq(0)]
        return m

    def count(self, parts: Parts) -> None:
        addresses, count = AddressMap.of(self._spec), len(self._start)
        parts.memory("shadow", 2 << clog2(count), self._width, block=True)
        walked = bits_for(count - 1) + clog2(max(layer.coefficients for layer in self._spec.layers))
        walked += addresses.input_bits + addresses.node_bits + addresses.layer_bits
        parts.counts["counter"] += walked
        restorer, own = 4, 8 + max(clog2(count), 1)
        parts.register(walked + restorer + own + self._spec.restarts, moved=False)
        parts.choice(addresses.width)
        if self._spec.restarts:
            count_table(parts, self._start, self._width)
            parts.choice(self._width)
