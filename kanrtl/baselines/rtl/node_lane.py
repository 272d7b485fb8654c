"""The multipliers that hidden nodes of a folded perceptron share: one node after another, forward and backward."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...learner.rtl.multiply import add_in_chains, count_chains
from ...learner.rtl.narrowing import cut_guard_bits, resize
from ...learner.rtl.pipeline_registers import delay
from ...numeric.fixed import SQ, FixedValue, Format
from ..mlp_spec import MlpSpec
from .hidden_nodes import HiddenActivation, HiddenStep, count_hidden_nodes, hidden_offset
from .weighted_sum import bias_term, change_weight, count_changed_biases, count_changed_weights, sum_terms


def node_layout(spec: MlpSpec) -> data.StructLayout:
    """The weights of a hidden node: ``inner``, v of its inputs and at last its bias, and ``outer``, w to every
    output."""
    first, second = spec.sums
    return data.StructLayout(
        {
            "inner": data.ArrayLayout(first.coefficient, spec.n_in + 1),
            "outer": data.ArrayLayout(second.coefficient, spec.n_out),
        }
    )


class NodeLane(wiring.Component):  # type: ignore[misc]
    """What is done for a hidden node (:class:`.MlpSpec`): a and its terms of the outputs' sums in a forward pass, and
    new weights in a backward one.

    Multipliers: one for each input, for v x and then d x; and two for each output, one of them for w a and then h w,
    and one for h a.

    Parameters
    ----------
    spec
        The perceptron.

    Members
    -------
    backward : In(1)
        The pass is a backward one.
    x : In
        The sample, which keeps still during both passes.
    steps : In
        h of every output, which keeps still during a backward pass.
    weights : In
        Those of the node (:func:`node_layout`), in any cycle of another node.
    activation : Out, open : Out(1), activation_saturates : Out(1)
        Of a forward pass, :attr:`latency` cycles after its weights.
    terms : Out, for each output w a
        With ``activation``.
    remembered, remembered_open : In
        What ``activation`` and ``open`` were, in a backward pass, with the weights.
    given : In
        What the weights become where they are written from outside; not in a backward pass.
    written : Out, what the weights become
        :attr:`change_latency` cycles after them.
    step_saturates, coefficient_saturates : Out(1)
        With ``written``.
    """

    def __init__(self, spec: MlpSpec) -> None:
        self._spec = spec
        product = self._products()[1]
        super().__init__(
            {
                "backward": In(1),
                "x": In(data.ArrayLayout(spec.unit_format, spec.n_in)),
                "steps": In(data.ArrayLayout(spec.step_format, spec.n_out)),
                "weights": In(node_layout(spec)),
                "activation": Out(spec.activation_format),
                "open": Out(1),
                "activation_saturates": Out(1),
                "terms": Out(data.ArrayLayout(product, spec.n_out)),
                "remembered": In(spec.activation_format),
                "remembered_open": In(1),
                "given": In(node_layout(spec)),
                "written": Out(node_layout(spec)),
                "step_saturates": Out(1),
                "coefficient_saturates": Out(1),
            }
        )

    def _products(self) -> tuple[Format, Format]:
        """The formats of v x and of w a."""
        return tuple(  # type: ignore[return-value]
            SQ(layer.factor.i + layer.feature.i, layer.factor.f + layer.feature.f) for layer in self._spec.sums
        )

    @property
    def latency(self) -> int:
        """Clock cycles from a node's weights to its terms, in a forward pass."""
        return self._spec.ends("hidden")

    @property
    def change_latency(self) -> int:
        """Clock cycles from a node's weights to what they become, in a backward pass."""
        return self._spec.ends("downstream")

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec = self._spec
        first, second = spec.sums
        m.submodules.hidden = hidden = HiddenActivation(spec, 1)
        m.submodules.downstream = downstream = HiddenStep(spec, 1)
        inner, outer = list(self.weights.inner), list(self.weights.outer)
        before = data.View(node_layout(spec), delay(m, self.weights.as_value(), self.change_latency, "weights"))
        changing = delay(m, self.backward, self.change_latency, "changing")
        remembered = delay(m, self.remembered.raw, self.change_latency, "remembered")
        [d] = downstream.downstream
        inner_product, outer_product = self._products()

        terms, changes = [], []
        for source in range(spec.n_in):
            factor, x = cut_guard_bits(inner[source], first.factor), self.x[source]
            product = _multiply(m, Mux(changing, d.raw, factor.raw), x.raw, f"inner{source}")
            terms.append(resize(product, inner_product).raw)
            changes.append(_take(product, d.format, x.format))
        bias = cut_guard_bits(inner[-1], first.factor)
        total = add_in_chains(m, [*terms, bias_term(bias, first, hidden_offset(spec))], first.total.width)
        m.d.comb += [
            hidden.totals[0].eq(resize(total, first.total)),
            self.activation.eq(hidden.activations[0]),
            self.open.eq(hidden.open),
            self.activation_saturates.eq(hidden.saturates),
            downstream.open.eq(self.remembered_open),
        ]
        unfit: list[Value] = []

        def write(target: FixedValue, change: FixedValue, given: FixedValue, old: FixedValue, name: str) -> None:
            new = change_weight(old, change, spec.rounding)
            m.d.comb += target.eq(new.limit(m, changing, name, given.raw & (~changing).replicate(given.format.width)))
            unfit.append(new.outside)

        for output in range(spec.n_out):
            factor, step = cut_guard_bits(outer[output], second.factor), self.steps[output]
            # In a forward pass a may be there a cycle later.
            forward = delay(m, factor.raw, self.latency, f"factor{output}")
            operands = Mux(self.backward, factor.raw, forward), Mux(self.backward, step.raw, self.activation.raw)
            product = _multiply(m, *operands, f"outer{output}")
            m.d.comb += [
                self.terms[output].eq(resize(product, outer_product)),
                downstream.terms[0][output].eq(_take(product, factor.format, step.format)),
            ]
            change = step * spec.activation_format(remembered)
            written, given, old = (weights.outer[output] for weights in (self.written, self.given, before))
            write(written, change, given, old, f"outer{output}")
        for source, change in enumerate([*changes, d]):
            written, given, old = (weights.inner[source] for weights in (self.written, self.given, before))
            write(written, change, given, old, f"inner{source}")
        m.d.comb += [
            self.step_saturates.eq(downstream.saturates),
            self.coefficient_saturates.eq(Cat(unfit).any()),
        ]
        return m


