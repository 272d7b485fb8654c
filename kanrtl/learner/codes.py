"""Integer codes of a learner, as a user gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..arrays import as_array
from ..errors import InputError
from ..numeric.fixed import Codes
from .spec import LearnerSpec

__all__ = ["checked_coefficients"]


def checked_coefficients(spec: LearnerSpec, coefficients: Sequence[npt.ArrayLike]) -> list[Codes]:
    """``coefficients`` as the codes of a learner, one array ``(n_out, n_in, bases)`` per layer; raises
    :exc:`InputError` if they are not."""
    shapes = [(layer.n_out, layer.n_in, layer.bases) for layer in spec.layers]
    if not isinstance(coefficients, (list, tuple)) or len(coefficients) != len(shapes):
        raise InputError(f"coefficients: give a list of arrays, one for each layer, here {len(shapes)}")
    format = spec.formats.coefficient
    checked = []
    for index, (layer, shape) in enumerate(zip(coefficients, shapes, strict=True)):
        codes = as_array(f"coefficients[{index}]", layer, f"shape {shape}")
        if codes.shape != shape:
            raise InputError(f"coefficients[{index}]: shape {codes.shape}; must be {shape}")
        if codes.dtype.kind not in "iu":
            raise InputError(f"coefficients[{index}]: type {codes.dtype}; give integer codes (Format.quantise)")
        if codes.min() < format.minimum or codes.max() > format.maximum:
            raise InputError(
                f"coefficients[{index}]: codes from {codes.min()} to {codes.max()} do not fit {format} "
                f"({format.minimum} to {format.maximum})"
            )
        checked.append(codes.astype(np.int64))
    return checked
