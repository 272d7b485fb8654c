"""What a learner is made of, counted as its components build it: each function here follows one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...fabric.blocks import Family
from ...fabric.parts import Parts
from ...numeric.fixed import Format, rounding_constant
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ...numeric.widths import bits_for, clog2
from ..address_map import COUNTER_WIDTH, AddressMap
from ..folded_schedule import FoldedSchedule
from ..losses import find_loss
from ..plan import LayerPlan
from ..rtl.basis import count_basis
from ..rtl.coefficients import count_coefficients
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
            (_FoldedLayer if spec.folded else _Layer)(plan, parts, predicts=predicts).count()
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


class _AnyLayer:
    """What layers of both kinds are made of."""

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


class _Layer(_AnyLayer):
    """Counts what :class:`kanrtl.learner.rtl.layer.Layer` has."""

    def _meet(self, bits: int, since: int, now: int, *, cut: bool = False) -> None:
        """Delays a value until it meets another: where samples stream, or the way to it is ``cut``."""
        if cut or self._plan.streaming:
            self._parts.register(bits * max(0, now - since))

    def count(self) -> None:
        layer = self._layer
        count_locate(self._parts, self._plan, layer.n_in)
        self._registers_of_place()
        count_coefficients(self._parts, self._plan)
        self._window_registers()
        count_basis(self._parts, self._plan, layer.n_in)
        if self._plan.block_tables:
            self._steps()
        else:
            self._scale()
        self._forward()
        if self._plan.hidden:
            self._downstream()
        edges = layer.n_in * layer.n_out * layer.banks
        formats = layer.formats
        step = Format(False, formats.step.i, formats.step.f)
        self._parts.product(
            formats.gradient, _shortened(step, self._plan.step_bits), in_logic=self._plan.in_logic, times=edges
        )
        if self._ends("product") and self._plan.in_logic:
            self._parts.register(layer.update_product.width * edges, moved=False)
        count_coefficient_update(self._parts, self._plan, edges)

    def _registers_of_place(self) -> None:
        layer, parts = self._layer, self._parts
        place = (layer.bases - 1).bit_length() + layer.locator.row_bits + 1
        address = layer.depth.bit_length() * layer.banks
        if self._ends("position"):
            parts.register(layer.n_in * (layer.position.width - layer.position.f), moved=False)
        if self._plan.hidden and self._ends("locate"):
            parts.register(layer.n_in * place, moved=False)
        if self._plan.hidden and self._plan.block_tables:
            held = (layer.bases - 1).bit_length() if self._plan.times.fetch == self._plan.times.table else 0
            parts.register(layer.n_in * (held + 1), moved=False)
        if not self._plan.hidden:
            parts.register(layer.n_in * address, moved=False)
            early = self._plan.times.table == self._plan.times.fetch if self._plan.block_tables else False
            if self._plan.block_tables or self._plan.block or self._ends("locate"):
                parts.register(0 if early else layer.n_in * (place - 1), moved=False)
            else:
                parts.register(layer.n_in * layer.banks * layer.formats.basis.width, moved=False)

    def _window_registers(self) -> None:
        layer, parts, times = self._layer, self._parts, self._plan.times
        width, memories = layer.formats.coefficient.width, layer.n_in * layer.banks
        since = times.fetch + self._plan.block
        if since < times.read and self._ends("read"):
            parts.register_behind(width * layer.n_out * memories, block=self._plan.block)
            since += 1
        self._meet(width * layer.n_out * memories, since, times.read, cut=self._plan.hidden)
        self._basis_registers()

    def _basis_registers(self) -> None:
        layer, parts, times = self._layer, self._parts, self._plan.times
        bits = layer.banks * (layer.formats.basis.width + self._plan.hidden * layer.derivative.width) * layer.n_in
        since = times.table
        if since < times.read and self._ends("read"):
            parts.register_behind(bits, block=self._plan.block_tables)
            since += 1
        self._meet(bits, since, times.read, cut=self._plan.hidden)

    def _steps(self) -> None:
        """See :class:`kanrtl.learner.rtl.step_tables.Steps`."""
        layer, parts, formats = self._layer, self._parts, self._layer.formats
        saturates = "step" in self._plan.saturating
        word = (self._plan.step_bits + saturates) * layer.banks
        rows = layer.table_size * layer.banks
        self._meet(word * layer.n_in, self._plan.times.step, self._plan.times.rounded - self._ends("product"))
        if self._ends("step"):
            parts.register_behind(word * layer.n_in, block=True)
        parts.memory("steps", rows, word, block=True, lanes=1, count=layer.n_in)
        place = rows.bit_length()
        rate = formats.learning_rate.width
        beat = (rate + 3).bit_length()
        parts.counts["counter"] += place + beat
        parts.register(place + beat + word + layer.step_product.width + 2, moved=False)
        parts.choice(word // layer.banks)
        parts.adder(layer.formats.basis.width + 1)
        parts.choice(rate)
        self._narrowed("step", layer.step_product, formats.step, 1, rounds=False)
        parts.choice(layer.locator.row_bits + (layer.banks - 1).bit_length())

    def _scale(self) -> None:
        """Learning rate times basis, in logic."""
        layer, parts, formats = self._layer, self._parts, self._layer.formats
        times = layer.n_in * layer.banks
        parts.written_out(formats.basis, formats.learning_rate, times)
        self._narrowed("step", layer.step_product, formats.step, times)
        if self._ends("scale"):
            parts.register((layer.step_product.width + formats.basis.width) * times, moved=False)
        if self._ends("step"):
            parts.register(formats.step.width * times, moved=False)
        self._meet(formats.step.width * times, self._plan.times.step, self._plan.times.rounded - self._ends("product"))

    def _tree(self, terms: int, bits: int, product: int, times: int, extra: int = 0) -> None:
        """A sum of products, which are added in pairs first, and ``extra``, the high bits of a third summand then."""
        parts = self._parts
        if self._ends("multiply") and self._plan.in_logic:
            parts.register(product * terms * times, moved=False)
        pairs = terms // self._layer.banks * (self._layer.banks // 2)
        parts.adder(product, pairs * times)
        if self._ends("add"):
            parts.register(product * pairs * times, moved=False)
        if extra and pairs == 2:
            parts.adder(bits, times)
            parts.counts["compressor"] += extra * times
        else:
            parts.sum(pairs + bool(extra), bits, times)
        if self._ends("sum"):
            parts.register(bits * times, moved=False)

    def _differences(self) -> None:
        """Sums of differences: they serve both passes."""
        layer, parts, formats = self._layer, self._parts, self._layer.formats
        edges = layer.n_in * layer.n_out
        difference = Format(True, formats.coefficient.i + 1, formats.coefficient.f)
        parts.adder(difference.width, edges * (layer.banks - 1))
        terms = layer.n_in * (layer.banks - 1)
        product = difference.width + formats.basis.width
        parts.product(difference, formats.basis, in_logic=self._plan.in_logic, times=terms * layer.n_out)
        if self._ends("multiply") and self._plan.in_logic:
            parts.register(product * terms * layer.n_out, moved=False)
        pairs = (terms + 1) // 2
        parts.adder(product + 1, terms // 2 * layer.n_out)
        if self._ends("add"):
            parts.register((product + 1) * pairs * layer.n_out, moved=False)
        bits = layer.error_sum.width if self._plan.forms_error else layer.node_sum.width
        apart = self._plan.forms_error and self._ends("sum") and self._ends("error")
        # What the others are added to comes twice where y is rounded otherwise than the sum that goes on.
        ways = 1 + (
            bool(self._plan.next_located) or (self._plan.forms_error and layer.n_in > 1 and not self._ends("sum"))
        )
        parts.sum(layer.n_in, formats.coefficient.width + clog2(layer.n_in), layer.n_out)
        parts.adder(bits - formats.basis.f, ways * layer.n_out)
        self._meet(bits * ways * layer.n_out, self._plan.times.read, self._plan.times.added)
        parts.adder(bits, _adders(pairs, ways) * layer.n_out)
        if self._ends("sum"):
            parts.register(bits * (ways if self._plan.next_located else 1) * layer.n_out, moved=False)
        self._rounded(apart)

    def _rounded(self, apart: bool) -> None:
        """What becomes of sums of differences."""
        layer, parts, activation = self._layer, self._parts, self._layer.formats.activation
        rounds = rounding_constant(self._plan.rounding, layer.error_sum.f - layer.formats.gradient.f)
        if self._plan.forms_error:
            parts.adder(activation.width + 1, layer.n_out)
            kind = "gradient", layer.error_sum, layer.formats.gradient
            self._narrowed(*kind, layer.n_out, rounds=rounds is None)
            if apart or (self._predicts and (layer.n_in == 1 or self._ends("sum"))):
                parts.adder(layer.node_sum.width, layer.n_out)
            if self._predicts:
                early = rounds is not None and not apart
                self._narrowed("activation", layer.node_sum, activation, layer.n_out, rounds=not early)
        elif self._plan.next_located:
            # Of y it is only looked at whether it saturates.
            parts.counts["detection"] += max(0, layer.node_sum.i - activation.i) * layer.n_out
        elif self._predicts:
            self._narrowed("activation", layer.node_sum, activation, layer.n_out)

    def _forward(self) -> None:
        if self._plan.differences:
            self._differences()
            return
        layer, parts, formats = self._layer, self._parts, self._layer.formats
        terms = layer.n_in * layer.banks
        parts.product(formats.coefficient, formats.basis, in_logic=self._plan.in_logic, times=terms * layer.n_out)
        product = formats.coefficient.width + formats.basis.width
        activation = formats.activation
        if not self._plan.forms_error:
            self._tree(terms, layer.node_sum.width, product, layer.n_out)
            if self._plan.next_located:
                # Of y it is only looked at whether it saturates.
                parts.adder(layer.node_sum.width, layer.n_out)
                parts.counts["detection"] += max(0, layer.node_sum.i - activation.i) * layer.n_out
            elif self._predicts:
                self._narrowed("activation", layer.node_sum, activation, layer.n_out)
            return
        rounds = rounding_constant(self._plan.rounding, layer.error_sum.f - formats.gradient.f)
        apart = self._ends("sum") and self._ends("error")
        parts.adder(activation.width + 1, layer.n_out)
        self._tree(terms, layer.error_sum.width, product, layer.n_out, extra=0 if apart else activation.width + 2)
        self._narrowed("gradient", layer.error_sum, formats.gradient, layer.n_out, rounds=rounds is None)
        if self._predicts:
            parts.sum(2 if apart else 3, layer.node_sum.width, layer.n_out)
            self._narrowed("activation", layer.node_sum, activation, layer.n_out, rounds=rounds is None or apart)
        times = self._plan.times
        self._meet((activation.width + 2) * layer.n_out, 1, times.summed if apart else times.added)
        if not apart and self._predicts:
            self._meet(activation.width * layer.n_out, 1, times.summed)

    def _downstream(self) -> None:
        layer, parts, formats = self._layer, self._parts, self._layer.formats
        edges, times = layer.n_in * layer.n_out, self._plan.times
        differences = self._plan.differences
        factor = Format(True, formats.coefficient.i + differences, formats.coefficient.f)
        terms = layer.banks - differences
        parts.product(factor, layer.derivative, in_logic=self._plan.in_logic, times=edges * terms)
        product = factor.width + layer.derivative.width
        if differences:
            parts.adder(product, terms // 2 * edges)
            parts.sum((terms + 1) // 2, layer.slope_sum.width, edges)
            if self._ends("add"):
                parts.register(product * ((terms + 1) // 2) * edges, moved=False)
            if self._ends("multiply") and self._plan.in_logic:
                parts.register(product * terms * edges, moved=False)
            if self._ends("sum"):
                parts.register(layer.slope_sum.width * edges, moved=False)
        else:
            self._tree(layer.banks, layer.slope_sum.width, product, edges)
        self._narrowed("slope", layer.slope_sum, formats.slope, edges)
        if self._ends("error"):
            parts.register(formats.slope.width * edges, moved=False)
        self._meet(formats.slope.width * edges, times.summed + self._ends("error"), times.gradient)
        parts.product(formats.gradient, formats.slope, in_logic=self._plan.in_logic, times=edges)
        if self._ends("downstream") and self._plan.in_logic:
            parts.register(layer.downstream_sum.width * edges, moved=False)
        parts.sum(layer.n_out, layer.downstream_sum.width, layer.n_in)
        self._narrowed("gradient", layer.downstream_sum, formats.gradient, layer.n_in)
        if self._ends("error", below=1):
            parts.register(formats.gradient.width * layer.n_in, moved=False)


def _adders(terms: int, offsets: int) -> int:
    """Adders that :func:`kanrtl.learner.rtl.multiply.add_offsets` makes."""
    adders, inside = 0, False
    while terms > 1 + (not inside):
        if terms % 2:
            terms, adders, inside = terms - 1, adders + offsets, True
        terms //= 2
        adders += terms
    return adders + offsets


class _FoldedLayer(_AnyLayer):
    """Counts what :class:`kanrtl.learner.rtl.folded_layer.FoldedLayer` has."""

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


def _shortened(format: Format, bits: int) -> Format:
    """``format`` without the high bits that are always zero."""
    return Format(format.signed, min(bits, format.width), 0)


def _common(formats: list[Format]) -> Format:
    """What holds the codes of all of them."""
    signed = any(format.signed for format in formats)
    return Format(signed, max(format.width + (signed and not format.signed) for format in formats), 0)
