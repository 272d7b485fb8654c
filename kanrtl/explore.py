"""Error against anything that a spec says: the same task on many learners, on all cores or on a Dask cluster.

::

    found = sweep(spec, over={"bits": [8, 10, 12, 16], "learning_rate": [0.1, 0.3]}, task="track", seeds=10)
    found.to_json()

Every value of an axis is tried with every value of the others. Learners of one shape run side by side
(:class:`kanrtl.model.ModelBatch`), and the same learner gives the same bits wherever it runs.
"""

from __future__ import annotations

import difflib
import importlib.util
import itertools
import multiprocessing
import signal
import threading
import tomllib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from .address_map import SATURATIONS
from .backends import BACKENDS
from .fixed import Format
from .model import ModelBatch, shape_of
from .session import InputError, connect
from .sim import TASKS, Task
from .simulate import check_task, teach
from .spec import LearnerSpec, SpecError
from .toolchain import ToolError
from .version import __version__

__all__ = ["BITS", "Axis", "Row", "Sweep", "parse_over", "sweep"]

Reals = npt.NDArray[np.float64]
Progress = Callable[[int, int], None]

BITS = "bits"
"""An axis that is no field: all bits of activations and coefficients. Their integer bits stay, the fraction gives way,
and formats that the spec leaves open follow."""

UNIT = 256  # learners in a batch: more would gain little, and show progress more rarely
# Samples of all learners in a batch that are worth another process: it takes as long to start as to learn so many.
WORTH = 1_000_000
CONNECT_SECONDS = 5
SCHEMES = ("tcp", "tls", "ucx", "ws", "wss")


@dataclass(frozen=True)
class Axis:
    """What is changed together, and to what: fields of the spec, or :data:`BITS`."""

    fields: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    """For every point of the axis one value per field."""

    @property
    def name(self) -> str:
        return ", ".join(self.fields)

    @cached_property
    def labels(self) -> tuple[Any, ...]:
        """A number or a text for every point."""
        return tuple(_label(values[0] if len(set(map(repr, values))) == 1 else values) for values in self.values)


