"""Where a lookup network runs. Every backend gives the same bits for the same samples."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..backends.base import Running
from ..backends.native import Native
from ..backends.pysim import Pysim, pack, unpack
from ..backends.trace import Port, Trace, TraceError, stream_ports
from ..fixed import Codes
from ..toolchain import Progress
from .checked import checked_core, port_shapes
from .core import LookupCore
from .network import LookupNetwork
from .quantiser import FixedQuantiser

__all__ = ["BACKENDS", "LookupBackend", "Options"]

Options = Mapping[str, Any]
"""Parameters of :class:`~kanrtl.lookup.core.LookupCore` beside the network."""


class LookupBackend(Running):
    """One lookup network, somewhere."""

    @abstractmethod
    def run(self, samples: Codes) -> Codes:
        """Predictions ``(n, n_predictions)`` for samples ``(n, n_in)``, both as the ports carry them."""


class ModelBackend(LookupBackend):
    """The integer model: no clock, no hardware."""

    name = "model"

    def __init__(self, network: LookupNetwork, _options: Options, trace: Trace | None, _progress: object) -> None:
        if trace is not None:
            raise TraceError('trace: backend "model" has no signals; use "pysim" or "native"')
        self._network = network

    def run(self, samples: Codes) -> Codes:
        quantiser = self._network.quantiser
        codes = quantiser.codes_of_raw(samples) if isinstance(quantiser, FixedQuantiser) else samples
        return self._network.predict_codes(codes)


class _Simulated(LookupBackend):
    """A :class:`LookupCore` in a simulator."""

    def __init__(self, network: LookupNetwork, simulator: Pysim | Native) -> None:
        self._network = network
        self._simulator = simulator

    @property
    def cycles(self) -> int:
        return self._simulator.cycles

    @property
    def observed(self) -> dict[str, list[int]]:
        seen = self._simulator.observed(("prediction_latency", "interval"))
        return {"latency": seen["prediction_latency"], "interval": seen["interval"]}

    def close(self) -> None:
        self._simulator.close()


class PysimBackend(_Simulated):
    """In Amaranth's own simulator, which stands still between calls."""

    name = "pysim"

    def __init__(self, network: LookupNetwork, options: Options, trace: Trace | None, _progress: object) -> None:
        core = checked_core(network, **options)
        self._sample, self._prediction = port_shapes(core)
        self._pysim = Pysim(core, trace, lambda fragment: _ports(network, fragment))
        super().__init__(network, self._pysim)

    def run(self, samples: Codes) -> Codes:
        count = self._network.n_predictions
        found = self._pysim.run([pack(row, self._sample) for row in samples])
        codes = [unpack(bits, self._prediction, count) for bits in found]
        return np.array(codes, dtype=np.int64).reshape(len(samples), count)


class NativeBackend(_Simulated):
    """Compiled to machine code."""

    name = "native"

    def __init__(
        self, network: LookupNetwork, options: Options, trace: Trace | None, progress: Progress | None
    ) -> None:
        self._native = Native(
            ["lookup network", _digest(network), json.dumps(options)],
            lambda: checked_core(network, **options),
            _macros,
            lambda fragment: _ports(network, fragment),
            trace,
            progress,
        )
        super().__init__(network, self._native)

    def run(self, samples: Codes) -> Codes:
        return self._native.run(samples, self._network.n_predictions)


def _macros(core: LookupCore) -> dict[str, int]:
    sample, prediction = port_shapes(core)
    return {
        "LEARNS": 0,
        "N_IN": core.network.n_in,
        "N_OUT": core.network.n_predictions,
        "X_WIDTH": sample.width,
        "Y_WIDTH": prediction.width,
        "Y_SIGNED": int(prediction.signed),
        "STALLING": int(not core.samples.signature.always_ready),
        "REFUSABLE": int(not core.predictions.signature.always_ready),
    }


def _ports(network: LookupNetwork, fragment: Any) -> list[Port]:
    quantiser = network.quantiser
    sample = quantiser.format.lsb if isinstance(quantiser, FixedQuantiser) else network.input_step
    return stream_ports(
        fragment, "network", {"samples": sample, "predictions": network.steps[-1] if network.output == "raw" else None}
    )


def _digest(network: LookupNetwork) -> str:
    """Of all that a network is."""
    digest = hashlib.sha256()
    for name, array in network.arrays():
        digest.update(f"{name} {array.dtype} {array.shape}\0".encode() + array.tobytes())
    return digest.hexdigest()


Start = Callable[[LookupNetwork, Options, "Trace | None", "Progress | None"], LookupBackend]

BACKENDS: dict[str, Start] = {"model": ModelBackend, "pysim": PysimBackend, "native": NativeBackend}
"""How to start a backend, by its name."""
