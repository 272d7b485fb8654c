"""Registers at the ends of stages: there where the pipeline names the stage, a wire elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from amaranth.hdl import Module, Signal

__all__ = ["Stages"]


class Stages:
    """The registers of one module's stages.

    In the sequential schedule the sample is held for the whole step, so a register here has its value from its cycle on
    until the next sample, and no value needs to be delayed to meet another.
    """

    def __init__(self, m: Module, pipeline: Iterable[str]) -> None:
        self._m = m
        self._pipeline = frozenset(pipeline)

    def end(self, stage: str, value: Any, name: str) -> Any:
        """``value`` as it leaves ``stage``: a new signal of the same shape, registered or not."""
        return self._signal(value, name, stage in self._pipeline)

    def wire(self, value: Any, name: str) -> Any:
        """``value`` under a name: for the reader of a waveform, and so that what is used often is computed once."""
        return self._signal(value, name, registered=False)

    def _signal(self, value: Any, name: str, registered: bool) -> Any:
        # Without a reset, DSP blocks can take the register in; nothing reads it before it was loaded.
        signal = Signal(value.shape(), name=name, reset_less=registered)
        domain = self._m.d.sync if registered else self._m.d.comb
        domain += signal.eq(value)
        return signal
