"""Linear paths of a layer that is not folded: every edge's w, and what its inputs are for it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.bits import clog2
from ...numeric.fixed import Codes, FixedValue
from ..plan import LayerPlan
from .multiply import add_in_chains, add_pairs, carry_chain_barrier, multiply, multiply_in_logic, shift_up
from .narrowing import Narrowing, count_narrowing, cut_guard_bits, flag_layout
from .pipeline_registers import Stages, count_meeting, hold


class LinearInputs(wiring.Component):  # type: ignore[misc]
    """The inputs as they came in, for the linear paths, and their steps: the rate times x.

    The first layer's inputs are held from the edge that takes a sample. Steps are computed beside the forward pass, so
    that nothing waits for them.

    Parameters
    ----------
    plan
        How the layer is built; the times below are those of :class:`.LayerTimes`.

    Members
    -------
    x : In, codes of inputs; taken at time 0 in the first layer, there at time ``arrival`` of the plan in others
    take : In(1), the first layer takes ``x`` at the clock edge; matters only where it is held
    rate : In, of the linear paths
    inputs : Out, ``n_in`` activations, at time ``read``
    steps : Out, one for each input, at time ``step``
    saturated : Out, whether steps saturate, at :attr:`seen`
    """

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        layer, linear = plan.layer, plan.linear
        super().__init__(
            {
                "x": In(data.ArrayLayout(linear.input, layer.n_in)),
                "take": In(1),
                "rate": In(linear.rate),
                "inputs": Out(data.ArrayLayout(linear.input, layer.n_in)),
                "steps": Out(data.ArrayLayout(linear.step, layer.n_in)),
                "saturated": Out(flag_layout(plan.saturating, step=layer.n_in)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from ``x`` to ``inputs``; in the first layer from the cycle in which a sample is taken."""
        return self._plan.times.read - self._plan.arrival

    @property
    def seen(self) -> int:
        """The time at which steps are seen to saturate: before the register after ``step``."""
        return self._plan.settled + self._plan.scales_linear

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, times = self._plan, self._plan.times
        stages = Stages(m, plan.schedule, plan.index)
        narrowing = Narrowing(plan.rounding, plan.saturating)
        for source, given in enumerate(self.x):
            x = given
            if not plan.hidden:
                x = hold(m, given, Const(1) if plan.streaming else self.take, f"x{source}")
            step = stages.end("step", self._scale(m, narrowing, x, source), f"step{source}")
            since = self.seen + plan.ends("step")
            m.d.comb += [
                self.inputs[source].eq(stages.meet(x, plan.settled, times.read, f"x{source}_read")),
                self.steps[source].eq(stages.meet(step, since, times.step, f"step{source}_met")),
            ]
        narrowing.report(m, self.saturated)
        return m

    def _scale(self, m: Module, narrowing: Narrowing, x: FixedValue, source: int) -> FixedValue:
        """The rate times an input."""
        name = f"scaled{source}"

        def halfway(part: Value, half: str) -> Value:
            stages = Stages(m, self._plan.schedule, self._plan.index)
            return stages.end("scale", part, f"{name}_{half}") if self._plan.scales_linear else part

        exact = multiply_in_logic(m, x, self.rate, halfway)
        return narrowing.narrow("step", exact, self._plan.linear.step)


