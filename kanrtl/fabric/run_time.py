"""What components do alike while they run: numbers that are set, and events that are counted."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Value, signed
from amaranth.lib import data, stream

from ..numeric.bits import clog2

__all__ = ["count_events", "settings_stream"]


def settings_stream(numbers: int, channels: int, width: int) -> stream.Signature:
    """The stream that sets numbers at run time: which ``number``, of which ``channel``, and its ``code``."""
    fields = {"channel": max(1, clog2(channels)), "number": max(1, clog2(numbers)), "code": signed(width)}
    return stream.Signature(data.StructLayout(fields), always_ready=True)


def count_events(m: Module, event: Value, clear: Value, count: Value) -> None:
    """Count events up to the counter's highest value; ``clear`` comes before an event of the same cycle."""
    with m.If(clear):
        m.d.sync += count.eq(0)
    with m.Elif(event):
        m.d.sync += count.eq(Mux(count.all(), count, count + 1))
