"""Files with a fault."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kanrtl import InputError


def refused_or_harmless(path: Path, load: Callable[[Path], npt.ArrayLike], every: int) -> None:
    """Damages one byte in ``every`` of a file, each by itself: ``load`` refuses it, or gives the numbers from before,
    since nothing depends on some bytes, such as those of a date. At the end the file is as it was."""
    whole, expected = path.read_bytes(), load(path)
    for place in range(0, len(whole), every):
        broken = bytearray(whole)
        broken[place] ^= 0x55
        path.write_bytes(broken)
        with suppress(InputError):
            assert np.array_equal(load(path), expected), place
    path.write_bytes(whole)
