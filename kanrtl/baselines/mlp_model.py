"""The integer model of a small multilayer perceptron."""

from __future__ import annotations

from .baseline_model import BaselineModel
from .mlp_spec import RELU, MlpSpec
from .sum_arithmetic import find_narrowing


class MlpModel(BaselineModel):
    """A perceptron in integers; see :class:`.MlpSpec`."""

    spec: MlpSpec

    def __init__(self, spec: MlpSpec) -> None:
        super().__init__(spec)
        self._x, self._hidden, self._totals = [0] * spec.n_in, [0] * spec.hidden, [0] * spec.n_out
        self._open = [False] * spec.hidden
        rounding, fraction = spec.rounding, spec.gradient_format.f + spec.rate_register.format.f
        activation, step, below = spec.activation_format, spec.step_format, spec.hidden_step_format
        self._narrow_activation = find_narrowing(self.layers[0].total.f - activation.f, activation, rounding)
        self._narrow_step = find_narrowing(fraction - step.f, step, rounding)
        self._narrow_below = find_narrowing(spec.downstream_fraction - below.f, below, rounding)
        one = 1 << self.layers[0].total.f
        # What is beyond a knee stands on it, and has no derivative there.
        self._knees = (0, None) if spec.activation == RELU else (-one, one)

    def predict(self, x: list[int]) -> list[int]:
        [first, second], [low, high] = self.layers, self._knees
        self._x, self._hidden, self._open, saturated = x, [], [], False
        for total in first.add(self.rows[0], x):
            inside = total > low and (high is None or total < high)
            code, outside = self._narrow_activation(total if inside else low if total <= low else high or 0)
            self._hidden.append(code)
            self._open.append(inside and not outside)
            saturated |= outside
        self._totals = second.add(self.rows[1], self._hidden)
        y, beyond = self.narrow_output(self._totals)
        self.note("activation", saturated or beyond)
        return y

    def learn(self, teaching: list[int]) -> None:
        rounding, [first, second], rows = self.spec.rounding, self.layers, self.rows
        rate = self.learning_rate
        narrowed = [self._narrow_step(gradient * rate) for gradient in self.find_gradient(self._totals, teaching)]
        steps, saturated = [code for code, _ in narrowed], any(outside for _, outside in narrowed)
        guard, down = second.guard_bits, []
        for node, open_ in enumerate(self._open):
            below = sum([step * (row[node] >> guard) for step, row in zip(steps, rows[1], strict=True)]) if open_ else 0
            code, outside = self._narrow_below(below)
            down.append(code)
            saturated |= outside
        outer, beyond = second.change(rows[1], self._hidden, steps, rounding)
        inner, also_beyond = first.change(rows[0], self._x, down, rounding)
        self.note("step", saturated)
        self.note("coefficient", beyond or also_beyond)
        self.rows = [inner, outer]
