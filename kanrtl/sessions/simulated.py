"""What the backends that simulate have in common: the ports worth seeing in a waveform, and figures of the clock."""

from __future__ import annotations

from typing import Any

from ..baselines.baseline_addresses import BaselineAddresses
from ..learner.address_map import AddressMap
from ..learner.rtl.coefficients import Coefficients, FoldedCoefficients
from ..learner.rtl.folded_layer import FoldedLayer
from ..learner.rtl.layer import Layer
from ..learner.rtl.learner import Learner
from ..lookup.network import LookupNetwork
from ..lookup.quantiser import FixedQuantiser
from ..numeric.fixed import Format
from ..simulators.amaranth_simulator import AmaranthSimulator
from ..simulators.native_simulator import NativeSimulator
from ..simulators.trace import Port, parts_of, ports_of, stream_ports
from .backend import NetworkBackend, Running


def learner_ports(fragment: Any) -> list[Port]:
    """What is worth seeing of an elaborated learner: its ports, those of its layers, and those of their coefficients.

    Constants are left out.
    """
    learner = fragment.origins[0]
    assert isinstance(learner, Learner)
    ports = list(ports_of(learner, "learner", "{}"))
    for inside, _ in parts_of(fragment, (Learner,)):  # a guard stands around the learner whose layers these are
        fragment = inside
    for layer, name in parts_of(fragment, (Layer, FoldedLayer)):
        scope = f"learner.{name}"
        ports += ports_of(layer.origins[0], scope, f"{name}__{{}}__traced")
        for memory, inner in parts_of(layer, (Coefficients, FoldedCoefficients)):
            ports += ports_of(memory.origins[0], f"{scope}.{inner}", f"{name}__{inner}__{{}}__traced")
    return ports


def network_ports(network: LookupNetwork, fragment: Any) -> list[Port]:
    """The ports of a network, numbers in units of its inputs and outputs."""
    quantiser, last = network.quantiser, network.layers[-1]
    samples: list[tuple[float | None, float]]
    if isinstance(quantiser, FixedQuantiser):
        samples = [(quantiser.format.lsb, 0.0)]
    else:
        affine = zip(quantiser.scale.tolist(), quantiser.offset.tolist(), strict=True)
        samples = [(1 / scale, -offset / scale) if scale else (None, 0.0) for scale, offset in affine]
    predictions: list[tuple[float | None, float]] = [(None, 0.0)]
    if network.output == "raw":
        predictions = list(zip(last.steps.tolist(), last.offsets.tolist(), strict=True))
    return stream_ports(fragment, "network", {"samples": samples, "predictions": predictions})


def learner_macros(
    n_in: int, n_out: int, x: Format, y: Format, target: Format, addresses: AddressMap | BaselineAddresses
) -> dict[str, int]:
    """What :file:`native.cpp` has to know of what learns, with targets that travel with samples, one at a time."""
    return {
        "LEARNS": 1,
        "N_IN": n_in,
        "N_OUT": n_out,
        "X_WIDTH": x.width,
        "Y_WIDTH": y.width,
        "Y_SIGNED": int(y.signed),
        "TARGET_WIDTH": target.width,
        "WITH_SAMPLE": 1,
        "STALLING": 1,
        "REFUSABLE": 1,
        "SETTLING": 0,
        "ADDRESS_WIDTH": addresses.width,
        "DATA_WIDTH": addresses.data_width,
    }


class Simulated(Running):
    """What runs in a simulator, which sees its clock and its ports."""

    _simulator: AmaranthSimulator | NativeSimulator

    @property
    def cycles(self) -> int:
        return self._simulator.cycles

    @property
    def observed(self) -> dict[str, list[int]]:
        return self._simulator.observed(("latency", "prediction_latency", "interval"))

    def close(self) -> None:
        self._simulator.close()

    def discard_trace(self) -> None:
        self._simulator.discard_trace()


class SimulatedNetwork(Simulated, NetworkBackend):
    """A :class:`LookupCore` in a simulator."""

    def __init__(self, network: LookupNetwork, simulator: AmaranthSimulator | NativeSimulator) -> None:
        self._network = network
        self._simulator = simulator

    @property
    def observed(self) -> dict[str, list[int]]:
        seen = self._simulator.observed(("prediction_latency", "interval"))
        return {"latency": seen["prediction_latency"], "interval": seen["interval"]}
