"""Programs that end with this process, whatever ends it, with all that they have started.

A compiler starts processes of its own, and so does a script around WebAssembly; a process that is killed can tell none
of them. So each program runs in a process group beside a shell that reads from a pipe whose other end this process
alone has open. The system closes that when the process ends, and the shell kills the group. Windows has no process
groups: there a program is ended, when this process is interrupted, but not what it started.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import ToolError

_WATCH = ("/bin/sh", "-c", "read _; kill -KILL 0")
"""Waits for a line, or for the end of the file; then ends its process group, itself included."""


def run_program(
    command: Sequence[str],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stderr: int = subprocess.STDOUT,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program without input to its end, and give its return code and what it printed.

    Nothing that it has started is left afterwards: neither when it has ended, nor when this process is interrupted or
    killed.

    Parameters
    ----------
    command
        The program and its arguments.
    cwd
        Its working folder; that of this process by default.
    env
        Its environment; that of this process by default.
    stderr
        Where its errors go, as :func:`subprocess.run` takes it; into ``stdout`` by default.

    Raises
    ------
    OSError
        If it does not run.
    ToolError
        If the shell beside it does not.
    """
    with _process_group() as group:
        return subprocess.run(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            check=False,
            **group,
        )


@contextmanager
def _process_group() -> Iterator[dict[str, Any]]:
    """The arguments of :func:`subprocess.run` that put a program into a group which ends with the context."""
    if os.name != "posix":
        yield {}
        return
    reader, writer = os.pipe()
    try:
        try:
            watch = subprocess.Popen(
                _WATCH, stdin=reader, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, process_group=0
            )
        except OSError as error:
            if error.filename == os.devnull:
                raise ToolError(
                    f"{os.devnull!r}: {error.strerror}; programs are run with it: see that it is there, and that "
                    "everyone can read and write it"
                ) from None
            raise ToolError(
                f"{_WATCH[0]} does not run: {error.strerror}; it ends programs with this process: see that it is "
                "there, and that processes can be started"
            ) from None
        finally:
            os.close(reader)
        try:
            yield {"process_group": watch.pid}
        finally:
            # A line, since a process that was forked meanwhile may hold this end of the pipe open.
            with suppress(BrokenPipeError):
                os.write(writer, b"\n")
            watch.wait()
    finally:
        os.close(writer)
