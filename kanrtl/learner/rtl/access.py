"""Requests from outside, and their answers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ..address_map import AddressMap
from ..spec import LearnerSpec
from .access_port import AccessPort, HeldRequest
from .sequencer_signature import Handshake

__all__ = ["Access", "count_access"]


class Access(wiring.Component):  # type: ignore[misc]
    """Holds a request while it is served, and then its answer until that is taken.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    port : In, :class:`.AccessPort`
    requests : Out, :class:`.Handshake`
        A request is there; it is taken when the sequencer is ready for it.
    responding : Out(1)
        An answer waits to be taken.
    serving, second, done : In(1)
        Of the sequencer: see :class:`.SequencerSignature`.
    registers, coefficients : Out, :class:`.HeldRequest`
        The request, for both.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._addresses = AddressMap.of(spec)
        super().__init__(
            {
                "port": In(AccessPort(spec)),
                "requests": Out(Handshake()),
                "responding": Out(1),
                "serving": In(1),
                "second": In(1),
                "done": In(1),
                "registers": Out(HeldRequest(spec)),
                "coefficients": Out(HeldRequest(spec)),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the cycle in which a request is done to that in which it is answered."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        request, response = self.port.request, self.port.response
        held = Signal(data.StructLayout({"address": self._addresses.width, "write": 1}), reset_less=True)
        # Zero except while something is written, so that no choice is needed where it meets other data.
        written = Signal(signed(self._addresses.data_width))
        m.d.comb += [
            self.requests.valid.eq(request.valid),
            request.ready.eq(self.requests.ready),
            self.responding.eq(response.valid),
        ]
        taken = request.valid & request.ready
        with m.If(taken):
            m.d.sync += [held.address.eq(request.payload.address), held.write.eq(request.payload.write)]
        with m.If(self.done | (taken & ~request.payload.write)):
            m.d.sync += written.eq(0)
        with m.Elif(taken):
            m.d.sync += written.eq(request.payload.data)
        with m.If(self.done):
            m.d.sync += [
                response.payload.eq(written | self.registers.read | self.coefficients.read),
                response.valid.eq(1),
            ]
        with m.Elif(response.ready):
            m.d.sync += response.valid.eq(0)
        for reached in (self.registers, self.coefficients):
            m.d.comb += [
                reached.address.eq(held.address),
                reached.write.eq(held.write),
                reached.data.eq(written),
                reached.serving.eq(self.serving),
                reached.second.eq(self.second),
                reached.done.eq(self.done),
            ]
        return m


def count_access(parts: Parts, spec: LearnerSpec) -> None:
    """Counts what :class:`Access` has."""
    addresses = AddressMap.of(spec)
    parts.register(addresses.width + 1)
    parts.register(2 * addresses.data_width + 1, moved=False)
    parts.choice(addresses.data_width, times=2)
