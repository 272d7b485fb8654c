"""A multilayer perceptron that learns with every sample, folded: its hidden nodes share multipliers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from ...fabric.parts import Parts
from ...learner.rtl.multiply import ChainTerm, add_in_chains, count_chains
from ...learner.rtl.narrowing import cut_guard_bits, resize
from ...learner.rtl.pipeline_registers import delay
from ...numeric.bits import clog2
from ..mlp_spec import MlpSpec
from .baseline_control import BaselineControl, count_baseline_control
from .baseline_learner import BaselineLearner, count_output_steps
from .node_lane import NodeLane, count_node_lane, node_layout
from .node_memory import NodeMemory, count_node_memory
from .node_passes import NodePasses, count_node_passes
from .output_error import OutputError, count_output_error, output_offset
from .weighted_sum import bias_term, change_weight, count_changed_biases


def activations_layout(spec: MlpSpec) -> data.ArrayLayout:
    """Of every lane's node what is remembered from the forward pass to the backward one."""
    return data.ArrayLayout(data.StructLayout({"activation": spec.activation_format, "open": 1}), spec.lanes)


class FoldedMlpLearner(BaselineLearner[MlpSpec]):
    """A perceptron (:class:`.MlpSpec`) whose hidden nodes share multipliers: the same bits in more cycles.

    A forward pass goes through the rows of hidden nodes, one for each lane at a time, and adds to the outputs' sums; a
    backward pass goes through them again, and writes their weights::

        row --> v x --> a --> w a --> sums --> error --> h = mu e     forward
         |              `--> remembered
         `----> h w --> d --> d x, h a --> row                        backward

    The biases of the outputs are registers, which change with the last row.

    Parameters
    ----------
    spec
        What to build; members are those of every baseline.
    """

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec = self.spec
        m.submodules.control = control = BaselineControl(spec)
        m.submodules.passes = passes = NodePasses(spec.reuse_factor)
        weights = NodeMemory(data.ArrayLayout(node_layout(spec), spec.lanes), initial_rows(spec), block=self._block)
        activations = NodeMemory(activations_layout(spec), [0] * spec.reuse_factor, block=self._block)
        m.submodules.weights, m.submodules.activations = weights, activations
        m.submodules.error = error = OutputError(spec)
        lanes = [NodeLane(spec) for _ in range(spec.lanes)]
        for number, lane in enumerate(lanes):
            m.submodules[f"lane{number}"] = lane
        self._connect_control(m, control, error)
        steps, saturated = self._form_steps(m, error, control.rate)

        forward = delay(m, passes.forward, lanes[0].latency, "forward")
        forward_row = delay(m, passes.row, lanes[0].latency, "forward_row")
        changing = delay(m, passes.backward, lanes[0].change_latency, "changing")
        m.d.comb += [
            passes.begin_forward.eq(control.begin_forward),
            passes.begin_backward.eq(control.begin_backward),
            passes.serving.eq(control.serving),
            passes.selected.eq(control.selected),
            weights.address.eq(passes.address),
            activations.address.eq(passes.address),
            activations.write_address.eq(forward_row),
            activations.write_enable.eq(forward),
        ]
        for number, lane in enumerate(lanes):
            m.d.comb += [
                lane.backward.eq(passes.backward),
                lane.x.eq(control.x),
                *(lane.steps[output].eq(step) for output, step in enumerate(steps)),
                lane.weights.eq(weights.read[number]),
                lane.remembered.eq(activations.read[number].activation),
                lane.remembered_open.eq(activations.read[number].open),
                activations.write[number].activation.eq(lane.activation),
                activations.write[number].open.eq(lane.open),
            ]
        biases, biases_saturate = self._hold_biases(m, control, steps)
        self._sum_outputs(m, error, lanes, biases, forward & (forward_row == 0), forward)
        self._connect_access(m, control, passes, weights, lanes, biases, changing)

        def since(begin: Value, flags: list[Value], when: Value, name: str) -> Value:
            """Whether any flag has been high in a pass since that began."""
            now, before = Cat(flags).any() & when, Signal(name=name)
            m.d.sync += before.eq((before | now) & ~begin)
            return before | now

        begun = control.begin_forward, control.begin_backward
        m.d.comb += [
            control.saturated.activation.eq(
                error.activation_saturates
                | since(begun[0], [lane.activation_saturates for lane in lanes], forward, "activations_saturated")
            ),
            control.saturated.step.eq(
                Cat(saturated).any()
                | since(begun[1], [lane.step_saturates for lane in lanes], changing, "steps_saturated")
            ),
            control.saturated.coefficient.eq(
                biases_saturate
                | since(begun[1], [lane.coefficient_saturates for lane in lanes], changing, "weights_saturated")
            ),
        ]
        return m

    @property
    def _block(self) -> bool:
        return self.spec.memory == "block"

    def _hold_biases(self, m: Module, control: BaselineControl, steps: list[Any]) -> tuple[list[Any], Value]:
        """The biases of the outputs, and whether any would not fit."""
        spec, format = self.spec, self.spec.coefficient_format
        position, unfit, biases = self._split(control.selected)[1], [], []
        written = control.written & control.write.replicate(len(control.written))
        for output, row in enumerate(spec.initial_codes()[1].tolist()):
            bias = format(Signal(format.as_shape(), init=row[-1], name=f"bias{output}"))
            changed = change_weight(bias, steps[output], spec.rounding)
            chosen = control.write & (position == spec.lanes * spec.columns + output)
            with m.If(control.update | chosen):
                m.d.sync += bias.eq(changed.limit(m, ~control.write, f"bias{output}_changed", written))
            unfit.append(changed.outside)
            biases.append(bias)
        return biases, Cat(unfit).any()

    def _sum_outputs(
        self, m: Module, error: OutputError, lanes: list[NodeLane], biases: list[Any], first: Value, add: Value
    ) -> None:
        """Add up what the lanes give in a forward pass; a sum begins with its bias."""
        layer = self.spec.sums[1]
        for output, bias in enumerate(biases):
            total = Signal(layer.total.as_shape(), name=f"total{output}", reset_less=True)
            start = bias_term(cut_guard_bits(bias, layer.factor), layer, output_offset(self.spec))
            terms = [*(lane.terms[output].raw for lane in lanes), Mux(first, start, total)]
            # Outside of the condition, which would be that of every term of the sum.
            added = resize(add_in_chains(m, terms, layer.total.width), layer.total)
            with m.If(add):
                m.d.sync += total.eq(added.raw)
            m.d.comb += error.totals[output].raw.eq(total)

    def _split(self, selected: Value) -> tuple[Value, Value]:
        """The row of a weight's number, and the place in it."""
        bits = clog2(self.spec.reuse_factor)
        return selected[:bits], selected[bits:]

    def _connect_access(
        self,
        m: Module,
        control: BaselineControl,
        passes: NodePasses,
        weights: NodeMemory,
        lanes: list[NodeLane],
        biases: list[Any],
        changing: Value,
    ) -> None:
        """Read any weight, and write the row with one of them changed; or as a backward pass changes it."""
        row, position = self._split(control.selected)
        stored, given = (
            [weight for node in nodes for weight in (*node.inner, *node.outer)]
            for nodes in (weights.read, [lane.given for lane in lanes])
        )
        # What comes from outside is within its format, sign extended.
        for number, (old, target) in enumerate(zip(stored, given, strict=True)):
            m.d.comb += target.raw.eq(Mux(position == number, control.written[: len(old.raw)], old.raw))
        m.d.comb += [row.eq(lane.written) for row, lane in zip(weights.write, lanes, strict=True)]
        later = delay(m, passes.row, lanes[0].change_latency, "changed_row")
        m.d.comb += [
            weights.write_address.eq(Mux(changing, later, row)),
            weights.write_enable.eq(changing | control.write),
            control.read.eq(Array([weight.raw for weight in (*stored, *biases)])[position]),
        ]


