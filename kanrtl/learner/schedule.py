"""When things happen: the stages of a learning step, where registers stand, and the cycles that follow.

A sample flows through these stages; ``pipeline`` names those that end in a register::

      position   locate      read         multiply    add      sum
    x ---------> cell k ---> c, b, b' --> c*b ------> pairs -> nodes --> y ---------------> prediction
                 row u       |                                 |  error                     (always a register)
                             | scale  step           target -> dL/dy ------+
                             +------> eta*b -------------------------------+--> g*s ---> rounded --> c - g*s --> written
                                                               |  downstream    product  change       update
                                                               +-> g*d ----> dL/dy of the layer below ...

A sample is located as it is taken, so the first layer's position on the grid always ends in a register, which costs no
cycle: it holds the addresses of the coefficients and, unless ``locate`` is named and the table logic, the basis too. A
table in block memory brings that register along. With ``position`` named there is one more before it, for the position,
and with both ``position`` and ``locate`` a third, behind the table, as the path from the position to a block memory's
address is long; ``read`` is then a register of its own even behind a block memory, which is slow.
In the other layers ``position`` and ``locate`` end in a register where they are named, and a table in block memory
brings one there too. The prediction's register and
the coefficient memories are always there too. With no stage named a whole step takes one clock cycle; every register on
the longest path adds one. Block memories have a register at ``read`` that cannot be left out.

The curves of modulated edges are summed, with registers as above, and then multiplied by an input and summed once
more, with registers after ``multiply``, ``add`` and ``sum`` again; dL/dy is multiplied by that input too, with
registers after ``product`` and, for what is narrowed of it, ``error`` again.

Two schedules let samples flow:

Each layer may have a pipeline of its own. The register after ``error`` belongs to the layer that the gradient arrives
at, and with it goes one behind the slopes that are multiplied by it.

- ``sequential``: a sample is held until its update is written, and the next is taken at that same edge: exact SGD.
- ``streaming``: one sample, one prediction and one update every clock. A value that overtakes another is delayed until
  they meet. A prediction sees the updates of all samples but the last :attr:`Schedule.delays` - 1: delayed SGD
  (Langford, Smola, Zinkevich, "Slow Learners are Fast", arXiv 0911.0491, algorithm 1). No update is lost: the gradient
  is of the coefficients that were read, but what it changes are the coefficients as they stand when it arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from .arithmetic import LayerArithmetic
from .fields import LearnerFields
from .stages import AUTO, PRESETS

# A deeper bank takes more LUTs than are worth the cycle that a block memory adds.
DISTRIBUTED_DEPTH = 16


@dataclass(frozen=True)
class LayerTimes:
    """When the values of a layer are there: the clock edges from the one that takes the sample, which is number 0.

    A value of time ``t`` is there before edge ``t``; what is written at edge ``t`` has time ``t``.
    """

    fetch: int
    """The coefficients are addressed."""
    table: int
    """The tables answer: bases, and steps where they are tabulated."""
    read: int
    """Basis and coefficients."""
    added: int
    """The products, or their sums in pairs."""
    curved: int
    """The values of modulated edges' curves; where edges are not modulated, as ``added``."""
    summed: int
    """The exact node sums, and y."""
    step: int
    """Learning rate times basis."""
    gradient: int
    """dL/dy."""
    turned: int
    """What the curves of modulated edges are taught by; where edges are not modulated, as ``gradient``."""
    rounded: int
    """What the coefficients are changed by; its rounding draws noise."""
    changed: int
    """The coefficients, changed; they are written at this edge."""

    @property
    def delay(self) -> int:
        """How many samples later, at one a clock, a prediction sees the update of a sample."""
        return self.changed - self.fetch + 1


