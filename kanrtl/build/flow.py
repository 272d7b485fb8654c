"""The flow of one build: synthesise, place and route, pack, read the report."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BuildError, ToolError
from ..fabric.device import Device
from ..fabric.families import FAMILIES
from ..fabric.family import ToolFlow
from ..progress import Progress
from ..tools.rtlil import FLATTEN
from ..tools.toolchain import YOSYS, Tool
from .absorb import absorb_registers_in
from .critical_path import critical_path
from .floorplan import MOST_LEFT_ALONE, place_multipliers
from .netlist import Netlist, cut_unused_carries, read_netlist, remove_ports
from .report import Report
from .shortage import RESOURCE_WORDS, ShortageError
from .timing import honest_fmax, reads_undefined, untimed_ports

PLACED = "placed.json"
"""The file in which nextpnr tells where everything is."""


@dataclass(frozen=True)
class Job:
    """Everything that decides the outcome of a build.

    What the tools are told is made here, all of it, so that the hash of a build can cover it.

    Attributes
    ----------
    top : str
        The name of the top module.
    files : dict
        Sources and constraints by their names, with ``{top}.il`` among them.
    device : Device
        The part.
    seed : int
        The seed of placement.
    clock_mhz : float
        The frequency that is asked for.
    nextpnr_options : tuple of str
        Options beside those of the device and the seed.
    bitstream : bool
        Whether a bitstream is wanted.
    pack_options : tuple of str
        Options of the packer.
    notes : tuple of str
        What the report has to say beside what the flow finds.
    """

    top: str
    files: dict[str, str]
    device: Device
    seed: int
    clock_mhz: float
    nextpnr_options: tuple[str, ...]
    bitstream: bool
    pack_options: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def flow(self) -> ToolFlow:
        """The tools of the device's family."""
        return FAMILIES[self.device.family].flow

    @property
    def tools(self) -> tuple[Tool, ...]:
        """All the tools that the build takes."""
        return (YOSYS, self.flow.place_and_route, *((self.flow.packer,) if self.bitstream else ()))

    @property
    def routed_name(self) -> str:
        """The file that nextpnr makes and the packer reads."""
        return f"routed{self.flow.routed_suffix}"

    @property
    def bitstream_name(self) -> str:
        """The file that the packer makes."""
        return f"{self.top}{self.flow.bitstream_suffix}"

    @property
    def commands(self) -> dict[str, Any]:
        """All that the tools are told beside the files, by the step of the flow."""
        return {
            "synthesise": [self.synthesis_script, self.fallback_script],
            "place and route": self.place_and_route_arguments,
            "pack": self.pack_arguments if self.bitstream else None,
        }

    @property
    def synthesis_script(self) -> str:
        """What yosys does."""
        return self._script(self.flow.synthesise(self._synthesis))

    @property
    def fallback_script(self) -> str | None:
        """What yosys does where ABC9 has failed, if it has been used: the same with ABC."""
        again = self.flow.synthesise_again
        return None if again is None else self._script(again(self._synthesis))

    @property
    def _synthesis(self) -> str:
        return " ".join([*self.device.synthesis, "-top", self.top])

    def _script(self, synthesis: Sequence[str]) -> str:
        readers = {".il": "read_rtlil", ".v": "read_verilog", ".sv": "read_verilog -sv"}
        reads = [f"{readers[Path(name).suffix]} {name}" for name in self.files if Path(name).suffix in readers]
        flat = [f"hierarchy -top {self.top}", "proc", *FLATTEN]
        return "\n".join([*reads, *flat, *synthesis, "write_json netlist.json", ""])

    @property
    def place_and_route_arguments(self) -> list[str]:
        """What nextpnr is called with."""
        return [
            "-q",
            *self.device.nextpnr_options,
            "--json",
            "netlist.json",
            "--seed",
            str(self.seed),
            "--report",
            "nextpnr.json",
            *self.nextpnr_options,
            *([self.flow.routed_option, self.routed_name] if self.bitstream else []),
            *([self.flow.placed_option, PLACED] if self.bitstream and self.flow.placed_option else []),
        ]

    @property
    def pack_arguments(self) -> list[str]:
        """What the packer is called with."""
        return [*self.pack_options, *self.flow.pack(self.routed_name, self.bitstream_name)]


