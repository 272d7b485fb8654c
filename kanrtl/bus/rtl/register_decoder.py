"""From a bus to what its addresses stand for: the shell's own registers, and the core's access port."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...learner.address_map import CONTROL_RESTORE, AddressMap
from ...learner.rtl.access import AccessPort
from ...learner.spec import LearnerSpec
from ..register import WORD
from ..register_map import BYTES, RegisterMap
from ..word_bus import WordBus

__all__ = ["PATIENCE", "LocalBus", "RegisterDecoder"]

PATIENCE = 1024
"""Clock cycles for which a core may wait for something else, such as the teacher's word, before an access is refused:
the bus may be the only one who could bring it."""


class LocalBus(wiring.Signature):  # type: ignore[misc]
    """Reads and writes of registers that answer in the same cycle.

    Parameters
    ----------
    address_width
        Bits of an address, which counts words.

    Members
    -------
    address : Out
    write : Out(1)
        ``data`` is written at the clock edge.
    data : Out(32)
    read : In(32)
        What is read; zero where the address is another's.
    refused : In(1)
        What would be written is not.
    """

    def __init__(self, address_width: int) -> None:
        super().__init__(
            {
                "address": Out(address_width),
                "write": Out(1),
                "data": Out(WORD),
                "read": In(WORD),
                "refused": In(1),
            }
        )


class RegisterDecoder(wiring.Component):  # type: ignore[misc]
    """Answers every request of a bus, and holds the events.

    A write acts on whole words: one with only some of its bytes selected changes nothing, and is refused. An address
    that stands for nothing reads zero, and a write to it changes nothing. A request to the access port waits for the
    core; where that waits for something else for :data:`PATIENCE` cycles, the request is taken back and refused. While
    the core restores what it began with, because it was written to, it waits for nothing else.

    Parameters
    ----------
    map
        What lies where.
    spec
        The learner behind the access port; None for a network.
    patience
        :data:`PATIENCE`, or another number of cycles.

    Members
    -------
    bus : In, :class:`.WordBus`
    local : Out, :class:`LocalBus`
        For registers that others hold.
    status : In
        The fields of the register ``status``.
    occurred : In
        The fields of the register ``events``: high in a cycle in which it happens; ``refused`` is not looked at.
    waits : In(1)
        The core waits for something else than this bus.
    irq : Out(1)
        An event is set that is enabled.
    access : Out, :class:`.AccessPort`; only for a learner
    """

    def __init__(self, map: RegisterMap, spec: LearnerSpec | None, patience: int = PATIENCE) -> None:
        self._map, self._spec, self._patience = map, spec, patience
        self._words = map.address_width - 2
        members: dict[str, Any] = {
            "bus": In(WordBus(self._words)),
            "local": Out(LocalBus(self._words)),
            "waits": In(1),
            "irq": Out(1),
        }
        for member, name in (("status", "status"), ("occurred", "events")):
            fields = map.find(name).register.fields
            members[member] = In(data.StructLayout({field.name: 1 for field in fields}))
        if spec is not None:
            members["access"] = Out(AccessPort(spec))
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a request to that from which its answer is there, except those that
        the access port takes."""
        return 2

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        request, response, local = self.bus.request, self.bus.response, self.local
        held = Signal.like(request.payload)
        within, whole = Signal(), Signal()
        m.d.comb += [
            whole.eq(held.strobes.all()),
            local.address.eq(held.address),
            local.data.eq(held.data),
        ]
        if self._spec is not None:
            width = len(self.access.request.payload.address)
            m.d.comb += within.eq(held.address[-1] & ~held.address[width:-1].any())
        own = self._own_registers(m, local)
        waits = self.waits & ~self._see_restoring(m, held)
        with m.FSM():
            with m.State("idle"):
                m.d.comb += request.ready.eq(1)
                with m.If(request.valid):
                    m.d.sync += held.eq(request.payload)
                    m.next = "serve"
            with m.State("serve"):
                m.d.sync += [response.payload.data.eq(0), response.payload.refused.eq(0)]
                m.next = "answer"
                with m.If(held.write & ~whole):
                    m.d.sync += response.payload.refused.eq(held.strobes.any())
                with m.Elif(held.write & ~within):
                    m.d.comb += local.write.eq(1)
                    m.d.sync += response.payload.refused.eq(local.refused)
                with m.Elif(~within):
                    m.d.sync += response.payload.data.eq(own | local.read)
                if self._spec is not None:
                    with m.Else():
                        m.next = "ask"
            if self._spec is not None:
                self._ask(m, held, waits)
            with m.State("answer"):
                m.d.comb += response.valid.eq(1)
                with m.If(response.ready):
                    m.next = "idle"
        return m

    def _own_registers(self, m: Module, local: Any) -> Value:
        """Make identification, status and events; give what is read of them."""
        read = Signal(WORD)
        response = self.bus.response
        with m.Switch(local.address):
            for placed in self._map.registers:
                if placed.constant and placed.reset is not None:
                    with m.Case(placed.address // BYTES):
                        m.d.comb += read.eq(placed.reset)
            status, events, enable = (self._map.find(name) for name in ("status", "events", "interrupt_enable"))
            happened = Signal(len(events.register.fields), name="events")
            enabled = Signal(len(events.register.fields), name="interrupt_enable")
            cleared = Signal.like(happened, name="cleared")
            with m.Case(status.address // BYTES):
                m.d.comb += read.eq(
                    _place(status.register.fields, [self.status[f.name] for f in status.register.fields])
                )
            with m.Case(events.address // BYTES):
                m.d.comb += read.eq(_place(events.register.fields, list(happened)))
                with m.If(local.write):
                    m.d.comb += cleared.eq(Cat(local.data[field.low] for field in events.register.fields))
            with m.Case(enable.address // BYTES):
                m.d.comb += read.eq(_place(enable.register.fields, list(enabled)))
                with m.If(local.write):
                    m.d.sync += enabled.eq(Cat(local.data[field.low] for field in enable.register.fields))
        occurs = [
            response.valid & response.ready & response.payload.refused
            if field.name == "refused"
            else self.occurred[field.name]
            for field in events.register.fields
        ]
        m.d.sync += happened.eq((happened & ~cleared) | Cat(occurs))
        m.d.comb += self.irq.eq((happened & enabled).any())
        return read

    def _ask(self, m: Module, held: Any, waits: Value) -> None:
        """Make the states in which the access port is asked."""
        asked, answer = self.access.request, self.access.response
        response = self.bus.response
        waited = Signal(range(self._patience + 1))
        m.d.comb += [
            asked.payload.address.eq(held.address),
            asked.payload.write.eq(held.write),
            asked.payload.data.eq(held.data.as_signed()),
        ]
        with m.State("ask"):
            m.d.comb += asked.valid.eq(1)
            m.d.sync += waited.eq(0)
            with m.If(asked.ready):
                m.next = "await"
            with m.Elif(waited == self._patience):
                m.d.sync += response.payload.refused.eq(1)
                m.next = "answer"
            with m.Elif(waits):
                m.d.sync += waited.eq(waited + 1)
        with m.State("await"):
            m.d.comb += answer.ready.eq(1)
            m.d.sync += waited.eq(0)
            with m.If(answer.valid):
                with m.If(~held.write):
                    m.d.sync += response.payload.data.eq(answer.payload)
                m.next = "answer"

    def _see_restoring(self, m: Module, held: Any) -> Value:
        """See that the core restores what it began with, as it was told to over the access port."""
        if self._spec is None or self._spec.restart_cycles is None:
            return Const(0)
        asked = self.access.request
        left = Signal(range(self._spec.restart_cycles + 1), name="restoring")
        controlled = held.write & (asked.payload.address == AddressMap.of(self._spec).control)
        with m.If(asked.valid & asked.ready & controlled & held.data[CONTROL_RESTORE.bit_length() - 1]):
            m.d.sync += left.eq(self._spec.restart_cycles)
        with m.Elif(left.any()):
            m.d.sync += left.eq(left - 1)
        return left.any()


def _place(fields: Any, bits: list[Value]) -> Value:
    """Give single bits in the positions of their fields."""
    positions = {field.low: bit for field, bit in zip(fields, bits, strict=True)}
    return Cat(positions.get(index, Const(0, 1)) for index in range(max(positions) + 1))
