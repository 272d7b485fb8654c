"""What has the two pins of a serial port, compiled to machine code, and the other side of its line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..progress import Progress
from .cxxrtl import SERIAL_PINS, Design, load
from .native_netlist import NativeNetlist

__all__ = ["NativeSerial"]

MOST_BYTES = 4096
"""Bytes that are taken at a time."""


class NativeSerial(NativeNetlist):
    """Drives a netlist by its pins ``rx`` and ``tx``, cycle by cycle.

    Parameters
    ----------
    key, make
        As for :class:`kanrtl.simulators.cxxrtl.Design`; the component has the members ``rx`` and ``tx``.
    cycles_per_bit
        Of the other side of the line: the clock's frequency over the rate. An attribute too.
    progress
        Told what takes a while.
    rewrite
        As for :class:`kanrtl.simulators.cxxrtl.Design`.
    variants
        Where there are more than one, the component has the input ``variant``, the number of the one that it is to be,
        and the output ``touched``, a bit for each; :meth:`restart` chooses.

    Raises
    ------
    ToolError
        If yosys or a C++ compiler is missing or fails.
    """

    def __init__(
        self,
        key: Any,
        make: Callable[[], Any],
        cycles_per_bit: float,
        progress: Progress | None = None,
        rewrite: Callable[[str], str] | None = None,
        variants: int = 1,
    ) -> None:
        macros = {"VARIANTS": variants} if variants > 1 else {}
        design = Design(key, make, lambda _: macros, driver=SERIAL_PINS, rewrite=rewrite)
        super().__init__(load(design, progress), cycles_per_bit, 0)
        self.cycles_per_bit = cycles_per_bit
        self._bytes = np.empty(MOST_BYTES, dtype=np.uint8)

    def restart(self, variant: int = 0) -> None:
        """Begin anew from power-up, as the variant of this number."""
        self.close()
        self._begin(self.cycles_per_bit, variant)

    def is_touched(self, variant: int) -> bool:
        """Whether anything would have been different, inside, in a variant of the number."""
        return bool(self._library.kanrtl_touched(self._live, variant))

    def feed(self, content: bytes) -> None:
        """Send bytes, behind those that wait to be sent."""
        self._library.kanrtl_feed(self._live, len(content), content)

    def run(self, cycles: int, most: int = MOST_BYTES) -> bytes:
        """Let so many cycles pass, fewer where ``most`` bytes, which are no more than by default, have come; give what
        has come.

        Raises
        ------
        ToolError
            If the netlist has not come to rest in one of them.
        """
        count = self._library.kanrtl_run(self._live, cycles, most, self._bytes)
        self._check_rest()
        return self._bytes[:count].tobytes()

    @property
    def waiting(self) -> int:
        """The bytes that wait to be sent."""
        return int(self._library.kanrtl_waiting(self._live))
