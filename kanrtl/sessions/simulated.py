"""What the backends that simulate have in common: the ports worth seeing in a waveform, and a network's figures."""

from __future__ import annotations

from typing import Any

from ..learner.rtl.coefficients import Coefficients, FoldedCoefficients
from ..learner.rtl.folded_layer import FoldedLayer
from ..learner.rtl.layer import Layer
from ..learner.rtl.learner import Learner
from ..lookup.network import LookupNetwork
from ..lookup.quantiser import FixedQuantiser
from ..simulators.amaranth_simulator import AmaranthSimulator
from ..simulators.native_simulator import NativeSimulator
from ..simulators.trace import Port, parts_of, ports_of, stream_ports
from .backend import NetworkBackend


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


class SimulatedNetwork(NetworkBackend):
    """A :class:`LookupCore` in a simulator."""

    def __init__(self, network: LookupNetwork, simulator: AmaranthSimulator | NativeSimulator) -> None:
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
