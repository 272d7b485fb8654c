"""The shift register behind stochastic rounding."""

from __future__ import annotations

from functools import reduce
from operator import xor
from typing import Any

from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...numeric import lfsr as noise

__all__ = ["Noise", "lane_noise"]


def lane_noise(state: Value, lane: int, bits: int) -> Value:
    """The low ``bits`` of the state as lane ``lane`` sees it; see :func:`kanrtl.numeric.lfsr.lane_noise`."""
    return state.rotate_left(noise.lane_rotation(lane))[:bits]


class Noise(wiring.Component):  # type: ignore[misc]
    """A 32-bit LFSR that leaps 32 positions at once; see :mod:`kanrtl.numeric.lfsr`.

    Members
    -------
    state : Out(32)
    leap : In(1), go on at the clock edge
    load : In(1), take ``load_state`` (1 in place of 0) instead
    """

    def __init__(self, seed: int) -> None:
        super().__init__(
            {
                "state": Out(noise.WIDTH, init=noise.initial_state(seed)),
                "leap": In(1),
                "load": In(1),
                "load_state": In(noise.WIDTH),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        with m.If(self.load):
            m.d.sync += self.state.eq(self.load_state | (self.load_state == 0))
        with m.Elif(self.leap):
            for bit, taps in enumerate(noise.leap_taps()):
                m.d.sync += self.state[bit].eq(reduce(xor, (self.state[tap] for tap in taps)))
        return m
