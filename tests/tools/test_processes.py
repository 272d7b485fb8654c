"""Programs end with the process that runs them, whatever ends that, and so does what they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kanrtl.errors import ToolError
from kanrtl.tools import processes
from kanrtl.tools.processes import run_program
from support.running import is_running, wait_for

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows has no process groups")

STARTER = "sleep 600 & echo $! > grandchild.new; mv grandchild.new grandchild; wait"
"""A program that starts another, which would go on without it."""

RUNNER = """\
import signal, sys
from kanrtl.tools.processes import run_program
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
run_program(["/bin/sh", "-c", sys.argv[1]])
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_program_ends_with_the_process_that_runs_it(number: signal.Signals, tmp_path: Path) -> None:
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, STARTER], cwd=tmp_path, stderr=subprocess.DEVNULL)
    assert wait_for((tmp_path / "grandchild").exists)
    grandchild = int((tmp_path / "grandchild").read_text())
    assert is_running(grandchild)
    runner.send_signal(number)
    runner.wait()
    assert wait_for(lambda: not is_running(grandchild))


def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    done = run_program(["/bin/sh", "-c", "sleep 600 > /dev/null 2>&1 & echo $!; exit 3"], tmp_path)
    assert done.returncode == 3
    assert wait_for(lambda: not is_running(int(done.stdout)))


def test_a_program_that_is_not_there_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        run_program(["./not-here"], tmp_path)


def test_a_shell_that_does_not_run_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_WATCH", ("/not/here/sh", "-c", ""))
    before = os.listdir("/proc/self/fd")
    line = "^/not/here/sh does not run: No such file or directory; it ends programs with this process: see that it is "
    with pytest.raises(ToolError, match=line):
        run_program(["/bin/true"])
    assert os.listdir("/proc/self/fd") == before


def test_a_null_device_that_cannot_be_opened_is_told_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.devnull", str(tmp_path / "null"))
    with pytest.raises(ToolError, match=rf"^'{tmp_path}/null': No such file or directory; programs are run with it: "):
        run_program(["/bin/true"])


def test_errors_can_be_kept_apart() -> None:
    command = ["/bin/sh", "-c", "echo out; echo err >&2; kill -TERM $$"]
    done = run_program(command, stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGTERM, b"out\n", b"err\n")
    assert run_program(command).stdout == b"out\nerr\n"