def check_seed(seed: int) -> int:
    """Return ``seed``; raise :exc:`BuildError` if nextpnr does not take it."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise BuildError(f"seed: {seed!r} is not an integer from 0 to {2**31 - 1}")
    return seed


def run_flow(job: Job, cwd: Path, progress: Progress, notes: Sequence[str]) -> Report:
    """Build ``job`` in the folder ``cwd``, from what :func:`synthesise` has left there, with its ``notes``.

    Raise :exc:`ShortageError` if the device holds too little, and :exc:`ToolError` if a tool fails.
    """
    netlist = prepare(job, cwd)
    _check_capacity(netlist, job.device)
    notes = [*job.notes, *notes]
    if not job.bitstream:
        notes += untimed_ports(netlist)
    nextpnr = place_and_route(job, cwd, progress)
    if job.bitstream:
        _pack(job, cwd, progress)
    return _read_report(job, netlist, nextpnr, notes)


def write_files(job: Job, cwd: Path) -> None:
    """Write sources and constraints into ``cwd``."""
    for name, content in job.files.items():
        path = cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def synthesise(job: Job, cwd: Path, progress: Progress) -> list[str]:
    """Make ``netlist.json`` in ``cwd``, where the sources are; return notes. The seed has no part in it."""
    notes = _synthesise(job, cwd, progress)
    cut_unused_carries(cwd / "netlist.json", job.top)
    if absorbed := absorb_registers_in(cwd / "netlist.json", job.top):
        notes.append(f"ff leaves out {absorbed} registers within multipliers and memory blocks")
    return notes


def floorplan(job: Job, cwd: Path, progress: Progress) -> list[str]:
    """Place in ``netlist.json`` what nextpnr does not place well; return notes. The seed has no part in it."""
    find_sites = FAMILIES[job.device.family].multiplier_sites
    if find_sites is None:
        return []
    netlist = read_netlist(cwd / "netlist.json", job.top)
    if netlist.count("multiplier") > MOST_LEFT_ALONE:
        progress("placing multipliers")
    placed = place_multipliers(cwd / "netlist.json", job.top, find_sites(job.device.die))
    return [f"{placed} multipliers placed beside what they work with, before the rest is placed"] if placed else []


def prepare(job: Job, cwd: Path) -> Netlist:
    """Check what :func:`synthesise` has left in ``cwd`` and make it what nextpnr is to have; return the netlist."""
    netlist = read_netlist(cwd / "netlist.json", job.top)
    _check_operands(netlist)
    if not job.bitstream and not job.flow.keeps_ports:
        remove_ports(cwd / "netlist.json", job.top)
    return netlist


def _synthesise(job: Job, cwd: Path, progress: Progress) -> list[str]:
    """Make ``netlist.json``; return notes."""
    YOSYS.check_version()
    progress(f"synthesising for {job.device.name}")
    try:
        _run_yosys(job.synthesis_script, cwd, progress)
    except ToolError as error:
        # ABC9 dies of combinational loops, also of false ones through memories.
        in_abc9 = error.log is not None and "ABC9 pass" in error.log.read_text(errors="replace")
        if job.fallback_script is None or not in_abc9:
            raise
        progress("synthesising again with ABC, because ABC9 failed")
        _run_yosys(job.fallback_script, cwd, progress)
        return ["mapped with ABC, because ABC9 failed; ABC does not know the delays of this part"]
    return []


def _run_yosys(script: str, cwd: Path, progress: Progress) -> None:
    (cwd / "synthesis.ys").write_text(script)
    YOSYS.run(
        ["-q", "-e", "Driver-driver conflict", "-s", "synthesis.ys"],
        cwd,
        "yosys.log",
        progress,
        produces=["netlist.json"],
    )


def _check_operands(netlist: Netlist) -> None:
    """Refuse a netlist in which a multiplier has lost what it works on; nextpnr would take zeros for it."""
    lost = [name for name, cell in netlist.named.items() if reads_undefined(cell)]
    if lost:
        raise ToolError(
            f"yosys has lost an operand of the multiplier {lost[0]!r}: a fault of yosys; try another pipeline"
        )


def _check_capacity(netlist: Netlist, device: Device) -> None:
    """Refuse what nextpnr would refuse later and less clearly."""
    needs = {"dsp": netlist.count("multiplier"), "bram": netlist.count("block memory")}
    for resource, needed in needs.items():
        if needed > getattr(device, resource):
            raise ShortageError(device, resource, needed)


def place_and_route(job: Job, cwd: Path, progress: Progress) -> dict[str, Any]:
    """Make the textual bitstream, if one is wanted; return nextpnr's report."""
    tool = job.flow.place_and_route
    progress(f"placing and routing with {tool.name}, seed {job.seed}")
    produces = ["nextpnr.json", *([job.routed_name] if job.bitstream else [])]
    try:
        tool.run(job.place_and_route_arguments, cwd, "nextpnr.log", progress, produces=produces)
    except ToolError as error:
        _explain_shortage(job.device, error)
        raise
    report: dict[str, Any] = json.loads((cwd / "nextpnr.json").read_text())
    return report


