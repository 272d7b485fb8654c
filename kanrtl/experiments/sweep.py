"""Error against anything that a spec says: the same task on many learners, on all cores or on a Dask cluster.

::

    found = sweep(spec, over={"bits": [8, 10, 12, 16], "learning_rate": [0.1, 0.3]}, task="track", seeds=10)
    found.to_json()

Every value of an axis is tried with every value of the others. Learners of one shape run side by side
(:class:`kanrtl.learner.model_batch.ModelBatch`), and the same learner gives the same bits wherever it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import Reals, check_at_least
from ..errors import InputError, check_kind, cut
from ..learner.address_map import SATURATIONS
from ..learner.model_batch import shape_of
from ..learner.spec import LearnerSpec
from ..sessions.backends import BACKENDS
from ..sim import TASKS
from ..sim.recording import Recording
from ..sim.task import Task
from .axes import Axis, axis_of, check_axes, learner_at, points_of
from .fit_task import fit_task, pools_in_variances
from .runs import WORTH, Result, Run, Unit, check_address, measure_units, runs_side_by_side, task_ranges

UNIT = 256  # learners in a batch: more would gain little, and show progress more rarely


@dataclass(frozen=True)
class Row:
    """One point of the sweep.

    Attributes
    ----------
    point
        The labels of the point, by axis.
    spec
        The learner, with the seed of the first run.
    mse
        Mean squared error before each update, of the last samples of each regime; shape ``(seeds, regimes)``.
    mse_all
        The same of whole runs, shape ``(seeds,)``.
    mse_float64, mse_all_float64
        The same in float64.
    saturations
        Counts by kind, of all seeds together.
    guard_counts
        How often the guard has seen each of its signatures, of all seeds together; empty without a guard.
    """

    point: dict[str, Any]
    spec: LearnerSpec
    mse: Reals
    mse_all: Reals
    mse_float64: Reals
    mse_all_float64: Reals
    saturations: dict[str, int]
    guard_counts: dict[str, int]

    @property
    def settled(self) -> Reals:
        """The mean of the regimes' errors, shape ``(seeds,)``."""
        return self.mse.mean(axis=1)  # type: ignore[no-any-return]

    def to_json(self) -> dict[str, Any]:
        """Plain values; errors are means over the seeds where they are not said to be anything else."""
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
            **({"guard": self.guard_counts} if self.guard_counts else {}),
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
    regimes: tuple[str, ...]
    """What the regimes of the task are called."""
    in_variances: bool
    """Whether errors are those of several targets, each in parts of its variance."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, with the rows as :meth:`Row.to_json` gives them."""
        return {
            "spec": self.spec.to_dict(),
            "task": self.task,
            "samples": self.samples,
            "seeds": self.seeds,
            "backend": self.backend,
            "axes": {axis.name: list(axis.labels) for axis in self.axes},
            "regimes": list(self.regimes),
            "mse_in": "variances" if self.in_variances else "units",
            "rows": [row.to_json() for row in self.rows],
        }

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The header and the rows of a table.

        Errors are means over the seeds; the spread is how far the mean over the regimes of any seed
        is from theirs, at most. What saturated is told where anything did, and how often guards saw a fault where
        any learner has one.
        """
        saturated = any(any(row.saturations.values()) for row in self.rows)
        guarded = any(row.guard_counts for row in self.rows)
        header = [axis.name for axis in self.axes]
        header += self.regimes
        header += ["spread"] * (self.seeds > 1) + ["whole", "float64"]
        header += ["saturated"] * saturated + ["faults"] * guarded
        lines = []
        for row in self.rows:
            cells = [str(label) for label in row.point.values()] + [format_error(error.mean()) for error in row.mse.T]
            if self.seeds > 1:
                cells.append(f"{np.abs(row.settled / row.settled.mean() - 1).max():.0%}")
            cells += [format_error(row.mse_all.mean()), format_error(row.mse_all_float64.mean())]
            cells += [str(sum(row.saturations.values()))] * saturated
            lines.append(cells + [str(sum(row.guard_counts.values()))] * guarded)
        return header, lines


def format_error(error: float) -> str:
    """A mean squared error, for a column of them: fixed digits stand well below each other; of errors in small units
    they show nothing, of large ones too much."""
    if 1e-3 <= error < 1e3:
        return f"{error:.5f}"
    return f"{error:.3g}" if error < 1 else f"{error:.6g}"


def sweep(
    spec: LearnerSpec,
    over: Mapping[str | tuple[str, ...], Sequence[Any]],
    task: str | Recording = "track",
    *,
    samples: int = 1500,
    seeds: int = 1,
    backend: str = "model",
    jobs: int = 1,
    scheduler: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Learn a task with every combination of the values in ``over``.

    Parameters
    ----------
    spec
        What all learners have in common.
    task
        The name of a task, or a recording, which is scaled to each learner, and whose errors are in its own units; of
        several targets, which may have different ones, the mean of the errors in parts of each one's variance.
    over
        Values by field of the spec, or by :data:`BITS`; values by several fields, then each value is a tuple.
    samples, seeds
        Every learner is run ``seeds`` times: run k on the task with seed k, the learner's own seed being k more than
        its spec says. A recording is learned as it is, all of it.
    backend
        As for :func:`kanrtl.connect`; ``"model"`` runs learners without a guard side by side.
    jobs
        Processes, at most: no more are started than are worth it. With more than one, a script must call this under
        ``if __name__ == "__main__":``.
    scheduler
        Address of a Dask scheduler; its workers, which need the same kanrtl, then do the work.
    progress
        Called with how many learners of how many are done.

    Raises
    ------
    InputError
        If anything cannot be run, before anything runs.
    ToolError
        If the cluster or a process fails.
    """
    check_kind("over", over, Mapping, "a dict of values by field of the spec")
    axes = tuple(axis_of(fields, values) for fields, values in over.items())
    check_axes(axes)
    if scheduler is not None:
        check_address(scheduler)
    for name, value, known in (("task", task, list(TASKS)), ("backend", backend, list(BACKENDS))):
        if not isinstance(value, Recording) and value not in known:
            raise InputError(f"{name} = {cut(value)}: unknown; use one of {', '.join(map(repr, known))}")
    for name, number, least in (("samples", samples, 3), ("seeds", seeds, 1), ("jobs", jobs, 1)):
        check_at_least(name, number, least)
    kind: Recording | type[Task] = task if isinstance(task, Recording) else TASKS[task]
    points = [(point, learner_at(spec, axes, point, kind)) for point in points_of(axes)]
    checked = task if isinstance(task, Recording) else TASKS[task](samples, 0)
    samples = checked.samples
    for _, learner in points:
        fit_task(learner, checked)
    in_variances = _pools_in_variances([learner for _, learner in points], checked)
    runs = [_run_of(learner, seed) for _, learner in points for seed in range(seeds)]
    parts = jobs if scheduler is None else len(runs)  # a cluster may have any number of workers
    found = _measure(_works(runs, task, samples, backend, parts), jobs, scheduler, progress)
    rows = []
    for index, (point, learner) in enumerate(points):
        own = range(index * seeds, (index + 1) * seeds)
        labels = {axis.name: axis.labels[at] for axis, at in zip(axes, point, strict=True)}
        integers, floats = ([found[kind][run] for run in own] for kind in (backend, "float64"))
        rows.append(_row(labels, learner, integers, floats))
    if isinstance(task, Recording):
        names, name = task.regime_names, task.name
    else:
        names, name = TASKS[task](samples, 0).regime_names, task
    return Sweep(spec, name, samples, seeds, backend, axes, tuple(rows), names, in_variances)


