"""The runs of a sweep, in units of learners side by side: measured here, in processes, or on a Dask cluster."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import threading
import warnings
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from ..arrays import Reals
from ..errors import InputError, StabilityWarning, ToolError
from ..learner.losses import find_loss
from ..learner.model_batch import ModelBatch
from ..learner.spec import LearnerSpec
from ..sessions.connect import connect
from ..sessions.learner_session import Session
from ..sim import TASKS
from ..sim.recording import Recording
from ..sim.task import Task
from ..version import __version__
from .fit_task import find_errors, fit_task, pool_errors
from .simulate_learner import teach

# Samples of all learners in a batch that are worth another process: it takes as long to start as to learn so many.
WORTH = 1_000_000


# Samples of all learners in a batch whose inputs are in memory at once.
_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class Run:
    """One learner, and the seed of the task that it learns."""

    spec: LearnerSpec
    seed: int


@dataclass(frozen=True)
class Result:
    """What came of a run: its mean squared error by regime and as a whole, what saturated, by kind, and how often its
    guard has seen what, by signature; nothing of that without a guard."""

    mse: tuple[float, ...]
    mse_all: float
    saturations: dict[str, int]
    guard_counts: dict[str, int]


@dataclass(frozen=True)
class Unit:
    """Runs that go together, in one process: side by side, where :func:`runs_side_by_side` says so."""

    runs: tuple[Run, ...]
    task: str | Recording
    samples: int
    backend: str  # or "float64"

    @np.errstate(over="ignore", invalid="ignore")  # floats may diverge, which their errors show
    def measure(self) -> list[Result]:
        """Run all learners; give their results in order."""
        tasks = self._tasks()
        if self.side_by_side:
            found = _side_by_side([run.spec for run in self.runs], tasks, self.backend)
        else:
            found = [_alone(run.spec, task, self.backend) for run, task in zip(self.runs, tasks, strict=True)]
        results = []
        for run, task, (predictions, *counts) in zip(self.runs, tasks, found, strict=True):
            error = pool_errors(run.spec, task, find_errors(run.spec, task, predictions))
            results.append(Result(tuple(task.regime_errors(error)), float(np.mean(error**2)), *counts))
        return results

    @property
    def side_by_side(self) -> bool:
        """Whether its runs go side by side; all of them do, or none."""
        return runs_side_by_side(self.runs[0].spec, self.backend)

    def _tasks(self) -> list[Task]:
        """The task of each run; runs whose learners have the same ranges share their recording."""
        if isinstance(self.task, str):
            return [fit_task(run.spec, TASKS[self.task](self.samples, run.seed)) for run in self.runs]
        fitted: dict[Any, Task] = {}
        for run in self.runs:
            if task_ranges(run.spec) not in fitted:
                fitted[task_ranges(run.spec)] = fit_task(run.spec, self.task)
        return [fitted[task_ranges(run.spec)] for run in self.runs]


def runs_side_by_side(spec: LearnerSpec, backend: str) -> bool:
    """Whether such learners run side by side. With a guard, which may bring back coefficients, each runs alone; in
    float64 there is no guard."""
    return backend == "float64" or (backend == "model" and spec.guard is None)


_Found = tuple[Reals, dict[str, int], dict[str, int]]
"""Of one learner: its predictions, what saturated, by kind, and what its guard has seen, by signature."""


def _alone(spec: LearnerSpec, task: Task, backend: str) -> _Found:
    with _connect_quietly(spec, backend) as learner:
        predictions = teach(learner, task.x, task.target)
        status = learner.status
    return predictions, status["saturations"], status["guard"]["counts"] if spec.guard is not None else {}


def _connect_quietly(spec: LearnerSpec, backend: str) -> Session:
    """Without a warning of the learning rate: what comes of it is what is measured."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StabilityWarning)
        return connect(spec, backend)


def task_ranges(spec: LearnerSpec) -> Any:
    """All of a spec that the scales of its task depend on."""
    return spec.per_layer("grid_range")[0], spec.target_range, spec.loss, spec.target_format


