"""The update of the coefficients of a layer of either kind."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import FixedValue, Format
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ...numeric.lfsr import lane_rotation
from ..plan import LayerPlan
from .coefficient_update import CoefficientUpdate, count_coefficient_update
from .coefficients import lane_layout, window_layout
from .folded_linear import edge_layout
from .multiply import multiply
from .narrowing import Narrowing, flag_layout
from .noise_register import lane_noise
from .pass_sequencer import StepTimes, choose, count_delay
from .pipeline_registers import Stages, count_meeting, delay, name_signal, wire_members


class LayerUpdate(wiring.Component):  # type: ignore[misc]
    """Multiplies the steps of a layer that is not folded with its gradients, and updates every coefficient.

    Parameters
    ----------
    plan
        How the layer is built; the times below are those of :class:`.LayerTimes`.

    Members
    -------
    gradient : In, for each node, at time ``gradient``; of modulated edges for each ``[node][input]``, at ``turned``
    steps : In, for each ``[input][bank]``, at time ``step``
    coefficients : In, for each ``[node][input][bank]``, to be updated: at time ``changed``, before the register after
        ``update``
    again : In, for each ``[input][bank]``, with the coefficient: change ``write`` instead; only with ``writes_late``
    linear_steps : In, for each input, at time ``step``; only with linear paths, as the next three
    weights : In, for each ``[node][input]`` the w that is to be updated, when the coefficients are
    weights_again : In(1), with them: change ``write_weights`` instead; only with ``writes_late``
    write_weights : Out, updated, at time ``changed``
    noise : In(32), state of the noise register, at time ``rounded``; only with stochastic rounding
    reached : In, with the coefficients, a bit for every input: whether it is on the grid; only with ``looks_outside``
    touched : In, with the coefficients, for each ``[input][bank]``: whether it is of the window; only with
        ``leaks_by_bank``
    rated : In(1), the learning rate is not zero; only where lost updates are counted
    access_write : In(1), write ``access_data`` instead of updates
    access_data : In, coefficient; zero where ``access_write`` is low
    write : Out, updated coefficients, at time ``changed``
    saturated : Out, which of them saturate, which inputs are outside of the grid, and in which edges an update is lost,
        at time ``changed``
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, formats = plan.layer, plan.layer.formats
        window = window_layout(layer, formats.coefficient)
        each = data.ArrayLayout(formats.gradient, layer.n_in) if layer.modulation else formats.gradient
        members: dict[str, Any] = {
            "gradient": In(data.ArrayLayout(each, layer.n_out)),
            "steps": In(data.ArrayLayout(data.ArrayLayout(formats.step, layer.banks), layer.n_in)),
            "coefficients": In(window),
            "access_write": In(1),
            "access_data": In(formats.coefficient),
            "write": Out(window),
            "saturated": Out(
                flag_layout(plan.saturating, coefficient=layer.lanes, outside=layer.n_in, lost=layer.n_out * layer.n_in)
            ),
        }
        if plan.looks_outside:
            members["reached"] = In(layer.n_in)
        if plan.leaks_by_bank:
            members["touched"] = In(data.ArrayLayout(layer.banks, layer.n_in))
        if plan.counts_lost:
            members["rated"] = In(1)
        if plan.writes_late:
            members["again"] = In(data.ArrayLayout(layer.banks, layer.n_in))
        if layer.linear:
            weights = data.ArrayLayout(data.ArrayLayout(formats.coefficient, layer.n_in), layer.n_out)
            members |= {
                "linear_steps": In(data.ArrayLayout(layer.linear.step, layer.n_in)),
                "weights": In(weights),
                "write_weights": Out(weights),
            }
            if plan.writes_late:
                members["weights_again"] = In(1)
        if plan.stochastic:
            members["noise"] = In(NOISE_WIDTH)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from the later of ``gradient`` and ``steps`` to ``write``."""
        plan = self._plan
        return plan.ends("product") + plan.registers_change + plan.registers_update

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer, times = self._plan, self._plan.layer, self._plan.times
        stages = Stages(m, plan.schedule, plan.index)
        narrowing = Narrowing(plan.rounding, plan.saturating)
        met = plan.multiplied
        steps = [
            [stages.meet(step, times.step, met, f"step{source}_{bank}") for bank, step in enumerate(banks)]
            for source, banks in enumerate(self.steps)
        ]
        gradients = [
            [stages.meet(gradient, times.turned, met, f"gradient{node}")] * layer.n_in
            if not layer.modulation
            else [
                stages.meet(one, times.turned, met, f"gradient{node}_{source}") for source, one in enumerate(gradient)
            ]
            for node, gradient in enumerate(self.gradient)
        ]
        edges = [(node, source) for node in range(layer.n_out) for source in range(layer.n_in)]
        reached = [Const(1)] * layer.n_in
        if plan.looks_outside:
            reached = list(delay(m, self.reached, int(plan.writes_late), "reached"))
            for inside in reached:
                narrowing.note("outside", ~inside)
        learns = reached if layer.holds else [Const(1)] * layer.n_in
        still: defaultdict[tuple[int, int], list[Value]] = defaultdict(list)
        lanes = enumerate(((*edge, bank) for edge in edges for bank in range(layer.banks)), plan.first_lane)

        def change(
            name: str, gradient: FixedValue, step: FixedValue, lane: int, learns: Value, *, linear: bool = False
        ) -> CoefficientUpdate:
            product = multiply(m, gradient, step, in_logic=plan.in_logic)
            m.submodules[f"coefficient{name}"] = update = CoefficientUpdate(plan, linear=linear)
            m.d.comb += update.product.eq(stages.end("product", product, f"change{name}"))
            wire_members(m, update, self, "access_write", "access_data")
            if plan.stochastic:
                m.d.comb += update.noise.eq(lane_noise(self.noise, lane, len(update.noise)))
            narrowing.note("coefficient", update.saturated & learns)
            return update

        for lane, (node, source, bank) in lanes:
            name, gradient = f"{node}_{source}_{bank}", gradients[node][source]
            update = change(name, gradient, steps[source][bank], lane, learns[source])
            if plan.counts_lost:
                still[node, source].append(update.still)
            m.d.comb += [
                update.coefficient.eq(self.coefficients[node][source][bank]),
                self.write[node][source][bank].eq(update.result),
            ]
            if plan.writes_late:
                m.d.comb += update.again.eq(self.again[source][bank])
            if plan.leaks_by_bank:
                m.d.comb += update.leaks.eq(self.touched[source][bank])
        if layer.linear:
            linear_steps = [
                stages.meet(step, times.step, met, f"linear_step{source}")
                for source, step in enumerate(self.linear_steps)
            ]
            for lane, (node, source) in enumerate(edges, plan.first_lane + len(edges) * layer.banks):
                name, gradient = f"{node}_{source}_linear", gradients[node][source]
                update = change(name, gradient, linear_steps[source], lane, Const(1), linear=True)
                m.d.comb += [
                    update.coefficient.eq(self.weights[node][source]),
                    self.write_weights[node][source].eq(update.result),
                ]
                if plan.writes_late:
                    m.d.comb += update.again.eq(self.weights_again)
        for (node, source), of_edge in still.items():
            taught = gradients[node][source].raw.any()
            taught = stages.meet(taught, plan.multiplied, times.changed, f"taught{node}_{source}")
            narrowing.note("lost", Cat(taught, self.rated, learns[source], *of_edge).all())
        narrowing.report(m, self.saturated)
        return m


def count_layer_update(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`LayerUpdate` has, except what delays steps."""
    layer, formats = plan.layer, plan.layer.formats
    edges = layer.n_in * layer.n_out * layer.banks
    step = Format(False, min(plan.step_bits, formats.step.width), 0)
    parts.product(formats.gradient, step, in_logic=plan.in_logic, times=edges)
    if plan.ends("product") and plan.in_logic:
        parts.register(layer.update_product.width * edges, moved=False)
    count_coefficient_update(parts, plan, edges)
    if plan.counts_lost:
        # Whether a gradient is zero, and a coefficient as it was, and what of that waits.
        parts.counts["detection"] += formats.gradient.width * layer.n_out + 2 * formats.coefficient.width * edges
        parts.register(formats.coefficient.width * edges if plan.registers_update else 0)
        count_meeting(parts, plan, layer.n_out, plan.multiplied, plan.times.changed)
    if layer.linear:
        edges = layer.n_in * layer.n_out
        parts.product(formats.gradient, layer.linear.step, in_logic=plan.in_logic, times=edges)
        if plan.ends("product") and plan.in_logic:
            parts.register(layer.linear.update_product.width * edges, moved=False)
        count_coefficient_update(parts, plan, edges, linear=True)


