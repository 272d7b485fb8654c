"""Runs a task on a backend, beside the integer model and the same learner in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Reals
from ..errors import check_kind
from ..learner.losses import find_loss
from ..learner.spec import LearnerSpec
from ..link.transports import is_address
from ..numeric.fixed import Codes
from ..plots.recording_plot import RecordingCurves, plot_recording
from ..plots.simulation_plot import SimulationCurves, plot_simulation
from ..progress import Progress
from ..sessions.connect import connect
from ..sessions.learner_session import Session
from ..sessions.standalone_model import Model
from ..sim.recording import Recording
from ..sim.task import Task
from .compare_methods import Comparison, compare_methods
from .fit_task import find_errors, fit_task, pool_errors, pools_in_variances

CHUNK = 50
"""Samples between two signs of progress, where they are few."""


@dataclass(frozen=True)
class Simulation:
    """What came out of a run.

    Attributes
    ----------
    predictions, predictions_float64
        Predictions ``(samples, n_out)``, each made before its update, by the backend and in float64.
    curves, curves_float64
        What had been learned at the end of each regime: predictions ``(points, n_out)`` at the inputs :attr:`grid`.
    mismatches
        The number of predictions and final coefficients that differ from those of the integer model.
    status
        The status of the session after the run.
    recorded
        Of a recording: the learner beside other methods, in the units of the recording; None for any other task.
    """

    spec: LearnerSpec
    task: Task
    predictions: Reals
    predictions_float64: Reals
    grid: Reals
    curves: list[Reals]
    curves_float64: list[Reals]
    mismatches: int
    status: dict[str, Any]
    recorded: Comparison | None = None

    @np.errstate(over="ignore", invalid="ignore")  # floats may diverge, which their errors show
    def to_json(self) -> dict[str, Any]:
        """Plain values: errors (mean squared, before each update), cycles and mismatches.

        The errors of several targets of a recording, which may have different units, are means of those in parts of
        each one's variance; ``mse_in`` says which.
        """
        error, error_float = (
            pool_errors(self.spec, self.task, find_errors(self.spec, self.task, predictions))
            for predictions in (self.predictions, self.predictions_float64)
        )
        about = {} if self.recorded is None else self.recorded.to_json()
        return {
            "task": self.task.name,
            "samples": self.task.samples,
            "seed": self.task.seed,
            "backend": self.status["backend"],
            "mse_in": "variances" if pools_in_variances(self.spec, self.task) else "units",
            "mse": self.task.regime_errors(error),
            "mse_all": float(np.mean(error**2)),
            "mse_float64": self.task.regime_errors(error_float),
            "mse_all_float64": float(np.mean(error_float**2)),
            "latency": self.status["latency"],
            "prediction_latency": self.status["prediction_latency"],
            "interval": self.status["interval"],
            "observed": self.status["observed"],
            "cycles": self.status["cycles"],
            **{
                name: self.status[name]
                for name in ("saturations", "counters_full", "inputs_saturated", "targets_saturated")
            },
            **({"guard": self.status["guard"]} if "guard" in self.status else {}),
            "mismatches": self.mismatches,
            **about,
        }

    def plot(self, path: Path) -> None:
        """Draw the run into a file, as :func:`kanrtl.plots.simulation_plot.plot_simulation` does."""
        data = self.to_json()
        title = (
            f"{self.task.name}: layers {list(self.spec.layer_sizes)} on {data['backend']}, "
            f"clock cycles a learning step: {data['latency']}"
        )
        if self.recorded is not None:
            self.recorded.plot(title, path)
            return
        if not self.task.has_formula:
            errors = {data["backend"]: self.predictions, "float64": self.predictions_float64}
            plot_recording(
                RecordingCurves(
                    title,
                    "y",
                    self.task.target[:, 0],
                    {name: (predictions - self.task.target)[:, 0] for name, predictions in errors.items()},
                ),
                path,
            )
            return
        run = SimulationCurves(
            title,
            self.task.target,
            self.predictions,
            self.predictions_float64,
            [regime.stop for regime in self.task.regimes],
            self.grid,
            [self.task.curve(self.grid, index) for index in range(len(self.task.regimes))],
            self.curves,
            data["mse"],
        )
        plot_simulation(run, path)


def simulate(
    spec: LearnerSpec,
    task: Task,
    backend: str = "pysim",
    progress: Callable[[int], None] | None = None,
    *,
    trace: str | Path | None = None,
    starting: Progress | None = None,
) -> Simulation:
    """Learn a task, sample by sample; a recording is scaled to the spec, and other methods learn it too.

    To a streaming learner samples come without a pause within a regime.
    ``progress`` is called with the number of samples done since the last call; ``trace`` and ``starting`` are the
    ``trace`` and ``progress`` of :func:`kanrtl.connect`. Raises :exc:`InputError` where the task does not fit the spec.
    """
    check_kind("spec", spec, LearnerSpec, "a LearnerSpec")
    check_kind("task", task, Task, "a Task, such as kanrtl.sim.TASKS['track'](1500, 0), or a Recording")
    task = fit_task(spec, task)
    grid = _curve_grid(spec)
    with connect(spec, backend, trace=trace, progress=starting) as learner, connect(spec, "model") as reference:
        if is_address(backend):  # a device may have learned something already
            _take_over(learner, reference)
        start = _Start.of(reference)
        predictions, curves, mismatches = _drive(learner, reference, task, grid, progress)
        timed = spec.guard is not None and spec.guard.slot and not is_address(backend)
        if timed:  # what is read from here on takes cycles of a slot, in which no sample is due
            learner.set_limits(slot=0)
        status = learner.status  # before what is asked besides the samples of the task
        if timed:
            status["guard"]["limits"]["slot"] = spec.guard.slot
        mismatches += int((learner.predict_many(grid) != curves[-1]).sum())
        final = zip(learner.coefficients, reference.coefficients, strict=True)
        mismatches += sum(int((ours != theirs).sum()) for ours, theirs in final)
    if starting:
        starting("float64")
    float_predictions, float_curves = _drive_float64(spec, task, grid, start)
    recorded = None
    if isinstance(task, Recording):
        learners = {f"kanrtl, {status['backend']}": predictions, "the same in float64": float_predictions}
        recorded = compare_methods(spec, task, learners, starting)
    return Simulation(
        spec, task, predictions, float_predictions, grid, curves, float_curves, mismatches, status, recorded
    )


def _curve_grid(spec: LearnerSpec) -> Reals:
    """Inputs at which learned curves are drawn: the first moves over its grid, the others rest in the middle of
    theirs."""
    low, high = spec.per_layer("grid_range")[0]
    grid = np.full((101, spec.n_in), (low + high) / 2)
    grid[:, 0] = np.linspace(low, high, len(grid))
    return grid


@dataclass(frozen=True)
class _Start:
    """Where a learner begins: its coefficients, its registers of rates, and whether it is frozen."""

    coefficients: list[Codes]
    rates: list[int]
    frozen: bool

    @classmethod
    def of(cls, session: Session) -> _Start:
        """Where a learner is."""
        return cls(session.coefficients, session.backend.read_learning_rates(), session.frozen)

    def begin(self, model: Model) -> None:
        """Let a model in floats begin there too; what is as its spec says stays exact."""
        spec = model.spec
        if any((codes != own).any() for codes, own in zip(self.coefficients, spec.initial_codes(), strict=True)):
            model.coefficients = [
                layer.formats.coefficient.to_float(codes)
                for layer, codes in zip(spec.layers, self.coefficients, strict=True)
            ]
        linear = [index for index, layer in enumerate(spec.layers) if layer.linear]
        rates, places = (model.learning_rates.copy(), model.linear_rates.copy()), [*range(spec.n_layers), *linear]
        for number, (register, code) in enumerate(zip(spec.rate_registers, self.rates, strict=True)):
            if code != register.code:
                rates[number >= spec.n_layers][places[number]] = register.format.to_float(code)
        model.learning_rates, model.linear_rates = rates
        model.frozen = self.frozen


def _take_over(learner: Session, reference: Session) -> None:
    """Let the integer model begin where a learner is."""
    ours, theirs = learner.backend, reference.backend
    theirs.write_coefficients(ours.read_coefficients())
    theirs.write_learning_rates(ours.read_learning_rates())
    theirs.write_noise(ours.read_noise())
    theirs.write_frozen(ours.read_frozen())


def _drive(
    learner: Session, reference: Session, task: Task, grid: Reals, progress: Callable[[int], None] | None
) -> tuple[Reals, list[Reals], int]:
    predictions, curves, mismatches, chunk = [], [], 0, _chunk(learner.spec, task)
    for start, stop in task.regimes:
        for first in range(start, stop, chunk):
            rows = slice(first, min(first + chunk, stop))
            ours, theirs = (teach(session, task.x[rows], task.target[rows]) for session in (learner, reference))
            predictions.append(ours)
            mismatches += int((ours != theirs).sum())
            if progress:
                progress(len(ours))
        # Their bits are the learner's, of which they would be counted as samples.
        curves.append(reference.predict_many(grid))
    return np.concatenate(predictions), curves, mismatches


def teach(session: Session, x: Reals, target: Reals) -> Reals:
    """Teach samples ``(n, n_in)`` with targets ``(n, n_out)``; give the predictions ``(n, n_out)``.

    A learner that takes gradients is given those of the squared loss.
    """
    if not find_loss(session.spec.loss).takes_gradients:
        return session.learn_many(x, target)
    predictions = []
    for row, wanted in zip(x, target, strict=True):
        predictions.append(session.predict(row))
        session.feedback(predictions[-1] - wanted)
    return np.array(predictions)


@np.errstate(over="ignore", invalid="ignore")  # floats may diverge, which their errors show
def _drive_float64(spec: LearnerSpec, task: Task, grid: Reals, start: _Start) -> tuple[Reals, list[Reals]]:
    alone = spec.replace(guard=None)
    waits = find_loss(spec.loss).takes_gradients  # for the gradient of each sample, so that no update is late
    taught = alone.replace(loss="squared") if waits else alone
    model = Model(taught, numeric="float64")
    start.begin(model)
    predictions, curves, chunk = [], [], _chunk(spec, task)
    for begin, stop in task.regimes:
        for first in range(begin, stop, chunk):
            # As _drive does: samples follow each other without a pause, except after every chunk.
            model.settle()
            rows = slice(first, min(first + chunk, stop))
            x, learn = task.x[rows], np.ones(rows.stop - rows.start, dtype=bool)
            edges = range(len(x)) if spec.timing.streaming and not waits else None
            predictions.append(model.run(x, task.target[rows], learn, edges))
        model.settle()
        curves.append(model.run(grid, np.zeros((len(grid), spec.n_out)), np.zeros(len(grid), dtype=bool)))
    return np.concatenate(predictions), curves


def _chunk(spec: LearnerSpec, task: Task) -> int:
    """How many samples are taught at once. In the pauses between, updates of a streaming learner land earlier than
    those that it has on its own: it has none within a regime."""
    pauses = not spec.timing.streaming or find_loss(spec.loss).takes_gradients
    return max(CHUNK, task.samples // 500) if pauses else task.samples
