"""What has the pins of a serial port, in machine code: logic that does not come to rest ends it with a line."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from kanrtl.errors import ToolError
from kanrtl.simulators.native_serial import NativeSerial

pytestmark = pytest.mark.usefixtures("compiled")

RING = """
module \\ring
  wire input 1 \\enable
  wire output 2 \\y
  wire \\gated
  cell $and \\gate
    parameter \\A_SIGNED 0
    parameter \\A_WIDTH 1
    parameter \\B_SIGNED 0
    parameter \\B_WIDTH 1
    parameter \\Y_WIDTH 1
    connect \\A \\enable
    connect \\B \\y
    connect \\Y \\gated
  end
  cell $not \\inverter
    parameter \\A_SIGNED 0
    parameter \\A_WIDTH 1
    parameter \\Y_WIDTH 1
    connect \\A \\gated
    connect \\Y \\y
  end
end
"""
"""An oscillator; Amaranth refuses to make one."""


class Gated(wiring.Component):
    """What comes in goes out again; an oscillator beside it runs while it is zero, and leads nowhere else."""

    def __init__(self) -> None:
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "oscillates": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.ring = Instance("ring", i_enable=~self.rx, o_y=self.oscillates)
        m.d.sync += self.tx.eq(self.rx)
        return m


def test_logic_that_does_not_come_to_rest_is_told_of_and_does_not_hang() -> None:
    simulation = NativeSerial("ring oscillator", Gated, 8.0, rewrite=lambda rtlil: rtlil + RING)
    assert simulation.run(100) == b""
    simulation.feed(b"\xa5")
    with pytest.raises(ToolError, match="does not come to rest within a clock cycle: a loop of its logic"):
        simulation.run(200)
    simulation.close()
