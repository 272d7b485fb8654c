"""A folded layer: folded in several steps by fewer multipliers."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np
from amaranth.hdl import Array, Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring

from ...numeric.fixed import Codes, FixedValue, Format
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ...numeric.lfsr import lane_rotation
from ..folded_schedule import Passes
from ..plan import LayerPlan
from .basis import Basis
from .coefficients import cell_bits
from .layer_signature import LayerSignature
from .locate import Locate
from .multiply import add_tree, multiply, multiply_by_constant, multiply_in_logic
from .narrowing import Narrowing, resize
from .noise_register import lane_noise
from .serial_multiplier import SerialMultiplier
from .update import CoefficientUpdate

__all__ = ["FoldedLayer"]

Banks = list[FixedValue]  # one value per memory bank


class _Pass(enum.Enum):
    FORWARD = 0
    SLOPES = 1
    UPDATE = 2


@dataclass
class _Use:
    """One use of a multiplier: by the steps of a pass, ``offset`` cycles after they began."""

    passing: _Pass
    offset: int
    a: FixedValue
    b: FixedValue


class _Flow:
    """The steps on their way: what they carry, delayed to meet again what has taken longer.

    A value keeps still for the ``clocks`` of its step. An offset is a number of cycles after a step's beginning.
    """

    def __init__(self, m: Module, passes: Passes) -> None:
        self._m = m
        self._clocks = passes.clocks
        self._pulses: dict[str, list[Signal]] = {}

    def begin(self, name: str, value: Value) -> None:
        """Names a pulse that is high in the first cycle of some steps."""
        signal = Signal(name=f"{name}_0")
        self._m.d.comb += signal.eq(value)
        self._pulses[name] = [signal]

    def pulse(self, name: str, offset: int) -> Signal:
        """The pulse, ``offset`` cycles later."""
        pulses = self._pulses[name]
        while len(pulses) <= offset:
            later = Signal(name=f"{name}_{len(pulses)}")
            self._m.d.sync += later.eq(pulses[-1])
            pulses.append(later)
        return pulses[offset]

    def delay(self, value: Any, since: int, until: int, name: str) -> Any:
        """``value`` of offset ``since`` at offset ``until``."""
        while since < until:
            # Through a serial multiplication's clocks, one register that is loaded at the end of a step does for many.
            whole = self._clocks > 1 and until - since >= self._clocks
            since += self._clocks if whole else 1
            later = Signal(value.shape(), name=f"{name}_{since}", reset_less=True)
            with self._m.If(self.pulse("step", since - 1) if whole else 1):
                self._m.d.sync += later.eq(value)
            value = later
        return value


class FoldedLayer(wiring.Component):  # type: ignore[misc]
    """A layer of ``n_in`` by ``n_out`` edges, as many of them at a time as there are lanes.

    Input ``i`` belongs to lane ``i % (n_in / inputs)`` in the steps ``i // (n_in / inputs)`` of a pass through the
    inputs, and nodes likewise. Implements the equations of :mod:`kanrtl.learner.model_batch`, with the passes of
    :mod:`kanrtl.learner.folded_schedule`.

    Parameters
    ----------
    plan
        How it is built.
    initial
        Initial coefficient codes, ``(n_out, n_in, bases)``.

    Members
    -------
    See :class:`LayerSignature`. ``total`` and ``y`` are held from forward pass to forward pass, ``downstream`` from
    backward pass to backward pass. ``saturated`` says whether any value has been saturating in this sample's passes;
    it is told a cycle late, except for activations. ``access`` is read with the latency of a step, and one cycle more.
    """

    def __init__(self, plan: LayerPlan, initial: Codes) -> None:
        self._plan = plan
        self._initial = initial
        layer, passes = plan.layer, plan.passes
        self._inputs = layer.n_in // passes.inputs
        self._nodes = layer.n_out // passes.nodes
        super().__init__(LayerSignature(plan))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        layer, passes = self._plan.layer, self._plan.passes
        self._flow = _Flow(m, passes)
        self._narrowing = Narrowing(self._plan.rounding, self._plan.saturating)
        self._slopes = _Pass.SLOPES if passes.shared else _Pass.UPDATE
        self._sequence(m)
        if hasattr(self, "noise"):
            self._noise = self._rotated_noise(m)
        cells = self._read_tables(m)
        window = self._read_coefficients(m, cells)
        steps = [
            [self._step(m, basis, f"{lane}_{bank}") for bank, basis in enumerate(banks)]
            for lane, banks in enumerate(self._basis)
        ]
        products: list[list[Value]] = []
        slopes: list[list[FixedValue]] = []
        for node in range(self._nodes):
            products.append([])
            slopes.append([])
            for source in range(self._inputs):
                rises = []
                for bank in range(layer.banks):
                    place = f"{node}_{source}_{bank}"
                    coefficient = window[node][source][bank]
                    uses = [
                        _Use(_Pass.FORWARD, passes.read, coefficient, self._basis[source][bank]),
                        _Use(
                            _Pass.UPDATE, passes.stepped, self._gradient_at(node, passes.stepped), steps[source][bank]
                        ),
                    ]
                    ends = [passes.multiplied, passes.written]
                    if passes.hidden:
                        uses.append(_Use(self._slopes, passes.read, coefficient, self._derivative[source][bank]))
                        ends.append(passes.multiplied)
                    forward, change, *rise = self._products(m, uses, ends, place)
                    products[node].append(forward.raw)
                    rises += [value.raw for value in rise]
                    self._change(m, node, source, bank, coefficient, change)
                if passes.hidden:
                    slopes[node].append(self._slope(rises, f"{node}_{source}"))
        for node in range(self._nodes):
            self._accumulate_node(m, node, products[node])
        for node in range(layer.n_out):
            y = self._narrowing.narrow("activation", self.total[node], layer.formats.activation)
            m.d.comb += self.y[node].eq(y)
        if passes.hidden:
            for source in range(self._inputs):
                self._accumulate_downstream(m, source, [slopes[node][source] for node in range(self._nodes)])
        self._report(m)
        return m

    # When.

    def _sequence(self, m: Module) -> None:
        """Goes through the steps of the passes: forwards with the inputs innermost, backwards with the nodes, so that
        one sum after the other is completed."""
        passes, flow = self._plan.passes, self._flow
        running = Signal()
        passing = Signal(_Pass)
        tick = Signal(range(passes.clocks))
        asked = Signal()
        part_in, part_out = Signal(range(passes.inputs)), Signal(range(passes.nodes))
        last_in, last_out = part_in == passes.inputs - 1, part_out == passes.nodes - 1
        forward = passing == _Pass.FORWARD

        with m.If(running):
            m.d.sync += tick.eq(tick + 1)
        with m.If(running & (tick == passes.clocks - 1)):
            m.d.sync += tick.eq(0)
            with m.If(forward | last_out):
                m.d.sync += part_in.eq(Mux(last_in, 0, part_in + 1))
            with m.If(~forward | last_in):
                m.d.sync += part_out.eq(Mux(last_out, 0, part_out + 1))
            with m.If(last_in & last_out):
                m.d.sync += [running.eq(passing == _Pass.SLOPES), passing.eq(_Pass.UPDATE)]
        with m.If(self.take | self.update):
            begun = _Pass.SLOPES if passes.hidden and passes.shared else _Pass.UPDATE
            m.d.sync += [
                running.eq(1),
                passing.eq(Mux(self.take, _Pass.FORWARD, begun)),
                tick.eq(0),
                part_in.eq(0),
                part_out.eq(0),
            ]
        # From outside, a place is reached as by a step of the update.
        # What that writes has the time to pass a register, and then delays no update.
        self._writing = Signal(name="writing")
        m.d.sync += [asked.eq(self.access.enable), self._writing.eq(self.access_write)]
        with m.If(self.access.enable):
            m.d.sync += [
                passing.eq(_Pass.UPDATE),
                part_in.eq(_lookup(self.access.input, self._plan.layer.n_in, self._inputs)[0]),
                part_out.eq(_lookup(self.access.output, self._plan.layer.n_out, self._nodes)[0]),
            ]

        begins = running & (tick == 0)
        flow.begin("step", begins | asked)
        for each in _Pass:
            flow.begin(each.name.lower(), begins & (passing == each))
        self._here = {each: (running | (asked & self.access.enable)) & (passing == each) for each in _Pass}
        self._parts = {"input": part_in, "node": part_out}
        self._parts_at: dict[tuple[str, int], Any] = {}

    def _pulse(self, passing: _Pass, offset: int) -> Signal:
        return self._flow.pulse(passing.name.lower(), offset)

    def _part(self, axis: str, offset: int) -> Any:
        """Which part of the inputs or of the nodes the step has that is at ``offset``."""
        key = (axis, offset)
        if key not in self._parts_at:
            since = offset - (self._plan.passes.clocks if offset >= self._plan.passes.clocks else 1)
            before = self._part(axis, since) if offset else self._parts[axis]
            self._parts_at[key] = self._flow.delay(before, since, offset, f"{axis}_part") if offset else before
        return self._parts_at[key]

    def _meet(self, value: Any, since: int, until: int, name: str) -> Any:
        """A value that follows from the sample and the step alone, later. A single step leaves it as it is."""
        if self._plan.passes.inputs * self._plan.passes.nodes == 1:
            return value
        return self._flow.delay(value, since, until, name)

    # What a step reads.

    def _read_tables(self, m: Module) -> list[Value]:
        """Locates the lanes' inputs, and reads the tables; gives the cells."""
        layer, passes, flow = self._plan.layer, self._plan.passes, self._flow
        cells = []
        self._basis: list[Banks] = []
        self._derivative: list[Banks] = []
        begins = Signal()
        m.d.comb += begins.eq(self.take | self.access.enable)
        sources = [self.x[i] for i in range(layer.n_in)]
        if not passes.hidden and not passes.held_place:
            sources = [self._hold(m, x, self.take, f"x{i}") for i, x in enumerate(sources)]
        for lane in range(self._inputs):
            m.submodules[f"locate{lane}"] = locate = Locate(layer.locator, layer.formats.activation)
            mine = [source.raw for source in sources[lane :: self._inputs]]
            m.d.comb += locate.x.raw.eq(_choose(mine, self._part("input", 0)))
            cell = Signal(cell_bits(layer), name=f"reached{lane}")
            m.d.comb += cell.eq(Mux(self.access.enable, self.access.index, locate.cell))
            place = {"cell": cell, "row": locate.row, "inside": locate.inside}
            if passes.held_place:
                place = {name: self._hold(m, value, begins, f"{name}{lane}") for name, value in place.items()}
            else:
                place = {name: flow.delay(value, 0, passes.located, f"{name}{lane}") for name, value in place.items()}
            cells.append(place["cell"])
            table = Basis(layer, derivative=passes.hidden, block=self._plan.block)
            m.submodules[f"basis{lane}"] = table
            if self._plan.block:  # what is used beside the table's output comes a cycle later
                place["inside"] = self._meet(place["inside"], passes.located, passes.settled, f"inside{lane}_read")
                m.d.comb += table.enable.eq(1)
            m.d.comb += [getattr(table, name).eq(value) for name, value in place.items()]
            self._basis.append(self._end_read(table.basis, f"basis{lane}"))
            if passes.hidden:
                self._derivative.append(self._end_read(table.derivative, f"derivative{lane}"))
        return cells

    def _hold(self, m: Module, value: Any, when: Value, name: str) -> Any:
        register = Signal(value.shape(), name=name, reset_less=True)
        with m.If(when):
            m.d.sync += register.eq(value)
        return register

    def _end_read(self, banks: Any, name: str) -> Banks:
        """The banks' values as they leave ``read``."""
        passes = self._plan.passes
        return [
            self._flow.delay(banks[bank], passes.settled, passes.read, f"{name}_bank{bank}")
            for bank in range(self._plan.layer.banks)
        ]

    def _read_coefficients(self, m: Module, cells: list[Value]) -> list[list[Banks]]:
        """The windows, by the lanes' nodes and inputs.

        Every lane of the inputs has ``banks`` memories, whose words hold a coefficient for each lane of the nodes.

        What a step reads is never written at the same edge: it writes in rows of its own alone, and after it has read
        them, and a pass takes every step once. Slopes are read before the update writes anything, and the next sample
        is taken when it has written all.
        """
        layer, passes = self._plan.layer, self._plan.passes
        bank_bits = (layer.banks - 1).bit_length()
        part = Signal(range(passes.inputs * passes.nodes))
        m.d.comb += part.eq(multiply_by_constant(self._part("node", 0), passes.inputs) + self._part("input", 0))
        base = Signal(range(passes.inputs * passes.nodes * layer.depth))
        m.d.comb += base.eq(multiply_by_constant(part, layer.depth))
        base = self._flow.delay(base, 0, passes.located, "base")
        read: list[list[Any]] = []
        self._ports: list[list[Any]] = []
        self._addresses: list[list[Signal]] = []
        for lane, cell in enumerate(cells):
            read.append([])
            self._ports.append([])
            self._addresses.append([])
            for bank in range(layer.banks):
                name = f"input{lane}_bank{bank}"
                rows = memory.Memory(
                    shape=layer.formats.coefficient.width * self._nodes,
                    depth=passes.inputs * passes.nodes * layer.depth,
                    init=self._rows(lane, bank),
                    attrs={"ram_style": "block" if self._plan.block else "distributed"},
                )
                m.submodules[name] = rows
                read_port = rows.read_port(domain="sync" if self._plan.block else "comb")
                write_port = rows.write_port(granularity=layer.formats.coefficient.width)
                # The window starts at bank cell % banks; banks before it hold its end, one row further on.
                address = Signal(range(passes.inputs * passes.nodes * layer.depth), name=f"{name}_address")
                m.d.comb += [
                    address.eq(base + (cell >> bank_bits) + (cell[:bank_bits] > bank)),
                    read_port.addr.eq(address),
                    write_port.addr.eq(self._meet(address, passes.located, passes.written, f"{name}_written")),
                ]
                read[lane].append(read_port.data)
                self._ports[lane].append(write_port)
                self._addresses[lane].append(address)
        width = layer.formats.coefficient.width
        words = [[[word.word_select(node, width) for word in banks] for banks in read] for node in range(self._nodes)]
        window = [
            [
                self._end_read([FixedValue(layer.formats.coefficient, word) for word in banks], f"coefficient{n}_{i}")
                for i, banks in enumerate(inputs)
            ]
            for n, inputs in enumerate(words)
        ]
        access = self.access
        self._access_lane = (
            _lookup(access.output, layer.n_out, self._nodes)[1],
            _lookup(access.input, layer.n_in, self._inputs)[1],
            access.index[:bank_bits],
        )
        node, source, bank = self._access_lane
        chosen = Array(Array(Array(value.raw for value in banks) for banks in inputs) for inputs in window)
        m.d.comb += access.read_data.raw.eq(chosen[node][source][bank])
        return window

    def _rows(self, lane: int, bank: int) -> list[int]:
        """Initial words of a memory: steps in their order, nodes outermost, and in each the rows."""
        layer, passes = self._plan.layer, self._plan.passes
        codes = self._initial[:, lane :: self._inputs, bank :: layer.banks]
        if not codes.any():
            return []
        width = layer.formats.coefficient.width
        padded = np.zeros((layer.n_out, passes.inputs, layer.depth), dtype=object)
        padded[:, :, : codes.shape[2]] = codes & ((1 << width) - 1)
        lanes = padded.reshape(passes.nodes, self._nodes, -1)
        shifts = np.arange(self._nodes, dtype=object)[:, None] * width
        return [int(word) for word in (lanes << shifts).sum(axis=1).ravel()]

    # What it computes.

    def _gradient_at(self, lane: int, offset: int) -> FixedValue:
        values = [self.gradient[node].raw for node in range(lane, self._plan.layer.n_out, self._nodes)]
        return FixedValue(self._plan.layer.formats.gradient, _choose(values, self._part("node", offset)))

    def _step(self, m: Module, basis: FixedValue, place: str) -> FixedValue:
        """Learning rate times basis, where it meets the gradient."""
        layer, passes = self._plan.layer, self._plan.passes
        exact = multiply_in_logic(m, basis, self.learning_rate)
        when = self._pulse(_Pass.UPDATE, min(passes.read, passes.stepped))
        step = self._narrowing.narrow("step", exact, layer.formats.step, when=when)
        # What is written from outside takes the way of an update that moves by nothing.
        moved = FixedValue(step.format, Mux(self._writing, 0, step.raw)[: step.format.width])
        return self._flow.delay(moved, passes.read, passes.scaled, f"step{place}")  # type: ignore[no-any-return]

    def _products(self, m: Module, uses: list[_Use], ends: list[int], place: str) -> list[FixedValue]:
        """The products of ``uses``, at the offsets ``ends``: of one multiplier if they are shared, else of one each."""
        groups = [uses] if self._plan.passes.shared else [[use] for use in uses]
        raws: list[Value] = []
        for group in groups:
            raw = self._multiplied(m, group, f"{place}_{len(raws)}")
            raws += [raw] * len(group)
        results = []
        for raw, use, end in zip(raws, uses, ends, strict=True):
            format = Format(True, use.a.format.i + use.b.format.i, use.a.format.f + use.b.format.f)
            value = FixedValue(format, raw[: format.width])
            since = use.offset + (self._plan.passes.clocks if self._plan.multiplier == "serial" else 0)
            results.append(self._flow.delay(value, since, end, f"{use.passing.name.lower()}_product{place}"))
        return results

    def _multiplied(self, m: Module, uses: list[_Use], name: str) -> Value:
        """One multiplier: the product for that of ``uses`` whose steps are at it."""
        first, *others = uses
        a, b = first.a.raw, first.b.raw
        for use in others:
            passing = self._flow.delay(self._here[use.passing], 0, use.offset, f"{use.passing.name.lower()}_here")
            a, b = Mux(passing, use.a.raw, a), Mux(passing, use.b.raw, b)
        multiplicand, multiplier = Signal(a.shape(), name=f"a{name}"), Signal(b.shape(), name=f"b{name}")
        m.d.comb += [multiplicand.eq(a), multiplier.eq(b)]
        if self._plan.multiplier != "serial":
            operands = [FixedValue(Format(v.shape().signed, len(v), 0), v) for v in (multiplicand, multiplier)]
            result = multiply(m, *operands, in_logic=self._plan.multiplier == "lut").raw
            total = Signal(result.shape(), name=f"product{name}")
            m.d.comb += total.eq(result)
            return total
        m.submodules[f"multiplier{name}"] = serial = SerialMultiplier(a.shape(), b.shape(), self._plan.passes.clocks)
        pulses = [(use.passing, use.offset) for use in uses]
        m.d.comb += [
            serial.a.eq(multiplicand),
            serial.b.eq(multiplier),
            serial.start.eq(Cat(self._pulse(*pulse) for pulse in pulses).any()),
        ]
        if hasattr(serial, "last"):
            ends = [(passing, offset + self._plan.passes.clocks - 1) for passing, offset in pulses]
            m.d.comb += serial.last.eq(Cat(self._pulse(*pulse) for pulse in ends).any())
        return serial.product

    def _accumulate_node(self, m: Module, lane: int, products: list[Value]) -> None:
        layer, passes = self._plan.layer, self._plan.passes
        # The bases sum to one: the sum fits node_sum, whatever its single products could reach together.
        partial = resize(add_tree(products), layer.node_sum)
        totals = [self.total[node].raw for node in range(lane, layer.n_out, self._nodes)]
        self._accumulate(m, _Pass.FORWARD, passes.multiplied, partial.raw, totals, "input", "node", f"sum{lane}")

    def _slope(self, rises: list[Value], edge: str) -> FixedValue:
        """Slope of a lane's edge, where it meets the gradient."""
        layer, passes = self._plan.layer, self._plan.passes
        total = resize(add_tree(rises), layer.slope_sum)
        total = self._flow.delay(total, passes.multiplied, passes.sloped, f"slope_sum{edge}")
        when = self._pulse(self._slopes, passes.sloped)
        return self._narrowing.narrow("slope", total, layer.formats.slope, when=when)

    def _accumulate_downstream(self, m: Module, lane: int, slopes: list[FixedValue]) -> None:
        layer, passes = self._plan.layer, self._plan.passes
        terms = []
        for node, slope in enumerate(slopes):
            use = _Use(self._slopes, passes.sloped, self._gradient_at(node, passes.sloped), slope)
            terms.append(self._products(m, [use], [passes.gathered], f"{node}_{lane}_downstream")[0].raw)
        partial = resize(add_tree(terms), layer.downstream_sum)
        sources = range(lane, layer.n_in, self._inputs)
        totals = [Signal(layer.downstream_sum, name=f"downstream_sum{i}", reset_less=True) for i in sources]
        raws = [total.raw for total in totals]
        self._accumulate(m, self._slopes, passes.gathered, partial.raw, raws, "node", "input", f"downstream{lane}")
        for source, total in zip(sources, totals, strict=True):
            gradient = self._narrowing.narrow("gradient", total, layer.formats.gradient)
            domain = m.d.sync if self._plan.ends("error", below=1) else m.d.comb
            domain += self.downstream[source].eq(gradient)

    def _accumulate(
        self,
        m: Module,
        passing: _Pass,
        offset: int,
        partial: Value,
        totals: list[Value],
        along: str,
        across: str,
        name: str,
    ) -> None:
        """Adds up ``partial`` along one axis, and keeps the sums across the other in ``totals``."""
        steps = {"input": self._plan.passes.inputs, "node": self._plan.passes.nodes}
        summed = Signal(totals[0].shape(), name=f"{name}_new")
        running = totals[0]
        if steps[along] == 1:
            m.d.comb += summed.eq(partial)
        else:
            if steps[across] > 1:
                running = Signal(totals[0].shape(), name=f"{name}_running", reset_less=True)
                with m.If(self._pulse(passing, offset)):
                    m.d.sync += running.eq(summed)
            m.d.comb += summed.eq(Mux(self._part(along, offset) == 0, 0, running) + partial)
        for index, total in enumerate(totals):
            mine = self._pulse(passing, offset)
            if steps[across] > 1:
                mine &= self._part(across, offset) == index
            with m.If(mine):
                m.d.sync += total.eq(summed)

    def _change(
        self, m: Module, node: int, source: int, bank: int, coefficient: FixedValue, change: FixedValue
    ) -> None:
        """Writes a lane's updated coefficient back to where it was read, or what is written from outside."""
        layer, passes, access = self._plan.layer, self._plan.passes, self.access
        place = f"{node}_{source}_{bank}"
        before = self._meet(coefficient, passes.read, passes.written, f"coefficient{place}")
        chosen = Mux(self._writing, self.access_data.raw, before.raw)
        before = FixedValue(before.format, chosen[: before.format.width])
        if self._plan.multiplier == "serial":  # it multiplies when a step begins, not when something is written
            change = FixedValue(change.format, Mux(self._writing, 0, change.raw)[: change.format.width])
        lane = (node * layer.n_in + source) * layer.banks + bank
        m.submodules[f"update{place}"] = update = CoefficientUpdate(self._plan)
        m.d.comb += [update.coefficient.eq(before), update.product.eq(change)]
        if self._plan.stochastic:
            m.d.comb += update.noise.eq(lane_noise(self._noise, self._plan.first_lane + lane, layer.noise_bits))
        updates, after = self._pulse(_Pass.UPDATE, passes.written), update.result
        self._narrowing.note("coefficient", update.saturated, updates)
        port = self._ports[source][bank]
        reached = [wanted == own for wanted, own in zip(self._access_lane, (node, source, bank), strict=True)]
        m.d.comb += [
            port.data.word_select(node, after.format.width).eq(after.raw),
            port.en[node].eq(updates | (access.write & Cat(reached).all())),
        ]

    def _rotated_noise(self, m: Module) -> Value:
        """The noise, rotated as far as the lanes of the step that writes are numbered on from those of the first.

        Numbers grow evenly from part to part, and so does the rotation.
        """
        layer, passes = self._plan.layer, self._plan.passes
        noise: Value = self.noise
        for axis, parts, lanes in (
            ("input", passes.inputs, self._inputs * layer.banks),
            ("node", passes.nodes, self._nodes * layer.n_in * layer.banks),
        ):
            rotated = [noise.rotate_left(lane_rotation(part * lanes)) for part in range(parts)]
            chosen = Signal(NOISE_WIDTH, name=f"noise_{axis}")
            m.d.comb += chosen.eq(_choose(rotated, self._part(axis, passes.written)))
            noise = chosen
        return noise

    def _report(self, m: Module) -> None:
        """Tells what saturates; but for activations a cycle later, so that no step waits for it.

        What saturates in a passing step is remembered; sums keep still until they are counted.
        """
        for kind, bits in self._narrowing.flags.items():
            if kind == "activation":
                m.d.comb += self.saturated[kind].eq(Cat(bits).any())
                continue
            now = Signal(len(bits), name=f"{kind}_saturates")
            m.d.sync += now.eq(Cat(bits))
            if kind == "gradient":
                m.d.comb += self.saturated[kind].eq(now.any())
                continue
            before = Signal(name=f"{kind}_saturated")
            m.d.sync += before.eq((before | now.any()) & ~self.update)
            m.d.comb += self.saturated[kind].eq(before | now.any())


def _choose(values: list[Value], index: Any) -> Value:
    """One of ``values``, all of the same shape."""
    return values[0] if len(values) == 1 else Array(values)[index]


def _lookup(index: Value, count: int, lanes: int) -> tuple[Value, Value]:
    """The part and the lane of an input or a node."""
    if lanes == 1:
        return index, Const(0, 1)
    if lanes == count:
        return Const(0, 1), index
    parts = Array(Const(n // lanes, range(count)) for n in range(count))
    return parts[index], Array(Const(n % lanes, range(count)) for n in range(count))[index]
