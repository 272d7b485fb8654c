"""Registers at the ends of stages: there where the pipeline names the stage, a wire elsewhere."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value

from ...fabric.parts import Parts
from ..folded_schedule import FoldedSchedule
from ..plan import LayerPlan
from ..schedule import Schedule


def delay(m: Module, value: Any, cycles: int, name: str) -> Any:
    """``value`` as it was ``cycles`` clock edges ago."""
    for cycle in range(cycles):
        later = Signal(value.shape(), name=f"{name}_after{cycle + 1}", reset_less=True)
        m.d.sync += later.eq(value)
        value = later
    return value


def hold(m: Module, value: Any, when: Value, name: str) -> Any:
    """``value`` as it was at the last clock edge at which ``when`` was high."""
    register = Signal(value.shape(), name=name, reset_less=True)
    with m.If(when):
        m.d.sync += register.eq(value)
    return register


def name_signal(m: Module, value: Any, name: str, *, registered: bool = False) -> Any:
    """A new signal of the same shape that is ``value``, a cycle later if it is ``registered``."""
    # Without a reset, DSP blocks can take the register in; nothing reads it before it was loaded.
    signal = Signal(value.shape(), name=name, reset_less=registered)
    domain = m.d.sync if registered else m.d.comb
    domain += signal.eq(value)
    return signal


def wire_members(m: Module, target: Any, source: Any, *names: str) -> None:
    """Drive members of one component from those of another that have the same name."""
    m.d.comb += [getattr(target, name).eq(getattr(source, name)) for name in names]


class Stages:
    """The registers of the stages of one layer.

    In the sequential schedule the sample is held for the whole step, so a register here has its value from its cycle on
    until the next sample, and no value needs to be delayed to meet another. In the streaming schedule every value moves
    on at every clock.
    """

    def __init__(self, m: Module, schedule: Schedule | FoldedSchedule, layer: int) -> None:
        self._m = m
        self._schedule = schedule
        self._layer = layer

    def ends(self, stage: str) -> bool:
        """Whether ``stage`` ends in a register."""
        return stage in self._schedule.stages[self._layer]

    def end(self, stage: str, value: Any, name: str) -> Any:
        """``value`` as it leaves ``stage``: a new signal of the same shape, registered or not."""
        return name_signal(self._m, value, name, registered=self.ends(stage))

    def wire(self, value: Any, name: str) -> Any:
        """``value`` under a name: for the reader of a waveform, and so that what is used often is computed once."""
        return name_signal(self._m, value, name)

    def meet(self, value: Any, since: int, now: int, name: str, *, cut: bool = False) -> Any:
        """``value``, there at time ``since``, for use with others of the same sample at time ``now``.

        ``cut``: through registers in any schedule, as the path to it is long.
        """
        assert since <= now, f"{name} is there at {since}, after {now}"
        return delay(self._m, value, now - since, name) if cut or self._schedule.streaming else value


def end_read(stages: Stages, plan: LayerPlan, banks: Any, since: int, name: str) -> list[Any]:
    """The banks' values, there at time ``since``, as they leave the stage ``read`` of a layer that is not folded."""
    values, now = list(banks), plan.times.read
    if since < now and stages.ends("read"):
        values = [stages.end("read", value, f"{name}_bank{bank}") for bank, value in enumerate(values)]
        since += 1
    # In a layer behind another one the window is found within the same clock.
    return [stages.meet(value, since, now, f"{name}_bank{bank}", cut=plan.hidden) for bank, value in enumerate(values)]


def count_meeting(parts: Parts, plan: LayerPlan, bits: int, since: int, now: int, *, cut: bool = False) -> None:
    """Count what :meth:`Stages.meet` takes for values of so many ``bits``."""
    if cut or plan.streaming:
        parts.register(bits * max(0, now - since))


def count_read(parts: Parts, plan: LayerPlan, bits: int, since: int, *, block: bool) -> None:
    """Count what :func:`end_read` takes for values of so many ``bits``; ``block``: they come from block memory."""
    if since < plan.times.read and plan.ends("read"):
        parts.register_behind(bits, block=block)
        since += 1
    count_meeting(parts, plan, bits, since, plan.times.read, cut=plan.hidden)
