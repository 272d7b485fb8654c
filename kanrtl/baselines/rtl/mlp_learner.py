"""A multilayer perceptron with one hidden layer that learns with every sample, fully parallel."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out, connect, flipped

from ...fabric.parts import Parts
from ...learner.rtl.pipeline_registers import name_signal
from ...numeric.fixed import SQ, narrow
from ..mlp_spec import MlpSpec
from .baseline_control import BaselineControl, count_baseline_control, outer_members
from .hidden_nodes import HiddenActivation, HiddenStep, count_hidden_nodes
from .output_error import OutputError, count_output_error
from .weighted_sum import WeightedSum, count_weighted_sum


class MlpLearner(wiring.Component):  # type: ignore[misc]
    """A perceptron (:class:`.MlpSpec`) with the streams of a :class:`kanrtl.Learner` in the sequential schedule.

    A step is x -> hidden sums -> a -> sums -> error -> h = mu e -> d -> both layers' weights, with a register behind
    each where the pipeline names it. Multipliers: for each hidden node two for each input and three for each output,
    and one for each output.

    Parameters
    ----------
    spec
        What to build.

    Members
    -------
    samples, predictions, access, freeze, updated
        As those of :class:`kanrtl.Learner` with ``teaching="with_sample"``.
    gradient : Out, ``n_out`` gradients dL/dy of the sample, while ``updated`` is high
    """

    def __init__(self, spec: MlpSpec) -> None:
        self.spec = spec
        gradient = data.ArrayLayout(spec.gradient_format, spec.n_out)
        super().__init__(outer_members(spec) | {"gradient": Out(gradient)})

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to the edge that writes its update."""
        return self.spec.latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec = self.spec
        m.submodules.control = control = BaselineControl(spec)
        layers = [
            WeightedSum(layer, codes, spec.rounding)
            for layer, codes in zip(spec.sums, spec.initial_codes(), strict=True)
        ]
        m.submodules.hidden, m.submodules.output = hidden, output = layers
        m.submodules.activation = activation = HiddenActivation(spec)
        m.submodules.error = error = OutputError(spec)
        m.submodules.downstream = downstream = HiddenStep(spec)
        for name in ("samples", "predictions", "access"):
            connect(m, flipped(getattr(self, name)), getattr(control, name))
        unfit = []
        for node in range(spec.n_out):
            exact = error.gradient[node] * control.rate
            step = narrow(exact, exact.format.f, spec.step_format, spec.rounding)
            registered = name_signal(m, step.result, f"step{node}", registered=bool(spec.ends("step")))
            m.d.comb += [output.steps[node].eq(registered), downstream.steps[node].eq(registered)]
            unfit.append(step.saturated)
        m.d.comb += [
            control.freeze.eq(self.freeze),
            self.updated.eq(control.updated),
            self.gradient.eq(error.gradient),
            hidden.features.eq(control.x),
            activation.totals.eq(hidden.totals),
            output.features.eq(activation.activations),
            error.totals.eq(output.totals),
            error.target.eq(control.target),
            control.y.eq(error.y),
            downstream.factors.eq(output.factors),
            downstream.open.eq(activation.open),
            hidden.steps.eq(downstream.downstream),
            hidden.update.eq(control.update),
            output.update.eq(control.update),
            control.saturated.activation.eq(error.activation_saturates | activation.saturates),
            control.saturated.gradient.eq(error.gradient_saturates),
            # Values are held until the update: those of all stages are there together.
            control.saturated.step.eq(Cat(unfit).any() | downstream.saturates),
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
    count_hidden_nodes(parts, spec)
    count_output_error(parts, spec)
    gradient, rate = spec.gradient_format, spec.rate_register.format
    parts.product(gradient, rate, in_logic=False, times=spec.n_out)
    product = SQ(gradient.i + rate.i, gradient.f + rate.f)
    parts.narrowed(product, spec.step_format, spec.rounding, saturates=True, times=spec.n_out)
    parts.register(spec.step_format.width * spec.n_out * spec.ends("step"), moved=False)
