"""What all pictures have in common: their palette, and a check before a long run that one can be drawn."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays import Reals
from ..errors import InputError
from ..files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ENDINGS = (".png", ".svg", ".pdf")

# A palette that colour-blind readers tell apart (Okabe and Ito).
TARGET, PREDICTION, FLOAT, ERROR = "#444444", "#0072B2", "#E69F00", "#D55E00"

AVERAGE = 25  # samples in the running mean of the squared error

POINTS = 1000
"""At so many samples a running error is drawn, at most."""


_WORSE = 1e3
"""By so much errors of what diverges may stand out."""


def check_picture(path: Path) -> None:
    """Raise :exc:`InputError` where no picture can be drawn into ``path``, before a long run ends in that."""
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("plot: matplotlib is not installed; run `pip install 'kanrtl[plot]'`")
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"plot: {str(path)!r}: unknown kind of picture; end its name in {', '.join(ENDINGS)}")


def make_figure(**settings: Any) -> Figure:
    """An empty figure, with settings of :class:`matplotlib.figure.Figure`.

    Raise :exc:`InputError` where matplotlib finds no folder for what it keeps.
    """
    try:
        # matplotlib is an extra. Not pyplot: that would choose a backend for the whole process.
        from matplotlib.figure import Figure
    except OSError as error:
        raise InputError(f"plot: matplotlib: {error}; set MPLCONFIGDIR to a folder that can be written") from None
    return Figure(layout="constrained", **settings)


def as_text(text: object) -> str:
    """A text of a user's, such as the name of a column, as pictures show it: what stands between two dollar signs is no
    formula."""
    return str(text).replace("$", r"\$")


def keep_in_view(axes: Axes, errors: Reals, others: Reals) -> None:
    """Let ``others`` leave a logarithmic picture upwards where they diverge: beyond a thousand times the largest of the
    ``errors`` nothing more is told apart, and these would lie flat at the bottom."""
    finite = errors[np.isfinite(errors) & (errors > 0)]
    if finite.size and not (others <= _WORSE * finite.max()).all():
        seen = others[(others > 0) & (others <= _WORSE * finite.max())]
        axes.set_ylim(0.5 * min(finite.min(), *seen), _WORSE * finite.max())


def running_mean_square(error: Reals, window: int) -> tuple[Reals, Reals]:
    """Samples, and the mean square of the ``window`` errors up to each, or of as many as there are; where these are not
    finite, so is not the mean."""
    at = np.unique(np.linspace(1, len(error), min(POINTS, len(error))).astype(int))
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(error), error, np.nan) ** 2)])
        start = np.maximum(0, at - window)
        mean = np.maximum(total[at] - total[start], 0) / (at - start)
    return at.astype(np.float64), mean


def save_picture(figure: Figure, path: Path, **settings: Any) -> None:
    """Write a figure to a file whose ending says the kind of picture, complete or not at all.

    ``settings`` are those of ``savefig``. Raises :exc:`InputError` where it cannot be written.
    """
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:].lower(), dpi=120, **settings)
    write_whole(path, picture.getvalue())
