"""The description of a small multilayer perceptron that learns online."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..errors import SpecError
from ..numeric.bits import clog2
from ..numeric.fixed import SQ, Codes, Format
from .baseline_spec import MOST_WEIGHTS, BaselineSpec, BaselineTiming
from .sum_arithmetic import SumArithmetic, fill_width, reach_of

MOST_STORED = 1 << 14
"""Weights in memories."""

RELU, HARD_TANH = "relu", "hard_tanh"


@dataclass(frozen=True, kw_only=True)
class MlpSpec(BaselineSpec):
    """A perceptron with one hidden layer, taught by stochastic gradient descent, fully parallel or folded; immutable.

    z_h = b_h + sum_i v_hi x_i, a_h = f(z_h), y_o = b_o + sum_h w_oh a_h; with g = dL/dy and h_o = mu g_o, narrowed
    once, w_oh <- w_oh - h_o a_h, and with d_h = f'(z_h) sum_o h_o w_oh 2^-s, narrowed once, v_hi <- v_hi - d_h x_i;
    biases alike. This holds for inputs and targets between -1 and 1. Others are taken so: x times the power of two that
    brings ``input_range`` there, and of targets, whose power that is for ``target_range``, h_o w_oh times its square,
    so that it learns the same on every scale. Both layers change at one clock edge, by the weights of the forward pass.
    The rate is multiplied once for each output, and the gradient that goes down has it already. The parameters not
    described here are those of :class:`.BaselineSpec`.

    Parameters
    ----------
    hidden
        Hidden nodes.
    activation
        ``"relu"``: max(z, 0), or ``"hard_tanh"``: z within -1 and 1.
    hidden_shift
        s: the hidden layer's rate is 2^-s of the other's, for targets between -1 and 1 and, as they are then taken, for
        others alike; below 0 it is higher.
    reuse_factor
        How many hidden nodes share their multipliers, one after another: 1, or what ``hidden`` can be divided by. A
        folded perceptron does the same to the bit, and goes through its nodes forward and then backward, a cycle for
        each of those that share. Its weights lie in memories. Whatever the pipeline says, registers are behind sums
        and steps, and behind ``downstream`` where it names neither that nor ``hidden``.
    memory
        Where the weights of a folded one lie: ``"distributed"``, memories made of LUTs, or ``"block"``, which chips
        without the first need.
    seed
        Of the random start: v is uniform within 2 / sqrt(n_in), of either sign, biases of the hidden nodes within 1, so
        that their kinks lie within the range of the inputs, and w within 1 / sqrt(hidden) for targets between -1 and 1.
    """

    STAGES: ClassVar[tuple[str, ...]] = ("hidden", "sum", "error", "step", "downstream")

    hidden: int = 8
    activation: str = RELU
    hidden_shift: int = 0
    reuse_factor: int = 1
    memory: str = "distributed"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_integer("hidden", 1, 256)
        self.check_integer("hidden_shift", -8, 8)
        self.check_integer("seed", 0, 2**32 - 1)
        self.check_choice("activation", (RELU, HARD_TANH))
        self.check_choice("memory", ("distributed", "block"))
        self.check_integer("reuse_factor", 1, self.hidden)
        if self.hidden % self.reuse_factor:
            mend = f"must divide hidden = {self.hidden} evenly"
            raise SpecError.of("reuse_factor", self.reuse_factor, mend)
        if self.downstream_fraction < 0:
            mend = "set it higher, or a larger width, less headroom or a lower learning_rate"
            raise SpecError.of(
                "hidden_shift", self.hidden_shift, f"leaves what hidden nodes learn by no fraction; {mend}"
            )
        fields = "n_in", "hidden", "n_out"
        if self.folded:
            self.check_weights(fields, MOST_STORED)
        else:
            self.check_weights(fields, MOST_WEIGHTS, f", or {MOST_STORED} folded: set reuse_factor")

    @property
    def folded(self) -> bool:
        """Whether hidden nodes share multipliers."""
        return self.reuse_factor > 1

    @property
    def lanes(self) -> int:
        """Hidden nodes at a time. Node h is in lane h % lanes, at row h // lanes."""
        return self.hidden // self.reuse_factor

    @property
    def columns(self) -> int:
        """Weights of a hidden node: of its inputs, its bias, and to every output."""
        return self.n_in + 1 + self.n_out

    @cached_property
    def weight_numbers(self) -> Sequence[int]:
        """As in any baseline, in a folded one the row below the place in it: lane by lane what its node has, and at
        last, in rows 0, the outputs' biases."""
        if not self.folded:
            return range(self.weights)
        bits = clog2(self.reuse_factor)

        def number(node: int, column: int) -> int:
            return (node % self.lanes * self.columns + column) << bits | node // self.lanes

        hidden, inputs, outputs = range(self.hidden), range(self.n_in + 1), range(self.n_out)
        inner = [number(node, source) for node in hidden for source in inputs]
        biases = [self.lanes * self.columns + output << bits for output in outputs]
        outer = [
            [number(node, self.n_in + 1 + output) for node in hidden] + [bias]
            for output, bias in zip(outputs, biases, strict=True)
        ]
        return inner + [place for row in outer for place in row]

    @property
    def stages(self) -> frozenset[str]:
        """The stages that end in a register; a folded one's sums grow in theirs, and its steps are kept in them."""
        named = super().stages
        if not self.folded:
            return named
        named = named - {"sum"} | {"step"}
        # Without either, v x -> a -> w a and h w -> d -> d x would be a loop through the multipliers that they share.
        # Behind d the register takes fewer LUTs, and a prediction is there as early.
        return named if named & {"hidden", "downstream"} else named | {"downstream"}

    @property
    def activation_format(self) -> Format:
        """Outputs of the hidden nodes."""
        return fill_width(3 if self.activation == RELU else 2, self.width)

    @property
    def hidden_step_format(self) -> Format:
        """d: what the hidden nodes' weights are changed by for an input of one."""
        return fill_width(self.step_format.i - reach_of(self.target_range) - self.hidden_shift + 2, self.width)

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
    def downstream_product(self) -> Format:
        """h times what is multiplied of a weight of the last layer, exact."""
        step, factor = self.step_format, self.factor_format
        return SQ(step.i + factor.i, step.f + factor.f)

    @property
    def downstream_fraction(self) -> int:
        """Fraction bits of d before it is narrowed: hidden nodes learn as they do from targets between -1 and 1."""
        # h and w are each as large as targets are.
        return self.downstream_product.f + self.hidden_shift + 2 * reach_of(self.target_range)

    @property
    def timing(self) -> BaselineTiming:
        if self.folded:
            # A row in every cycle; a cycle more, in which the last one's sum is there.
            prediction = self.reuse_factor + 1 + self.ends("hidden")
            backward = prediction + self.ends("error", "step") - 1
            latency = backward + self.reuse_factor + self.ends("downstream")
            return BaselineTiming(prediction, latency, backward=backward)
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
        outer *= 2.0 ** reach_of(self.target_range)
        weights = np.hstack([hidden, biases]), np.hstack([outer, np.zeros((self.n_out, 1))])
        formats = first.coefficient, second.coefficient
        return [format.quantise(layer) for format, layer in zip(formats, weights, strict=True)]
