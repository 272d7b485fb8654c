"""The shift register behind stochastic rounding."""

from __future__ import annotations

from functools import reduce
from math import ceil
from operator import xor
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric import lfsr as noise


def lane_noise(state: Value, lane: int, bits: int) -> Value:
    """The low ``bits`` of the state as lane ``lane`` sees it; see :func:`kanrtl.numeric.lfsr.lane_noise`."""
    return state.rotate_left(noise.lane_rotation(lane))[:bits]


class NoiseRegister(wiring.Component):  # type: ignore[misc]
    """A 32-bit LFSR that leaps 16 positions at once; see :mod:`kanrtl.numeric.lfsr`.

    Parameters
    ----------
    seed
        What the first state is made of.

    Members
    -------
    state : Out(32)
    leap : In(1)
        The state goes on at the clock edge.
    load : In(2)
        Which halves of the state, the low and the high one, become those of ``load_state`` instead; a state of 0, which
        it would never leave, becomes 1.
    load_state : In(32)
    """

    def __init__(self, seed: int) -> None:
        super().__init__(
            {
                "state": Out(noise.WIDTH, init=noise.initial_state(seed)),
                "leap": In(1),
                "load": In(2),
                "load_state": In(noise.WIDTH),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the cycle of a leap to that from which the next state is there."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        half = noise.WIDTH // 2
        loaded = Cat(
            Mux(chosen, self.load_state.word_select(number, half), self.state.word_select(number, half))
            for number, chosen in enumerate(self.load)
        )
        with m.If(self.load.any()):
            m.d.sync += self.state.eq(loaded | (loaded == 0))
        with m.Elif(self.leap):
            for bit, taps in enumerate(noise.leap_taps()):
                m.d.sync += self.state[bit].eq(reduce(xor, (self.state[tap] for tap in taps)))
        return m


def count_noise_register(parts: Parts) -> None:
    """Count what :class:`NoiseRegister` has."""
    parts.register(noise.WIDTH, moved=False)
    parts.counts["parity"] += sum(ceil((len(taps) - 1) / 3) for taps in noise.leap_taps())
