"""The prediction of a baseline, and its gradient: where the last sums are narrowed."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...learner.rtl.pipeline_registers import name_signal
from ...numeric.fixed import SQ, Rounding, narrow
from ..baseline_spec import BaselineSpec
from .weighted_sum import rounding_offset


class OutputError(wiring.Component):  # type: ignore[misc]
    """y, and dL/dy = y - target of the exact sums, each narrowed once; or dL/dy as it comes in.

    Parameters
    ----------
    spec
        The baseline; with the stage ``sum`` the sums end in a register, and with ``error`` the gradient.

    Members
    -------
    totals : In, ``n_out`` exact sums with :func:`output_offset`
    target : In, ``n_out`` targets or gradients, held while the sample is worked on
    y : Out, the prediction, a cycle later with ``sum``
    gradient : Out, dL/dy, :attr:`latency` cycles after ``totals``
    activation_saturates, gradient_saturates : Out(1), with ``y`` and with ``gradient``
    """

    def __init__(self, spec: BaselineSpec) -> None:
        self._spec = spec
        n_out = spec.n_out
        super().__init__(
            {
                "totals": In(data.ArrayLayout(spec.sums[-1].total, n_out)),
                "target": In(data.ArrayLayout(spec.target_format, n_out)),
                "y": Out(data.ArrayLayout(spec.output_format, n_out)),
                "gradient": Out(data.ArrayLayout(spec.gradient_format, n_out)),
                "activation_saturates": Out(1),
                "gradient_saturates": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from sums to gradients."""
        return self._spec.ends("sum", "error")

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec = self._spec
        summed, ended = (bool(spec.ends(stage)) for stage in ("sum", "error"))
        rounding = Rounding.FLOOR if output_offset(spec) else spec.rounding
        unfit: tuple[list[Any], list[Any]] = ([], [])
        for node in range(spec.n_out):
            total = name_signal(m, self.totals[node], f"total{node}", registered=summed)
            y = narrow(total, total.format.f, spec.output_format, rounding)
            m.d.comb += self.y[node].eq(y.result)
            unfit[0].append(y.saturated)
            gradient = self.target[node]
            if spec.loss != "external":
                exact = total - self.target[node]
                narrowed = narrow(exact, exact.format.f, spec.gradient_format, rounding)
                gradient = name_signal(m, narrowed.result, f"gradient{node}", registered=ended)
                unfit[1].append(name_signal(m, narrowed.saturated, f"gradient{node}_saturates", registered=ended))
            m.d.comb += self.gradient[node].eq(gradient)
        m.d.comb += [self.activation_saturates.eq(Cat(unfit[0]).any()), self.gradient_saturates.eq(Cat(unfit[1]).any())]
        return m


def output_offset(spec: BaselineSpec) -> int:
    """What rounds the last sums, which they are given with; zero where y and dL/dy are not rounded at the same bit."""
    output, gradient, target = spec.output_format, spec.gradient_format, spec.target_format
    if spec.loss != "external" and not target.f <= gradient.f == output.f:
        return 0
    return rounding_offset(spec.sums[-1], output, spec.rounding)


def count_output_error(parts: Parts, spec: BaselineSpec) -> None:
    """Count what :class:`OutputError` has."""
    total, n_out, rounds = spec.sums[-1].total, spec.n_out, not output_offset(spec)
    parts.narrowed(total, spec.output_format, spec.rounding, saturates=True, times=n_out, rounds=rounds)
    parts.register(total.width * n_out * spec.ends("sum"), moved=False)
    if spec.loss != "external":
        exact = SQ(max(total.i, spec.target_format.i) + 1, max(total.f, spec.target_format.f))
        # The bits of a sum below a target bypass the adder.
        parts.adder(exact.width - max(0, total.f - spec.target_format.f), n_out)
        parts.narrowed(exact, spec.gradient_format, spec.rounding, saturates=True, times=n_out, rounds=rounds)
        parts.register((spec.gradient_format.width + 1) * n_out * spec.ends("error"), moved=False)
