"""A netlist in machine code that runs until it is closed."""

from __future__ import annotations

import ctypes
import weakref
from typing import Any

from ..errors import ToolError

__all__ = ["NativeNetlist"]


class NativeNetlist:
    """A simulation that a library of :mod:`kanrtl.simulators.cxxrtl` has begun.

    Parameters
    ----------
    library
        The library.
    arguments
        What its function ``begin`` takes.
    """

    def __init__(self, library: ctypes.CDLL, *arguments: Any) -> None:
        self._library = library
        self._begin(*arguments)

    def _begin(self, *arguments: Any) -> None:
        library = self._library
        self._simulation = ctypes.c_void_p(library.kanrtl_begin(*arguments))
        self._end = weakref.finalize(self, library.kanrtl_end, self._simulation)

    @property
    def _live(self) -> ctypes.c_void_p:
        if not self._end.alive:
            raise RuntimeError("this simulation is closed")
        return self._simulation

    @property
    def cycles(self) -> int:
        """The clock cycles since the start."""
        return int(self._library.kanrtl_cycles(self._live))

    def _check_rest(self) -> None:
        """Raise :exc:`ToolError` where the netlist has not come to rest in a clock cycle."""
        if self._library.kanrtl_restless(self._live):
            raise ToolError(
                "the netlist does not come to rest within a clock cycle: a loop of its logic oscillates, which no "
                "simulation of cycles can follow"
            )

    def close(self) -> None:
        """End the simulation."""
        self._end()
