"""A lookup network that checks itself on a board, at full speed and without a host."""

from __future__ import annotations

from collections.abc import Iterator
from math import floor, log2
from typing import Any

import numpy as np
from amaranth.hdl import Cat, Elaboratable, Module, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.crc import Parameters
from amaranth.lib.crc.catalog import CRC32_BZIP2
from amaranth.lib.wiring import In, Out

from ..learner.rtl.noise_register import NoiseRegister
from ..lookup.quantiser import FixedQuantiser
from ..lookup.rtl.lookup_core import LookupCore, port_shapes
from ..numeric.bits import pack
from ..numeric.fixed import Codes
from ..numeric.lfsr import WIDTH, initial_state, states_from

ROUND = 1 << 14
"""How many samples a round on a board has: at 25 MHz it takes less than a millisecond."""

_SEED = 1

_CHUNK = 1 << 10


class SelfCheck(wiring.Component):  # type: ignore[misc]
    """A built-in self-test of a core: an LFSR in front, a CRC-32 behind.

    It sends pseudo-random samples into the core, round after round the same, and compares a checksum of the predictions
    with what the integer model gives. All inputs are exercised over their whole range: a sample is a window onto the
    bits of a 32-bit LFSR, 32 of which pass with every sample.

    Parameters
    ----------
    core : LookupCore
        What is checked. Its samples are offered as fast as it takes them.
    length : int
        How many samples a round has; a power of two, 2 or more.
    blink : int
        After how many rounds ``running`` changes; a power of two, 2 or more.
    expected : int, optional
        The checksum of a round without errors. By default it is that of the core's own network (:func:`signature`).

    Attributes
    ----------
    core : LookupCore
        As it was given.

    Members
    -------
    corrupt : In(1)
        While it is high, the lowest bit of every prediction is inverted, to see that the check can fail.
    running : Out(1)
        It changes every ``blink`` rounds.
    passing : Out(1)
        A round has been checked, and none of the last ``2 * blink`` was wrong.
    failing : Out(1)
        One of the last ``2 * blink`` rounds was wrong.
    failed : Out(1)
        Some round since the reset was wrong.
    checked : Out(1)
        It is high for one cycle at the end of every round.

    Raises
    ------
    ValueError
        If ``length`` or ``blink`` is no such power of two.
    """

    def __init__(
        self, core: LookupCore, *, length: int = ROUND, blink: int = 1 << 8, expected: int | None = None
    ) -> None:
        for field, value in (("length", length), ("blink", blink)):
            if value < 2 or value & (value - 1):
                raise ValueError(f"{field} = {value}: must be a power of two, 2 or more")
        self.core, self._length, self._blink = core, length, blink
        self._expected = signature(core, length) if expected is None else expected
        super().__init__(
            {
                "corrupt": In(1),
                **{name: Out(1) for name in ("running", "passing", "failing", "failed", "checked")},
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = core = self.core
        m.submodules.crc = crc = _checksum(core).create()
        sent, seen = Signal(self._length.bit_length()), Signal(self._length.bit_length())
        done = Signal()
        m.d.comb += [done.eq(seen[-1]), self.checked.eq(done)]
        self._generate(m, ~sent[-1], done)
        with m.If(core.samples.valid & core.samples.ready):
            m.d.sync += sent.eq(sent + 1)
        if not core.predictions.signature.always_ready:
            m.d.comb += core.predictions.ready.eq(1)
        prediction = core.predictions.payload.as_value()
        m.d.comb += [
            crc.valid.eq(core.predictions.valid & ~done),
            crc.data.eq(prediction ^ self.corrupt),
            crc.start.eq(done),
        ]
        with m.If(crc.valid):
            m.d.sync += seen.eq(seen + 1)
        with m.If(done):
            m.d.sync += [sent.eq(0), seen.eq(0)]
        self._judge(m, done, crc.crc == self._expected)
        return m

    def _generate(self, m: Module, offer: Any, again: Signal) -> None:
        """Send samples while ``offer`` is high; from the first on after ``again``."""
        samples = self.core.samples
        payload = samples.payload.as_value()
        m.submodules.noise = noise = ResetInserter(again)(NoiseRegister(_SEED, leaps=2))
        words = -(-len(payload) // WIDTH)
        before = [Signal(WIDTH, name=f"word{number}") for number in range(1, words)]
        m.d.comb += [
            samples.valid.eq(offer),
            payload.eq(Cat(noise.state, *before)),
            noise.leap.eq(samples.valid & samples.ready),
        ]
        for word, last in zip(before, [noise.state, *before], strict=False):
            with m.If(again):
                m.d.sync += word.eq(0)
            with m.Elif(noise.leap):
                m.d.sync += word.eq(last)

    def _judge(self, m: Module, done: Signal, right: Any) -> None:
        """Drive the outputs that LEDs show, at the end of every round."""
        rounds, left = Signal(range(self._blink)), Signal(range(2 * self._blink + 1))
        started = Signal()
        with m.If(done):
            m.d.sync += [started.eq(1), rounds.eq(rounds + 1)]
            with m.If(rounds == self._blink - 1):
                m.d.sync += self.running.eq(~self.running)
            with m.If(~right):
                m.d.sync += [left.eq(2 * self._blink), self.failed.eq(1)]
            with m.Elif(left != 0):
                m.d.sync += left.eq(left - 1)
        m.d.comb += [self.failing.eq(left != 0), self.passing.eq(started & (left == 0))]


def _checksum(core: LookupCore) -> Parameters:
    """Give the parameters of the checksum of a core's predictions."""
    return CRC32_BZIP2(len(core.predictions.payload.as_value()))


def samples_of_a_round(core: LookupCore, length: int) -> Iterator[Codes]:
    """Give the samples of a round as the ports carry them: integers ``(n, n_in)``, in parts."""
    (shape, _), n_in = port_shapes(core), core.network.n_in
    states = states_from(np.array([initial_state(_SEED)]), 2 * length)[::2, 0]
    words = -(-n_in * shape.width // WIDTH)
    padded = np.concatenate([np.zeros(words - 1, np.int64), states])
    weights = np.int64(1) << np.arange(shape.width, dtype=np.int64)
    weights[-1] *= -1 if shape.signed else 1
    for start in range(0, length, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, length))
        # The newest word is the lowest.
        window = padded[rows[:, None] + words - 1 - np.arange(words)].astype("<u4")
        bits = np.unpackbits(window.view(np.uint8), axis=1, bitorder="little")
        yield bits[:, : n_in * shape.width].reshape(len(rows), n_in, shape.width) @ weights


def signature(core: LookupCore, length: int) -> int:
    """Compute the checksum of the integer model's predictions for the ``length`` samples of a round."""
    network, (_, shape) = core.network, port_shapes(core)
    quantiser = network.quantiser

    def words() -> Iterator[int]:
        for samples in samples_of_a_round(core, length):
            codes = quantiser.codes_of_raw(samples) if isinstance(quantiser, FixedQuantiser) else samples
            yield from (pack(row, shape) for row in network.predict_codes(codes))

    return int(_checksum(core).compute(words()))


class SelfCheckTop(Elaboratable):  # type: ignore[misc]
    """A :class:`SelfCheck` on a board.

    Its LEDs are, in order, ``running``, ``passing``, ``failing`` and ``failed``; a board with fewer LEDs has the first
    of these. A button corrupts the predictions.

    Parameters
    ----------
    core : LookupCore
        What is checked.
    board : kanrtl.boards.Board
        Where it is checked.

    Attributes
    ----------
    check : SelfCheck
        The check of ``core``.
    """

    def __init__(self, core: LookupCore, board: Any) -> None:
        self._board = board
        rounds_in_half_a_second = max(2.0, board.clock_mhz * 5e5 / (ROUND * core.interval))
        self.check = SelfCheck(core, blink=1 << floor(log2(rounds_in_half_a_second)))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        leds = self._board.request_leds(platform)
        m.submodules.check = check = self.check
        shown = [check.running, check.passing, check.failing, check.failed]
        m.d.comb += [led.eq(signal) for led, signal in zip(leds, shown, strict=False)]
        button = self._board.request_button(platform)
        if button is not None:
            m.submodules.button = FFSynchronizer(button, check.corrupt)
        return m