def _explain_shortage(part: Device, error: ToolError) -> None:
    """Raise :exc:`ShortageError` where nextpnr has failed at a design that is larger than the device, which it says of
    a chain or a region of its own, if at all."""
    log = "" if error.log is None or not error.log.is_file() else error.log.read_text(errors="replace")
    used = {name: int(count) for name, count in re.findall(r"^Info:\s+(\w+):\s*(\d+)/\s*\d+\s", log, re.MULTILINE)}
    names = FAMILIES[part.family].resources
    for resource in RESOURCE_WORDS:
        needed = used.get(getattr(names, resource), 0)
        if needed > getattr(part, resource):
            raise ShortageError(part, resource, needed) from error


def _pack(job: Job, cwd: Path, progress: Progress) -> None:
    """Make the bitstream."""
    progress("packing the bitstream")
    job.flow.packer.run(job.pack_arguments, cwd, "pack.log", progress, produces=[job.bitstream_name])


def _read_report(job: Job, netlist: Netlist, nextpnr: dict[str, Any], notes: list[str]) -> Report:
    clock, reached = _slowest_clock(nextpnr)
    fmax, kind, timing_notes = honest_fmax(netlist, reached, job.device.bram_mhz)
    part, used = job.device, count_resources(job.device, netlist, nextpnr)
    return Report(
        device=part.name,
        seed=job.seed,
        clock_mhz=job.clock_mhz,
        fmax_mhz=_round(fmax),
        fmax_kind=kind,
        fmax_nextpnr_mhz=_round(reached),
        timing_met=kind == "none" or (fmax is not None and fmax >= job.clock_mhz),
        lut=used["lut"],
        ff=used["ff"],
        dsp=used["dsp"],
        bram=used["bram"],
        lutram=used["lutram"],
        capacity={"lut": part.lut, "ff": part.ff, "dsp": part.dsp, "bram": part.bram},
        critical_path=critical_path(nextpnr, clock, netlist, whole=kind == "measured"),
        tools={tool.name: tool.version() for tool in job.tools},
        notes=[*notes, *timing_notes],
    )


def count_resources(part: Device, netlist: Netlist, nextpnr: dict[str, Any]) -> dict[str, int]:
    """What a design takes of ``part``, by the names of the attributes of :class:`Report`."""
    used = {name: entry["used"] for name, entry in nextpnr["utilization"].items()}
    names = FAMILIES[part.family].resources
    return {
        "lut": used[names.lut],
        "ff": netlist.count("register") if names.ff is None else used[names.ff],
        "dsp": used.get(names.dsp, 0),
        "bram": used.get(names.bram, 0),
        "lutram": 4 * netlist.count("distributed memory"),
    }


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


def _slowest_clock(nextpnr: dict[str, Any]) -> tuple[str, float | None]:
    """The name of the clock that is worst off, and the frequency in MHz that nextpnr says it reaches."""
    clocks = nextpnr["fmax"]
    if not clocks:
        return "", None
    name = min(clocks, key=lambda name: clocks[name]["achieved"] / (clocks[name].get("constraint") or 1.0))
    return name, float(clocks[name]["achieved"])
