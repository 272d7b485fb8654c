"""When things happen in a learner whose layers are folded: gone through in several steps by fewer multipliers.

An edge's multipliers are what a layer costs. A ``reuse_factor`` of R gives each set of them R edges: a pass of the
layer then goes through R steps, one after another. Every step takes the same path, so its registers are those of
:mod:`kanrtl.learner.schedule`, and a pass takes one cycle for each of them and one (with serial multipliers, several)
for each step. In a forward pass the nodes' sums grow from step to step. The backward pass takes the same steps again:
it reads the coefficients anew, so that a sample leaves nothing behind but its inputs and its sums.

::

    step     located    read       multiplied
    x[i] --> cell k --> c, b, b' -> c*b ---------> node sums --> y                      forward
                        |           c*b' --------> slope --> g*d --> downstream sums    slopes: hidden layers
                        +---------> eta*b -------> g*s ----> c - g*s --> written        update

A layer begins forward when the layer before has its y, and backward when its dL/dy is there. A pass begins early by as
many cycles as its steps take up to the point where they need what they wait for. A first layer of a single step has
read all that it needs: its update begins at that point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import gcd

from .arithmetic import LayerArithmetic
from .fields import LearnerFields
from .schedule import Schedule


def fold(reuse_factor: int, n_in: int, n_out: int) -> tuple[int, int] | None:
    """In how many parts inputs and nodes are gone through, inputs first; None where that does not divide evenly."""
    inputs = gcd(reuse_factor, n_in)
    nodes = reuse_factor // inputs
    return None if n_out % nodes else (inputs, nodes)


def folds(n_in: int, n_out: int) -> list[int]:
    """Every reuse factor that a layer can have, in ascending order."""
    products = {a * b for a in range(1, n_in + 1) if n_in % a == 0 for b in range(1, n_out + 1) if n_out % b == 0}
    return sorted(factor for factor in products if fold(factor, n_in, n_out))


def serial_cycles(layer: LayerArithmetic, *, hidden: bool, shared: bool) -> int:
    """Cycles of a serial multiplication: one for each bit of the widest second operand.

    Those are the table's values, the steps and the slopes, and with linear paths x and its steps. Where one multiplier
    takes some that are signed and some that are not, the latter get a sign bit.
    """
    formats = layer.formats
    widths = [width + (hidden and shared) for width in (formats.basis.width, formats.step.width)]
    if hidden:
        widths += [layer.derivative.width, formats.slope.width]
    if layer.linear:
        widths += [layer.linear.input.width, layer.linear.step.width]
    return max(widths)


@dataclass(frozen=True)
class Passes:
    """One layer's passes: how many steps, and when each of them is where, in cycles after it began.

    Input ``i`` belongs to lane ``i % input_lanes`` in part ``i // input_lanes`` of the inputs, and nodes likewise.
    """

    inputs: int
    """Parts of the inputs: steps through them."""
    nodes: int
    """Parts of the nodes: steps through them, for each of those."""
    input_lanes: int
    """Inputs that a step takes at once."""
    node_lanes: int
    """Nodes that a step takes at once."""
    step_cycles: int
    """Cycles from one step to the next."""
    shared: bool
    """The passes have their multipliers in common, so that slopes and update need a pass each."""
    hidden: bool
    """Slopes are computed; not in the first layer."""
    held_position: bool
    """Cells and table rows are held in a register, where a sample needs no more than one for each input."""
    located: int
    settled: int
    """Memories and tables give their values: a cycle later where they are block memories."""
    read: int
    """The same, through the register after ``read``. It is well spent on a block memory too, which is slow, and in
    folded layers deep."""
    multiplied: int
    """Products of the forward pass, to be accumulated in the nodes' sums; and of the slopes."""
    sloped: int
    """Slopes, through the register after ``sum``, meet gradients. The nodes' sums are always in registers."""
    gathered: int
    """The products of both, to be accumulated."""
    scaled: int
    """Learning rate times basis, through the register after ``step``."""
    stepped: int
    """That meets the gradient."""
    written: int

    @classmethod
    def of(cls, spec: LearnerFields, layer: LayerArithmetic, index: int, schedule: Schedule) -> Passes:
        """The passes of one layer, with registers where ``schedule`` has them."""
        hidden = index > 0
        folded = fold(spec.per_layer("reuse_factor")[index], layer.n_in, layer.n_out)
        assert folded, "a spec refuses the others"
        inputs, nodes = folded
        stages, shared = schedule.stages[index], spec.share_multipliers
        serial = spec.multiplier == "serial"
        cycles = serial_cycles(layer, hidden=hidden, shared=shared) if serial else 1

        def multiply(stage: str) -> int:
            return cycles if serial else stage in stages

        held_position = not hidden and inputs == 1
        located = 0 if held_position else int("locate" in stages)
        settled = located + schedule.block_memory[index]
        read = settled + ("read" in stages)
        multiplied = read + multiply("multiply")
        sloped = multiplied + ("sum" in stages)
        scaled = read + ("step" in stages)
        stepped = 0 if held_position and nodes == 1 else scaled
        return cls(
            inputs=inputs,
            nodes=nodes,
            input_lanes=layer.n_in // inputs,
            node_lanes=layer.n_out // nodes,
            step_cycles=cycles,
            shared=shared,
            hidden=hidden,
            held_position=held_position,
            located=located,
            settled=settled,
            read=read,
            multiplied=multiplied,
            sloped=sloped,
            gathered=sloped + multiply("downstream"),
            scaled=scaled,
            stepped=stepped,
            written=stepped + multiply("product"),
        )

    @property
    def steps(self) -> int:
        """Steps of a pass."""
        return self.inputs * self.nodes

    @property
    def duration(self) -> int:
        """Cycles in which a pass begins its steps."""
        return self.steps * self.step_cycles

    @property
    def last(self) -> int:
        """From the first step's beginning to the last's."""
        return self.duration - self.step_cycles

    @property
    def update(self) -> int:
        """From the beginning of the backward pass to that of the pass which updates."""
        return self.duration if self.hidden and self.shared else 0

    @property
    def lead(self) -> int:
        """How long before dL/dy is there the backward pass may begin."""
        lead = self.update + self.stepped
        return min(lead, self.sloped) if self.hidden else lead


