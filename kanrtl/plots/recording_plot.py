"""The picture of a learner on measured signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arrays import Reals
from .canvas import (
    AVERAGE,
    PREDICTION,
    TARGET,
    as_text,
    check_picture,
    keep_in_view,
    make_figure,
    running_mean_square,
    save_picture,
)

SHOWN = 200
"""Samples at the end of the run that are drawn one by one."""

# Okabe and Ito's; the learner and float64 in the colours that they have in other pictures.
_COLORS = (PREDICTION, "#E69F00", "#009E73", "#CC79A7", "#D55E00")


@dataclass(frozen=True)
class RecordingCurves:
    """What is drawn of a run.

    Attributes
    ----------
    title
        The title of the whole picture.
    name
        What the target is called.
    target
        The target over the run, in the units of the user, shape ``(samples,)``.
    errors
        Prediction minus target by method, of the same shape; the learner first.
    first
        The number of samples by which scales and settings were found, if any were.
    """

    title: str
    name: str
    target: Reals
    errors: Mapping[str, Reals]
    first: int = 0


def plot_recording(run: RecordingCurves, path: Path) -> None:
    """Draw the end of the run, and the running error of every method.

    The file's ending says the kind of picture. Raises :exc:`InputError` where none can be drawn.
    """
    check_picture(path)
    figure = make_figure(figsize=(11, 6.4))
    end, over_time = figure.subplots(2, 1)
    samples = len(run.target)
    shown = np.arange(max(0, samples - SHOWN), samples)
    ours = next(iter(run.errors.values()))
    end.plot(shown, run.target[shown], "-", color=TARGET, linewidth=3, alpha=0.35, label="target")
    end.plot(shown, (run.target + ours)[shown], ".-", color=PREDICTION, linewidth=0.8, markersize=4, label="prediction")
    end.set(ylabel=as_text(run.name), xlim=(shown[0], shown[-1]))
    end.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)
    end.set_title(as_text(run.title), loc="left", fontsize=11)
    window = max(AVERAGE, samples // 100)
    drawn = []
    for index, (name, error) in enumerate(run.errors.items()):
        at, mean = running_mean_square(error, window)
        color, style = _COLORS[index % len(_COLORS)], "-" if index == 0 else "--"
        drawn.append(np.sqrt(mean))
        width = 1.8 if index == 0 else 1.2
        over_time.semilogy(at, drawn[-1], style, color=color, linewidth=width, label=as_text(name))
    keep_in_view(over_time, drawn[0], np.concatenate(drawn[1:] or [drawn[0]]))
    over_time.axvspan(0, run.first, color="#000000", alpha=0.06, linewidth=0)
    grey = "; grey: where scales are found" if run.first else ""
    over_time.set(ylabel=f"error (RMS of {window} samples)", xlabel=f"sample{grey}", xlim=(0, samples))
    over_time.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(run.errors), frameon=False, fontsize=8)
    save_picture(figure, path)
