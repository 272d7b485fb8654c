"""Pictures of a sweep: error against the first axis. Needs matplotlib, which the extra ``plot`` installs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .canvas import as_text, check_picture, keep_in_view, make_figure, save_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_AXES = 3

PANELS_IN_A_ROW = 3

# Okabe and Ito's, which colour-blind readers tell apart, with marks for who prints in grey.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

MARKS = "osD^vP*"


@dataclass(frozen=True)
class _Line:
    """Errors along the first axis."""

    label: str
    errors: npt.NDArray[np.float64]  # (points, seeds)
    float64: npt.NDArray[np.float64]  # (points,)


_FLOAT64: dict[str, Any] = {"linewidth": 1.4, "marker": "o", "markersize": 3, "markerfacecolor": "none"}
"""Points are marked, as one alone has no line."""


def plot_sweep(data: Mapping[str, Any], path: Path) -> None:
    """Draw what ``Sweep.to_json`` gives into a file, whose ending says the kind of picture.

    Error against the first axis: means over the seeds with bands from their lowest to their highest; dotted, the same
    learner in float64. One line for each value of the second axis, or without one for each regime of the task; one
    panel for each value of the third. Raises :exc:`InputError` for more axes, or where no picture can be drawn.
    """
    check_picture(path)
    names = list(data["axes"])
    if len(names) > MAX_AXES:
        raise InputError(f"plot: a picture has up to {MAX_AXES} axes, the sweep {len(names)}; sweep fewer")
    panels: Sequence[Any] = data["axes"][names[2]] if len(names) > 2 else (None,)
    columns = min(PANELS_IN_A_ROW, len(panels))
    rows = -(-len(panels) // columns)
    figure = make_figure(figsize=(7.2 if len(panels) == 1 else 4.3 * columns, 0.6 + 4.1 * rows))
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for index, (axes, label) in enumerate(zip(grid.flat, panels, strict=False)):
        draw_panel(axes, data, index)
        if label is not None:
            axes.set_title(as_text(f"{names[2]} = {label}"), loc="left", fontsize=10)
        if index % columns == 0:
            axes.set_ylabel("mean squared error, settled" + (", mean of regimes" if len(names) > 1 else ""))
    grid[0, 0].legend(title=as_text(names[1]) if len(names) > 1 else None, frameon=False, fontsize=9, title_fontsize=9)
    seeds = f"{data['seeds']} seeds, bands from the lowest to the highest" if data["seeds"] > 1 else "one seed"
    figure.suptitle(f"{as_text(data['task'])}: {data['samples']} samples, {seeds}; dotted: float64", fontsize=10)
    save_picture(figure, path)


def draw_panel(axes: Axes, data: Mapping[str, Any], panel: int = 0) -> None:
    """Draw one panel of :func:`plot_sweep`, for a value of the third axis, without title and legend."""
    (name, labels), *_ = data["axes"].items()
    lines = _lines(data, panel)
    x = _scale(axes, labels)
    axes.set_xlabel(as_text(name))
    axes.set_yscale("log")
    alike = all(np.array_equal(line.float64, lines[0].float64) for line in lines)
    for index, line in enumerate(lines):
        color, mark = COLORS[index % len(COLORS)], MARKS[index // len(COLORS) % len(MARKS)]
        if len(lines) <= len(COLORS):
            mark = MARKS[index]
        axes.fill_between(x, line.errors.min(axis=1), line.errors.max(axis=1), color=color, alpha=0.15, linewidth=0)
        axes.plot(
            x, line.errors.mean(axis=1), f"-{mark}", color=color, markersize=5, linewidth=1.4, label=as_text(line.label)
        )
        if not alike:
            axes.plot(x, line.float64, ":", color=color, **_FLOAT64)
    if alike:
        axes.plot(x, lines[0].float64, ":", color="black", label="float64", **_FLOAT64)
    # Panels share their axis, so all rows count.
    keep_in_view(axes, *(np.array([row[name] for row in data["rows"]]) for name in ("mse_by_seed", "mse_float64")))
    axes.grid(color="#e4e4e4", linewidth=0.7, which="both")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _lines(data: Mapping[str, Any], panel: int) -> list[_Line]:
    axes = list(data["axes"].values())
    rows = np.arange(len(data["rows"])).reshape([len(labels) for labels in axes])
    if len(axes) > 2:
        rows = rows[:, :, panel]
    errors = np.array([row["mse_by_seed"] for row in data["rows"]])  # (rows, seeds, regimes)
    exact = np.array([row["mse_float64"] for row in data["rows"]])  # (rows, regimes)
    if len(axes) == 1:
        # Sweeps that were saved before they had names for them have regimes by number.
        names = data.get("regimes") or [f"regime {index + 1}" for index in range(errors.shape[2])]
        return [_Line(name, errors[:, :, index], exact[:, index]) for index, name in enumerate(names)]
    errors, exact = errors.mean(axis=2), exact.mean(axis=1)
    return [_Line(str(label), errors[rows[:, at]], exact[rows[:, at]]) for at, label in enumerate(axes[1])]


def _scale(axes: Axes, labels: Sequence[Any]) -> list[float]:
    """The positions of the points: those of numbers, logarithmic where they span much; texts side by side."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator  # matplotlib is an extra

    numbers = all(isinstance(label, (int, float)) for label in labels)
    x = [float(label) for label in labels] if numbers else [float(index) for index in range(len(labels))]
    if numbers and min(x) > 0 and max(x) >= 8 * min(x):
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(x))
    axes.xaxis.set_major_formatter(FixedFormatter([as_text(label) for label in labels]))
    axes.xaxis.set_minor_locator(NullLocator())
    if not numbers and max(len(str(label)) for label in labels) * len(labels) > 36:
        axes.tick_params(axis="x", labelrotation=20)
    return x