def initial_rows(spec: MlpSpec) -> list[int]:
    """The rows of weights that a folded perceptron begins with, as bits."""
    inner, outer = (codes.tolist() for codes in spec.initial_codes())
    first, second = (layer.coefficient.width for layer in spec.sums)
    rows = []
    for row in range(spec.reuse_factor):
        bits = place = 0
        for node in range(row * spec.lanes, (row + 1) * spec.lanes):
            words = [(code, first) for code in inner[node]] + [(codes[node], second) for codes in outer]
            for code, width in words:
                bits |= (code & ((1 << width) - 1)) << place
                place += width
        rows.append(bits)
    return rows


def count_folded_mlp_learner(parts: Parts, spec: MlpSpec) -> None:
    """Count what :class:`FoldedMlpLearner` has."""
    first, second = spec.sums
    block, lanes, rows = spec.memory == "block", spec.lanes, spec.reuse_factor
    count_baseline_control(parts, spec)
    count_node_passes(parts, rows)
    node = first.coefficient.width * (spec.n_in + 1) + second.coefficient.width * spec.n_out
    count_node_memory(parts, "weights", rows, node * lanes, block=block)
    count_node_memory(parts, "activations", rows, (spec.activation_format.width + 1) * lanes, block=block)
    for _ in range(lanes):
        count_node_lane(parts, spec)
    parts.register(second.coefficient.width * spec.n_out + second.total.width * spec.n_out, moved=False)
    terms = [*[ChainTerm(second.factor.width + second.feature.width)] * lanes, ChainTerm(second.total.width)]
    count_chains(parts, terms, second.total.width, spec.n_out)
    parts.choice(second.total.width, times=spec.n_out)
    count_changed_biases(parts, second, spec.rounding, spec.n_out)
    # What is written from outside comes in at the LUTs that limit a weight; and what is read of a row.
    parts.choice(node * lanes)
    parts.choice(max(first.coefficient.width, second.coefficient.width), lanes * spec.columns + spec.n_out)
    count_output_error(parts, spec)
    count_output_steps(parts, spec, spec.rate_register.format)
