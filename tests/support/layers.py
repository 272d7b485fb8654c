"""Plans for components of layers, and their ports as arrays of codes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from kanrtl import LearnerSpec
from kanrtl.learner.plan import LayerPlan
from kanrtl.numeric.fixed import Codes, FixedValue
from support.reference_arithmetic import reference_narrow

SMALL = {
    "layer_sizes": [2, 3, 2],
    "grid_range": (-2, 2),
    "grid_size": 3,
    "table_size": 4,
    "learning_rate": 0.3,
    "input_format": "SQ(4, 5)",
    "activation_format": "SQ(4, 4)",
    "output_format": "SQ(5, 3)",
    "coefficient_format": "SQ(3, 7)",
    "factor_format": "SQ(3, 5)",
    "basis_format": "UQ(1, 6)",
    "update_rounding": "half_up",
}


def plan_of(index: int = 0, **fields: Any) -> LayerPlan:
    """How layer ``index`` of a small learner is built."""
    return LearnerSpec(**(SMALL | fields)).plans[index]


def _leaves(view: Any) -> Iterator[Any]:
    if isinstance(view, FixedValue):
        yield view.raw
    else:
        for part in view:
            yield from _leaves(part)


def set_codes(ctx: Any, view: Any, codes: npt.ArrayLike) -> None:
    """Sets every number of a port, in the order of its axes."""
    for leaf, code in zip(_leaves(view), np.asarray(codes).ravel(), strict=True):
        ctx.set(leaf, int(code))


def get_codes(ctx: Any, view: Any) -> list[int]:
    """Every number of a port, in the order of its axes."""
    return [ctx.get(leaf) for leaf in _leaves(view)]


def random_codes(random: np.random.Generator, format: Any, *shape: int) -> Codes:
    """Codes in ``format``, its bounds more often than others."""
    codes = random.integers(format.minimum, format.maximum + 1, shape)
    codes = np.where(random.integers(0, 8, shape) == 0, format.minimum, codes)
    return np.where(random.integers(0, 8, shape) == 0, format.maximum, codes)


def updated(plan: LayerPlan, coefficient: int, product: int, noise: int = 0) -> tuple[int, bool]:
    """The coefficient, and whether it saturates."""
    layer = plan.layer
    format = layer.formats.coefficient
    exact = Fraction(coefficient, 1 << format.f) - Fraction(product, 1 << layer.update_product.f)
    if layer.leak:
        exact -= Fraction(coefficient, 1 << format.f + layer.leak)
    drawn = Fraction(noise, 1 << layer.noise_bits)
    return reference_narrow(exact, format, plan.update_rounding, noise=drawn)
