"""What a sample is taught, until it is needed."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ..spec import LearnerSpec
from .pipeline_registers import delay, hold

__all__ = ["TargetRegister", "count_target_register"]


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
    """Counts what :class:`TargetRegister` has."""
    parts.register(_latency(spec) * spec.n_out * spec.target_format.width)
