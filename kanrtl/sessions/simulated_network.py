"""A lookup network on a backend that simulates it."""

from __future__ import annotations

from ..lookup.network import LookupNetwork
from ..simulators.amaranth_simulator import AmaranthSimulator
from ..simulators.native_simulator import NativeSimulator
from .backend import NetworkBackend

__all__ = ["SimulatedNetwork"]


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
