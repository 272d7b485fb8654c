"""What is behind a slave: a bus that does anything that it may."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Module, Signal
from amaranth.lib import wiring

from proofs.engine import keep

FREE = {"takes": wiring.In(1), "answers": wiring.In(1), "answer": wiring.In(33)}
"""Inputs that say what it does; the lowest 32 bits of an answer are data, the other refuses."""

SOON = 9
"""Cycles within which a slave answers a request, with such a bus behind it."""


def serve_anyhow(m: Module, top: Any, bus: Any) -> tuple[Any, Any]:
    """Serve a :class:`.WordBus`: take a request within two cycles, and answer it within two, as the inputs of ``top``
    say. What is asked on it has to stay until it is taken. Give whether a request is taken, and whether answered."""
    request, response = bus.request, bus.response
    payload = request.payload
    keep(m, request.valid, request.ready, [payload.address, payload.write], Assert, "request")
    busy, waited = Signal(), Signal()
    m.d.comb += [
        request.ready.eq(~busy & (top.takes | (waited == 1))),
        response.valid.eq(busy & (top.answers | (waited == 1))),
        response.payload.eq(top.answer),
    ]
    taken, answered = request.valid & request.ready, response.valid & response.ready
    m.d.sync += waited.eq(waited + 1)
    with m.If(taken | answered | ~(busy | request.valid)):
        m.d.sync += waited.eq(0)
    with m.If(taken):
        m.d.sync += busy.eq(1)
    with m.Elif(answered):
        m.d.sync += busy.eq(0)
    return taken, answered
