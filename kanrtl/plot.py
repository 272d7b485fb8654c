"""Pictures of a run. Needs matplotlib, which the extra ``plot`` installs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .session import InputError
from .simulate import Simulation

__all__ = ["plot_simulation"]

# A palette that colour-blind readers tell apart (Okabe and Ito).
TARGET, PREDICTION, FLOAT, ERROR = "#444444", "#0072B2", "#E69F00", "#D55E00"
AVERAGE = 25  # samples in the running mean of the squared error


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise InputError("plot: matplotlib is not installed; run `pip install 'kanrtl[plot]'`") from None
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def plot_simulation(simulation: Simulation, path: Path) -> None:
    """Draws target, predictions and error over the run, and what was learned at the end of each regime.

    The first output is drawn. The file's ending says the kind of picture.
    """
    plt = _pyplot()
    task = simulation.task
    figure = plt.figure(figsize=(11, 7.2), layout="constrained")
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
        f"{data['latency']} clock cycles a learning step",
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
    plt.close(figure)


def _running_mean(values: Any) -> Any:
    return np.convolve(values, np.ones(AVERAGE) / AVERAGE, mode="same")
