"""What the unit tests of components share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.sim import Simulator


def check_synthesis(component: wiring.Component) -> str:
    """Elaborates a component alone, as a top with its ports, into what yosys reads; gives that."""
    text: str = rtlil.convert(component, name="alone")
    assert "attribute \\top 1" in text
    for name in component.signature.members:
        assert f"\\{name}" in text, name
    return text


def simulate(component: wiring.Component, *benches: Callable[[Any], Any]) -> None:
    """Runs testbenches beside each other, with a clock for the domain ``sync``."""
    simulator = Simulator(component)
    simulator.add_clock(1e-8)
    for bench in benches:
        simulator.add_testbench(bench)
    simulator.run()
