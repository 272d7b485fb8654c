"""What a learner is made of, counted as :mod:`kanrtl.rtl` builds it: each function here follows a component there."""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from ..address_map import COUNTER_WIDTH, AddressMap
from ..arithmetic import Sigmoid, bits_for, clog2
from ..fixed import Codes, Format, Rounding, narrow, rounding_constant
from ..noise import WIDTH as NOISE_WIDTH
from ..noise import leap_taps
from ..rtl.exercise import AVERAGE_SHIFT, WAVE_BITS
from ..rtl.locate import located_sums
from ..schedule import LayerTimes, Schedule
from ..sweep import Sweep, SweptSchedule
from .blocks import Family, Memory, multipliers

if TYPE_CHECKING:
    from ..spec import LearnerSpec

__all__ = ["KINDS", "Parts", "count_exercise", "count_parts"]

DRIFT_BITS = 19
"""Of the exercise's own period."""

KINDS = {
    "adder": "bits of sums that are formed in a carry chain",
    "chain": "carry chains",
    "compressor": "bits of a third and further operand of one sum, which is reduced to two without a carry",
    "term": "bits of the terms of a product that is written out",
    "product": "bits of the terms of a product that synthesis makes of LUTs",
    "serial": "bits of what multiplies by one bit a clock",
    "choice": "bits chosen from two; from more, as many as a tree of LUTs has",
    "limit": "bits that are kept within a format's limits",
    "detection": "bits looked at to see what is beyond them",
    "truth table": "bits of tables in logic, in units of a LUT's 16",
    "counter": "bits of counters that can be cleared",
    "parity": "bits that are an exclusive or",
    "register": "flip-flops",
    "moved": "flip-flops that take what no LUT has formed",
    "collision": "bits of what is written to a memory block and may be read at that edge, held to be read after it",
    "lane": "lanes of a swept layer",
    "layer": "layers",
    "learner": "one",
}
"""What LUTs go to, and in which unit it is counted."""


