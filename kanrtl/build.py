"""From a component to a bitstream, and the report that comes from it.

The flow is synthesise, place and route, pack, read the report. Every build is cached under a hash of all that
goes into it; a build that is asked for again costs nothing.

What the report says of timing is what the tools have checked. Where they check nothing, because nextpnr takes
a multiplier for registered that is not, or because it does not look inside one that is, the report says so:
``fmax_kind`` is ``measured``, ``derated`` (a lower bound) or ``unverified``.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import platformdirs
from amaranth.back import rtlil
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .toolchain import (
    ECPPACK,
    ICEPACK,
    NEXTPNR_ECP5,
    NEXTPNR_ICE40,
    YOSYS,
    Progress,
    Tool,
    ToolError,
    portable_sources,
)

if TYPE_CHECKING:
    from .boards import Board

__all__ = ["BuildError", "Device", "Report", "TimingError", "build_board", "build_core"]


class BuildError(ValueError):
    """Something that cannot be built. One line that names the field, its value and the mend."""


class TimingError(ToolError):
    """A design that is built but slower than its board's clock. ``report`` has the details."""

    def __init__(self, message: str, report: "Report"):
        super().__init__(message)
        self.report = report


# Devices.

# LUT4, multipliers, memory blocks of 18 kbit. The 12F is a 25F by another name: the open tools use all of it.
_ECP5_DIES = {"12": (24288, 28, 56), "25": (24288, 28, 56), "45": (43848, 72, 108), "85": (83640, 156, 208)}
_ECP5_PACKAGES = {
    "TG144": "TQFP144",
    "MG285": "CSFBGA285",
    "BG256": "CABGA256",
    "BG381": "CABGA381",
    "BG554": "CABGA554",
    "BG756": "CABGA756",
}
_ECP5_NAME = re.compile(r"LFE5(U|UM|UM5G)-(12|25|45|85)F(?:-([678]))?(?:-?([A-Z]+\d+))?[CI]?")

# Logic cells, multipliers, memory blocks of 4 kbit; then the packages, the default first. The 4K parts are 8K
# dies of which the open tools use all.
_ICE40_DIES: dict[str, tuple[int, int, int, tuple[str, ...]]] = {
    "LP384": (384, 0, 0, ("qn32", "cm36", "cm49")),
    "LP1K": (1280, 0, 16, ("cm121", "cm36", "cm49", "cm81", "cb81", "cb121", "qn84", "swg16tr")),
    "LP4K": (7680, 0, 32, ("cm121", "cm81", "cm225")),
    "LP8K": (7680, 0, 32, ("cm121", "cm81", "cm225")),
    "HX1K": (1280, 0, 16, ("tq144", "vq100", "cb132")),
    "HX4K": (7680, 0, 32, ("tq144", "cb132", "bg121")),
    "HX8K": (7680, 0, 32, ("ct256", "cb132", "cm225", "bg121")),
    "UP3K": (5280, 8, 30, ("uwg30",)),
    "UP5K": (5280, 8, 30, ("sg48", "uwg30")),
}
_ICE40_NAME = re.compile(r"ICE40(LP384|LP[148]K|HX[148]K|UP[35]K)(?:-([A-Z]+\d+(?:TR)?))?")


@dataclass(frozen=True)
class Device:
    """An FPGA: what it holds, and how the tools call it.

    Attributes
    ----------
    name : str
        The name that it was asked for by.
    family : str
        ``ecp5`` or ``ice40``.
    lut, ff, dsp, bram : int
        Capacity: LUT4 (iCE40: logic cells of a LUT4 and a flip-flop), flip-flops, multipliers (MULT18X18D or
        SB_MAC16), memory blocks.
    bram_kbit : int
        Size of a memory block, in kbit.
    synthesis : tuple of str
        The yosys command that synthesises for it.
    nextpnr_options : tuple of str
        Die, package and speed grade.
    """

    name: str
    family: Literal["ecp5", "ice40"]
    lut: int
    ff: int
    dsp: int
    bram: int
    bram_kbit: int
    synthesis: tuple[str, ...]
    nextpnr_options: tuple[str, ...]

    @classmethod
    def parse(cls, name: str) -> "Device":
        """The device called ``name``, such as ``LFE5U-85F-6``, ``LFE5U-25F-6BG256``, ``iCE40UP5K-SG48``.

        Speed grade and package may be left out; they default to the slowest grade and to CABGA381 on ECP5.

        Raises
        ------
        BuildError
            If there is no such device.
        """
        ecp5 = _ECP5_NAME.fullmatch(name.upper())
        ice40 = _ICE40_NAME.fullmatch(name.upper())
        if ecp5:
            return cls._ecp5(name, *ecp5.groups())
        if ice40:
            return cls._ice40(name, *ice40.groups())
        raise BuildError(
            f"device: {name!r} is not known; it is a name like LFE5U-25F-6, LFE5U-85F-8BG381, "
            f"LFE5UM5G-85F-8, iCE40UP5K-SG48 or iCE40HX8K-CT256"
        )

    @classmethod
    def _ecp5(cls, name: str, line: str, size: str, speed: str | None, package: str | None) -> "Device":
        if package is not None and package not in (*_ECP5_PACKAGES, *_ECP5_PACKAGES.values()):
            raise BuildError(f"device: {name!r} names package {package}; choose one of {', '.join(_ECP5_PACKAGES)}")
        if size == "12" and line != "U":
            raise BuildError(f"device: {name!r} does not exist; LFE5{line} comes as 25F, 45F and 85F")
        if line == "UM5G" and speed not in (None, "8"):
            raise BuildError(f"device: {name!r} does not exist; LFE5UM5G comes in speed grade 8 only")
        lut, dsp, bram = _ECP5_DIES[size]
        prefix = {"U": "", "UM": "um-", "UM5G": "um5g-"}[line]
        options = (
            f"--{prefix}{size}k",
            "--package",
            _ECP5_PACKAGES.get(package or "BG381", package or ""),
            "--speed",
            speed or ("8" if line == "UM5G" else "6"),
        )
        return cls(name, "ecp5", lut, lut, dsp, bram, 18, ("synth_ecp5",), options)

    @classmethod
    def _ice40(cls, name: str, die: str, package: str | None) -> "Device":
        cells, dsp, bram, packages = _ICE40_DIES[die]
        package = (package or packages[0]).lower()
        if package not in packages:
            raise BuildError(f"device: {name!r} names package {package}; iCE40{die} comes as {', '.join(packages)}")
        synthesis: tuple[str, ...] = ("synth_ice40", "-device", {"LP": "lp", "HX": "hx", "UP": "u"}[die[:2]])
        if dsp:
            synthesis += ("-dsp",)
        options = (f"--{die.lower()}", "--package", package)
        return cls(name, "ice40", cells, cells, dsp, bram, 4, synthesis, options)

    @property
    def place_and_route(self) -> Tool:
        """The tool that places and routes for this family."""
        return NEXTPNR_ECP5 if self.family == "ecp5" else NEXTPNR_ICE40

    @property
    def default_frequency(self) -> float:
        """What a core is asked to reach, in MHz: more than it will, so that the tools do their best."""
        return 200.0 if self.family == "ecp5" else 50.0


