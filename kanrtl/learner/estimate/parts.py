"""What a learner is made of, counted as its components build it: each function here follows one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...fabric.blocks import Family
from ...fabric.parts import Parts
from ...numeric.fixed import Format
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ...numeric.widths import bits_for
from ..address_map import COUNTER_WIDTH, AddressMap
from ..folded_schedule import FoldedSchedule
from ..losses import find_loss
from ..plan import LayerPlan
from ..rtl.basis import count_basis
from ..rtl.layer import count_layer
from ..rtl.locate import count_locate
from ..rtl.loss_gradient import count_loss_gradient
from ..rtl.narrowing import count_narrowing
from ..rtl.update import count_coefficient_update
from ..schedule import Schedule

if TYPE_CHECKING:
    from ..spec import LearnerSpec

__all__ = ["count_parts"]


def count_parts(spec: LearnerSpec, family: Family, *, multiplies: bool) -> Parts:
    """The parts of a learner; ``multiplies``: whether products that are left to synthesis get multipliers."""
    parts = Parts(family, multiplies=multiplies)
    _Learner(spec, parts, reached=True).count()
    return parts


class _Learner:
    """Counts what :class:`kanrtl.Learner` has."""

    def __init__(self, spec: LearnerSpec, parts: Parts, *, reached: bool) -> None:
        self._spec = spec
        self._parts = parts
        self._reached = reached
        self._kinds: set[str] = set()

    def count(self) -> None:
        spec, parts = self._spec, self._parts
        parts.counts["learner"] += 1
        last = spec.n_layers - 1
        for index, plan in enumerate(spec.plans):
            parts.counts["layer"] += 1
            self._kinds |= plan.saturating
            predicts = self._reached or index < last or find_loss(spec.loss).reads_outputs
            if spec.folded:
                _FoldedLayer(plan, parts, predicts=predicts).count()
            else:
                count_layer(parts, plan, predicts=predicts)
        if not spec.plans[-1].forms_error:
            count_loss_gradient(parts, spec)
        self._sequence()
        if self._reached:
            self._monitor()
            self._access()
        if spec.update_rounding == "stochastic":
            parts.noise()
            parts.choice(NOISE_WIDTH if self._reached else 0)

    def _sequence(self) -> None:
        spec, parts, timing = self._spec, self._parts, self._spec.timing
        formats = spec.formats
        parts.register(spec.n_out * spec.target_format.width)
        parts.register(self._reached * spec.n_out * formats.activation.width + 1, moved=False)
        if "error" in timing.stages[-1]:
            parts.register(spec.n_out * formats.gradient.width, moved=False)
        if timing.streaming:
            assert isinstance(timing, Schedule)
            parts.register(2 * timing.latency)
            times = timing.layers[-1]
            parts.register((timing.latency - times.gradient) * spec.n_out * formats.gradient.width)
            if not spec.plans[-1].forms_error:
                parts.register((times.summed - 1) * spec.n_out * spec.target_format.width)
            return
        parts.counts["counter"] += bits_for(max(timing.latency, timing.access_cycles))
        parts.register(bits_for(timing.latency) + 5, moved=False)

    def _monitor(self) -> None:
        self._parts.counts["counter"] += COUNTER_WIDTH * len(self._kinds)
        self._parts.register((COUNTER_WIDTH + 1) * len(self._kinds), moved=False)

    def _access(self) -> None:
        """Learning rates, and what is reached from outside."""
        spec, parts, timing = self._spec, self._parts, self._spec.timing
        addresses, coefficient = AddressMap.of(spec), spec.formats.coefficient
        rate = spec.formats.learning_rate.width
        parts.register(addresses.width + 1)
        parts.register(2 * addresses.data_width + 1, moved=False)
        parts.register(rate * spec.n_layers)
        parts.union(rate, spec.n_layers + 1)
        parts.union(COUNTER_WIDTH, len(self._kinds) + 1)
        parts.choice(addresses.data_width, times=2)
        for index, layer in enumerate(spec.layers):
            reads = layer.n_in * layer.banks
            if isinstance(timing, FoldedSchedule):
                passes = timing.passes[index]
                parts.choice(coefficient.width, reads // passes.inputs * layer.n_out // passes.nodes)
            else:
                parts.union(coefficient.width, reads, layer.n_out)
                parts.choice(coefficient.width, layer.n_out)


class _FoldedLayer:
    """Counts what :class:`kanrtl.learner.rtl.folded_layer.FoldedLayer` has."""

    def __init__(self, plan: LayerPlan, parts: Parts, *, predicts: bool) -> None:
        """``predicts``: whether anything looks at y."""
        self._plan = plan
        self._parts = parts
        self._predicts = predicts
        self._layer = plan.layer

    def _ends(self, stage: str, below: int = 0) -> bool:
        return self._plan.ends(stage, below)

    def _narrowed(self, kind: str, value: Format, format: Format, times: int, rounds: bool = True) -> None:
        count_narrowing(self._parts, self._plan, kind, value, format, times, rounds=rounds)

    def count(self) -> None:
        layer, parts = self._layer, self._parts
        self._inputs, self._nodes = layer.n_in // self._plan.passes.inputs, layer.n_out // self._plan.passes.nodes
        self._steps = self._plan.passes.inputs * self._plan.passes.nodes
        self._lanes = self._inputs * self._nodes * layer.banks
        parts.counts["lane"] += self._lanes
        self._sequence()
        self._read()
        self._multiply()
        self._accumulate()

    def _delay(self, bits: int, since: int, until: int) -> None:
        span = until - since
        if self._plan.passes.clocks > 1 and span >= self._plan.passes.clocks:
            span -= self._plan.passes.clocks - 1
        self._parts.register(bits * max(0, span))

    def _sequence(self) -> None:
        passes, parts = self._plan.passes, self._parts
        bits = [(count - 1).bit_length() for count in (passes.inputs, passes.nodes, passes.clocks)]
        parts.counts["counter"] += sum(bits)
        parts.register(sum(bits) + 5 + passes.multiplied + passes.written * (1 + passes.hidden), moved=False)
        self._delay(bits[0] + bits[1], 0, passes.written)

    def _read(self) -> None:
        layer, parts, passes, formats = self._layer, self._parts, self._plan.passes, self._layer.formats
        place = (layer.bases - 1).bit_length() + layer.locator.row_bits
        if not passes.hidden and not passes.held_place:
            parts.register(formats.activation.width * layer.n_in)
        parts.choice(formats.activation.width, passes.inputs, self._inputs)
        count_locate(self._parts, self._plan, self._inputs)
        if passes.held_place:
            parts.register(place * self._inputs, moved=False)
        else:
            self._delay(place * self._inputs, 0, passes.located)
        count_basis(self._parts, self._plan, self._inputs)
        values = layer.banks * (formats.basis.width + passes.hidden * layer.derivative.width)
        parts.register_behind(values * self._inputs * (passes.read - passes.settled), block=self._plan.block)
        width, memories = formats.coefficient.width, self._inputs * layer.banks
        depth = self._steps * layer.depth
        parts.memory(
            "coefficients", depth, width * self._nodes, block=self._plan.block, lanes=self._nodes, count=memories
        )
        address = (depth - 1).bit_length()
        parts.sum(3 if self._steps > 1 else 2, address, memories)
        parts.register_behind(width * self._nodes * memories * (passes.read - passes.settled), block=self._plan.block)
        if self._steps > 1:
            self._delay(address * memories, passes.located, passes.written)
            self._delay(width * self._lanes, passes.read, passes.written)

    def _multiply(self) -> None:
        layer, parts, passes, formats = self._layer, self._parts, self._plan.passes, self._layer.formats
        in_logic, serial = self._plan.in_logic, self._plan.multiplier == "serial"
        # Learning rate times basis, by every lane of the inputs.
        scaled = self._inputs * layer.banks
        parts.written_out(formats.basis, formats.learning_rate, scaled)
        self._narrowed("step", layer.step_product, formats.step, scaled)
        self._delay(formats.step.width * scaled, passes.read, passes.scaled)
        parts.choice(formats.step.width, times=scaled)
        parts.choice(formats.gradient.width, passes.nodes, self._nodes)
        uses = [(formats.coefficient, formats.basis), (formats.gradient, formats.step)]
        if passes.hidden:
            uses.append((formats.coefficient, layer.derivative))
        groups = [uses] if passes.shared else [[use] for use in uses]
        for group in groups:
            a, b = _common([use[0] for use in group]), _common([use[1] for use in group])
            parts.choice(a.width + b.width, len(group), self._lanes)
            self._product(a, b, self._lanes, in_logic, serial)
        if passes.hidden:
            self._product(formats.gradient, formats.slope, self._inputs * self._nodes, in_logic, serial)
        count_coefficient_update(self._parts, self._plan, self._lanes)
        parts.choice(formats.coefficient.width, times=self._lanes)

    def _product(self, a: Format, b: Format, times: int, in_logic: bool, serial: bool) -> None:
        parts, clocks = self._parts, self._plan.passes.clocks
        if serial:
            parts.register((a.width + clocks) * times, moved=False)
            # The waiting bits, the term that the next of them gives, the sum so far or none, and their adder.
            parts.counts["serial"] += (clocks + (3 + b.signed) * a.width + 1) * times
            return
        parts.product(a, b, in_logic=in_logic, times=times)
        if self._ends("multiply") and in_logic:
            parts.register((a.width + b.width) * times, moved=False)

    def _accumulate(self) -> None:
        layer, parts, passes, formats = self._layer, self._parts, self._plan.passes, self._layer.formats
        self._sums(self._inputs * layer.banks, layer.node_sum, passes.inputs, passes.nodes, layer.n_out, self._nodes)
        if self._predicts:
            self._narrowed("activation", layer.node_sum, formats.activation, layer.n_out)
        if not passes.hidden:
            return
        edges = self._inputs * self._nodes
        parts.sum(layer.banks, layer.slope_sum.width, edges)
        self._delay(layer.slope_sum.width * edges, passes.multiplied, passes.sloped)
        self._narrowed("slope", layer.slope_sum, formats.slope, edges)
        self._sums(self._nodes, layer.downstream_sum, passes.nodes, passes.inputs, layer.n_in, self._inputs)
        self._narrowed("gradient", layer.downstream_sum, formats.gradient, layer.n_in)
        if self._ends("error", below=1):
            parts.register(formats.gradient.width * layer.n_in, moved=False)

    def _sums(self, terms: int, format: Format, along: int, across: int, kept: int, lanes: int) -> None:
        """What adds up along an axis, in ``lanes``, and ``kept`` registers for the sums."""
        parts = self._parts
        parts.sum(terms, format.width, lanes)
        if along > 1:
            parts.adder(format.width, lanes)
            parts.choice(format.width, times=lanes)
            if across > 1:
                parts.register(format.width * lanes)
        parts.register(format.width * kept, moved=False)


def _common(formats: list[Format]) -> Format:
    """What holds the codes of all of them."""
    signed = any(format.signed for format in formats)
    return Format(signed, max(format.width + (signed and not format.signed) for format in formats), 0)
