"""What saturates: remembered through the passes of a folded layer, and counted."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ...fabric.parts import Parts
from ..address_map import COUNTER_WIDTH, SATURATIONS
from ..losses import find_loss
from ..schedule import Schedule
from ..spec import LearnerSpec
from .pipeline_registers import delay


class PassSaturation(wiring.Component):  # type: ignore[misc]
    """Tells which kinds of value saturate; all but activations a cycle later, so that no step waits for it.

    What saturates in a passing step is remembered. Activations and gradients are of sums that keep still until they are
    counted.

    Parameters
    ----------
    flags
        By kind, how many values can saturate.

    Members
    -------
    flags : In, by kind a bit for every value, high while it saturates
    restart : In(1), forget at the clock edge
    saturated : Out, one bit per kind; ``latency`` cycles later, activations at once
    """

    def __init__(self, flags: dict[str, int]) -> None:
        super().__init__(
            {
                "flags": In(data.StructLayout(flags)),
                "restart": In(1),
                "saturated": Out(data.StructLayout(dict.fromkeys(flags, 1))),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a flag to what is told of it, if it is not an activation's."""
        return 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for kind in self.flags.shape().members:
            flags = self.flags[kind]
            if kind == "activation":
                m.d.comb += self.saturated[kind].eq(flags.any())
                continue
            now = Signal(len(flags), name=f"{kind}_saturates")
            m.d.sync += now.eq(flags)
            if kind == "gradient":
                m.d.comb += self.saturated[kind].eq(now.any())
                continue
            before = Signal(name=f"{kind}_saturated")
            m.d.sync += before.eq((before | now.any()) & ~self.restart)
            m.d.comb += self.saturated[kind].eq(before | now.any())
        return m


def count_flags(spec: LearnerSpec) -> dict[str, int]:
    """How many flags there are of every kind of saturation that a learner has: one of every layer in which a value can
    saturate, and one of the loss; and of what it counts besides, one of every layer."""
    last = spec.plans[-1]
    kinds = [kind for plan in spec.plans for kind in plan.saturating]
    if not last.forms_error and find_loss(spec.loss).clips(last.layer, spec.rounding):
        kinds.append("gradient")
    return {kind: kinds.count(kind) for kind in (*SATURATIONS, *spec.counts) if kind in kinds}


class SaturationCounters(wiring.Component):  # type: ignore[misc]
    """Counts a kind once for every sample or step in which any value of it saturates; a counter stops at its highest
    value.

    Parameters
    ----------
    spec
        The learner.

    Members
    -------
    flags : In, for every kind as many bits as :func:`count_flags` says
        Whether values are saturating; :attr:`flags_latency` cycles after the strobe that tells of them.
    predicted : In(1)
        A prediction is made; what activations there are is counted.
    updated : In(1)
        An update is written; what else there is is counted.
    clear : In, one bit per kind
        Set to zero at the clock edge.
    counts : Out, one counter per kind
        :attr:`latency` cycles after the strobe.
    """

    def __init__(self, spec: LearnerSpec) -> None:
        self._spec = spec
        self._flags = count_flags(spec)
        super().__init__(
            {
                "flags": In(data.StructLayout(self._flags)),
                "predicted": In(1),
                "updated": In(1),
                "clear": In(data.StructLayout(dict.fromkeys(self._flags, 1))),
                "counts": Out(data.StructLayout(dict.fromkeys(self._flags, COUNTER_WIDTH))),
            }
        )

    def flags_latency(self, kind: str) -> int:
        """Clock cycles from a strobe to the flags of its sample or step: layers tell of some a cycle late, so that
        nothing waits for it."""
        timing = self._spec.timing
        late = isinstance(timing, Schedule) and timing.counts_late
        return int(late if kind == "activation" else late or self._spec.folded)

    def latency(self, kind: str) -> int:
        """Clock cycles from the cycle of a strobe to that from which it is counted."""
        return self.flags_latency(kind) + 2

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for kind in self._flags:
            count, strobe = self.counts[kind], self.predicted if kind == "activation" else self.updated
            event = Signal(name=f"{kind}_event")
            following = Signal(COUNTER_WIDTH + 1, name=f"{kind}_following")
            strobe = delay(m, strobe, self.flags_latency(kind), f"{kind}_strobe")
            m.d.comb += following.eq(count + 1)
            # A register, so that nothing waits for the counters.
            m.d.sync += event.eq(strobe & self.flags[kind].any())
            with m.If(self.clear[kind]):
                m.d.sync += count.eq(0)
            with m.Elif(event & ~following[-1]):
                m.d.sync += count.eq(following)
        return m


def count_saturation_counters(parts: Parts, spec: LearnerSpec) -> None:
    """Count what :class:`SaturationCounters` has."""
    kinds = len(count_flags(spec))
    parts.counts["counter"] += COUNTER_WIDTH * kinds
    parts.register((COUNTER_WIDTH + 1) * kinds, moved=False)
