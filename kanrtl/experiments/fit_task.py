"""A task as a learner is given it, and the errors of a learner in the units of the task."""

from __future__ import annotations

from typing import TypeVar

import numpy as np

from ..arrays import Reals
from ..errors import InputError
from ..learner.losses import find_loss
from ..learner.spec import LearnerSpec
from ..sim.recording import Recording
from ..sim.task import Task

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


def fit_task(spec: LearnerSpec, task: TaskKind) -> TaskKind:
    """The task scaled to what the spec can hold: inputs to the grid of the first layer, and targets to the same range
    unless they are classes; raises :exc:`InputError` where it does not fit the spec."""
    check_task(spec, task)
    if isinstance(task, Recording) and task.scale:
        _check_scaling(spec)
    grid = spec.per_layer("grid_range")[0]
    loss = find_loss(spec.loss)
    fitted = task.fit_to(grid, None if loss.binary_targets else grid)
    if isinstance(fitted, Recording):
        _check_targets(spec, fitted)
    return fitted


def _check_scaling(spec: LearnerSpec) -> None:
    """Refuse to scale what would become something else."""
    for field, given, moved in (
        ("periodic", spec.per_layer("periodic")[0], "an angle"),
        ("modulated", spec.modulated, "what multiplies a curve"),
    ):
        if given:
            raise InputError(
                f"{field} = {given!r}: a recording is scaled to the grid, and {moved} would be moved; give a Recording "
                "in the units of the learner, with scale=False"
            )


def _check_targets(spec: LearnerSpec, recording: Recording) -> None:
    loss = find_loss(spec.loss)
    if loss.takes_gradients:
        return
    format = spec.target_format
    lowest, highest = (
        (0.0, 1.0) if loss.binary_targets else map(float, format.to_float([format.minimum, format.maximum]))
    )
    bad = np.argwhere((recording.target < lowest) | (recording.target > highest))
    if not bad.size:
        return
    sample, output = bad[0]
    where = f"sample {sample + 1} of {recording.target_names[output]!r}"
    value = recording.target[sample, output]
    if loss.binary_targets:
        raise InputError(f'{where} is {value:g}: loss = "{spec.loss}" takes 0 and 1; give classes so')
    raise InputError(
        f"{where} is scaled to {value:g}, where {format} holds {lowest:g} to {highest:g}; give a narrower "
        "target_range, or wider formats"
    )


@np.errstate(over="ignore", invalid="ignore")
def find_errors(spec: LearnerSpec, task: Task, predictions: Reals) -> Reals:
    """Errors of predictions ``(samples, n_out)`` in the units of the task; of a logistic loss those of probabilities,
    by which classes are wrong where they are above one half."""
    loss = find_loss(spec.loss)
    if loss.binary_targets and isinstance(task, Recording):
        return loss.in_reals(predictions, task.target)
    return task.to_units(predictions - task.target)