# The report.


@dataclass(frozen=True)
class Report:
    """What came of a build.

    Attributes
    ----------
    device : str
        The part, as asked for.
    seed : int
        Seed of placement; the same seed gives the same result.
    clock_mhz : float
        The frequency that was asked for.
    fmax_mhz : float or None
        The frequency that the design reaches, of kind ``fmax_kind``; None where nothing can be said.
    fmax_kind : str
        ``measured``: nextpnr has timed every path between registers. ``derated``: it has not timed paths
        through multipliers; their delay is added from data. ``unverified``: it has not, and there are no
        data. ``none``: no path leads from register to register.
    fmax_nextpnr_mhz : float or None
        What nextpnr says.
    timing_met : bool
        Whether ``fmax_mhz`` is known and not below ``clock_mhz``.
    latency_cycles, interval_cycles : int or None
        As the caller stated them.
    step_ns : float or None
        ``latency_cycles`` at ``fmax_mhz``, in ns.
    lut, ff, dsp, bram : int
        What the design takes. ``lut`` counts LUT4 on ECP5, those of distributed memories included, and logic
        cells on iCE40, those with nothing but a flip-flop included.
    lutram : int
        Those of ``lut`` that are distributed memory. Each group of four also blocks two that nextpnr does not
        count.
    capacity : dict
        ``lut``, ``ff``, ``dsp``, ``bram`` of the device.
    critical_path : dict
        ``summary``, one sentence; ``delay_ns``; ``routing_ns``; ``hops``, each with ``kind`` (``logic`` or
        ``routing``), ``cell``, ``delay_ns`` and ``source``. Empty where ``fmax_kind`` is ``none``.
    tools : dict
        Versions of the tools, by name.
    notes : list of str
        What a reader of the figures must know.
    bitstream : str or None
        Path of the bitstream, where one was made.
    """

    device: str
    seed: int
    clock_mhz: float
    fmax_mhz: float | None
    fmax_kind: str
    fmax_nextpnr_mhz: float | None
    timing_met: bool
    lut: int
    ff: int
    dsp: int
    bram: int
    lutram: int
    capacity: dict[str, int]
    critical_path: dict[str, Any]
    tools: dict[str, str]
    notes: list[str] = field(default_factory=list)
    latency_cycles: int | None = None
    interval_cycles: int | None = None
    step_ns: float | None = None
    bitstream: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The report as a dictionary that :mod:`json` can write."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Report":
        """The report that :meth:`to_json` made.

        Raises
        ------
        TypeError
            If a value is missing or not known.
        """
        return cls(**{str(key): value for key, value in values.items()})

    def with_facts(self, facts: Mapping[str, int] | None) -> "Report":
        """This report with the cycle counts in ``facts``, and the time of a step that comes of them.

        Raises
        ------
        BuildError
            If a fact is not one of ``latency_cycles`` and ``interval_cycles``.
        """
        facts = _checked_facts(facts)
        latency = facts.get("latency_cycles")
        step = None if latency is None or self.fmax_mhz is None else round(latency * 1000 / self.fmax_mhz, 2)
        return replace(self, latency_cycles=latency, interval_cycles=facts.get("interval_cycles"), step_ns=step)

    def table(self) -> list[tuple[str, str]]:
        """Label and value of everything that a person wants to see, in order."""

        def used(name: str) -> str:
            number, of = getattr(self, name), self.capacity[name]
            return f"{number} of {of}" + (f" ({100 * number / of:.0f}%)" if of else "")

        ice40 = self.device.upper().startswith("ICE40")
        fmax = "unknown" if self.fmax_mhz is None else f"{self.fmax_mhz:.1f} MHz"
        rows = [
            ("device", f"{self.device}, seed {self.seed}"),
            ("fmax", fmax + ("" if self.fmax_kind == "measured" else f" ({self.fmax_kind})")),
            ("clock asked for", f"{self.clock_mhz:g} MHz, {'met' if self.timing_met else 'not met'}"),
            ("latency", "" if self.latency_cycles is None else f"{self.latency_cycles} cycles"),
            ("interval", "" if self.interval_cycles is None else f"{self.interval_cycles} cycles"),
            ("one step", "" if self.step_ns is None else f"{self.step_ns:g} ns"),
            (
                "logic cells" if ice40 else "LUT4",
                used("lut") + (f", {self.lutram} as memory" if self.lutram else ""),
            ),
            ("flip-flops", used("ff")),
            ("multipliers", used("dsp")),
            ("memory blocks", used("bram")),
            ("critical path", self.critical_path.get("summary", "")),
            ("bitstream", self.bitstream or ""),
            *(("note", note) for note in self.notes),
        ]
        return [row for row in rows if row[1]]