def _pools_in_variances(learners: Sequence[LearnerSpec], task: Task) -> bool:
    """Whether errors of all learners are in parts of variances; :exc:`InputError` where only those of some are."""
    found = {learner.loss: pools_in_variances(learner, task) for learner in learners}
    if len(set(found.values())) > 1:
        units, variances = (", ".join(loss for loss in found if found[loss] is kind) for kind in (False, True))
        raise InputError(
            f"over loss = {units}: errors of several targets are in units, and with {variances} in parts of their "
            "variances; sweep them apart"
        )
    return any(found.values())


def _measure(
    works: Sequence[_Work], jobs: int, scheduler: str | None, progress: Callable[[int, int], None] | None
) -> dict[str, dict[int, Result]]:
    """The results by backend and number of the run."""
    units = [work.unit for work in works]
    total, done = sum(len(unit.runs) for unit in units), 0
    found: dict[str, dict[int, Result]] = {unit.backend: {} for unit in units}
    if progress:
        progress(0, total)
    with closing(measure_units(units, jobs, scheduler)) as finished:
        for index, results in finished:
            for numbers, result in zip(works[index].numbers, results, strict=True):
                found[units[index].backend] |= dict.fromkeys(numbers, result)
            done += len(results)
            if progress:
                progress(done, total)
    return found


