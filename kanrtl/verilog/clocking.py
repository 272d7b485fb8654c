"""The names of a module's clock and reset, and the level of the latter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import ClockDomain, Elaboratable, Module, Signal, Value

from ..errors import InputError
from .names import check_module_name

__all__ = ["Clocking"]

# What is active low by custom: rst_n, rst_ni, resetn, aresetn, rst_n_i, rst_n0, rst_b, reset_l, nreset, sys_nrst.
_LOW = re.compile(r"_ni?$|(rst|reset)_?(n|b|l|bar|low)(?=_|\d|i?$)|(^|_)n_?(rst|reset)", re.IGNORECASE)


@dataclass(frozen=True)
class Clocking:
    """How a module is clocked and reset.

    Attributes
    ----------
    clock, reset : str
        Their names.
    active_low : bool
        Whether the reset is active at 0. It is synchronous.
    """

    clock: str = "clk"
    reset: str = "rst"
    active_low: bool = False

    @classmethod
    def of(cls, clock: str, reset: str, level: str | None = None) -> Clocking:
        """Make it of names, which say the level where ``level``, "high" or "low", does not: ``rst_n``, ``resetn``,
        ``aresetn``, ``rst_n_i``, ``rst_b`` and ``nreset`` are active low, ``reset_in`` is not.

        Raises
        ------
        InputError
            If a name is not one that every tool takes, or both are the same.
        """
        check_module_name(clock, field="--clock")
        check_module_name(reset, field="--reset")
        if clock.lower() == reset.lower():
            raise InputError(f"--reset = {reset!r}: is the name of the clock; give it another one")
        return cls(clock, reset, _LOW.search(reset) is not None if level is None else level == "low")

    @property
    def words(self) -> str:
        """How the reset acts, in one line."""
        return f"{self.reset} is synchronous and active {'low' if self.active_low else 'high'}"

    def check_ports(self, ports: list[str]) -> None:
        """Raise :exc:`InputError` where another port has one of the names."""
        taken = {port.lower() for port in ports}
        for option, name in (("--clock", self.clock), ("--reset", self.reset)):
            if name.lower() in taken:
                raise InputError(f"{option} = {name!r}: is the name of another port; add to it, as in '{name}_i'")


class ClockedModule(Elaboratable):  # type: ignore[misc]
    """A component whose clock and reset have other names, or another level."""

    def __init__(self, component: Elaboratable, clocking: Clocking) -> None:
        self._component, self._clocking = component, clocking
        self._clock, self._reset = Signal(name=clocking.clock), Signal(name=clocking.reset)

    @property
    def ports(self) -> dict[str, Value]:
        """Clock and reset, by their names."""
        return {self._clocking.clock: self._clock, self._clocking.reset: self._reset}

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = domain = ClockDomain("sync")
        m.d.comb += [
            domain.clk.eq(self._clock),
            domain.rst.eq(~self._reset if self._clocking.active_low else self._reset),
        ]
        m.submodules.component = self._component
        return m
