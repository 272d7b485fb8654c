"""The serial port: every byte, at every rate, from a sender that is not quite as fast."""

from math import floor
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out, connect, flipped

from kanrtl import InputError
from kanrtl.link.rtl.uart import UartReceiver, UartTransmitter, divide_clock
from support.components import simulate

RATES = [(12e6, 3_000_000), (25e6, 3_000_000), (12e6, 1_000_000), (48e6, 12_000_000), (100e6, 3_000_000)]
BYTES = bytes([0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, 0x7F, 0xFE])


def receive(levels: list[int], clock_hz: float, baud: int) -> bytes:
    """What a receiver takes from a line, whose level is given for every cycle."""
    dut, found = UartReceiver(clock_hz, baud), bytearray()

    async def bench(ctx: Any) -> None:
        for level in levels:
            ctx.set(dut.rx, level)
            _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            if valid:
                found.append(byte)

    simulate(dut, bench)
    return bytes(found)


def draw_line(content: bytes, cycles_per_bit: float, start: float = 20.0) -> list[int]:
    """The level of a line in every cycle, on which bytes follow each other without a pause."""
    bits = [bit for byte in content for bit in (0, *((byte >> place) & 1 for place in range(8)), 1)]
    cycles = int(start + len(bits) * cycles_per_bit) + 20
    places = [floor((cycle - start) / cycles_per_bit) for cycle in range(cycles)]
    return [bits[place] if 0 <= place < len(bits) else 1 for place in places]


@pytest.mark.parametrize(("clock_hz", "baud"), RATES)
@pytest.mark.parametrize("error", [0.985, 1.0, 1.015])
@pytest.mark.parametrize("phase", [0.0, 0.5])
def test_bytes_are_received(clock_hz: float, baud: int, error: float, phase: float) -> None:
    levels = draw_line(BYTES, clock_hz / baud * error, 20 + phase)
    assert receive(levels, clock_hz, baud) == BYTES


def test_a_byte_comes_in_the_middle_of_its_stop_bit() -> None:
    dut, period, cycles = UartReceiver(100e6, 1_000_000), 100, 0

    async def bench(ctx: Any) -> None:
        nonlocal cycles
        for level in draw_line(b"\x12", period, 0):
            ctx.set(dut.rx, level)
            _, _, valid = await ctx.tick().sample(dut.o.valid)
            if valid:
                return
            cycles += 1

    simulate(dut, bench)
    assert abs(cycles - 9.5 * period - dut.latency) <= 2


def test_a_byte_without_its_stop_bit_is_not_given() -> None:
    levels = draw_line(b"\x12", 4)
    stop = 20 + 9 * 4
    levels[stop : stop + 4] = [0] * 4
    assert receive(levels + [1] * 60, 12e6, 3_000_000) == b""
    assert receive(levels + [1] * 60 + draw_line(b"\x34", 4), 12e6, 3_000_000) == b"\x34"


class Loop(wiring.Component):  # type: ignore[misc]
    """A transmitter whose line goes to a receiver."""

    def __init__(self, clock_hz: float, baud: int) -> None:
        self.transmitter, self.receiver = UartTransmitter(clock_hz, baud), UartReceiver(clock_hz, baud)
        super().__init__({"i": self.transmitter.signature.members["i"], "o": Out(self.receiver.o.signature)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.transmitter, m.submodules.receiver = self.transmitter, self.receiver
        connect(m, flipped(self.i), self.transmitter.i)
        connect(m, self.receiver.o, flipped(self.o))
        m.d.comb += self.receiver.rx.eq(self.transmitter.tx)
        return m


@pytest.mark.parametrize(("clock_hz", "baud"), RATES)
def test_what_is_sent_is_received(clock_hz: float, baud: int) -> None:
    dut, found = Loop(clock_hz, baud), bytearray()
    cycles = clock_hz / baud

    async def send(ctx: Any) -> None:
        for byte in BYTES:
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def take(ctx: Any) -> None:
        taken = 0
        while len(found) < len(BYTES):
            _, _, valid, byte = await ctx.tick().sample(dut.o.valid, dut.o.payload)
            taken += 1
            if valid:
                found.append(byte)
        # A byte is ten bits, and one cycle until the next begins.
        assert taken <= len(BYTES) * (10 * cycles + 1) + 8

    simulate(dut, send, take)
    assert found == BYTES


def test_the_line_rests_high() -> None:
    dut = UartTransmitter(12e6, 3_000_000)

    async def bench(ctx: Any) -> None:
        for _ in range(5):
            assert ctx.get(dut.tx) == 1
            await ctx.tick()
        ctx.set(dut.i.valid, 1)
        await ctx.tick()
        assert ctx.get(dut.tx) == 1
        for _ in range(dut.latency):
            await ctx.tick()
        assert ctx.get(dut.tx) == 0

    simulate(dut, bench)


def test_the_clock_is_divided_with_the_fewest_bits() -> None:
    assert divide_clock(12e6, 3_000_000) == (1, 2)
    for clock_hz, baud in ((25e6, 3_000_000), (100e6, 9600), (48e6, 115_200)):
        increment, bits = divide_clock(clock_hz, baud)
        assert abs(clock_hz * increment / 2**bits / baud - 1) <= 1 / 500


@pytest.mark.parametrize(
    ("baud", "line"),
    [
        (0, "baud = 0: give a rate in bits a second, such as 3000000"),
        (4_000_000, "baud = 4000000: a clock of 12 MHz can have 3000000 at most"),
    ],
)
def test_rates_that_cannot_be_had(baud: int, line: str) -> None:
    with pytest.raises(InputError) as failure:
        divide_clock(12e6, baud)
    assert str(failure.value) == line
