"""Proofs by yosys' own SAT solver, which needs nothing beside yosys: of what a contract asserts, for all inputs."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.hdl import Assert, Assume, Module, Signal, Value

from kanrtl.errors import ToolError
from kanrtl.tools.rtlil import component_rtlil
from kanrtl.tools.toolchain import YOSYS

ENGINE = "yosys sat"


@dataclass(frozen=True)
class Contract:
    """What is promised of a component, and a design that asserts it.

    Attributes
    ----------
    name : str
        What it is called in the table.
    promise : str
        The promise in words.
    make : callable
        Gives the design, a component whose inputs are free: as it is, or with a fault that breaks the promise.
    depth : int or None
        The most cycles that are looked at: of a proof by induction those in which it has to close, of a bounded one
        those from power-up that it covers. None where there is no clock.
    unbounded : bool
        Whether it is proved by induction, for any number of cycles.
    values : bool
        Whether the promise is about what memories and multipliers give. Where it is not, they give anything at any
        time, which proves more in less time.
    """

    name: str
    promise: str
    make: Callable[[bool], Any]
    depth: int | None
    unbounded: bool
    values: bool = True

    @property
    def reach(self) -> str:
        """How far the proof goes."""
        return "unbounded" if self.unbounded or self.depth is None else f"{self.depth} cycles"

    @property
    def script(self) -> str:
        steps = ["read_rtlil top.il", "hierarchy -top top", "proc", "flatten", "opt_clean"]
        steps += ["memory -nomap; memory_map" if self.values else "delete t:$mem* t:$mul"]
        steps += ["async2sync", "chformal -lower", "opt_expr", "opt_clean -purge"]
        sat = "sat -prove-asserts -set-assumes -verify"
        if self.depth is not None:
            base = "" if self.unbounded else " -tempinduct-baseonly"
            sat += f" -set rst 0 -tempinduct{base} -maxsteps {self.depth}"
        return "; ".join([*steps, sat])


def _spent() -> float:
    """The processor's seconds that the tools have taken so far: others may have it meanwhile."""
    times = os.times()
    return times.children_user + times.children_system


def prove(contract: Contract, folder: Path, fault: bool = False) -> float:
    """Prove a contract, or that with its fault; give the processor's seconds. Raise :exc:`ToolError` where it does not
    hold."""
    (folder / "top.il").write_text(component_rtlil(contract.make(fault), "top"))
    began = _spent()
    YOSYS.run(["-q", "-p", contract.script], folder, "proof.log")
    return _spent() - began


def find_fault(contract: Contract, folder: Path) -> float:
    """Prove that the contract with its fault does not hold; give the processor's seconds. Raise :exc:`AssertionError`
    where it does."""
    began = _spent()
    try:
        prove(contract, folder, fault=True)
    except ToolError as error:
        log = (folder / "proof.log").read_text(errors="replace")
        # A proof that only does not close has found nothing.
        if "model found" in log or "SAT proof finished - model found" in log:
            return _spent() - began
        raise AssertionError(f"{contract.name}: no counterexample: {error}") from None
    raise AssertionError(f"{contract.name}: the fault is not found")


def keep(m: Module, valid: Any, ready: Any, payload: list[Any], check: Any, name: str = "kept") -> None:
    """What is offered stays, unchanged, until it is taken."""
    waits = Signal(name=f"{name}_waits")
    m.d.sync += waits.eq(valid & ~ready)
    for index, value in enumerate(payload):
        bits = Value.cast(value).as_unsigned()
        before = Signal(len(bits), name=f"{name}_before{index}")
        m.d.sync += before.eq(bits)
        with m.If(waits):
            m.d.comb += check(before == bits)
    with m.If(waits):
        m.d.comb += check(valid)


def end_soon(m: Module, due: Any, cycles: int, name: str = "waits") -> None:
    """What is due does not stay so for more than ``cycles`` cycles on end."""
    waits = Signal(range(cycles + 2), name=name)
    with m.If(due):
        m.d.sync += waits.eq(waits + 1)
    with m.Else():
        m.d.sync += waits.eq(0)
    m.d.comb += Assert(waits <= cycles)


__all__ = ["ENGINE", "Assert", "Assume", "Contract", "end_soon", "find_fault", "keep", "prove"]
