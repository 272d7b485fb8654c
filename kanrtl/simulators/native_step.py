"""One sample at a time through what is compiled, in real numbers: a single call, and no new arrays."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Reals, RowBuffer
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


class _SamplePlaces(ctypes.Structure):
    """``SamplePlaces`` of :file:`reals.cpp`."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("scale", "offset", "x")),
        *((name, ctypes.c_double) for name in ("minimum", "maximum")),
        *((name, ctypes.c_void_p) for name in ("codes", "predictions")),
    ]


class SamplePlaces:
    """Where one sample of a network is exchanged with machine code, and how real inputs become codes.

    Parameters
    ----------
    scale, offset
        Of every input, ``(n_in,)``, in codes: a code is ``x * scale + offset``, rounded to the nearest.
    format
        Of the codes that samples are sent as.
    n_predictions
        Numbers in a prediction.
    """

    def __init__(self, scale: Reals, offset: Reals, format: Format, n_predictions: int) -> None:
        self.x = RowBuffer(len(scale))
        self.predictions = np.zeros(n_predictions, dtype=np.int64)
        self._codes = np.zeros(len(scale), dtype=np.int64)
        self._affine = [np.ascontiguousarray(array, dtype=np.float64) for array in (scale, offset)]
        self.structure = _SamplePlaces(
            *(array.ctypes.data for array in (*self._affine, self.x.row)),
            *(format.minimum, format.maximum),
            *(array.ctypes.data for array in (self._codes, self.predictions)),
        )


class NativeNetworkStep:
    """A network's :class:`~kanrtl.sessions.backend.NetworkStep`, in machine code.

    Parameters
    ----------
    library, running
        A library with ``kanrtl_bind`` and ``kanrtl_step``, and what runs in it.
    end
        Alive until that is closed.
    after
        Called after every step; None where nothing is to be done.
    places
        Where samples are exchanged.
    """

    _what = "simulation"

    def __init__(
        self,
        library: ctypes.CDLL,
        running: ctypes.c_void_p,
        end: weakref.finalize[..., Any],
        after: Callable[[], None] | None,
        places: RealPlaces | SamplePlaces,
    ) -> None:
        self.x, self._places = places.x, places
        self.predictions: Any = places.predictions  # codes of a network, real numbers of a learner
        library.kanrtl_bind(running, ctypes.byref(places.structure))
        self._call, self._running = library.kanrtl_step, running
        self._end, self._after = end, after

    def __call__(self, kind: int = 0) -> int:
        """See :meth:`kanrtl.sessions.backend.SampleStep.__call__`; raise :exc:`RuntimeError` once it is closed."""
        if not self._end.alive:
            raise RuntimeError(f"this {self._what} is closed")
        outside: int = self._call(self._running, kind)
        if self._after is not None:
            self._after()
        return outside


class NativeStep(NativeNetworkStep):
    """A learner's :class:`~kanrtl.sessions.backend.SampleStep`, in machine code; parameters as of its base."""

    _what = "learner"

    def __init__(
        self,
        library: ctypes.CDLL,
        learner: ctypes.c_void_p,
        end: weakref.finalize[..., Any],
        after: Callable[[], None] | None,
        places: RealPlaces,
    ) -> None:
        super().__init__(library, learner, end, after, places)
        self.teaching, self.codes = places.teaching, places.codes
