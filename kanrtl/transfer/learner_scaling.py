"""What stands around a learner that is fed and read in other units than its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Scaling"]

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaling:
    """Two affine maps around a learner.

    The learner takes ``x * scale + offset`` for a real input ``x``, and its output ``y`` stands for
    ``y * output_scale + output_offset``.

    Attributes
    ----------
    scale, offset : arrays ``(n_in,)``
        They map the inputs.
    output_scale, output_offset : float
        They map the outputs. The scale has to be above 0.
    """

    scale: Reals
    offset: Reals
    output_scale: float = 1.0
    output_offset: float = 0.0

    def unscale(self, inputs: Reals) -> Reals:
        """Give the real inputs ``(n, n_in)`` that the learner takes as ``inputs``; zeros where a scale is zero."""
        result: Reals = (inputs - self.offset) / np.where(self.scale == 0, np.inf, self.scale)
        return result
