"""What a learner is made of, counted as its components build it: each function here follows one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...fabric.blocks import Family
from ...fabric.parts import Parts
from ...numeric.lfsr import WIDTH as NOISE_WIDTH
from ...numeric.widths import bits_for
from ..address_map import COUNTER_WIDTH, AddressMap
from ..folded_schedule import FoldedSchedule
from ..losses import find_loss
from ..rtl.folded_layer import count_folded_layer
from ..rtl.layer import count_layer
from ..rtl.loss_gradient import count_loss_gradient
from ..schedule import Schedule

if TYPE_CHECKING:
    from ..spec import LearnerSpec

__all__ = ["count_parts"]


def count_parts(spec: LearnerSpec, family: Family, *, multiplies: bool) -> Parts:
    """The parts of a learner; ``multiplies``: whether products that are left to synthesis get multipliers."""
    parts = Parts(family, multiplies=multiplies)
    _Learner(spec, parts, reached=True).count()
    return parts


class _Learner:
    """Counts what :class:`kanrtl.Learner` has."""

    def __init__(self, spec: LearnerSpec, parts: Parts, *, reached: bool) -> None:
        self._spec = spec
        self._parts = parts
        self._reached = reached
        self._kinds: set[str] = set()

    def count(self) -> None:
        spec, parts = self._spec, self._parts
        parts.counts["learner"] += 1
        last = spec.n_layers - 1
        for index, plan in enumerate(spec.plans):
            parts.counts["layer"] += 1
            self._kinds |= plan.saturating
            predicts = self._reached or index < last or find_loss(spec.loss).reads_outputs
            (count_folded_layer if spec.folded else count_layer)(parts, plan, predicts=predicts)
        if not spec.plans[-1].forms_error:
            count_loss_gradient(parts, spec)
        self._sequence()
        if self._reached:
            self._monitor()
            self._access()
        if spec.update_rounding == "stochastic":
            parts.noise()
            parts.choice(NOISE_WIDTH if self._reached else 0)

    def _sequence(self) -> None:
        spec, parts, timing = self._spec, self._parts, self._spec.timing
        formats = spec.formats
        parts.register(spec.n_out * spec.target_format.width)
        parts.register(self._reached * spec.n_out * formats.activation.width + 1, moved=False)
        if "error" in timing.stages[-1]:
            parts.register(spec.n_out * formats.gradient.width, moved=False)
        if timing.streaming:
            assert isinstance(timing, Schedule)
            parts.register(2 * timing.latency)
            times = timing.layers[-1]
            parts.register((timing.latency - times.gradient) * spec.n_out * formats.gradient.width)
            if not spec.plans[-1].forms_error:
                parts.register((times.summed - 1) * spec.n_out * spec.target_format.width)
            return
        parts.counts["counter"] += bits_for(max(timing.latency, timing.access_cycles))
        parts.register(bits_for(timing.latency) + 5, moved=False)

    def _monitor(self) -> None:
        self._parts.counts["counter"] += COUNTER_WIDTH * len(self._kinds)
        self._parts.register((COUNTER_WIDTH + 1) * len(self._kinds), moved=False)

    def _access(self) -> None:
        """Learning rates, and what is reached from outside."""
        spec, parts, timing = self._spec, self._parts, self._spec.timing
        addresses, coefficient = AddressMap.of(spec), spec.formats.coefficient
        rate = spec.formats.learning_rate.width
        parts.register(addresses.width + 1)
        parts.register(2 * addresses.data_width + 1, moved=False)
        parts.register(rate * spec.n_layers)
        parts.union(rate, spec.n_layers + 1)
        parts.union(COUNTER_WIDTH, len(self._kinds) + 1)
        parts.choice(addresses.data_width, times=2)
        for index, layer in enumerate(spec.layers):
            reads = layer.n_in * layer.banks
            if isinstance(timing, FoldedSchedule):
                passes = timing.passes[index]
                parts.choice(coefficient.width, reads // passes.inputs * layer.n_out // passes.nodes)
            else:
                parts.union(coefficient.width, reads, layer.n_out)
                parts.choice(coefficient.width, layer.n_out)
