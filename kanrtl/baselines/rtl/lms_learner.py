"""An LMS filter, linear or of a polynomial, normalised or not, that learns with every sample."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module

from ...fabric.parts import Parts
from ...learner.rtl.pipeline_registers import name_signal
from ..lms_spec import LmsSpec
from .baseline_control import BaselineControl, count_baseline_control
from .baseline_learner import BaselineLearner, count_output_steps
from .output_error import OutputError, count_output_error, output_offset
from .polynomial_features import PolynomialFeatures, count_polynomial_features
from .step_size import StepSize, count_step_size
from .weighted_sum import WeightedSum, count_weighted_sum


class LmsLearner(BaselineLearner[LmsSpec]):
    """An LMS filter (:class:`.LmsSpec`).

    A step is x -> features -> sums -> error e -> h = e mu (or e mu / E) -> w - h f, with a register behind each where
    the pipeline names it. Multipliers: one for each product that is a feature, two for each feature and output, one
    for each output, and where it is normalised one for each feature, with a table one more.

    Parameters
    ----------
    spec
        What to build; members are those of every baseline.
    """

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec, [layer] = self.spec, self.spec.sums
        m.submodules.control = control = BaselineControl(spec)
        m.submodules.features = features = PolynomialFeatures(spec)
        m.submodules.weights = weights = WeightedSum(layer, spec.initial_codes()[0], spec.rounding, output_offset(spec))
        m.submodules.error = error = OutputError(spec)
        self._connect_control(m, control, error)
        size = control.rate
        if spec.normalisation != "none":
            m.submodules.step_size = step_size = StepSize(spec)
            m.d.comb += [step_size.features.eq(features.features), step_size.rate.eq(control.rate)]
            size = step_size.size
        steps, saturated = self._form_steps(m, error, size)
        m.d.comb += [port.eq(step) for port, step in zip(weights.steps, steps, strict=True)]
        flags = Cat(saturated).any()
        if spec.ends("step"):
            flags = name_signal(m, flags, "step_saturates", registered=True)
        m.d.comb += [
            features.x.eq(control.x),
            weights.features.eq(features.features),
            error.totals.eq(weights.totals),
            weights.update.eq(control.update),
            control.saturated.activation.eq(error.activation_saturates),
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
    count_output_steps(parts, spec, spec.step_size_format)
