"""Work that is ended at a random moment, by SIGKILL, SIGTERM or SIGINT: nothing of it goes on, no file is half, and the
next run gives what an undisturbed one does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kanrtl import LearnerSpec, connect
from kanrtl.errors import InputError
from support.lookup_networks import chain

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)

TAG = "KANRTL_KILL_TEST"
"""The variable by which all processes of a run are known, whoever their parents are."""

GONE_SECONDS = 10
"""After this nothing may be left. It takes milliseconds, but not where ten others want the processor."""

BETWEEN = 10
"""Kills, one after another in the same folder, after which one run goes through to its end."""

SPEC = 'layer_sizes = [1, 1]\ngrid_range = [-2, 2]\ngrid_size = 2\nspline_order = 1\nmultiplier = "serial"\n'

SAVES = """
import sys
from kanrtl import LearnerSpec, connect
session = connect(LearnerSpec.from_toml("spec.toml"))
for count in range(int(sys.argv[1])):
    session.learn(0.5, 1.0)
    session.save("learner.npz")
"""


@dataclass(frozen=True)
class Work:
    """Something that is killed: its command, the files that it writes, and what has to be right of each."""

    command: tuple[str, ...]
    files: dict[str, Callable[[Path], bool]]


def _is_saved(path: Path) -> bool:
    with connect(LearnerSpec.from_toml(path.with_name("spec.toml"))) as session:
        try:
            session.load(path)
        except InputError:
            return False
        return bool(np.abs(session.coefficients[0]).max() > 0)


def _is_picture(path: Path) -> bool:
    return path.read_bytes().endswith(b"IEND\xaeB`\x82")


def _is_trace(path: Path) -> bool:
    return path.stat().st_size > 0


_KANRTL = (sys.executable, "-m", "kanrtl")

WORKS = {
    "save": Work((sys.executable, "-c", SAVES, "300"), {"learner.npz": _is_saved}),
    "simulate": Work(
        (*_KANRTL, "simulate", "spec.toml", "--backend", "native", "--samples", "300", "--json"),
        {},
    ),
    "sweep": Work(
        (
            *(*_KANRTL, "sweep", "spec.toml", "--over", "learning_rate=0.1,0.3", "--backend", "native"),
            *("--samples", "300", "--jobs", "2", "--plot", "sweep.png", "--json"),
        ),
        {"sweep.png": _is_picture},
    ),
    "build": Work((*_KANRTL, "build", "network.npz", "--device", "iCE40HX1K", "--json"), {}),
}


@contextmanager
def killing(work: Work, folder: Path) -> Iterator[Killer]:
    """What kills ``work`` in a folder of its own, with caches and temporary folders in it."""
    (folder / "spec.toml").write_text(SPEC)
    chain([0, 1, 2, 3, 3, 2, 1, 0]).save(folder / "network.npz")
    for name in ("cache", "tmp"):
        (folder / name).mkdir(exist_ok=True)
    killer = Killer(work, folder)
    try:
        yield killer
    finally:
        for process in killer.find_processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


class Killer:
    """Runs work in a folder, to its end or not."""

    def __init__(self, work: Work, folder: Path) -> None:
        self._work, self._folder = work, folder
        self._tag = f"{folder}-{time.monotonic_ns()}"
        self._environment = {
            **os.environ,
            TAG: self._tag,
            "KANRTL_CACHE_DIR": str(folder / "cache"),
            "TMPDIR": str(folder / "tmp"),
        }

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._work.command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def finish(self) -> tuple[float, str]:
        """Run it to its end; give the seconds and what it printed. Raise :exc:`RuntimeError` where it fails."""
        began = time.monotonic()
        out, err = (process := self.start()).communicate()
        if process.returncode:
            raise RuntimeError(f"status {process.returncode}: {err.decode(errors='replace')}")
        return time.monotonic() - began, out.decode()

    def kill(self, number: int, seconds: float) -> str | None:
        """Send a signal after some seconds of work; give what is wrong then, or None."""
        process = self.start()
        time.sleep(seconds)
        process.send_signal(number)
        _, err = process.communicate()
        fault = self.find_orphans() or self.find_half_files()
        if fault is None and b"Traceback" in err and number == signal.SIGTERM and "kanrtl" in self._work.command:
            fault = f"a traceback: {err.decode(errors='replace')}"
        return fault

    def find_orphans(self) -> str | None:
        """What still runs of it, after a while; None where nothing does."""
        until = time.monotonic() + GONE_SECONDS
        while found := self.find_processes():
            if time.monotonic() > until:
                return f"still running: {', '.join(map(_describe, found))}"
            time.sleep(0.02)
        return None

    def find_half_files(self) -> str | None:
        """A file of it that is there and not whole; None where there is none."""
        for name, is_whole in self._work.files.items():
            path = self._folder / name
            if path.exists() and not is_whole(path):
                return f"{name} is half"
        return None

    def find_processes(self) -> list[int]:
        """All that was started by it and still runs; Linux tells."""
        own = f"{TAG}={self._tag}\0".encode()
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if own in path.read_bytes() and int(path.parent.name) != os.getpid():
                    found.append(int(path.parent.name))
        return found


def _describe(process: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:80]
    return str(process)


def kill_at_random(
    kinds: list[str], count: int, seed: int, folder: Path, tell: Callable[[Any], None]
) -> dict[str, Any]:
    """Kill works at random moments, ``count`` times in all; give how often each, and what was wrong how often.

    After every :data:`BETWEEN` kills the work is run through in the folder that they left, and has to print and write
    what the first undisturbed run did.
    """
    # A shell has what it runs in the background ignore ^C, and everything after it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random = np.random.default_rng(seed)
    counts: Counter[str] = Counter()
    faults: list[str] = []
    for kind in kinds:
        share = count // len(kinds)
        (folder / kind).mkdir()
        with killing(WORKS[kind], folder / kind) as killer:
            (folder / f"{kind}-first").mkdir()
            with killing(WORKS[kind], folder / f"{kind}-first") as first:
                seconds, expected = first.finish()
            for number in range(share):
                which = SIGNALS[number % len(SIGNALS)]
                fault = killer.kill(which, float(random.uniform(0, seconds)))
                counts[f"{kind} {which.name}"] += 1
                if fault is None and (number % BETWEEN == BETWEEN - 1 or number == share - 1):
                    _, printed = killer.finish()
                    counts["whole runs"] += 1
                    same = _lasting(printed) == _lasting(expected)
                    fault = killer.find_half_files() if same else f"prints {printed!r} instead of {expected!r}"
                if fault is not None:
                    faults.append(fault)
                    tell(f"{kind}, {which.name}: {fault}")
        tell(json.dumps({"seed": seed, **counts, "failures": len(faults)}))
    return {**counts, "failures": len(faults)}


def _lasting(printed: str) -> Any:
    """What a command printed, without what differs from run to run: seconds, and where its files are."""
    if not printed:
        return printed
    return _strip(json.loads(printed))


def _strip(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _strip(item) for name, item in value.items() if not _is_of_the_run(name, item)}
    return [_strip(item) for item in value] if isinstance(value, list) else value


def _is_of_the_run(name: str, value: Any) -> bool:
    return "second" in name or (isinstance(value, str) and value.startswith("/"))
