"""The picture of a learner on a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..arrays import Reals
from .canvas import (
    AVERAGE,
    ERROR,
    FLOAT,
    PREDICTION,
    TARGET,
    as_text,
    check_picture,
    keep_in_view,
    make_figure,
    running_mean_square,
    save_picture,
)


@dataclass(frozen=True)
class SimulationCurves:
    """What is drawn of a run: its first output over the samples, and its curves at the end of each regime.

    Attributes
    ----------
    title
        The title of the whole picture.
    target, predictions, predictions_float64
        Values over the run, shape ``(samples, n_out)``.
    stops
        The sample after the last of each regime.
    grid
        The inputs at which curves are drawn, shape ``(points, n_in)``.
    wanted, learned
        Outputs at the grid, one array ``(points, n_out)`` for every regime.
    errors
        The mean squared error of each regime.
    """

    title: str
    target: Reals
    predictions: Reals
    predictions_float64: Reals
    stops: Sequence[int]
    grid: Reals
    wanted: Sequence[Reals]
    learned: Sequence[Reals]
    errors: Sequence[float]


def plot_simulation(run: SimulationCurves, path: Path) -> None:
    """Draw target, predictions and error over the run, and what was learned at the end of each regime.

    The first output is drawn. The file's ending says the kind of picture. Raises :exc:`InputError` where none can be
    drawn.
    """
    check_picture(path)
    figure = make_figure(figsize=(11, 7.2))
    grid = figure.add_gridspec(3, len(run.stops), height_ratios=(1.15, 0.85, 1.35))
    over_time = figure.add_subplot(grid[0, :])
    over_time.plot(run.target[:, 0], ".", color=TARGET, markersize=2.5, label="target")
    over_time.plot(
        run.predictions[:, 0],
        ".",
        color=PREDICTION,
        markersize=2.5,
        label="prediction, before the update",
    )
    over_time.set(ylabel="y", xlim=(0, len(run.target)))
    over_time.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, markerscale=4, frameon=False)
    over_time.set_title(as_text(run.title), loc="left", fontsize=11)

    errors, drawn = figure.add_subplot(grid[1, :], sharex=over_time), []
    for predictions, color, style, label in (
        (run.predictions_float64, FLOAT, "-", "float64"),
        (run.predictions, ERROR, "--", "hardware"),
    ):
        at, mean = running_mean_square((predictions - run.target)[:, 0], AVERAGE)
        drawn.append(mean)
        errors.semilogy(at, mean, style, color=color, linewidth=1.3, label=label)
    keep_in_view(errors, drawn[1], drawn[0])
    errors.set(ylabel=f"squared error\n(mean of {AVERAGE})", xlabel="sample")
    errors.legend(loc="upper right", ncols=2, frameon=False)
    for axes in (over_time, errors):
        for stop in run.stops[:-1]:
            axes.axvline(stop, color="#bbbbbb", linewidth=0.8)

    x = run.grid
    curves = None
    for index in range(len(run.stops)):
        curves = figure.add_subplot(grid[2, index], sharey=curves)
        curves.plot(x[:, 0], run.wanted[index][:, 0], color=TARGET, linewidth=3, alpha=0.35, label="target")
        curves.plot(x[:, 0], run.learned[index][:, 0], color=PREDICTION, linewidth=1.3, label="learned")
        curves.set(xlabel="x", title=f"after sample {run.stops[index]}: mse {run.errors[index]:.5f}")
        if index == 0:
            curves.set_ylabel("y")
            curves.legend(frameon=False)
    save_picture(figure, path)
