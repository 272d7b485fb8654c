"""A multilayer perceptron with one hidden layer that learns with every sample, fully parallel."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux

from ...fabric.parts import Parts
from ..mlp_spec import MlpSpec
from .baseline_control import BaselineControl, count_baseline_control
from .baseline_learner import BaselineLearner, count_output_steps
from .hidden_nodes import HiddenActivation, HiddenStep, count_hidden_nodes, hidden_offset
from .output_error import OutputError, count_output_error, output_offset
from .weighted_sum import WeightedSum, count_weighted_sum


class MlpLearner(BaselineLearner[MlpSpec]):
    """A perceptron (:class:`.MlpSpec`).

    A step is x -> hidden sums -> a -> sums -> error -> h = mu e -> d -> both layers' weights, with a register behind
    each where the pipeline names it. Multipliers: for each hidden node two for each input and three for each output,
    and one for each output.

    Parameters
    ----------
    spec
        What to build; members are those of every baseline.
    """

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec = self.spec
        m.submodules.control = control = BaselineControl(spec)
        layers = [
            WeightedSum(layer, codes, spec.rounding, offset)
            for layer, codes, offset in zip(
                spec.sums, spec.initial_codes(), (hidden_offset(spec), output_offset(spec)), strict=True
            )
        ]
        m.submodules.hidden, m.submodules.output = hidden, output = layers
        m.submodules.activation = activation = HiddenActivation(spec, spec.hidden)
        m.submodules.error = error = OutputError(spec)
        m.submodules.downstream = downstream = HiddenStep(spec, spec.hidden)
        self._connect_control(m, control, error)
        steps, saturated = self._form_steps(m, error, control.rate)
        for number, step in enumerate(steps):
            m.d.comb += output.steps[number].eq(step)
            for node in range(spec.hidden):
                m.d.comb += downstream.terms[node][number].eq(output.factors[number][node] * step)
        m.d.comb += [
            hidden.features.eq(control.x),
            activation.totals.eq(hidden.totals),
            output.features.eq(activation.activations),
            error.totals.eq(output.totals),
            downstream.open.eq(activation.open),
            hidden.steps.eq(downstream.downstream),
            hidden.update.eq(control.update),
            output.update.eq(control.update),
            control.saturated.activation.eq(error.activation_saturates | activation.saturates),
            # Values are held until the update: those of all stages are there together.
            control.saturated.step.eq(Cat(saturated).any() | downstream.saturates),
            control.saturated.coefficient.eq(hidden.saturated | output.saturated),
        ]
        self._connect_access(m, control, hidden, output)
        return m

    def _connect_access(self, m: Module, control: BaselineControl, hidden: WeightedSum, output: WeightedSum) -> None:
        first = self.spec.sums[0].weights
        inner = control.selected < first
        m.d.comb += [
            hidden.selected.eq(control.selected),
            output.selected.eq(control.selected - first),
            control.read.eq(Mux(inner, hidden.read, output.read)),
            hidden.write.eq(control.write & inner),
            output.write.eq(control.write & ~inner),
            hidden.written.eq(control.written),
            output.written.eq(control.written),
        ]


def count_mlp_learner(parts: Parts, spec: MlpSpec) -> None:
    """Count what :class:`MlpLearner` has."""
    count_baseline_control(parts, spec)
    for layer in spec.sums:
        count_weighted_sum(parts, layer, spec.rounding)
    parts.product(spec.factor_format, spec.step_format, in_logic=False, times=spec.hidden * spec.n_out)
    count_hidden_nodes(parts, spec, spec.hidden)
    count_output_error(parts, spec)
    count_output_steps(parts, spec, spec.rate_register.format)
