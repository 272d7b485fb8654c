"""The ports of a core that a shell connects, the same for learners and networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import stream
from amaranth.lib.wiring import In, Out

from ..learner.rtl.learner import Learner
from ..learner.spec import LearnerSpec
from ..lookup.network import LookupNetwork
from ..lookup.rtl.lookup_core import LookupCore

__all__ = ["Core", "CorePorts"]

Core = Learner | LookupCore
"""What can stand behind a bus."""


@dataclass(frozen=True)
class CorePorts:
    """A core, and which ports it has.

    Attributes
    ----------
    core : Learner or LookupCore
        The component.
    """

    core: Core

    @property
    def described(self) -> LearnerSpec | LookupNetwork:
        """The spec of the learner, or the network."""
        return self.core.network if isinstance(self.core, LookupCore) else self.core.spec

    @property
    def spec(self) -> LearnerSpec | None:
        """The spec of the learner; None for a network."""
        return None if isinstance(self.core, LookupCore) else self.core.spec

    @property
    def after_prediction(self) -> bool:
        """Whether there is a stream for the teacher's word."""
        return "teaching" in self.core.signature.members

    @property
    def waits(self) -> bool:
        """Whether predictions can be refused."""
        return not self.core.predictions.signature.always_ready

    @property
    def depth(self) -> int:
        """Samples in the core at once, those among them whose predictions wait, and two more."""
        if isinstance(self.core, LookupCore):
            return int(-(-self.core.latency // self.core.interval)) + 3
        return 4 if self.waits else self.core.prediction_latency + 3

    @property
    def guarded(self) -> bool:
        """Whether a guard watches the learner."""
        return "guard_fault" in self.core.signature.members

    @property
    def pins(self) -> dict[str, Any]:
        """What a shell has of a learner besides buses and streams: when it learns, and what its guard tells."""
        names = ("freeze", "updated", "guard_fault", "guard_status", "guard_release")
        members = self.core.signature.members
        return {name: members[name] for name in names if name in members}

    def connect_pins(self, m: Module, shell: Any) -> None:
        """Connect :attr:`pins` of a shell."""
        for name, member in self.pins.items():
            outer, inner = getattr(shell, name), getattr(self.core, name)
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)

    def connect_events(self, m: Module, occurred: Any) -> None:
        """Tell which events of a learner's own happen in a cycle (``occurred`` of :class:`.RegisterDecoder`)."""
        if self.spec is not None:
            m.d.comb += occurred.updated.eq(self.core.updated)
        if self.guarded:
            # A fault that outlasts a reset is none that has just been seen.
            before = Signal(name="fault_before", reset_less=not self.core.spec.restarts)
            m.d.sync += before.eq(self.core.guard_fault)
            m.d.comb += occurred.fault.eq(self.core.guard_fault & ~before)

    def stream(self, name: str) -> stream.Signature:
        """The signature of one of the core's streams, as who drives it sees it."""
        member = self.core.signature.members[name]
        return member.signature if member.flow is Out else member.flip().signature

    def connect(self, m: Module, name: str, other: Any) -> None:
        """Connect one of the core's streams to one that drives it, or for ``predictions`` to one that it drives.

        Amaranth's own function refuses a ``ready`` that is constant on one side alone."""
        port = getattr(self.core, name)
        source, target = (port, other) if name == "predictions" else (other, port)
        m.d.comb += [target.valid.eq(source.valid), Value.cast(target.payload).eq(Value.cast(source.payload))]
        if not source.signature.always_ready:
            m.d.comb += source.ready.eq(target.ready)
