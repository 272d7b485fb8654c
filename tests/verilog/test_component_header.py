"""What stands above the Verilog of a component."""

from kanrtl.baselines import LmsSpec, create_learner
from kanrtl.loop import Taps
from kanrtl.verilog.component_header import component_header
from support.components import convert

RESET = "it sets all registers to what they begin with, except coefficients and learning rates of a learner"
"""Weights of a filter are registers, which a reset clears."""


def test_cycles_ports_and_what_a_reset_does_are_said() -> None:
    filter_ = create_learner(LmsSpec(n_in=1))
    for dut, cycles in ((Taps("SQ(1, 11)", 2), "latency 1 cycles, interval 1 cycles."), (filter_, "clk")):
        header = component_header(dut)
        assert cycles in header
        assert RESET in header
        assert all(port in header for port in dut.signature.members)
        assert convert(dut)