def _run_of(learner: LearnerSpec, seed: int) -> Run:
    # Not checked again, and what was derived is kept: nothing depends on the seed.
    return Run(learner.model_copy(update={"seed": (learner.seed + seed) % (1 << 32)}), seed)


@dataclass(frozen=True)
class _Work:
    """A unit, and the numbers of the runs that its results are for."""

    unit: Unit
    numbers: tuple[tuple[int, ...], ...]


def _works(runs: Sequence[Run], task: str | Recording, samples: int, backend: str, parts: int) -> list[_Work]:
    """The runs, each once on the backend and once in float64, in batches of one shape, up to ``parts`` of it.

    In float64 runs that differ in nothing but precision are one.
    """
    groups: dict[Any, dict[Any, list[int]]] = {}
    for number, run in enumerate(runs):
        shape = tuple(shape_of(run.spec).values())
        own = (backend, shape) if runs_side_by_side(run.spec, backend) else (backend, number)
        groups.setdefault(own, {})[number] = [number]
        groups.setdefault(("float64", shape), {}).setdefault(_exact(run, task), []).append(number)
    works = []
    for (kind, _), distinct in groups.items():
        alike = [tuple(same) for same in distinct.values()]
        worth = max(1, min(parts, len(alike) * samples // WORTH))
        size = min(UNIT, -(-len(alike) // worth))
        for start in range(0, len(alike), size):
            part = tuple(alike[start : start + size])
            works.append(_Work(Unit(tuple(runs[same[0]] for same in part), task, samples, kind), part))
    return works


_NOT_REAL: set[str] = {
    *(field for field in LearnerSpec.model_fields if field.endswith("_format")),
    *("table_size", "rounding", "update_rounding", "counts", "guard"),
    *("memory", "table_memory", "edge_sums", "pipeline", "teaching", "initial"),
    *("reuse_factor", "share_multipliers", "multiplier"),
    *("seed", "initial_coefficients"),  # told by the coefficients that a run starts with
}
"""The fields of a spec that a run in float64 does not ask for: how numbers are rounded, and how hardware is made."""


def _exact(run: Run, task: str | Recording) -> Any:
    """What a run in float64 depends on, its shape aside."""
    spec = run.spec
    start = tuple(
        layer.formats.coefficient.to_float(codes).tobytes()
        for layer, codes in zip(spec.layers, spec.initial_codes(), strict=True)
    )
    # Linear paths take x in units of their own.
    units = tuple(layer.linear.input_shift if layer.linear else 0 for layer in spec.layers)
    own = run.seed if isinstance(task, str) else task_ranges(spec)
    return own, repr(spec.model_dump(exclude=_NOT_REAL)), start, units


def _row(labels: dict[str, Any], learner: LearnerSpec, integers: list[Result], floats: list[Result]) -> Row:
    return Row(
        point=labels,
        spec=learner,
        mse=np.array([result.mse for result in integers]),
        mse_all=np.array([result.mse_all for result in integers]),
        mse_float64=np.array([result.mse for result in floats]),
        mse_all_float64=np.array([result.mse_all for result in floats]),
        saturations={kind: sum(result.saturations[kind] for result in integers) for kind in SATURATIONS},
        guard_counts={kind: sum(result.guard_counts[kind] for result in integers) for kind in integers[0].guard_counts},
    )
