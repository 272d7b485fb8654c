"""A component alone, without pins, to see how large and how fast it is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from amaranth.hdl import Const, Elaboratable, Module, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..errors import BuildError
from ..fabric.device import Device
from ..fabric.families import FAMILIES
from ..folders import temporary_folder
from ..progress import Progress
from ..tools.rtlil import component_rtlil
from .build_cache import build_or_load
from .flow import Job, check_seed, count_resources, place_and_route, prepare, synthesise, write_files
from .report import Report, check_facts

PLACERS = ("heap", "static", "sa")
"""Placers that nextpnr knows."""


def build_core(
    component: Elaboratable,
    *,
    device: str,
    seed: int = 1,
    frequency: float | None = None,
    name: str = "learner",
    facts: Mapping[str, int] | None = None,
    progress: Progress | None = None,
    keep: Path | None = None,
    register_ports: bool = False,
    placer: str | None = None,
    wide_luts: bool = False,
) -> Report:
    """Place and route ``component`` alone, without pins.

    On ECP5 this is nextpnr's ``--out-of-context``. nextpnr has no such option for iCE40; there every port but
    the clock is removed from the netlist, which comes to the same: no buffer, no pin, no path to or from a
    port. So such paths are **not timed**, and the report says how much logic stands in them. With
    ``register_ports`` every port gets a register, and they are.

    Parameters
    ----------
    component : Component
        Runs in the domain ``sync``.
    device : str
        The part, by a name that :meth:`Device.parse` knows.
    seed : int
        The seed of placement.
    frequency : float, optional
        What to ask for, in MHz. Not reaching it is no error. Where it is left out, the tools aim at 200 on ECP5 and 50
        on iCE40, more than can be had, so that they do their best; the report does not judge by that.
    name : str
        The name of the top module.
    facts : mapping, optional
        ``latency_cycles`` and ``interval_cycles``, for the report.
    progress : callable, optional
        Told what begins.
    keep : Path, optional
        A folder for the tools' logs and the report.
    register_ports : bool
        Whether to put a register on every port. They are counted in ``ff``.
    placer : ``"heap"``, ``"static"`` or ``"sa"``, optional
        The placer of nextpnr, which takes ``heap`` by default. ``static`` takes twice the time, and has placed designs
        of many multipliers better.
    wide_luts : bool
        Whether functions of five and six inputs are made of several LUTs and the multiplexers behind them, on ECP5:
        fewer LUTs one behind the other, and more of them.

    Raises
    ------
    BuildError
        If ``device``, ``seed``, ``placer`` or ``wide_luts`` is wrong, or the component needs more LUTs, multipliers or
        memory blocks than it has.
    ToolError
        If a tool is missing or fails.
    """
    part = Device.parse(device)
    seed, facts = check_seed(seed), check_facts(facts)
    clock_mhz = part.default_frequency if frequency is None else float(frequency)
    notes: tuple[str, ...] = ()
    if register_ports:
        component = _RegisteredPorts(component)
        notes = (f"ff includes a register on each of the {component.port_bits} bits of the ports",)
    if placer is not None and placer not in PLACERS:
        raise BuildError(f"placer: {placer!r} is not known; use one of {', '.join(map(repr, PLACERS))}")
    if wide_luts:
        part = part.with_wide_luts()
    placing = () if placer is None else ("--placer", placer)
    options = ("--timing-allow-fail", "--freq", f"{clock_mhz:g}", *FAMILIES[part.family].flow.without_pins, *placing)
    files = {f"{name}.il": component_rtlil(component, name)}
    job = Job(name, files, part, seed, clock_mhz, options, bitstream=False, notes=notes)
    report = build_or_load(job, progress, keep).with_facts(facts)
    return report if frequency is not None else replace(report, timing_met=None)


@dataclass(frozen=True)
class Area:
    """What a component takes of a device.

    Attributes
    ----------
    device : str
        The part.
    lut, ff, dsp, bram, lutram : int
        What it takes, counted as in :class:`kanrtl.build.Report`.
    tools : dict
        The versions of the tools, by name.
    """

    device: str
    lut: int
    ff: int
    dsp: int
    bram: int
    lutram: int
    tools: dict[str, str]


@dataclass(frozen=True)
class AreaJob:
    """A component, to be synthesised and packed but not placed: its area is the same, in half the time.

    What does not fit the device has an area, too.
    """

    job: Job

    @classmethod
    def of(cls, component: Elaboratable, device: str, name: str = "learner") -> AreaJob:
        """The job for ``component``; raises :exc:`BuildError` if ``device`` is not known."""
        part = Device.parse(device)
        files = {f"{name}.il": component_rtlil(component, name)}
        options = ("--pack-only", *FAMILIES[part.family].flow.without_pins)
        return cls(Job(name, files, part, 1, part.default_frequency, options, bitstream=False))

    @property
    def digest(self) -> str:
        """A hash of all that decides the outcome: except the lines of the source that the design comes from."""
        source = re.compile(r'^\s*attribute \\src "[^"]*"\n', re.MULTILINE)
        content = {
            "files": {name: source.sub("", text) for name, text in self.job.files.items()},
            "commands": self.job.commands,
            "tools": self.tools,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def tools(self) -> dict[str, str]:
        """The versions of the tools, by name."""
        return {tool.name: tool.version() for tool in self.job.tools}

    def run(self, progress: Progress) -> Area:
        """Synthesise and pack, telling ``progress`` what begins; :exc:`ToolError` if a tool is missing or fails."""
        with temporary_folder() as folder:
            write_files(self.job, folder)
            synthesise(self.job, folder, progress)
            netlist = prepare(self.job, folder)
            nextpnr = place_and_route(self.job, folder, progress)
        part = self.job.device
        return Area(part.name, **count_resources(part, netlist, nextpnr), tools=self.tools)


class _RegisteredPorts(wiring.Component):  # type: ignore[misc]
    """``core`` with a register on every bit of every port; the ports have flat names."""

    def __init__(self, core: Any):
        self._core = core
        self._ports = [
            ("__".join(map(str, path)), member, value)
            for path, member, value in core.signature.flatten(core)
            if not isinstance(value, Const)  # such as the ready of a stream that cannot be refused
        ]
        super().__init__({name: member.flow(member.shape) for name, member, _ in self._ports})

    @property
    def port_bits(self) -> int:
        return sum(Shape.cast(member.shape).width for _, member, _ in self._ports)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.core = self._core
        for name, member, value in self._ports:
            port = getattr(self, name)
            if member.flow == In:
                register = Signal(member.shape, name=f"{name}_register")
                m.d.sync += register.eq(port)
                m.d.comb += value.eq(register)
            else:
                assert member.flow == Out
                m.d.sync += port.eq(value)
        return m
