"""A task as a learner is given it, and the errors of a learner in the units of the task."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ..arrays import Reals
from ..errors import InputError
from ..learner.losses import explain_target_range, find_loss
from ..learner.spec import LearnerSpec
from ..sim.recording import Recording
from ..sim.task import Task

FEWEST_CODES = 4
"""Targets of a recording that span fewer codes of their format are refused: there is next to nothing to learn."""

TaskKind = TypeVar("TaskKind", bound=Task)


def check_task(spec: LearnerSpec, task: Task | type[Task]) -> None:
    """Raise :exc:`InputError` where a task does not fit the spec."""
    if (task.n_in, task.n_out) != (spec.n_in, spec.n_out):
        which = f" ({', '.join(task.input_names)})" if isinstance(task, Recording) and task.n_in <= 12 else ""
        if spec.modulation:
            raise InputError(
                f"modulated = {spec.modulated!r}: a sample has {1 + spec.modulation} numbers for each input, "
                f"{spec.n_in} of {spec.layer_sizes[0]}, and {spec.n_out} target(s); task {task.name!r} has {task.n_in} "
                f"input(s){which} and {task.n_out} output(s)"
            )
        raise InputError(
            f"layer_sizes = {list(spec.layer_sizes)}: task {task.name!r} has {task.n_in} input(s){which} and "
            f"{task.n_out} output(s); use [{task.n_in}, ..., {task.n_out}]"
        )


def _check_rows(task: Task) -> None:
    """Raise :exc:`InputError` where the arrays of a task are none, or its regimes are not its samples in turn."""
    for field, values, count in (("x", task.x, task.n_in), ("target", task.target, task.n_out)):
        wanted = (task.samples, count)
        if not isinstance(values, np.ndarray):
            raise InputError(
                f"task {task.name!r}: {field} is of type {type(values).__name__}; must be an array {wanted}"
            )
        if values.shape != wanted:
            raise InputError(f"task {task.name!r}: {field} of shape {values.shape}; must be an array {wanted}")
    end = 0
    for index, (start, stop) in enumerate(task.regimes):
        if start != end or stop <= start:
            raise InputError(
                f"task {task.name!r}: regimes[{index}] = {(start, stop)}: must begin at {end}, where the one before "
                "ends, and have a sample"
            )
        end = stop
    if end != task.samples:
        raise InputError(f"task {task.name!r}: regimes end at {end}; they must hold all {task.samples} samples")


def fit_task(spec: LearnerSpec, task: TaskKind) -> TaskKind:
    """The task scaled to what the spec can hold: inputs to the grid of the first layer, and targets, unless they are
    classes, to its ``target_range``, or without one as :func:`_choose_target_range` says; raises :exc:`InputError`
    where it does not fit the spec."""
    check_task(spec, task)
    _check_rows(task)
    if isinstance(task, Recording) and task.scale:
        _check_scaling(spec)
    grid = spec.per_layer("grid_range")[0]
    loss = find_loss(spec.loss)
    if loss.binary_targets and isinstance(task, Recording) and task.target_range is not None:
        raise InputError(
            f'target_range = {task.target_range!r}: with loss = "{spec.loss}" targets are classes, 0 and 1, and not '
            "scaled; leave it out"
        )
    fitted = task.fit_to(grid, None if loss.binary_targets else _choose_target_range(spec))
    _check_targets(spec, fitted)
    return fitted


def _choose_target_range(spec: LearnerSpec) -> tuple[float, float]:
    """What targets are scaled onto: the spec's ``target_range``; or else the first grid's range, except where that is
    more than half of what the format of targets holds, so that nothing later in a recording would fit, or so little of
    it that few codes were left."""
    if spec.target_range is not None:
        return spec.target_range
    grid, format = spec.per_layer("grid_range")[0], spec.target_format
    reach, most = max(map(abs, grid)), -format.minimum * format.lsb
    # Later values may lie as far out again; where any range will do, sixteen times as far.
    if reach > most / 2:
        return -most / 2, most / 2
    return grid if reach >= most / 64 else (-most / 16, most / 16)


def _check_scaling(spec: LearnerSpec) -> None:
    """Refuse to scale what would become something else."""
    for field, given, moved in (
        ("periodic", spec.per_layer("periodic")[0], "an angle"),
        ("modulated", spec.modulated, "what multiplies a curve"),
    ):
        if given:
            raise InputError(
                f"{field} = {given!r}: a recording is scaled to the grid, and {moved} would be moved; in Python give "
                "a Recording in the units of the learner, with scale=False"
            )


def _check_targets(spec: LearnerSpec, task: Task) -> None:
    loss = find_loss(spec.loss)
    if loss.takes_gradients:
        return

    def describe(outside: npt.NDArray[np.bool_]) -> tuple[str, float]:
        sample, output = np.argwhere(outside)[0]
        name = f"{task.target_names[output]!r}" if isinstance(task, Recording) else f"task {task.name!r}"
        return f"sample {sample + 1} of {name}", float(task.target[sample, output])

    lowest, highest = loss.target_range
    outside = (task.target < lowest) | (task.target > highest)
    if outside.any():
        where, value = describe(outside)
        raise InputError(f"{where} is {value:g}: {explain_target_range(spec.loss)}")
    if not isinstance(task, Recording):
        return  # its targets have units of their own; what a narrow format does to them is what is measured
    format = spec.target_format
    lowest, highest = map(float, format.to_float([format.minimum, format.maximum]))
    outside = (task.target < lowest) | (task.target > highest)
    if outside.any():
        where, value = describe(outside)
        raise InputError(
            f"{where} is scaled to {value:g}, where {format} holds {lowest:g} to {highest:g}; give a narrower "
            "target_range, or wider formats"
        )
    for name, column in zip(task.target_names, task.target.T, strict=True):
        codes = float(np.ptp(column)) / format.lsb
        if codes < FEWEST_CODES and not loss.binary_targets:
            raise InputError(
                f"{name!r} is scaled to {column.min():g} to {column.max():g}, {codes:.2g} codes of {format}; give a "
                "wider target_range, or formats with more fraction bits"
            )


@np.errstate(over="ignore", invalid="ignore")
def find_errors(spec: LearnerSpec, task: Task, predictions: Reals, rows: slice = slice(None)) -> Reals:
    """Errors of predictions ``(samples, n_out)`` in the units of the task; of a logistic loss those of probabilities,
    by which classes are wrong where they are above one half. ``rows`` is which samples of the task they are for."""
    loss = find_loss(spec.loss)
    if loss.binary_targets and isinstance(task, Recording):
        return loss.in_reals(predictions, task.target[rows])
    return task.to_units(predictions - task.target[rows])


def pools_in_variances(spec: LearnerSpec, task: Task) -> bool:
    """Whether :func:`pool_errors` gives errors in parts of the variance: the several targets of a recording may have
    different units; classes have one."""
    return isinstance(task, Recording) and task.n_out > 1 and not find_loss(spec.loss).binary_targets


def pool_errors(spec: LearnerSpec, task: Task, error: Reals) -> Reals:
    """What :func:`find_errors` gives for a whole task, so that a mean over all outputs means something: where
    :func:`pools_in_variances` says so, each error in parts of the standard deviation of its target."""
    if isinstance(task, Recording) and pools_in_variances(spec, task):
        return error / np.std(task.unscaled_target, axis=0)  # type: ignore[no-any-return]
    return error
