"""What several test files share."""

import fcntl
import gc
import shlex
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import UnusedElaboratable
from hypothesis import settings

from kanrtl import LearnerSpec
from kanrtl.simulators.native_simulator import NativeSimulator
from kanrtl.tools.garbage import YOUNG
from support.quick_compiler import QUICK_FLAGS, precompile_headers
from support.tiers import mark_off_diagonal
from support.verilator_backend import compile_runtime

# The configuration of the reference paper's function tracking.
TRACKER = {
    "layer_sizes": [1, 1],
    "grid_range": [-2, 2],
    "grid_size": 5,
    "spline_order": 3,
    "learning_rate": 0.3,
}

# Of whatever counts its examples by support.search, or leaves the count to hypothesis: `make test` tries a third,
# `make thorough` all, `make search` twenty times as many.
settings.register_profile("brief", max_examples=settings.default.max_examples // 3)
settings.register_profile("long", max_examples=20 * settings.default.max_examples)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mark_off_diagonal(items)


def pytest_collection_finish() -> None:
    """Leaves all that was imported out of garbage collection, and lets it run more rarely.

    Amaranth makes so many objects that otherwise a quarter of the time goes into looking for cycles among them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)


@pytest.fixture
def tracker() -> LearnerSpec:
    """The learner of the reference paper's function tracking."""
    return LearnerSpec(**TRACKER)


@pytest.fixture
def spec_file(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes a spec file: the tracker's, with some lines replaced or added."""

    def write(name: str = "spec.toml", **lines: str) -> Path:
        fields = {field: repr(value) for field, value in TRACKER.items()} | lines
        path = tmp_path / name
        path.write_text("".join(f"{field} = {text}\n" for field, text in fields.items()))
        return path

    return write


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of a run have in common."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Keeps the other processes of a run out of a folder."""
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def runtime(shared: Path) -> Path:
    """Verilator's runtime, compiled once for all processes of a run."""
    folder = shared / "runtime"
    folder.mkdir(exist_ok=True)
    with one_at_a_time(folder):
        found = folder / "runtime.o"
        return found if found.exists() else compile_runtime(folder)


@pytest.fixture(scope="session", autouse=True)
def quickly() -> Iterator[None]:
    """What is compiled in C++ is not optimised, wherever it is kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CXXFLAGS", shlex.join(QUICK_FLAGS))
        yield


@pytest.fixture(scope="session")
def simulations(shared: Path) -> Path:
    """A cache of compiled simulations for all tests of all processes, so that each is compiled once."""
    return shared / "cache"


@pytest.fixture(scope="session")
def flags(shared: Path) -> str:
    """The compiler's, with the headers of simulations compiled once for all processes of a run."""
    with one_at_a_time(shared):
        return shlex.join(precompile_headers(shared))


@pytest.fixture
def compiled(simulations: Path, flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulations are compiled quickly, and run slowly."""
    monkeypatch.setenv("KANRTL_CACHE_DIR", str(simulations))
    monkeypatch.setenv("CXXFLAGS", flags)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """A function that makes the next run of a native session end as ^C would end it, a few cycles after its start."""
    monkeypatch.setattr("kanrtl.simulators.native_simulator.STRETCH", 7)
    write_trace = NativeSimulator.write_trace

    def once(_session: Any) -> None:
        def stop(_simulator: NativeSimulator) -> None:
            monkeypatch.setattr(NativeSimulator, "write_trace", write_trace)
            raise KeyboardInterrupt

        monkeypatch.setattr(NativeSimulator, "write_trace", stop)

    return once


@pytest.fixture
def unelaborated() -> Any:
    """What a refusal leaves is never elaborated; Amaranth would warn of it."""
    warnings.simplefilter("ignore", UnusedElaboratable)
    yield
    gc.collect()
