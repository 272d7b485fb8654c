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
    leaps
        How many leaps it makes at once: two where all of its bits are wanted anew every time.

    Members
    -------
    state : Out(32)
    leap : In(1)
        The state goes on at the clock edge.
    load : In(1)
        The state moves up by 16 positions, as with a leap, and its low bits become ``loaded``.
    loaded : In(16)
    """

    def __init__(self, seed: int, leaps: int = 1) -> None:
        self._leaps = leaps
        super().__init__(
            {
                "state": Out(noise.WIDTH, init=noise.initial_state(seed)),
                "leap": In(1),
                "load": In(1),
                "loaded": In(noise.LEAP),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from the cycle of a leap to that from which the next state is there."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # What is above moves up in both cases, so that a state can be written for one LUT a bit of its low half.
        leapt = [reduce(xor, (self.state[tap] for tap in taps)) for taps in noise.leap_taps(self._leaps)]
        loaded = Cat(self.loaded, self.state[: noise.LEAP])
        with m.If(self.leap | self.load):
            m.d.sync += self.state.eq(Mux(self.load, loaded, Cat(leapt)))
        return m


def count_noise_register(parts: Parts, leaps: int = 1) -> None:
    """Count what :class:`NoiseRegister` has."""
    parts.register(noise.WIDTH, moved=False)
    parts.choice(noise.LEAP)
    parts.counts["parity"] += sum(ceil((len(taps) - 1) / 3) for taps in noise.leap_taps(leaps))
