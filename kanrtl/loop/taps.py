"""A tapped delay line: the last values of a stream as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Cat, Module, Signal
from amaranth.lib.wiring import In, Out

from ..fabric.parts import Parts
from ..numeric.fixed import Codes, Format
from .loop_part import LoopPart
from .vectors import as_codes, as_format, check_count, initial_codes, register_stage, vector, vector_stream

__all__ = ["Taps", "TapsModel"]


class Taps(LoopPart):
    """A tapped delay line, as in front of any transversal filter (Widrow and Stearns, Adaptive Signal Processing, 1985,
    chapter 6): gives for every word the last ``taps`` words, the newest first.

    Parameters
    ----------
    format
        That of every number.
    taps
        How many words are given, the newest among them.
    channels
        The numbers of a word.
    initial
        The real numbers of the words before the first, one for all channels or one for each; a reset restores them.

    Members
    -------
    i : In, stream of ``channels`` numbers
    o : Out, stream of ``taps * channels`` numbers
        Those of the newest word, then those of the one before it, and so on: one vector for every word.
    """

    def __init__(
        self, format: Format | str, taps: int, *, channels: int = 1, initial: float | Sequence[float] = 0.0
    ) -> None:
        self.format = format = as_format("format", format)
        self.channels = channels = check_count("channels", channels, format.width)
        self.taps = taps = check_count("taps", taps, channels * format.width)
        self._initial = initial_codes("initial", initial, channels, format)
        super().__init__({"i": In(vector_stream(format, channels)), "o": Out(vector_stream(format, taps * channels))})

    @property
    def latency(self) -> int:
        """Clock cycles from the one in which a word is taken to the one in which its vector is offered."""
        return 1

    @property
    def interval(self) -> int:
        """Clock cycles from word to word, while nothing waits."""
        return 1

    def model(self) -> TapsModel:
        """The same in integers."""
        return TapsModel(self.format, self.taps, self._initial)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        load = register_stage(m, (self.i.valid, self.i.ready), (self.o.valid, self.o.ready))
        # A register of its own: connect() wants payloads that begin with the same value on both sides.
        init = [float(self.format.to_float(code)) for code in [*self._initial] * self.taps]
        history = Signal(vector(self.format, self.taps * self.channels), init=init)
        with m.If(load):
            m.d.sync += history.as_value().eq(
                Cat(self.i.payload.as_value(), history.as_value())[: len(history.as_value())]
            )
        m.d.comb += self.o.payload.eq(history)
        return m

    def count(self, parts: Parts) -> None:
        parts.register(self.format.width * self.channels * self.taps)
        parts.register(1, moved=False)


class TapsModel:
    """A tapped delay line in integer codes."""

    def __init__(self, format: Format, taps: int, initial: Codes) -> None:
        self._format = format
        self._history = np.tile(initial, (taps, 1))

    def step(self, codes: npt.ArrayLike) -> Codes:
        """The vector ``(taps * channels,)`` for a word ``(channels,)``."""
        word = as_codes("codes", codes, self._format, self._history.shape[1])
        self._history = np.vstack([word, self._history[:-1]])
        return self._history.flatten()  # a copy: the history stays as it is
