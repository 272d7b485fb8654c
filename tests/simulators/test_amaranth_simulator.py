"""Amaranth's simulator, when a call of it is interrupted, when there is none, and when there are several at once."""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from kanrtl import Learner, Session, StabilityWarning, connect
from kanrtl.errors import InputError
from kanrtl.simulators.amaranth_simulator import AmaranthSimulator
from support.linked_boards import tracker

INTERRUPTED = "^this simulation was interrupted in the middle of a call; connect anew$"

X = np.linspace(-2, 2, 8)[:, None]


def stop_after(monkeypatch: pytest.MonkeyPatch, cycles: int) -> None:
    """Have ^C pressed so many cycles later."""
    advance, left = Simulator.advance, iter(range(2 * cycles))

    def stop(simulator: Simulator) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return advance(simulator)

    monkeypatch.setattr(Simulator, "advance", stop)


def test_nothing_goes_on_after_an_interrupted_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(tracker(), "pysim") as session:
        session.learn_many(X, X / 2)
        with monkeypatch.context() as patched:
            stop_after(patched, 5)
            with pytest.raises(KeyboardInterrupt):
                session.learn_many(X, X / 2)
        for call in (lambda: session.predict([0]), lambda: session.coefficients):
            with pytest.raises(RuntimeError, match=INTERRUPTED):
                call()


def test_an_interrupted_run_with_weights_says_that_it_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rates cannot be set back any more, which is no news."""
    with connect(tracker(), "pysim") as session:
        session.predict([0])
        stop_after(monkeypatch, 60)
        with pytest.raises(KeyboardInterrupt):
            session.learn_many(X, X / 2, weight=np.linspace(0.5, 1, 8))


def test_a_job_that_fails_ends_the_simulation() -> None:
    async def fail(ctx: Any) -> None:
        await ctx.tick()
        raise ValueError("a job")

    simulator = AmaranthSimulator(Learner(tracker()), None, lambda _: [])
    with pytest.raises(ValueError, match=r"^a job$"):
        simulator.do(fail)
    with pytest.raises(RuntimeError, match=INTERRUPTED):
        simulator.do(fail)
    simulator.close()


def test_a_session_without_a_call_says_nothing() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        connect(tracker(), "pysim").close()
        gc.collect()
    assert not [one for one in told if one.category is not StabilityWarning]


def test_threads_wait_for_each_other() -> None:
    with connect(tracker(), "pysim") as session, connect(tracker(), "pysim") as alone:
        session.learn_many(X, X)
        alone.learn_many(X, X)
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(session.predict_many(X))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert np.array_equal(found, [alone.predict_many(X)] * 4)


# Traces


def files_of(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("inside", [True, False], ids=["in a call", "between calls"])
@pytest.mark.parametrize("block", [True, False], ids=["with", "close"])
def test_an_exception_leaves_the_files_of_a_trace(
    inside: bool, block: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {"a.vcd": "an earlier run", "a.gtkw": "its view"}
    for name, text in before.items():
        (tmp_path / name).write_text(text)

    def run(session: Session) -> None:
        session.learn_many(X, X)
        if inside:
            stop_after(monkeypatch, 5)
            session.learn_many(X, X)
        raise KeyboardInterrupt

    session = connect(tracker(), "pysim", trace=tmp_path / "a.vcd")
    with pytest.raises(KeyboardInterrupt), session if block else nullcontext():
        run(session)
    session.close()
    # What ends a session without a block cannot know of an exception between its calls.
    complete = not inside and not block
    assert (files_of(tmp_path) == before) == (not complete)
    assert sorted(files_of(tmp_path)) == ["a.gtkw", "a.vcd"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="there is no device that is always full")
def test_a_disk_that_becomes_full_under_a_trace_is_told_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.vcd"
    path.symlink_to("/dev/full")
    line = f"^'{path}': No space left on device; make room there, or name an output elsewhere$"
    x = np.linspace(-1, 1, 100)[:, None]
    with pytest.raises(InputError, match=line), connect(tracker(), "pysim", trace=path) as session:
        session.learn_many(x, x)
    assert [each.name for each in tmp_path.iterdir()] == ["a.vcd"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_a_trace_whose_name_is_no_text_has_its_view(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"b\xe9.vcd")
    with connect(tracker(), "pysim", trace=path) as session:
        session.learn_many(X, X)
    assert path.is_file()
    assert b'[dumpfile] "b\xe9.vcd"' in path.with_suffix(".gtkw").read_bytes()