def count_linear_inputs(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`LinearInputs` has, and what delays its steps until gradients are there."""
    layer, linear, times = plan.layer, plan.linear, plan.times
    bits = linear.input.width * layer.n_in
    if not plan.hidden:
        parts.register(bits)
    count_meeting(parts, plan, bits, plan.settled, times.read)
    parts.written_out(linear.input, linear.rate, layer.n_in)
    if plan.scales_linear:
        parts.register((linear.step_product.width + linear.input.width) * layer.n_in, moved=False)
    count_narrowing(parts, plan, "step", linear.step_product, linear.step, layer.n_in)
    steps = linear.step.width * layer.n_in
    if plan.ends("step"):
        parts.register(steps, moved=False)
    count_meeting(parts, plan, steps, plan.settled + plan.scales_linear + plan.ends("step"), plan.multiplied)


class LinearWeights(wiring.Component):  # type: ignore[misc]
    """The w of every edge, in flip-flops that outlast a reset: every sample reads all of them, and changes them.

    Parameters
    ----------
    plan
        How the layer is built; the times below are those of :class:`.LayerTimes`.
    initial
        Initial codes, ``(n_out, n_in)``.

    Members
    -------
    read : Out, factors for each ``[node][input]``, as they are at time ``fetch``; there at time ``read``
    stored : Out, w as it is now, the same
    old : Out, what is to be changed: the same, or zero with ``again``
    again : Out(1), what was written a cycle ago is to be changed instead; low unless updates are written late
    write : In, changed; a cycle after ``old`` where updates are written late
    write_enable : In(1), with ``old``: store them
    access_enable : In, for each ``[node][input]``, store ``write`` at the clock edge
    """

    def __init__(self, plan: LayerPlan, initial: Codes) -> None:
        self._plan = plan
        self._initial = initial
        layer = plan.layer

        def edges(shape: Any) -> data.ArrayLayout:
            return data.ArrayLayout(data.ArrayLayout(shape, layer.n_in), layer.n_out)

        weights = edges(layer.formats.coefficient)
        super().__init__(
            {
                "read": Out(edges(layer.formats.factor)),
                "stored": Out(weights),
                "old": Out(weights),
                "again": Out(1),
                "write": In(weights),
                "write_enable": In(1),
                "access_enable": In(edges(1)),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a sample's ``fetch`` to ``read``."""
        return self._plan.times.read - self._plan.times.fetch

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        plan, times = self._plan, self._plan.times
        stages = Stages(m, plan.schedule, plan.index)
        enable = self.write_enable
        if plan.writes_late:
            enable = Signal(name="enable")
            m.d.sync += enable.eq(self.write_enable)
            m.d.comb += self.again.eq(enable)
        for node, inputs in enumerate(self.stored):
            for source, stored in enumerate(inputs):
                format, factor, edge = stored.format, self._plan.layer.formats.factor, f"{node}_{source}"
                first = 0.0 if plan.restarts else float(format.to_float(self._initial[node, source]))
                weight = Signal(format, name=f"weight{edge}", init=first, reset_less=True)
                with m.If(enable | self.access_enable[node][source]):
                    m.d.sync += weight.eq(self.write[node][source])
                read = cut_guard_bits(weight, factor)
                m.d.comb += [
                    stored.eq(weight),
                    self.read[node][source].eq(stages.meet(read, times.fetch, times.read, f"weight{edge}_read")),
                    self.old[node][source].raw.eq(weight.raw & ~self.again.replicate(format.width)),
                ]
        return m


def count_linear_weights(parts: Parts, plan: LayerPlan) -> None:
    """Count what :class:`LinearWeights` has, and the choice of what is read from outside."""
    layer, times = plan.layer, plan.times
    edges = layer.n_in * layer.n_out
    bits = edges * layer.formats.coefficient.width
    parts.register(bits, moved=False)
    count_meeting(parts, plan, edges * layer.formats.factor.width, times.fetch, times.read)
    if plan.writes_late:
        parts.choice(bits)


def add_products(m: Module, stages: Stages, plan: LayerPlan, weights: Any, inputs: Any) -> Value:
    """The sum of w x of a node, in codes of its exact sum, at time ``added``; ``weights`` and ``inputs`` are there at
    ``read``."""
    linear, layer = plan.linear, plan.layer
    products = [
        stages.end("multiply", multiply(m, weight, x, in_logic=plan.in_logic), f"linear{source}").raw
        for source, (weight, x) in enumerate(zip(weights, inputs, strict=True))
    ]
    pairs = add_pairs(stages, products, linear.product.width + 1, "linear_pair")
    width = linear.product.width + clog2(layer.n_in)
    total = add_in_chains(m, [carry_chain_barrier(m, pair, width) for pair in pairs], width)
    return stages.wire(shift_up(total, layer.node_sum.f - linear.product.f), "linear_sum")


def count_products(parts: Parts, plan: LayerPlan, times: int) -> None:
    """Count what :func:`add_products` takes for ``times`` nodes."""
    linear, layer = plan.linear, plan.layer
    width, pairs = linear.product.width, (layer.n_in + 1) // 2
    parts.product(linear.factor, linear.input, in_logic=plan.in_logic, times=layer.n_in * times)
    if plan.ends("multiply") and plan.in_logic:
        parts.register(width * layer.n_in * times, moved=False)
    parts.adder(width + 1, layer.n_in // 2 * times)
    if plan.ends("add"):
        parts.register((width + 1) * pairs * times, moved=False)
    parts.adder(width + clog2(layer.n_in), (pairs - 1) * times)
