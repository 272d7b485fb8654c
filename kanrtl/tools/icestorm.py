"""Bitstreams of iCE40 as logic: Project IceStorm's tools, which are on no package index of Python's."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ..errors import ToolError
from .processes import run_program
from .toolchain import find_chosen

__all__ = ["read_back", "unpack"]

PACKAGE = "install Debian's or Ubuntu's package fpga-icestorm"


def _find(name: str) -> str:
    """Give the path of a tool: what its environment variable names, else that on PATH."""
    variable = name.upper()
    found = find_chosen(variable, name) or shutil.which(name)
    if found is None:
        raise ToolError(f"{name} is not installed: {PACKAGE}, or name it in {variable}")
    return found


def _run(name: str, *arguments: str | Path) -> str:
    done = run_program([_find(name), *map(str, arguments)], stderr=subprocess.PIPE)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"status {done.returncode}"]
        raise ToolError(f"{name} failed: {said[-1]}")
    return done.stdout.decode()


def unpack(bitstream: Path) -> str:
    """Give the configuration bits of a packed bitstream, tile by tile: IceStorm's text format.

    Raises
    ------
    ToolError
        If ``iceunpack`` is missing or does not take the file.
    """
    return _run("iceunpack", bitstream)


def read_back(configuration: Path, package: str) -> str:
    """Give the logic that a configuration is, as the Verilog module ``chip``; its ports are ``pin_`` and a pin's name.

    It has tables of four inputs, carries, flip-flops, which begin at zero, and ``SB_RAM40_4K`` with their contents.
    Multipliers, oscillators and PLLs are left out.

    Parameters
    ----------
    configuration
        A file in IceStorm's text format.
    package
        The chip's, such as ``sg48``.

    Raises
    ------
    ToolError
        If ``icebox_vlog`` is missing or does not take the file.
    """
    return _run("icebox_vlog", "-s", "-l", "-d", package, configuration)