def _label(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(str(_label(item)) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True)
class Row:
    """One point of the sweep.

    Attributes
    ----------
    point : label by axis
    spec : the learner, with the seed of the first run
    mse : mean squared error before each update, of the last samples of each regime; shape ``(seeds, regimes)``
    mse_all : the same of whole runs, shape ``(seeds,)``
    mse_float64, mse_all_float64 : the same in float64
    saturations : counts by kind, all seeds together
    """

    point: dict[str, Any]
    spec: LearnerSpec
    mse: Reals
    mse_all: Reals
    mse_float64: Reals
    mse_all_float64: Reals
    saturations: dict[str, int]

    @property
    def settled(self) -> Reals:
        """The mean of the regimes' errors, shape ``(seeds,)``."""
        return self.mse.mean(axis=1)  # type: ignore[no-any-return]

    def to_json(self) -> dict[str, Any]:
        return {
            "point": self.point,
            "spec": self.spec.to_dict(),
            "mse": self.mse.mean(axis=0).tolist(),
            "mse_lowest": self.mse.min(axis=0).tolist(),
            "mse_highest": self.mse.max(axis=0).tolist(),
            "mse_by_seed": self.mse.tolist(),
            "mse_all": float(self.mse_all.mean()),
            "mse_all_by_seed": self.mse_all.tolist(),
            "mse_float64": self.mse_float64.mean(axis=0).tolist(),
            "mse_all_float64": float(self.mse_all_float64.mean()),
            "saturations": self.saturations,
        }


@dataclass(frozen=True)
class Sweep:
    """What came out: a row for every combination of the axes' values, the last axis fastest."""

    spec: LearnerSpec
    task: str
    samples: int
    seeds: int
    backend: str
    axes: tuple[Axis, ...]
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values; errors are means over the seeds where they are not said to be anything else."""
        return {
            "spec": self.spec.to_dict(),
            "task": self.task,
            "samples": self.samples,
            "seeds": self.seeds,
            "backend": self.backend,
            "axes": {axis.name: list(axis.labels) for axis in self.axes},
            "rows": [row.to_json() for row in self.rows],
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows: errors are means over the seeds; the spread is how far the mean over the regimes of any seed
        is from theirs, at most. What saturated is told where anything did."""
        saturated = any(any(row.saturations.values()) for row in self.rows)
        header = [axis.name for axis in self.axes]
        header += [f"regime {index + 1}" for index in range(self.rows[0].mse.shape[1])]
        header += ["spread"] * (self.seeds > 1) + ["whole", "float64"] + ["saturated"] * saturated
        lines = []
        for row in self.rows:
            cells = [str(label) for label in row.point.values()] + [_short(error.mean()) for error in row.mse.T]
            if self.seeds > 1:
                cells.append(f"{np.abs(row.settled / row.settled.mean() - 1).max():.0%}")
            cells += [_short(row.mse_all.mean()), _short(row.mse_all_float64.mean())]
            lines.append([*cells, *([str(sum(row.saturations.values()))] * saturated)])
        return header, lines


def _short(error: float) -> str:
    return f"{error:.5f}"


def parse_over(text: str) -> tuple[str | tuple[str, ...], list[Any]]:
    """Fields and values of ``FIELD=VALUE,VALUE``: values as in a spec file, but texts need no quotes.

    ``FIELD,FIELD=VALUE,VALUE`` gives each value to both fields, ``FIELD,FIELD=VALUE:VALUE,...`` one to each. Commas and
    colons within brackets do not separate.
    """
    names, equals, values = text.partition("=")
    fields = tuple(name.strip() for name in names.split(","))
    given = _split(values, ",")
    if not equals or not all(fields) or not all(part.strip() for part in given):
        raise InputError(f"over = {text!r}: write FIELD=VALUE,VALUE such as learning_rate=0.1,0.2")
    if len(fields) == 1:
        return fields[0], [_toml_value(part) for part in given]
    parsed = []
    for part in given:
        each = [_toml_value(one) for one in _split(part, ":")]
        if len(each) not in (1, len(fields)):
            raise InputError(
                f"over = {text!r}: {part.strip()!r} is for {len(each)} fields; give one value for all "
                f"{len(fields)} fields, or {len(fields)} with ':' between them"
            )
        parsed.append(tuple(each * len(fields) if len(each) == 1 else each))
    return fields, parsed


def _split(text: str, separator: str) -> list[str]:
    """Parts between separators that stand outside of all brackets and quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if letter in "\"'" and quote in ("", letter):
            quote = "" if quote else letter
        depth += (letter in "[({") - (letter in "])}") if not quote else 0
        if letter == separator and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _toml_value(text: str) -> Any:
    text = text.strip()
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return document["value"] if list(document) == ["value"] else text


def sweep(
    spec: LearnerSpec,
    over: Mapping[str | tuple[str, ...], Sequence[Any]],
    task: str = "track",
    *,
    samples: int = 1500,
    seeds: int = 1,
    backend: str = "model",
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Sweep:
    """Learns a task with every combination of the values in ``over``.

    Parameters
    ----------
    spec
        What all learners have in common.
    over
        Values by field of the spec, or by :data:`BITS`; values by several fields, then each value is a tuple.
    samples, seeds
        Every learner is run ``seeds`` times: run k on the task with seed k, the learner's own seed being k more than
        its spec says.
    backend
        As for :func:`kanrtl.connect`; ``"model"`` runs learners side by side.
    jobs
        Processes, at most: no more are started than are worth it. With more than one, a script must call this under
        ``if __name__ == "__main__":``.
    scheduler
        Address of a Dask scheduler; its workers, which need the same kanrtl, then do the work.
    progress
        Called with how many learners of how many are done.

    Raises :exc:`InputError` for anything that cannot be run, before anything runs, and :exc:`ToolError` where the
    cluster or a process fails.
    """
    axes = tuple(_axis(fields, values) for fields, values in over.items())
    _check_axes(axes)
    if scheduler is not None:
        _check_address(scheduler)
    for name, value, known in (("task", task, list(TASKS)), ("backend", backend, list(BACKENDS))):
        if value not in known:
            raise InputError(f"{name} = {value!r}: unknown; use one of {', '.join(map(repr, known))}")
    for name, number, least in (("samples", samples, 3), ("seeds", seeds, 1), ("jobs", jobs, 1)):
        if number < least:
            raise InputError(f"{name} = {number}: must be {least} or more")
    points = [(point, _checked(spec, axes, point, TASKS[task])) for point in _points(axes)]
    runs = [_run_of(learner, seed) for _, learner in points for seed in range(seeds)]
    parts = jobs if scheduler is None else len(runs)  # a cluster may have any number of workers
    found = _measure(_works(runs, task, samples, backend, parts), jobs, scheduler, progress)
    rows = []
    for index, (point, learner) in enumerate(points):
        own = range(index * seeds, (index + 1) * seeds)
        labels = {axis.name: axis.labels[place] for axis, place in zip(axes, point, strict=True)}
        integers, floats = ([found[kind][place] for place in own] for kind in (backend, "float64"))
        rows.append(_row(labels, learner, integers, floats))
    return Sweep(spec, task, samples, seeds, backend, axes, tuple(rows))


def _measure(
    works: Sequence[_Work], jobs: int, scheduler: str | None, progress: Progress | None
) -> dict[str, dict[int, _Result]]:
    """The results by backend and number of the run."""
    units = [work.unit for work in works]
    total, done = sum(len(unit.runs) for unit in units), 0
    found: dict[str, dict[int, _Result]] = {unit.backend: {} for unit in units}
    if progress:
        progress(0, total)
    with closing(_finished(units, jobs, scheduler)) as finished:
        for index, results in finished:
            for places, result in zip(works[index].places, results, strict=True):
                found[units[index].backend] |= dict.fromkeys(places, result)
            done += len(results)
            if progress:
                progress(done, total)
    return found


# Points.


def _axis(fields: str | tuple[str, ...], values: Sequence[Any]) -> Axis:
    names = (fields,) if isinstance(fields, str) else tuple(fields)
    where = f"over {', '.join(names)}"
    if not isinstance(values, (list, tuple, range, np.ndarray)) or not len(values):
        raise InputError(f"{where} = {values!r}: give a list of values")
    points: list[tuple[Any, ...]] = []
    for value in values.tolist() if isinstance(values, np.ndarray) else values:
        point = (value,) if isinstance(fields, str) else value
        if not isinstance(point, (list, tuple)) or len(point) != len(names):
            raise InputError(f"{where} = {value!r}: give {len(names)} values, one for each field")
        points.append(tuple(point))
    return Axis(names, tuple(points))


def _check_axes(axes: Sequence[Axis]) -> None:
    if not axes:
        raise InputError("over: nothing to sweep; give a field with its values, such as learning_rate=0.1,0.2")
    names = [name for axis in axes for name in axis.fields]
    sets = {BITS: {"activation_format", "coefficient_format"}}
    for index, name in enumerate(names):
        if name != BITS and name not in LearnerSpec.model_fields:
            near = difflib.get_close_matches(name, [BITS, *LearnerSpec.model_fields], n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"use {BITS!r} or a field of the spec"
            raise InputError(f"over = {name!r}: unknown field; {hint}")
        for other in names[:index]:
            if sets.get(name, {name}) & sets.get(other, {other}):
                raise InputError(f"over = {name!r}: {other!r} sets it too; sweep one of them")
    for axis in axes:
        for label in axis.labels:
            if axis.labels.count(label) > 1:
                raise InputError(f"over {axis.name} = {label}: given twice; leave one out")


def _points(axes: Sequence[Axis]) -> Iterator[tuple[int, ...]]:
    """Places on the axes, the last axis fastest."""
    return itertools.product(*(range(len(axis.values)) for axis in axes))


def _checked(spec: LearnerSpec, axes: Sequence[Axis], point: tuple[int, ...], task: type[Task]) -> LearnerSpec:
    """The learner of a point; a refusal says which it was."""
    changes: dict[str, Any] = {}
    for axis, place in zip(axes, point, strict=True):
        changes |= zip(axis.fields, axis.values[place], strict=True)
    try:
        if BITS in changes:
            changes |= _formats(spec, changes.pop(BITS))
        learner = spec.replace(**changes)
        check_task(learner, task)
    except (SpecError, InputError) as error:
        where = ", ".join(f"{axis.name} = {axis.labels[place]}" for axis, place in zip(axes, point, strict=True))
        raise InputError(f"over {where}: {error}") from None
    return learner


def _formats(spec: LearnerSpec, bits: Any) -> dict[str, Format]:
    formats = {}
    for name in ("activation", "coefficient"):
        own = getattr(spec.formats, name)
        if not isinstance(bits, int) or isinstance(bits, bool) or bits <= own.i:
            raise InputError(f"{BITS} = {bits!r}: must be an integer above the {own.i} integer bits of {name}_format")
        formats[f"{name}_format"] = Format(own.signed, own.i, bits - own.i)
    return formats


# Runs.


@dataclass(frozen=True)
class _Run:
    spec: LearnerSpec
    seed: int  # of the task


@dataclass(frozen=True)
class _Result:
    """Mean squared error by regime, and of the whole run."""

    mse: tuple[float, ...]
    mse_all: float
    saturations: dict[str, int]


@dataclass(frozen=True)
class _Unit:
    """Runs that go together, in one process: with ``"model"`` and ``"float64"`` side by side."""

    runs: tuple[_Run, ...]
    task: str
    samples: int
    backend: str  # or "float64"

    def measure(self) -> list[_Result]:
        tasks = [TASKS[self.task](self.samples, run.seed) for run in self.runs]
        if self.backend in ("model", "float64"):
            predictions, saturations = _side_by_side([run.spec for run in self.runs], tasks, self.backend)
        else:
            predictions, saturations = [], []
            for run, task in zip(self.runs, tasks, strict=True):
                with connect(run.spec, self.backend) as learner:
                    predictions.append(teach(learner, task.x, task.target))
                    saturations.append(learner.status["saturations"])
        results = []
        for task, predicted, counts in zip(tasks, predictions, saturations, strict=True):
            error = predicted - task.target
            results.append(_Result(tuple(task.regime_errors(error)), float(np.mean(error**2)), counts))
        return results


def _side_by_side(
    specs: Sequence[LearnerSpec], tasks: Sequence[Task], numeric: str
) -> tuple[list[Reals], list[dict[str, int]]]:
    """Predictions and saturations of every learner, on its own task."""
    integer = numeric == "model"
    batch = ModelBatch(specs, "integer" if integer else "float64")
    edges = range(tasks[0].samples) if specs[0].timing.streaming else None
    x, target = (np.array([getattr(task, name) for task in tasks]) for name in ("x", "target"))

    def codes(name: str, reals: Reals) -> npt.NDArray[Any]:
        if not integer:
            return reals
        return np.array([getattr(spec.formats, name).quantise(own) for spec, own in zip(specs, reals, strict=True)])

    def reals(outputs: npt.NDArray[Any]) -> Reals:
        if not integer:
            return outputs
        return np.array([spec.formats.activation.to_float(own) for spec, own in zip(specs, outputs, strict=True)])

    x = codes("activation", x)
    if specs[0].loss != "external":
        predictions = reals(batch.run(x, codes("activation", target), np.ones(x.shape[1], dtype=bool), edges))
    else:  # as a session: the sample is run once more, with the gradient
        predictions = np.empty_like(target)
        for sample in range(x.shape[1]):
            place = slice(sample, sample + 1)
            predictions[:, place] = reals(batch.predict_many(x[:, place]))
            batch.learn_many(x[:, place], codes("gradient", predictions[:, place] - target[:, place]))
    batch.settle()
    return list(predictions), batch.saturations


def _run_of(learner: LearnerSpec, seed: int) -> _Run:
    # Not checked again, and what was derived is kept: nothing depends on the seed.
    return _Run(learner.model_copy(update={"seed": (learner.seed + seed) % (1 << 32)}), seed)


@dataclass(frozen=True)
class _Work:
    """A unit, and the numbers of the runs that its results are for."""

    unit: _Unit
    places: tuple[tuple[int, ...], ...]


def _works(runs: Sequence[_Run], task: str, samples: int, backend: str, parts: int) -> list[_Work]:
    """The runs, each once on the backend and once in float64, in batches of one shape, up to ``parts`` of it.

    In float64 runs that differ in nothing but precision are one.
    """
    groups: dict[Any, dict[Any, list[int]]] = {}
    for place, run in enumerate(runs):
        shape = tuple(shape_of(run.spec).values())
        own = (backend, shape) if backend == "model" else (backend, place)
        groups.setdefault(own, {})[place] = [place]
        groups.setdefault(("float64", shape), {}).setdefault(_exact(run), []).append(place)
    works = []
    for (kind, _), distinct in groups.items():
        places = [tuple(same) for same in distinct.values()]
        worth = max(1, min(parts, len(places) * samples // WORTH))
        size = min(UNIT, -(-len(places) // worth))
        for start in range(0, len(places), size):
            part = tuple(places[start : start + size])
            works.append(_Work(_Unit(tuple(runs[same[0]] for same in part), task, samples, kind), part))
    return works


def _exact(run: _Run) -> Any:
    """What a run in float64 depends on, its shape aside."""
    spec = run.spec
    lsb = spec.formats.coefficient.lsb
    start = tuple((codes * lsb).tobytes() for codes in spec.initial_codes())
    return run.seed, spec.per_layer("grid_range"), spec.per_layer("learning_rate"), start


def _row(labels: dict[str, Any], learner: LearnerSpec, integers: list[_Result], floats: list[_Result]) -> Row:
    return Row(
        point=labels,
        spec=learner,
        mse=np.array([result.mse for result in integers]),
        mse_all=np.array([result.mse_all for result in integers]),
        mse_float64=np.array([result.mse for result in floats]),
        mse_all_float64=np.array([result.mse_all for result in floats]),
        saturations={kind: sum(result.saturations[kind] for result in integers) for kind in SATURATIONS},
    )


# Where the runs are made.


Finished = Generator[tuple[int, list[_Result]], None, None]


def _finished(units: Sequence[_Unit], jobs: int, scheduler: str | None) -> Finished:
    """Numbers of units with their results, in the order in which they are done."""
    if scheduler is not None:
        return _on_cluster(units, scheduler)
    if any(unit.backend not in ("model", "float64") for unit in units):
        processes = min(jobs, len(units))
    else:
        processes = min(jobs, sum(len(unit.runs) * unit.samples for unit in units) // WORTH)
    return _in_processes(units, processes) if processes > 1 else _here(units)


def _here(units: Sequence[_Unit]) -> Finished:
    for index, unit in enumerate(units):
        yield index, unit.measure()


@contextmanager
def _uninterrupted() -> Iterator[None]:
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


def _in_processes(units: Sequence[_Unit], jobs: int) -> Finished:
    others = set(multiprocessing.active_children())
    # Not forked: a process with threads, as one that shows progress, cannot be forked safely.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context)
    try:
        with _uninterrupted():
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


def _check_address(address: str) -> None:
    """That it is one: a client of distributed that stumbles over an address takes long to end."""
    try:
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        known = parts.scheme == "inproc" or (parts.scheme in SCHEMES and parts.hostname and parts.port)
    except ValueError:  # the port is no number
        known = False
    if not known:
        raise InputError(f"scheduler = {address!r}: not an address; give one such as tcp://127.0.0.1:8786")
    if importlib.util.find_spec("distributed") is None:
        raise InputError("scheduler: distributed is not installed; run `pip install 'kanrtl[dask]'`")


def _on_cluster(units: Sequence[_Unit], address: str) -> Finished:
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
        futures = client.map(_Unit.measure, units, pure=False)
        places = {future.key: index for index, future in enumerate(futures)}
        try:
            for future in completed(futures, loop=client.loop):
                yield places[future.key], future.result()
        except (OSError, CancelledError, KilledWorker) as error:
            raise ToolError(f"{where}: the cluster failed ({_one_line(error)}); see its own log") from None
        finally:
            client.cancel(futures)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _version() -> str:
    """That of kanrtl where this runs."""
    return __version__


def _check_workers(client: Any, where: str) -> None:
    """That there are workers, all with this version: others might give other bits."""
    try:
        versions = client.run(_version)
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
