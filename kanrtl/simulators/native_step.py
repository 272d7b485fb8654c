"""One sample at a time through a compiled learner, in real numbers: a single call, and no new arrays."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import RowBuffer
from ..numeric.fixed import Format


class _Scale(ctypes.Structure):
    """``Scale`` of :file:`reals.cpp`."""

    _fields_ = [(name, ctypes.c_double) for name in ("codes_per_unit", "unit_per_code", "minimum", "maximum", "period")]

    @classmethod
    def of(cls, format: Format, period: float | None = None) -> _Scale:
        return cls(2.0**format.f, format.lsb, format.minimum, format.maximum, period or 0.0)


class _Places(ctypes.Structure):
    """``RealPlaces`` of :file:`reals.cpp`."""

    _fields_ = [
        *((name, _Scale) for name in ("input", "output", "target")),
        *((name, ctypes.c_double) for name in ("lowest", "highest")),
        *((name, ctypes.c_void_p) for name in ("x", "teaching", "predictions", "codes")),
    ]


class RealPlaces:
    """Where one sample is exchanged with machine code in real numbers, and how these become codes.

    Parameters
    ----------
    n_in, n_out
        Numbers in a sample and in a prediction.
    input, output, target
        Formats of samples, of predictions, and of targets or gradients.
    target_range
        The lowest and the highest target or gradient that is taken.
    period
        Of samples, in LSBs; see :meth:`kanrtl.Format.nearest`.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        input: Format,
        output: Format,
        target: Format,
        target_range: tuple[float, float],
        period: float | None = None,
    ) -> None:
        self.x, self.teaching = RowBuffer(n_in), RowBuffer(n_out)
        self.predictions = np.zeros(n_out)
        self.codes = np.zeros((1, n_in), dtype=np.int64)
        arrays = (self.x.row, self.teaching.row, self.predictions, self.codes)
        scales = _Scale.of(input, period), _Scale.of(output), _Scale.of(target)
        self.structure = _Places(*scales, *target_range, *(array.ctypes.data for array in arrays))


class NativeStep:
    """A learner's :class:`~kanrtl.sessions.backend.SampleStep`, in machine code.

    Parameters
    ----------
    library, learner
        A library with ``kanrtl_bind`` and ``kanrtl_step``, and the learner in it.
    end
        Alive until the learner is closed.
    after
        Called after every step; None where nothing is to be done.
    places
        Where samples are exchanged.
    """

    def __init__(
        self,
        library: ctypes.CDLL,
        learner: ctypes.c_void_p,
        end: weakref.finalize[..., Any],
        after: Callable[[], None] | None,
        places: RealPlaces,
    ) -> None:
        self.x, self.teaching, self.predictions, self.codes = (
            places.x,
            places.teaching,
            places.predictions,
            places.codes,
        )
        library.kanrtl_bind(learner, ctypes.byref(places.structure))
        self._call, self._learner = library.kanrtl_step, learner
        self._end, self._after = end, after

    def __call__(self, kind: int) -> int:
        """See :meth:`kanrtl.sessions.backend.SampleStep.__call__`; raise :exc:`RuntimeError` once it is closed."""
        if not self._end.alive:
            raise RuntimeError("this learner is closed")
        outside: int = self._call(self._learner, kind)
        if self._after is not None:
            self._after()
        return outside
