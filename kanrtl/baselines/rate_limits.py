"""Which learning rates of a baseline learn, and up to which a filter is stable."""

from __future__ import annotations

from math import inf

import numpy as np

from ..errors import LearningWarning, StabilityWarning, warn_user
from ..numeric.fixed import MOST_ROUNDED, Rounding
from .baseline_spec import BaselineSpec
from .lms_spec import RECIPROCAL_BITS, RECIPROCAL_ROWS, LmsSpec
from .sum_arithmetic import reach_of

__all__ = ["find_least_rate", "find_stable_rate", "warn_of_rate"]

FEWEST_CODES = 1 / (2 * MOST_ROUNDED)
"""A step size of as many codes is off by up to :data:`.MOST_ROUNDED` of itself as it is rounded."""


def _find_largest_norm(spec: LmsSpec) -> float:
    """The largest squared norm E of features and bias, of inputs within their range: each feature is at most 1."""
    if spec.degree > 1:
        return 1.0 + spec.n_features
    reach = max(abs(bound) for bound in spec.input_range) / 2.0 ** reach_of(spec.input_range)
    return 1.0 + spec.n_in * reach**2


def find_stable_rate(spec: BaselineSpec) -> float:
    """Up to this rate errors of a filter die out whatever the inputs; inf where that is not known, as of a perceptron
    and of gradients that come from elsewhere.

    A step takes mu E of a sample's error, and what remains grows where that is more than 2 (Haykin, Adaptive Filter
    Theory, section 6.1). With a normalised step that is the rate itself, or down to half of it, and by the table up to
    3 % more.
    """
    if not isinstance(spec, LmsSpec) or spec.loss != "squared":
        return inf
    if spec.normalisation == "none":
        return 2 / _find_largest_norm(spec)
    if spec.normalisation == "power_of_two":
        return 2.0
    # Of the largest E of a row the reciprocal in the table is too large.
    largest = 1 + np.arange(1, RECIPROCAL_ROWS + 1) / RECIPROCAL_ROWS
    return float(2 / np.max(largest * spec.reciprocals * 2.0**-RECIPROCAL_BITS))


def find_least_rate(spec: BaselineSpec) -> float:
    """Below this rate no step, or no update of the last layer, is rounded to anything but zero, whatever the gradient;
    0 where rounding moves weights by the least update."""
    if spec.rounding == Rounding.FLOOR:
        return 0.0
    layer, gradient = spec.sums[-1], spec.gradient_format
    largest = -float(gradient.to_float(gradient.minimum))
    feature = max(1.0, float(layer.feature.to_float(layer.feature.maximum)))
    return max(layer.step.lsb, layer.coefficient.lsb / feature) / 2 / largest


def warn_of_rate(spec: BaselineSpec, rate: float) -> None:
    """Warn of a rate, as a register holds it, at which a filter may diverge (:exc:`kanrtl.StabilityWarning`), nothing
    is learned, or a normalised step is rounded coarsely (:exc:`kanrtl.LearningWarning`)."""
    if not rate:
        return
    stable, least, field = find_stable_rate(spec), find_least_rate(spec), f"learning_rate = {rate:.6g}"
    if rate > stable:
        normalised = isinstance(spec, LmsSpec) and spec.normalisation != "none"
        other = "" if normalised else ', or set normalisation = "table" in the spec'
        warn_user(
            f"{field}: diverges where inputs stay at the ends of their range; it is stable up to {stable:.3g}: give a "
            f"lower one{other}",
            StabilityWarning,
        )
    if rate < least:
        warn_user(
            f"{field}: moves no weight of the last layer, whose updates round to zero; give {least:.3g} or more, or "
            "set a lower learning_rate, or a higher width or guard_bits, in the spec",
            LearningWarning,
        )
    if not isinstance(spec, LmsSpec) or spec.normalisation == "none":
        return
    norm, lsb = _find_largest_norm(spec), spec.step_size_format.lsb
    codes = rate / norm / lsb
    if codes < FEWEST_CODES:
        off = f"{50 / codes:.0f} % off" if codes > 1 / 2 else "zero"
        warn_user(
            f"{field}: over a squared norm of up to {norm:.3g} the step size, in multiples of {lsb:g}, is up to {off}; "
            f"give {FEWEST_CODES * lsb * norm:.3g} or more, or fewer features",
            LearningWarning,
        )
