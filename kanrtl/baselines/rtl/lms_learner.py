"""An LMS filter, linear or of a polynomial, normalised or not, that learns with every sample."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out, connect, flipped

from ...fabric.parts import Parts
from ...learner.rtl.pipeline_registers import name_signal
from ...numeric.fixed import narrow
from ..lms_spec import LmsSpec
from .baseline_control import BaselineControl, count_baseline_control, outer_members
from .output_error import OutputError, count_output_error
from .polynomial_features import PolynomialFeatures, count_polynomial_features
from .step_size import StepSize, count_step_size
from .weighted_sum import WeightedSum, count_weighted_sum


class LmsLearner(wiring.Component):  # type: ignore[misc]
    """An LMS filter (:class:`.LmsSpec`) with the streams of a :class:`kanrtl.Learner` in the sequential schedule.

    A step is x -> features -> sums -> error e -> h = e mu (or e mu / E) -> w - h f, with a register behind each where
    the pipeline names it. Multipliers: one for each product that is a feature, two for each feature and output, one
    for each output, and where it is normalised one for each feature, with a table one more.

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

    def __init__(self, spec: LmsSpec) -> None:
        self.spec = spec
        gradient = data.ArrayLayout(spec.gradient_format, spec.n_out)
        super().__init__(outer_members(spec) | {"gradient": Out(gradient)})

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to the edge that writes its update."""
        return self.spec.latency

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec, [layer] = self.spec, self.spec.sums
        m.submodules.control = control = BaselineControl(spec)
        m.submodules.features = features = PolynomialFeatures(spec)
        m.submodules.weights = weights = WeightedSum(layer, spec.initial_codes()[0], spec.rounding)
        m.submodules.error = error = OutputError(spec)
        for name in ("samples", "predictions", "access"):
            connect(m, flipped(getattr(self, name)), getattr(control, name))
        size = control.rate
        if spec.normalisation != "none":
            m.submodules.step_size = step_size = StepSize(spec)
            m.d.comb += [step_size.features.eq(features.features), step_size.rate.eq(control.rate)]
            size = step_size.size
        outside = []
        for node in range(spec.n_out):
            exact = error.gradient[node] * size
            step = narrow(exact, exact.format.f, spec.step_format, spec.rounding)
            outside.append(step.saturated)
            registered = name_signal(m, step.result, f"step{node}", registered=bool(spec.ends("step")))
            m.d.comb += weights.steps[node].eq(registered)
        flags = Cat(outside).any()
        if spec.ends("step"):
            flags = name_signal(m, flags, "step_saturates", registered=True)
        m.d.comb += [
            control.freeze.eq(self.freeze),
            self.updated.eq(control.updated),
            self.gradient.eq(error.gradient),
            features.x.eq(control.x),
            weights.features.eq(features.features),
            error.totals.eq(weights.totals),
            error.target.eq(control.target),
            control.y.eq(error.y),
            weights.update.eq(control.update),
            control.saturated.activation.eq(error.activation_saturates),
            control.saturated.gradient.eq(error.gradient_saturates),
            control.saturated.step.eq(flags),
            control.saturated.coefficient.eq(weights.saturated),
            weights.selected.eq(control.selected),
            control.read.eq(weights.read),
            weights.write.eq(control.write),
            weights.written.eq(control.written),
        ]
        return m


def count_lms_learner(parts: Parts, spec: LmsSpec) -> None:
    """Count what :class:`LmsLearner` has."""
    count_baseline_control(parts, spec)
    count_polynomial_features(parts, spec)
    count_weighted_sum(parts, spec.sums[0], spec.rounding)
    count_output_error(parts, spec)
    if spec.normalisation != "none":
        count_step_size(parts, spec)
    exact = spec.gradient_format, spec.step_size_format
    parts.product(*exact, in_logic=False, times=spec.n_out)
    product = type(exact[0])(True, sum(format.i for format in exact), sum(format.f for format in exact))
    parts.narrowed(product, spec.step_format, spec.rounding, saturates=True, times=spec.n_out)
    if spec.ends("step"):
        parts.register(spec.step_format.width * spec.n_out, moved=False)
