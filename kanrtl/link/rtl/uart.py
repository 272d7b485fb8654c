"""A serial port: bytes from a line and onto it, eight data bits, no parity, one stop bit."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ...errors import InputError

__all__ = ["UartReceiver", "UartTransmitter", "divide_clock"]

FEWEST_CYCLES = 4
"""Clock cycles of a bit at the highest rate: a bit is looked at somewhere in its middle half."""

LARGEST_ERROR = Fraction(1, 500)
"""Of a rate: both sides together may be off by half a bit in ten."""

MOST_BITS = 24


def divide_clock(clock_hz: float, baud: int) -> tuple[int, int]:
    """Give ``increment`` and ``bits``: an accumulator of that many bits that grows by the increment in every clock
    cycle overflows at ``baud`` Hz, to within :data:`LARGEST_ERROR`; the fewest bits with which it does.

    Raises
    ------
    InputError
        If the clock is too slow for the rate, or the rate is no positive number.
    """
    if baud < 1:
        raise InputError(f"baud = {baud}: give a rate in bits a second, such as 3000000")
    ratio = Fraction(baud) / Fraction(clock_hz)
    if ratio * FEWEST_CYCLES > 1:
        highest = int(clock_hz // FEWEST_CYCLES)
        raise InputError(f"baud = {baud}: a clock of {clock_hz / 1e6:g} MHz can have {highest} at most")
    for bits in range(1, MOST_BITS + 1):
        increment = round(ratio * (1 << bits))
        if increment and abs(Fraction(increment, 1 << bits) / ratio - 1) <= LARGEST_ERROR:
            return increment, bits
    raise InputError(f"baud = {baud}: too slow for a clock of {clock_hz / 1e6:g} MHz; give a higher rate")


class UartReceiver(wiring.Component):  # type: ignore[misc]
    """Takes bytes from a line.

    Parameters
    ----------
    clock_hz, baud
        Frequency of the clock, and rate of the line.

    Members
    -------
    rx : In(1)
        The line, not synchronised; 1 where nothing is sent.
    o : Out, stream of bytes
        It never waits. A byte whose stop bit is 0 is not given, and the next begins when the line has been 1.
    """

    def __init__(self, clock_hz: float, baud: int) -> None:
        self._increment, self._bits = divide_clock(clock_hz, baud)
        super().__init__({"rx": In(1), "o": Out(stream.Signature(8, always_ready=True))})

    @property
    def latency(self) -> int:
        """Clock cycles from a change of the line to that in which it is seen."""
        return 2

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1, stages=self.latency)
        phase, middle = Signal(self._bits), Signal()
        # What was seen comes in at the top; when the mark is at the bottom, all data bits are above it.
        shift, busy, previous = Signal(10), Signal(), Signal()
        grown = phase + Const(self._increment, self._bits)
        m.d.sync += [phase.eq(grown), previous.eq(line)]
        m.d.comb += [middle.eq(grown[self._bits]), self.o.payload.eq(shift[2:])]
        with m.If(~busy):
            # Half a bit later is the middle of the start bit.
            m.d.sync += [phase.eq(1 << (self._bits - 1)), shift.eq(1 << 9), busy.eq(previous & ~line)]
        with m.Elif(middle):
            m.d.sync += shift.eq(Cat(shift[1:], line))
            with m.If(shift[0]):
                # What is seen now is the stop bit.
                m.d.comb += self.o.valid.eq(line)
                m.d.sync += busy.eq(0)
        return m


class UartTransmitter(wiring.Component):  # type: ignore[misc]
    """Puts bytes onto a line.

    Parameters
    ----------
    clock_hz, baud
        Frequency of the clock, and rate of the line.

    Members
    -------
    i : In, stream of bytes
    tx : Out(1)
        The line; 1 where nothing is sent.
    """

    def __init__(self, clock_hz: float, baud: int) -> None:
        self._increment, self._bits = divide_clock(clock_hz, baud)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a byte to that from which its start bit is on the line."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        phase = Signal(self._bits)
        grown = phase + Const(self._increment, self._bits)
        # The line is the lowest bit; zeros come in behind the stop bit, and when it is all that is left, it is sent.
        shift, busy = Signal(10), Signal()
        m.d.comb += self.i.ready.eq(~busy)
        m.d.sync += self.tx.eq(~busy | shift[0])
        with m.If(~busy):
            m.d.sync += [phase.eq(0), shift.eq(Cat(Const(0, 1), self.i.payload, Const(1, 1))), busy.eq(self.i.valid)]
        with m.Else():
            m.d.sync += phase.eq(grown)
            with m.If(grown[self._bits]):
                m.d.sync += shift.eq(shift[1:])
                with m.If(shift[1:] == 0):
                    m.d.sync += busy.eq(0)
        return m
