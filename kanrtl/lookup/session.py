"""One way to use a lookup network, whichever backend it runs on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from amaranth.sim import Simulator

from ..fixed import Codes
from ..session import Closing, InputError
from .core import LookupCore
from .network import LookupNetwork
from .quantiser import FixedQuantiser

__all__ = ["BACKENDS", "LookupBackend", "LookupSession", "connect_network"]


class LookupBackend(ABC):
    """Where a network runs. Every backend gives the same bits for the same samples."""

    name: str

    @abstractmethod
    def run(self, samples: Codes) -> Codes:
        """Predictions ``(n, n_predictions)`` for samples ``(n, n_in)``, both as the ports carry them."""

    @property
    def cycles(self) -> int | None:
        """Clock cycles so far; None without a clock."""
        return None

    @property
    def observed(self) -> dict[str, list[int]]:
        """The latencies and intervals that were seen at the ports, in cycles."""
        return {}

    def close(self) -> None:  # noqa: B027  # there may be nothing to end
        """Ends it."""


class ModelBackend(LookupBackend):
    """The integer model: no clock, no hardware."""

    name = "model"

    def __init__(
        self,
        network: LookupNetwork,
        latency: int | None,
        memory: str | Sequence[str],
        whole_from: int | None,
        reuse_factor: int | Sequence[int],
    ) -> None:
        self._network = network

    def run(self, samples: Codes) -> Codes:
        quantiser = self._network.quantiser
        codes = quantiser.codes_of_raw(samples) if isinstance(quantiser, FixedQuantiser) else samples
        return self._network.predict_codes(codes)


class PysimBackend(LookupBackend):
    """A :class:`LookupCore` in Amaranth's own simulator, which stands still between calls."""

    name = "pysim"

    def __init__(
        self,
        network: LookupNetwork,
        latency: int | None,
        memory: str | Sequence[str],
        whole_from: int | None,
        reuse_factor: int | Sequence[int],
    ) -> None:
        self._dut = LookupCore(network, latency, memory, whole_from=whole_from, reuse_factor=reuse_factor)
        self._waiting: Codes | None = None
        self._result: list[list[int]] = []
        self._cycle = 0
        self._seen: dict[str, set[int]] = {"latency": set(), "interval": set()}
        self._simulator = Simulator(self._dut)
        self._simulator.add_clock(1e-8)
        self._simulator.add_testbench(self._work)

    async def _work(self, ctx: Any) -> None:
        while True:
            if self._waiting is None:
                await ctx.tick()
                self._cycle += 1
            else:
                self._result = await self._stream(ctx, self._waiting)
                self._waiting = None

    async def _stream(self, ctx: Any, samples: Codes) -> list[list[int]]:
        """Samples as soon as they are taken, until all predictions are there."""
        dut = self._dut
        if dut.folding is not None:
            ctx.set(dut.predictions.ready, 1)
        outputs = [dut.predictions.payload[index] for index in range(dut.network.n_predictions)]
        taken: list[int] = []
        predictions: list[list[int]] = []
        while len(predictions) < len(samples):
            offered = len(taken) < len(samples)
            ctx.set(dut.samples.valid, offered)
            if offered:
                for index, code in enumerate(samples[len(taken)]):
                    ctx.set(dut.samples.payload[index], int(code))
            _, _, ready, valid, *values = await ctx.tick().sample(dut.samples.ready, dut.predictions.valid, *outputs)
            self._cycle += 1
            if offered and ready:
                taken.append(self._cycle)
            if valid:
                # It was valid from the edge before the one that takes it.
                self._seen["latency"].add(self._cycle - 1 - taken[len(predictions)])
                predictions.append([int(value) for value in values])
        ctx.set(dut.samples.valid, 0)
        self._seen["interval"].update(later - earlier for earlier, later in pairwise(taken))
        return predictions

    def run(self, samples: Codes) -> Codes:
        self._waiting = samples
        while self._waiting is not None:
            self._simulator.advance()
        return np.array(self._result, dtype=np.int64).reshape(len(samples), self._dut.network.n_predictions)

    @property
    def cycles(self) -> int:
        return self._cycle

    @property
    def observed(self) -> dict[str, list[int]]:
        return {name: sorted(values) for name, values in self._seen.items()}


BACKENDS: dict[
    str,
    Callable[[LookupNetwork, int | None, str | Sequence[str], int | None, int | Sequence[int]], LookupBackend],
] = {
    "model": ModelBackend,
    "pysim": PysimBackend,
}
"""How to start a backend, by its name."""


def connect_network(
    network: LookupNetwork,
    backend: str = "model",
    latency: int | None = None,
    memory: str | Sequence[str] = "auto",
    whole_from: int | None = None,
    reuse_factor: int | Sequence[int] = 1,
) -> LookupSession:
    """Starts a lookup network; see :func:`kanrtl.connect`. Other parameters as those of :class:`LookupCore`."""
    if backend not in BACKENDS:
        raise InputError(f"backend = {backend!r}: unknown; use one of {', '.join(map(repr, BACKENDS))}")
    return LookupSession(network, BACKENDS[backend](network, latency, memory, whole_from, reuse_factor))


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
        """``samples`` so far, clock ``cycles`` (None without a clock), and what was ``observed`` at the ports."""
        return {
            "backend": self._backend.name,
            "samples": self._samples,
            "cycles": self._backend.cycles,
            "observed": self._backend.observed,
        }
