"""The noise register, alone, against the sequence of the numeric contract."""

from typing import Any

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from kanrtl.learner.rtl.noise_register import NoiseRegister, lane_noise
from kanrtl.numeric import lfsr
from support.components import convert, record


def test_a_leap_gives_the_next_state_and_nothing_else_does() -> None:
    dut = NoiseRegister(7)
    assert dut.latency == 1
    leaps = [1, 1, 0, 0, 1, 1, 0]
    states = [int(state) for state in lfsr.states_from(np.array([lfsr.initial_state(7)]), 5)[:, 0]]
    found = record(dut, [{"leap": leap} for leap in leaps], ["state"])["state"]
    assert found == [states[place] for place in (0, 1, 2, 2, 2, 3, 4)]


def test_a_state_is_loaded_in_two_halves() -> None:
    inputs = [{"leap": 1, "load": 1, "loaded": 0x9234}, {"leap": 0, "loaded": 0x5678}, {"load": 0, "leap": 1}, {}]
    found = record(NoiseRegister(0), inputs, ["state"])["state"]
    assert found[1] == (lfsr.initial_state(0) << 16 | 0x9234) & 0xFFFFFFFF
    assert found[2:] == [0x92345678, lfsr.leap(0x92345678)]


def test_lanes_are_rotations() -> None:
    state, found = Signal(32, init=0x9E3779B9), []

    async def bench(ctx: Any) -> None:
        found.extend(ctx.get(lane_noise(state, lane, 9)) for lane in range(40))

    simulator = Simulator(Module())
    simulator.add_testbench(bench)
    simulator.run()
    assert found == lfsr.lane_noise(0x9E3779B9, np.arange(40), 9).tolist()


def test_it_can_be_synthesised_alone() -> None:
    convert(NoiseRegister(3))
