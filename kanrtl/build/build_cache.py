"""The cache of builds, under a hash of all that goes into one; and of what synthesis made, for other seeds."""

import gzip
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from contextlib import suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ..cache import WORK, find_entries, identify, publish, remove_leftovers, writable_cache
from ..errors import ToolError
from ..folders import attribute_errors
from ..progress import Progress
from ..tools.toolchain import YOSYS
from .flow import PLACED, Job, floorplan, run_flow, synthesise, write_files
from .placed_netlist import PLACED_NAME, PlacedNetlist
from .report import Report

_FLOW_VERSION = 6
"""Goes into the hash of a build, as what the tools are told does by itself. To be raised when what the tools
give is read into another report, or the netlist is changed differently between them."""

NETLISTS_KEPT = 16
"""The number of netlists that are kept: enough for the rows that are measured side by side."""


def build_or_load(job: Job, progress: Progress | None, keep: Path | None) -> Report:
    """The report on the build of ``job``: of one in the cache, or of one made and put there whole.

    Parameters
    ----------
    progress
        Told what begins.
    keep
        Folder that everything in the cache on this build is copied to.

    Raises
    ------
    BuildError
        If the design needs more LUTs, multipliers or memory blocks than there are.
    ToolError
        If a tool is missing or fails.
    """
    digest = _digest(job)
    entry, report = _find(digest, job)
    if report is None:
        folder = writable_cache("builds")
        remove_leftovers(folder)
        # A failed build stays, because its error names the log in there.
        work, entry = Path(tempfile.mkdtemp(prefix=WORK, dir=folder)), folder / digest
        replaces = identify(entry)
        told = progress or _silent
        with attribute_errors(work):
            write_files(job, work)
            _store(run_flow(job, work, told, _obtain_netlist(job, work, told)), work, job)
            publish(work, entry, replaces)
        report = _load(entry, job)
        if report is None:
            raise ToolError(f"the build cannot be read back from {entry}: is the disk full?")
    elif progress is not None:
        progress(f"found in the cache: {entry}")
    if keep is not None:
        shutil.copytree(entry, keep, dirs_exist_ok=True)
    return report


def _find(digest: str, job: Job) -> tuple[Path, Report | None]:
    """The entry of a build and its report, or the last place where it is not and None."""
    entry = Path()
    for entry in find_entries("builds", digest):
        report = _load(entry, job)
        if report is not None:
            break
    return entry, report


def _obtain_netlist(job: Job, work: Path, progress: Progress) -> list[str]:
    """Make ``netlist.json`` in ``work``, or takes what was made for another seed; gives the notes on it."""
    content = {"files": job.files, "script": job.commands["synthesise"], "flow": _FLOW_VERSION, "die": job.device.die}
    digest = _hash(content | {"yosys": YOSYS.version()})
    for entry in find_entries("netlists", digest):
        with suppress(OSError, EOFError, ValueError, zlib.error):  # not there, or damaged
            if _hash_netlist(entry) != (entry / "sha256").read_text():
                continue
            notes: list[str] = json.loads((entry / "notes.json").read_text())
            (work / "netlist.json").write_bytes(gzip.decompress((entry / "netlist.json.gz").read_bytes()))
            shutil.copyfile(entry / "yosys.log", work / "yosys.log")
            with suppress(OSError):  # a cache that can only be read does not forget
                os.utime(entry)
            progress(f"netlist found in the cache: {entry}")
            return notes
    notes = synthesise(job, work, progress) + floorplan(job, work, progress)
    with suppress(OSError):  # the build does not need it kept
        _keep_netlist(work, digest, notes)
    return notes


def _keep_netlist(work: Path, digest: str, notes: list[str]) -> None:
    folder = writable_cache("netlists")
    remove_leftovers(folder)
    kept, replaces = Path(tempfile.mkdtemp(prefix=WORK, dir=folder)), identify(folder / digest)
    try:
        (kept / "netlist.json.gz").write_bytes(gzip.compress((work / "netlist.json").read_bytes(), compresslevel=3))
        shutil.copyfile(work / "yosys.log", kept / "yosys.log")
        (kept / "notes.json").write_text(json.dumps(notes))
        (kept / "sha256").write_text(_hash_netlist(kept))
        publish(kept, folder / digest, replaces)
    except OSError:
        shutil.rmtree(kept, ignore_errors=True)
        raise
    _forget_oldest(folder)


def _hash_netlist(entry: Path) -> str:
    names = ("netlist.json.gz", "notes.json")
    return hashlib.sha256(b"".join((entry / name).read_bytes() for name in names)).hexdigest()


def _forget_oldest(folder: Path) -> None:
    entries = [path for path in folder.iterdir() if not path.name.startswith(WORK)]
    with suppress(OSError):  # another process is doing the same
        for path in sorted(entries, key=lambda path: path.stat().st_mtime)[:-NETLISTS_KEPT]:
            shutil.rmtree(path)


def _digest(job: Job) -> str:
    content = {
        **asdict(job),
        "commands": job.commands,
        "flow": _FLOW_VERSION,
        "tools": {tool.name: tool.version() for tool in job.tools},
    }
    return _hash(content)


def _hash(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _silent(message: str) -> None:
    pass


def _store(report: Report, work: Path, job: Job) -> None:
    if job.bitstream and job.flow.placed_option:
        netlist, placed = (json.loads((work / name).read_text()) for name in ("netlist.json", PLACED))
        constraints = job.files[f"{job.top}.{job.flow.constraints}"]
        PlacedNetlist.of(netlist, placed, constraints, job.top).write(work / PLACED_NAME)
    for name in ("netlist.json", "nextpnr.json", job.routed_name, PLACED):
        (work / name).unlink(missing_ok=True)
    content: dict[str, Any] = {"report": report.to_json(), "report_sha256": _hash(report.to_json())}
    content |= {f"{kind}_sha256": hashlib.sha256((work / name).read_bytes()).hexdigest() for kind, name in _files(job)}
    (work / "report.json").write_text(json.dumps(content, indent=1))


def _files(job: Job) -> list[tuple[str, str]]:
    """What a build is kept for beside its report: the kind and the name of each file."""
    if not job.bitstream:
        return []
    return [("bitstream", job.bitstream_name), *([("placed", PLACED_NAME)] if job.flow.placed_option else [])]


def _load(entry: Path, job: Job) -> Report | None:
    """The report in ``entry``, or None if there is none or anything is wrong with it."""
    try:
        content = json.loads((entry / "report.json").read_text())
        report = Report.from_json(content["report"])
        if set(content["report"]) != {item.name for item in fields(Report)}:
            return None
        # Entries that were made before there was a digest have none.
        if content.get("report_sha256", _hash(content["report"])) != _hash(content["report"]):
            return None
        for kind, name in _files(job):
            if hashlib.sha256((entry / name).read_bytes()).hexdigest() != content[f"{kind}_sha256"]:
                return None
        return replace(report, bitstream=str(entry / job.bitstream_name)) if job.bitstream else report
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
