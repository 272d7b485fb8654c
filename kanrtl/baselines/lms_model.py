"""The integer model of an LMS filter."""

from __future__ import annotations

import numpy as np

from ..numeric.fixed import Codes
from .baseline_model import BaselineModel
from .lms_spec import RECIPROCAL_BITS, RECIPROCAL_ROWS, LmsSpec
from .polynomial import evaluate_products
from .sum_arithmetic import narrow_codes


class LmsModel(BaselineModel):
    """An LMS filter in integers; see :class:`.LmsSpec`."""

    spec: LmsSpec

    def __init__(self, spec: LmsSpec) -> None:
        super().__init__(spec)
        self._features = np.zeros(spec.n_features, dtype=np.int64)
        self._totals = np.zeros(spec.n_out, dtype=np.int64)

    def predict(self, x: Codes) -> Codes:
        spec = self.spec
        if spec.degree == 1:
            self._features = x
        else:
            formats = spec.unit_format, spec.feature_format
            self._features = evaluate_products(x, *formats, spec.products, spec.rounding)
        self._totals = spec.sums[0].add(self.weights[0], self._features)
        return self.narrow_output(self._totals)

    def learn(self, teaching: Codes) -> None:
        spec, [layer] = self.spec, self.spec.sums
        gradient = self.find_gradient(self._totals, teaching)
        size = spec.step_size_format
        product = gradient * self._step_size()
        steps = narrow_codes(product, spec.gradient_format.f + size.f, spec.step_format, spec.rounding)
        weights = layer.change(self.weights[0], self._features, steps.result, spec.rounding)
        self.note("step", steps.saturated)
        self.note("coefficient", weights.saturated)
        self.weights[0] = weights.result

    def _step_size(self) -> int:
        spec, rate = self.spec, self.learning_rate
        if spec.normalisation == "none":
            return rate
        features, energy = self._features, spec.energy_format
        exact = int(features @ features) + (1 << 2 * spec.feature_format.f)
        code = exact >> (2 * spec.feature_format.f - energy.f)
        # 2^power <= E < 2^(power + 1)
        power, most = code.bit_length() - 1 - energy.f, energy.i - 1
        fraction = spec.rate_register.format.f
        if spec.normalisation == "power_of_two":
            exact, fraction = rate << (most - power), fraction + most + 1
        else:
            row = (code << RECIPROCAL_ROWS.bit_length() - 1 >> (power + energy.f)) - RECIPROCAL_ROWS
            exact = rate * int(spec.reciprocals[row]) << (most - power)
            fraction += RECIPROCAL_BITS + most
        return int(narrow_codes(np.int64(exact), fraction, spec.step_size_format, spec.rounding).result)
