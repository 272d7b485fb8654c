"""One way to use a lookup network, whichever backend it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt

from ..backends.trace import Trace, TraceError
from ..fixed import Codes
from ..session import Closing, InputError
from ..toolchain import Progress
from .backends import BACKENDS, LookupBackend
from .network import LookupNetwork
from .quantiser import FixedQuantiser

__all__ = ["LookupSession", "connect_network"]


def connect_network(
    network: LookupNetwork,
    backend: str = "model",
    latency: int | None = None,
    memory: str | Sequence[str] = "auto",
    whole_from: int | None = None,
    reuse_factor: int | Sequence[int] = 1,
    *,
    trace: str | Path | None = None,
    progress: Progress | None = None,
) -> LookupSession:
    """Starts a lookup network; see :func:`kanrtl.connect`. Other parameters as those of :class:`LookupCore`."""
    if backend not in BACKENDS:
        raise InputError(f"backend = {backend!r}: unknown; use one of {', '.join(map(repr, BACKENDS))}")
    options = {"latency": latency, "memory": memory, "whole_from": whole_from, "reuse_factor": reuse_factor}
    try:
        started = BACKENDS[backend](network, options, Trace(trace) if trace is not None else None, progress)
    except TraceError as error:
        raise InputError(str(error)) from None
    return LookupSession(network, started)


class LookupSession(Closing):
    """A running lookup network; made by :func:`kanrtl.connect`. A context manager."""

    def __init__(self, network: LookupNetwork, backend: LookupBackend) -> None:
        self.network = network
        self._backend = backend
        self._samples = 0

    def close(self) -> None:
        """Ends it."""
        self._backend.close()

    def predict(self, x: npt.ArrayLike) -> npt.NDArray[Any]:
        """As :meth:`LookupNetwork.predict`."""
        rows, single = self.network.real_rows(x)
        quantiser = self.network.quantiser
        samples = quantiser.raw_codes(rows) if isinstance(quantiser, FixedQuantiser) else quantiser.codes(rows)
        result = self.network.values_of(self._run(samples))
        return result[0] if single else result

    def predict_codes(self, codes: npt.ArrayLike) -> Codes:
        """As :meth:`LookupNetwork.predict_codes`; only where the component takes codes, and does not quantise."""
        quantiser = self.network.quantiser
        if isinstance(quantiser, FixedQuantiser):
            raise InputError(f"predict_codes: this network takes inputs in {quantiser.format}; call predict")
        return self._run(self.network.checked_codes(codes))

    def _run(self, samples: Codes) -> Codes:
        self._samples += len(samples)
        return self._backend.run(samples)

    @property
    def status(self) -> dict[str, Any]:
        """``samples`` so far, clock ``cycles`` (None without a clock), and the ``latency`` and ``interval`` that were
        ``observed`` at the ports."""
        return {
            "backend": self._backend.name,
            "samples": self._samples,
            "cycles": self._backend.cycles,
            "observed": self._backend.observed,
        }
