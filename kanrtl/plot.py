"""Pictures of a run. Needs matplotlib, which the extra ``plot`` installs."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from .session import InputError
from .simulate import Simulation

__all__ = ["check_picture", "plot_simulation"]

ENDINGS = (".png", ".svg", ".pdf")

# A palette that colour-blind readers tell apart (Okabe and Ito).
TARGET, PREDICTION, FLOAT, ERROR = "#444444", "#0072B2", "#E69F00", "#D55E00"
AVERAGE = 25  # samples in the running mean of the squared error


def check_picture(path: Path) -> None:
    """Raises :exc:`InputError` where no picture can be drawn into ``path``; so that a long run need not end in that."""
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("plot: matplotlib is not installed; run `pip install 'kanrtl[plot]'`")
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"plot: {str(path)!r}: unknown kind of picture; end its name in {', '.join(ENDINGS)}")


def plot_simulation(simulation: Simulation, path: Path) -> None:
    """Draws target, predictions and error over the run, and what was learned at the end of each regime.

    The first output is drawn. The file's ending says the kind of picture.
    """
    check_picture(path)
    from matplotlib.figure import Figure  # not pyplot: that would choose a backend for the whole process

    task = simulation.task
    figure = Figure(figsize=(11, 7.2), layout="constrained")
    grid = figure.add_gridspec(3, len(task.regimes), height_ratios=(1.15, 0.85, 1.35))
    over_time = figure.add_subplot(grid[0, :])
    over_time.plot(task.target[:, 0], ".", color=TARGET, markersize=2.5, label="target")
    over_time.plot(
        simulation.predictions[:, 0],
        ".",
        color=PREDICTION,
        markersize=2.5,
        label="prediction, before the update",
    )
    over_time.set(ylabel="y", xlim=(0, task.samples))
    over_time.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, markerscale=4, frameon=False)
    data = simulation.to_json()
    over_time.set_title(
        f"{task.name}: layers {list(simulation.spec.layer_sizes)} on {data['backend']}, "
        f"clock cycles a learning step: {data['latency']}",
        loc="left",
        fontsize=11,
    )

    errors = figure.add_subplot(grid[1, :], sharex=over_time)
    for predictions, color, style, label in (
        (simulation.predictions_float64, FLOAT, "-", "float64"),
        (simulation.predictions, ERROR, "--", "hardware"),
    ):
        squared = ((predictions - task.target) ** 2)[:, 0]
        errors.semilogy(_running_mean(squared), style, color=color, linewidth=1.3, label=label)
    errors.set(ylabel="squared error\n(running mean)", xlabel="sample")
    errors.legend(loc="upper right", ncols=2, frameon=False)
    for axes in (over_time, errors):
        for _, stop in task.regimes[:-1]:
            axes.axvline(stop, color="#bbbbbb", linewidth=0.8)

    x = simulation.grid
    curves = None
    for index in range(len(task.regimes)):
        curves = figure.add_subplot(grid[2, index], sharey=curves)
        curves.plot(x[:, 0], task.curve(x, index)[:, 0], color=TARGET, linewidth=3, alpha=0.35, label="target")
        curves.plot(x[:, 0], simulation.curves[index][:, 0], color=PREDICTION, linewidth=1.3, label="learned")
        curves.set(xlabel="x", title=f"after sample {task.regimes[index].stop}: mse {data['mse'][index]:.5f}")
        if index == 0:
            curves.set_ylabel("y")
            curves.legend(frameon=False)
    figure.savefig(path, dpi=120)


def _running_mean(values: Any) -> Any:
    return np.convolve(values, np.ones(AVERAGE) / AVERAGE, mode="same")