def _side_by_side(specs: Sequence[LearnerSpec], tasks: Sequence[Task], numeric: str) -> list[_Found]:
    """What is found of every learner, on its own task.

    They run in parts, so that many learners of a long task need not have all their samples in memory at once.
    """
    integer = numeric == "model"
    batch = ModelBatch(specs, "integer" if integer else "float64")
    samples, size = tasks[0].samples, max(1, _AT_ONCE // len(specs))

    def input_codes(reals: Reals) -> npt.NDArray[Any]:
        if not integer:
            return reals
        together = zip(specs, reals, strict=True)
        return np.array([spec.formats.input.quantise(own, spec.input_period) for spec, own in together])

    def target_codes(reals: Reals) -> npt.NDArray[Any]:
        if not integer:
            return reals
        return np.array([spec.target_format.quantise(own) for spec, own in zip(specs, reals, strict=True)])

    def reals(outputs: npt.NDArray[Any]) -> Reals:
        if not integer:
            return outputs
        return np.array([spec.formats.output.to_float(own) for spec, own in zip(specs, outputs, strict=True)])

    predictions = np.empty((len(specs), samples, specs[0].n_out))
    for start in range(0, samples, size):
        part = range(start, min(start + size, samples))
        x, target = (
            np.array([getattr(task, name)[part.start : part.stop] for task in tasks]) for name in ("x", "target")
        )
        x, ours = input_codes(x), predictions[:, part.start : part.stop]
        if not find_loss(specs[0].loss).takes_gradients:
            edges = part if specs[0].timing.streaming else None
            ours[...] = reals(batch.run(x, target_codes(target), np.ones(len(part), dtype=bool), edges))
            continue
        for sample in range(len(part)):  # as a session: the sample is run once more, with the gradient
            one = slice(sample, sample + 1)
            ours[:, one] = reals(batch.predict_many(x[:, one]))
            batch.learn_many(x[:, one], target_codes(ours[:, one] - target[:, one]))
    batch.settle()
    return [(own, counts, {}) for own, counts in zip(predictions, batch.saturations, strict=True)]


CONNECT_SECONDS = 5

SCHEMES = ("tcp", "tls", "ucx", "ws", "wss")

Finished = Generator[tuple[int, list[Result]], None, None]


def measure_units(units: Sequence[Unit], jobs: int, scheduler: str | None) -> Finished:
    """Measure ``units``; give the number of each and its results, in the order in which they are done.

    They run on the cluster of ``scheduler``, or else in at most ``jobs`` processes. Raises :exc:`ToolError` where the
    cluster or a process fails.
    """
    if scheduler is not None:
        return _on_cluster(units, scheduler)
    if any(not unit.side_by_side for unit in units):
        processes = min(jobs, len(units))
    else:
        processes = min(jobs, sum(len(unit.runs) * unit.samples for unit in units) // WORTH)
    return _in_processes(units, processes) if processes > 1 else _here(units)


def _here(units: Sequence[Unit]) -> Finished:
    for index, unit in enumerate(units):
        yield index, unit.measure()


@contextmanager
def _ignore_interrupts() -> Iterator[None]:
    """Control-C goes to all processes of a terminal. Those that are started within this ignore it: the one that
    started them ends them."""
    if threading.current_thread() is not threading.main_thread():
        yield  # where signals are not handled anyway
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def end_with_parent() -> None:
    """Have this process end where the one that started it was killed: it would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:

        def watch() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=watch, daemon=True).start()


def _in_processes(units: Sequence[Unit], jobs: int) -> Finished:
    others = set(multiprocessing.active_children())
    # Not forked: a process with threads, as one that shows progress, cannot be forked safely.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=end_with_parent)
    try:
        with _ignore_interrupts():
            futures = {pool.submit(unit.measure): index for index, unit in enumerate(units)}
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool:
        raise ToolError("sweep: a process ended by itself, perhaps for want of memory; use fewer jobs") from None
    except BaseException:
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def check_address(address: str) -> None:
    """Raise :exc:`InputError` where ``address`` is not that of a scheduler, or distributed is not installed.

    A client of distributed that stumbles over an address takes long to end.
    """
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        known = parts.scheme == "inproc" or (parts.scheme in SCHEMES and parts.hostname and parts.port)
    except ValueError:  # the port is no number
        known = False
    if not known:
        raise InputError(f"scheduler = {address!r}: not an address; give one such as tcp://127.0.0.1:8786")
    if importlib.util.find_spec("distributed") is None:
        raise InputError("scheduler: distributed is not installed; run `pip install 'kanrtl[dask]'`")


def _on_cluster(units: Sequence[Unit], address: str) -> Finished:
    # distributed is an extra, and takes a second to import.
    from distributed import CancelledError, Client, KilledWorker
    from distributed import as_completed as completed

    where = f"scheduler = {address!r}"
    try:
        client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except OSError:
        raise ToolError(
            f"{where}: no answer within {CONNECT_SECONDS} s; start one with `dask scheduler`, or mend the address"
        ) from None
    with client:
        _check_workers(client, where)
        futures = client.map(Unit.measure, units, pure=False)
        numbers = {future.key: index for index, future in enumerate(futures)}
        try:
            for future in completed(futures, loop=client.loop):
                yield numbers[future.key], future.result()
        except (OSError, CancelledError, KilledWorker) as error:
            raise ToolError(f"{where}: the cluster failed ({_one_line(error)}); see its own log") from None
        finally:
            client.cancel(futures)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def installed_version() -> str:
    """The version of kanrtl where this runs; a cluster's workers are asked for theirs."""
    return __version__


def _check_workers(client: Any, where: str) -> None:
    """Raise :exc:`ToolError` unless there are workers, all with this version: others might give other bits."""
    try:
        versions = client.run(installed_version)
    except OSError as error:
        raise ToolError(f"{where}: the cluster failed ({_one_line(error)}); see its own log") from None
    except Exception as error:  # as which a worker's failure arrives depends on how it failed
        reason = _one_line(error)
        raise ToolError(f"{where}: its workers cannot run kanrtl ({reason}); install {__version__} there") from None
    if not versions:
        raise ToolError(f"{where}: it has no workers; start some with `dask worker` and this address")
    for worker, version in versions.items():
        if version != __version__:
            raise ToolError(
                f"{where}: worker {worker} has kanrtl {version}, here it is {__version__}; install the same"
            )
