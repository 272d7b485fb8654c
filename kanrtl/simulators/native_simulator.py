"""RTL compiled to machine code, cycle by cycle."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from amaranth.hdl import Fragment, Value

from ..numeric.fixed import Codes
from ..progress import Progress
from .cxxrtl import Design, load
from .native_netlist import NativeNetlist
from .native_step import NativeNetworkStep, NativeStep, RealPlaces, SamplePlaces
from .trace import Port, Trace

STRETCH = 1 << 20
"""Clock cycles that are simulated without a look at anything else, so that a run can be interrupted."""

TRACED_STRETCH = 1 << 12


class NativeSimulator(NativeNetlist):
    """Drives the netlist that synthesis gets too, as a library of :mod:`kanrtl.simulators.cxxrtl`.

    A call of :meth:`run` crosses into it once for every :data:`STRETCH` of clock cycles. At every clock edge the same
    happens as with :class:`~kanrtl.simulators.amaranth_simulator.AmaranthSimulator`.

    Parameters
    ----------
    key, make, macros
        As for :class:`kanrtl.simulators.cxxrtl.Design`.
    ports
        Gives the ports of the elaborated component that are worth tracing.
    trace
        Where to trace them to; None for nowhere.
    progress
        Told what takes a while.
    rewrite
        As for :class:`kanrtl.simulators.cxxrtl.Design`.

    Raises
    ------
    ToolError
        If yosys or a C++ compiler is missing or fails.
    """

    def __init__(
        self,
        key: Any,
        make: Callable[[], Any],
        macros: Callable[[Any], Mapping[str, int]],
        ports: Callable[[Any], list[Port]],
        trace: Trace | None = None,
        progress: Progress | None = None,
        rewrite: Callable[[str], str] | None = None,
    ) -> None:
        self._trace = trace
        self._traced: list[Port] = []

        def choose(fragment: Fragment) -> Mapping[str, Value]:
            self._traced = ports(fragment)
            return {port.name: port.value for port in self._traced}

        library = load(Design(key, make, macros, choose if trace else None, rewrite=rewrite), progress)
        if trace:
            trace.begin(self._traced)
        super().__init__(library)

    def run(self, x: Codes, n_out: int, teaching: Codes | None = None, learn: Codes | None = None) -> Codes:
        """Send samples ``(n, n_in)`` one after another, as fast as they are taken; give predictions ``(n, n_out)``.

        All are codes. ``teaching`` and ``learn`` are those of a learner, as in
        :meth:`kanrtl.sessions.backend.LearnerBackend.run`.
        """
        library, live = self._library, self._live
        # They must outlive the call of send.
        arrays = [np.ascontiguousarray([] if array is None else array, dtype=np.int64) for array in (x, teaching)]
        taught = np.ascontiguousarray([] if learn is None else learn, dtype=np.uint8)
        predictions = np.empty((len(x), n_out), dtype=np.int64)
        library.kanrtl_send(live, len(x), *arrays, taught, predictions)
        try:
            self._proceed()
        except BaseException:
            # What was taken is done with, so that the next call begins with all at rest.
            library.kanrtl_cut(live)
            self._proceed()
            raise
        return predictions

    def _proceed(self) -> None:
        done = False
        while not done:
            done = bool(self._library.kanrtl_proceed(self._live, TRACED_STRETCH if self._trace else STRETCH))
            self._check_rest()
            self.write_trace()

    def step(self, places: RealPlaces) -> NativeStep:
        """What sends a learner one sample at a time, in real numbers; the last one that was made is good."""
        return NativeStep(self._library, self._simulation, self._end, self._after_step, places)

    def network_step(self, places: SamplePlaces) -> NativeNetworkStep:
        """What sends a network one sample at a time, in real numbers; the last one that was made is good."""
        return NativeNetworkStep(self._library, self._simulation, self._end, self._after_step, places)

    @property
    def _after_step(self) -> Callable[[], None] | None:
        return self.write_trace if self._trace else None

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        """Do reads (``(address, None)``) and writes (``(address, value)``) in order; give the answer to each."""
        addresses = np.array([address for address, _ in requests], dtype=np.uint64)
        writes = np.array([value is not None for _, value in requests], dtype=np.uint8)
        values = np.array([value or 0 for _, value in requests], dtype=np.int64)
        self._library.kanrtl_access(self._live, len(requests), addresses, writes, values)
        self._check_rest()
        self.write_trace()
        return values.tolist()  # type: ignore[no-any-return]

    def write_trace(self) -> None:
        """Write what happened since the last call to the trace, where there is one."""
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

    def observed(self, kinds: Iterable[str]) -> dict[str, list[int]]:
        """Every value seen so far in cycles, sorted, by its kind: ``latency``, ``prediction_latency``, ``interval``."""
        seen: dict[str, list[int]] = {}
        for kind in kinds:
            which = ("latency", "prediction_latency", "interval").index(kind)
            values = np.empty(self._observed(which, np.empty(0, dtype=np.uint64)), dtype=np.uint64)
            self._observed(which, values)
            seen[kind] = values.tolist()
        return seen

    def _observed(self, which: int, values: Any) -> int:
        return int(self._library.kanrtl_observed(self._live, which, values, len(values)))

    def close(self) -> None:
        """End the simulation and complete its trace."""
        super().close()
        if self._trace:
            self._trace.close()

    def discard_trace(self) -> None:
        """Leave the files of the trace as they were."""
        if self._trace:
            self._trace.discard()
