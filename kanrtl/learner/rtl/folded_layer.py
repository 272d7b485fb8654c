"""A folded layer: gone through in several steps by fewer multipliers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...fabric.parts import Parts
from ...numeric.fixed import Format
from ..plan import LayerPlan
from .coefficients import FoldedCoefficients, count_folded_coefficients
from .edge_lane import EdgeLane, count_edge_lanes
from .folded_linear import FoldedLinearSteps, count_folded_linear_steps
from .layer import AnyLayer
from .multiply import add_tree, shift_up
from .narrowing import Narrowing, count_narrowing, cut_guard_bits, resize
from .pass_sequencer import PassSequencer, StepFlow, StepTimes, choose, count_pass_sequencer
from .saturation import PassSaturation
from .steps import ScaledSteps, count_scaled_steps
from .update import FoldedUpdate, count_folded_update
from .window import FoldedTables, count_folded_tables


class Accumulator(wiring.Component):  # type: ignore[misc]
    """Adds up along one axis of a pass, and keeps the sums across the other.

    Parameters
    ----------
    format
        Of the sums, exact: it holds them all, whatever terms are still to come.
    along
        How many terms a sum has.
    across
        How many sums there are, one after another.
    reset_less
        Whether the sums outlast a reset: DSP blocks can then take their registers in.

    Members
    -------
    term : In, in ``format``
    add : In(1), add the term at the clock edge
    first : In(1), it begins a sum; not looked at where it always does
    index : In, which sum it belongs to
    totals : Out, the sums, each complete ``latency`` cycles after its last term until its first comes again
    """

    def __init__(self, format: Format, *, along: int, across: int, reset_less: bool) -> None:
        self._along = along
        self._across = across
        self._reset_less = reset_less
        super().__init__(
            {
                "term": In(format),
                "add": In(1),
                "first": In(1),
                "index": In(range(across)),
                "totals": Out(data.ArrayLayout(format, across)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a term to the sum with it."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        shape = self.term.shape()
        totals = [Signal(shape, name=f"total{index}", reset_less=self._reset_less) for index in range(self._across)]
        new, running = Signal(shape), totals[0]
        if self._along == 1:
            m.d.comb += new.eq(self.term)
        else:
            if self._across > 1:
                running = Signal(shape, name="running", reset_less=True)
                with m.If(self.add):
                    m.d.sync += running.eq(new)
            m.d.comb += new.raw.eq(Mux(self.first, 0, running.raw) + self.term.raw)
        for index, total in enumerate(totals):
            with m.If(self.add & (self.index == index) if self._across > 1 else self.add):
                m.d.sync += total.eq(new)
            m.d.comb += self.totals[index].eq(total)
        return m


def count_accumulator(parts: Parts, format: Format, *, terms: int, along: int, across: int, lanes: int) -> None:
    """Count what ``lanes`` :class:`Accumulator` have, with the tree that adds ``terms`` to one."""
    parts.sum(terms, format.width, lanes)
    if along > 1:
        parts.adder(format.width, lanes)
        parts.choice(format.width, times=lanes)
        if across > 1:
            parts.register(format.width * lanes)
    parts.register(format.width * across * lanes, moved=False)


class FoldedLayer(AnyLayer):
    """A layer of ``n_in`` by ``n_out`` edges, as many of them at a time as there are lanes.

    Implements the equations of :mod:`kanrtl.learner.model_batch`, with the passes of
    :mod:`kanrtl.learner.folded_schedule`::

        x --> tables --> coefficients --> edges --> sums --> y
                 |             ^            |  `--> downstream sums
                 +--> scale ---|----------> |
                               +-- update <-+

    ``total`` and ``y`` are held from forward pass to forward pass, ``downstream`` from backward pass to backward pass.
    What saturates is told a cycle late, except activations. A coefficient is read with the latency of a step, and one
    cycle more; ``access_write`` is high with ``access.enable``.

    Parameters
    ----------
    plan
        How it is built.
    initial
        Initial coefficient codes, ``(n_out, n_in, coefficients)``.

    Members
    -------
    See :class:`.LayerSignature`.
    """

    @property
    def latency(self) -> int:
        """Cycles from ``take`` to ``y``."""
        passes = self._plan.passes
        return 1 + passes.last + passes.multiplied + 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, passes, layer = self._plan, self._plan.passes, self._plan.layer
        m.submodules.sequencer = sequencer = PassSequencer(plan)
        m.submodules.tables = tables = FoldedTables(plan)
        m.submodules.coefficients = coefficients = FoldedCoefficients(plan, self._initial)
        m.submodules.scale = scale = ScaledSteps(plan)
        m.submodules.update = update = FoldedUpdate(plan)
        lanes = [[EdgeLane(plan) for _ in range(passes.input_lanes)] for _ in range(passes.node_lanes)]
        edges = [edge for row in lanes for edge in row]
        times = sequencer.times
        connect(m, times, tables.times, scale.times, update.times, *(edge.times for edge in edges))
        linear = [self._connect_linear(m, sequencer, tables, coefficients, lanes, update)] if layer.linear else []
        connect(m, flipped(self.access), coefficients.access)
        m.d.comb += [
            sequencer.begin_forward.eq(self.take),
            sequencer.begin_backward.eq(self.update),
            sequencer.access_enable.eq(self.access.enable),
            sequencer.access_write.eq(self.access_write),
            sequencer.access_input.eq(self.access.input),
            sequencer.access_output.eq(self.access.output),
            tables.take.eq(self.take),
            tables.x.eq(self.x),
            tables.access_enable.eq(self.access.enable),
            tables.access_index.eq(self.access.index),
            coefficients.input_part.eq(times.input_part.begun),
            coefficients.node_part.eq(times.node_part.begun),
            coefficients.step.eq(times.step),
            coefficients.cell.eq(tables.cell),
            coefficients.write.eq(update.new),
            coefficients.write_enable.eq(times.update[passes.written]),
            scale.basis.eq(tables.basis),
            scale.learning_rate.eq(self.learning_rate),
            update.old.eq(coefficients.old),
            update.access_data.eq(self.access_data),
        ]
        for node, row in enumerate(lanes):
            gradients = [self.gradient[number].raw for number in range(node, layer.n_out, passes.node_lanes)]
            for source, edge in enumerate(row):
                m.submodules[f"edge{node}_{source}"] = edge
                m.d.comb += [
                    *(
                        factor.eq(cut_guard_bits(coefficient, layer.formats.factor))
                        for factor, coefficient in zip(edge.factor, coefficients.read[node][source], strict=True)
                    ),
                    edge.basis.eq(tables.basis[source]),
                    edge.move.eq(scale.steps[source]),
                    edge.gradient.raw.eq(choose(gradients, times.node_part.stepped)),
                    update.change[node][source].eq(edge.change),
                ]
                if passes.hidden:
                    m.d.comb += [
                        edge.derivative.eq(tables.derivative[source]),
                        edge.slope_gradient.raw.eq(choose(gradients, times.node_part.sloped)),
                    ]
        if plan.stochastic:
            m.d.comb += update.noise.eq(self.noise)
        if plan.looks_outside:
            m.d.comb += [coefficients.inside.eq(tables.inside), update.reached.eq(coefficients.reached)]
        if plan.leaks_by_bank:
            m.d.comb += update.touched.eq(coefficients.touched)
        if plan.counts_lost:
            flow = StepFlow(m, passes, times.step)
            taught = Cat(row[0].gradient.raw.any() for row in lanes)
            taught = flow.meet(taught, passes.stepped, passes.written, "taught")
            m.d.comb += update.taught.eq(taught & self.learning_rate.raw.any().replicate(passes.node_lanes))
        narrowing = Narrowing(plan.rounding, plan.saturating)
        self._sum_nodes(m, times, lanes, narrowing)
        if passes.hidden:
            self._sum_downstream(m, times, lanes, narrowing)
        self._report(m, [scale, *linear, update, *edges], narrowing)
        return m

    def _connect_linear(
        self,
        m: Module,
        sequencer: PassSequencer,
        tables: FoldedTables,
        coefficients: FoldedCoefficients,
        lanes: list[list[EdgeLane]],
        update: FoldedUpdate,
    ) -> FoldedLinearSteps:
        """The inputs of the linear paths, and what changes every edge's w; give their steps."""
        m.submodules.linear_steps = steps = FoldedLinearSteps(self._plan)
        connect(m, sequencer.times, steps.times)
        m.d.comb += [
            steps.rate.eq(self.linear_rate),
            steps.inputs.eq(tables.inputs),
            update.old_weights.eq(coefficients.old_weights),
            coefficients.write_weights.eq(update.new_weights),
        ]
        for node, row in enumerate(lanes):
            for source, edge in enumerate(row):
                m.d.comb += [
                    edge.weight.eq(cut_guard_bits(coefficients.weights[node][source], edge.weight.format)),
                    edge.x.eq(tables.inputs[source]),
                    edge.linear_move.eq(steps.steps[source]),
                    update.linear_change[node][source].eq(edge.linear_change),
                ]
        return steps

    def _sum_nodes(self, m: Module, times: StepTimes, lanes: list[list[EdgeLane]], narrowing: Narrowing) -> None:
        """Drive ``total`` and ``y``."""
        layer, passes = self._plan.layer, self._plan.passes
        for lane, row in enumerate(lanes):
            total = Accumulator(layer.node_sum, along=passes.inputs, across=passes.nodes, reset_less=False)
            m.submodules[f"sum{lane}"] = total
            # In codes of node_sum.
            up = layer.node_sum.f - layer.formats.factor.f - layer.formats.basis.f
            products = [shift_up(value.raw, up) for edge in row for value in edge.product]
            if layer.linear:
                up = layer.node_sum.f - layer.linear.product.f
                products += [shift_up(edge.linear_product.raw, up) for edge in row]
            m.d.comb += [
                # The bases sum to one: the sum fits node_sum, whatever its single products could reach together.
                total.term.eq(resize(add_tree(products), layer.node_sum)),
                total.add.eq(times.forward[passes.multiplied]),
                total.first.eq(times.input_part.multiplied == 0),
                total.index.eq(times.node_part.multiplied),
                *(self.total[part * passes.node_lanes + lane].eq(value) for part, value in enumerate(total.totals)),
            ]
        for node in range(layer.n_out):
            m.d.comb += self.y[node].eq(narrowing.narrow("activation", self.total[node], layer.formats.output))

    def _sum_downstream(self, m: Module, times: StepTimes, lanes: list[list[EdgeLane]], narrowing: Narrowing) -> None:
        """Drive ``downstream``."""
        layer, passes = self._plan.layer, self._plan.passes
        for lane, column in enumerate(zip(*lanes, strict=True)):
            total = Accumulator(layer.downstream_sum, along=passes.nodes, across=passes.inputs, reset_less=True)
            m.submodules[f"downstream{lane}"] = total
            m.d.comb += [
                total.term.eq(resize(add_tree([edge.downstream.raw for edge in column]), layer.downstream_sum)),
                total.add.eq(times.slopes[passes.gathered]),
                total.first.eq(times.node_part.gathered == 0),
                total.index.eq(times.input_part.gathered),
            ]
            domain = m.d.sync if self._plan.ends("error", below=1) else m.d.comb
            for part, value in enumerate(total.totals):
                gradient = narrowing.narrow("gradient", value, layer.formats.downstream)
                domain += self.downstream[part * passes.input_lanes + lane].eq(gradient)

    def _report(self, m: Module, parts: list[Any], narrowing: Narrowing) -> None:
        """Drive ``saturated`` from what was narrowed here and in ``parts``."""
        flags: dict[str, list[Value]] = dict(narrowing.flags)
        for part in parts:
            for kind in part.saturated.shape().members:
                flags.setdefault(kind, []).append(part.saturated[kind])
        counts = {kind: len(Cat(values)) for kind, values in flags.items()}
        m.submodules.saturation = saturation = PassSaturation(counts)
        m.d.comb += saturation.restart.eq(self.update)
        for kind, values in flags.items():
            m.d.comb += [saturation.flags[kind].eq(Cat(values)), self.saturated[kind].eq(saturation.saturated[kind])]


def count_folded_layer(parts: Parts, plan: LayerPlan, *, predicts: bool) -> None:
    """Count what a :class:`FoldedLayer` has; ``predicts``: whether anything looks at y."""
    layer, passes, formats = plan.layer, plan.passes, plan.layer.formats
    parts.counts["lane"] += passes.input_lanes * passes.node_lanes * layer.banks
    count_pass_sequencer(parts, plan)
    count_folded_tables(parts, plan)
    count_folded_coefficients(parts, plan)
    count_scaled_steps(parts, plan)
    parts.choice(formats.gradient.width, passes.nodes, passes.node_lanes)
    count_edge_lanes(parts, plan)
    count_folded_update(parts, plan)
    terms, inputs, nodes = passes.input_lanes * layer.banks, passes.input_lanes, passes.node_lanes
    if layer.linear:
        count_folded_linear_steps(parts, plan)
        terms += inputs
    count_accumulator(parts, layer.node_sum, terms=terms, along=passes.inputs, across=passes.nodes, lanes=nodes)
    if predicts:
        count_narrowing(parts, plan, "activation", layer.node_sum, formats.output, layer.n_out)
    if plan.hidden:
        total = layer.downstream_sum
        count_accumulator(parts, total, terms=nodes, along=passes.nodes, across=passes.inputs, lanes=inputs)
        count_narrowing(parts, plan, "gradient", total, formats.downstream, layer.n_in)
        if plan.ends("error", below=1):
            parts.register(formats.downstream.width * layer.n_in, moved=False)
