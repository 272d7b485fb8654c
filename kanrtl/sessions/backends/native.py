"""The RTL compiled to machine code as a backend."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...learner.address_map import AddressMap
from ...learner.rtl.learner import Learner
from ...learner.spec import LearnerSpec
from ...lookup.network import LookupNetwork
from ...lookup.quantiser import FixedQuantiser
from ...lookup.rtl.lookup_core import LookupCore, create_core, port_shapes
from ...numeric.fixed import SQ, Codes
from ...progress import Progress
from ...simulators.cxxrtl import Design
from ...simulators.native_simulator import NativeSimulator
from ...simulators.native_step import SamplePlaces
from ...simulators.trace import Trace
from ..backend import AddressedLearner, BackendKind, NetworkStep, Options, SampleStep, places_of
from ..simulated import Simulated, SimulatedNetwork, learner_macros, learner_ports, network_ports

__all__ = ["BACKEND", "NativeLearner", "NativeNetwork", "design_native"]


class NativeLearner(Simulated, AddressedLearner):
    """A :class:`kanrtl.Learner`, compiled to machine code; with ``rewrite`` what that makes of its RTLIL."""

    name = "native"
    compiled = True

    def __init__(
        self,
        spec: LearnerSpec,
        trace: Trace | None = None,
        progress: Progress | None = None,
        rewrite: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(spec)
        self._simulator = self._native = NativeSimulator(*_learner_parts(spec), learner_ports, trace, progress, rewrite)

    def run(self, x: Codes, teaching: Codes, learn: npt.NDArray[np.bool_]) -> Codes:
        return self._native.run(x, self.spec.n_out, teaching, learn.astype(np.int64))

    def sample_step(self) -> SampleStep:
        return self._native.step(places_of(self.spec))

    def access(self, requests: list[tuple[int, int | None]]) -> list[int]:
        return self._native.access(requests)


class NativeNetwork(SimulatedNetwork):
    """A :class:`kanrtl.LookupCore`, compiled to machine code; with ``rewrite`` what that makes of its RTLIL."""

    name = "native"

    def __init__(
        self,
        network: LookupNetwork,
        options: Options,
        trace: Trace | None = None,
        progress: Progress | None = None,
        rewrite: Callable[[str], str] | None = None,
    ) -> None:
        self._native = NativeSimulator(
            *_network_parts(network, options),
            lambda fragment: network_ports(network, fragment),
            trace,
            progress,
            rewrite,
        )
        super().__init__(network, self._native)

    def run(self, samples: Codes) -> Codes:
        return self._native.run(samples, self._network.n_predictions)

    def sample_step(self) -> NetworkStep:
        quantiser, count = self._network.quantiser, self._network.n_predictions
        if isinstance(quantiser, FixedQuantiser):  # it is hardware, and takes codes of its format
            units = np.full(quantiser.n_in, 2.0**quantiser.format.f)
            return self._native.network_step(SamplePlaces(units, np.zeros(quantiser.n_in), quantiser.format, count))
        places = SamplePlaces(quantiser.scale, quantiser.offset, SQ(quantiser.bits, 0), count)
        return self._native.network_step(places)


BACKEND = BackendKind(NativeLearner, NativeNetwork)


def design_native(design: LearnerSpec | LookupNetwork, options: Options | None = None) -> Design:
    """What :class:`NativeLearner` or :class:`NativeNetwork` compiles, for :func:`.cxxrtl_batch.compile_together`."""
    return Design(
        *(_learner_parts(design) if isinstance(design, LearnerSpec) else _network_parts(design, options or {}))
    )


_Parts = tuple[Any, Callable[[], Any], Callable[[Any], Mapping[str, int]]]


def _learner_parts(spec: LearnerSpec) -> _Parts:
    """The key, the maker and the macros of a learner's design."""
    return _identify(spec), lambda: Learner(spec), lambda _: _learner_macros(spec)


def _network_parts(network: LookupNetwork, options: Options) -> _Parts:
    """The key, the maker and the macros of a network's design."""
    key = ["lookup network", _digest(network), json.dumps(options)]
    return key, lambda: create_core(network, **options), _network_macros


def _identify(spec: LearnerSpec) -> dict[str, Any]:
    """Give what the netlist follows from: the seed where anything is drawn alone; estimators have one for each fit."""
    fields = spec.to_dict()
    uniform = spec.initial_coefficients == "uniform" or (spec.initial_coefficients is None and spec.n_layers > 1)
    draws = spec.update_rounding == "stochastic" or uniform
    return fields if draws else fields | {"seed": None}


def _learner_macros(spec: LearnerSpec) -> dict[str, int]:
    formats, streaming = spec.formats, spec.timing.streaming
    shared = learner_macros(
        spec.n_in, spec.n_out, formats.input, formats.output, spec.target_format, AddressMap.of(spec)
    )
    return shared | {
        "WITH_SAMPLE": int(spec.teaching == "with_sample"),
        "REFUSABLE": int(not streaming),
        "SETTLING": spec.latency if streaming else 0,
    }


def _network_macros(core: LookupCore) -> dict[str, int]:
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


def _digest(network: LookupNetwork) -> str:
    """A hash of all that a network is."""
    digest = hashlib.sha256()
    for name, array in network.arrays():
        digest.update(f"{name} {array.dtype} {array.shape}\0".encode() + array.tobytes())
    return digest.hexdigest()
