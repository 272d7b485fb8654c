"""One layer: forward pass, downstream gradients, and the update of its coefficients."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from ...numeric.fixed import Codes, FixedValue, Format, Rounding, narrow, rounding_constant
from ...numeric.widths import bits_for, clog2
from ..plan import LayerPlan
from .basis import Basis
from .coefficients import Coefficients, cell_bits
from .layer_signature import LayerSignature
from .locate import Locate
from .multiply import (
    Offset,
    add_in_chains,
    add_offsets,
    add_shifted,
    add_tree,
    carry_chain_barrier,
    multiply,
    multiply_in_logic,
)
from .narrowing import resize
from .noise_register import lane_noise
from .pipeline_registers import Stages, delay
from .step_tables import Steps
from .update import CoefficientUpdate

__all__ = ["Layer"]

Banks = list[FixedValue]  # one value per memory bank


@dataclass
class _Read:
    """What a sample reads, as it leaves the stage ``read``."""

    basis: list[Banks]  # by input
    derivative: list[Banks]  # by input; empty in the first layer
    window: list[list[Banks]]  # coefficients by node and input
    factors: list[list[Banks]]  # what of them is multiplied


class _Terms(NamedTuple):
    """What adds up to the sum of a node, from time ``added``, and what is added to it from time ``read``: nothing, or
    coefficients."""

    products: list[Value]
    coefficients: Value | None


class Layer(wiring.Component):  # type: ignore[misc]
    """A layer of ``n_in`` by ``n_out`` edges, all of them side by side.

    In the sequential schedule ``x`` (in the first layer: what it was when ``take`` was high), ``target``, ``gradient``
    and ``noise`` hold still, every output settles after the registers on its way, and ``write`` then stores the updated
    coefficients. In the streaming schedule they change with every clock, and each belongs to the sample that has come
    as far: see :class:`.LayerTimes`. Implements the equations of :mod:`kanrtl.learner.model_batch`.

    Parameters
    ----------
    plan
        How it is built.
    initial
        Initial coefficient codes, ``(n_out, n_in, bases)``.

    Members
    -------
    See :class:`LayerSignature`.
    """

    def __init__(self, plan: LayerPlan, initial: Codes) -> None:
        self._plan = plan
        self._initial = initial
        super().__init__(LayerSignature(plan))

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        stages = Stages(m, self._plan.schedule, self._plan.index)
        m.submodules.coefficients = memory = Coefficients(self._plan, self._initial)
        connect(m, flipped(self.access), memory.access)
        self._flags: defaultdict[tuple[str, int], list[Value]] = defaultdict(list)
        read = self._locate_and_read(m, stages, memory)
        for node in range(self._plan.layer.n_out):
            self._node(m, stages, read, node)
        if self._plan.hidden:
            self._downstream(m, stages, read)
        self._update(m, stages, read, memory)
        self._gather_flags(m, stages)
        return m

    def _gather_flags(self, m: Module, stages: Stages) -> None:
        """Whether anything of a kind saturates, from the times at which it is seen."""
        kinds: defaultdict[str, list[Value]] = defaultdict(list)
        for (kind, since), bits in self._flags.items():
            flags, name = Cat(bits), f"{kind}_saturates_{since}"
            if self._plan.streaming:
                seen = stages.meet(flags.any(), since, self._plan.parallel.counted[kind != "activation"], name)
            else:
                seen = delay(m, flags, self._plan.parallel.counts_late, name).any()
            kinds[kind].append(seen)
        for kind, any_of_kind in kinds.items():
            m.d.comb += self.saturated[kind].eq(Cat(any_of_kind).any())

    def _product(self, m: Module, a: FixedValue, b: FixedValue) -> FixedValue:
        return multiply(m, a, b, in_logic=self._plan.in_logic)

    # Forward.

    def _locate_and_read(self, m: Module, stages: Stages, memory: Coefficients) -> _Read:
        """Addresses tables and memories with the sample's place on the grid."""
        layer = self._plan.layer
        read = _Read([], [], [], [])
        self._take = Signal(name="take_place")
        m.d.comb += self._take.eq(self.take | self.access.enable if self._plan.held else 1)
        # What follows a held position is held with it.
        self._load = Const(1) if stages.ends("position") else self._take
        m.d.comb += memory.take.eq(self._load)
        if self._plan.block_tables:
            saturating = "step" in self._plan.saturating
            m.submodules.steps = self._steps = Steps(
                layer, self._plan.rounding, saturating=saturating, basis_delay=1 + self._plan.registers_table
            )
            m.d.comb += [
                self._steps.learning_rate.eq(self.learning_rate),
                self._steps.remake.eq(self.rate_written),
                self._steps.enable.eq(self._load),
                self.busy.eq(self._steps.busy),
            ]
            if saturating:
                self._flags["step", self._plan.times.table].append(self._steps.saturated)
        for source in range(layer.n_in):
            table = Basis(layer, derivative=self._plan.hidden, block=self._plan.block_tables)
            m.submodules[f"basis{source}"] = table
            place = self._locate(m, stages, source)
            if self._plan.hidden:
                place = {name: stages.end("locate", value, f"{name}{source}") for name, value in place.items()}
            m.d.comb += memory.cell[source].eq(place.pop("reached"))
            if not self._plan.hidden and not self._plan.looks_up_early:
                place = {name: self._hold(m, value, f"{name}{source}") for name, value in place.items()}
            if self._plan.hidden:
                inside = delay(m, place["inside"], int(self._plan.block_tables), f"inside{source}")
                m.d.comb += table.inside.eq(inside)
                read.derivative.append(
                    self._end_read(stages, table.derivative, f"derivative{source}", self._plan.times.table)
                )
            if self._plan.block_tables:
                place = self._connect_steps(m, table, place, source)
            m.d.comb += [table.row.eq(place["row"]), table.cell.eq(place["cell"])]
            read.basis.append(self._basis(m, stages, table, source))
            if self._plan.block_tables and source == 0:
                # Where the table has a register at its end, so that it can be the memory's own.
                basis = read.basis[0] if self._plan.registers_table else table.basis
                m.d.comb += self._steps.basis.eq(basis[0])
        since = self._plan.times.fetch + self._plan.block
        read.window = [
            [
                self._end_read(stages, memory.read[node][source], f"coefficient{node}_{source}", since)
                for source in range(layer.n_in)
            ]
            for node in range(layer.n_out)
        ]
        # The bases sum to one, so c_0 + sum (c_j - c_0) b_j is the edge; their derivatives sum to zero, so the same
        # differences make its slope.
        read.factors = [
            [
                [
                    stages.wire(value - first, f"difference{node}_{source}_{bank}")
                    for bank, value in enumerate(others, start=1)
                ]
                if self._plan.differences
                else [first, *others]
                for source, (first, *others) in enumerate(inputs)
            ]
            for node, inputs in enumerate(read.window)
        ]
        return read

    def _hold(self, m: Module, value: Any, name: str) -> Any:
        """``value`` of the sample that was taken."""
        register = Signal(value.shape(), name=name, reset_less=True)
        with m.If(self._load):
            m.d.sync += register.eq(value)
        return register

    def _locate(self, m: Module, stages: Stages, source: int) -> dict[str, Value]:
        """Cell, table row, and whether inside the grid."""
        registered = stages.ends("position")
        m.submodules[f"locate{source}"] = locate = Locate(
            self._plan.layer.locator,
            self._plan.layer.formats.activation,
            registered=registered,
            exact=self._plan.located,
        )
        m.d.comb += locate.x.eq(self.x[source])
        if registered:
            m.d.comb += locate.take.eq(self._take)
        cell = Signal(cell_bits(self._plan.layer), name=f"reached{source}")
        m.d.comb += cell.eq(Mux(self.access.enable, self.access.index, locate.cell))
        # A table needs not know of it; in the first layer, where nothing waits for it, it shares the registers.
        return {
            "cell": cell if not self._plan.hidden else locate.cell,
            "reached": cell,
            "row": locate.row,
            "inside": locate.inside,
        }

    def _basis(self, m: Module, stages: Stages, table: Basis, source: int) -> Banks:
        values = table.basis
        if self._plan.looks_up_early and not self._plan.block_tables:
            values = [
                self._hold(m, values[bank], f"basis{source}_bank{bank}") for bank in range(self._plan.layer.banks)
            ]
        return self._end_read(stages, values, f"basis{source}", self._plan.times.table)

    def _connect_steps(self, m: Module, table: Basis, place: dict[str, Value], source: int) -> dict[str, Value]:
        """Lets the steps be read with the bases, and be made from those of the first input; gives where the bases are
        to be read."""
        steps = self._steps
        if source == 0:
            # Zero while nothing is made.
            making = {"row": steps.making_row, "cell": steps.making_rotation}
            place = place | {name: Mux(steps.busy, 0, place[name]) | value for name, value in making.items()}
        m.d.comb += [
            table.enable.eq(self._load | steps.busy),
            steps.row[source].eq(place["row"]),
            steps.rotation[source].eq(place["cell"]),
        ]
        return place

    def _end_read(self, stages: Stages, banks: Any, name: str, since: int) -> Banks:
        """The banks' values, there at time ``since``, as they leave ``read``."""
        values, now = [banks[bank] for bank in range(self._plan.layer.banks)], self._plan.times.read
        if since < now and stages.ends("read"):
            values = [stages.end("read", value, f"{name}_bank{bank}") for bank, value in enumerate(values)]
            since += 1
        # In a layer behind another one the place is found within the same clock.
        return [
            stages.meet(value, since, now, f"{name}_bank{bank}", cut=self._plan.hidden)
            for bank, value in enumerate(values)
        ]

    def _node(self, m: Module, stages: Stages, read: _Read, node: int) -> None:
        """y of a node, and its exact sum, or its error."""
        layer, located = self._plan.layer, self._plan.next_located
        terms = self._terms(m, stages, read, node)
        if self._plan.forms_error:
            self._error(m, stages, terms, node)
            return
        rounding: str = self._plan.rounding
        if located is None:
            # The bases sum to one: the sum fits node_sum, whatever its single products could reach together.
            [total] = self._sums(m, stages, terms, [Offset.of(0)], layer.node_sum.width)
            rounded = total = stages.end("sum", resize(total, layer.node_sum), f"sum{node}")
        else:
            rounds = rounding_constant(rounding, located.dropped) or 0
            sums = self._sums(m, stages, terms, [Offset.of(located.added), Offset.of(rounds)], located.format.width)
            total = stages.end("sum", resize(sums[0], located.format), f"sum{node}")
            rounded = stages.end("sum", resize(sums[1], self._rounded_sum), f"rounded_sum{node}")
            rounding = Rounding.FLOOR
        y = self._narrow("activation", rounded, layer.formats.activation, self._plan.times.summed, rounding)
        m.d.comb += [self.total[node].eq(total), self.y[node].eq(y)]

    @property
    def _rounded_sum(self) -> Format:
        """One bit more than node_sum: y may be rounded up beyond it."""
        return Format(True, self._plan.layer.node_sum.i + 1, self._plan.layer.node_sum.f)

    def _terms(self, m: Module, stages: Stages, read: _Read, node: int) -> _Terms:
        """The summands of a node: products in pairs, or where there are several edges, those."""
        layer = self._plan.layer
        edges = [
            self._products(m, stages, window, basis, f"product{node}_{source}")
            for source, (window, basis) in enumerate(zip(read.factors[node], read.basis, strict=True))
        ]
        # The bases sum to one: whatever of them is added, a sum is no wider than a product.
        width = len(edges[0][0])
        if self._plan.differences:
            pairs = self._added(stages, [product for edge in edges for product in edge], width + 1, f"pair{node}")
            firsts = [window[0].raw for window in read.window[node]]
            total = add_in_chains(m, firsts, layer.formats.coefficient.width + clog2(layer.n_in))
            return _Terms([carry_chain_barrier(m, pair) for pair in pairs], stages.wire(total, f"firsts{node}"))
        pairs_of_edges = [self._added(stages, edge, width, f"pair{node}_{source}") for source, edge in enumerate(edges)]
        if layer.n_in == 1:
            return _Terms(pairs_of_edges[0], None)
        totals = [add_in_chains(m, [carry_chain_barrier(m, pair) for pair in pairs], width) for pairs in pairs_of_edges]
        return _Terms([stages.wire(total, f"edge{node}_{source}") for source, total in enumerate(totals)], None)

    def _products(self, m: Module, stages: Stages, window: Banks, values: Banks, name: str) -> list[Value]:
        """Products of a window with bases or derivatives; for the first of these a window of differences has none."""
        return [
            stages.end("multiply", self._product(m, coefficient, value), f"{name}_{bank}").raw
            for bank, (coefficient, value) in enumerate(zip(window, values[len(values) - len(window) :], strict=True))
        ]

    @staticmethod
    def _added(stages: Stages, products: list[Value], width: int, name: str) -> list[Value]:
        """The products, added in pairs; ``width`` bits hold every sum."""
        return [
            stages.end("add", add_tree(products[first : first + 2])[:width].as_signed(), f"{name}_{first}")
            for first in range(0, len(products), 2)
        ]

    def _sums(
        self,
        m: Module,
        stages: Stages,
        terms: _Terms,
        offsets: list[Offset],
        width: int,
    ) -> list[Value]:
        """The sum of a node and each of ``offsets``, modulo ``2**width``; see :func:`add_offsets`.

        ``offsets`` are there at time ``read`` where coefficients are added, otherwise at ``added``.
        """
        if terms.coefficients is not None:
            times, below = self._plan.times, self._plan.layer.formats.basis.f
            early = [
                carry_chain_barrier(m, add_shifted(m, offset.value, terms.coefficients, below)) for offset in offsets
            ]
            offsets = [
                Offset(stages.meet(stages.wire(total, "offset"), times.read, times.added, "offset")) for total in early
            ]
        return add_offsets(m, terms.products, offsets, width=width)

    def _error(self, m: Module, stages: Stages, terms: _Terms, node: int) -> None:
        """The node's error, in its adder tree with what rounds it; and y, which is the error and the target. Where the
        tree ends in a register, and another follows the error, they are formed one after the other."""
        layer, formats = self._plan.layer, self._plan.layer.formats
        shift = layer.error_sum.f - formats.activation.f
        target = Cat(Const(0, shift), self.target[node].raw).as_signed()
        rounds = rounding_constant(self._plan.rounding, layer.error_sum.f - formats.gradient.f)
        rounds_y = rounding_constant(self._plan.rounding, shift)
        rounding: str = self._plan.rounding
        if rounds is None or rounds_y is None:
            rounds = rounds_y = 0
        else:
            rounding = Rounding.FLOOR
        width = max(bits_for(layer.error_bounds[1] + rounds), layer.error_sum.width - 1) + 1
        times = self._plan.times
        wide = self._rounded_sum
        # Apart from the tree: known early, and needed again for y.
        now = times.added if terms.coefficients is None else times.read
        offset = stages.meet(stages.wire(rounds - target, f"offset{node}"), 1, now, f"offset{node}")
        if stages.ends("sum") and stages.ends("error"):
            # Where a product's highest bit has no use, yosys does not take its register into an iCE40's multiplier.
            [plain] = self._sums(m, stages, terms, [Offset.of(0)], wide.width)
            total = stages.end("sum", resize(plain, wide), f"sum{node}")
            offset = stages.meet(offset, now, times.summed, f"offset{node}_of_sum")
            rounded = stages.wire(total.raw + offset, f"error{node}")
            error = resize(rounded, Format(True, width - layer.error_sum.f, layer.error_sum.f))
            gradient = self._narrow("gradient", error, formats.gradient, times.summed, rounding)
            y = self._narrow("activation", total, formats.activation, times.summed)
            m.d.comb += [self.error[node].eq(gradient), self.y[node].eq(y)]
            return
        zeros = min(shift, Offset.of(rounds).zeros) if rounds else shift
        # In a tree of its own where this one is long enough.
        beside = layer.n_in > 1 and not stages.ends("sum")
        offsets = [Offset(offset, zeros), *([Offset.of(rounds_y)] if beside else [])]
        rounded, *totals = self._sums(m, stages, terms, offsets, width)
        error = resize(rounded, Format(True, width - layer.error_sum.f, layer.error_sum.f))
        error = stages.end("sum", error, f"error{node}")
        gradient = self._narrow("gradient", error, formats.gradient, times.summed, rounding)
        if beside:
            total = resize(totals[0], wide)
        else:
            target = stages.meet(self.target[node], 1, times.summed, f"target{node}")
            target = Cat(Const(0, shift), target.raw).as_signed()
            total = resize(error.raw + target + (rounds_y - rounds), wide)
        y = self._narrow("activation", stages.wire(total, f"sum{node}"), formats.activation, times.summed, rounding)
        m.d.comb += [self.error[node].eq(gradient), self.y[node].eq(y)]

    # Backward.

    def _downstream(self, m: Module, stages: Stages, read: _Read) -> None:
        layer, times = self._plan.layer, self._plan.times
        below = Stages(m, self._plan.schedule, self._plan.index - 1)
        after = times.gradient + stages.ends("downstream")
        terms: list[list[Value]] = [[] for _ in range(layer.n_in)]
        for node in range(layer.n_out):
            for source in range(layer.n_in):
                edge = f"{node}_{source}"
                products = self._products(m, stages, read.factors[node][source], read.derivative[source], f"rise{edge}")
                width = max(len(products[0]), layer.slope_sum.width)
                pairs = self._added(stages, products, width, f"rise{edge}_pair")
                added = add_tree([carry_chain_barrier(m, pair) for pair in pairs])
                total = stages.end("sum", resize(added, layer.slope_sum), f"slope_sum{edge}")
                slope = stages.end(
                    "error", self._narrow("slope", total, layer.formats.slope, times.summed), f"slope{edge}"
                )
                since = times.summed + stages.ends("error")
                slope = stages.meet(slope, since, times.gradient, f"slope{edge}")
                product = stages.end("downstream", self._product(m, self.gradient[node], slope), f"downstream{edge}")
                terms[source].append(product.raw)
        rounding: str = self._plan.rounding
        rounds = rounding_constant(rounding, layer.downstream_sum.f - layer.formats.gradient.f)
        if rounds is not None:
            rounding = Rounding.FLOOR
        for source in range(layer.n_in):
            total = stages.wire(resize(add_tree(terms[source]), layer.downstream_sum), f"downstream_sum{source}")
            # A product of lowest values is only half of what its bits can hold: there is room for what rounds it.
            rounded = stages.wire(resize(total.raw + (rounds or 0), layer.downstream_sum), f"rounded_sum{source}")
            gradient = self._narrow("gradient", rounded, layer.formats.gradient, after, rounding)
            m.d.comb += self.downstream[source].eq(below.end("error", gradient, f"gradient{source}"))

    def _update(self, m: Module, stages: Stages, read: _Read, memory: Coefficients) -> None:
        layer, times = self._plan.layer, self._plan.times
        multiplied = times.rounded - stages.ends("product")
        steps = [
            [self._step(m, stages, basis, source, bank, multiplied) for bank, basis in enumerate(banks)]
            for source, banks in enumerate(read.basis)
        ]
        gradients = [
            stages.meet(self.gradient[node], times.gradient, multiplied, f"gradient{node}")
            for node in range(layer.n_out)
        ]
        later = self._plan.writes_late
        for node in range(layer.n_out):
            for source in range(layer.n_in):
                for bank, step in enumerate(steps[source]):
                    place = f"{node}_{source}_{bank}"
                    product = stages.end("product", self._product(m, gradients[node], step), f"change{place}")
                    lane = (node * layer.n_in + source) * layer.banks + bank
                    window = memory.old if self._plan.streaming else read.window
                    again = memory.again[source][bank] if later else None
                    coefficient = self._changed(m, stages, window[node][source][bank], again, product, lane, place)
                    m.d.comb += memory.write[node][source][bank].eq(coefficient)
        m.d.comb += memory.write_enable.eq(self.update)

    def _step(self, m: Module, stages: Stages, basis: FixedValue, source: int, bank: int, now: int) -> FixedValue:
        """Learning rate times basis: read or computed beside the forward pass, so that nothing waits for it."""
        place = f"{source}_{bank}"
        if self._plan.block_tables:
            step: FixedValue = self._steps.steps[source][bank]
        else:
            product = multiply_in_logic(
                m, basis, self.learning_rate, lambda part, half: stages.end("scale", part, f"scaled{place}_{half}")
            )
            exact = stages.wire(product, f"scaled{place}")
            scaled = self._plan.times.read + stages.ends("scale")
            step = self._narrow("step", exact, self._plan.layer.formats.step, scaled)
        step = stages.end("step", step, f"step{place}")
        met: FixedValue = stages.meet(step, self._plan.times.step, now, f"step{place}")
        return met

    def _changed(
        self,
        m: Module,
        stages: Stages,
        coefficient: FixedValue,
        again: Value | None,
        product: FixedValue,
        lane: int,
        place: str,
    ) -> FixedValue:
        """The updated coefficient; see :class:`CoefficientUpdate`."""
        m.submodules[f"update{place}"] = update = CoefficientUpdate(self._plan)
        m.d.comb += [
            update.coefficient.eq(coefficient),
            update.product.eq(product),
            update.access_write.eq(self.access_write),
            update.access_data.eq(self.access_data),
        ]
        if self._plan.stochastic:
            noise = lane_noise(self.noise, self._plan.first_lane + lane, self._plan.layer.noise_bits)
            m.d.comb += update.noise.eq(noise)
        if again is not None:
            m.d.comb += update.again.eq(again)
        self._flags["coefficient", self._plan.times.changed].append(update.saturated)
        result: FixedValue = update.result
        return result

    def _narrow(
        self, kind: str, value: FixedValue, format: Format, now: int, rounding: str | None = None
    ) -> FixedValue:
        """Narrows, and notes where it saturates and when; where it cannot, there is nothing to detect."""
        overflow = "saturate" if kind in self._plan.saturating else "wrap"
        result, outside = narrow(value, value.format.f, format, rounding or self._plan.rounding, overflow)
        if kind in self._plan.saturating:
            self._flags[kind, now].append(outside)
        return result  # type: ignore[no-any-return]
