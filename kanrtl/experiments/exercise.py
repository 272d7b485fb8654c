"""What is done to a learner to compare two of its backends: samples and teaching, and writes between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ..learner.guard_settings import SIGNATURES
from ..learner.spec import LearnerSpec
from ..numeric.fixed import Codes, Format
from ..sessions.backend import LearnerBackend

KINDS = ("run", "coefficients", "rates", "noise", "freeze", "clear", "release", "untimed")
"""What an operation can be."""


@dataclass(frozen=True)
class Operation:
    """One thing that is done to a learner, in codes.

    Attributes
    ----------
    kind : str
        ``"run"``: send the samples ``x`` ``(n, n_in)`` with ``teaching`` ``(n, n_out)`` where ``learn`` ``(n,)`` is
        true. ``"coefficients"``: write ``x``, one array for each layer. ``"rates"``: write the registers ``x``.
        ``"noise"``: write the state ``x`` of the noise register. ``"freeze"``: freeze where ``x`` is 1, let go where it
        is 0. ``"clear"``: clear the counters. ``"release"``: end a fault of the guard. ``"untimed"``: let the guard
        look at no deadline, as a model has no clock.
    """

    kind: str
    x: Any = 0
    teaching: Any = field(default_factory=list)
    learn: Any = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Give it as plain values."""
        return {name: _plain(value) for name, value in vars(self).items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Make one of what :meth:`to_json` gives."""
        return cls(**values)

    def perform(self, learner: LearnerBackend) -> Codes | None:
        """Do it; give the predictions of a run."""
        if self.kind == "run":
            spec = learner.spec
            x = np.array(self.x, dtype=np.int64).reshape(-1, spec.n_in)
            teaching = np.array(self.teaching, dtype=np.int64).reshape(-1, spec.n_out)
            return learner.run(x, teaching, np.array(self.learn, dtype=bool))
        if self.kind == "coefficients":
            learner.write_coefficients([np.array(layer, dtype=np.int64) for layer in self.x])
        elif self.kind == "rates":
            learner.write_learning_rates([int(rate) for rate in self.x])
        elif self.kind == "noise":
            learner.write_noise(int(self.x))
        elif self.kind == "freeze":
            learner.write_frozen(bool(self.x))
        elif self.kind == "clear":
            learner.clear_saturations()
        elif self.kind == "release":
            learner.release_guard()
        elif self.kind == "untimed":
            learner.write_limits({"slot": 0})
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@dataclass(frozen=True)
class Difference:
    """The first difference between two learners.

    Attributes
    ----------
    what : str
        ``"predictions"``, ``"coefficients"``, ``"rates"``, ``"noise"``, ``"frozen"``, ``"counters"`` or ``"guard"``;
        of what is at the end of a wire ``"requests sent again"`` too, where nothing else differs, or ``"answers"`` to
        anything at all.
    sample : int
        The number of the first sample, from 0, whose prediction differs; with other kinds that of the last before what
        differs was read, or -1. Of answers, that of the burst.
    expected, found : list of int
        The values of the first learner and of the second: the prediction, the first number that differs, or the clock
        cycle and the byte of an answer, nothing where none came.
    """

    what: str
    sample: int
    expected: list[int]
    found: list[int]

    def __str__(self) -> str:
        where = {"predictions": f"of sample {self.sample}", "answers": f"to burst {self.sample}"}.get(
            self.what, f"after sample {self.sample}"
        )
        return f"{self.what} {where}: {self.found} instead of {self.expected}"


def draw_exercise(spec: LearnerSpec, samples: int, seed: int, *, deep: int = 4096) -> list[Operation]:
    """Draw what reaches every part of a learner: samples on the grid and beyond it, taught and not, at the ends of
    formats; between them coefficients, rates and the noise register are written, the learner is frozen and let go.

    ``deep``: learners of more coefficients get none from outside, since that takes a request each.
    """
    random = np.random.default_rng(seed)
    parts = min(samples, 6)
    counts = [samples // parts + (part < samples % parts) for part in range(parts)]
    operations: list[Operation] = []
    for part, count in enumerate(counts):
        operations += _draw_writes(spec, random, part, deep)
        operations.append(_draw_run(spec, random, count))
    return operations


def _draw_writes(spec: LearnerSpec, random: np.random.Generator, part: int, deep: int) -> list[Operation]:
    """The writes before a part of the samples."""
    if part == 0:
        return [Operation("untimed")] if spec.guard is not None and spec.guard.slot else []
    if part == 1:
        return [Operation("rates", [int(_end_of(register.format, random)) for register in spec.rate_registers])]
    if part == 2:
        return [Operation("freeze", 1), Operation("clear")]
    if part == 3:
        released = [Operation("release")] if spec.guard is not None else []
        return [Operation("freeze", 0), Operation("noise", int(random.integers(1, 1 << 32))), *released]
    total = sum(layer.n_in * layer.n_out * layer.coefficients for layer in spec.layers)
    if part == 4 and total <= deep:
        shapes = [(layer, (layer.n_out, layer.n_in, layer.coefficients)) for layer in spec.layers]
        return [
            Operation("coefficients", [_codes_in(layer.formats.coefficient, random, shape) for layer, shape in shapes])
        ]
    return [Operation("rates", [register.code for register in spec.rate_registers])] if part == 5 else []


def _draw_run(spec: LearnerSpec, random: np.random.Generator, count: int) -> Operation:
    low, high = spec.per_layer("grid_range")[0]
    near = random.uniform(low - 0.2 * (high - low), high + 0.2 * (high - low), (count, spec.n_in))
    x = np.where(
        random.random((count, spec.n_in)) < 0.9,
        spec.formats.input.quantise(near),
        _codes_in(spec.formats.input, random, (count, spec.n_in), ends=True),
    )
    ends = _codes_in(spec.target_format, random, (count, spec.n_out), ends=True)
    teaching = np.where(random.random((count, 1)) < 0.1, ends, _codes_in(spec.target_format, random, ends.shape))
    return Operation("run", x, teaching, random.random(count) < 0.8)


def _codes_in(
    format: Format, random: np.random.Generator, shape: tuple[int, ...], *, ends: bool = False
) -> npt.NDArray[np.int64]:
    """Random codes; or the lowest and the highest; half of the arrays within a sixteenth of the format, where less
    saturates."""
    if ends:
        return random.choice([format.minimum, format.maximum], shape)
    shrink = int(random.choice([1, 16]))
    return random.integers(format.minimum // shrink, format.maximum // shrink + 1, shape)


def _end_of(format: Format, random: np.random.Generator) -> int:
    return int(random.choice([0, 1, format.maximum, int(random.integers(format.maximum + 1))]))


def compare_learners(
    first: LearnerBackend, second: LearnerBackend, operations: list[Operation]
) -> tuple[Difference | None, int]:
    """Do the same to two learners, and read everything that they hold after each operation.

    Returns
    -------
    Difference or None
        The first difference; None where there is none.
    int
        How many samples both were sent.
    """
    sent = 0
    for operation in operations:
        expected, found = operation.perform(first), operation.perform(second)
        if expected is not None and found is not None:
            wrong = np.flatnonzero((expected != found).any(axis=1))
            if len(wrong):
                row = int(wrong[0])
                difference = Difference("predictions", sent + row, expected[row].tolist(), found[row].tolist())
                return difference, sent + len(expected)
            sent += len(expected)
        for what, one, other in zip(_HELD, _read_held(first), _read_held(second), strict=True):
            wrong = np.flatnonzero(one != other)
            if len(wrong):
                return Difference(what, sent - 1, [int(one[wrong[0]])], [int(other[wrong[0]])]), sent
    return None, sent


_HELD = ("coefficients", "rates", "noise", "frozen", "counters", "guard")


def _read_held(learner: LearnerBackend) -> list[npt.NDArray[np.int64]]:
    """Everything that a learner holds, as flat arrays."""
    held: list[Any] = [
        np.concatenate([layer.ravel() for layer in learner.read_coefficients()]),
        learner.read_learning_rates(),
        [learner.read_noise()],
        [learner.read_frozen()],
        list(learner.read_saturations().values()),
        _read_guard(learner),
    ]
    return [np.asarray(part, dtype=np.int64) for part in held]


def _read_guard(learner: LearnerBackend) -> list[int]:
    """The registers of the guard; none without one."""
    if learner.spec.guard is None:
        return []
    report = learner.read_guard()
    seen = [name in report.seen for name in SIGNATURES]
    return [report.fault, *seen, *report.counts.values(), report.error_sum, *report.limits.values()]