class Parts:
    """Memories, multipliers, and whatever else there is, in the units of :data:`KINDS`.

    Parameters
    ----------
    family
        What multipliers and memories are made of.
    multiplies
        Whether a product that is left to synthesis gets multipliers.
    """

    def __init__(self, family: Family, *, multiplies: bool) -> None:
        self.family = family
        self._multiplies = multiplies
        self.counts: Counter[str] = Counter()
        self.memories: list[Memory] = []
        self.multipliers = 0

    def memory(
        self, name: str, depth: int, width: int, *, block: bool, lanes: int = 0, reads: int = 1, count: int = 1
    ) -> None:
        memory = Memory(name, depth, width, lanes, reads, block, count)
        self.memories.append(memory)
        segments = memory.segments(self.family)
        self.choice(width, segments, reads * count)
        if segments > 1 and lanes:
            # Each segment is written when it is meant.
            self.union(segments, 2 + clog2(segments), lanes * count)
        if segments > 1 and block:
            self.register(clog2(segments) * reads * count)
        if name == "coefficients" and block:
            self.counts["collision"] += (width + (depth - 1).bit_length() + 1) * count

    def blocks(self, *, block: bool) -> int:
        """Memory blocks, or groups of LUTs with a memory in each."""
        return sum(memory.blocks(self.family) for memory in self.memories if memory.block == block)

    def register(self, bits: int, *, moved: bool = True) -> None:
        """Flip-flops; ``moved``: of what comes from a register, a multiplier or a memory, or is needed elsewhere."""
        self.counts["register"] += bits
        self.counts["moved"] += bits if moved else 0

    def register_behind(self, bits: int, *, block: bool) -> None:
        """Flip-flops behind a memory."""
        if not (block and self.family.registered):
            self.register(bits)

    def adder(self, bits: int, times: int = 1) -> None:
        if bits > 0:
            self.counts["adder"] += bits * times
            self.counts["chain"] += times

    def sum(self, operands: int, bits: int, times: int = 1) -> None:
        """One sum of several operands."""
        if operands > 1:
            self.adder(bits, times)
            self.counts["compressor"] += (operands - 2) * bits * times

    def choice(self, bits: int, ways: int = 2, times: int = 1) -> None:
        """A LUT4 chooses from two, and two of them from four."""
        self.counts["choice"] += bits * times * (ways - 1 if ways <= 2 else ceil(2 * (ways - 1) / 3))

    def union(self, bits: int, ways: int, times: int = 1) -> None:
        """Four in a LUT4, three more in each further one."""
        self.counts["choice"] += bits * times * ceil((ways - 1) / 3)

    def noise(self) -> None:
        """See :class:`kanrtl.rtl.noise.Noise`."""
        self.register(NOISE_WIDTH, moved=False)
        self.counts["parity"] += sum(ceil((len(taps) - 1) / 3) for taps in leap_taps())

    def times_constant(self, bits: int, constant: int) -> None:
        """See :func:`kanrtl.rtl.multiply.times_constant`."""
        digits = bin(constant ^ 3 * constant).count("1")
        self.sum(digits, bits + constant.bit_length())

    def product(self, a: Format, b: Format, *, in_logic: bool, times: int = 1) -> None:
        """A product, in a multiplier or written out: :func:`kanrtl.rtl.multiply.product`."""
        if in_logic:
            self.written_out(a, b, times)
            return
        mixed = a.signed != b.signed
        widths = [format.width + (mixed and not format.signed) for format in (a, b)]
        count = multipliers(widths[0], widths[1], self.family) if self._multiplies else 0
        if count:
            self.multipliers += count * times
            # What is cut into pieces is added up again.
            self.adder(sum(widths), (count - 1) * times)
        else:
            self.counts["product"] += widths[0] * widths[1] * times

    def written_out(self, a: Format, b: Format, times: int = 1) -> None:
        """See :func:`kanrtl.rtl.multiply.product_in_logic`."""
        if a.signed != b.signed:
            a, b = (a, b) if a.signed else (b, a)
        elif b.signed and a.width < b.width:
            a, b = b, a
        self.counts["term"] += a.width * b.width * times
        self.adder(a.width + 1, times * (b.width - 1))

    def narrowed(
        self, value: Format, format: Format, rounding: str, *, saturates: bool, times: int = 1, rounds: bool = True
    ) -> None:
        """See :func:`kanrtl.fixed.narrow`; ``rounds`` is not set where what rounds it is in a sum already."""
        dropped = value.f - format.f
        if rounds and dropped > 0 and rounding != Rounding.FLOOR:
            self.adder(max(0, value.width - (dropped - 1 if rounding == Rounding.HALF_UP else 0)), times)
        if saturates:
            self.counts["limit"] += format.width * times
            self.counts["detection"] += max(0, value.width - dropped - format.width) * times


def count_parts(spec: LearnerSpec, family: Family, *, multiplies: bool) -> Parts:
    """The parts of a learner; ``multiplies``: whether products that are left to synthesis get multipliers."""
    parts = Parts(family, multiplies=multiplies)
    _Learner(spec, parts, reached=True).count()
    return parts


