"""What the specs of all baselines have in common: sizes, ranges, rate, formats, and the cycles of a step."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import inf, nan
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from ..errors import SpecError, join_choices
from ..learner.formats import RATE_FRACTION, exponent
from ..numeric.fixed import SQ, UQ, Codes, Format, Rounding
from .sum_arithmetic import SumArithmetic, fill_width, reach_of

SATURATING = ("activation", "gradient", "step", "coefficient")
"""Kinds of value that can saturate. Each is counted once for a sample (activation) or a learning step (the others)."""

MOST_WEIGHTS = 1024
"""Weights in flip-flops, all of which are read at once; the largest devices have 84,000."""

NO_REGISTERS, ALL_REGISTERS = "no_registers", "all_registers"


@dataclass(frozen=True)
class BaselineTiming:
    """The cycles of a baseline: from the edge that takes a sample to the edge that loads its prediction, or writes its
    update. Only the sequential schedule is there: the next sample is taken at the edge that writes the update.

    ``backward`` is the cycle, counted from that edge, in which a folded one begins to go backward; None for others.
    """

    prediction_latency: int
    latency: int
    after_prediction: bool = False
    backward: int | None = None

    @property
    def begins(self) -> tuple[tuple[int], tuple[int]] | None:
        """As a sequencer asks for it: the cycles in which the passes begin; None where there are none."""
        return None if self.backward is None else ((0,), (self.backward,))

    @property
    def interval(self) -> int:
        """From taking a taught sample to taking the next."""
        return self.latency

    @property
    def teaching_latency(self) -> int:
        """From taking a word of a teaching stream to the update: baselines have no such stream."""
        return self.latency - self.prediction_latency

    @property
    def access_cycles(self) -> int:
        """From a request's first cycle to the end of that in which it is answered."""
        return 2


def _to_plain(value: Any) -> float:
    """A number of any kind, numpy's too, as a plain one; NaN where it is none, or floats do not hold it."""
    try:
        return float(value) if isinstance(value, Real) and not isinstance(value, bool) else nan
    except OverflowError:
        return nan


@dataclass(frozen=True)
class StepRate:
    """The register of the learning rate: its format, and the code that it begins with."""

    format: Format
    code: int


