"""What every layer of a learner is made of: decided here once, and read by its hardware and its estimate alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from ..numeric.fixed import Format, narrow, rounding_constant
from ..numeric.spline import Locator
from .arithmetic import LayerArithmetic
from .fields import LearnerFields
from .folded_schedule import FoldedSchedule, Passes
from .linear_arithmetic import LinearArithmetic
from .losses import find_loss
from .schedule import LayerTimes, Schedule

# Bits of an operand of the wider of the multipliers of ECP5 and iCE40. What a layer decides is the same on all devices.
WIDEST_OPERAND = 18


@dataclass(frozen=True)
class LocatedSum:
    """An exact sum that is located as it is: rounding it takes no adder of its own.

    Attributes
    ----------
    added : int
        What has to be added to it: what rounds it, and where that can be told, its distance to the grid's lowest end.
    dropped : int
        How many bits are then to be cut off.
    offset : int
        What remains of the locator's offset.
    format : Format
        The format of the sum with what is added.
    """

    added: int
    dropped: int
    offset: int
    format: Format

    @classmethod
    def of(cls, locator: Locator, format: Format, total: Format, rounding: str) -> LocatedSum | None:
        """For inputs in ``format``, rounded from sums in ``total``; None where the rounded input is needed.

        Rounding has to be the addition of a constant. And an input that saturates has to be beyond the grid, so that
        nothing is to be seen of that: on a periodic grid nothing is beyond.
        """
        if locator.periodic:
            return None
        lowest, highest = (
            (bound * locator.scale + locator.offset) >> locator.shift for bound in (format.minimum, format.maximum)
        )
        dropped = total.f - format.f
        rounds = rounding_constant(rounding, dropped)
        if not (lowest < 0 and highest >= locator.end and dropped >= 0) or rounds is None:
            return None
        whole, offset = divmod(locator.offset, locator.scale)
        if offset:
            whole, offset = 0, locator.offset
        added = rounds + (whole << dropped)
        reach = max(abs(total.minimum + added), abs(total.maximum + added) + 1)
        width = (reach - 1).bit_length() + 1
        return cls(added, dropped, offset, Format(True, width - total.f, total.f))


@dataclass(frozen=True)
class LayerPlan:
    """One layer as it is built.

    Attributes
    ----------
    layer : LayerArithmetic
        Its sizes, formats, tables and widths.
    index : int
        Which layer of the network. The first locates its inputs as a sample is taken, and computes no downstream
        gradient.
    schedule : Schedule or FoldedSchedule
        When things happen in the whole learner.
    rounding, update_rounding, multiplier : str
        As in :class:`kanrtl.LearnerSpec`.
    saturating : frozenset of str
        The kinds of value that can saturate, and what else is counted; the others get no logic for it.
    forms_error : bool
        Node sum minus target is formed in the adder tree itself, rounding included, and y from it: the path to the
        coefficients then has one adder less. For a loss whose gradient is that difference, where the target comes with
        the sample.
    differences : bool
        An edge is c_0 + sum (c_j - c_0) b_j: the bases sum to one, and their derivatives to zero.
    first_lane : int
        Number of this layer's first noise lane.
    located : LocatedSum or None
        How this layer locates its inputs where they are exact sums.
    next_located : LocatedSum or None
        How the next layer locates the sums of this one.
    restarts : bool
        A reset writes anew everything that is stored: nothing has an initial value.
    """

    layer: LayerArithmetic
    index: int
    schedule: Schedule | FoldedSchedule
    rounding: str
    update_rounding: str
    multiplier: str
    saturating: frozenset[str]
    forms_error: bool
    differences: bool
    first_lane: int
    located: LocatedSum | None
    next_located: LocatedSum | None
    restarts: bool

    def ends(self, stage: str, below: int = 0) -> bool:
        """Whether ``stage`` ends in a register, in this layer or in one ``below`` it."""
        return stage in self.schedule.stages[self.index - below]

    @property
    def hidden(self) -> bool:
        """Whether another layer is before it, which it gives a gradient to."""
        return self.index > 0

    @property
    def folded(self) -> bool:
        """Whether its edges are gone through in several steps, by fewer multipliers."""
        return isinstance(self.schedule, FoldedSchedule)

    @property
    def streaming(self) -> bool:
        """Whether a sample is taken at every clock edge."""
        return self.schedule.streaming

    @property
    def stochastic(self) -> bool:
        """Whether updates are rounded by noise."""
        return self.update_rounding == "stochastic"

    @property
    def in_logic(self) -> bool:
        """Whether products are written out, rather than left to synthesis."""
        return self.multiplier == "lut"

    @property
    def looks_outside(self) -> bool:
        """Whether anything depends on whether inputs are outside of the grid, besides slopes."""
        return self.layer.holds or "outside" in self.saturating

    @property
    def counts_lost(self) -> bool:
        """Whether edges are counted of which no coefficient moves."""
        return "lost" in self.saturating

    @property
    def leaks_by_bank(self) -> bool:
        """Whether coefficients leak, and some banks have none that a sample touches."""
        return bool(self.layer.leak) and self.layer.banks > self.layer.window

    @property
    def serial(self) -> bool:
        """Whether products are formed by shift and add, a bit a cycle."""
        return self.multiplier == "serial"

    @property
    def block(self) -> bool:
        """Whether its coefficients lie in block memory."""
        return self.schedule.block_memory[self.index]

    @property
    def block_tables(self) -> bool:
        """Whether its tables lie in block memory."""
        return self.schedule.block_tables[self.index]

    @property
    def rows(self) -> int:
        """The rows of a memory of coefficients, in a layer that is not folded: what is read from outside is the
        disjunction of all memories, of which the others give a row of zeros, if they can begin with one."""
        return self.layer.depth + (not self.restarts)

    @property
    def table_blocks(self) -> bool:
        """Whether its bases lie in block memory too, and not only what is made of them."""
        return (self.block if self.folded else self.block_tables) and not self.restarts

    @property
    def making_cycles(self) -> int:
        """Cycles for which tables of steps are made when the learning rate is written."""
        layer = self.layer
        # One to begin, one for each bit of the learning rate, one to take the product, and those to read a basis.
        multiplied = layer.formats.learning_rate.width + 3 + self.registers_table
        return layer.table_size * layer.banks * (multiplied + 1)

    @property
    def parallel(self) -> Schedule:
        """The schedule of a learner that is not folded."""
        assert isinstance(self.schedule, Schedule)
        return self.schedule

    @property
    def times(self) -> LayerTimes:
        """When the values of a layer that is not folded are there."""
        return self.parallel.layers[self.index]

    @property
    def passes(self) -> Passes:
        """The passes of a folded layer."""
        assert isinstance(self.schedule, FoldedSchedule)
        return self.schedule.passes[self.index]

    # Of layers that are not folded.

    @property
    def held(self) -> bool:
        """Whether its inputs are held in registers, from the edge that takes a sample."""
        return not self.hidden and not self.streaming

    @property
    def holds_addresses(self) -> bool:
        """Whether the coefficients' addresses are in registers: those of the sample that was taken, or beside the
        register of the tables."""
        beside = self.block_tables and not self.block and self.times.fetch == self.times.table
        return not self.hidden or beside

    @property
    def looks_up_early(self) -> bool:
        """Whether the sample's register stands behind the basis table: its path from there on is then the shorter."""
        if self.hidden:
            return False
        if self.block_tables:
            return self.times.table == self.times.fetch
        return not self.block and not self.ends("locate")

    @property
    def registers_table(self) -> bool:
        """Whether a table's values pass a register at ``read``."""
        return self.times.table < self.times.read and self.ends("read")

    @property
    def registers_change(self) -> bool:
        """Whether a register stands behind what a coefficient is changed by."""
        return not self.folded and self.ends("change")

    @property
    def registers_update(self) -> bool:
        """Whether a register stands behind changed coefficients."""
        return not self.folded and self.ends("update")

    @property
    def writes_late(self) -> bool:
        """Whether a coefficient is written a cycle after it was changed, and may be changed again before."""
        return self.streaming and self.registers_update

    @property
    def arrival(self) -> int:
        """When its inputs are there, or taken."""
        return self.parallel.layers[self.index - 1].summed if self.hidden else 0

    @property
    def scaled(self) -> int:
        """When steps are there, before the register after ``step``."""
        return self.times.table if self.block_tables else self.times.read + self.ends("scale")

    @property
    def multiplied(self) -> int:
        """When steps and gradients meet."""
        return self.times.rounded - self.ends("product")

    @property
    def linear(self) -> LinearArithmetic:
        """The arithmetic of its linear paths; only where it has them."""
        assert self.layer.linear, f"layer {self.index} has no linear paths"
        return self.layer.linear

    @property
    def settled(self) -> int:
        """When its inputs are there for its linear paths: in the first layer behind the register that takes them."""
        return max(1, self.arrival)

    @property
    def scales_linear(self) -> bool:
        """Whether a register stands in the rate times x, after the stage ``scale``: only where the steps of the other
        coefficients leave the time."""
        return self.ends("scale") and self.settled + 1 + self.ends("step") <= self.times.step

    @property
    def factor(self) -> Format:
        """What is multiplied by bases and derivatives: factors, or their differences from the window's first."""
        factor = self.layer.formats.factor
        return Format(True, factor.i + self.differences, factor.f)

    @property
    def factors(self) -> int:
        """How many of them an edge has."""
        return self.layer.banks - self.differences

    @property
    def turnaround(self) -> int | None:
        """Cycles from a window's address to its change, where samples stream."""
        return self.times.changed - self.writes_late - self.times.fetch if self.streaming else None

    @cached_property
    def step_bits(self) -> int:
        """Bits of a step that any learning rate can set."""
        layer, formats = self.layer, self.layer.formats
        largest = formats.learning_rate.maximum * int(layer.basis_table.max())
        result, _ = narrow(np.array(largest), layer.step_product.f, formats.step, self.rounding)
        return max(1, int(result).bit_length())


