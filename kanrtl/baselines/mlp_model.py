"""The integer model of a small multilayer perceptron."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..numeric.fixed import Codes
from .baseline_model import BaselineModel
from .mlp_spec import RELU, MlpSpec
from .sum_arithmetic import narrow_codes


class MlpModel(BaselineModel):
    """A perceptron in integers; see :class:`.MlpSpec`."""

    spec: MlpSpec

    def __init__(self, spec: MlpSpec) -> None:
        super().__init__(spec)
        self._layers, self._formats = spec.sums, (spec.activation_format, spec.step_format, spec.hidden_step_format)
        self._x = np.zeros(spec.n_in, dtype=np.int64)
        self._hidden = np.zeros(spec.hidden, dtype=np.int64)
        self._open: npt.NDArray[np.bool_] = np.zeros(spec.hidden, dtype=bool)
        self._totals = np.zeros(spec.n_out, dtype=np.int64)

    def predict(self, x: Codes) -> Codes:
        first, second = self._layers
        sums = first.add(self.weights[0], x)
        # What is beyond the knee stands on it, and has no derivative there.
        one = 1 << first.total.f
        low, high = (0, None) if self.spec.activation == RELU else (-one, one)
        inside = (sums > low) if high is None else (sums > low) & (sums < high)
        a = narrow_codes(np.clip(sums, low, high), first.total.f, self._formats[0], self.spec.rounding)
        self._x, self._hidden, self._open = x, a.result, inside & ~a.saturated
        self._totals = second.add(self.weights[1], self._hidden)
        y = narrow_codes(self._totals, second.total.f, self.spec.output_format, self.spec.rounding)
        self.note("activation", np.append(y.saturated, a.saturated))
        return y.result  # type: ignore[no-any-return]

    def learn(self, teaching: Codes) -> None:
        spec, [first, second] = self.spec, self._layers
        gradient = self.find_gradient(self._totals, teaching)
        fraction = spec.gradient_format.f + spec.rate_register.format.f
        steps = narrow_codes(gradient * self.learning_rate, fraction, self._formats[1], spec.rounding)
        below = steps.result @ second.factors(self.weights[1])[:, :-1]
        down = narrow_codes(np.where(self._open, below, 0), spec.downstream_fraction, self._formats[2], spec.rounding)
        outer = second.change(self.weights[1], self._hidden, steps.result, spec.rounding)
        inner = first.change(self.weights[0], self._x, down.result, spec.rounding)
        self.note("step", np.append(steps.saturated, down.saturated))
        self.note("coefficient", np.append(outer.saturated, inner.saturated))
        self.weights = [inner.result, outer.result]