def count_exercise(spec: LearnerSpec, family: Family, lamps: int, *, multiplies: bool) -> Parts:
    """The parts of a learner and its teacher, :class:`kanrtl.rtl.exercise.Exercise`. Nothing there looks at a
    prediction, or reaches for a coefficient or a register: synthesis removes what would serve that."""
    parts = Parts(family, multiplies=multiplies)
    _Learner(spec, parts, reached=False).count()
    formats, clock = spec.formats, DRIFT_BITS + WAVE_BITS
    parts.noise()
    parts.adder(formats.activation.width, spec.n_in)
    parts.counts["counter"] += clock + DRIFT_BITS
    parts.register(clock + DRIFT_BITS, moved=False)
    parts.counts["truth table"] += ceil(formats.activation.width * (1 << WAVE_BITS) / 16)
    average = formats.gradient.width + AVERAGE_SHIFT
    parts.sum(3, average)
    parts.register(average, moved=False)
    # Their thresholds are powers of two.
    parts.union(1, formats.gradient.width, lamps)
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
        for index, layer in enumerate(spec.layers):
            parts.counts["layer"] += 1
            loss = spec.loss if index == last else None
            saturating = layer.saturating(spec.rounding, hidden=index > 0, loss=loss)
            self._kinds |= saturating
            predicts = self._reached or index < last or spec.loss == "logistic"
            if isinstance(spec.timing, SweptSchedule):
                _SweptLayer(spec, index, parts, saturating, predicts=predicts).count()
            else:
                forms_error = index == last and self._forms_error
                _Layer(spec, index, parts, saturating, predicts=predicts, forms_error=forms_error).count()
        if not self._forms_error:
            self._loss()
        self._sequence()
        if self._reached:
            self._monitor()
            self._access()
        if spec.update_rounding == "stochastic":
            parts.noise()
            parts.choice(NOISE_WIDTH if self._reached else 0)

    @property
    def _forms_error(self) -> bool:
        spec = self._spec
        in_time = spec.teaching == "with_sample" and spec.loss == "squared" and not spec.swept
        return in_time and spec.layers[-1].node_sum.f >= spec.formats.activation.f

    def _loss(self) -> None:
        spec, parts, layer = self._spec, self._parts, self._spec.layers[-1]
        formats, n_out = spec.formats, spec.n_out
        if spec.loss == "external":
            return
        if spec.loss == "logistic":
            sigmoid = Sigmoid.of(formats.activation, formats.gradient)
            parts.counts["truth table"] += ceil(n_out * (1 << sigmoid.row_bits) * (sigmoid.value.f) / 16)
            parts.counts["limit"] += n_out * sigmoid.row_bits
            exact = Format(True, formats.activation.i + 1, max(sigmoid.value.f, formats.activation.f))
        else:
            exact = layer.error_sum
        parts.adder(exact.width, n_out)
        parts.narrowed(exact, formats.gradient, spec.rounding, saturates=True, times=n_out)

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
            if not self._forms_error:
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
            if isinstance(timing, SweptSchedule):
                sweep = timing.sweeps[index]
                parts.choice(coefficient.width, reads // sweep.inputs * layer.n_out // sweep.nodes)
            else:
                parts.union(coefficient.width, reads, layer.n_out)
                parts.choice(coefficient.width, layer.n_out)


class _AnyLayer:
    """What layers of both kinds are made of."""

    def __init__(
        self, spec: LearnerSpec, index: int, parts: Parts, saturating: frozenset[str], *, predicts: bool
    ) -> None:
        """``predicts``: whether anything looks at y."""
        self._spec = spec
        self._predicts = predicts
        self._index = index
        self._layer = spec.layers[index]
        self._parts = parts
        self._saturating = saturating
        self._in_logic = spec.multiplier == "lut"
        self._hidden = index > 0
        located = located_sums(spec)
        self._located = located[index]
        self._next_located = located[index + 1] if index + 1 < spec.n_layers else None
        self._block = spec.timing.block_memory[index]
        self._block_tables = spec.timing.block_tables[index]

    def _ends(self, stage: str, below: int = 0) -> bool:
        return stage in self._spec.timing.stages[self._index - below]

    def _narrowed(self, kind: str, value: Format, format: Format, times: int, rounds: bool = True) -> None:
        self._parts.narrowed(
            value, format, self._spec.rounding, saturates=kind in self._saturating, times=times, rounds=rounds
        )

    def _locate(self, inputs: int) -> None:
        """See :class:`kanrtl.rtl.locate.Locate`."""
        layer, parts = self._layer, self._parts
        locator, x = layer.locator, layer.formats.activation
        position, cell = layer.position.width - layer.position.f, (locator.end - 1).bit_length()
        digits = bin(locator.scale ^ 3 * locator.scale).count("1")
        for _ in range(inputs):
            if self._located:
                width = locator.shift + position
                if digits == 2 and self._located.offset:
                    parts.counts["compressor"] += width
                    parts.adder(width)
                else:
                    parts.sum(digits + bool(self._located.offset), width)
            elif locator.offset % locator.scale:
                parts.sum(digits + 1, x.width + locator.scale.bit_length())
            else:
                offset = locator.offset // locator.scale
                parts.adder(x.width + 1 - _trailing_zeros(offset) if offset else 0)
                parts.times_constant(x.width + 1, locator.scale)
            parts.counts["detection"] += max(0, position - cell)
            if locator.grid_size & (locator.grid_size - 1) and not self._located:
                parts.adder(position)
            parts.choice(cell)
            parts.choice((layer.bases - 1).bit_length())

    def _dealt(self, table: Codes) -> Codes:
        """The values that a bank meets: zeros among them where there are more banks than values."""
        return np.append(table, 0) if self._layer.banks > self._layer.window else table

    def _table(self, count: int) -> None:
        """See :class:`kanrtl.rtl.basis.Basis`."""
        layer = self._layer
        tables = {"bases": (layer.basis_table, layer.formats.basis.width)}
        if self._hidden:
            tables["derivatives"] = (layer.derivative_table, layer.derivative.width)
            self._parts.choice(layer.banks * layer.derivative.width, times=count)
        for name, (table, width) in tables.items():
            if self._block_tables:
                bits = _changing(self._dealt(table)) * layer.banks
                self._parts.memory(name, layer.table_size * layer.banks, bits, block=True, count=count)
            else:
                columns = sum(_changing(column) for column in table.T)
                self._parts.counts["truth table"] += ceil(count * columns * layer.table_size / 16)
                self._parts.choice(layer.banks * width, layer.banks, count)

    def _changed(self, times: int) -> None:
        """``coefficient - product``, rounded, saturated, or what is written from outside."""
        layer, parts, rounding = self._layer, self._parts, Rounding(self._spec.update_rounding)
        coefficient = layer.formats.coefficient
        exact = layer.update_sum
        dropped = layer.noise_bits
        simple = rounding == Rounding.STOCHASTIC or rounding_constant(rounding, dropped) is not None
        if simple and dropped and self._ends("change") and not self._spec.swept:
            move = layer.move(self._spec.rounding)
            # Noise, or a constant, less the product: what it borrows decides how the rest is rounded.
            parts.adder(move.width + dropped, times)
            parts.adder(coefficient.width + 1, times)
            parts.register(move.width * times, moved=False)
            if self._ends("update"):
                parts.register((coefficient.width + 1) * times, moved=False)
            over = 1
        else:
            parts.adder(exact.width, times)
            over = exact.width - exact.f - coefficient.i
            if self._ends("change") and not self._spec.swept:
                parts.register(layer.update_product.width * times)
            if self._ends("update") and not self._spec.swept:
                parts.register(exact.width * times, moved=False)
        parts.narrowed(
            Format(True, coefficient.i + over, exact.f),
            coefficient,
            rounding,
            saturates=True,
            times=times,
            rounds=not simple,
        )


class _Layer(_AnyLayer):
    """Counts what :class:`kanrtl.rtl.layer.Layer` has."""

    def __init__(
        self,
        spec: LearnerSpec,
        index: int,
        parts: Parts,
        saturating: frozenset[str],
        *,
        predicts: bool,
        forms_error: bool,
    ) -> None:
        super().__init__(spec, index, parts, saturating, predicts=predicts)
        assert isinstance(spec.timing, Schedule)
        self._times: LayerTimes = spec.timing.layers[index]
        self._streaming = spec.timing.streaming
        self._forms_error = forms_error

    def _meet(self, bits: int, since: int, now: int, *, cut: bool = False) -> None:
        """Delays a value until it meets another: where samples stream, or the way to it is ``cut``."""
        if cut or self._streaming:
            self._parts.register(bits * max(0, now - since))

    def count(self) -> None:
        layer = self._layer
        self._locate(layer.n_in)
        self._registers_of_place()
        self._coefficients()
        self._table(layer.n_in)
        if self._block_tables:
            self._steps()
        else:
            self._scale()
        self._forward()
        if self._hidden:
            self._downstream()
        edges = layer.n_in * layer.n_out * layer.banks
        formats = layer.formats
        step = Format(False, formats.step.i, formats.step.f)
        self._parts.product(formats.gradient, _shortened(step, self._step_bits), in_logic=self._in_logic, times=edges)
        if self._ends("product") and self._in_logic:
            self._parts.register(layer.update_product.width * edges, moved=False)
        self._changed(edges)

    @property
    def _step_bits(self) -> int:
        """Bits of a step that any learning rate can set; see :class:`kanrtl.rtl.steps.Steps`."""
        layer, formats = self._layer, self._layer.formats
        largest = formats.learning_rate.maximum * int(layer.basis_table.max())
        result, _ = narrow(np.array(largest), layer.step_product.f, formats.step, self._spec.rounding)
        return max(1, int(result).bit_length())

    def _registers_of_place(self) -> None:
        layer, parts = self._layer, self._parts
        place = (layer.bases - 1).bit_length() + layer.locator.row_bits + 1
        address = layer.depth.bit_length() * layer.banks
        if self._ends("position"):
            parts.register(layer.n_in * (layer.position.width - layer.position.f), moved=False)
        if self._hidden and self._ends("locate"):
            parts.register(layer.n_in * place, moved=False)
        if self._hidden and self._block_tables:
            held = (layer.bases - 1).bit_length() if self._times.fetch == self._times.table else 0
            parts.register(layer.n_in * (held + 1), moved=False)
        if not self._hidden:
            parts.register(layer.n_in * address, moved=False)
            early = self._times.table == self._times.fetch if self._block_tables else False
            if self._block_tables or self._block or self._ends("locate"):
                parts.register(0 if early else layer.n_in * (place - 1), moved=False)
            else:
                parts.register(layer.n_in * layer.banks * layer.formats.basis.width, moved=False)

    def _coefficients(self) -> None:
        """See :class:`kanrtl.rtl.coefficients.Coefficients`."""
        layer, parts, times = self._layer, self._parts, self._times
        width, memories = layer.formats.coefficient.width, layer.n_in * layer.banks
        later = self._streaming and self._ends("update")
        turnaround = times.changed - later - times.fetch if self._streaming else 0
        parts.memory(
            "coefficients",
            layer.depth + 1,
            layer.n_out * width,
            block=self._block,
            lanes=layer.n_out,
            reads=2 if turnaround else 1,
            count=memories,
        )
        address = layer.depth.bit_length()
        parts.adder(address, memories)
        parts.choice(address, times=memories)
        if self._streaming:
            parts.register(memories * address * (turnaround + later))
            if later:
                # What has just been changed is changed again.
                parts.counts["detection"] += address * memories
                parts.choice(width * layer.n_out, times=memories)
                parts.register(2 * memories, moved=False)
            if turnaround:
                parts.counts["detection"] += address * memories
                parts.choice(width * layer.n_out, times=memories)
                parts.register(0 if self._block else width * layer.n_out * memories, moved=False)
        since = times.fetch + self._block
        if since < times.read and self._ends("read"):
            parts.register_behind(width * layer.n_out * memories, block=self._block)
            since += 1
        self._meet(width * layer.n_out * memories, since, times.read, cut=self._hidden)
        self._basis_registers()

    def _basis_registers(self) -> None:
        layer, parts, times = self._layer, self._parts, self._times
        bits = layer.banks * (layer.formats.basis.width + self._hidden * layer.derivative.width) * layer.n_in
        since = times.table
        if since < times.read and self._ends("read"):
            parts.register_behind(bits, block=self._block_tables)
            since += 1
        self._meet(bits, since, times.read, cut=self._hidden)

    def _steps(self) -> None:
        """See :class:`kanrtl.rtl.steps.Steps`."""
        layer, parts, formats = self._layer, self._parts, self._layer.formats
        saturates = "step" in self._saturating
        word = (self._step_bits + saturates) * layer.banks
        rows = layer.table_size * layer.banks
        self._meet(word * layer.n_in, self._times.step, self._times.rounded - self._ends("product"))
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
        self._meet(formats.step.width * times, self._times.step, self._times.rounded - self._ends("product"))

    def _tree(self, terms: int, bits: int, product: int, times: int, extra: int = 0) -> None:
        """A sum of products, which are added in pairs first, and ``extra``, the high bits of a third summand then."""
        parts = self._parts
        if self._ends("multiply") and self._in_logic:
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
        parts.product(difference, formats.basis, in_logic=self._in_logic, times=terms * layer.n_out)
        if self._ends("multiply") and self._in_logic:
            parts.register(product * terms * layer.n_out, moved=False)
        pairs = (terms + 1) // 2
        parts.adder(product + 1, terms // 2 * layer.n_out)
        if self._ends("add"):
            parts.register((product + 1) * pairs * layer.n_out, moved=False)
        bits = layer.error_sum.width if self._forms_error else layer.node_sum.width
        apart = self._forms_error and self._ends("sum") and self._ends("error")
        # What the others are added to comes twice where y is rounded otherwise than the sum that goes on.
        ways = 1 + (bool(self._next_located) or (self._forms_error and layer.n_in > 1 and not self._ends("sum")))
        parts.sum(layer.n_in, formats.coefficient.width + clog2(layer.n_in), layer.n_out)
        parts.adder(bits - formats.basis.f, ways * layer.n_out)
        self._meet(bits * ways * layer.n_out, self._times.read, self._times.added)
        parts.adder(bits, _adders(pairs, ways) * layer.n_out)
        if self._ends("sum"):
            parts.register(bits * (ways if self._next_located else 1) * layer.n_out, moved=False)
        self._rounded(apart)

    def _rounded(self, apart: bool) -> None:
        """What becomes of sums of differences."""
        layer, parts, activation = self._layer, self._parts, self._layer.formats.activation
        rounds = rounding_constant(self._spec.rounding, layer.error_sum.f - layer.formats.gradient.f)
        if self._forms_error:
            parts.adder(activation.width + 1, layer.n_out)
            kind = "gradient", layer.error_sum, layer.formats.gradient
            self._narrowed(*kind, layer.n_out, rounds=rounds is None)
            if apart or (self._predicts and (layer.n_in == 1 or self._ends("sum"))):
                parts.adder(layer.node_sum.width, layer.n_out)
            if self._predicts:
                early = rounds is not None and not apart
                self._narrowed("activation", layer.node_sum, activation, layer.n_out, rounds=not early)
        elif self._next_located:
            # Of y it is only looked at whether it saturates.
            parts.counts["detection"] += max(0, layer.node_sum.i - activation.i) * layer.n_out
        elif self._predicts:
            self._narrowed("activation", layer.node_sum, activation, layer.n_out)

    def _forward(self) -> None:
        if self._spec.sums_differences[self._index]:
            self._differences()
            return
        layer, parts, formats = self._layer, self._parts, self._layer.formats
        terms = layer.n_in * layer.banks
        parts.product(formats.coefficient, formats.basis, in_logic=self._in_logic, times=terms * layer.n_out)
        product = formats.coefficient.width + formats.basis.width
        activation = formats.activation
        if not self._forms_error:
            self._tree(terms, layer.node_sum.width, product, layer.n_out)
            if self._next_located:
                # Of y it is only looked at whether it saturates.
                parts.adder(layer.node_sum.width, layer.n_out)
                parts.counts["detection"] += max(0, layer.node_sum.i - activation.i) * layer.n_out
            elif self._predicts:
                self._narrowed("activation", layer.node_sum, activation, layer.n_out)
            return
        rounds = rounding_constant(self._spec.rounding, layer.error_sum.f - formats.gradient.f)
        apart = self._ends("sum") and self._ends("error")
        parts.adder(activation.width + 1, layer.n_out)
        self._tree(terms, layer.error_sum.width, product, layer.n_out, extra=0 if apart else activation.width + 2)
        self._narrowed("gradient", layer.error_sum, formats.gradient, layer.n_out, rounds=rounds is None)
        if self._predicts:
            parts.sum(2 if apart else 3, layer.node_sum.width, layer.n_out)
            self._narrowed("activation", layer.node_sum, activation, layer.n_out, rounds=rounds is None or apart)
        times = self._times
        self._meet((activation.width + 2) * layer.n_out, 1, times.summed if apart else times.added)
        if not apart and self._predicts:
            self._meet(activation.width * layer.n_out, 1, times.summed)

    def _downstream(self) -> None:
        layer, parts, formats = self._layer, self._parts, self._layer.formats
        edges, times = layer.n_in * layer.n_out, self._times
        differences = self._spec.sums_differences[self._index]
        factor = Format(True, formats.coefficient.i + differences, formats.coefficient.f)
        terms = layer.banks - differences
        parts.product(factor, layer.derivative, in_logic=self._in_logic, times=edges * terms)
        product = factor.width + layer.derivative.width
        if differences:
            parts.adder(product, terms // 2 * edges)
            parts.sum((terms + 1) // 2, layer.slope_sum.width, edges)
            if self._ends("add"):
                parts.register(product * ((terms + 1) // 2) * edges, moved=False)
            if self._ends("multiply") and self._in_logic:
                parts.register(product * terms * edges, moved=False)
            if self._ends("sum"):
                parts.register(layer.slope_sum.width * edges, moved=False)
        else:
            self._tree(layer.banks, layer.slope_sum.width, product, edges)
        self._narrowed("slope", layer.slope_sum, formats.slope, edges)
        if self._ends("error"):
            parts.register(formats.slope.width * edges, moved=False)
        self._meet(formats.slope.width * edges, times.summed + self._ends("error"), times.gradient)
        parts.product(formats.gradient, formats.slope, in_logic=self._in_logic, times=edges)
        if self._ends("downstream") and self._in_logic:
            parts.register(layer.downstream_sum.width * edges, moved=False)
        parts.sum(layer.n_out, layer.downstream_sum.width, layer.n_in)
        self._narrowed("gradient", layer.downstream_sum, formats.gradient, layer.n_in)
        if self._ends("error", below=1):
            parts.register(formats.gradient.width * layer.n_in, moved=False)


def _adders(terms: int, offsets: int) -> int:
    """Adders that :func:`kanrtl.rtl.multiply.sums_with` makes."""
    adders, inside = 0, False
    while terms > 1 + (not inside):
        if terms % 2:
            terms, adders, inside = terms - 1, adders + offsets, True
        terms //= 2
        adders += terms
    return adders + offsets


class _SweptLayer(_AnyLayer):
    """Counts what :class:`kanrtl.rtl.swept.SweptLayer` has."""

    def count(self) -> None:
        spec, layer, parts = self._spec, self._layer, self._parts
        assert isinstance(spec.timing, SweptSchedule)
        self._sweep: Sweep = spec.timing.sweeps[self._index]
        self._inputs, self._nodes = layer.n_in // self._sweep.inputs, layer.n_out // self._sweep.nodes
        self._steps = self._sweep.inputs * self._sweep.nodes
        self._lanes = self._inputs * self._nodes * layer.banks
        parts.counts["lane"] += self._lanes
        self._sequence()
        self._read()
        self._multiply()
        self._accumulate()

    def _delay(self, bits: int, since: int, until: int) -> None:
        span = until - since
        if self._sweep.clocks > 1 and span >= self._sweep.clocks:
            span -= self._sweep.clocks - 1
        self._parts.register(bits * max(0, span))

    def _sequence(self) -> None:
        sweep, parts = self._sweep, self._parts
        bits = [(count - 1).bit_length() for count in (sweep.inputs, sweep.nodes, sweep.clocks)]
        parts.counts["counter"] += sum(bits)
        parts.register(sum(bits) + 5 + sweep.multiplied + sweep.written * (1 + sweep.hidden), moved=False)
        self._delay(bits[0] + bits[1], 0, sweep.written)

    def _read(self) -> None:
        layer, parts, sweep, formats = self._layer, self._parts, self._sweep, self._layer.formats
        place = (layer.bases - 1).bit_length() + layer.locator.row_bits
        if not sweep.hidden and not sweep.held_place:
            parts.register(formats.activation.width * layer.n_in)
        parts.choice(formats.activation.width, sweep.inputs, self._inputs)
        self._locate(self._inputs)
        if sweep.held_place:
            parts.register(place * self._inputs, moved=False)
        else:
            self._delay(place * self._inputs, 0, sweep.located)
        self._table(self._inputs)
        values = layer.banks * (formats.basis.width + sweep.hidden * layer.derivative.width)
        parts.register_behind(values * self._inputs * (sweep.read - sweep.settled), block=self._block)
        width, memories = formats.coefficient.width, self._inputs * layer.banks
        depth = self._steps * layer.depth
        parts.memory("coefficients", depth, width * self._nodes, block=self._block, lanes=self._nodes, count=memories)
        address = (depth - 1).bit_length()
        parts.sum(3 if self._steps > 1 else 2, address, memories)
        parts.register_behind(width * self._nodes * memories * (sweep.read - sweep.settled), block=self._block)
        if self._steps > 1:
            self._delay(address * memories, sweep.located, sweep.written)
            self._delay(width * self._lanes, sweep.read, sweep.written)

    def _multiply(self) -> None:
        layer, parts, sweep, formats = self._layer, self._parts, self._sweep, self._layer.formats
        in_logic, serial = self._in_logic, self._spec.multiplier == "serial"
        # Learning rate times basis, by every lane of the inputs.
        scaled = self._inputs * layer.banks
        parts.written_out(formats.basis, formats.learning_rate, scaled)
        self._narrowed("step", layer.step_product, formats.step, scaled)
        self._delay(formats.step.width * scaled, sweep.read, sweep.scaled)
        parts.choice(formats.step.width, times=scaled)
        parts.choice(formats.gradient.width, sweep.nodes, self._nodes)
        uses = [(formats.coefficient, formats.basis), (formats.gradient, formats.step)]
        if sweep.hidden:
            uses.append((formats.coefficient, layer.derivative))
        groups = [uses] if sweep.shared else [[use] for use in uses]
        for group in groups:
            a, b = _common([use[0] for use in group]), _common([use[1] for use in group])
            parts.choice(a.width + b.width, len(group), self._lanes)
            self._product(a, b, self._lanes, in_logic, serial)
        if sweep.hidden:
            self._product(formats.gradient, formats.slope, self._inputs * self._nodes, in_logic, serial)
        self._changed(self._lanes)
        parts.choice(formats.coefficient.width, times=self._lanes)

    def _product(self, a: Format, b: Format, times: int, in_logic: bool, serial: bool) -> None:
        parts, clocks = self._parts, self._sweep.clocks
        if serial:
            parts.register((a.width + clocks) * times, moved=False)
            # The waiting bits, the term that the next of them gives, the sum so far or none, and their adder.
            parts.counts["serial"] += (clocks + (3 + b.signed) * a.width + 1) * times
            return
        parts.product(a, b, in_logic=in_logic, times=times)
        if self._ends("multiply") and in_logic:
            parts.register((a.width + b.width) * times, moved=False)

    def _accumulate(self) -> None:
        layer, parts, sweep, formats = self._layer, self._parts, self._sweep, self._layer.formats
        self._sums(self._inputs * layer.banks, layer.node_sum, sweep.inputs, sweep.nodes, layer.n_out, self._nodes)
        if self._predicts:
            self._narrowed("activation", layer.node_sum, formats.activation, layer.n_out)
        if not sweep.hidden:
            return
        edges = self._inputs * self._nodes
        parts.sum(layer.banks, layer.slope_sum.width, edges)
        self._delay(layer.slope_sum.width * edges, sweep.multiplied, sweep.sloped)
        self._narrowed("slope", layer.slope_sum, formats.slope, edges)
        self._sums(self._nodes, layer.downstream_sum, sweep.nodes, sweep.inputs, layer.n_in, self._inputs)
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


def _changing(table: Codes) -> int:
    """Bits of a table's values that are not the same in all of them; with a sign bit where some are negative."""
    flat = np.asarray(table).ravel()
    highest = max(int(value if value >= 0 else ~value).bit_length() for value in (flat.min(), flat.max()))
    differing = int(np.bitwise_or.reduce(flat ^ flat[0]))
    return (differing & ((1 << highest) - 1)).bit_count() + (differing < 0)


def _trailing_zeros(number: int) -> int:
    return (number & -number).bit_length() - 1
