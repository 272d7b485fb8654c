"""One layer: what every layer looks like from outside, and one whose edges are all side by side."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from amaranth.hdl import Cat, Const, Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ...fabric.parts import Parts
from ...numeric.fixed import Codes
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ..plan import LayerPlan
from .coefficients import CoefficientAccess, Coefficients, count_coefficients
from .linear import LinearInputs, count_linear_inputs
from .modulation import ModulatedNodes, TurnedGradients, count_modulated_nodes, count_turned_gradients
from .narrowing import cut_guard_bits
from .node import Downstream, Node, count_downstream, count_nodes
from .pipeline_registers import Stages, delay, hold, wire_members
from .update import LayerUpdate, count_layer_update
from .window import Window, count_window


class LayerSignature(wiring.Signature):  # type: ignore[misc]
    """The members of a layer of any kind, all decided by its plan.

    Members
    -------
    take : In(1)
        A layer that is not folded takes ``x`` at the clock edge, if it is the first and samples do not stream; the
        others need none. A folded layer begins its forward pass in the next cycle, and the first takes ``x`` with it.
    update : In(1)
        Coefficients are updated: at the clock edge, or where samples stream and the stage ``update`` is named, a cycle
        later. A folded layer begins its backward pass in the next cycle.
    x : In
        ``n_in`` activations, before each of them what multiplies its edges' curves, where they are modulated; with
        ``located`` exact sums of the layer before, with what that adds to them.
    y : Out
        ``n_out`` activations.
    total : Out
        ``n_out`` exact node sums, with what ``next_located`` adds to them; not with ``forms_error``.
    target : In
        ``n_out`` activations; only with ``forms_error``.
    error : Out
        ``n_out`` gradients, there with ``y``; only with ``forms_error``.
    gradient : In
        dL/dy of ``n_out`` nodes.
    downstream : Out
        dL/dx of ``n_in`` inputs; not in the first layer.
    learning_rate : In
    linear_rate : In
        Of the linear paths; only where the layer has them.
    rate_written : In(1)
        The learning rate changes at the clock edge.
    busy : Out(1)
        Tables are being made for it, and nothing else can be done; always low in a folded layer, which has none.
    noise : In(32)
        State of the noise register, for the sample whose coefficients change; only with stochastic rounding.
    saturated : Out
        One bit for every kind of value that can saturate: whether any does.
    access : In
        :class:`.CoefficientAccess`
    access_write : In(1)
        What ``access`` writes is ``access_data``; otherwise both are low.
    access_data : In
        Code of a coefficient.
    """

    def __init__(self, plan: LayerPlan) -> None:
        layer, formats = plan.layer, plan.layer.formats
        gradients = data.ArrayLayout(formats.gradient, layer.n_out)
        members: dict[str, Any] = {
            "take": In(1),
            "update": In(1),
            "x": In(data.ArrayLayout(plan.located.format if plan.located else formats.input, layer.inputs)),
            "y": Out(data.ArrayLayout(formats.output, layer.n_out)),
            "gradient": In(gradients),
            "learning_rate": In(formats.learning_rate),
            "rate_written": In(1),
            "busy": Out(1),
            "saturated": Out(data.StructLayout(dict.fromkeys(sorted(plan.saturating), 1))),
            "access": In(CoefficientAccess(layer)),
            "access_write": In(1),
            "access_data": In(formats.coefficient),
        }
        if plan.hidden:
            members["downstream"] = Out(data.ArrayLayout(formats.downstream, layer.n_in))
        if plan.forms_error:
            members["target"] = In(data.ArrayLayout(formats.output, layer.n_out))
            members["error"] = Out(gradients)
        else:
            total = plan.next_located.format if plan.next_located else layer.node_sum
            members["total"] = Out(data.ArrayLayout(total, layer.n_out))
        if plan.stochastic:
            members["noise"] = In(NOISE_WIDTH)
        if layer.linear:
            members["linear_rate"] = In(layer.linear.rate)
        super().__init__(members)


class AnyLayer(wiring.Component):  # type: ignore[misc]
    """What layers of every kind are made of: a plan, and the coefficients that they begin with.

    Parameters
    ----------
    plan
        How it is built.
    initial
        Initial coefficient codes, ``(n_out, n_in, coefficients)``.

    Members
    -------
    See :class:`LayerSignature`.
    """

    def __init__(self, plan: LayerPlan, initial: Codes) -> None:
        self._plan = plan
        self._initial = initial
        super().__init__(LayerSignature(plan))


class Layer(AnyLayer):
    """A layer of ``n_in`` by ``n_out`` edges, all of them side by side.

    In the sequential schedule ``x`` (in the first layer: what it was when ``take`` was high), ``target``, ``gradient``
    and ``noise`` hold still, every output settles after the registers on its path, and ``update`` then stores the
    updated coefficients. In the streaming schedule they change with every clock, and each belongs to the sample that
    has come as far: see :class:`.LayerTimes`. Implements the equations of :mod:`kanrtl.learner.model_batch`.

    Parameters
    ----------
    plan
        How it is built.
    initial
        Initial coefficient codes, ``(n_out, n_in, coefficients)``.

    Members
    -------
    See :class:`.LayerSignature`. ``x`` is taken at time 0 in the first layer, and there at time ``summed`` of the layer
    before in the others; ``y``, ``total`` and ``error`` are there at time ``summed``, ``target`` is from time 1,
    ``gradient`` at time ``gradient``, ``noise`` at time ``rounded``, ``update`` at time ``changed``, and ``saturated``
    at the times :attr:`.Schedule.counted`.
    """

    @property
    def latency(self) -> int:
        """Cycles from ``x`` to ``y``; in the first layer from the edge that takes it."""
        return self._plan.times.summed - self._plan.arrival

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, times = self._plan, self._plan.times
        m.submodules.window = window = Window(plan)
        m.submodules.coefficients = memory = Coefficients(plan, self._initial)
        m.submodules.update = update = LayerUpdate(plan)
        connect(m, flipped(self.access), memory.access)
        wire_members(m, window, self, "take", "learning_rate", "rate_written")
        wire_members(m, update, self, "access_write", "access_data")
        numbers = 1 + plan.layer.modulation
        m.d.comb += [window.x[source].eq(self.x[source * numbers + numbers - 1]) for source in range(plan.layer.n_in)]
        m.d.comb += [
            window.access_enable.eq(self.access.enable),
            window.access_index.eq(self.access.index),
            self.busy.eq(window.busy),
            memory.cell.eq(window.cell),
            memory.take.eq(window.load),
            window.stored.eq(memory.read),
            update.steps.eq(window.steps),
            update.coefficients.eq(memory.old if plan.streaming else window.coefficients),
            memory.write.eq(update.write),
            memory.write_enable.eq(self.update),
        ]
        if plan.writes_late:
            wire_members(m, update, memory, "again")
        if plan.stochastic:
            wire_members(m, update, self, "noise")
        if plan.looks_outside:
            m.d.comb += [memory.inside.eq(window.inside), update.reached.eq(memory.reached)]
        if plan.leaks_by_bank:
            wire_members(m, update, memory, "touched")
        if plan.counts_lost:
            m.d.comb += update.rated.eq(self.learning_rate.raw.any())
        flags = [("step", window, plan.scaled)]
        flags += [(kind, update, times.changed) for kind in ("coefficient", "outside", "lost")]
        linear = self._connect_linear(m, memory, update) if plan.layer.linear else None
        if linear:
            flags.append(("step", linear, linear.seen))
        if plan.layer.modulation:
            flags += self._modulate(m, window, update)
        else:
            m.d.comb += update.gradient.eq(self.gradient)
        for number in range(0 if plan.layer.modulation else plan.layer.n_out):
            m.submodules[f"node{number}"] = node = Node(plan)
            flags += [("gradient", node, times.summed), ("activation", node, times.summed)]
            m.d.comb += [
                node.factors.eq(window.factors[number]),
                node.basis.eq(window.basis),
                self.y[number].eq(node.y),
            ]
            if plan.differences:
                for source, first in enumerate(node.firsts):
                    first_coefficient = window.coefficients[number][source][0]
                    m.d.comb += first.eq(cut_guard_bits(first_coefficient, plan.layer.formats.factor))
            if linear:
                m.d.comb += [node.weights.eq(memory.weights[number]), node.x.eq(linear.inputs)]
            if plan.forms_error:
                m.d.comb += [node.target.eq(self.target[number]), self.error[number].eq(node.error)]
            else:
                m.d.comb += self.total[number].eq(node.total)
        if plan.hidden:
            m.submodules.downstream = downstream = Downstream(plan)
            flags += [("slope", downstream, times.summed), ("gradient", downstream, downstream.seen)]
            wire_members(m, downstream, window, "factors", "derivative")
            wire_members(m, downstream, self, "gradient")
            if linear:
                wire_members(m, downstream, memory, "weights")
            wire_members(m, self, downstream, "downstream")
        self._gather(m, flags)
        return m

    def _modulate(self, m: Module, window: Window, update: LayerUpdate) -> list[tuple[str, Any, int]]:
        """Multiply curves and gradients by inputs; give what saturates, and when."""
        plan, layer = self._plan, self._plan.layer
        m.submodules.nodes = nodes = ModulatedNodes(plan)
        m.submodules.turn = turn = TurnedGradients(plan)
        for source in range(layer.n_in):
            for part in range(layer.modulation):
                u = self.x[source * (1 + layer.modulation) + part]
                taken = hold(m, u, Const(1) if plan.streaming else self.take, f"factor{source}_{part}")
                m.d.comb += [nodes.factors[source][part].eq(taken), turn.factors[source][part].eq(taken)]
        wire_members(m, nodes, window, "coefficients", "basis")
        wire_members(m, turn, self, "gradient")
        wire_members(m, self, nodes, "y", "total")
        m.d.comb += update.gradient.eq(turn.turned)
        return [("activation", nodes, plan.times.summed), ("gradient", turn, turn.seen)]

    def _connect_linear(self, m: Module, memory: Coefficients, update: LayerUpdate) -> LinearInputs:
        """The inputs of the linear paths, and the update of every edge's w."""
        m.submodules.linear = linear = LinearInputs(self._plan)
        wire_members(m, linear, self, "take")
        wire_members(m, memory, update, "write_weights")
        m.d.comb += [
            *(scaled.raw.eq(x.raw) for scaled, x in zip(linear.x, self.x, strict=True)),
            linear.rate.eq(self.linear_rate),
            update.linear_steps.eq(linear.steps),
            update.weights.eq(memory.old_weights),
        ]
        if self._plan.writes_late:
            wire_members(m, update, memory, "weights_again")
        return linear

    def _gather(self, m: Module, flags: list[tuple[str, Any, int]]) -> None:
        """Whether anything of a kind saturates, from the components that see it, and the times at which they do."""
        plan, schedule = self._plan, self._plan.parallel
        stages = Stages(m, schedule, plan.index)
        noted: defaultdict[tuple[str, int], list[Value]] = defaultdict(list)
        for kind, component, since in flags:
            if kind in component.saturated.shape().members:
                noted[kind, since].append(component.saturated[kind])
        kinds: defaultdict[str, list[Value]] = defaultdict(list)
        for (kind, since), bits in noted.items():
            name = f"{kind}_saturates_{since}"
            if plan.streaming:
                # What sees them may be far apart: where there is time, each goes through a register to where they meet.
                counted = schedule.counted[kind != "activation"]
                met = min(since + 1, counted)
                seen = stages.meet(Cat(bits), since, met, name)
                seen = stages.meet(seen.any(), met, counted, f"{name}_any")
            else:
                seen = delay(m, Cat(bits), schedule.counts_late, name).any()
            kinds[kind].append(seen)
        for kind, any_of_kind in kinds.items():
            m.d.comb += self.saturated[kind].eq(Cat(any_of_kind).any())


def count_layer(parts: Parts, plan: LayerPlan, *, predicts: bool) -> None:
    """Count what :class:`Layer` has; ``predicts``: whether anything looks at y."""
    count_coefficients(parts, plan)
    count_window(parts, plan)
    if plan.layer.linear:
        count_linear_inputs(parts, plan)
    if plan.layer.modulation:
        count_modulated_nodes(parts, plan, predicts=predicts)
        count_turned_gradients(parts, plan)
    else:
        count_nodes(parts, plan, predicts=predicts)
    if plan.hidden:
        count_downstream(parts, plan)
    count_layer_update(parts, plan)
