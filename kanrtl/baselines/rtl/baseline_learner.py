"""What all baselines in hardware have in common: their members, and the steps of their last layer."""

from __future__ import annotations

from typing import Generic, TypeVar

from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out, connect, flipped

from ...fabric.parts import Parts
from ...learner.rtl.pipeline_registers import name_signal
from ...numeric.fixed import SQ, FixedValue, Format, narrow
from ..baseline_spec import BaselineSpec
from .baseline_control import BaselineControl, outer_members
from .output_error import OutputError

SpecT = TypeVar("SpecT", bound=BaselineSpec)


class BaselineLearner(wiring.Component, Generic[SpecT]):  # type: ignore[misc]
    """A baseline with the streams of a :class:`kanrtl.Learner` in the sequential schedule.

    Parameters
    ----------
    spec
        What to build; it stays an attribute.

    Members
    -------
    samples, predictions, access, freeze, updated
        As those of :class:`kanrtl.Learner` with ``teaching="with_sample"``.
    gradient : Out, ``n_out`` gradients dL/dy of the sample, while ``updated`` is high
    """

    def __init__(self, spec: SpecT) -> None:
        self.spec = spec
        gradient = data.ArrayLayout(spec.gradient_format, spec.n_out)
        super().__init__(outer_members(spec) | {"gradient": Out(gradient)})

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a sample to the edge that writes its update."""
        return self.spec.latency

    def _connect_control(self, m: Module, control: BaselineControl, error: OutputError) -> None:
        """Connect the members of the baseline, and the error of the outputs."""
        for name in ("samples", "predictions", "access"):
            connect(m, flipped(getattr(self, name)), getattr(control, name))
        m.d.comb += [
            control.freeze.eq(self.freeze),
            self.updated.eq(control.updated),
            self.gradient.eq(error.gradient),
            error.target.eq(control.target),
            control.y.eq(error.y),
            control.saturated.gradient.eq(error.gradient_saturates),
        ]

    def _form_steps(self, m: Module, error: OutputError, size: FixedValue) -> tuple[list[FixedValue], list[Value]]:
        """Form each output's gradient times ``size``, narrowed and registered where the stage ``step`` ends in a
        register; and whether it saturates, not registered."""
        spec = self.spec
        steps, saturated = [], []
        for node in range(spec.n_out):
            exact = error.gradient[node] * size
            step = narrow(exact, exact.format.f, spec.step_format, spec.rounding)
            steps.append(name_signal(m, step.result, f"step{node}", registered=bool(spec.ends("step"))))
            saturated.append(step.saturated)
        return steps, saturated


def count_output_steps(parts: Parts, spec: BaselineSpec, size: Format) -> None:
    """Count what forms the steps of the last layer from a step size in the format ``size``."""
    gradient = spec.gradient_format
    parts.product(gradient, size, in_logic=False, times=spec.n_out)
    product = SQ(gradient.i + size.i, gradient.f + size.f)
    parts.narrowed(product, spec.step_format, spec.rounding, saturates=True, times=spec.n_out)
    parts.register(spec.step_format.width * spec.n_out * spec.ends("step"), moved=False)
