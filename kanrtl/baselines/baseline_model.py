"""What the integer models of all baselines have in common: state, and one sample after another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..learner.address_map import COUNTER_WIDTH
from ..learner.arithmetic import check_code_rows
from ..learner.model_samples import check_lengths
from ..numeric.fixed import Codes
from .baseline_spec import SATURATING, BaselineSpec
from .sum_arithmetic import Rows, find_narrowing

MOST_COUNTED = (1 << COUNTER_WIDTH) - 1


class BaselineModel(ABC):
    """A baseline in integers, to the bit what its hardware does.

    Attributes
    ----------
    rows
        The weights as they are worked with: lists of plain integers.
    learning_rate
        The code in the register.
    frozen
        Whether samples are predicted but not learned.
    saturations
        How many samples, or steps, had a value of each kind that did not fit.
    """

    def __init__(self, spec: BaselineSpec) -> None:
        self.spec = spec
        self.layers = spec.sums
        self.rows: list[Rows] = [layer.tolist() for layer in spec.initial_codes()]
        self.learning_rate = spec.rate_register.code
        self.frozen = False
        self.saturations = dict.fromkeys(SATURATING, 0)
        total, output, gradient = self.layers[-1].total, spec.output_format, spec.gradient_format
        self._narrow_output = find_narrowing(total.f - output.f, output, spec.rounding)
        # Sums of narrow factors may have fewer fraction bits than a target.
        fraction = max(total.f, spec.target_format.f)
        self._narrow_gradient = find_narrowing(fraction - gradient.f, gradient, spec.rounding)
        self._total_shift, self._target_shift = fraction - total.f, fraction - spec.target_format.f

    @property
    def weights(self) -> list[Codes]:
        """Codes, one array ``(n_out, n_in + 1)`` for each layer; the last column holds the biases."""
        return [np.array(rows, dtype=np.int64) for rows in self.rows]

    @weights.setter
    def weights(self, weights: list[Codes]) -> None:
        self.rows = [layer.tolist() for layer in weights]

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        """Predictions ``(n, n_out)`` for samples ``(n, n_in)``, one after another, each made before its step.

        ``teaching`` ``(n, n_out)`` holds targets or gradients, and ``learn`` ``(n,)`` says whether they are learned.
        """
        spec, learn = self.spec, np.asarray(learn)
        x = check_code_rows("x", x, spec.n_in, spec.input_format)
        teaching = check_code_rows("target", teaching, spec.n_out, spec.target_format)
        check_lengths(len(x), len(teaching), learn)
        predictions = np.empty((len(x), spec.n_out), dtype=np.int64)
        for row, (sample, taught, wanted) in enumerate(zip(x.tolist(), teaching.tolist(), learn.tolist(), strict=True)):
            predictions[row] = self.predict(sample)
            if wanted and not self.frozen:
                self.learn(taught)
        return predictions

    @abstractmethod
    def predict(self, x: list[int]) -> list[int]:
        """The prediction for one sample, which is kept for :meth:`learn`; all are codes."""

    @abstractmethod
    def learn(self, teaching: list[int]) -> None:
        """Take one step for the sample that was predicted last, with targets or gradients."""

    def note(self, kind: str, saturated: bool) -> None:
        """Count a sample or step in which any value of a kind was outside of its format."""
        if saturated:
            self.saturations[kind] = min(MOST_COUNTED, self.saturations[kind] + 1)

    def narrow_output(self, totals: Sequence[int]) -> tuple[list[int], bool]:
        """The prediction of the last layer's exact sums, and whether any saturates."""
        found = [self._narrow_output(total) for total in totals]
        return [code for code, _ in found], any(outside for _, outside in found)

    def find_gradient(self, totals: Sequence[int], teaching: list[int]) -> list[int]:
        """dL/dy: the gradient that comes in, or the last layer's exact sums less the target, narrowed once."""
        if self.spec.loss == "external":
            return teaching
        up, shift = self._total_shift, self._target_shift
        pairs = zip(totals, teaching, strict=True)
        found = [self._narrow_gradient((total << up) - (target << shift)) for total, target in pairs]
        self.note("gradient", any(outside for _, outside in found))
        return [code for code, _ in found]
