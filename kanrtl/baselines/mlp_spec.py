"""The description of a small multilayer perceptron that learns online."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..numeric.fixed import SQ, Codes, Format
from .baseline_spec import BaselineSpec, BaselineTiming
from .sum_arithmetic import SumArithmetic, fill_width

RELU, HARD_TANH = "relu", "hard_tanh"


@dataclass(frozen=True, kw_only=True)
class MlpSpec(BaselineSpec):
    """A perceptron with one hidden layer, taught by stochastic gradient descent, fully parallel; immutable.

    z_h = b_h + sum_i v_hi x_i, a_h = f(z_h), y_o = b_o + sum_h w_oh a_h; with g = dL/dy and h_o = mu g_o, narrowed
    once, w_oh <- w_oh - h_o a_h, and with d_h = f'(z_h) sum_o h_o w_oh 2^-s, narrowed once, v_hi <- v_hi - d_h x_i;
    biases alike. Both layers change at one clock edge, by the weights of the forward pass. The rate is multiplied once
    for each output, and the gradient that goes down has it already. The parameters not described here are those of
    :class:`.BaselineSpec`.

    Parameters
    ----------
    hidden
        Hidden nodes.
    activation
        ``"relu"``: max(z, 0), or ``"hard_tanh"``: z within -1 and 1.
    hidden_shift
        s: the hidden layer's rate is 2^-s of the other's.
    seed
        Of the random start: v is uniform within 2 / sqrt(n_in) and w within 1 / sqrt(hidden), of either sign, biases of
        the hidden nodes within 1, so that their kinks lie within the range of the inputs.
    """

    STAGES: ClassVar[tuple[str, ...]] = ("hidden", "sum", "error", "step", "downstream")

    hidden: int = 8
    activation: str = RELU
    hidden_shift: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integer("hidden", 1, 256)
        self.check_integer("hidden_shift", 0, 8)
        self.check_integer("seed", 0, 2**32 - 1)
        self.check_choice("activation", (RELU, HARD_TANH))
        self.check_weights()

    @property
    def activation_format(self) -> Format:
        """Outputs of the hidden nodes."""
        return fill_width(3 if self.activation == RELU else 2, self.width)

    @property
    def hidden_step_format(self) -> Format:
        """d: what the hidden nodes' weights are changed by for an input of one."""
        return fill_width(self.step_format.i + 2, self.width)

    @property
    def sums(self) -> tuple[SumArithmetic, ...]:
        first = fill_width(3, self.width)
        guarded = SQ(first.i, first.f + self.guard_bits)
        return (
            SumArithmetic(self.n_in, self.hidden, self.unit_format, first, guarded, self.hidden_step_format),
            SumArithmetic(
                self.hidden,
                self.n_out,
                self.activation_format,
                self.factor_format,
                self.coefficient_format,
                self.step_format,
            ),
        )

    @property
    def downstream_fraction(self) -> int:
        """Fraction bits of d before it is narrowed."""
        return self.step_format.f + self.factor_format.f + self.hidden_shift

    @property
    def timing(self) -> BaselineTiming:
        prediction = 1 + self.ends("hidden", "sum")
        return BaselineTiming(prediction, prediction + self.ends("error", "step", "downstream"))

    def initial_codes(self) -> list[Codes]:
        """What the weights begin with, one array ``(n_out, n_in + 1)`` for each layer."""
        random = np.random.default_rng(self.seed)
        first, second = self.sums
        reach = 2 / np.sqrt(self.n_in)
        hidden = random.uniform(-reach, reach, (self.hidden, self.n_in))
        biases = random.uniform(-1, 1, (self.hidden, 1))
        outer = random.uniform(-1, 1, (self.n_out, self.hidden)) / np.sqrt(self.hidden)
        weights = np.hstack([hidden, biases]), np.hstack([outer, np.zeros((self.n_out, 1))])
        formats = first.coefficient, second.coefficient
        return [format.quantise(layer) for format, layer in zip(formats, weights, strict=True)]
