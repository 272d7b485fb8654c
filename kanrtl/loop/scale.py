"""Gain and offset of every number of a stream, set at run time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Out

from ..arrays import as_integer
from ..errors import InputError, cut
from ..fabric.parts import Parts
from ..learner.address_map import COUNTER_WIDTH
from ..numeric.fixed import SQ, Codes, FixedValue, Format
from .loop_part import LoopPart
from .vectors import (
    GAIN_FORMAT,
    as_codes,
    as_format,
    as_signed_format,
    check_count,
    check_exact,
    check_index,
    check_rounding,
    count_events,
    count_events_parts,
    count_narrowed_sum,
    count_setting,
    initial_codes,
    initial_gains,
    narrow_codes,
    narrow_numbers,
    register_stage,
    settings_stream,
    vector_stream,
    write_setting,
)

__all__ = ["Scale", "ScaleModel"]


class Scale(LoopPart):
    """Gives ``gain * x + offset`` for every number x of a word: the exact sum, rounded once and saturated.

    Gains and offsets are registers. A sample has those of the clock edge that takes it.

    Parameters
    ----------
    input, output
        The formats of what comes in and what goes out; also as texts, such as ``"SQ(1, 11)"``. The offset has that of
        ``output``, signed.
    channels
        The numbers of a word; each has its own gain and offset.
    gain, offset
        The real numbers that the registers begin with, and have after a reset: one for all channels or one for each,
        each rounded to the nearest code.
    gain_format
        That of the gains, signed.
    rounding
        ``floor``, ``half_up`` or ``half_even``.
    registers
        1, or 2 for a faster clock: the first then holds the exact sums.

    Members
    -------
    i : In, stream of ``channels`` numbers in ``input``
    o : Out, stream of ``channels`` numbers in ``output``
    settings : In, stream of ``channel``, ``number`` and ``code``
        Sets the gain (``number`` 0) or the offset (1) of a channel, as an integer code; one beyond the format of the
        register becomes its lowest or highest. It never waits.
    saturations : Out(16)
        Words of which any number has saturated; stops at its highest value.
    clear : In(1)
        Sets that to zero.
    """

    def __init__(
        self,
        input: Format | str,
        output: Format | str,
        *,
        channels: int = 1,
        gain: float | Sequence[float] = 1.0,
        offset: float | Sequence[float] = 0.0,
        gain_format: Format | str = GAIN_FORMAT,
        rounding: str = "half_up",
        registers: int = 1,
    ) -> None:
        self.input, self.output = input, output = as_format("input", input), as_format("output", output)
        self.gain_format = gain_format = as_signed_format("gain_format", gain_format, "gains")
        self.offset_format = SQ(output.i + (not output.signed), output.f)
        self.channels = channels = check_count("channels", channels, max(input.width, output.width))
        self.registers = as_integer("registers", registers)
        if self.registers not in (1, 2):
            raise InputError(f"registers = {cut(registers)}: must be 1 or 2")
        self.rounding = check_rounding(rounding)
        self._gains = initial_gains("gain", gain, channels, gain_format)
        self._offsets = initial_codes("offset", offset, channels, self.offset_format)
        self._exact = _exact_sum(input, gain_format, self.offset_format)
        check_exact(self._exact, "Scale", ("input", "gain_format", "output"), output)
        self._code_width = max(gain_format.width, self.offset_format.width)
        super().__init__(
            {
                "i": In(vector_stream(input, channels)),
                "o": Out(vector_stream(output, channels)),
                "settings": In(settings_stream(2, channels, self._code_width)),
                "saturations": Out(COUNTER_WIDTH),
                "clear": In(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the one in which a word is taken to the one in which its result is offered."""
        return self.registers

    @property
    def interval(self) -> int:
        """Clock cycles from word to word, while nothing waits."""
        return 1

    def model(self) -> ScaleModel:
        """The same in integers."""
        return ScaleModel(self, self._gains, self._offsets)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        sums: list[FixedValue] = []
        for channel, (gain, offset) in enumerate(zip(self._gains, self._offsets, strict=True)):
            registers = []
            for number, (name, code, format) in enumerate(
                [("gain", gain, self.gain_format), ("offset", offset, self.offset_format)]
            ):
                register = Signal(format, name=f"{name}{channel}", init=float(format.to_float(code)))
                write_setting(m, self.settings, number, channel, register)
                registers.append(register)
            sums.append(self.i.payload[channel] * registers[0] + registers[1])
        source = (self.i.valid, self.i.ready)
        if self.registers == 2:
            held, taken = Signal(name="sums_valid"), Signal(name="sums_ready")
            with m.If(register_stage(m, source, (held, taken))):
                for channel, exact in enumerate(sums):
                    register = Signal(self._exact, name=f"sum{channel}", reset_less=True)
                    m.d.sync += register.eq(exact)
                    sums[channel] = register
            source = (held, taken)
        results, saturates = narrow_numbers(m, sums, self.output, self.rounding, "scaled")
        load = register_stage(m, source, (self.o.valid, self.o.ready))
        with m.If(load):
            m.d.sync += [number.eq(result) for number, result in zip(self.o.payload, results, strict=True)]
        count_events(m, load & saturates.any(), self.clear, self.saturations)
        return m

    def count(self, parts: Parts) -> None:
        widths = self.gain_format.width + self.offset_format.width + self.output.width
        parts.register(self.channels * widths, moved=False)
        parts.register(self.registers, moved=False)
        if self.registers == 2:
            parts.register(self.channels * self._exact.width, moved=False)
        parts.product(self.input, self.gain_format, in_logic=False, times=self.channels)
        parts.adder(self._exact.width, self.channels)
        count_narrowed_sum(parts, self._exact, self.output, self.rounding, self.channels)
        for format in (self.gain_format, self.offset_format):
            count_setting(parts, self._code_width, format)
        count_events_parts(parts)


def _exact_sum(input: Format, gain: Format, offset: Format) -> Format:
    """The format of ``gain * x + offset``."""
    product = FixedValue(input, Signal(input.as_shape())) * FixedValue(gain, Signal(gain.as_shape()))
    return (product + FixedValue(offset, Signal(offset.as_shape()))).format


class ScaleModel:
    """A :class:`Scale` in integer codes.

    Attributes
    ----------
    saturations : int
        Words of which any number has saturated, up to the counter's highest value.
    """

    def __init__(self, scale: Scale, gains: Codes, offsets: Codes) -> None:
        self._scale = scale
        self._numbers = [gains.copy(), offsets.copy()]
        self.saturations = 0

    def write(self, channel: int, number: int, code: int) -> None:
        """Set the gain (``number`` 0) or the offset (1) of a channel."""
        formats = self._scale.gain_format, self._scale.offset_format
        channel = check_index("channel", channel, self._scale.channels)
        format = formats[check_index("number", number, len(formats))]
        self._numbers[number][channel] = as_codes("code", [code], format, 1)[0]

    def step(self, codes: npt.ArrayLike) -> Codes:
        """The result ``(channels,)`` for a word ``(channels,)``."""
        scale = self._scale
        gains, offsets = self._numbers
        product = as_codes("codes", codes, scale.input, scale.channels) * gains
        fraction = scale.input.f + scale.gain_format.f
        f = max(fraction, scale.output.f)
        exact = (product << (f - fraction)) + (offsets << (f - scale.output.f))
        result, saturated = narrow_codes(exact, f, scale.output, scale.rounding)
        self.saturations = min(self.saturations + saturated, (1 << COUNTER_WIDTH) - 1)
        return result