# The flow.

_FLOW_VERSION = 2
"""Goes into the hash of a build; to be raised when the same inputs give another report."""


@dataclass(frozen=True)
class _Job:
    """Everything that decides the outcome of a build."""

    top: str
    files: dict[str, str]  # sources and constraints by their names, with {top}.il among them
    device: Device
    seed: int
    clock_mhz: float
    nextpnr_options: tuple[str, ...]
    bitstream: bool
    pack_options: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tools(self) -> tuple[Tool, ...]:
        packer = ECPPACK if self.device.family == "ecp5" else ICEPACK
        return (YOSYS, self.device.place_and_route, *((packer,) if self.bitstream else ()))

    @property
    def bitstream_name(self) -> str:
        return f"{self.top}.bit" if self.device.family == "ecp5" else f"{self.top}.bin"

    def digest(self) -> str:
        content = {
            **asdict(self),
            "flow": _FLOW_VERSION,
            "tools": {tool.name: tool.version() for tool in self.tools},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


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
        See :meth:`Device.parse`.
    seed : int
        Seed of placement.
    frequency : float, optional
        What to ask for, in MHz. Defaults to 200 on ECP5 and 50 on iCE40: more than can be had, so that the
        tools do their best. Not reaching it is no error.
    name : str
        Name of the top module.
    facts : mapping, optional
        ``latency_cycles`` and ``interval_cycles``, for the report.
    progress : callable, optional
        Told what begins.
    keep : Path, optional
        Folder for the tools' logs and the report.
    register_ports : bool
        Whether to put a register on every port. They are counted in ``ff``.

    Raises
    ------
    BuildError
        If ``device`` or ``seed`` is wrong, or the component needs more multipliers or memory blocks than it
        has.
    ToolError
        If a tool is missing or fails.
    """
    part = Device.parse(device)
    seed, facts = _checked_seed(seed), _checked_facts(facts)
    clock_mhz = part.default_frequency if frequency is None else float(frequency)
    notes: tuple[str, ...] = ()
    if register_ports:
        component = _RegisteredPorts(component)
        notes = (f"ff includes a register on each of the {component.port_bits} bits of the ports",)
    options = ["--timing-allow-fail", "--freq", f"{clock_mhz:g}"]
    if part.family == "ecp5":
        options += ["--out-of-context", "--lpf-allow-unconstrained"]
    else:
        options += ["--pcf-allow-unconstrained"]
    files = {f"{name}.il": portable_sources(rtlil.convert(component, name=name))}
    job = _Job(name, files, part, seed, clock_mhz, tuple(options), bitstream=False, notes=notes)
    return _cached_build(job, progress, keep).with_facts(facts)


def build_board(
    top: Elaboratable,
    board: "Board | str",
    *,
    seed: int = 1,
    progress: Progress | None = None,
    output: Path | None = None,
    facts: Mapping[str, int] | None = None,
    keep: Path | None = None,
    allow_timing_failure: bool = False,
) -> Report:
    """Build the bitstream of ``top`` for ``board``, at the board's clock.

    Parameters
    ----------
    top : Elaboratable
        Requests its pins from the platform.
    board : Board or str
        A board, or the name of one.
    output : Path, optional
        Where to copy the bitstream. Without it, the report's ``bitstream`` is in the cache.
    allow_timing_failure : bool
        Whether a design that is slower than the clock, or whose speed is not known, is a result all the same.

    Other parameters as in :func:`build_core`.

    Raises
    ------
    BuildError
        If the design needs more multipliers or memory blocks than there are, or ``seed`` is wrong.
    TimingError
        If the design is slower than the board's clock.
    ToolError
        If a tool is missing or fails.
    """
    if isinstance(board, str):
        from .boards import get

        board = get(board)
    part = Device.parse(board.device)
    seed, facts = _checked_seed(seed), _checked_facts(facts)
    plan = board.platform().build(top, name="top", do_build=False)
    constraints = "top.lpf" if part.family == "ecp5" else "top.pcf"
    files = {
        name: _text(content)
        for name, content in plan.files.items()
        if name == constraints or (name.endswith((".il", ".v", ".sv")) and not name.endswith(".debug.v"))
    }
    files["top.il"] = portable_sources(files["top.il"])
    options = ("--timing-allow-fail", "--freq", f"{board.clock_mhz:g}", f"--{constraints[4:]}", constraints)
    job = _Job(
        "top",
        files,
        part,
        seed,
        board.clock_mhz,
        options,
        bitstream=True,
        pack_options=board.pack_options,
    )
    report = _cached_build(job, progress, keep).with_facts(facts)
    if not report.timing_met and not allow_timing_failure:
        raise TimingError(_timing_complaint(board.name, report), report)
    if output is not None:
        Path(output).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(report.bitstream), output)
        report = replace(report, bitstream=str(output))
    return report


def _checked_seed(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise BuildError(f"seed: {seed!r} is not an integer from 0 to {2**31 - 1}")
    return seed


def _checked_facts(facts: Mapping[str, int] | None) -> Mapping[str, int]:
    for name in facts or {}:
        if name not in ("latency_cycles", "interval_cycles"):
            raise BuildError(f"facts: {name!r} is not known; state latency_cycles and interval_cycles")
    return facts or {}


def _text(content: str | bytes) -> str:
    return content.decode() if isinstance(content, bytes) else content


def _timing_complaint(board: str, report: Report) -> str:
    if report.fmax_mhz is None:
        return (
            f"{board}: whether the design reaches {report.clock_mhz:g} MHz cannot be verified: "
            f"{'; '.join(report.notes)}"
        )
    return (
        f"{board}: the design reaches {report.fmax_mhz:.1f} MHz ({report.fmax_kind}) but the clock is "
        f"{report.clock_mhz:g} MHz; add pipeline registers or try another seed. Critical path: "
        f"{report.critical_path.get('summary', 'unknown')}"
    )


class _RegisteredPorts(wiring.Component):  # type: ignore[misc]
    """``core`` with a register on every bit of every port; the ports have flat names."""

    def __init__(self, core: Any):
        self._core = core
        self._ports = [
            ("__".join(map(str, path)), member, value) for path, member, value in core.signature.flatten(core)
        ]
        super().__init__({name: member.flow(member.shape) for name, member, _ in self._ports})

    @property
    def port_bits(self) -> int:
        return sum(len(Signal(member.shape)) for _, member, _ in self._ports)

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


def _build(job: _Job, cwd: Path, progress: Progress) -> Report:
    """Build ``job`` in the empty folder ``cwd``."""
    for name, content in job.files.items():
        path = cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    notes = [*job.notes, *_synthesise(job, cwd, progress)]
    netlist = _read_netlist(cwd / "netlist.json", job.top)
    _check_capacity(netlist, job.device)
    if not job.bitstream:
        notes += _untimed_ports(netlist)
        if job.device.family == "ice40":
            _remove_ports(cwd / "netlist.json", job.top)
    _place_and_route(job, cwd, progress)
    if job.bitstream:
        _pack(job, cwd, progress)
    return _read_report(job, netlist, json.loads((cwd / "nextpnr.json").read_text()), notes)


def _synthesise(job: _Job, cwd: Path, progress: Progress) -> list[str]:
    """Make ``netlist.json``; return notes."""
    progress(f"synthesising for {job.device.name}")
    command = " ".join([*job.device.synthesis, "-top", job.top])
    try:
        _run_yosys(job, [command], cwd, progress)
    except ToolError as error:
        # ABC9 dies of combinational loops, also of false ones through memories.
        in_abc9 = error.log is not None and "ABC9 pass" in error.log.read_text(errors="replace")
        if job.device.family != "ecp5" or not in_abc9:
            raise
        progress("synthesising again with ABC, because ABC9 failed")
        # Not -noabc9, which yosys 0.70 accepts and ignores.
        mapping = ["abc -lut 4:7 -dress", "clean"]
        _run_yosys(job, [f"{command} -run begin:map_luts", *mapping, f"{command} -run map_cells:"], cwd, progress)
        return ["mapped with ABC, because ABC9 failed; ABC does not know the delays of this part"]
    return []


def _run_yosys(job: _Job, commands: list[str], cwd: Path, progress: Progress) -> None:
    readers = {".il": "read_rtlil", ".v": "read_verilog", ".sv": "read_verilog -sv"}
    reads = [f"{readers[Path(name).suffix]} {name}" for name in job.files if Path(name).suffix in readers]
    # Amaranth names the parts of a structured signal `name[0]`, which is what ABC9 calls the bits of `name`: it dies of
    # the clash (YosysHQ/yosys#4349). Purging removes those aliases.
    flat = [f"hierarchy -top {job.top}", "proc", "flatten", "opt_clean -purge"]
    (cwd / "synthesis.ys").write_text("\n".join([*reads, *flat, *commands, "write_json netlist.json", ""]))
    YOSYS.run(["-q", "-s", "synthesis.ys"], cwd, "yosys.log", progress, produces=["netlist.json"])


def _place_and_route(job: _Job, cwd: Path, progress: Progress) -> None:
    """Make ``nextpnr.json``, its report, and the textual bitstream if one is wanted."""
    tool = job.device.place_and_route
    progress(f"placing and routing with {tool.name}, seed {job.seed}")
    routed = {"ecp5": ["--textcfg", "routed.config"], "ice40": ["--asc", "routed.asc"]}[job.device.family]
    arguments = [
        "-q",
        *job.device.nextpnr_options,
        "--json",
        "netlist.json",
        "--seed",
        str(job.seed),
        "--report",
        "nextpnr.json",
        *job.nextpnr_options,
        *(routed if job.bitstream else []),
    ]
    tool.run(
        arguments,
        cwd,
        "nextpnr.log",
        progress,
        produces=["nextpnr.json", *(routed[1:] if job.bitstream else [])],
    )


def _pack(job: _Job, cwd: Path, progress: Progress) -> None:
    progress("packing the bitstream")
    if job.device.family == "ecp5":
        arguments = [*job.pack_options, "--input", "routed.config", "--bit", job.bitstream_name]
        ECPPACK.run(arguments, cwd, "pack.log", progress, produces=[job.bitstream_name])
    else:
        ICEPACK.run(
            [*job.pack_options, "routed.asc", job.bitstream_name],
            cwd,
            "pack.log",
            progress,
            produces=[job.bitstream_name],
        )


def _read_report(job: _Job, netlist: "_Netlist", nextpnr: dict[str, Any], notes: list[str]) -> Report:
    clock, reached = _slowest_clock(nextpnr)
    fmax, kind, timing_notes = _honest_fmax(netlist, reached)
    used = {name: entry["used"] for name, entry in nextpnr["utilization"].items()}
    ecp5 = job.device.family == "ecp5"
    part = job.device
    return Report(
        device=part.name,
        seed=job.seed,
        clock_mhz=job.clock_mhz,
        fmax_mhz=_rounded(fmax),
        fmax_kind=kind,
        fmax_nextpnr_mhz=_rounded(reached),
        timing_met=kind == "none" or (fmax is not None and fmax >= job.clock_mhz),
        lut=used["TRELLIS_COMB" if ecp5 else "ICESTORM_LC"],
        ff=used["TRELLIS_FF"] if ecp5 else netlist.count(lambda kind: kind.startswith("SB_DFF")),
        dsp=used.get("MULT18X18D" if ecp5 else "ICESTORM_DSP", 0),
        bram=used.get("DP16KD" if ecp5 else "ICESTORM_RAM", 0),
        lutram=4 * netlist.count(lambda kind: kind == "TRELLIS_DPR16X4"),
        capacity={"lut": part.lut, "ff": part.ff, "dsp": part.dsp, "bram": part.bram},
        critical_path=_critical_path(nextpnr, clock, netlist, whole=kind == "measured"),
        tools={tool.name: tool.version() for tool in job.tools},
        notes=[*notes, *timing_notes],
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _slowest_clock(nextpnr: dict[str, Any]) -> tuple[str, float | None]:
    """Name of the clock that is worst off, and the frequency that nextpnr says it reaches."""
    clocks = nextpnr["fmax"]
    if not clocks:
        return "", None
    name = min(clocks, key=lambda name: clocks[name]["achieved"] / (clocks[name].get("constraint") or 1.0))
    return name, float(clocks[name]["achieved"])


# The netlist, and what nextpnr does not see in it.

_SEQUENTIAL = re.compile(
    r"TRELLIS_FF|DP16KD|PDPW16KD|SB_DFF\w*|SB_RAM\w*|SB_SPRAM\w*|EHXPLLL|SB_PLL\w*|DCCA|SB_GB|"
    r"SB_[HL]FOSC|OSCG"
)


@dataclass(frozen=True)
class _Cell:
    kind: str
    parameters: dict[str, str]
    inputs: dict[str, list[Any]]
    outputs: dict[str, list[Any]]
    place: str | None  # in the Python source

    @property
    def sequential(self) -> bool:
        return _SEQUENTIAL.fullmatch(self.kind) is not None

    def flag(self, name: str) -> bool:
        return "1" in str(self.parameters.get(name, "0"))

    def bits(self, ports: Iterable[str] | None = None) -> Iterable[int]:
        """Nets at the inputs; constants are no nets."""
        names = self.inputs if ports is None else [name for name in self.inputs if name in ports]
        return (bit for name in names for bit in self.inputs[name] if isinstance(bit, int))

    @property
    def output_bits(self) -> Iterable[int]:
        return (bit for bits in self.outputs.values() for bit in bits if isinstance(bit, int))

    @property
    def path_inputs(self) -> set[str]:
        """Inputs from which a path leads to the outputs, within one clock."""
        if self.kind == "TRELLIS_DPR16X4":
            return {"RAD"}
        if self.kind == "MULT18X18D" and _registered(self, *_MULT18_REGISTERS):
            return set()
        if self.kind == "SB_MAC16":
            mac = _Mac16.of(self)
            return set() if mac.registered_output or mac.inner else set(mac.open_inputs)
        return set() if self.sequential else set(self.inputs)


@dataclass(frozen=True)
class _Netlist:
    """A flat netlist, as yosys writes it."""

    named: dict[str, _Cell]
    input_bits: set[int]
    output_bits: set[int]

    @property
    def cells(self) -> Iterable[_Cell]:
        return self.named.values()

    def count(self, wanted: Callable[[str], bool]) -> int:
        return sum(wanted(cell.kind) for cell in self.cells)

    def find(self, name: str) -> _Cell | None:
        """The cell that nextpnr calls ``name``: it appends to yosys' names where it packs cells."""
        return self.named.get(name) or self.named.get(re.sub(r"(\$[A-Z].*|_(DFF)?LC)$", "", name))


def _read_netlist(path: Path, top: str) -> _Netlist:
    return _parse_netlist(json.loads(path.read_text()), top)


def _parse_netlist(design: dict[str, Any], top: str) -> _Netlist:
    module = design["modules"][top]
    cells = {}
    for name, entry in module["cells"].items():
        direction = entry["port_directions"]
        cells[name] = _Cell(
            entry["type"],
            entry["parameters"],
            {port: bits for port, bits in entry["connections"].items() if direction[port] != "output"},
            {port: bits for port, bits in entry["connections"].items() if direction[port] == "output"},
            _python_place(str(entry.get("attributes", {}).get("src", "")).split("|")),
        )
    # Reset arrives slowly by nature, and the clock is no data.
    ports = {name: port for name, port in module["ports"].items() if name not in ("clk", "rst")}
    bits = {
        way: {
            bit for port in ports.values() if port["direction"] == way for bit in port["bits"] if isinstance(bit, int)
        }
        for way in ("input", "output")
    }
    return _Netlist(cells, bits["input"], bits["output"])


def _python_place(places: Iterable[str]) -> str | None:
    """The first of ``places`` that is Python; the others are in the tools' own libraries."""
    return next((place for place in places if place.partition(":")[0].endswith(".py")), None)


def _check_capacity(netlist: _Netlist, device: Device) -> None:
    """Refuse what nextpnr would refuse later and less clearly."""
    needs = {
        "multipliers": (netlist.count(lambda kind: kind in ("MULT18X18D", "SB_MAC16")), device.dsp),
        "memory blocks": (
            netlist.count(lambda kind: kind in ("DP16KD", "PDPW16KD") or kind.startswith("SB_RAM40")),
            device.bram,
        ),
    }
    for what, (needed, there) in needs.items():
        if needed > there:
            raise BuildError(
                f"device: {device.name} has {there} {what} but the design needs {needed}; choose a "
                f"larger device, or share multipliers (reuse_factor, share_multipliers)"
            )


def _remove_ports(path: Path, top: str) -> None:
    design = json.loads(path.read_text())
    ports = design["modules"][top]["ports"]
    design["modules"][top]["ports"] = {name: port for name, port in ports.items() if name == "clk"}
    path.write_text(json.dumps(design))


def _untimed_ports(netlist: _Netlist) -> list[str]:
    """Count the logic between the ports and the nearest registers."""
    forward = _reach(netlist, netlist.input_bits, ahead=True)
    backward = _reach(netlist, netlist.output_bits, ahead=False)
    between = len(forward | backward)
    if not between:
        return []
    return [f"cells of logic between a port and a register: {between}; these paths are not timed"]


def _reach(netlist: _Netlist, start: set[int], ahead: bool) -> set[int]:
    """Indices of the combinational cells that ``start`` leads to, or comes from."""
    by_bit: dict[int, list[int]] = {}
    cells = list(netlist.cells)
    for index, cell in enumerate(cells):
        for bit in cell.bits(cell.path_inputs) if ahead else cell.output_bits if cell.path_inputs else ():
            by_bit.setdefault(bit, []).append(index)
    found: set[int] = set()
    todo = list(start)
    while todo:
        for index in by_bit.get(todo.pop(), ()):
            if index not in found:
                found.add(index)
                cell = cells[index]
                todo += cell.output_bits if ahead else cell.bits(cell.path_inputs)
    return found


# Delays of an unregistered SB_MAC16 on UP5K, slow corner, as iCEcube2 gives them: icestorm, in
# icefuzz/timings_up5k.txt of commit 722790a. The 16x16 multiplier alone (MUL_*_16X16_BYPASS), B[1] to O[31]:
# 9.05 ns, signed or not. Through the accumulator's adder as well (multiply-accumulate without input
# registers), B[1] to CO: 11.23 ns.
_MAC16_MULTIPLY_NS = 9.1
_MAC16_MULTIPLY_ADD_NS = 11.3


def _honest_fmax(netlist: _Netlist, reached: float | None) -> tuple[float | None, str, list[str]]:
    """nextpnr's figure, in MHz, corrected for what it has not timed; its kind; and notes."""
    unseen = _unverified_multipliers(netlist)
    if unseen:
        return None, "unverified", [unseen]
    if not netlist.count(lambda kind: kind == "SB_MAC16"):
        return (
            (None, "none", ["no path leads from register to register"])
            if reached is None
            else (reached, "measured", [])
        )
    segment_ns = 0.0 if reached is None else 1000 / reached
    period_ns, chain, loops = _longest_mac_path(netlist, segment_ns)
    if loops:
        return None, "unverified", ["a combinational loop goes through the logic around SB_MAC16"]
    if not chain:
        return reached, "measured", []
    note = (
        f"nextpnr does not time paths through an SB_MAC16 without registers, of which {chain} may "
        f"follow each other; fmax is a lower bound, with {_MAC16_MULTIPLY_NS} ns for a multiplication, or "
        f"{_MAC16_MULTIPLY_ADD_NS} ns with addition (icestorm, slow corner)"
        + ("" if reached is None else f", where nextpnr says {reached:.1f} MHz")
    )
    return 1000 / period_ns, "derated", [note]


def _unverified_multipliers(netlist: _Netlist) -> str | None:
    """nextpnr times a MULT18X18D to the pins on either side, but nothing between two registers inside."""
    inside = sum(
        _registered(cell, "REG_INPUTA_CLK", "REG_INPUTB_CLK") and _registered(cell, "REG_OUTPUT_CLK")
        for cell in netlist.cells
        if cell.kind == "MULT18X18D"
    )
    adders = netlist.count(lambda kind: kind == "ALU54B")
    if not inside and not adders:
        return None
    what = [f"{inside} MULT18X18D between their own input and output registers"] if inside else []
    what += [f"{adders} ALU54B"] if adders else []
    return f"nextpnr does not time {' and '.join(what)}: fmax is not known"


_MULT18_REGISTERS = ("REG_INPUTA_CLK", "REG_INPUTB_CLK", "REG_PIPELINE_CLK", "REG_OUTPUT_CLK")


def _registered(cell: _Cell, *parameters: str) -> bool:
    return any(cell.parameters.get(name, "NONE") != "NONE" for name in parameters)


_MAC16_DATA = {"A": "A_REG", "B": "B_REG", "C": "C_REG", "D": "D_REG"}


@dataclass(frozen=True)
class _Mac16:
    """Where the registers of an SB_MAC16 stand.

    Its data go through four rows of them, each of which may be left out: inputs, partial products, product,
    and the output of the adder.
    """

    open_inputs: tuple[str, ...]  # data inputs without a register
    registered_input: bool
    registered_output: bool
    partial: bool  # registers at the partial products
    inner: bool  # a register between inputs and outputs
    delay_ns: float

    @classmethod
    def of(cls, cell: _Cell) -> "_Mac16":
        # 00 is the adder, 01 the register behind it, 10 the 8x8 products, 11 the 16x16 product.
        selects = {
            str(cell.parameters.get(name, "00"))[-2:].rjust(2, "0") for name in ("TOPOUTPUT_SELECT", "BOTOUTPUT_SELECT")
        }
        adds = not selects <= {"10", "11"}
        # The adder takes its own output for C and D where these bits are clear, whatever is connected there.
        taken = {"C": "TOPADDSUB_UPPERINPUT", "D": "BOTADDSUB_UPPERINPUT"}
        data = [port for port in _MAC16_DATA if port in "AB" or (adds and cell.flag(taken[port]))]
        connected = [port for port in data if any(True for _ in cell.bits([port]))]
        opened = tuple(port for port in connected if not cell.flag(_MAC16_DATA[port]))
        product = cell.flag("PIPELINE_16x16_MULT_REG2")
        products8 = cell.flag("TOP_8x8_MULT_REG") and cell.flag("BOT_8x8_MULT_REG")
        partial = products8 and cell.flag("PIPELINE_16x16_MULT_REG1")
        registered = {"01": True, "11": product, "10": products8}
        return cls(
            opened,
            len(opened) < len(connected),
            all(registered.get(select, False) for select in selects),
            partial,
            partial or (adds and product),
            _MAC16_MULTIPLY_ADD_NS if adds else _MAC16_MULTIPLY_NS,
        )


def _longest_mac_path(netlist: _Netlist, segment_ns: float) -> tuple[float, int, bool]:
    """The longest path through SB_MAC16 that nextpnr has not timed.

    nextpnr cuts a path at every SB_MAC16, so each of its segments takes at most ``segment_ns``, the period
    that it reports. A path through m unregistered ones from register to register is at most m + 1 segments
    and m times the delay of an SB_MAC16.

    Returns the period in ns, how many SB_MAC16 the longest path goes through, and whether there are loops.
    """
    spent: dict[int, tuple[float, int]] = {}  # by net: time before the segment that the net is in, and SB_MAC16 so far
    worst = (segment_ns, 0)
    order, loops = _combinational_order(netlist)
    for cell in order:
        if cell.kind == "SB_MAC16":
            after, period = _through_mac(cell, spent, segment_ns)
            worst = max(worst, period)
        else:
            after = max((spent.get(bit, (0.0, 0)) for bit in cell.bits(cell.path_inputs)), default=(0.0, 0))
        if after[1]:
            spent.update(dict.fromkeys(cell.output_bits, after))
    for time_ns, passed in spent.values():
        worst = max(worst, (time_ns + segment_ns, passed))
    return *worst, loops


def _through_mac(
    cell: _Cell, spent: dict[int, tuple[float, int]], segment_ns: float
) -> tuple[tuple[float, int], tuple[float, int]]:
    """What has been spent at the outputs of an SB_MAC16, and the longest path that ends in it."""
    mac = _Mac16.of(cell)
    at_inputs = [(0.0, 0)] if mac.registered_input else []
    for bit in cell.bits(mac.open_inputs):
        time_ns, passed = spent.get(bit, (0.0, 0))
        at_inputs.append((time_ns + segment_ns, passed))
    time_ns, passed = max(at_inputs, default=(0.0, 0))
    inside = (time_ns + mac.delay_ns, passed + 1)
    if mac.registered_output:
        split = mac.partial and not mac.open_inputs
        return (0.0, 0), (0.0, 0) if split else inside
    return ((mac.delay_ns, 1), inside) if mac.inner else (inside, (0.0, 0))


def _combinational_order(netlist: _Netlist) -> tuple[list[_Cell], bool]:
    """The combinational cells, each after those that feed it; and whether some are in a loop and left out.

    An SB_MAC16 counts as combinational from its unregistered data inputs on.
    """

    def feeds(cell: _Cell) -> Iterable[int]:
        return cell.bits(_Mac16.of(cell).open_inputs if cell.kind == "SB_MAC16" else cell.path_inputs)

    def cuts(cell: _Cell) -> bool:
        return cell.kind == "SB_MAC16" and _Mac16.of(cell).registered_output

    cells = [cell for cell in netlist.cells if not cell.sequential]
    driver = {bit: index for index, cell in enumerate(cells) if not cuts(cell) for bit in cell.output_bits}
    waiting: list[int] = []
    users: dict[int, list[int]] = {}
    for index, cell in enumerate(cells):
        drivers = {driver[bit] for bit in feeds(cell) if bit in driver}
        waiting.append(len(drivers))
        for source in drivers:
            users.setdefault(source, []).append(index)
    ready = [index for index, number in enumerate(waiting) if number == 0]
    order = []
    while ready:
        index = ready.pop()
        order.append(cells[index])
        for user in users.get(index, ()):
            waiting[user] -= 1
            if waiting[user] == 0:
                ready.append(user)
    return order, len(order) < len(cells)


# The critical path, in words.


def _critical_path(nextpnr: dict[str, Any], clock: str, netlist: _Netlist, *, whole: bool) -> dict[str, Any]:
    """The longest path from register to register of ``clock``, as in :attr:`Report.critical_path`.

    Unless nextpnr has timed the ``whole`` design, it is only the longest of those that it has.
    """
    paths = [
        path
        for path in nextpnr["critical_paths"]
        if clock and path["from"].endswith(f" {clock}") and path["to"].endswith(f" {clock}")
    ]
    if not paths:
        return {}
    hops = _merge_carries(list(_hops(paths[0]["path"], netlist)))
    total = sum(hop["delay_ns"] for hop in hops)
    routing = sum(hop["delay_ns"] for hop in hops if hop["kind"] == "routing")
    for hop in hops:
        hop["delay_ns"] = round(hop["delay_ns"], 3)
    return {
        "summary": ("" if whole else "longest path that is timed: ") + _summary(hops, total, routing),
        "delay_ns": round(total, 3),
        "routing_ns": round(routing, 3),
        "hops": hops,
    }


def _hops(path: list[dict[str, Any]], netlist: _Netlist) -> Iterable[dict[str, Any]]:
    for number, step in enumerate(path):
        carry = bool({step["from"]["port"], step["to"]["port"]} & _CARRY_PORTS)
        routing = step["type"] == "routing" and not carry
        # A net is named after what drives it, so a cell stands where the net after it does.
        after = path[number + 1] if step["type"] != "routing" and number + 1 < len(path) else step
        cell = netlist.find(step["to"]["cell"])
        source = _python_place(after.get("sources", ())) or (cell.place if cell and not routing else None)
        word = "wire" if routing else "carry chain" if carry else _cell_word(step, cell)
        kind = "routing" if routing else "logic"
        yield {"kind": kind, "cell": word, "delay_ns": float(step["delay"]), "source": source}


_CARRY_PORTS = {"FCI", "FCO", "CIN", "COUT"}
_CELL_WORDS = {
    "multiplier": r"MULT18X18D|SB_MAC16",
    "block memory": r"DP16KD|PDPW16KD|SB_RAM40\w*|SB_SPRAM\w*",
    "distributed memory": r"TRELLIS_DPR16X4|TRELLIS_RAMW",
    "register": r"TRELLIS_FF|SB_DFF\w*",
    "adder": r"CCU2C",
    "mux": r"PFUMX|L6MUX21",
    "LUT": r"LUT4|SB_LUT4",
}


def _cell_word(step: dict[str, Any], cell: _Cell | None) -> str:
    """What a hardware person calls the cell of a logic hop."""
    kind = cell.kind if cell else "TRELLIS_RAMW" if "RAMW" in step["to"]["cell"] else "LUT4"
    word = next((word for word, kinds in _CELL_WORDS.items() if re.fullmatch(kinds, kind)), kind)
    # A logic cell holds a LUT and a flip-flop under one name; a path begins and ends in the latter.
    return "register" if word in ("LUT", "adder") and step["type"] in ("clk-to-q", "setup") else word


def _merge_carries(hops: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make one hop of every run along a carry chain."""
    merged: list[dict[str, Any]] = []
    for hop in hops:
        if merged and merged[-1]["cell"] == hop["cell"] == "carry chain":
            merged[-1]["delay_ns"] += hop["delay_ns"]
            merged[-1]["source"] = merged[-1]["source"] or hop["source"]
        else:
            merged.append(dict(hop))
    return merged


def _summary(hops: list[dict[str, Any]], total: float, routing: float) -> str:
    """One sentence: where the time goes, and through what."""
    steps: list[list[Any]] = []  # cell, place, how many alike in a row
    for hop in hops:
        if hop["kind"] == "routing" or (hop["delay_ns"] == 0 and hop is not hops[-1]):
            continue
        place = hop["source"].rpartition("/")[2] if hop["source"] else ""
        if steps and steps[-1][:2] == [hop["cell"], place]:
            steps[-1][2] += 1
        else:
            steps.append([hop["cell"], place, 1])
    words = [
        cell + (f" x{number}" if number > 1 else "") + (f" ({place})" if place else "") for cell, place, number in steps
    ]
    share = 100 * routing / total if total else 0.0
    return f"{total:.1f} ns: {share:.0f}% routing, {' -> '.join(words)}"


# The cache.


def _cache_folder() -> Path:
    chosen = os.environ.get("KANRTL_CACHE_DIR")
    return (Path(chosen) if chosen else Path(platformdirs.user_cache_dir("kanrtl", appauthor=False))) / "builds"


def _cached_build(job: _Job, progress: Progress | None, keep: Path | None) -> Report:
    """Load the build of ``job`` if there is one; else build it, and publish it whole."""
    folder = _cache_folder()
    entry = folder / job.digest()
    report = _load(entry, job)
    if report is None:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        # A failed build stays, because its error names the log in there.
        work = Path(tempfile.mkdtemp(prefix="building-", dir=folder))
        _store(_build(job, work, progress or _silent), work, job)
        _publish(work, entry)
        report = _load(entry, job)
        if report is None:
            raise ToolError(f"the build cannot be read back from {entry}: is the disk full?")
    elif progress is not None:
        progress(f"found in the cache: {entry}")
    if keep is not None:
        shutil.copytree(entry, keep, dirs_exist_ok=True)
    return report


def _silent(message: str) -> None:
    pass


def _store(report: Report, work: Path, job: _Job) -> None:
    for name in ("netlist.json", "nextpnr.json", "routed.config", "routed.asc"):
        (work / name).unlink(missing_ok=True)
    content: dict[str, Any] = {"report": report.to_json()}
    if job.bitstream:
        content["bitstream_sha256"] = hashlib.sha256((work / job.bitstream_name).read_bytes()).hexdigest()
    (work / "report.json").write_text(json.dumps(content, indent=1))


def _load(entry: Path, job: _Job) -> Report | None:
    """The report in ``entry``, or None if there is none or anything is wrong with it."""
    try:
        content = json.loads((entry / "report.json").read_text())
        report = Report.from_json(content["report"])
        if set(content["report"]) != {item.name for item in fields(Report)}:
            return None
        if not job.bitstream:
            return report
        bitstream = entry / job.bitstream_name
        if hashlib.sha256(bitstream.read_bytes()).hexdigest() != content["bitstream_sha256"]:
            return None
        return replace(report, bitstream=str(bitstream))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _publish(work: Path, entry: Path) -> None:
    """Put ``work`` in the place of ``entry``, in one step."""
    if entry.exists():
        # It is corrupt; moved away first, because removing it takes more than one step.
        old = work.with_name(f"{work.name}-old")
        entry.rename(old)
        shutil.rmtree(old, ignore_errors=True)
    try:
        work.rename(entry)
    except OSError:
        # Another process was quicker, and its work is as good as this.
        if not entry.exists():
            raise
        shutil.rmtree(work, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove what failed builds left behind a day ago."""
    for path in folder.glob("building-*"):
        try:
            if time.time() - path.stat().st_mtime > 86400:
                shutil.rmtree(path)
        except OSError:
            continue