@dataclass(frozen=True, kw_only=True)
class BaselineSpec(ABC):
    """What is common to all baselines. They learn as a :class:`kanrtl.Learner` of one schedule does: exact stochastic
    gradient descent, one sample after another, in fixed point.

    Parameters
    ----------
    n_in, n_out
        Inputs and outputs.
    input_range
        The lowest and highest x. Inputs are taken times the power of two that brings them between -1 and 1; that
        takes no logic.
    target_range
        The lowest and highest target; formats have a factor of two to spare beyond it.
    learning_rate
        The initial content of the learning rate register. It can hold others, up to the next power of two that is 1 or
        more; but steps are in a format for twice this one, and saturate beyond, which is counted.
    loss
        ``"squared"``: dL/dy = y - target, or ``"external"``: a gradient comes instead of a target.
    width
        Bits of inputs, outputs, features, factors, gradients and steps.
    guard_bits
        Bits of a weight below what is multiplied of it, in which small updates add up.
    headroom
        Bits that weights have above those of an output.
    rounding
        ``"half_up"``, ``"half_even"`` or ``"floor"``, wherever a value is narrowed.
    pipeline
        ``"no_registers"``: a step takes one cycle; ``"all_registers"``; or a list of the stages that end in a register.
        Every one adds a cycle (``features`` of a polynomial one for each level of multipliers).

    Raises
    ------
    SpecError
        Where the description cannot work.
    """

    STAGES: ClassVar[tuple[str, ...]]

    n_in: int
    n_out: int = 1
    input_range: tuple[float, float] = (-1.0, 1.0)
    target_range: tuple[float, float] = (-1.0, 1.0)
    learning_rate: float = 0.125
    loss: str = "squared"
    width: int = 16
    guard_bits: int = 4
    headroom: int = 1
    rounding: str = "half_up"
    pipeline: str | Sequence[str] = NO_REGISTERS

    def __post_init__(self) -> None:
        self.check_integer("n_in", 1, 256)
        self.check_integer("n_out", 1, 64)
        self.check_integer("width", 8, 18)
        self.check_integer("guard_bits", 0, 16)
        self.check_integer("headroom", 0, 8)
        for field in ("input_range", "target_range"):
            self._check_range(field)
        rate = _to_plain(self.learning_rate)
        if not 2**-16 <= rate <= 8:
            raise SpecError.of("learning_rate", self.learning_rate, "must be a number from 2**-16 to 8")
        object.__setattr__(self, "learning_rate", rate)
        self.check_choice("loss", ("squared", "external"))
        self.check_choice("rounding", tuple(kind for kind in Rounding if kind is not Rounding.STOCHASTIC))
        self._check_pipeline()
        if self.factor_format.f < 1:
            mend = "leaves weights no fraction; use a larger width, less headroom or a narrower target_range"
            raise SpecError.of("width", self.width, mend)

    def check_integer(self, field: str, least: int, most: int) -> None:
        """Raise :exc:`SpecError` where a field is no integer from ``least`` to ``most``; those of numpy become plain
        ones."""
        value = getattr(self, field)
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
            raise SpecError.of(field, value, f"must be an integer from {least} to {most}")
        object.__setattr__(self, field, int(value))

    def check_choice(self, field: str, choices: Sequence[str]) -> None:
        """Raise :exc:`SpecError` where a field is none of ``choices``."""
        value = getattr(self, field)
        if not isinstance(value, str) or value not in choices:
            raise SpecError.of(field, value, f"must be {join_choices([repr(str(choice)) for choice in choices])}")

    def _check_range(self, field: str) -> None:
        bounds = getattr(self, field)
        several = isinstance(bounds, (list, tuple)) or (isinstance(bounds, np.ndarray) and bounds.ndim == 1)
        pair = tuple(map(_to_plain, bounds)) if several else ()
        if len(pair) != 2 or not -inf < pair[0] < pair[1] < inf:
            raise SpecError.of(field, bounds, "must be two numbers, the lowest first")
        if not -12 <= reach_of(pair) <= 12:
            raise SpecError.of(field, bounds, "must reach between 2**-12 and 2**12; scale the signal")
        object.__setattr__(self, field, pair)

    def _check_pipeline(self) -> None:
        given = self.pipeline
        if isinstance(given, str):
            self.check_choice("pipeline", (NO_REGISTERS, ALL_REGISTERS))
            return
        if not isinstance(given, (list, tuple)) or not all(
            isinstance(stage, str) and stage in self.STAGES for stage in given
        ):
            raise SpecError.of("pipeline", given, f"must be a preset or a list of stages: {', '.join(self.STAGES)}")
        object.__setattr__(self, "pipeline", tuple(stage for stage in self.STAGES if stage in given))

    @property
    def stages(self) -> frozenset[str]:
        """The stages that end in a register."""
        if isinstance(self.pipeline, str):
            return frozenset(self.STAGES if self.pipeline == ALL_REGISTERS else ())
        return frozenset(self.pipeline)

    def ends(self, *stages: str) -> int:
        """How many of ``stages`` end in a register."""
        return sum(stage in self.stages for stage in stages)

    @property
    def input_format(self) -> Format:
        """Inputs."""
        return fill_width(reach_of(self.input_range) + 1, self.width)

    @property
    def unit_format(self) -> Format:
        """Inputs as they are between -1 and 1: the same codes."""
        return SQ(1, self.input_format.width - 1)

    @property
    def output_format(self) -> Format:
        """Predictions, and targets."""
        return fill_width(reach_of(self.target_range) + 2, self.width)

    @property
    def gradient_format(self) -> Format:
        """dL/dy."""
        return self.output_format

    @property
    def target_format(self) -> Format:
        """What is taught: targets, or gradients."""
        return self.gradient_format if self.loss == "external" else self.output_format

    @property
    def factor_format(self) -> Format:
        """What is multiplied of a weight of the last layer."""
        return fill_width(self.output_format.i + self.headroom, self.width)

    @property
    def coefficient_format(self) -> Format:
        """A weight of the last layer."""
        return SQ(self.factor_format.i, self.factor_format.f + self.guard_bits)

    @property
    def rate_register(self) -> StepRate:
        """From 0 to just below twice the learning rate or more, with five significant bits at the least."""
        rate = self.learning_rate
        format = UQ(max(0, exponent(2 * rate)), max(RATE_FRACTION, 5 - exponent(rate)))
        return StepRate(format, int(format.quantise(rate)))

    @property
    def step_format(self) -> Format:
        """Steps h: what a gradient becomes once it is multiplied by the rate."""
        return fill_width(self.gradient_format.i + exponent(2 * self.learning_rate), self.width)

    @property
    @abstractmethod
    def sums(self) -> tuple[SumArithmetic, ...]:
        """The layers of weights, first layer first."""

    @property
    @abstractmethod
    def timing(self) -> BaselineTiming:
        """The cycles of a step."""

    @property
    def n_layers(self) -> int:
        """As a sequencer counts them: what a baseline consists of goes at once."""
        return 1

    @property
    def restarts(self) -> bool:
        """Whether samples have to wait after a reset: never, as a baseline has initial contents. A reset brings back
        what registers begin with, and leaves what memories hold: all weights of a folded perceptron but the biases of
        its outputs. Write them after a reset."""
        return False

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to the edge that writes its update."""
        return self.timing.latency

    @property
    def interval(self) -> int:
        """Clock cycles from taking a taught sample to taking the next."""
        return self.timing.interval

    @cached_property
    def weights(self) -> int:
        """How many weights there are, biases included."""
        return sum(layer.weights for layer in self.sums)

    @cached_property
    def weight_numbers(self) -> Sequence[int]:
        """The number by which each weight is reached from outside, layer by layer and row by row."""
        return range(self.weights)

    def check_weights(self, fields: Sequence[str], most: int = MOST_WEIGHTS, mend: str = "") -> None:
        """Raise :exc:`SpecError`, which names the fields that make them, where there are more weights than are
        built."""
        if self.weights > most:
            given = ", ".join(f"{name} = {getattr(self, name)!r}" for name in fields)
            raise SpecError(f"{given}: makes {self.weights} weights; at most {most} are built{mend}")

    def initial_codes(self) -> list[Codes]:
        """What the weights begin with, one array ``(n_out, n_in + 1)`` for each layer: zeros."""
        return [np.zeros((layer.n_out, layer.n_in + 1), dtype=np.int64) for layer in self.sums]

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON carries them, and the kind of the baseline."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in content.items()}
        return {"kind": type(self).__name__} | plain