def plan_learner(
    spec: LearnerFields, layers: Sequence[LayerArithmetic], schedule: Schedule | FoldedSchedule
) -> tuple[LayerPlan, ...]:
    """The plan of every layer, first layer first."""
    last = len(layers) - 1
    located = _located_sums(spec, layers)
    plans: list[LayerPlan] = []
    first_lane = 0
    for index, (layer, differences) in enumerate(zip(layers, _sum_differences(spec, layers, schedule), strict=True)):
        saturating = layer.saturating(spec.rounding, hidden=index > 0)
        if index == last and find_loss(spec.loss).clips(layer, spec.rounding):
            saturating |= {"gradient"}
        if "outside" in spec.counts and layer.leaves_grid:
            saturating |= {"outside"}
        if "lost" in spec.counts and spec.update_rounding != "stochastic":
            saturating |= {"lost"}
        plans.append(
            LayerPlan(
                layer=layer,
                index=index,
                schedule=schedule,
                rounding=spec.rounding,
                update_rounding=spec.update_rounding,
                multiplier=spec.multiplier,
                saturating=saturating,
                forms_error=index == last and _forms_error(spec, layer),
                differences=differences,
                first_lane=first_lane,
                located=located[index],
                next_located=located[index + 1] if index < last else None,
                restarts=spec.restarts,
            )
        )
        first_lane += layer.lanes
    return tuple(plans)