@dataclass(frozen=True)
class FoldedSchedule:
    """The sequential schedule of folded layers; its figures mean what those of :class:`.Schedule` do.

    Cycles are counted from that in which a sample, or a teaching word, is first held.
    """

    stages: tuple[frozenset[str], ...]
    block_memory: tuple[bool, ...]
    after_prediction: bool
    passes: tuple[Passes, ...]

    @classmethod
    def of(cls, spec: LearnerFields, layers: Sequence[LayerArithmetic], schedule: Schedule) -> FoldedSchedule:
        """``schedule`` with the passes of every layer."""
        passes = tuple(Passes.of(spec, layer, index, schedule) for index, layer in enumerate(layers))
        return cls(schedule.stages, schedule.block_memory, schedule.after_prediction, passes)

    @cached_property
    def forward(self) -> list[int]:
        """The cycle in which each layer's forward pass begins, and last that in which the prediction is there."""
        begins = [0]
        for each in self.passes:
            begins.append(begins[-1] + each.last + each.multiplied + 1)
        return begins

    @cached_property
    def _backward(self) -> tuple[list[int], int]:
        """The cycle in which each layer's backward pass begins, and the last in which something is written."""
        gradient = 0 if self.after_prediction else self.forward[-1]
        begins, written = [0] * len(self.passes), 0
        for index, each in reversed(list(enumerate(self.passes))):
            gradient += "error" in self.stages[index]
            # Forward and backward steps are told apart where they begin.
            free = 0 if self.after_prediction else self.forward[index] + each.duration
            begin = max(free, gradient - each.lead)
            begins[index] = begin
            written = max(written, begin + each.update + each.last + each.written)
            gradient = begin + each.last + each.gathered + 1
        return begins, written

    @property
    def backward(self) -> list[int]:
        """The cycle in which each layer's backward pass begins; with ``after_prediction`` counted from the word."""
        return self._backward[0]

    @property
    def begins(self) -> tuple[Sequence[int], Sequence[int]]:
        """The cycles in which the layers' forward passes begin, and those in which their backward passes do."""
        return self.forward[:-1], self.backward

    @property
    def streaming(self) -> bool:
        """Never: a folded layer is not done with a sample when the next could come."""
        return False

    @property
    def delays(self) -> tuple[int, ...]:
        """1 for every layer: exact SGD."""
        return (1,) * len(self.passes)

    @property
    def block_tables(self) -> tuple[bool, ...]:
        """For every layer, whether its table of bases lies in block memory: with its coefficients. Steps are always
        computed."""
        return self.block_memory

    @property
    def prediction_latency(self) -> int:
        """Cycles from taking a sample to its prediction."""
        return self.forward[-1] + 1

    @property
    def teaching_latency(self) -> int:
        """Cycles from taking a teaching word to the last of the written updates."""
        return self._backward[1] + 1

    @property
    def latency(self) -> int:
        """Cycles from taking a sample to the last of its written updates; a teaching word is assumed to wait."""
        if self.after_prediction:
            return self.prediction_latency + 1 + self.teaching_latency
        return self._backward[1] + 1

    @property
    def interval(self) -> int:
        """Cycles from taking a taught sample to taking the next."""
        return self.latency

    @property
    def prediction_interval(self) -> int:
        """Cycles from taking a sample that is not taught to taking the next."""
        return self.prediction_latency

    @property
    def access_cycles(self) -> int:
        """From a request's first cycle to the end of that in which it is answered: one to choose a step, and what
        that takes."""
        return 2 + max(each.scaled + each.written - each.stepped for each in self.passes)
