"""What the models of learners take: samples of one learner or of many, checked where they come in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrays import as_array, as_reals
from ..errors import InputError
from ..numeric.fixed import Format
from .arithmetic import check_codes, check_format


def check_lengths(samples: int, targets: int, learn: npt.NDArray[Any]) -> None:
    """Raise :exc:`InputError` where there is not a target, and whether it is learned, for each of the samples."""
    if targets != samples:
        raise InputError(f"target: {targets} rows for {samples} samples; give one for each")
    if learn.shape != (samples,):
        raise InputError(f"learn: shape {learn.shape}; must be ({samples},), one for each sample")
    if learn.dtype.kind not in "biu":
        raise InputError(f"learn: of type {learn.dtype}; must be True or False, one for each sample")


class ModelSamples:
    """What learners side by side take as ``field``: arrays ``(samples, width)``, in codes of each learner's format, or
    real numbers."""

    def __init__(self, field: str, width: int, formats: Sequence[Format], *, integer: bool) -> None:
        self._field, self._width, self._formats, self._integer = field, width, formats, integer
        # Codes that all formats have.
        self._lowest, self._highest = (
            max(format.minimum for format in formats),
            min(format.maximum for format in formats),
        )

    def check(self, values: npt.ArrayLike) -> npt.NDArray[Any]:
        """The array of every learner, ``(learners, samples, width)``; raises :exc:`InputError`, which names the field,
        where ``values`` are neither that nor one array for all of them."""
        learners, wanted = len(self._formats), f"(n, {self._width})"
        array = self._as_array(values, f"shape {wanted}")
        if array.ndim not in (2, 3) or array.shape[-1] != self._width or (array.ndim == 3 and len(array) != learners):
            more = f" or ({learners}, n, {self._width})" if learners > 1 else ""
            raise InputError(f"{self._field}: shape {array.shape}; must be {wanted}{more}")
        if self._integer and array.size:
            self._check_fit(check_codes(self._field, array))
        array = array.astype(np.int64 if self._integer else np.float64, copy=False)
        if array.ndim == 3:
            return array
        return array[None] if learners == 1 else np.broadcast_to(array, (learners, *array.shape))

    def check_one(self, values: npt.ArrayLike) -> npt.NDArray[Any]:
        """One sample of every learner, ``(learners, width)``; raises :exc:`InputError` where it is none."""
        shape = len(self._formats), self._width
        array = self._as_array(values, f"shape {shape}")
        if array.shape != shape:
            raise InputError(f"{self._field}: shape {array.shape}; must be {shape}")
        return array

    def _as_array(self, values: npt.ArrayLike, wanted: str) -> npt.NDArray[Any]:
        # What diverges in floats has gradients that are no numbers at last, and is taught them.
        look = as_array if self._integer or self._field != "x" else as_reals
        return look(self._field, values, wanted)

    def _check_fit(self, codes: npt.NDArray[Any]) -> None:
        if int(codes.min()) >= self._lowest and int(codes.max()) <= self._highest:
            return
        for own, format in zip(codes if codes.ndim == 3 else [codes] * len(self._formats), self._formats, strict=True):
            check_format(self._field, own, format)
