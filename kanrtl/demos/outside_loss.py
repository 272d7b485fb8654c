"""A loss outside of a learner that takes gradients: the squared error of its predictions, computed beside it."""

from __future__ import annotations

import enum
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..fabric.parts import Parts
from ..learner.spec import LearnerSpec
from ..numeric.fixed import SQ, Format, narrow


class _Showing(enum.Enum):
    PREDICT = 0
    WAIT = 1
    TEACH = 2


class OutsideLoss(wiring.Component):  # type: ignore[misc]
    """Computes dL/dy = y - target of a learner with ``loss="external"``, and says when a sample is offered to it.

    A gradient is known after the prediction. With ``teaching="after_prediction"`` it then goes to the learner on its
    own stream. With ``teaching="with_sample"`` it has to come with the sample, which is offered twice: to be predicted,
    and with its gradient to be learned.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    taken : In(1)
        The learner takes the offered sample at the clock edge.
    predicted : In(1)
        :attr:`outputs` are a prediction, for one cycle; predictions come in the order of the samples.
    outputs : In, ``n_out`` activations
    targets : In, ``n_out`` activations
        Those of the sample that is predicted or, with ``"after_prediction"``, taught.
    gradients : Out, ``n_out`` gradients
        Those of the sample that is taught.
    offer : Out(1)
        The sample may be offered.
    learn : Out(1)
        It is offered to be learned.
    done : Out(1)
        It is taken to be learned at the clock edge: the next sample is offered afterwards.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        outputs = data.ArrayLayout(spec.formats.output, spec.n_out)
        super().__init__(
            {
                "taken": In(1),
                "predicted": In(1),
                "outputs": In(outputs),
                "targets": In(outputs),
                "gradients": Out(data.ArrayLayout(spec.target_format, spec.n_out)),
                "offer": Out(1),
                "learn": Out(1),
                "done": Out(1),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from a prediction to its gradients."""
        return 0 if self._spec.timing.after_prediction else 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spec = self._spec
        gradients = Signal(data.ArrayLayout(spec.target_format, spec.n_out))
        for node in range(spec.n_out):
            error = Signal(_error(spec), name=f"error{node}")
            m.d.comb += error.eq(self.outputs[node] - self.targets[node])
            m.d.comb += gradients[node].eq(narrow(error, error.format.f, spec.target_format, spec.rounding).result)
        if spec.timing.after_prediction:
            m.d.comb += [self.offer.eq(1), self.learn.eq(1), self.done.eq(self.taken), self.gradients.eq(gradients)]
            return m
        showing = Signal(_Showing)
        # Every other prediction is of a sample that is being learned, which nothing waits for.
        first = Signal(init=1)
        held = Signal.like(gradients, reset_less=True)
        m.d.comb += [
            self.offer.eq(showing != _Showing.WAIT),
            self.learn.eq(showing == _Showing.TEACH),
            self.done.eq(self.taken & self.learn),
            self.gradients.eq(held),
        ]
        with m.If(self.taken):
            m.d.sync += showing.eq(_Showing.WAIT)
        with m.If(self.done):
            m.d.sync += showing.eq(_Showing.PREDICT)
        with m.If(self.predicted):
            m.d.sync += first.eq(~first)
            with m.If(first):
                m.d.sync += [held.eq(gradients), showing.eq(_Showing.TEACH)]
        return m


def _error(spec: LearnerSpec) -> Format:
    output = spec.formats.output
    return SQ(output.i + 1, output.f)


def count_outside_loss(parts: Parts, spec: LearnerSpec) -> None:
    """Count what :class:`OutsideLoss` has."""
    error = _error(spec)
    parts.adder(error.width, spec.n_out)
    parts.narrowed(error, spec.target_format, spec.rounding, saturates=True, times=spec.n_out)
    if not spec.timing.after_prediction:
        parts.register(spec.n_out * spec.target_format.width)
        parts.register(3, moved=False)