@dataclass(frozen=True)
class Schedule:
    """Registers and cycles of a learner.

    All figures are clock cycles between edges: from the edge that takes a sample (or a teaching word) to the edge that
    loads the prediction, or writes the coefficients.
    """

    stages: tuple[frozenset[str], ...]
    """For every layer, those that end in a register."""
    block_memory: tuple[bool, ...]
    """For every layer, whether its coefficients lie in block memory."""
    block_tables: tuple[bool, ...]
    """For every layer, whether its tables lie in block memory."""
    after_prediction: bool
    streaming: bool
    modulated: bool = False
    """Whether the edges of the first layer multiply an input by their curve."""

    @classmethod
    def of(cls, spec: LearnerFields, layers: Sequence[LayerArithmetic]) -> Schedule:
        """The schedule of a learner whose layers are not folded: where registers and block memories are."""
        named = [AUTO[spec.schedule] if name == "auto" else name for name in spec.per_layer("pipeline")]
        stages = tuple(frozenset(PRESETS[name] if isinstance(name, str) else name) for name in named)
        zeros = 0 if spec.folded else 1  # a row in every bank, see rtl/coefficients.py
        block = tuple(
            memory == "block" or (memory == "auto" and folded * layer.depth + zeros > DISTRIBUTED_DEPTH)
            for memory, layer, folded in zip(
                spec.per_layer("memory"), layers, spec.per_layer("reuse_factor"), strict=True
            )
        )
        # Below the first layer there has to be a register already: one more would add a cycle.
        tables = tuple(
            choice == "block" or (choice == "auto" and (layer == 0 or block[layer] or "read" in stages[layer]))
            for layer, choice in enumerate(spec.per_layer("table_memory"))
        )
        after, streaming = spec.teaching == "after_prediction", spec.schedule == "streaming"
        return cls(stages, block, tables, after, streaming, bool(spec.modulation))

    def _registers(self, layer: int, *stages: str) -> int:
        return sum(stage in self.stages[layer] for stage in stages)

    @cached_property
    def layers(self) -> tuple[LayerTimes, ...]:
        """The times of every layer, first layer first. With ``after_prediction`` a teaching word is taken at the first
        edge that it can be taken at."""
        forward = []
        now = 1  # the register that takes a sample
        for layer, block in enumerate(self.block_memory):
            now += self._registers(layer, "position", "locate") if layer else self._registers(0, "position")
            # The first layer's tables are read as the sample is taken, or when it has been located.
            deep = self._registers(layer, "position", "locate") == 2
            table = now + (self.block_tables[layer] and (layer > 0 or deep))
            # In the others a memory that has no register, neither its own nor at `read`, is addressed through one
            # beside the table's.
            fetch = now if layer == 0 or block or self._registers(layer, "read") else table
            # A block memory's own register ends the stage, but is slow: a deep pipeline has a second one there.
            now = max(fetch + block, table)
            now += self._registers(layer, "read") if now == fetch or deep else 0
            read = now
            now += self._registers(layer, "multiply", "add")
            added = curved = now
            if self.modulated and layer == 0:  # a curve is summed, then multiplied and summed again
                curved += self._registers(layer, "sum")
                now = curved + self._registers(layer, "multiply", "add")
            now += self._registers(layer, "sum")
            forward.append((fetch, table, read, added, curved, now))
        gradient = now + (2 if self.after_prediction else 0)
        times: list[LayerTimes] = []
        for layer, (fetch, table, read, added, curved, summed) in reversed(list(enumerate(forward))):
            gradient += self._registers(layer, "error")
            scaled = table if self.block_tables[layer] else read + self._registers(layer, "scale")
            step = scaled + self._registers(layer, "step")
            turned = gradient
            if self.modulated and layer == 0:
                # Where samples stream, adding and narrowing are two stages.
                turned += self._registers(layer, "product", "error", *(("sum",) if self.streaming else ()))
            rounded = max(turned, step) + self._registers(layer, "product")
            changed = rounded + self._registers(layer, "change", "update")
            times.append(
                LayerTimes(fetch, table, read, added, curved, summed, step, gradient, turned, rounded, changed)
            )
            gradient += self._registers(layer, "downstream")
        return tuple(reversed(times))

    @property
    def first_rounded(self) -> int:
        """The time at which the first layer to round an update does: the sample's noise is drawn there."""
        return min(layer.rounded for layer in self.layers)

    @property
    def prediction_latency(self) -> int:
        """From taking a sample to its prediction."""
        return self.layers[-1].summed

    @property
    def latency(self) -> int:
        """From taking a sample to the last of its written updates; a teaching word is assumed to wait already."""
        return max(layer.changed for layer in self.layers)

    @property
    def teaching_latency(self) -> int:
        """With ``after_prediction``, from taking a teaching word to the written update."""
        return self.latency - self.prediction_latency - 1

    @property
    def interval(self) -> int:
        """From taking a taught sample to taking the next."""
        return 1 if self.streaming else self.latency

    @property
    def access_cycles(self) -> int:
        """From a request's first cycle to the end of that in which it is answered: one to reach a coefficient, two to
        read it, through the register after ``locate`` and that of a block memory. With streaming, until all is as if a
        sample there had passed, and three more on the way there and back."""
        return self.latency + 5 if self.streaming else 3

    @property
    def begins(self) -> None:
        """None: a step has no passes."""
        return None

    @property
    def prediction_interval(self) -> int:
        """From taking a sample that is not taught to taking the next."""
        return 1 if self.streaming else self.prediction_latency

    @property
    def counted(self) -> tuple[int, int]:
        """When saturations are counted: those of a prediction, and those of a step."""
        return self.prediction_latency + self.counts_late, self.latency + self.counts_late

    @property
    def counts_late(self) -> bool:
        """Whether a register stands before what counts saturations, so that nothing waits for it: where values move on,
        or come from many lanes."""
        return self.streaming or len(self.stages) > 1

    @property
    def delays(self) -> tuple[int, ...]:
        """For every layer, how many samples later a prediction sees a sample's update; 1 is exact SGD."""
        return tuple(layer.delay if self.streaming else 1 for layer in self.layers)
