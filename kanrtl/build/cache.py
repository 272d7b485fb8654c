"""The cache of builds, under a hash of all that goes into one."""

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ..cache import WORK, cache_folder, publish, remove_leftovers
from ..toolchain import Progress, ToolError
from .flow import Job, run_flow
from .report import Report

__all__ = ["cached_build"]

_FLOW_VERSION = 4
"""Goes into the hash of a build, as what the tools are told does by itself. To be raised when what the tools
give is read into another report, or the netlist is changed in another way between them."""


def cached_build(job: Job, progress: Progress | None, keep: Path | None) -> Report:
    """Load the build of ``job`` if there is one; else build it, and publish it whole."""
    folder = cache_folder("builds")
    entry = folder / _digest(job)
    report = _load(entry, job)
    if report is None:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        # A failed build stays, because its error names the log in there.
        work = Path(tempfile.mkdtemp(prefix=WORK, dir=folder))
        _store(run_flow(job, work, progress or _silent), work, job)
        publish(work, entry)
        report = _load(entry, job)
        if report is None:
            raise ToolError(f"the build cannot be read back from {entry}: is the disk full?")
    elif progress is not None:
        progress(f"found in the cache: {entry}")
    if keep is not None:
        shutil.copytree(entry, keep, dirs_exist_ok=True)
    return report


def _digest(job: Job) -> str:
    content = {
        **asdict(job),
        "commands": job.commands,
        "flow": _FLOW_VERSION,
        "tools": {tool.name: tool.version() for tool in job.tools},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _silent(message: str) -> None:
    pass


def _store(report: Report, work: Path, job: Job) -> None:
    for name in ("netlist.json", "nextpnr.json", job.routed_name):
        (work / name).unlink(missing_ok=True)
    content: dict[str, Any] = {"report": report.to_json()}
    if job.bitstream:
        content["bitstream_sha256"] = hashlib.sha256((work / job.bitstream_name).read_bytes()).hexdigest()
    (work / "report.json").write_text(json.dumps(content, indent=1))


def _load(entry: Path, job: Job) -> Report | None:
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