def _multiply(m: Module, a: Any, b: Any, name: str) -> Signal:
    """The exact product of two signed values, as one multiplier makes it."""
    product = Signal(signed(len(a) + len(b)), name=f"{name}_product")
    m.d.comb += product.eq(a.as_signed() * b.as_signed())
    return product


def _take(product: Signal, a: Format, b: Format) -> FixedValue:
    """A product as that of numbers in two formats."""
    return resize(product, SQ(a.i + b.i, a.f + b.f))


def count_node_lane(parts: Parts, spec: MlpSpec) -> None:
    """Count what :class:`NodeLane` has."""
    first, second = spec.sums
    wider = max(first.factor, spec.hidden_step_format, key=lambda format: format.width)
    parts.product(wider, first.feature, in_logic=False, times=spec.n_in)
    parts.choice(wider.width, times=spec.n_in)
    count_chains(parts, sum_terms(first), first.total.width)
    wider = max(spec.activation_format, second.step, key=lambda format: format.width)
    parts.product(second.factor, wider, in_logic=False, times=spec.n_out)
    parts.choice(wider.width, times=spec.n_out)
    parts.product(second.step, spec.activation_format, in_logic=False, times=spec.n_out)
    count_hidden_nodes(parts, spec, 1)
    count_changed_weights(parts, first, spec.rounding, spec.n_in)
    count_changed_biases(parts, first, spec.rounding, 1)
    count_changed_weights(parts, second, spec.rounding, spec.n_out)
    if spec.ends("hidden"):
        parts.register(second.factor.width * spec.n_out)
        parts.choice(second.factor.width, times=spec.n_out)
    if spec.ends("downstream"):
        weights = first.coefficient.width * (spec.n_in + 1) + second.coefficient.width * spec.n_out
        parts.register(weights + spec.activation_format.width + 1)
