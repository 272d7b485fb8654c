"""The learner's RTL compiled to machine code, cycle by cycle."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Fragment, Value

from ..fixed import Codes
from ..toolchain import Progress
from .base import AddressedBackend
from .cxxrtl import load
from .trace import Port, Trace, traced_ports

if TYPE_CHECKING:
    from ..spec import LearnerSpec

__all__ = ["NativeBackend"]

STRETCH = 1 << 20
"""Clock cycles that are simulated without a look at anything else, so that a run can be interrupted."""
TRACED_STRETCH = 1 << 12


class NativeBackend(AddressedBackend):
    """Drives the netlist that synthesis gets too, as a library of :mod:`kanrtl.backends.cxxrtl`.

    A call of :meth:`run` crosses into it once for every :data:`STRETCH` of clock cycles. At every clock edge the same
    happens as with :class:`kanrtl.backends.pysim.PysimBackend`.
    """

    name = "native"

    def __init__(self, spec: LearnerSpec, trace: Trace | None = None, progress: Progress | None = None) -> None:
        super().__init__(spec)
        self._trace = trace
        self._traced: list[Port] = []
        self._library = load(spec, progress, self._choose if trace else None)
        if trace:
            trace.begin(self._traced)
        self._simulation = ctypes.c_void_p(self._library.kanrtl_begin())
        self._end = weakref.finalize(self, self._library.kanrtl_end, self._simulation)

    def _choose(self, fragment: Fragment) -> Mapping[str, Value]:
        self._traced = traced_ports(fragment)
        return {port.name: port.value for port in self._traced}

    @property
    def _live(self) -> ctypes.c_void_p:
        if not self._end.alive:
            raise RuntimeError("this learner is closed")
        return self._simulation

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        library, live = self._library, self._live
        # They must outlive the call of send.
        arrays = [np.ascontiguousarray(array, dtype=np.int64) for array in (x, teaching)]
        taught = np.ascontiguousarray(learn, dtype=np.uint8)
        predictions = np.empty((len(x), self.spec.n_out), dtype=np.int64)
        library.kanrtl_send(live, len(x), *arrays, taught, predictions)
        try:
            self._proceed()
        except BaseException:
            # What was taken is done with, so that the next call begins with a learner at rest.
            library.kanrtl_cut(live)
            self._proceed()
            raise
        return predictions

    def _proceed(self) -> None:
        done = False
        while not done:
            done = bool(self._library.kanrtl_proceed(self._live, TRACED_STRETCH if self._trace else STRETCH))
            self._write_trace()

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        addresses = np.array([address for address, _ in requests], dtype=np.uint64)
        writes = np.array([value is not None for _, value in requests], dtype=np.uint8)
        values = np.array([value or 0 for _, value in requests], dtype=np.int64)
        self._library.kanrtl_access(self._live, len(requests), addresses, writes, values)
        self._write_trace()
        return values.tolist()  # type: ignore[no-any-return]

    def _write_trace(self) -> None:
        """Hands on what was traced since the last time."""
        if self._trace is None:
            return
        pointer = ctypes.POINTER(ctypes.c_uint32)()
        count = self._library.kanrtl_traced(self._live, ctypes.byref(pointer))
        if not count:
            return
        sizes = [4 * -(-len(port.value) // 32) for port in self._traced]
        ends = np.cumsum(sizes).tolist()
        content = ctypes.string_at(pointer, 4 * count)
        for start in range(0, len(content), ends[-1]):
            self._trace.cycle(
                [
                    int.from_bytes(content[start + end - size : start + end], "little")
                    for end, size in zip(ends, sizes, strict=True)
                ]
            )

    @property
    def cycles(self) -> int:
        return int(self._library.kanrtl_cycles(self._live))

    @property
    def observed(self) -> dict[str, list[int]]:
        seen: dict[str, list[int]] = {}
        for which, name in enumerate(("latency", "prediction_latency", "interval")):
            count = self._observed(which, np.empty(0, dtype=np.uint64))
            values = np.empty(count, dtype=np.uint64)
            self._observed(which, values)
            seen[name] = values.tolist()
        return seen

    def _observed(self, which: int, values: Any) -> int:
        return int(self._library.kanrtl_observed(self._live, which, values, len(values)))

    def close(self) -> None:
        self._end()
        if self._trace:
            self._trace.close()
