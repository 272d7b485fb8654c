"""The integer model of an LMS filter."""

from __future__ import annotations

from .baseline_model import BaselineModel
from .lms_spec import RECIPROCAL_BITS, RECIPROCAL_ROWS, LmsSpec
from .polynomial import evaluate_products
from .sum_arithmetic import find_narrowing


class LmsModel(BaselineModel):
    """An LMS filter in integers; see :class:`.LmsSpec`."""

    spec: LmsSpec

    def __init__(self, spec: LmsSpec) -> None:
        super().__init__(spec)
        self._features, self._totals = [0] * spec.n_features, [0] * spec.n_out
        self._formats = spec.unit_format, spec.feature_format
        self._energy, self._reciprocals = spec.energy_format, spec.reciprocals.tolist()
        rate, size, most = spec.rate_register.format.f, spec.step_size_format, spec.energy_format.i - 1
        fraction = {"none": rate, "power_of_two": rate + most + 1, "table": rate + RECIPROCAL_BITS + most}
        self._narrow_size = find_narrowing(fraction[spec.normalisation] - size.f, size, spec.rounding)
        dropped = spec.gradient_format.f + size.f - spec.step_format.f
        self._narrow_step = find_narrowing(dropped, spec.step_format, spec.rounding)

    def predict(self, x: list[int]) -> list[int]:
        spec = self.spec
        self._features = x if spec.degree == 1 else evaluate_products(x, *self._formats, spec.products, spec.rounding)
        self._totals = self.layers[0].add(self.rows[0], self._features)
        y, saturated = self.narrow_output(self._totals)
        self.note("activation", saturated)
        return y

    def learn(self, teaching: list[int]) -> None:
        size = self._step_size()
        steps = [self._narrow_step(gradient * size) for gradient in self.find_gradient(self._totals, teaching)]
        codes = [code for code, _ in steps]
        self.rows[0], saturated = self.layers[0].change(self.rows[0], self._features, codes, self.spec.rounding)
        self.note("step", any(outside for _, outside in steps))
        self.note("coefficient", saturated)

    def _step_size(self) -> int:
        rate, normalisation = self.learning_rate, self.spec.normalisation
        if normalisation == "none":
            return rate
        fraction, energy = 2 * self._formats[1].f, self._energy
        exact = sum([feature * feature for feature in self._features]) + (1 << fraction)
        code = exact >> (fraction - energy.f)
        # 2^power <= E < 2^(power + 1)
        power, most = code.bit_length() - 1 - energy.f, energy.i - 1
        if normalisation == "table":
            row = (code << RECIPROCAL_ROWS.bit_length() - 1 >> (power + energy.f)) - RECIPROCAL_ROWS
            rate *= self._reciprocals[row]
        return self._narrow_size(rate << (most - power))[0]
