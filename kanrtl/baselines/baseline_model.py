"""What the integer models of all baselines have in common: state, and one sample after another."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import numpy.typing as npt

from ..learner.address_map import COUNTER_WIDTH
from ..numeric.fixed import Codes
from .baseline_spec import SATURATING, BaselineSpec
from .sum_arithmetic import align, narrow_codes

MOST_COUNTED = (1 << COUNTER_WIDTH) - 1


class BaselineModel(ABC):
    """A baseline in integers, to the bit what its hardware does.

    Attributes
    ----------
    weights
        Codes, one array ``(n_out, n_in + 1)`` for each layer; the last column holds the biases.
    learning_rate
        The code in the register.
    frozen
        Whether samples are predicted but not learned.
    saturations
        How many samples, or steps, had a value of each kind that did not fit.
    """

    def __init__(self, spec: BaselineSpec) -> None:
        self.spec = spec
        self.weights = spec.initial_codes()
        self.learning_rate = spec.rate_register.code
        self.frozen = False
        self.saturations = dict.fromkeys(SATURATING, 0)

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        """Predictions ``(n, n_out)`` for samples ``(n, n_in)``, one after another, each made before its step.

        ``teaching`` ``(n, n_out)`` holds targets or gradients, and ``learn`` ``(n,)`` says whether they are learned.
        """
        predictions = np.empty((len(x), self.spec.n_out), dtype=np.int64)
        for row, (sample, taught, wanted) in enumerate(zip(x, teaching, learn, strict=True)):
            predictions[row] = self.predict(sample)
            if wanted and not self.frozen:
                self.learn(taught)
        return predictions

    @abstractmethod
    def predict(self, x: Codes) -> Codes:
        """The prediction ``(n_out,)`` for one sample ``(n_in,)``, which is kept for :meth:`learn`."""

    @abstractmethod
    def learn(self, teaching: Codes) -> None:
        """Take one step for the sample that was predicted last, with a target or gradient ``(n_out,)``."""

    def note(self, kind: str, saturated: npt.NDArray[np.bool_]) -> None:
        """Count a sample or step in which any value of a kind was outside of its format."""
        if saturated.any():
            self.saturations[kind] = min(MOST_COUNTED, self.saturations[kind] + 1)

    def narrow_output(self, totals: Codes) -> Codes:
        """The prediction of the last layer's exact sums."""
        y = narrow_codes(totals, self.spec.sums[-1].total.f, self.spec.output_format, self.spec.rounding)
        self.note("activation", y.saturated)
        return y.result  # type: ignore[no-any-return]

    def find_gradient(self, totals: Codes, teaching: Codes) -> Codes:
        """dL/dy: the gradient that comes in, or the last layer's exact sums less the target, narrowed once."""
        if self.spec.loss == "external":
            return teaching
        fraction = self.spec.sums[-1].total.f
        exact = totals - align(teaching, self.spec.target_format.f, fraction)
        gradient = narrow_codes(exact, fraction, self.spec.gradient_format, self.spec.rounding)
        self.note("gradient", gradient.saturated)
        return gradient.result  # type: ignore[no-any-return]
