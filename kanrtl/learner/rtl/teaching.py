"""What a sample is taught: the target until it is needed, and dL/dy where adder trees do not form it."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ...numeric.fixed import narrow
from ..losses import find_loss
from ..spec import LearnerSpec
from .narrowing import clip, count_limit
from .pipeline_registers import delay, hold


class TargetRegister(wiring.Component):  # type: ignore[misc]
    """Holds the targets, or gradients, of the sample in work; where samples stream, moves them along with it.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    take : In(1)
        The word is taken at the clock edge; where samples stream it is taken at every edge.
    word : In, ``n_out`` numbers in the spec's ``target_format``
    target : Out, the same, :attr:`latency` cycles later
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        word = data.ArrayLayout(spec.target_format, spec.n_out)
        super().__init__({"take": In(1), "word": In(word), "target": Out(word)})

    @property
    def latency(self) -> int:
        """Clock cycles from the edge that takes a word to that from which it is given. Where samples stream, a loss
        that no adder tree forms meets the sums; in the sequential schedule the word is held for all that follows."""
        return _latency(self._spec)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        taken = hold(m, self.word, Const(1) if self._spec.timing.streaming else self.take, "taken")
        m.d.comb += self.target.eq(delay(m, taken, self.latency - 1, "target"))
        return m


def _latency(spec: LearnerSpec) -> int:
    meets_sums = spec.timing.streaming and not spec.plans[-1].forms_error
    return spec.plans[-1].times.summed if meets_sums else 1


def count_target_register(parts: Parts, spec: LearnerSpec) -> None:
    """Count what :class:`TargetRegister` has."""
    parts.register(_latency(spec) * spec.n_out * spec.target_format.width)


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
        loss = find_loss(spec.loss)
        self._loss = loss.without_contents() if spec.restarts else loss
        last = spec.layers[-1]
        value = last.formats.output if self._loss.reads_outputs else last.node_sum
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
            format, rounding, limit = last.formats.gradient, self._spec.rounding, last.gradient_limit
            if limit is None:
                gradient, saturated = narrow(error, error.format.f, format, rounding)
            else:
                gradient, saturated = clip(error, format, rounding, limit)
            m.d.comb += self.gradients[node].eq(gradient)
            bits.append(saturated)
        m.d.comb += self.saturated.eq(Cat(bits).any())
        return m


def count_loss_gradient(parts: Parts, spec: LearnerSpec) -> None:
    """Count what :class:`LossGradient` has."""
    loss, last = find_loss(spec.loss), spec.layers[-1]
    loss.count(parts, last)
    if not loss.takes_gradients:
        exact, gradient = loss.gradient_format(last), last.formats.gradient
        parts.narrowed(exact, gradient, spec.rounding, saturates=True, times=last.n_out)
    count_limit(parts, last)
