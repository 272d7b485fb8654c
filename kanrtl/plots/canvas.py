"""What all pictures have in common: their palette, and a check before a long run that one can be drawn."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ..errors import InputError

ENDINGS = (".png", ".svg", ".pdf")

# A palette that colour-blind readers tell apart (Okabe and Ito).
TARGET, PREDICTION, FLOAT, ERROR = "#444444", "#0072B2", "#E69F00", "#D55E00"

AVERAGE = 25  # samples in the running mean of the squared error


def check_picture(path: Path) -> None:
    """Raise :exc:`InputError` where no picture can be drawn into ``path``, before a long run ends in that."""
    if importlib.util.find_spec("matplotlib") is None:
        raise InputError("plot: matplotlib is not installed; run `pip install 'kanrtl[plot]'`")
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"plot: {str(path)!r}: unknown kind of picture; end its name in {', '.join(ENDINGS)}")