def count_restart_cycles(plans: Sequence[LayerPlan], access_cycles: int, registers: int) -> int:
    """Clock cycles from the edge that lets a learner write everything anew to the first at which a sample can be taken.

    Parameters
    ----------
    plans
        Of its layers.
    access_cycles
        The cycles of an access: there is one for each coefficient, and for each register.
    registers
        How many writes of registers there are.
    """
    writes = registers + sum(plan.layer.n_out * plan.layer.n_in * plan.layer.coefficients for plan in plans)
    # Between two of them the answer passes, and the next is taken.
    between = 2
    tables = sum(plan.making_cycles for plan in plans if not plan.folded and plan.block_tables)
    return writes * (access_cycles + between) + between + tables


def _forms_error(spec: LearnerFields, layer: LayerArithmetic) -> bool:
    """Whether the last layer's adder trees give the errors: the target has to be there in time, and not be finer."""
    in_time = spec.teaching == "with_sample" and not spec.folded and not layer.modulation
    return in_time and find_loss(spec.loss).is_difference and layer.node_sum.f >= layer.formats.output.f


def _located_sums(spec: LearnerFields, layers: Sequence[LayerArithmetic]) -> tuple[LocatedSum | None, ...]:
    """For every layer how it locates the exact sums of the layer before, if it can; the first has none before.

    A linear path takes the rounded input, and its layer locates that too: one adder, and not two.
    """
    if spec.folded:
        return (None,) * len(layers)
    return (
        None,
        *(
            None
            if below.modulation or layer.linear
            else LocatedSum.of(layer.locator, layer.formats.input, below.node_sum, spec.rounding)
            for below, layer in pairwise(layers)
        ),
    )


def _sum_differences(
    spec: LearnerFields, layers: Sequence[LayerArithmetic], schedule: Schedule | FoldedSchedule
) -> tuple[bool, ...]:
    """For every layer, whether its edges are sums of differences: ``edge_sums``, with ``auto`` decided."""
    if spec.folded:
        return (False,) * len(layers)
    parted = [bool(stages & {"read", "multiply"}) for stages in schedule.stages]
    return tuple(
        choice == "differences"
        or (
            choice == "auto"
            and not layer.modulation
            and layer.n_in > 1
            and layer.formats.factor.width < WIDEST_OPERAND
            and not registered
        )
        for choice, layer, registered in zip(spec.per_layer("edge_sums"), layers, parted, strict=True)
    )
