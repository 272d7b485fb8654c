"""RTL compiled to machine code, cycle by cycle."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from amaranth.hdl import Fragment, Value

from ..address_map import AddressMap
from ..fixed import Codes
from ..rtl.learner import Learner
from ..toolchain import Progress
from .base import AddressedBackend
from .cxxrtl import Design, load
from .trace import Port, Trace, traced_ports

if TYPE_CHECKING:
    from ..spec import LearnerSpec

__all__ = ["Native", "NativeBackend"]

STRETCH = 1 << 20
"""Clock cycles that are simulated without a look at anything else, so that a run can be interrupted."""
TRACED_STRETCH = 1 << 12


class Native:
    """Drives the netlist that synthesis gets too, as a library of :mod:`kanrtl.backends.cxxrtl`.

    A call of :meth:`run` crosses into it once for every :data:`STRETCH` of clock cycles. At every clock edge the same
    happens as with :class:`kanrtl.backends.pysim.Pysim`. The first three parameters are those of
    :class:`kanrtl.backends.cxxrtl.Design`; ``ports`` tells what of the elaborated component is worth tracing.
    """

    def __init__(
        self,
        key: Any,
        make: Callable[[], Any],
        macros: Callable[[Any], Mapping[str, int]],
        ports: Callable[[Any], list[Port]],
        trace: Trace | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._trace = trace
        self._traced: list[Port] = []

        def choose(fragment: Fragment) -> Mapping[str, Value]:
            self._traced = ports(fragment)
            return {port.name: port.value for port in self._traced}

        self._library = load(Design(key, make, macros, choose if trace else None), progress)
        if trace:
            trace.begin(self._traced)
        self._simulation = ctypes.c_void_p(self._library.kanrtl_begin())
        self._end = weakref.finalize(self, self._library.kanrtl_end, self._simulation)

    @property
    def _live(self) -> ctypes.c_void_p:
        if not self._end.alive:
            raise RuntimeError("this simulation is closed")
        return self._simulation

    def run(self, x: Codes, n_out: int, teaching: Codes | None = None, learn: Codes | None = None) -> Codes:
        """Sends samples ``(n, n_in)`` one after another, as fast as they are taken; gives predictions ``(n, n_out)``.

        ``teaching`` and ``learn`` for a learner, as in :meth:`kanrtl.backends.Backend.run`.
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
            self._write_trace()

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        """As :meth:`kanrtl.backends.base.AddressedBackend.access`."""
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

    def observed(self, kinds: Iterable[str]) -> dict[str, list[int]]:
        """Every value seen so far, sorted, by its kind."""
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
        self._end()
        if self._trace:
            self._trace.close()


class NativeBackend(AddressedBackend):
    """Drives a :class:`kanrtl.Learner`."""

    name = "native"

    def __init__(self, spec: LearnerSpec, trace: Trace | None = None, progress: Progress | None = None) -> None:
        super().__init__(spec)
        self._native = Native(
            spec.to_dict(), lambda: Learner(spec), lambda _: _macros(spec), traced_ports, trace, progress
        )

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        return self._native.run(x, self.spec.n_out, teaching, learn.astype(np.int64))

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        return self._native.access(requests)

    @property
    def cycles(self) -> int:
        return self._native.cycles

    @property
    def observed(self) -> dict[str, list[int]]:
        return self._native.observed(("latency", "prediction_latency", "interval"))

    def close(self) -> None:
        self._native.close()


def _macros(spec: LearnerSpec) -> dict[str, int]:
    addresses, streaming = AddressMap.of(spec), spec.timing.streaming
    return {
        "LEARNS": 1,
        "N_IN": spec.n_in,
        "N_OUT": spec.n_out,
        "X_WIDTH": spec.formats.activation.width,
        "Y_WIDTH": spec.formats.activation.width,
        "Y_SIGNED": int(spec.formats.activation.signed),
        "TARGET_WIDTH": spec.target_format.width,
        "WITH_SAMPLE": int(spec.teaching == "with_sample"),
        "STALLING": 1,
        "REFUSABLE": int(not streaming),
        "SETTLING": spec.latency if streaming else 0,
        "ADDRESS_WIDTH": addresses.width,
        "DATA_WIDTH": addresses.data_width,
    }