class FoldedUpdate(wiring.Component):  # type: ignore[misc]
    """Changes the coefficients of a step, or gives what is written from outside.

    Parameters
    ----------
    plan
        How the layer is built.

    Members
    -------
    old : In, coefficients by node lane, input lane and bank
    change : In, what is subtracted, likewise
    old_weights, linear_change : In, new_weights : Out, the same of linear paths, by node lane and input lane
    noise : In(32), state of the noise register; only with stochastic rounding
    access_data : In, the coefficient that is written from outside
    times : In, see :class:`.StepTimes`; all others are there at offset ``written``
    reached : In, a bit for every input lane: whether its input is on the grid; only with ``looks_outside``
    touched : In, for every input lane and bank: whether it is of the window; only with ``leaks_by_bank``
    taught : In, a bit for every node lane: neither gradient nor rate is zero; only where lost updates are counted
    new : Out, changed coefficients, in the same cycle; or what is written from outside
    saturated : Out, a bit for each, for every input outside of the grid, and for every edge whose update is lost, in a
        step of the update
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, passes = plan.layer, plan.passes
        window = lane_layout(plan, layer.formats.coefficient)
        edges = passes.node_lanes * passes.input_lanes
        lanes = edges * (layer.banks + (layer.linear is not None))
        members: dict[str, Any] = {
            "old": In(window),
            "change": In(lane_layout(plan, layer.update_product)),
            "access_data": In(layer.formats.coefficient),
            "times": In(StepTimes(plan)),
            "new": Out(window),
            "saturated": Out(flag_layout(plan.saturating, coefficient=lanes, outside=passes.input_lanes, lost=edges)),
        }
        if plan.looks_outside:
            members["reached"] = In(passes.input_lanes)
        if plan.leaks_by_bank:
            members["touched"] = In(data.ArrayLayout(layer.banks, passes.input_lanes))
        if plan.counts_lost:
            members["taught"] = In(passes.node_lanes)
        if layer.linear:
            weights = edge_layout(plan, layer.formats.coefficient)
            members |= {
                "old_weights": In(weights),
                "linear_change": In(edge_layout(plan, layer.linear.update_product)),
                "new_weights": Out(weights),
            }
        if plan.stochastic:
            members["noise"] = In(NOISE_WIDTH)
        super().__init__(members)

    @property
    def latency(self) -> int:
        """Cycles from ``old`` and ``change`` to ``new``: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, layer, passes = self._plan, self._plan.layer, self._plan.passes
        narrowing, updates = Narrowing(plan.rounding, plan.saturating), self.times.update[passes.written]
        always = [Const(1)] * passes.input_lanes
        reached = list(self.reached) if plan.looks_outside else always
        learns = reached if layer.holds else always
        for inside in reached if plan.looks_outside else []:
            narrowing.note("outside", ~inside, updates)

        def change(
            name: str,
            old: FixedValue,
            change: FixedValue,
            noise: Value,
            learns: Value,
            *,
            touched: Value | None = None,
            linear: bool = False,
        ) -> CoefficientUpdate:
            m.submodules[f"update{name}"] = update = CoefficientUpdate(plan, linear=linear)
            chosen = Mux(self.times.writing, self.access_data.raw, old.raw)[: old.format.width]
            # A serial multiplier begins with a step, not with a write; and to a simulator, zero times a value that
            # is not known yet is no zero.
            if plan.serial or plan.restarts:
                change = FixedValue(change.format, Mux(self.times.writing, 0, change.raw)[: change.format.width])
            m.d.comb += [
                update.coefficient.raw.eq(chosen),
                update.product.eq(change),
                update.noise.eq(noise[: len(update.noise)]),
            ]
            if layer.leak:
                leaks = ~self.times.writing
                m.d.comb += update.leaks.eq(leaks if touched is None else leaks & touched)
            narrowing.note("coefficient", update.saturated & learns, updates)
            return update

        lanes = [(node, source) for node in range(passes.node_lanes) for source in range(passes.input_lanes)]
        noise = self._rotate_noise(m, layer.banks)
        for node, source in lanes:
            still = []
            for bank in range(layer.banks):
                lane = plan.first_lane + (node * layer.n_in + source) * layer.banks + bank
                old, product = self.old[node][source][bank], self.change[node][source][bank]
                drawn = lane_noise(noise, lane, NOISE_WIDTH)
                touched = self.touched[source][bank] if plan.leaks_by_bank else None
                name = f"{node}_{source}_{bank}"
                update = change(name, old, product, drawn, learns[source], touched=touched)
                m.d.comb += self.new[node][source][bank].eq(update.result)
                still += [update.still] if plan.counts_lost else []
            if plan.counts_lost:
                narrowing.note("lost", Cat(self.taught[node], learns[source], *still).all(), updates)
        if layer.linear:
            noise = self._rotate_noise(m, 1)
            first = plan.first_lane + layer.n_out * layer.n_in * layer.banks
            for node, source in lanes:
                drawn = lane_noise(noise, first + node * layer.n_in + source, NOISE_WIDTH)
                old, product = self.old_weights[node][source], self.linear_change[node][source]
                update = change(f"{node}_{source}_linear", old, product, drawn, Const(1), linear=True)
                m.d.comb += self.new_weights[node][source].eq(update.result)
        narrowing.report(m, self.saturated)
        return m

    def _rotate_noise(self, m: Module, lanes_of_edge: int) -> Value:
        """The noise, rotated as far as the lanes of the step are numbered on from those of the first; of every edge
        there are ``lanes_of_edge``.

        Numbers grow evenly from part to part, and so does the rotation.
        """
        if not self._plan.stochastic:
            return Const(0, NOISE_WIDTH)
        layer, passes = self._plan.layer, self._plan.passes
        noise: Value = self.noise
        for part, parts, edges in (
            (self.times.input_part.written, passes.inputs, passes.input_lanes),
            (self.times.node_part.written, passes.nodes, passes.node_lanes * layer.n_in),
        ):
            rotated = [noise.rotate_left(lane_rotation(number * edges * lanes_of_edge)) for number in range(parts)]
            noise = name_signal(m, choose(rotated, part), "rotated")
        return noise


def count_folded_update(parts: Parts, plan: LayerPlan) -> None:
    """Count what a :class:`FoldedUpdate` has."""
    passes, layer = plan.passes, plan.layer
    lanes = passes.node_lanes * passes.input_lanes * layer.banks
    count_coefficient_update(parts, plan, lanes)
    if plan.counts_lost:
        parts.counts["detection"] += layer.formats.gradient.width * passes.node_lanes
        parts.counts["detection"] += 2 * layer.formats.coefficient.width * lanes
        count_delay(parts, passes, passes.node_lanes, passes.stepped, passes.written if passes.steps > 1 else 0)
    if layer.linear:
        count_coefficient_update(parts, plan, passes.node_lanes * passes.input_lanes, linear=True)
        lanes += passes.node_lanes * passes.input_lanes
    if plan.restarts and not plan.serial:
        parts.choice(layer.update_product.width, times=lanes)
    parts.choice(layer.formats.coefficient.width, times=lanes)
