"""dL/dy at the outputs of the last layer, where its adder trees do not form it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import narrow
from ..losses import find_loss
from ..spec import LearnerSpec

__all__ = ["LossGradient", "count_loss_gradient"]


class LossGradient(wiring.Component):  # type: ignore[misc]
    """The gradient of the loss at the network's outputs: computed exactly by :meth:`.Loss.in_hardware`, narrowed once.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    values : In, ``n_out`` activations y where the loss reads outputs, otherwise as many exact node sums
    targets : In, ``n_out`` numbers in the spec's ``target_format``
    gradients : Out, ``n_out`` gradients, in the same cycle
    saturated : Out(1), any gradient saturates
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        self._loss = find_loss(spec.loss)
        last = spec.layers[-1]
        value = last.formats.activation if self._loss.reads_outputs else last.node_sum
        super().__init__(
            {
                "values": In(data.ArrayLayout(value, last.n_out)),
                "targets": In(data.ArrayLayout(spec.target_format, last.n_out)),
                "gradients": Out(data.ArrayLayout(last.formats.gradient, last.n_out)),
                "saturated": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from values and targets to gradients: none."""
        return 0

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        last, bits = self._spec.layers[-1], []
        for node in range(last.n_out):
            exact = self._loss.in_hardware(m, last, self.values[node], self.targets[node], str(node))
            error = Signal(self._loss.gradient_format(last), name=f"error{node}")
            m.d.comb += error.eq(exact)
            gradient, saturated = narrow(error, error.format.f, last.formats.gradient, self._spec.rounding)
            m.d.comb += self.gradients[node].eq(gradient)
            bits.append(saturated)
        m.d.comb += self.saturated.eq(Cat(bits).any())
        return m


def count_loss_gradient(parts: Parts, spec: LearnerSpec) -> None:
    """Counts what :class:`LossGradient` has."""
    loss, last = find_loss(spec.loss), spec.layers[-1]
    loss.count(parts, last)
    if not loss.takes_gradients:
        exact, gradient = loss.gradient_format(last), last.formats.gradient
        parts.narrowed(exact, gradient, spec.rounding, saturates=True, times=last.n_out)
